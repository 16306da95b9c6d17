package backup

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/keywright/keywright/internal/seal"
	"github.com/keywright/keywright/internal/store"
)

// Restoration is how to restore a backup.
type Restoration struct {
	// Providers open the backup; the first that does is used. Usually it is the
	// recovery key.
	Providers []seal.Provider

	// RootKey is the root key of the restored store. Where it is a
	// *seal.RootKeyFile that does not exist, it is made; one that exists is taken.
	RootKey seal.Provider

	// Progress, where set, is called now and then with what was restored.
	Progress func(records int, bytes int64)
}

// Restore writes a backup to an empty store, checking each record as Verify
// does. The slots of the restored store are one for how.RootKey and those of the
// backup that are not for root keys; its epoch is one more than the original's,
// which voids every token issued before. The audit log and the revisions start
// anew; the original's revision is in Info.
//
// A restore that fails, or is cut off, leaves the store so that seal.Unlock
// refuses it and Restore takes it again: from the first write to the last it has
// no slots and is marked by seal.RestoringKey.
func Restore(ctx context.Context, r io.Reader, st store.Store, how Restoration) (Info, error) {
	// Before anything is written: the likeliest errors are a wrong key and a
	// wrong file.
	b, err := open(ctx, r, how.Providers)
	if err != nil {
		return Info{}, err
	}
	defer b.close()
	if err := clearRestoring(ctx, st); err != nil {
		return Info{}, err
	}
	// Before the records too: a root key that cannot be written or read should
	// not come up at the end of a long restore.
	last, err := seal.RestoredSlots(ctx, b.header.slots, b.kr, how.RootKey)
	if err != nil {
		return Info{}, err
	}
	mark, err := st.Write(ctx, store.Batch{
		If:  []store.Cond{{Key: []byte(seal.RestoringKey)}},
		Ops: []store.Op{{Key: []byte(seal.RestoringKey), Value: []byte("a restore did not finish; run it again\n")}},
	})
	if err != nil {
		return Info{}, fmt.Errorf("marking the store as being restored: %w", err)
	}
	w := batchWriter{st: st, mark: mark}
	info, err := b.each(ctx, how.Progress, func(e store.Entry) error {
		return w.add(ctx, store.Op{Key: e.Key, Value: e.Value})
	})
	if err != nil {
		return info, fmt.Errorf("restoring the backup: %w", err)
	}
	if err := w.flush(ctx); err != nil {
		return info, fmt.Errorf("restoring the backup: %w", err)
	}
	w.ops = append(last, store.Op{Key: []byte(seal.RestoringKey), Delete: true})
	if err := w.flush(ctx); err != nil {
		return info, fmt.Errorf("finishing the restore: %w", err)
	}
	info.Epoch++
	return info, nil
}

// clearRestoring makes sure that the store is empty: it removes what a restore
// left that did not finish, and refuses a store that has anything else.
func clearRestoring(ctx context.Context, st store.Store) error {
	mark := []byte(seal.RestoringKey)
	for {
		view, err := st.Snapshot(ctx)
		if err != nil {
			return fmt.Errorf("looking whether the store is empty: %w", err)
		}
		b, err := leftovers(view, mark)
		if err = errors.Join(err, view.Close()); err != nil {
			return fmt.Errorf("looking whether the store is empty: %w", err)
		}
		if len(b.Ops) == 0 {
			return nil
		}
		if _, err := st.Write(ctx, b); err != nil {
			return fmt.Errorf("removing what an earlier restore left: %w", err)
		}
	}
}

// leftovers returns the batch that removes the next entries of an unfinished
// restore, and at last its mark; it has no Ops where the store is empty.
func leftovers(view store.View, mark []byte) (store.Batch, error) {
	var b store.Batch
	e, err := view.Get(mark)
	marked := err == nil
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return b, err
	}
	for entry, err := range view.Scan(nil, nil) {
		if err != nil {
			return b, err
		}
		if !marked {
			return b, ErrNotEmpty
		}
		if len(b.Ops) == store.MaxBatchOps-2 {
			break
		}
		if string(entry.Key) != string(mark) {
			b.Ops = append(b.Ops, store.Op{Key: slices.Clone(entry.Key), Delete: true})
		}
	}
	if marked {
		b.If = []store.Cond{{Key: mark, Revision: e.Revision}}
		if len(b.Ops) == 0 {
			b.Ops = []store.Op{{Key: mark, Delete: true}}
		}
	}
	return b, nil
}

// batchWriter gathers operations into batches, each on the condition that the
// store is still the one this restore marked.
type batchWriter struct {
	st   store.Store
	mark store.Revision
	ops  []store.Op
	size int
}

func (w *batchWriter) add(ctx context.Context, op store.Op) error {
	size := len(op.Key) + len(op.Value)
	if len(w.ops) == store.MaxBatchOps-1 || w.size+size > store.MaxBatchBytes-store.MaxKeyBytes {
		if err := w.flush(ctx); err != nil {
			return err
		}
	}
	w.ops = append(w.ops, op)
	w.size += size
	return nil
}

func (w *batchWriter) flush(ctx context.Context) error {
	if len(w.ops) == 0 {
		return nil
	}
	_, err := w.st.Write(ctx, store.Batch{
		If:  []store.Cond{{Key: []byte(seal.RestoringKey), Revision: w.mark}},
		Ops: w.ops,
	})
	if errors.Is(err, store.ErrConflict) {
		return errors.New("another restore into the same store is running")
	}
	w.ops, w.size = nil, 0
	return err
}

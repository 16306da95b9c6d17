package seal

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/keywright/keywright/internal/store"
)

// Bounds of one batch of records that are sealed again. Each takes an operation
// and a condition, and its key counts for both.
const (
	resealBatchRecords = store.MaxBatchOps / 2
	resealBatchBytes   = store.MaxBatchBytes / 4
)

// resealAll seals every record again that is not under the newest store key, and
// adds their number to resealed. It returns how many transient ones are left
// that are not.
func (kr *Keyring) resealAll(ctx context.Context, st store.Store, how *StoreKeyRotation, resealed *int) (left int, err error) {
	total := 0
	if how.Progress != nil {
		if total, err = countRecords(ctx, st); err != nil {
			return 0, err
		}
	}
	done := 0
	for from := []byte(nil); ; {
		c, err := kr.nextChunk(ctx, st, from, how.Transient)
		if err != nil {
			return 0, err
		}
		if len(c.batch.Ops) > 0 {
			_, err := st.Write(ctx, c.batch)
			if errors.Is(err, store.ErrConflict) {
				continue // whoever was faster sealed under the new key: read again
			}
			if err != nil {
				return 0, err
			}
		}
		left += c.left
		*resealed += len(c.batch.Ops)
		done += c.records
		if how.Progress != nil {
			how.Progress(done, max(done, total)) // records are made meanwhile
		}
		if c.next == nil {
			return left, nil
		}
		from = c.next
	}
}

type chunk struct {
	batch   store.Batch
	records int    // passed, sealed again or not
	left    int    // of them, transient ones under an older key
	next    []byte // where to go on; nil at the end
}

// nextChunk looks through the records from a key on, in a view of its own so
// that none stays open for long, until there are enough for a batch.
func (kr *Keyring) nextChunk(ctx context.Context, st store.Store, from []byte, transient []string) (chunk, error) {
	const maxRecords = 4096
	view, err := st.Snapshot(ctx)
	if err != nil {
		return chunk{}, err
	}
	defer view.Close()
	var c chunk
	active, size := kr.activeVersion(), 0
	for e, err := range view.Scan(from, nil) {
		if err != nil {
			return chunk{}, err
		}
		path := string(e.Key)
		if !IsSealed(path) {
			continue
		}
		version, ok := recordVersion(e.Value)
		if !ok {
			return chunk{}, &RecordError{path}
		}
		size += 2*len(e.Key) + len(e.Value)
		full := len(c.batch.Ops) == resealBatchRecords || c.records == maxRecords || size > resealBatchBytes
		if full && c.records > 0 {
			c.next = bytes.Clone(e.Key)
			break
		}
		c.records++
		if version == active {
			continue
		}
		if slices.ContainsFunc(transient, func(prefix string) bool { return strings.HasPrefix(path, prefix) }) {
			c.left++
			continue
		}
		plaintext, err := kr.Open(path, e.Value)
		if err != nil {
			return chunk{}, err
		}
		key := slices.Clone(e.Key)
		c.batch.If = append(c.batch.If, store.Cond{Key: key, Revision: e.Revision})
		c.batch.Ops = append(c.batch.Ops, store.Op{Key: key, Value: kr.Seal(path, plaintext)})
		clear(plaintext)
	}
	return c, ctx.Err()
}

func countRecords(ctx context.Context, st store.Store) (n int, err error) {
	view, err := st.Snapshot(ctx)
	if err != nil {
		return 0, err
	}
	defer view.Close()
	for e, err := range view.Scan(nil, nil) {
		if err != nil {
			return 0, err
		}
		if IsSealed(string(e.Key)) {
			n++
		}
	}
	return n, nil
}

// Package backup writes, verifies and restores backups of a sealed store.
//
// A backup is one stream, made of one view of the store while it serves. It
// contains the records as they are stored, sealed, and the slots that open them,
// and is sealed as a whole on top, so that it shows neither ids nor sizes and no
// change of it goes unnoticed. It contains no root key: the slots are wrapped
// keys, as useless as the store itself without a secret that opens one. The
// slots of all kinds are in it, so a backup opens with whatever opened the store
// when it was made: the recovery key, a passphrase, or, so that a machine can
// verify its backups unattended, the root key.
//
// The package does not schedule backups, keep them, or copy the audit log, and
// neither does it decide who may make one.
package backup

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/keywright/keywright/internal/seal"
	"github.com/keywright/keywright/internal/store"
)

// Info describes a backup.
type Info struct {
	StoreID  [16]byte       // the store it was made of
	Revision store.Revision // of the view it was made of
	Time     time.Time      // when it was begun, by the machine's clock
	Epoch    uint64         // of the store then
	Slots    int            // key slots in it
	Records  int            // entries beside them
	Bytes    int64          // keys and values of those
}

// The errors callers branch on.
var (
	// ErrDamaged: the stream is not, bit by bit and to its end, what Write
	// wrote. The error that wraps it says where.
	ErrDamaged = errors.New("the backup is damaged or incomplete")
	// ErrNotEmpty: Restore was given a store that is in use.
	ErrNotEmpty = errors.New("the store is not empty: restore into a new one")
)

// Write writes a backup of the view to w. The view is that of the store whose
// keyring kr is. A backup whose Write failed is incomplete and is refused by
// Verify and Restore.
func Write(ctx context.Context, w io.Writer, view store.View, kr *seal.Keyring) (Info, error) {
	info := Info{StoreID: kr.StoreID(), Revision: view.Revision(), Epoch: kr.Epoch(), Time: time.Now().UTC().Truncate(time.Millisecond)}
	if _, err := view.Get([]byte(seal.RestoringKey)); err == nil {
		return info, seal.ErrRestoring
	} else if !errors.Is(err, store.ErrNotFound) {
		return info, fmt.Errorf("reading %s: %w", seal.RestoringKey, err)
	}
	slots, err := seal.Entries(view)
	if err != nil {
		return info, err
	}
	info.Slots = countSlots(slots)
	fw, err := newFrameWriter(w, kr, header{info, slots})
	if err != nil {
		return info, err
	}
	for e, err := range view.Scan(nil, nil) {
		if err != nil {
			return info, fmt.Errorf("reading the store for the backup: %w", err)
		}
		if err := ctx.Err(); err != nil {
			return info, err
		}
		if isSlotEntry(e.Key) {
			continue
		}
		if err := fw.add(e.Key, e.Value); err != nil {
			return info, err
		}
		info.Records++
		info.Bytes += int64(len(e.Key) + len(e.Value))
	}
	return info, fw.close(info)
}

// Verify reads a backup to its end and checks all of it: that it is what Write
// wrote, and that every record opens. Each of the providers is tried on its
// slots. Progress, where not nil, is called now and then with what was read.
func Verify(ctx context.Context, r io.Reader, progress func(records int, bytes int64), providers ...seal.Provider) (Info, error) {
	b, err := open(ctx, r, providers)
	if err != nil {
		return Info{}, err
	}
	defer b.close()
	return b.each(ctx, progress, func(store.Entry) error { return nil })
}

// each calls f for every entry of the backup, after checking that it opens. The
// entry is f's to keep. At the end it checks that nothing is missing.
func (b *reader) each(ctx context.Context, progress func(int, int64), f func(store.Entry) error) (Info, error) {
	info := b.header.Info
	for {
		entries, end, err := b.next()
		if err != nil {
			return info, err
		}
		if err := ctx.Err(); err != nil {
			return info, err
		}
		for _, e := range entries {
			if path := string(e.Key); seal.IsSealed(path) {
				plaintext, err := b.kr.Open(path, e.Value)
				if err != nil {
					return info, fmt.Errorf("checking the backup's records: %w", err)
				}
				clear(plaintext)
			}
			if err := f(e); err != nil {
				return info, err
			}
			info.Records++
			info.Bytes += int64(len(e.Key) + len(e.Value))
		}
		if progress != nil {
			progress(info.Records, info.Bytes)
		}
		if end != nil {
			if end.records != uint64(info.Records) || end.bytes != uint64(info.Bytes) {
				return info, fmt.Errorf("%w: it has %d records, its end says %d", ErrDamaged, info.Records, end.records)
			}
			return info, nil
		}
	}
}

// reader is an opened backup.
type reader struct {
	*frameReader
	header header
	kr     *seal.Keyring
}

// open reads the header, unlocks the keys in it and is ready for the first frame.
func open(ctx context.Context, r io.Reader, providers []seal.Provider) (*reader, error) {
	fr, h, sum, err := readHeader(r)
	if err != nil {
		return nil, err
	}
	kr, err := seal.UnlockEntries(ctx, h.slots, providers...)
	if err != nil {
		return nil, fmt.Errorf("opening the backup: %w", err)
	}
	key := kr.Derive(label)
	fr.unlock(key, sum)
	h.Info.Epoch = kr.Epoch()
	return &reader{fr, h, kr}, nil
}

// close wipes the keys.
func (b *reader) close() {
	clear(b.key[:])
	b.kr.Close()
}

// label is that of the backup's key and of its frames.
const label = "keywright/backup"

type headerSum = [sha256.Size]byte

package boltstore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"runtime/debug"
	"sync"
	"sync/atomic"

	"go.etcd.io/bbolt"

	"github.com/keywright/keywright/internal/store"
)

// snapshot is the state of the store after one commit, shared by all views of
// that state: a read transaction of bbolt that the committing goroutine opens
// when the commit is durable. Sharing it makes a view cheap, and keeps what is
// written but not yet synced from being seen: a transaction that bbolt opens
// for a reader would show it.
//
// bbolt asks that a transaction be used by one goroutine. For a read-only one
// that is more than its code needs: reading changes only its counters, which
// are atomic. The race detector watches over that in the tests.
type snapshot struct {
	db       *bbolt.DB
	tx       *bbolt.Tx
	data     *bbolt.Bucket
	revision store.Revision
	cursors  sync.Pool    // of *bbolt.Cursor on data
	refs     atomic.Int64 // views, and one while it is the current snapshot
}

// newSnapshot opens the newest state of db, with one reference.
func newSnapshot(db *bbolt.DB) (*snapshot, error) {
	tx, err := db.Begin(false)
	if err != nil {
		return nil, fmt.Errorf("opening snapshot: %w", err)
	}
	snap, err := snapshotOf(db, tx)
	if err != nil {
		return nil, errors.Join(err, tx.Rollback())
	}
	return snap, nil
}

func snapshotOf(db *bbolt.DB, tx *bbolt.Tx) (*snapshot, error) {
	meta, data := tx.Bucket(metaBucket), tx.Bucket(dataBucket)
	if meta == nil || data == nil {
		return nil, fmt.Errorf("%w: bucket is missing", errDamaged)
	}
	revision, err := readNumber(meta, revisionKey)
	if err != nil {
		return nil, err
	}
	snap := &snapshot{db: db, tx: tx, data: data, revision: store.Revision(revision)}
	snap.cursors.New = func() any { return data.Cursor() }
	snap.refs.Store(1)
	return snap, nil
}

// acquire takes a reference to the newest snapshot; nil where there is none.
func (s *Store) acquire() *snapshot {
	for {
		snap := s.current.Load()
		if snap == nil {
			return nil
		}
		for {
			n := snap.refs.Load()
			if n == 0 {
				break // replaced and released since it was loaded
			}
			if snap.refs.CompareAndSwap(n, n+1) {
				return snap
			}
		}
	}
}

func (snap *snapshot) release() {
	if snap.refs.Add(-1) == 0 {
		// The error of a read transaction says that it was ended before, which
		// the count excludes.
		_ = snap.tx.Rollback()
	}
}

// Snapshot implements store.Store.
func (s *Store) Snapshot(ctx context.Context) (store.View, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	snap := s.acquire()
	select {
	case <-s.closing:
		if snap != nil {
			snap.release()
		}
		return nil, store.ErrClosed
	default:
	}
	if snap == nil {
		return nil, errUnavailable
	}
	v := &view{revision: snap.revision}
	v.snap.Store(snap)
	return v, nil
}

var (
	// errUnavailable: a commit failed in a way that only opening the file anew
	// can settle, which the next Write attempts.
	errUnavailable = errors.New("store is unavailable after a failed write to its disk")
	errViewClosed  = errors.New("view is closed")
)

// view is a reference to a snapshot. It is not pooled: a second Close must not
// hit another's view.
type view struct {
	snap     atomic.Pointer[snapshot] // nil once closed
	revision store.Revision
}

func (v *view) Revision() store.Revision { return v.revision }

func (v *view) Close() error {
	if snap := v.snap.Swap(nil); snap != nil {
		snap.release()
	}
	return nil
}

func (v *view) Get(key []byte) (e store.Entry, err error) {
	snap := v.snap.Load()
	if snap == nil {
		return store.Entry{}, errViewClosed
	}
	if len(key) == 0 {
		return store.Entry{}, store.ErrNotFound
	}
	defer unguard(debug.SetPanicOnFault(true), &err)
	c := snap.cursors.Get().(*bbolt.Cursor)
	k, rec := c.Seek(key)
	snap.cursors.Put(c)
	if !bytes.Equal(k, key) {
		return store.Entry{}, store.ErrNotFound
	}
	return entry(k, rec)
}

func (v *view) Scan(from, to []byte) iter.Seq2[store.Entry, error] {
	return func(yield func(store.Entry, error) bool) {
		snap := v.snap.Load()
		if snap == nil {
			yield(store.Entry{}, errViewClosed)
			return
		}
		c := snap.cursors.Get().(*bbolt.Cursor)
		defer snap.cursors.Put(c)
		e, err := step(c, from, true)
		for ; err != nil || e.Key != nil; e, err = step(c, nil, false) {
			if err == nil && len(to) > 0 && bytes.Compare(e.Key, to) >= 0 {
				return
			}
			if !yield(e, err) || err != nil {
				return
			}
		}
	}
}

// step moves the cursor, to the first key not below from or to the next one,
// and returns the entry there; after the last its Key is nil. The caller's code
// runs outside of it, so that its panics stay its own.
func step(c *bbolt.Cursor, from []byte, first bool) (e store.Entry, err error) {
	defer unguard(debug.SetPanicOnFault(true), &err)
	var k, rec []byte
	if first {
		k, rec = c.Seek(from)
	} else {
		k, rec = c.Next()
	}
	if k == nil {
		return store.Entry{}, nil
	}
	return entry(k, rec)
}

// entry makes an Entry of what the cursor found. The slices come from lengths
// in the file. It looks at their ends here, where a fault is caught, so that
// none happens in the hands of the caller.
func entry(key, rec []byte) (store.Entry, error) {
	if len(key) == 0 || len(key) > store.MaxKeyBytes || len(rec) > revisionBytes+store.MaxBatchBytes {
		return store.Entry{}, fmt.Errorf("%w: key of %d bytes with record of %d", errDamaged, len(key), len(rec))
	}
	revision, value, err := splitRecord(rec)
	if err != nil {
		return store.Entry{}, err
	}
	touchEnd(key)
	touchEnd(rec)
	return store.Entry{Key: key[:len(key):len(key)], Value: value, Revision: revision}, nil
}

// touchEnd reads the last byte. Inlined, the read would be optimized away.
//
//go:noinline
func touchEnd(b []byte) byte { return b[len(b)-1] }

// guard runs f and returns as an error what bbolt does on a damaged file: it
// panics, or touches memory beyond the file.
func guard(f func() error) (err error) {
	defer unguard(debug.SetPanicOnFault(true), &err)
	return f()
}

// unguard is deferred, to end what debug.SetPanicOnFault began: it restores the
// old setting and turns a panic into an error.
func unguard(old bool, err *error) {
	debug.SetPanicOnFault(old)
	if p := recover(); p != nil {
		*err = fmt.Errorf("%w: %v", errDamaged, p)
	}
}

// Package store is the contract between Keywright and the database it keeps
// its state in: an ordered map of opaque, sealed values with atomic
// compare-and-write, immutable snapshots and a feed of commits.
//
// Drivers live below it (boltstore on one machine, etcdstore on several);
// storetest checks every sentence of this file on each of them. The package
// knows nothing of what the values mean, and never sees one in the clear:
// sealing happens above, in internal/seal.
package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
)

// The errors callers branch on. Everything else a driver returns is a fault
// of the machine (disk, network) and is passed on wrapped.
var (
	// ErrNotFound: Get found no entry under the key.
	ErrNotFound = errors.New("store: not found")
	// ErrConflict: a condition of a Batch did not hold; nothing was written.
	ErrConflict = errors.New("store: conflict")
	// ErrCompacted: Watch was asked for commits that are no longer held. The
	// caller takes a Snapshot, reads what it needs, and watches from there.
	ErrCompacted = errors.New("store: revision compacted")
	// ErrClosed: the store was closed.
	ErrClosed = errors.New("store: closed")
)

// Limits that hold on every driver, so that a batch which one accepts is
// accepted by all (they are etcd's defaults). Batch.Check holds a batch
// against them.
const (
	MaxBatchOps   = 128     // operations plus conditions in one Batch
	MaxBatchBytes = 1 << 20 // sum of keys and values in one Batch, conditions included
	MaxKeyBytes   = 512
)

// Revision numbers the commits of a store: the first is 1, each is one more
// than the last, and none is ever used twice, restarts included. Zero stands
// for "no commit": as an Entry's revision it means the key is absent.
type Revision uint64

// Entry is one key with its value and the revision that last wrote it.
type Entry struct {
	Key      []byte
	Value    []byte
	Revision Revision
}

// Cond is a condition of a Batch: the key's current revision must be this
// one; zero demands that the key is absent.
type Cond struct {
	Key      []byte
	Revision Revision
}

// Op puts Value under Key or, where Delete is set, removes the key; a Value
// beside Delete is refused. Removing an absent key is no error. A Value may be
// empty; empty and nil are the same.
type Op struct {
	Key    []byte
	Value  []byte
	Delete bool
}

// Batch is a set of writes that happen together or not at all, and only if
// every condition holds at that instant. A batch without Ops is refused.
type Batch struct {
	If  []Cond
	Ops []Op
}

// Check returns an error where the batch is one that every driver refuses: it
// has no Ops, exceeds a limit, names an empty key, names a key twice among its
// Ops, or gives a Value to a Delete. Drivers call it first in Write, so nothing
// is written of such a batch.
func (b Batch) Check() error {
	if len(b.Ops) == 0 {
		return errors.New("store: batch without operations")
	}
	if n := len(b.If) + len(b.Ops); n > MaxBatchOps {
		return fmt.Errorf("store: batch of %d operations and conditions, limit is %d", n, MaxBatchOps)
	}
	size := 0
	for _, c := range b.If {
		if err := checkKey(c.Key); err != nil {
			return err
		}
		size += len(c.Key)
	}
	for i, op := range b.Ops {
		if err := checkKey(op.Key); err != nil {
			return err
		}
		if op.Delete && len(op.Value) > 0 {
			return errors.New("store: delete with a value")
		}
		// Batches are small: comparing pairs is cheaper than building a set.
		for _, other := range b.Ops[:i] {
			if bytes.Equal(op.Key, other.Key) {
				return errors.New("store: batch writes the same key twice")
			}
		}
		size += len(op.Key) + len(op.Value)
	}
	if size > MaxBatchBytes {
		return fmt.Errorf("store: batch of %d bytes, limit is %d", size, MaxBatchBytes)
	}
	return nil
}

func checkKey(key []byte) error {
	if len(key) == 0 {
		return errors.New("store: empty key")
	}
	if len(key) > MaxKeyBytes {
		return fmt.Errorf("store: key of %d bytes, limit is %d", len(key), MaxKeyBytes)
	}
	return nil
}

// Event is one change of one key, as Watch reports it. Its Revision is that of
// the commit which made the change. It stays valid for good and must not be
// changed.
type Event struct {
	Entry   // Value is nil where Deleted
	Deleted bool
}

// Store is an ordered key-value store. Keys sort as bytes. All methods may be
// called concurrently.
type Store interface {
	// Snapshot returns an immutable view of the store at its newest revision.
	// Every Write that returned before the call is in it (read-your-writes),
	// and so is every Event that a Watch yielded before it. A Write is in it
	// whole or not at all, and never before it is durable. An open view holds
	// up no Write and no other Snapshot, but the reuse of space: close it soon.
	Snapshot(ctx context.Context) (View, error)

	// Write applies the batch atomically and returns its revision, which is
	// that of every entry it puts. It keeps nothing of the batch. When it
	// returns nil the change is durable: it survives the death of the process
	// and the loss of power. On ErrConflict nothing was written. On any other
	// error (a full disk, a cancelled context) the batch may or may not have
	// been written, but never in part, and the store goes on working once the
	// cause is gone. Concurrent writes may share one sync of the disk; each
	// still has a revision of its own, and conditions see the batches that
	// were ordered before.
	Write(ctx context.Context, b Batch) (Revision, error)

	// Watch yields, in order of revision, every change under prefix committed
	// after the given revision, then waits for more until ctx ends. Changes of
	// one commit come in the order of its Ops. No change is skipped and none is
	// repeated; removing an absent key is no change. It ends with an error,
	// yielded once with a zero Event: ErrCompacted where that cannot be
	// promised (the commits are too old, or the caller read too slowly: a
	// watcher never holds up a Write), ctx's error, or ErrClosed.
	Watch(ctx context.Context, prefix []byte, after Revision) iter.Seq2[Event, error]

	// Close releases the store. Writes that had returned stay; calls under way
	// end with ErrClosed, or as they would have ended, and later calls with
	// ErrClosed. It waits for open views to be closed. Closing twice is no
	// error.
	Close() error
}

// View is an immutable state of the store. It may be used from several
// goroutines. Keys and values it returns are valid until Close and must not be
// changed by the caller.
type View interface {
	// Revision is the revision of the newest commit in the view.
	Revision() Revision

	// Get returns the entry under key, or ErrNotFound.
	Get(key []byte) (Entry, error)

	// Scan yields the entries with from <= key < to in order of key; a nil or
	// empty to means no upper bound. It stops at the first error, which it
	// yields with a zero Entry.
	Scan(from, to []byte) iter.Seq2[Entry, error]

	// Close releases the view. Closing twice is no error; reading from a
	// closed view is an error.
	Close() error
}

// PrefixEnd returns the smallest key greater than every key that starts with
// prefix, for use as Scan's upper bound; nil where there is none (a prefix of
// 0xff bytes only).
func PrefixEnd(prefix []byte) []byte {
	for i := len(prefix) - 1; i >= 0; i-- {
		if prefix[i] != 0xff {
			end := append([]byte(nil), prefix[:i+1]...)
			end[i]++
			return end
		}
	}
	return nil
}

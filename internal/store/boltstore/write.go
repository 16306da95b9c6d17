package boltstore

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"runtime"
	"time"

	"go.etcd.io/bbolt"

	"github.com/keywright/keywright/internal/store"
)

// A group is what one commit to the disk holds at most. The bounds keep the
// last batch of a group from waiting long for the others.
const (
	maxGroupBatches = 256
	maxGroupBytes   = 8 << 20
)

// request is a batch on its way through the committing goroutine, with its
// outcome.
type request struct {
	batch    store.Batch
	revision store.Revision
	err      error
	done     chan struct{}
}

// Write implements store.Store. The context is heeded until the committing
// goroutine takes the batch; from there it is a matter of one or two syncs.
func (s *Store) Write(ctx context.Context, b store.Batch) (store.Revision, error) {
	if err := b.Check(); err != nil {
		return 0, err
	}
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	r := &request{batch: b, done: make(chan struct{})}
	select {
	case s.queue <- r:
		<-r.done
		return r.revision, r.err
	case <-ctx.Done():
		return 0, ctx.Err()
	case <-s.closing:
		return 0, store.ErrClosed
	}
}

// run commits what Write queues until the store is closed.
func (s *Store) run() {
	defer close(s.stopped)
	for {
		select {
		case r := <-s.queue:
			s.commitGroup(s.gather(r))
		case <-s.closing:
			return
		}
	}
}

// gather collects the batches that wait to be committed, the first included.
// They came while the last commit ran, so nobody is made to wait for company.
func (s *Store) gather(first *request) []*request {
	group := []*request{first}
	size := batchBytes(first.batch)
	yielded := false
	for len(group) < maxGroupBatches && size < maxGroupBytes {
		select {
		case r := <-s.queue:
			group = append(group, r)
			size += batchBytes(r.batch)
			yielded = false
		default:
			if yielded {
				return group
			}
			// Writers that the last commit has just woken get to queue again.
			runtime.Gosched()
			yielded = true
		}
	}
	return group
}

func batchBytes(b store.Batch) (n int) {
	for _, op := range b.Ops {
		n += len(op.Key) + len(op.Value)
	}
	return n
}

// commitGroup commits the group and answers every request of it. Answers wait
// for the sync, conflicts too: what a condition conflicted with may be a batch
// of the same group.
func (s *Store) commitGroup(group []*request) {
	start := time.Now()
	changes, err := s.apply(group)
	if err != nil {
		for _, r := range group {
			r.revision, r.err = 0, fmt.Errorf("writing store: %w", err)
		}
	}
	if err != nil || len(changes) > 0 {
		s.commits.Add(1)
		if s.opts.OnCommit != nil {
			s.opts.OnCommit(Commit{Batches: len(group), Duration: time.Since(start), Err: err})
		}
	}
	for _, r := range group {
		close(r.done)
	}
}

// apply writes the group in one transaction of bbolt and, when that is durable,
// publishes the new state. On an error nothing of the group is in the store, or
// all of it.
func (s *Store) apply(group []*request) (changes []change, err error) {
	if s.current.Load() == nil {
		if err := s.reopen(); err != nil {
			return nil, err
		}
	}
	db, before := s.db.Load(), s.current.Load()
	err = guard(func() error {
		tx, err := db.Begin(true)
		if err != nil {
			return err
		}
		// Of a committed transaction this does nothing. After a panic of
		// bbolt it frees its lock.
		defer func() { _ = guard(tx.Rollback) }()
		changes, err = applyTo(tx, before.revision, group)
		if err != nil || len(changes) == 0 {
			return err
		}
		return s.commitTx(tx)
	})
	if err != nil {
		s.settleFailure(db, before, err)
		return nil, err
	}
	if len(changes) == 0 {
		return nil, nil
	}
	var after *snapshot
	err = guard(func() error {
		after, err = newSnapshot(db)
		return err
	})
	if err != nil {
		s.abandon()
		return nil, err
	}
	s.current.Store(after)
	before.release()
	s.recent.add(changes)
	return changes, nil
}

// settleFailure decides how to go on after a failed commit. Where the disk was
// full bbolt has taken everything back, and its newest state is still the one
// before: the next write may succeed. Where the state has moved the failure was
// in the very last step, syncing the new root page. Whether that is on the disk
// nobody knows, and bbolt would now reuse pages that open views (and the disk,
// after a loss of power) still need. Then, and where bbolt panicked or cannot
// read, the file is opened anew before the next write, as after a crash.
func (s *Store) settleFailure(db *bbolt.DB, before *snapshot, failure error) {
	moved := true
	err := guard(func() error {
		return db.View(func(tx *bbolt.Tx) error {
			moved = tx.ID() != before.tx.ID()
			return nil
		})
	})
	if err != nil || moved || errors.Is(failure, errDamaged) {
		s.abandon()
	}
}

// abandon stops the use of the open file: there are no new snapshots until the
// next write has opened it again.
func (s *Store) abandon() {
	if snap := s.current.Swap(nil); snap != nil {
		snap.release()
	}
}

// reopen opens the file anew after abandon. It does not wait for the views
// that are still open: one may belong to a caller who waits for this write.
func (s *Store) reopen() error {
	if s.memory {
		return errUnavailable // opening it again would make an empty one
	}
	if db := s.db.Load(); db != nil && db.Stats().OpenTxN > 0 {
		return fmt.Errorf("%w, until all open views are closed", errUnavailable)
	}
	if err := errors.Join(s.unload(), s.load()); err != nil {
		return fmt.Errorf("opening the file again after a failed write: %w", err)
	}
	return nil
}

// change is what one batch changed, for watchers.
type change struct {
	revision store.Revision
	events   []store.Event
	bytes    int
}

// applyTo writes the batches whose conditions hold, each under the next
// revision, and notes the outcome in the requests. An error concerns the whole
// transaction.
func applyTo(tx *bbolt.Tx, revision store.Revision, group []*request) ([]change, error) {
	meta, data := tx.Bucket(metaBucket), tx.Bucket(dataBucket)
	if meta == nil || data == nil {
		return nil, fmt.Errorf("%w: bucket is missing", errDamaged)
	}
	var changes []change
	for _, r := range group {
		ok, err := holds(data, r.batch.If)
		if err != nil {
			return nil, err
		}
		if !ok {
			r.err = store.ErrConflict
			continue
		}
		revision++
		r.revision = revision
		c, err := applyBatch(data, revision, r.batch.Ops)
		if err != nil {
			return nil, err
		}
		changes = append(changes, c)
	}
	if len(changes) == 0 {
		return nil, nil
	}
	return changes, writeNumber(meta, revisionKey, uint64(revision))
}

// holds reports whether all conditions hold in the transaction as it stands.
func holds(data *bbolt.Bucket, conds []store.Cond) (bool, error) {
	for _, c := range conds {
		var current store.Revision
		if rec := data.Get(c.Key); rec != nil {
			var err error
			if current, _, err = splitRecord(rec); err != nil {
				return false, err
			}
		}
		if current != c.Revision {
			return false, nil
		}
	}
	return true, nil
}

func applyBatch(data *bbolt.Bucket, revision store.Revision, ops []store.Op) (change, error) {
	size := 0
	for _, op := range ops {
		size += len(op.Key) + revisionBytes + len(op.Value)
	}
	// One copy of the batch serves bbolt, which reads it until the commit, and
	// the watchers.
	buf := make([]byte, 0, size)
	c := change{revision: revision, events: make([]store.Event, 0, len(ops)), bytes: size}
	for _, op := range ops {
		if op.Delete && data.Get(op.Key) == nil {
			continue
		}
		at := len(buf)
		buf = append(buf, op.Key...)
		key := buf[at:len(buf):len(buf)]
		event := store.Event{Entry: store.Entry{Key: key, Revision: revision}, Deleted: op.Delete}
		if op.Delete {
			if err := data.Delete(key); err != nil {
				return change{}, err
			}
		} else {
			at := len(buf)
			buf = binary.BigEndian.AppendUint64(buf, uint64(revision))
			buf = append(buf, op.Value...)
			rec := buf[at:len(buf):len(buf)]
			if err := data.Put(key, rec); err != nil {
				return change{}, err
			}
			event.Value = rec[revisionBytes:]
		}
		c.events = append(c.events, event)
	}
	return c, nil
}

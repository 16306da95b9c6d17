package boltstore

import (
	"bytes"
	"context"
	"iter"
	"sync"

	"github.com/keywright/keywright/internal/store"
)

// How much of the recent past is held for watchers. A watcher that falls
// further behind gets ErrCompacted.
const (
	maxRecentCommits = 4096
	maxRecentBytes   = 8 << 20
)

// recent is the newest commits, for watchers. It is made by reset.
type recent struct {
	mu      sync.Mutex
	changes []change // revisions without a gap, oldest first
	last    store.Revision
	bytes   int
	moved   chan struct{} // closed at the next add or reset; nil while nobody waits
	closed  bool
}

// reset forgets everything: the store has just been opened at this revision.
func (r *recent) reset(revision store.Revision) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.changes, r.bytes, r.last = nil, 0, revision
	r.wake()
}

// add appends the changes of one commit to the disk.
func (r *recent) add(changes []change) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range changes {
		r.changes = append(r.changes, c)
		r.bytes += c.bytes
		r.last = c.revision
	}
	for len(r.changes) > maxRecentCommits || r.bytes > maxRecentBytes {
		r.bytes -= r.changes[0].bytes
		r.changes[0] = change{}
		r.changes = r.changes[1:]
	}
	r.wake()
}

// close ends all watchers.
func (r *recent) close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = true
	r.wake()
}

func (r *recent) wake() {
	if r.moved != nil {
		close(r.moved)
		r.moved = nil
	}
}

// since returns the next changes after the given revision or, where there are
// none yet, a channel that is closed when there may be.
func (r *recent) since(after store.Revision) ([]change, <-chan struct{}, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return nil, nil, store.ErrClosed
	}
	if after < r.last {
		behind := uint64(r.last - after)
		held := uint64(len(r.changes))
		if behind > held {
			return nil, nil, store.ErrCompacted
		}
		// A few at a time: what a slow watcher holds stays in memory.
		next := r.changes[held-behind:]
		return append([]change(nil), next[:min(len(next), 64)]...), nil, nil
	}
	if r.moved == nil {
		r.moved = make(chan struct{})
	}
	return nil, r.moved, nil
}

// Watch implements store.Store. The store holds commits from its opening on,
// and of those the newest.
func (s *Store) Watch(ctx context.Context, prefix []byte, after store.Revision) iter.Seq2[store.Event, error] {
	prefix = bytes.Clone(prefix)
	return func(yield func(store.Event, error) bool) {
		after := after // each range over the sequence starts anew
		for {
			changes, moved, err := s.recent.since(after)
			if err == nil {
				err = ctx.Err()
			}
			if err != nil {
				yield(store.Event{}, err)
				return
			}
			for _, c := range changes {
				for _, e := range c.events {
					if bytes.HasPrefix(e.Key, prefix) && !yield(e, nil) {
						return
					}
				}
				after = c.revision
			}
			if moved == nil {
				continue
			}
			select {
			case <-moved:
			case <-ctx.Done():
			}
		}
	}
}

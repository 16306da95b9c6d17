// Package faultstore makes a store fail on purpose, so that tests can break
// each write of an operation in turn and check what the next caller finds. It
// is for tests only, and makes nothing but Write fail.
package faultstore

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync"

	"github.com/keywright/keywright/internal/store"
)

// ErrInjected is the error of a Write that the plan makes fail.
var ErrInjected = errors.New("faultstore: injected failure")

// Fault is a way in which a Write fails. The contract allows both: on an error
// other than store.ErrConflict the batch may or may not have been written.
type Fault int

const (
	// NotPersisted: nothing is written.
	NotPersisted Fault = iota + 1
	// Persisted: the batch is written, and yet the caller gets an error. Where
	// the store itself refuses the batch (a conflict), its error is returned.
	Persisted
)

// String returns the Fault's name.
func (f Fault) String() string {
	switch f {
	case NotPersisted:
		return "not persisted"
	case Persisted:
		return "persisted"
	}
	return fmt.Sprintf("Fault(%d)", int(f))
}

// Plan says which Writes fail, by their number; the first is 1.
type Plan map[int]Fault

// Plans yields, each with a name for a subtest, the plans that break one of n
// Writes in one way: write 1 not persisted, write 1 persisted, write 2 ... A
// test first runs its operation with an empty plan and takes n from Writes.
func Plans(n int) iter.Seq2[string, Plan] {
	return func(yield func(string, Plan) bool) {
		for i := 1; i <= n; i++ {
			for _, f := range []Fault{NotPersisted, Persisted} {
				if !yield(fmt.Sprintf("write %d %s", i, f), Plan{i: f}) {
					return
				}
			}
		}
	}
}

// Store is a store.Store whose Writes fail by plan. All else is the store's
// below.
type Store struct {
	store.Store

	// OnWrite, where set before use, is called at the start of each Write with
	// its number and batch. It may be called concurrently, and may write to
	// the store below to play another writer that comes between.
	OnWrite func(n int, b store.Batch)

	mu     sync.Mutex
	plan   Plan
	writes int
	failed int
}

// New returns a store that passes everything on to st.
func New(st store.Store) *Store { return &Store{Store: st} }

// Fail sets the plan, and counts from zero again.
func (s *Store) Fail(plan Plan) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.plan, s.writes, s.failed = plan, 0, 0
}

// Writes is the number of Writes called since New or Fail.
func (s *Store) Writes() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.writes
}

// Failed is the number of Writes since New or Fail that failed by plan. A test
// that breaks a write checks it, lest its operation never came to that write.
func (s *Store) Failed() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.failed
}

// Write implements store.Store.
func (s *Store) Write(ctx context.Context, b store.Batch) (store.Revision, error) {
	n, fault := s.next()
	if s.OnWrite != nil {
		s.OnWrite(n, b)
	}
	if fault != NotPersisted {
		r, err := s.Store.Write(ctx, b)
		if fault == 0 || err != nil {
			return r, err
		}
	}
	s.mu.Lock()
	s.failed++
	s.mu.Unlock()
	return 0, fmt.Errorf("%w: write %d, %s", ErrInjected, n, fault)
}

func (s *Store) next() (int, Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.writes++
	return s.writes, s.plan[s.writes]
}

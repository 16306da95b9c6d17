package esdk_test

import (
	"errors"
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/keywright/keywright/esdk"
)

// TestInOrder: all work is done once, what follows is done in order and only
// after it, and the first error by index comes back.
func TestInOrder(t *testing.T) {
	for _, workers := range []int{1, 2, 7, 100} {
		for _, n := range []int{0, 1, 2, 50} {
			done := make([]atomic.Int32, n)
			next := 0
			err := esdk.InOrder(workers, n, func(i int) error {
				done[i].Add(1)
				return nil
			}, func(i int) {
				if i != next || done[i].Load() != 1 {
					t.Errorf("%d follows, want %d, done %d times", i, next, done[i].Load())
				}
				next++
			})
			if err != nil || next != n {
				t.Errorf("%d workers: %d of %d, %v", workers, next, n, err)
			}
			if err := esdk.InOrder(workers, n, func(i int) error { done[i].Add(1); return nil }, nil); err != nil {
				t.Error(err)
			}
			for i := range done {
				if got := done[i].Load(); got != 2 {
					t.Errorf("%d was done %d times in two runs", i, got)
				}
			}
		}
		for _, then := range []func(int){nil, func(i int) {
			if i >= 20 {
				t.Errorf("%d followed a failure", i)
			}
		}} {
			err := esdk.InOrder(workers, 50, func(i int) error {
				if i >= 20 {
					return fmt.Errorf("work %d: %w", i, errBroken)
				}
				return nil
			}, then)
			if !errors.Is(err, errBroken) || err.Error() != "work 20: broken" {
				t.Errorf("%d workers: %v", workers, err)
			}
		}
	}
}

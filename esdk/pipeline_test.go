package esdk_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/keywright/keywright/esdk"
)

// jobs drives a pipeline of n jobs and notes what comes out. Each slot holds the
// number of its job, and each stage checks that it finds what the one before
// left.
type jobs struct {
	t             *testing.T
	n, next       int
	slots         []atomic.Int64 // 2*job, +1 when it was worked
	left          []atomic.Int32 // of the stages that a slot's job has yet to pass before it may be filled
	busy          [2]atomic.Int32
	working, most atomic.Int32
	emitted       []int
	failFill      int // jobs at which the stages fail; -1: none
	failWork      func(job int) bool
	failEmit      int
	noEmit        bool
}

func newJobs(t *testing.T, n, slots int) *jobs {
	return &jobs{t: t, n: n, slots: make([]atomic.Int64, slots), left: make([]atomic.Int32, slots), failFill: -1, failEmit: -1, failWork: func(int) bool { return false }}
}

func (j *jobs) alone(stage int) func() {
	if j.busy[stage].Add(1) != 1 {
		j.t.Errorf("stage %d runs twice at a time", stage)
	}
	if rand.IntN(3) == 0 {
		runtime.Gosched()
	}
	return func() { j.busy[stage].Add(-1) }
}

func (j *jobs) fail(stage string, job int) error {
	return fmt.Errorf("%s %d: %w", stage, job, errBroken)
}

func (j *jobs) run(ctx context.Context, workers int) error {
	fill := func(slot int) (bool, error) {
		defer j.alone(0)()
		if left := j.left[slot].Load(); left != 0 {
			j.t.Errorf("slot %d is filled while its job has %d stages to pass", slot, left)
		}
		if j.next == j.failFill {
			return false, j.fail("fill", j.next)
		}
		if j.next == j.n {
			return false, nil
		}
		j.slots[slot].Store(int64(2 * j.next))
		if !j.noEmit {
			j.left[slot].Add(1)
		}
		j.next++
		return true, nil
	}
	work := func(slot int) error {
		now := j.working.Add(1)
		for m := j.most.Load(); now > m && !j.most.CompareAndSwap(m, now); m = j.most.Load() {
		}
		defer j.working.Add(-1)
		job := int(j.slots[slot].Add(1) / 2)
		if rand.IntN(2) == 0 {
			runtime.Gosched()
		}
		if j.failWork(job) {
			return j.fail("work", job)
		}
		return nil
	}
	emit := func(slot int) error {
		defer j.alone(1)()
		got := j.slots[slot].Load()
		job := int(got / 2)
		if job != len(j.emitted) || got%2 == 0 {
			j.t.Errorf("emitting %d, worked: %t, where %d is due", job, got%2 == 1, len(j.emitted))
		}
		if job == j.failEmit {
			return j.fail("emit", job)
		}
		j.emitted = append(j.emitted, job)
		j.left[slot].Add(-1)
		return nil
	}
	if j.noEmit {
		emit = nil
	}
	return esdk.RunPipeline(ctx, workers, len(j.slots), fill, work, emit)
}

// forPipelines runs f with several numbers of goroutines and slots.
func forPipelines(t *testing.T, f func(t *testing.T, workers, slots int)) {
	for _, c := range [][2]int{{1, 1}, {2, 2}, {2, 6}, {3, 2}, {7, 21}} {
		t.Run(fmt.Sprintf("%d workers, %d slots", c[0], c[1]), func(t *testing.T) { f(t, c[0], c[1]) })
	}
}

// TestPipeline: each job passes each stage once, in order where it matters, and
// the slots are enough.
func TestPipeline(t *testing.T) {
	forPipelines(t, func(t *testing.T, workers, slots int) {
		for _, n := range []int{0, 1, 2, 50, 300} {
			for _, noEmit := range []bool{false, true} {
				j := newJobs(t, n, slots)
				j.noEmit = noEmit
				if err := j.run(t.Context(), workers); err != nil {
					t.Error(err)
				}
				if j.next != n || !j.noEmit && len(j.emitted) != n {
					t.Errorf("of %d: %d filled, %d emitted", n, j.next, len(j.emitted))
				}
				if most := int(j.most.Load()); most > workers {
					t.Errorf("%d at work, %d allowed", most, workers)
				}
			}
		}
	})
}

// TestPipelineFillsAhead: while both goroutines have work, one more job than they
// work on is filled.
func TestPipelineFillsAhead(t *testing.T) {
	const n = 20
	filled := 0
	third := make(chan struct{})
	fill := func(int) (bool, error) {
		if filled == n {
			return false, nil
		}
		if filled++; filled == 3 {
			close(third)
		}
		return true, nil
	}
	work := func(int) error {
		select {
		case <-third:
			return nil
		case <-time.After(10 * time.Second):
			return errBroken
		}
	}
	if err := esdk.RunPipeline(t.Context(), 2, 6, fill, work, nil); err != nil || filled != n {
		t.Errorf("%v; %d of %d filled", err, filled, n)
	}
}

// TestPipelineErrors: whatever fails first, the error is that of the lowest job,
// all below it is emitted and nothing else.
func TestPipelineErrors(t *testing.T) {
	forPipelines(t, func(t *testing.T, workers, slots int) {
		for _, c := range []struct {
			want string
			last int
			set  func(j *jobs)
		}{
			{"work 20: broken", 20, func(j *jobs) { j.failWork = func(job int) bool { return job >= 20 } }},
			{"fill 20: broken", 20, func(j *jobs) { j.failFill = 20 }},
			{"emit 20: broken", 20, func(j *jobs) { j.failEmit = 20 }},
			{"work 19: broken", 19, func(j *jobs) {
				j.failFill, j.failEmit, j.failWork = 20, 20, func(job int) bool { return job == 19 }
			}},
			{"emit 5: broken", 5, func(j *jobs) { j.failFill, j.failEmit = 9, 5 }},
			{"work 0: broken", 0, func(j *jobs) { j.failWork = func(job int) bool { return true } }},
			{"fill 0: broken", 0, func(j *jobs) { j.failFill = 0 }},
		} {
			for range 20 {
				j := newJobs(t, 50, slots)
				c.set(j)
				if err := j.run(t.Context(), workers); !errors.Is(err, errBroken) || err.Error() != c.want {
					t.Errorf("%v, want %s", err, c.want)
				}
				if len(j.emitted) != c.last {
					t.Errorf("%s: %d emitted", c.want, len(j.emitted))
				}
			}
		}
	})
}

// TestPipelineCancelled: no stage begins anything when the context has ended.
func TestPipelineCancelled(t *testing.T) {
	forPipelines(t, func(t *testing.T, workers, slots int) {
		ctx, cancel := context.WithCancel(t.Context())
		j := newJobs(t, 1<<30, slots)
		j.failWork = func(job int) bool {
			if job == 20 {
				cancel()
			}
			return false
		}
		if err := j.run(ctx, workers); !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		if j.next > 21+slots || slices.Max(append(j.emitted, 0)) > 21+slots {
			t.Errorf("%d begun after the end", j.next)
		}
	})
}

// TestPipelinePanics: a panic below is the caller's, whichever goroutine met it,
// and none is left.
func TestPipelinePanics(t *testing.T) {
	forPipelines(t, func(t *testing.T, workers, slots int) {
		checkGoroutines(t, func() {
			for job := range 20 {
				func() {
					defer func() {
						if got := recover(); got != "oh" {
							t.Errorf("recovered %v", got)
						}
					}()
					j := newJobs(t, 50, slots)
					j.failWork = func(at int) bool {
						if at == job {
							panic("oh")
						}
						return false
					}
					j.run(t.Context(), workers)
				}()
			}
		})
	})
}

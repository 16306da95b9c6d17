package esdk

import (
	"context"
	"math"
	"runtime"
	"slices"
	"sync"
	"time"
)

const (
	// chunk is how many bytes a job has at most, of more than one frame: enough that
	// its way through a pipeline costs little beside it, few enough for a core's
	// cache.
	chunk = 64 << 10
	// pipelined is the longest frame of which several are held at a time.
	// Longer ones go one after the other, in the memory of one.
	pipelined = 1 << 20
)

// A goroutine that finds nothing to do looks again for up to maxSpin before it
// sleeps, for to be woken takes as long as a stage: but only while its last wait
// was short, its waking included.
const (
	maxSpin   = 50 * time.Microsecond
	shortWait = 2 * maxSpin
)

// A pipeline takes jobs, numbered from 0, through three stages. Fill and emit do
// one job at a time, in the order of the numbers; work does several at once, in
// any order. A job is worked when it is filled, emitted when it is worked, and its
// slot is filled again when it is emitted. If possible one goroutine fills a slot,
// works on it and fills it again, so that its memory stays near one core.
type pipeline struct {
	// fill begins the job in that slot and reports whether there is one.
	fill func(slot int) (bool, error)
	work func(slot int) error
	emit func(slot int) error // nil: nothing is emitted
}

// slotsFor returns how many jobs are under way at a time. For each worker there is
// one that it works on or that waits for the job before it, and two that it has
// filled, so that it has something to do while another fills.
func slotsFor(workers int) int {
	if workers == 1 {
		return 1
	}
	return 3 * workers
}

// run takes all jobs through the stages, on up to workers goroutines, the
// caller's among them. It returns the error of the lowest job that has one: no
// job from there on is emitted, and all below are. All goroutines have ended when
// it returns. A panic of a stage becomes the caller's.
func (p *pipeline) run(ctx context.Context, workers, slots int) error {
	if workers == 1 {
		return p.runAlone(ctx)
	}
	f := newFlow(p, ctx, workers, slots)
	var wg sync.WaitGroup
	for worker := range workers - 1 {
		wg.Go(func() { f.loop(worker + 1) })
	}
	f.loop(0)
	wg.Wait()
	if f.panicked != nil {
		panic(f.panicked)
	}
	return f.err
}

// runAlone is run for one worker, who needs one slot.
func (p *pipeline) runAlone(ctx context.Context) error {
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		more, err := p.fill(0)
		if !more || err != nil {
			return err
		}
		if err := p.work(0); err != nil {
			return err
		}
		if p.emit == nil {
			continue
		}
		if err := p.emit(0); err != nil {
			return err
		}
	}
}

// flow is the state of a pipeline that runs.
type flow struct {
	*pipeline
	ctx context.Context

	mu      sync.Mutex
	changed sync.Cond
	waiting int // goroutines

	// Jobs that have passed a stage.
	filled, emitted   int
	filling, emitting bool

	jobs   []flowJob // under way, by number modulo the number of slots
	queues [][]int   // of jobs to be worked, by the worker who filled them
	free   [][]int   // slots, by the worker who filled them last
	ahead  int       // how many jobs a worker fills before it works on one

	end      int   // jobs from here on are not done: there are none, or err is why
	err      error // of the job end
	panicked any
}

// A flowJob is what a flow knows of a job.
type flowJob struct {
	slot   int
	worker int // who filled it
	worked bool
}

func newFlow(p *pipeline, ctx context.Context, workers, slots int) *flow {
	f := &flow{pipeline: p, ctx: ctx, jobs: make([]flowJob, slots), queues: make([][]int, workers), free: make([][]int, workers), ahead: max(1, slots/workers-1), end: math.MaxInt}
	f.changed.L = &f.mu
	for slot := range slots {
		f.free[slot%workers] = append(f.free[slot%workers], slot)
	}
	return f
}

func (f *flow) job(number int) *flowJob { return &f.jobs[number%len(f.jobs)] }

// A stage is one of the pipeline's, or a reason to do none.
type stage int

const (
	toWait stage = iota
	toStop
	toFill
	toWork
	toEmit
)

// loop does what there is to do until there is nothing more.
func (f *flow) loop(worker int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	spin := true
	var idle time.Time // since when there was nothing to do; zero: there was
	for {
		stage, job := f.next(worker)
		switch stage {
		case toStop:
			f.changed.Broadcast()
			return
		case toWait:
			if idle.IsZero() {
				idle = time.Now()
			}
			if spin = spin && time.Since(idle) < maxSpin; spin {
				f.mu.Unlock()
				runtime.Gosched()
				f.mu.Lock()
				continue
			}
			f.waiting++
			f.changed.Wait()
			f.waiting--
			continue
		case toEmit:
			if f.emit == nil {
				f.release()
				continue
			}
		}
		if !idle.IsZero() {
			spin, idle = time.Since(idle) < shortWait, time.Time{}
		}
		f.begin(stage, job, worker)
		if f.waiting > 0 {
			if also, _ := f.next(worker); also > toStop {
				f.changed.Signal()
			}
		}
		more, err := f.do(stage, job)
		f.finish(stage, job, more, err)
	}
}

// next returns what that worker is to do first: what frees slots. If there is
// something to do for one worker there is for each.
func (f *flow) next(worker int) (stage, int) {
	switch {
	case f.panicked != nil, f.emitted >= f.end:
		return toStop, 0
	case !f.emitting && f.emitted < f.filled && f.job(f.emitted).worked:
		return toEmit, f.emitted
	case !f.filling && f.filled < f.end && f.filled-f.emitted < len(f.jobs) && len(f.queues[worker]) < f.ahead:
		return toFill, f.filled
	}
	if _, job := f.queue(worker); job < f.end {
		return toWork, job
	}
	return toWait, 0
}

// queue returns the queue that a worker takes its next job from, and that job: its
// own, or where that has none to be done the one with the lowest job.
func (f *flow) queue(worker int) (from, job int) {
	first := func(worker int) int {
		if q := f.queues[worker]; len(q) > 0 {
			return q[0]
		}
		return math.MaxInt
	}
	from, job = worker, first(worker)
	if job < f.end {
		return from, job
	}
	for i := range f.queues {
		if other := first(i); other < job {
			from, job = i, other
		}
	}
	return from, job
}

func (f *flow) begin(s stage, job, worker int) {
	switch s {
	case toFill:
		f.filling = true
		*f.job(job) = flowJob{slot: f.freeSlot(worker), worker: worker}
	case toWork:
		from, _ := f.queue(worker)
		f.queues[from] = slices.Delete(f.queues[from], 0, 1)
	case toEmit:
		f.emitting = true
	}
}

// freeSlot takes a free slot, of which there is one.
func (f *flow) freeSlot(worker int) int {
	for len(f.free[worker]) == 0 {
		worker = (worker + 1) % len(f.free)
	}
	free := &f.free[worker]
	last := len(*free) - 1
	slot := (*free)[last]
	*free = (*free)[:last]
	return slot
}

// release passes the next job that was to be emitted, and frees its slot.
func (f *flow) release() {
	j := f.job(f.emitted)
	f.free[j.worker] = append(f.free[j.worker], j.slot)
	f.emitted++
}

// do does a stage without the lock.
func (f *flow) do(s stage, job int) (more bool, err error) {
	slot := f.job(job).slot
	f.mu.Unlock()
	returned := false
	defer func() {
		f.mu.Lock()
		if !returned {
			if f.panicked = recover(); f.panicked == nil {
				f.panicked = "esdk: a stream below ended its goroutine"
			}
			f.changed.Broadcast()
		}
	}()
	switch s {
	case toFill:
		if err = f.ctx.Err(); err == nil {
			more, err = f.fill(slot)
		}
	case toWork:
		if err = f.ctx.Err(); err == nil {
			err = f.work(slot)
		}
	case toEmit:
		err = f.emit(slot)
	}
	returned = true
	return more, err
}

// finish notes what came of a stage.
func (f *flow) finish(s stage, job int, more bool, err error) {
	switch s {
	case toFill:
		f.filling = false
		if more {
			f.filled++
			worker := f.job(job).worker
			f.queues[worker] = append(f.queues[worker], job)
		} else {
			f.end = min(f.end, job)
		}
	case toWork:
		f.job(job).worked = true
	case toEmit:
		f.emitting = false
		f.release()
	}
	if err != nil && (job < f.end || job == f.end && f.err == nil) {
		f.end, f.err = job, err
	}
}

package esdk

import (
	"sync"
	"sync/atomic"
)

// chunk is about how many bytes one goroutine encrypts or decrypts at a time.
const chunk = 64 << 10

// maxFrames is how many frames are decrypted in one go: tiny ones would need
// more memory for what is known of them than for themselves.
const maxFrames = 4096

// batch is how many bytes are encrypted or decrypted in one go.
func batch(workers int) int { return 4 * workers * chunk }

// inOrder calls work for 0 to n-1 on up to workers goroutines, the caller's
// among them. Meanwhile the caller's calls then for each index whose work is
// done, in order, if then is not nil. It returns the error of the lowest index,
// and starts no work behind one that failed. All goroutines have ended when it
// returns.
func inOrder(workers, n int, work func(int) error, then func(int)) error {
	if workers <= 1 || n <= 1 {
		for i := range n {
			if err := work(i); err != nil {
				return err
			}
			if then != nil {
				then(i)
			}
		}
		return nil
	}
	var (
		next   atomic.Int64
		failed atomic.Int64 // the lowest index so far
		wg     sync.WaitGroup
		done   = make([]chan struct{}, n)
		errs   = make([]error, n)
	)
	failed.Store(int64(n))
	for i := range done {
		done[i] = make(chan struct{})
	}
	loop := func() {
		for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
			if int64(i) < failed.Load() {
				if errs[i] = work(i); errs[i] != nil {
					lower(&failed, int64(i))
				}
			}
			close(done[i])
		}
	}
	for range min(workers-1, n) {
		wg.Go(loop)
	}
	if then == nil {
		loop()
	}
	for i := 0; then != nil && i < n; i++ {
		<-done[i]
		if failed.Load() <= int64(i) {
			break
		}
		then(i)
	}
	wg.Wait()
	if i := failed.Load(); i < int64(n) {
		return errs[i]
	}
	return nil
}

// lower sets a to v if v is less.
func lower(a *atomic.Int64, v int64) {
	for old := a.Load(); v < old && !a.CompareAndSwap(old, v); old = a.Load() {
	}
}

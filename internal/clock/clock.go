// Package clock is the one source of time for everything below the listener:
// key states, deletion dates, expiry, audit times. It is not used for what
// must follow the wall (SigV4 skew, TLS certificates).
//
// A Clock runs at the speed of the machine's clock; on development servers and
// in kmstest it can be moved ahead, so that a 30-day waiting period passes at
// once. Outside them nothing calls Advance.
package clock

import (
	"sync"
	"time"
)

// Clock tells the time. The zero value is ready and shows the machine's time.
// All methods may be called concurrently.
type Clock struct {
	mu     sync.Mutex
	offset time.Duration
	moved  chan struct{}
}

// Now returns the current time in UTC, cut to milliseconds, the precision in
// which AWS answers.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Now().Add(c.offset).UTC().Truncate(time.Millisecond)
}

// Advance moves the clock ahead by d, which may not be negative, and wakes
// everyone who waits on Moved.
func (c *Clock) Advance(d time.Duration) {
	if d < 0 {
		panic("clock: moved backwards")
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.offset += d
	if c.moved != nil {
		close(c.moved)
		c.moved = nil
	}
}

// Offset is how far the clock was moved ahead of the machine's.
func (c *Clock) Offset() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.offset
}

// Moved returns a channel that is closed at the next Advance. Workers that
// sleep until a date select on it beside their timer.
func (c *Clock) Moved() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.moved == nil {
		c.moved = make(chan struct{})
	}
	return c.moved
}

package esdk

import (
	"hash"
	"sync"

	"github.com/keywright/keywright/esdk/internal/message"
	"github.com/keywright/keywright/esdk/suite"
)

// A digest computes the hash that a signature covers, of all bytes in their order;
// nil computes none. It is slower than all else that a stream does, so it does it
// on a goroutine of its own if it may: one that ends when nothing is left to do,
// so that a stream which is given up leaves none behind. It is not for concurrent
// use.
type digest struct {
	hash   hash.Hash
	beside bool // on a goroutine of its own

	mu      sync.Mutex
	changed sync.Cond
	running bool     // the goroutine
	waiting []lot    // for it
	size    int      // of what waits in bytes
	free    [][]byte // memory that it took and is done with, empty
}

// A lot is some bytes to be hashed, and the memory that they lie in, if it was
// handed over with them.
type lot struct{ bytes, memory []byte }

const (
	worthy   = chunk / 4     // fewer bytes are hashed sooner than handed over
	mostHeld = 2 * pipelined // bytes of memory; more is not handed over
	// enough bytes wait. They are hashed in a row: to wake who brings more costs the
	// hash as much time as to hash 2 KiB.
	enough = 4 * chunk
)

// newDigest returns nil for a suite that does not sign. Of that many goroutines
// for a message it leaves the rest to the cipher, at least one.
func newDigest(s suite.Suite, goroutines int) (d *digest, rest int) {
	h := message.NewHash(s.Signature)
	if h == nil {
		return nil, goroutines
	}
	d = &digest{hash: h, beside: goroutines > 1}
	d.changed.L = &d.mu
	return d, max(1, goroutines-1)
}

// write hashes b before it returns.
func (d *digest) write(b []byte) {
	if d != nil {
		d.wait()
		d.hash.Write(b)
	}
}

// sum returns the hash of all.
func (d *digest) sum() []byte {
	d.wait()
	return d.hash.Sum(nil)
}

// lend hashes b, which must not change until all is hashed.
func (d *digest) lend(b []byte) { d.take(b, nil) }

// take hashes b and may keep the memory that b lies in, where that is given with
// it. It returns memory for the caller to go on in, empty and of any capacity. It
// waits while it has enough.
func (d *digest) take(b, memory []byte) []byte {
	if d == nil || !d.beside || len(b) < worthy || cap(memory) > mostHeld {
		d.write(b)
		return memory[:0]
	}
	return d.add(lot{b, memory})
}

func (d *digest) add(l lot) (free []byte) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for d.size >= enough {
		d.changed.Wait()
	}
	d.waiting = append(d.waiting, l)
	d.size += len(l.bytes)
	if !d.running {
		d.running = true
		go d.run()
	}
	if n := len(d.free); n > 0 {
		free, d.free = d.free[n-1], d.free[:n-1]
	}
	return free
}

func (d *digest) run() {
	d.mu.Lock()
	defer d.mu.Unlock()
	var lots []lot
	for len(d.waiting) > 0 {
		lots, d.waiting, d.size = d.waiting, lots[:0], 0
		d.changed.Signal()
		d.mu.Unlock()
		for _, l := range lots {
			d.hash.Write(l.bytes)
		}
		d.mu.Lock()
		for _, l := range lots {
			if l.memory != nil {
				d.free = append(d.free, l.memory[:0])
			}
		}
	}
	d.running = false
	d.changed.Signal()
}

// wait waits until all is hashed.
func (d *digest) wait() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for d.running {
		d.changed.Wait()
	}
}

// giveBack waits until all is hashed, and ends the use of what it took.
func (d *digest) giveBack() {
	if d != nil {
		d.wait()
		d.free = nil
	}
}

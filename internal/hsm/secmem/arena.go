package secmem

import (
	"fmt"
	"os"
	"sync"
	"unsafe"
)

// Arena is a fixed number of slots of one size in memory of its own, between
// two guard pages. Where the system refuses part of that, the Arena works
// without it and Warning says so. All methods may be called concurrently.
type Arena struct {
	slotSize int
	warning  string

	mu     sync.Mutex
	first  *byte   // the first byte of the first slot; a pointer, so that fmt does not print what follows
	unmap  func()  // nil once called
	free   []int32 // a stack of the slots nobody holds
	live   int     // slots that are held
	closed bool
}

// NewArena makes an Arena of slots secrets of up to slotSize bytes each; both
// must be positive.
func NewArena(slotSize, slots int) *Arena {
	a := &Arena{slotSize: slotSize, free: make([]int32, slots)}
	for i := range a.free {
		a.free[i] = int32(slots - 1 - i)
	}
	page := os.Getpagesize()
	size := (slotSize*slots + page - 1) / page * page
	usable, unmap, err := pages(size, page)
	a.first, a.unmap = unsafe.SliceData(usable), unmap
	if err != nil {
		a.warning = fmt.Sprintf("key material may reach swap or core files: %v", err)
	}
	return a
}

// Warning is one line for the operator's log, or empty where the system
// permitted everything.
func (a *Arena) Warning() string { return a.warning }

// New copies b, which stays the caller's to wipe, into a slot. Where none is
// free, b is longer than a slot, or the Arena is closed, the secret lives on
// Go's heap instead, and is wiped on release just the same.
func (a *Arena) New(b []byte) Secret {
	blk := a.take(len(b))
	if blk == nil {
		blk = &block{first: unsafe.SliceData(make([]byte, len(b)))}
	}
	blk.size = len(b)
	blk.refs.Store(1)
	copy(blk.bytes(), b)
	return Secret{blk}
}

func (a *Arena) take(n int) *block {
	if n > a.slotSize {
		return nil
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed || len(a.free) == 0 {
		return nil
	}
	slot := a.free[len(a.free)-1]
	a.free = a.free[:len(a.free)-1]
	a.live++
	return &block{arena: a, slot: slot, first: (*byte)(unsafe.Add(unsafe.Pointer(a.first), int(slot)*a.slotSize))}
}

// put takes back a slot that has been wiped.
func (a *Arena) put(slot int32) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.free = append(a.free, slot)
	a.live--
	a.unmapIfDone()
}

// Close gives the memory back to the system once the last secret in it is
// released. Closing twice is no error.
func (a *Arena) Close() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.closed = true
	a.unmapIfDone()
}

func (a *Arena) unmapIfDone() {
	if a.closed && a.live == 0 && a.unmap != nil {
		a.unmap()
		a.first, a.unmap = nil, nil
	}
}

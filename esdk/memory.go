package esdk

import "sync"

// A block is memory for the input or the output of a job. Streams hand them on to
// each other: what Go has to clear and the system to find pages for costs a stream
// of some MiB 5 % of its time.
type block [chunk]byte

var idle = sync.Pool{New: func() any { return new(block) }}

// memory is what a stream borrows. It is not for concurrent use; nil borrows
// nothing.
type memory struct{ lent []*block }

// room returns b, empty, if it has room for n bytes, or else clears it and returns
// other memory: a block, unless they are too many for it or too few to be worth it.
func (m *memory) room(b []byte, n int) []byte {
	if n <= cap(b) {
		return b[:0]
	}
	clear(b[:cap(b)])
	if m == nil || n <= chunk/4 || n > chunk {
		return make([]byte, 0, n)
	}
	lent := idle.Get().(*block)
	m.lent = append(m.lent, lent)
	return lent[:0]
}

// giveBack ends the use of all that was borrowed. Who put plaintext there has
// cleared it: what comes next may be another message, and of another tenant.
func (m *memory) giveBack() {
	for _, b := range m.lent {
		idle.Put(b)
	}
	m.lent = nil
}

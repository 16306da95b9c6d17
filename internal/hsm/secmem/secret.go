// Package secmem keeps secret bytes in memory: a Secret that cannot be printed
// or marshalled by accident, an Arena outside Go's heap that is locked into
// memory where the system permits, kept out of core dumps and wiped on release,
// and a bounded Cache of secrets over it.
//
// All of it is best effort, and none of it ever keeps the server from starting.
// It shortens how long key bytes lie about and keeps them out of logs, swap and
// core files. It is no defence against someone who reads the memory of the
// running process, and what the crypto packages of Go copy (AES round keys,
// hash states) lies on Go's own heap and stacks unless the program is built
// with GOEXPERIMENT=runtimesecret, see Do.
package secmem

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync/atomic"
	"unsafe"
)

// Secret is a handle on secret bytes. It is counted: whoever makes it holds one
// reference, Retain takes another, and the bytes are wiped when the last is
// released. The zero Secret is empty and already released. Copies of a Secret
// are the same secret.
//
// However it is printed or marshalled, its bytes do not come out: Bytes is the
// only way to them, so that searching the code for it finds every use.
type Secret struct {
	block *block
}

type block struct {
	refs atomic.Int64
	// The bytes stand behind a pointer to the first of them, because fmt prints
	// unexported fields without asking for their methods, and follows pointers
	// to structs and slices, but prints a *byte as an address.
	first *byte
	size  int
	arena *Arena // nil: on Go's heap
	slot  int32  // where arena is set
}

// Bytes returns the secret itself. The slice is valid until the caller's
// reference is released, and must be neither kept nor changed.
func (s Secret) Bytes() []byte {
	if s.block == nil {
		return nil
	}
	return s.block.bytes()
}

// Retain takes a further reference. It reports false, and takes none, if the
// last has been released already.
func (s Secret) Retain() bool {
	if s.block == nil {
		return false
	}
	for {
		n := s.block.refs.Load()
		if n == 0 {
			return false
		}
		if s.block.refs.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

// Release gives one reference back; with the last, the bytes are wiped. To
// release more often than was retained is a bug, and panics.
func (s Secret) Release() {
	if s.block == nil {
		return
	}
	switch n := s.block.refs.Add(-1); {
	case n == 0:
		s.block.free()
	case n < 0:
		panic("secmem: secret released too often")
	}
}

// bytes has no spare capacity, lest append write into the next slot.
func (b *block) bytes() []byte { return unsafe.Slice(b.first, b.size) }

func (b *block) free() {
	wipe(b.bytes())
	b.first, b.size = nil, 0
	if b.arena != nil {
		b.arena.put(b.slot)
	}
}

// wipe is not inlined, so that the compiler cannot see that nobody reads the
// zeros.
//
//go:noinline
func wipe(b []byte) { clear(b) }

const redacted = "[secret]"

var errMarshal = errors.New("secmem: a secret cannot be marshalled")

// String returns a fixed text.
func (Secret) String() string { return redacted }

// GoString returns a fixed text.
func (Secret) GoString() string { return redacted }

// Format writes a fixed text, whatever the verb.
func (Secret) Format(w fmt.State, _ rune) { io.WriteString(w, redacted) }

// LogValue returns a fixed text.
func (Secret) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalJSON fails.
func (Secret) MarshalJSON() ([]byte, error) { return nil, errMarshal }

// MarshalText fails.
func (Secret) MarshalText() ([]byte, error) { return nil, errMarshal }

// MarshalBinary fails, and encoding/gob with it.
func (Secret) MarshalBinary() ([]byte, error) { return nil, errMarshal }

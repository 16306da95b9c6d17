package message

import (
	"encoding/binary"
	"fmt"
	"math"
)

// Kind says what a frame is.
type Kind uint8

// The kinds of frames. An unframed body is taken as a frame of its own kind.
const (
	Regular Kind = iota
	Final
	Unframed
)

const (
	// finalMark stands where a regular frame has its number, which for this
	// reason never reaches it.
	finalMark = math.MaxUint32
	// MaxRegular is the number of the last frame that may be a regular one.
	MaxRegular = finalMark - 1
	// maxUnframed is how much GCM encrypts under one IV.
	maxUnframed = 1<<36 - 32
)

// Frame is one frame of a body, or a whole unframed body. Its slices lie in the
// buffer that it was scanned from.
type Frame struct {
	Kind   Kind
	Seq    uint32
	IV     []byte
	Sealed []byte // ciphertext and tag
}

// PlaintextLen returns the length of the frame's plaintext in bytes.
func (f *Frame) PlaintextLen() int { return len(f.Sealed) - tagSize }

// Last reports whether no frame follows.
func (f *Frame) Last() bool { return f.Kind != Regular }

// Run is some regular frames that follow each other. Its slice lies in the buffer
// that it was scanned from.
type Run struct {
	First  uint32 // number
	Length uint32 // of the plaintext of each in bytes
	Raw    []byte // all bytes of the frames
}

// PlaintextLen returns the length of all plaintexts in bytes.
func (r *Run) PlaintextLen() int { return len(r.Raw) / r.stride() * int(r.Length) }

// stride is how many bytes a frame takes.
func (r *Run) stride() int { return int(r.Length) + RegularOverhead }

// Scanner cuts a body into frames and checks their order and lengths. It
// authenticates nothing.
type Scanner struct {
	frameLength uint32 // zero: unframed
	max         uint32 // bytes an unframed body may have
	next        uint32
}

// NewScanner returns a Scanner for the body that follows h. An unframed body may
// be as long as limit, in bytes.
func NewScanner(h *Header, limit uint32) *Scanner {
	return &Scanner{frameLength: h.FrameLength, max: limit, next: 1}
}

// Seek makes the frame of that number the next one.
func (s *Scanner) Seek(seq uint32) { s.next = seq }

// Run cuts the regular frames that b begins with, at most limit, off its front. It
// ends before a frame that is not whole or not the one that is due, of which Next
// says more.
func (s *Scanner) Run(b []byte, limit int) Run {
	r := Run{First: s.next, Length: s.frameLength}
	if r.Length == 0 {
		return r
	}
	size := 0
	for range limit {
		if len(b)-size < r.stride() || s.next == finalMark || binary.BigEndian.Uint32(b[size:]) != s.next {
			break
		}
		size += r.stride()
		s.next++
	}
	r.Raw = b[:size:size]
	return r
}

// Next cuts the next frame off the front of b. Size is its length. Where b is
// too short, size is greater than len(b): how many bytes are needed to go on.
// After the last frame it must not be called again.
func (s *Scanner) Next(b []byte) (f Frame, size int, err error) {
	if s.frameLength == 0 {
		return s.unframed(b)
	}
	if len(b) < 4 {
		return f, 4, nil
	}
	f.Seq = binary.BigEndian.Uint32(b)
	length, prefix := int(s.frameLength), 4
	if f.Seq == finalMark {
		f.Kind, prefix = Final, 8
		if len(b) < prefix+ivSize+4 {
			return f, prefix + ivSize + 4, nil
		}
		f.Seq = binary.BigEndian.Uint32(b[4:])
		n := binary.BigEndian.Uint32(b[prefix+ivSize:])
		if n > s.frameLength {
			return f, 0, fmt.Errorf("%w: %d bytes, where frames have %d", ErrFrameLength, n, s.frameLength)
		}
		length = int(n)
	}
	if f.Seq != s.next {
		return f, 0, fmt.Errorf("%w: number %d, where %d is due", ErrFrameSequence, f.Seq, s.next)
	}
	f.IV, b = cut(b, prefix)
	start := prefix + ivSize
	if f.Kind == Final {
		start += 4
	}
	return s.finish(f, b, start, length)
}

func (s *Scanner) unframed(b []byte) (f Frame, size int, err error) {
	const start = ivSize + 8
	f.Kind, f.Seq = Unframed, 1
	if len(b) < start {
		return f, start, nil
	}
	n := binary.BigEndian.Uint64(b[ivSize:])
	if n > maxUnframed {
		return f, 0, fmt.Errorf("%w: an unframed body of %d bytes", ErrMalformed, n)
	}
	if n > uint64(s.max) {
		return f, 0, fmt.Errorf("%w: an unframed body of %d bytes, of which %d are allowed", ErrTooLarge, n, s.max)
	}
	f.IV, b = cut(b, 0)
	return s.finish(f, b, start, int(n))
}

// cut returns the IV at that place of b, if b is long enough, and b.
func cut(b []byte, at int) (iv, all []byte) {
	if len(b) < at+ivSize {
		return nil, b
	}
	return b[at : at+ivSize], b
}

// finish takes ciphertext and tag, of a plaintext of that length, from b[start:].
func (s *Scanner) finish(f Frame, b []byte, start, length int) (Frame, int, error) {
	size := start + length + tagSize
	if size <= len(b) {
		f.Sealed = b[start:size]
		s.next++
	}
	return f, size, nil
}

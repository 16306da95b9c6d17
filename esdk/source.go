package esdk

import (
	"errors"
	"fmt"
	"io"

	"github.com/keywright/keywright/esdk/internal/message"
)

// source is the input of a message: what is buffered of it, and the reader for
// the rest. Its buffer grows with what was received, not with what is asked
// for. It is an io.Reader for the header.
type source struct {
	r      io.Reader // nil: buf is all
	buf    []byte
	at     int     // in buf
	size   int     // of buffers to come: it grows while reads fill them,
	target int     // up to this
	memory *memory // for them
}

const (
	minBuffer     = 4 << 10
	maxEmptyReads = 100 // that an io.Reader may return in a row
)

// window returns what is buffered. It is valid until the next call of need.
func (s *source) window() []byte { return s.buf[s.at:] }

func (s *source) advance(n int) { s.at += n }

// borrow makes m what is read into from now on, that many bytes at a time.
func (s *source) borrow(m *memory, target int) {
	s.memory, s.target, s.size = m, target, min(s.size, target)
}

// goOnIn makes what is buffered of the input go on in other memory: nothing more
// is read into the old.
func (s *source) goOnIn(other []byte) {
	if s.r == nil {
		return // nothing is read any more
	}
	s.buf, s.at = append(other[:0], s.window()...), 0
}

// header reads the message's header.
func (s *source) header(limits message.Limits) (*message.Header, error) {
	if s.r != nil {
		return message.ReadHeader(s, limits)
	}
	h, err := message.ParseHeader(s.window(), limits)
	if err == nil {
		s.advance(h.Len())
	}
	return h, err
}

func (s *source) Read(p []byte) (int, error) {
	if err := s.need(1); err != nil {
		return 0, err
	}
	n := copy(p, s.window())
	s.advance(n)
	return n, nil
}

// need reads until the window has n bytes. It returns io.EOF if it is empty
// then, io.ErrUnexpectedEOF if it is shorter.
func (s *source) need(n int) error {
	for empty := 0; len(s.window()) < n; {
		if s.r == nil {
			return s.ended()
		}
		s.makeRoom(n)
		// Behind the target a frame may begin that other memory would have to end.
		full := min(cap(s.buf), max(n, s.target))
		k, err := s.r.Read(s.buf[len(s.buf):full])
		s.buf = s.buf[:len(s.buf)+k]
		if len(s.buf) == full {
			s.size = min(2*max(s.size, minBuffer), s.target)
		}
		switch {
		case len(s.window()) >= n:
			return nil
		case errors.Is(err, io.EOF):
			s.r = nil
		case err != nil:
			return fmt.Errorf("reading the message: %w", err)
		case k > 0:
			empty = 0
		default:
			if empty++; empty == maxEmptyReads {
				return io.ErrNoProgress
			}
		}
	}
	return nil
}

func (s *source) ended() error {
	if len(s.window()) == 0 {
		return io.EOF
	}
	return io.ErrUnexpectedEOF
}

// makeRoom moves the window to the front of a buffer with room behind it.
func (s *source) makeRoom(n int) {
	have := len(s.window())
	want := max(min(n, 2*have), s.size, minBuffer)
	if cap(s.buf) < want {
		s.buf = append(s.memory.room(nil, want), s.window()...)
	} else {
		s.buf = s.buf[:copy(s.buf[:have], s.window())]
	}
	s.at = 0
}

// body asks for bytes of the body: an early end is an error of the message.
func (s *source) body(n int, of string) error {
	err := s.need(n)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("%w: in %s", message.ErrTruncated, of)
	}
	return err
}

// end checks that nothing follows.
func (s *source) end() error {
	switch err := s.need(1); {
	case err == nil:
		return message.ErrTrailingData
	case errors.Is(err, io.EOF):
		return nil
	default:
		return err
	}
}

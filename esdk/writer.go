package esdk

import (
	"context"
	"fmt"
	"io"
	"math"
	"slices"

	"github.com/keywright/keywright/esdk/materials"
)

// Writer encrypts what is written to it, frame by frame. It is not for concurrent
// use. Many bytes at a time are encrypted on several cores: in a Write of many,
// or in ReadFrom, which is what io.Copy uses. What a signed message covers is
// hashed while the next bytes are encrypted, or come.
type Writer struct {
	ctx    context.Context
	dst    io.Writer
	e      *encryption
	header *Header
	plain  []byte // not encrypted yet: what may be the last frame
	sealed []byte // not written yet
	left   int64  // bytes that may still be written
	err    error
}

// NewWriter gets the materials for a message, writes its header to dst and
// returns the Writer for its plaintext. The message is complete when Close has
// returned nil. Memory is bounded by the frame length and the workers. When ctx
// ends, so do the Writer's methods, though not while dst blocks.
func (c *Client) NewWriter(ctx context.Context, dst io.Writer, m materials.Manager, opts EncryptOptions) (*Writer, error) {
	length, left := int64(materials.UnknownLength), int64(math.MaxInt64)
	if opts.PlaintextBound < 0 {
		return nil, errNegativeSize
	}
	if opts.PlaintextBound > 0 {
		length, left = opts.PlaintextBound, opts.PlaintextBound
	}
	e, header, err := c.startEncryption(ctx, m, length, opts)
	if err != nil {
		return nil, err
	}
	if _, err := dst.Write(e.header); err != nil {
		return nil, fmt.Errorf("writing the header: %w", err)
	}
	return &Writer{ctx: ctx, dst: dst, e: e, header: header, left: left}, nil
}

// Header returns the message's header.
func (w *Writer) Header() *Header { return w.header }

// Write encrypts p. It may keep bytes back until more come or Close. It returns
// ErrPlaintextBound before it takes a byte beyond EncryptOptions.PlaintextBound.
func (w *Writer) Write(p []byte) (int, error) {
	if w.err != nil {
		return 0, w.err
	}
	if int64(len(p)) > w.left {
		w.err = ErrPlaintextBound
		return 0, w.err
	}
	w.left -= int64(len(p))
	n := 0
	if len(w.plain) > 0 && len(p) > 0 {
		n = min(len(p), w.e.frameLength-len(w.plain))
		w.plain = append(w.plain, p[:n]...)
	}
	// A full frame waits for one byte more: the last frame is another kind.
	if n < len(p) {
		if len(w.plain) > 0 {
			if w.err = w.seal(w.plain, false); w.err != nil {
				return 0, w.err
			}
			w.plain = w.plain[:0]
		}
		whole := w.e.regular(len(p) - n)
		if w.err = w.sealAll(p[n : n+whole]); w.err != nil {
			return n, w.err
		}
		n += whole
		w.plain = append(w.plain, p[n:]...)
	}
	return len(p), nil
}

// ReadFrom implements io.ReaderFrom: it encrypts all that src holds, and reads,
// encrypts and writes at the same time. It returns, with an error too, when a
// Read of src that is under way has returned.
func (w *Writer) ReadFrom(src io.Reader) (int64, error) {
	if w.err != nil {
		return 0, w.err
	}
	if w.e.frameLength > pipelined {
		return io.Copy(struct{ io.Writer }{w}, src)
	}
	var (
		read  int64
		ended error // of src
		// A byte more than a job's: the last frame of all is another kind, and is
		// known by what does not follow it.
		size = w.e.perJob() + 1
	)
	w.err = w.pipe(func(p *sealing, m *memory) (bool, error) {
		if ended != nil {
			return false, nil
		}
		p.buf = m.room(p.buf, size)[:size]
		n := copy(p.buf, w.plain)
		var k int
		k, ended = readFull(src, p.buf[n:])
		if int64(k) > w.left {
			return false, ErrPlaintextBound
		}
		w.left -= int64(k)
		read += int64(k)
		whole := w.e.regular(n + k)
		p.plain = p.buf[:whole]
		w.plain = append(w.plain[:0], p.buf[whole:n+k]...)
		return whole > 0, nil
	})
	if w.err != nil {
		return read, w.err
	}
	if ended == io.EOF {
		ended = nil
	}
	return read, ended
}

// readFull fills p, or returns why it did not.
func readFull(src io.Reader, p []byte) (n int, err error) {
	for empty := 0; n < len(p) && err == nil; {
		var k int
		k, err = src.Read(p[n:])
		n += k
		if empty++; k > 0 {
			empty = 0
		}
		if empty == maxEmptyReads && err == nil {
			err = io.ErrNoProgress
		}
	}
	return n, err
}

// Close writes what ends the message. It does not close the writer below. A
// message whose Writer was not closed cannot be decrypted to its end.
func (w *Writer) Close() error {
	if w.err == errClosed {
		return nil
	}
	if w.err == nil {
		w.err = w.finish()
	}
	clear(w.plain[:cap(w.plain)])
	if w.err != nil {
		return w.err
	}
	w.err = errClosed
	return nil
}

func (w *Writer) finish() (err error) {
	if err := w.seal(w.plain, true); err != nil {
		return err
	}
	w.e.digest.write(w.sealed)
	if w.sealed, err = w.e.appendFooter(w.sealed); err != nil {
		return err
	}
	return w.write(w.sealed)
}

// sealAll seals frames that are not the last, several at a time if they are
// many.
func (w *Writer) sealAll(frames []byte) error {
	per := w.e.perJob()
	if len(frames) < 2*per*w.e.workers || w.e.workers == 1 {
		for len(frames) > 0 {
			n := min(per, len(frames))
			if err := w.seal(frames[:n], false); err != nil {
				return err
			}
			frames = frames[n:]
		}
		return nil
	}
	return w.pipe(func(p *sealing, _ *memory) (bool, error) {
		n := min(per, len(frames))
		p.plain, frames = frames[:n], frames[n:]
		return n > 0, nil
	})
}

// A sealing is a job of a Writer's pipeline.
type sealing struct {
	span
	buf    []byte // for the plaintext, if it is not the caller's
	sealed []byte
}

// pipe seals the frames that fill sets, and writes them. The memory is for what
// fill needs, until pipe returns.
func (w *Writer) pipe(fill func(*sealing, *memory) (bool, error)) error {
	if err := w.flush(); err != nil {
		return err
	}
	var borrowed memory
	parts := make([]sealing, slotsFor(w.e.workers))
	p := pipeline{
		fill: func(slot int) (bool, error) {
			p := &parts[slot]
			more, err := fill(p, &borrowed)
			if !more || err != nil {
				return false, err
			}
			size, err := w.e.reserve(&p.span, p.plain, false)
			p.sealed = borrowed.room(p.sealed, size)
			return err == nil, err
		},
		work: func(slot int) error {
			p := &parts[slot]
			p.sealed = w.e.sealSpan(p.sealed[:0], &p.span)
			return nil
		},
		emit: func(slot int) (err error) {
			p := &parts[slot]
			p.sealed, err = w.emit(p.sealed)
			return err
		},
	}
	err := p.run(w.ctx, w.e.workers, len(parts))
	w.e.digest.giveBack()
	for i := range parts {
		clear(parts[i].buf[:cap(parts[i].buf)])
	}
	borrowed.giveBack()
	return err
}

// seal seals a few frames.
func (w *Writer) seal(plaintext []byte, last bool) error {
	if err := w.ctx.Err(); err != nil {
		return err
	}
	var s span
	size, err := w.e.reserve(&s, plaintext, last)
	if err != nil {
		return err
	}
	w.sealed = w.e.sealSpan(slices.Grow(w.sealed, size), &s)
	if len(w.sealed) >= chunk {
		return w.flush()
	}
	return nil
}

func (w *Writer) flush() (err error) {
	if len(w.sealed) > 0 {
		w.sealed, err = w.emit(w.sealed)
	}
	return err
}

// emit writes frames and has them hashed. It returns memory to go on in, empty.
func (w *Writer) emit(frames []byte) ([]byte, error) {
	next := w.e.digest.take(frames, frames)
	return next, w.write(frames)
}

func (w *Writer) write(b []byte) error {
	if len(b) == 0 {
		return nil
	}
	if _, err := w.dst.Write(b); err != nil {
		return fmt.Errorf("writing the message: %w", err)
	}
	return nil
}

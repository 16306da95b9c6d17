package esdk

import (
	"context"
	"fmt"
	"io"
	"math"

	"github.com/keywright/keywright/esdk/materials"
)

// Writer encrypts what is written to it, frame by frame.
type Writer struct {
	ctx    context.Context
	dst    io.Writer
	e      *encryption
	header *Header
	plain  []byte // not encrypted yet
	sealed []byte // buffer
	batch  int    // bytes encrypted at a time: a multiple of the frame length
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
	frames := max(1, batch(e.workers)/e.frameLength)
	return &Writer{ctx: ctx, dst: dst, e: e, header: header, left: left, batch: frames * e.frameLength}, nil
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
	for {
		// A full batch waits for one byte more: the last frame is another kind.
		if len(w.plain) == w.batch && n < len(p) {
			if w.err = w.flush(w.plain, false); w.err != nil {
				return n, w.err
			}
			w.plain = w.plain[:0]
		}
		if len(w.plain) == 0 && len(p)-n > w.batch {
			if w.err = w.flush(p[n:n+w.batch], false); w.err != nil {
				return n, w.err
			}
			n += w.batch
			continue
		}
		if n == len(p) {
			return n, nil
		}
		k := min(len(p)-n, w.batch-len(w.plain))
		w.plain = append(w.plain, p[n:n+k]...)
		n += k
	}
}

// Close writes what ends the message. It does not close the writer below. A
// message whose Writer was not closed cannot be decrypted to its end.
func (w *Writer) Close() error {
	if w.err == errClosed {
		return nil
	}
	if w.err != nil {
		return w.err
	}
	w.err = w.flush(w.plain, true)
	clear(w.plain[:cap(w.plain)])
	if w.err != nil {
		return w.err
	}
	w.err = errClosed
	return nil
}

func (w *Writer) flush(plaintext []byte, last bool) error {
	sealed, err := w.e.seal(w.ctx, w.sealed[:0], plaintext, last)
	if err != nil {
		return err
	}
	w.sealed = sealed
	if _, err := w.dst.Write(sealed); err != nil {
		return fmt.Errorf("writing the message: %w", err)
	}
	return nil
}

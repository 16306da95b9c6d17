package esdk

import (
	"context"
	"fmt"
	"io"

	"github.com/keywright/keywright/esdk/materials"
)

// Reader decrypts a message as it is read. It is not for concurrent use.
//
// What Read returns was authenticated under the data key. It is the beginning
// of the message only: that the message is whole, and signed by whom it claims,
// is known when Read has returned io.EOF. Until then undo must be possible, or
// DecryptOptions.VerifyFirst be set. The last bytes of a message are held back
// until all of it was verified.
//
// Read decrypts some 64 KiB at a time, or one frame, and then returns of them; those
// of a signed message are hashed meanwhile. WriteTo, which io.Copy uses, goes on
// reading and decrypting, on as many goroutines as Config.Workers says, while it
// writes.
type Reader struct {
	ctx    context.Context
	d      *decryption
	header *Header
	buf    []byte
	plain  []byte // in buf: verified and not yet read
	err    error
}

// NewReader reads and verifies a message's header from src and returns the
// Reader for its plaintext. src must end where the message ends. Memory is
// bounded by Config.MaxHeaderLength, Config.MaxFrameLength and the workers. When
// ctx ends, so do the Reader's methods, though not while src blocks. The errors are those of this package, of
// package materials and of the manager.
func (c *Client) NewReader(ctx context.Context, src io.Reader, m materials.Manager, opts DecryptOptions) (*Reader, error) {
	start := int64(-1)
	seeker, _ := src.(io.Seeker)
	if opts.VerifyFirst && seeker != nil {
		// What cannot seek after all, such as a pipe, is held in memory.
		if at, err := seeker.Seek(0, io.SeekCurrent); err == nil {
			start = at
		}
	}
	d, header, err := c.startDecryption(ctx, &source{r: src, target: chunk}, m, opts)
	if err != nil {
		return nil, err
	}
	r := &Reader{ctx: ctx, d: d, header: header}
	switch {
	case !opts.VerifyFirst:
	case start >= 0:
		err = r.verifyTwice(src, seeker, start, c.config.MaxFrameLength)
	default:
		limit := opts.VerifyBuffer
		if limit == 0 {
			limit = defaultVerifyBuffer
		}
		err = r.verifyInMemory(limit)
	}
	if err != nil {
		return nil, err
	}
	return r, nil
}

// Header returns the message's header, which was verified. Of a signed message
// the signature, too, is verified when Read has returned io.EOF.
func (r *Reader) Header() *Header { return r.header }

// Read returns io.EOF only when all of the message was verified. After an error
// all that was read before must be thrown away.
func (r *Reader) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if !r.fill() {
		return 0, r.err
	}
	n := copy(p, r.plain)
	r.plain = r.plain[n:]
	return n, nil
}

// WriteTo implements io.WriterTo: it reads, decrypts and writes at the same
// time. What was written before an error must be thrown away. It returns, with an
// error too, when a Read of the source that is under way has returned.
func (r *Reader) WriteTo(w io.Writer) (written int64, err error) {
	if len(r.plain) > 0 {
		n, err := w.Write(r.plain)
		written = int64(n)
		if err == nil && n < len(r.plain) {
			err = io.ErrShortWrite
		}
		r.plain = r.plain[n:]
		if err != nil {
			return written, err
		}
	}
	if r.err == nil && !r.d.done {
		var n int64
		n, r.err = r.d.writeTo(r.ctx, w)
		written += n
	}
	r.fill() // which says that this is the end
	if r.err == io.EOF {
		return written, nil
	}
	return written, r.err
}

// fill makes sure that r.plain is not empty; else r.err says why.
func (r *Reader) fill() bool {
	for len(r.plain) == 0 {
		if r.err == nil && r.d.done {
			clear(r.buf[:cap(r.buf)])
			r.err = io.EOF
		}
		if r.err != nil {
			return false
		}
		if r.buf, r.err = r.d.next(r.ctx, r.buf[:0]); r.err != nil {
			clear(r.buf[:cap(r.buf)])
		}
		r.plain = r.buf
	}
	return true
}

// verifyTwice verifies the message and goes back to its body. The second
// reading verifies again: the source may change in between.
func (r *Reader) verifyTwice(src io.Reader, seeker io.Seeker, start int64, maxUnframed uint32) error {
	target := r.d.src.target
	if _, err := io.Copy(io.Discard, r); err != nil {
		return err
	}
	if _, err := seeker.Seek(start+int64(r.header.Length), io.SeekStart); err != nil {
		return fmt.Errorf("going back in the message: %w", err)
	}
	r.d.src = &source{r: src, target: target}
	r.d.start(maxUnframed)
	r.err = nil
	return nil
}

// verifyInMemory decrypts all of the message.
func (r *Reader) verifyInMemory(limit int64) error {
	r.d.src.target = r.d.worthReading()
	var all []byte
	for !r.d.done {
		var err error
		if all, err = r.d.next(r.ctx, all); err == nil && int64(len(all)) > limit {
			err = fmt.Errorf("%w: the plaintext takes more than the %d bytes that may be held to verify it first", ErrTooLarge, limit)
		}
		if err != nil {
			clear(all[:cap(all)])
			return err
		}
	}
	r.buf, r.plain = all, all
	return nil
}

package esdk

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/keywright/keywright/esdk/internal/message"
	"github.com/keywright/keywright/esdk/materials"
)

// ReaderAt reads a message at any place: it decrypts the frames that are asked
// for. It may be used concurrently. What it returns was authenticated, at its
// place in the message.
type ReaderAt struct {
	ctx     context.Context
	src     io.ReaderAt
	d       *decryption
	header  *Header
	regular int64 // number of regular frames
	size    int64 // of the plaintext
	buffers sync.Pool
}

// atBuffer is what one call of ReadAt needs.
type atBuffer struct {
	raw, plain []byte
	scratch    message.Scratch
}

// NewReaderAt opens the message that src holds from 0 to size. The message must
// have frames (ErrUnframed) and be whole: its last frame is verified, and with it
// its length. All of a signed message is read to verify its signature, unless
// DecryptOptions.SkipSignature is set. The other frames are verified when they
// are read. When ctx ends, so does ReadAt.
func (c *Client) NewReaderAt(ctx context.Context, src io.ReaderAt, size int64, m materials.Manager, opts DecryptOptions) (*ReaderAt, error) {
	if size < 0 {
		return nil, errNegativeSize
	}
	d, header, err := c.startDecryption(ctx, &source{r: io.NewSectionReader(src, 0, size), target: chunk}, m, opts)
	if err != nil {
		return nil, err
	}
	if header.FrameLength == 0 {
		return nil, ErrUnframed
	}
	if d.key != nil && !opts.SkipSignature {
		whole := &Reader{ctx: ctx, d: d, header: header}
		if _, err := io.Copy(io.Discard, whole); err != nil {
			return nil, err
		}
	}
	r := &ReaderAt{ctx: ctx, src: src, d: d, header: header}
	r.buffers.New = func() any { return new(atBuffer) }
	if err := r.findEnd(size); err != nil {
		return nil, err
	}
	return r, nil
}

// Header returns the message's header.
func (r *ReaderAt) Header() *Header { return r.header }

// Size returns the length of the plaintext in bytes.
func (r *ReaderAt) Size() int64 { return r.size }

func (r *ReaderAt) frameLength() int64 { return int64(r.d.header.FrameLength) }

// stride is how many bytes a regular frame takes.
func (r *ReaderAt) stride() int64 { return int64(r.d.stride()) }

// offset returns where the frame begins, counted from 0.
func (r *ReaderAt) offset(frame int64) int64 { return int64(r.d.header.Len()) + frame*r.stride() }

// findEnd finds the final frame and verifies it.
func (r *ReaderAt) findEnd(size int64) error {
	body := size - r.offset(0)
	if body < message.FinalOverhead {
		return fmt.Errorf("%w: in the body", ErrTruncated)
	}
	// Unsigned, the length of the body says how many frames there are. The
	// length of a signature varies, and tiny frames are shorter than it: there
	// the few places where the final frame can be are tried.
	most := (body - message.FinalOverhead) / r.stride()
	least := most
	if r.d.key != nil {
		least = max(0, (body-message.FinalOverhead-message.MaxFooter)/r.stride()-1)
	}
	var err error
	for n := most; n >= least; n-- {
		var found bool
		if found, err = r.tryEnd(n, size); found {
			return nil
		}
		if _, ok := errors.AsType[*FrameError](err); ok {
			return err
		}
	}
	if err == nil {
		err = fmt.Errorf("%w: no final frame where it should be", ErrMalformed)
	}
	return err
}

// tryEnd reports whether a verified final frame and, if any, a footer lie behind
// n regular frames and end the message.
func (r *ReaderAt) tryEnd(n, size int64) (bool, error) {
	if n > message.MaxRegular {
		return false, nil
	}
	raw := make([]byte, min(size-r.offset(n), message.FinalOverhead+r.frameLength()+message.MaxFooter))
	if err := readAt(r.src, raw, r.offset(n)); err != nil {
		return false, err
	}
	scan := message.NewScanner(r.d.header, 0)
	scan.Seek(uint32(n + 1))
	f, length, err := scan.Next(raw)
	if err != nil {
		return false, err
	}
	if length > len(raw) {
		return false, fmt.Errorf("%w: in the final frame", ErrTruncated)
	}
	if !f.Last() {
		return false, nil
	}
	end := r.offset(n) + int64(length)
	if r.d.key != nil {
		end += int64(message.FooterLen(raw[length:]))
	}
	switch {
	case end > size:
		return false, fmt.Errorf("%w: in the signature", ErrTruncated)
	case end < size:
		return false, ErrTrailingData
	}
	if _, err := r.d.cipher.OpenFrame(nil, &f, new(message.Scratch)); err != nil {
		return false, &FrameError{Frame: f.Seq, Err: err}
	}
	r.regular, r.size = n, n*r.frameLength()+int64(f.PlaintextLen())
	return true, nil
}

// ReadAt implements io.ReaderAt on the plaintext. With an error other than
// io.EOF, the bytes before the frame that failed are verified and returned.
func (r *ReaderAt) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, errNegativeSize
	}
	b := r.buffers.Get().(*atBuffer)
	defer r.buffers.Put(b)
	defer func() { clear(b.plain) }()
	n := 0
	for n < len(p) && off < r.size {
		if err := r.ctx.Err(); err != nil {
			return n, err
		}
		k, err := r.readSome(b, p[n:], off)
		n += k
		if err != nil {
			return n, err
		}
		off += int64(k)
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// readSome reads from the frames that p touches, as many as fit a chunk.
func (r *ReaderAt) readSome(b *atBuffer, p []byte, off int64) (int, error) {
	first := off / r.frameLength()
	count := min(1+(off+int64(len(p))-1)/r.frameLength()-first, max(1, chunk/r.stride()))
	size := count * r.stride()
	if first+count > r.regular {
		count = r.regular + 1 - first
		size = (count-1)*r.stride() + message.FinalOverhead + r.size - r.regular*r.frameLength()
	}
	b.raw = grown(b.raw, size)
	if err := readAt(r.src, b.raw, r.offset(first)); err != nil {
		return 0, err
	}
	scan := message.NewScanner(r.d.header, 0)
	scan.Seek(uint32(first + 1))
	raw, n := b.raw, 0
	for frame := first; frame < first+count && n < len(p); frame++ {
		f, length, err := scan.Next(raw)
		if err == nil && (length > len(raw) || f.Last() != (frame == r.regular)) {
			err = ErrMalformed
		}
		if err != nil {
			return n, &FrameError{Frame: uint32(frame + 1), Err: err}
		}
		raw = raw[length:]
		// A frame that p takes whole is decrypted in place.
		skip := int(off + int64(n) - frame*r.frameLength())
		direct := skip == 0 && f.PlaintextLen() <= len(p)-n
		dst := p[n:n]
		if !direct {
			b.plain = grown(b.plain, int64(f.PlaintextLen()))
			dst = b.plain[:0]
		}
		plain, err := r.d.cipher.OpenFrame(dst, &f, &b.scratch)
		if err != nil {
			return n, &FrameError{Frame: f.Seq, Err: err}
		}
		if direct {
			n += len(plain)
		} else {
			n += copy(p[n:], plain[skip:])
		}
	}
	return n, nil
}

func grown(b []byte, n int64) []byte {
	if int64(cap(b)) < n {
		return make([]byte, n)
	}
	return b[:n]
}

func readAt(src io.ReaderAt, p []byte, off int64) error {
	n, err := src.ReadAt(p, off)
	if n == len(p) {
		return nil
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("%w: in the body", ErrTruncated)
	}
	return fmt.Errorf("reading the message: %w", err)
}

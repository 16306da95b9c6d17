package esdk

import (
	"context"
	"crypto/ecdsa"
	"io"
	"slices"

	"github.com/keywright/keywright/esdk/internal/message"
)

// decryption is a message that is being read.
type decryption struct {
	src        *source
	header     *message.Header
	cipher     *message.Cipher
	scan       message.Scanner
	digest     *digest          // nil: unsigned
	key        *ecdsa.PublicKey // the same
	jobs       []opening        // buffers of a pipeline
	first      [1]opening       // of them
	goroutines int              // for all
	workers    int              // those beside the digest's
	last       bool             // the last frame was cut
	done       bool             // all was verified
}

// An opening is a job of a decryption's pipeline: some frames and, once they are
// decrypted, their plaintext.
type opening struct {
	run     message.Run
	frame   message.Frame // without a run: the message's last
	raw     []byte        // all bytes of the frames
	buf     []byte        // which raw lies in
	size    int           // of their plaintext
	plain   []byte
	scratch message.Scratch
}

// last reports whether it is the message's last frame alone.
func (o *opening) last() bool { return len(o.run.Raw) == 0 }

// decrypt appends the plaintext of the frames to o.plain.
func (o *opening) decrypt(c *message.Cipher) error {
	var plain []byte
	var err error
	frame := o.frame.Seq
	if o.last() {
		plain, err = c.OpenFrame(o.plain, &o.frame, &o.scratch)
	} else {
		plain, frame, err = c.OpenRun(o.plain, &o.run, &o.scratch)
	}
	if err != nil {
		return &FrameError{Frame: frame, Err: err}
	}
	o.plain = plain
	return nil
}

// start begins with the body, or begins again.
func (d *decryption) start(maxUnframed uint32) {
	d.last, d.done = false, false
	d.scan = *message.NewScanner(d.header, maxUnframed)
	if d.digest, d.workers = newDigest(d.header.Suite, d.goroutines); d.digest != nil {
		d.digest.write(d.header.Append(nil))
	}
}

// next decrypts the frames that are at hand, waits for one if there are none,
// and appends their plaintext to dst. When the last frame is among them, it
// returns only after all that follows was verified, and sets done. With an error
// it appends nothing.
func (d *decryption) next(ctx context.Context, dst []byte) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return dst, err
	}
	if err := d.needFrame(); err != nil {
		return dst, err
	}
	inMemory := d.src.r == nil
	b := batch{d, d.src.window(), 0, slices.Grow(dst, len(d.src.window()))}
	var err error
	if workers := d.workersFor(len(b.window)); workers == 1 {
		err = b.openAlone(ctx, inMemory)
	} else {
		b, err = b.openTogether(ctx, workers, inMemory)
	}
	for i := range d.jobs {
		d.jobs[i].plain = nil // dst is the caller's
	}
	d.src.advance(b.at)
	if inMemory {
		d.digest.giveBack() // the memory is the caller's
	} else if err == nil {
		d.src.goOnIn(d.digest.take(b.window[:b.at], d.src.buf)) // which is hashed while the caller uses the plaintext
	}
	if err == nil && d.last {
		err = d.finish()
	}
	if err != nil {
		clear(b.plain[len(dst):])
		return dst, err
	}
	return b.plain, nil
}

// A batch is what is at hand of a message.
type batch struct {
	*decryption
	window []byte // of the source
	at     int    // in window: what is in no job yet
	plain  []byte // of the jobs so far, with room for the rest
}

// fill makes a job of the next frames, if there are any.
func (b *batch) fill(slot int) (bool, error) {
	if b.last {
		return false, nil
	}
	o := &b.jobs[slot]
	if err := b.cut(o, b.window[b.at:]); err != nil || len(o.raw) == 0 {
		return false, err
	}
	b.at += len(o.raw)
	n := len(b.plain)
	b.plain = b.plain[:n+o.size]
	o.plain = b.plain[n:n:len(b.plain)]
	return true, nil
}

// openAlone decrypts the frames one job after the other, and hashes them if hash
// is set. A small message pays for nothing that several goroutines need.
func (b *batch) openAlone(ctx context.Context, hash bool) error {
	b.needJobs(1)
	for o := &b.jobs[0]; ; {
		if err := ctx.Err(); err != nil {
			return err
		}
		if more, err := b.fill(0); !more || err != nil {
			return err
		}
		if err := o.decrypt(b.cipher); err != nil {
			return err
		}
		if hash {
			b.digest.lend(o.raw)
		}
	}
}

// openTogether is openAlone on several goroutines.
func (b batch) openTogether(ctx context.Context, workers int, hash bool) (batch, error) {
	p := pipeline{fill: b.fill}
	if hash && b.digest != nil {
		p.emit = func(slot int) error {
			b.digest.lend(b.jobs[slot].raw)
			return nil
		}
	}
	err := b.open(ctx, workers, p)
	return b, err
}

// writeTo decrypts the rest of the message and writes it to w, while it goes on
// reading. The frames of the last job are written only after all that follows
// was verified.
func (d *decryption) writeTo(ctx context.Context, w io.Writer) (written int64, err error) {
	write := func(slot int) error {
		p := d.jobs[slot].plain
		if len(p) == 0 {
			return nil
		}
		n, err := w.Write(p)
		written += int64(n)
		if err == nil && n < len(p) {
			err = io.ErrShortWrite
		}
		return err
	}
	workers := d.workers
	if l := d.header.FrameLength; l == 0 || l > pipelined {
		workers = 1
	}
	var borrowed memory
	d.src.borrow(&borrowed, d.perJob()*d.stride())
	slot := 0 // of the last job
	err = d.open(ctx, workers, pipeline{
		fill: func(next int) (bool, error) {
			if d.last {
				return false, nil
			}
			o := &d.jobs[next]
			d.src.goOnIn(o.buf)
			if err := d.needFrame(); err != nil {
				return false, err
			}
			if err := d.cut(o, d.src.window()); err != nil {
				return false, err
			}
			d.src.advance(len(o.raw))
			o.buf = d.src.buf
			o.plain = borrowed.room(o.plain, o.size)
			slot = next
			return true, nil
		},
		emit: func(slot int) error {
			o := &d.jobs[slot]
			o.buf = d.digest.take(o.raw, o.buf)
			if o.last() {
				return nil
			}
			return write(slot)
		},
	})
	if err == nil {
		if err = d.finish(); err == nil {
			err = write(slot)
		}
	}
	for i := range d.jobs {
		clear(d.jobs[i].plain[:cap(d.jobs[i].plain)])
	}
	d.digest.giveBack()
	d.jobs, d.src = nil, nil // which lie in what is given back
	borrowed.giveBack()
	return written, err
}

// stride is how many bytes a regular frame takes.
func (d *decryption) stride() int { return int(d.header.FrameLength) + message.RegularOverhead }

// perJob is how many frames one goroutine decrypts at a time: at least one, and a
// chunk at most.
func (d *decryption) perJob() int { return max(1, chunk/d.stride()) }

// workersFor is how many goroutines are worth while for that many bytes.
func (d *decryption) workersFor(n int) int {
	return max(1, min(d.workers, n/max(chunk, int(d.header.FrameLength))))
}

// worthReading is how many bytes are worth reading before they are decrypted.
func (d *decryption) worthReading() int { return slotsFor(d.workers) * chunk }

// needFrame makes sure that the source's window begins with a whole frame.
func (d *decryption) needFrame() error {
	for {
		scan := d.scan
		_, size, err := scan.Next(d.src.window())
		if err != nil || size <= len(d.src.window()) {
			return err
		}
		if err := d.src.body(size, "the body"); err != nil {
			return err
		}
	}
}

// cut makes o of the frames that b begins with: some regular ones, or the last.
// If there is none that is whole, o has no bytes.
func (d *decryption) cut(o *opening, b []byte) error {
	o.run = d.scan.Run(b, d.perJob())
	if o.raw, o.size = o.run.Raw, o.run.PlaintextLen(); !o.last() {
		return nil
	}
	f, size, err := d.scan.Next(b)
	if err != nil || size > len(b) {
		return err
	}
	d.last = f.Last()
	o.frame, o.raw, o.size = f, b[:size], f.PlaintextLen()
	return nil
}

// open completes and runs a pipeline, of which jobs are filled in d.jobs.
func (d *decryption) open(ctx context.Context, workers int, p pipeline) error {
	slots := slotsFor(workers)
	d.needJobs(slots)
	p.work = func(slot int) error { return d.jobs[slot].decrypt(d.cipher) }
	return p.run(ctx, workers, slots)
}

// needJobs makes d.jobs n at least.
func (d *decryption) needJobs(n int) {
	if d.jobs == nil {
		d.jobs = d.first[:]
	}
	if more := n - len(d.jobs); more > 0 {
		d.jobs = append(d.jobs, make([]opening, more)...)
	}
}

// finish verifies what follows the last frame.
func (d *decryption) finish() error {
	if d.digest != nil {
		if err := d.verifyFooter(); err != nil {
			return err
		}
	}
	if err := d.src.end(); err != nil {
		return err
	}
	d.done = true
	return nil
}

func (d *decryption) verifyFooter() error {
	sum := d.digest.sum() // first: the footer may be read into what is being hashed
	for range 2 {
		if err := d.src.body(message.FooterLen(d.src.window()), "the signature"); err != nil {
			return err
		}
	}
	n := message.FooterLen(d.src.window())
	if err := message.VerifyFooter(d.src.window()[:n], d.key, sum); err != nil {
		return err
	}
	d.src.advance(n)
	return nil
}

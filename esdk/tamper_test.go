package esdk_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"testing"

	"github.com/keywright/keywright/esdk"
	"github.com/keywright/keywright/esdk/materials"
	"github.com/keywright/keywright/esdk/suite"
)

// onlyReader hides that a source can seek.
type onlyReader struct{ io.Reader }

// checkRefused reads a message that was changed in every way there is. Nothing
// may come out of the ways that verify first, and from a stream only what the
// first frames hold.
func checkRefused(t *testing.T, what string, c *esdk.Client, m materials.Manager, msg, plaintext []byte) (err error) {
	t.Helper()
	got, header, err := c.Decrypt(t.Context(), m, msg, esdk.DecryptOptions{})
	if err == nil || got != nil || header != nil {
		t.Errorf("%s: Decrypt returned %d bytes, %v", what, len(got), err)
	}
	for _, src := range []io.Reader{bytes.NewReader(msg), onlyReader{bytes.NewReader(msg)}} {
		if r, err := c.NewReader(t.Context(), src, m, esdk.DecryptOptions{VerifyFirst: true}); err == nil || r != nil {
			t.Errorf("%s: verified: %v", what, err)
		}
	}
	// Small reads, so that each frame is a batch of its own.
	got, streamErr := readAll(t.Context(), c, &small{msg}, m, esdk.DecryptOptions{})
	if streamErr == nil || len(got) >= len(plaintext) || !bytes.HasPrefix(plaintext, got) {
		t.Errorf("%s: a Reader returned %d of %d bytes, %v", what, len(got), len(plaintext), streamErr)
	}
	return err
}

// small is a source of 20 bytes at a time.
type small struct{ b []byte }

func (s *small) Read(p []byte) (int, error) {
	if len(s.b) == 0 {
		return 0, io.EOF
	}
	n := copy(p[:min(20, len(p))], s.b)
	s.b = s.b[n:]
	return n, nil
}

var tampered = []suite.ID{suite.AES256GCMCommit, suite.AES128GCM, suite.AES192GCMHKDFP384, suite.AES128GCMHKDFP256, suite.AES256GCMCommitP384}

// TestEveryBit changes each bit of a message, one at a time; to save time, in
// most suites one bit of each byte.
func TestEveryBit(t *testing.T) {
	for i, id := range tampered {
		t.Run(id.String(), func(t *testing.T) {
			t.Parallel()
			c, m := clientFor(id, 16, 1), esdk.Using(rawAES(t, "a"))
			plaintext := random(40)
			msg := encrypt(t, c, m, plaintext)
			for bit := range 8 * len(msg) {
				if (testing.Short() || i > 1) && bit%8 != bit/8%8 {
					continue
				}
				msg[bit/8] ^= 1 << (bit % 8)
				checkRefused(t, fmt.Sprintf("bit %d of byte %d", bit%8, bit/8), c, m, msg, plaintext)
				msg[bit/8] ^= 1 << (bit % 8)
			}
		})
	}
}

// TestEveryLength cuts a message everywhere, and lengthens it.
func TestEveryLength(t *testing.T) {
	for _, id := range tampered {
		c, m := clientFor(id, 16, 1), esdk.Using(rawAES(t, "a"))
		plaintext := random(40)
		msg := encrypt(t, c, m, plaintext)
		for n := range msg {
			if err := checkRefused(t, fmt.Sprintf("%v, %d bytes", id, n), c, m, msg[:n:n], plaintext); !errors.Is(err, esdk.ErrTruncated) {
				t.Errorf("%v, %d of %d bytes: %v", id, n, len(msg), err)
			}
			if _, err := c.NewReaderAt(t.Context(), bytes.NewReader(msg), int64(n), m, esdk.DecryptOptions{SkipSignature: true}); err == nil {
				t.Errorf("%v, %d of %d bytes: NewReaderAt succeeded", id, n, len(msg))
			}
		}
		for _, more := range [][]byte{{0}, {255}, msg, msg[len(msg)-56:]} {
			long := append(slices.Clone(msg), more...)
			if err := checkRefused(t, fmt.Sprintf("%v, %d bytes more", id, len(more)), c, m, long, plaintext); !errors.Is(err, esdk.ErrTrailingData) {
				t.Errorf("%v, %d bytes more: %v", id, len(more), err)
			}
			if _, err := c.NewReaderAt(t.Context(), bytes.NewReader(long), int64(len(long)), m, esdk.DecryptOptions{SkipSignature: true}); err == nil {
				t.Errorf("%v, %d bytes more: NewReaderAt succeeded", id, len(more))
			}
		}
	}
}

// TestFramesMoved exchanges, drops and repeats frames, takes them and the
// footer from another message, and declares the body unframed.
func TestFramesMoved(t *testing.T) {
	const stride, frames = 16 + 32, 3 // three regular frames and a final one
	for _, id := range tampered {
		c, m := clientFor(id, 16, 1), static() // both messages have the same data key
		plaintext := random(3*16 + 5)
		msg, _, err := c.Encrypt(t.Context(), m, plaintext, esdk.EncryptOptions{})
		if err != nil {
			t.Fatal(err)
		}
		other, _, err := c.Encrypt(t.Context(), m, plaintext, esdk.EncryptOptions{})
		if err != nil {
			t.Fatal(err)
		}
		header, err := c.Inspect(bytes.NewReader(msg))
		if err != nil {
			t.Fatal(err)
		}
		start, end := header.Length, header.Length+frames*stride+40+5
		frame := func(i int) []byte { return msg[start+i*stride : start+(i+1)*stride] }
		cat := slices.Concat[[]byte]
		renumbered := slices.Clone(frame(2))
		renumbered[3] = 2
		final := slices.Clone(msg[start+frames*stride : end])
		final[7] = 3
		for name, c2 := range map[string]struct {
			msg  []byte
			want error
		}{
			"swapped":     {cat(msg[:start], frame(1), frame(0), msg[start+2*stride:]), esdk.ErrFrameSequence},
			"dropped":     {cat(msg[:start], frame(0), msg[start+2*stride:]), esdk.ErrFrameSequence},
			"repeated":    {cat(msg[:start], frame(0), frame(0), msg[start+stride:]), esdk.ErrFrameSequence},
			"renumbered":  {cat(msg[:start], frame(0), renumbered, msg[start+2*stride:]), esdk.ErrAuthentication},
			"cut short":   {cat(msg[:start+2*stride], final, msg[end:]), esdk.ErrAuthentication},
			"other frame": {cat(msg[:start], other[start:start+stride], msg[start+stride:]), esdk.ErrAuthentication},
			"other body":  {cat(msg[:start], other[start:]), esdk.ErrAuthentication},
			"other final": {cat(msg[:start+frames*stride], other[start+frames*stride:end], msg[end:]), esdk.ErrAuthentication},
		} {
			if err := checkRefused(t, fmt.Sprintf("%v, %s", id, name), c, m, c2.msg, plaintext); !errors.Is(err, c2.want) {
				t.Errorf("%v, %s: %v, want %v", id, name, err, c2.want)
			}
		}
		if header.Suite.Signature == suite.Unsigned {
			continue
		}
		if err := checkRefused(t, "other footer", c, m, cat(msg[:end], other[end:]), plaintext); !errors.Is(err, esdk.ErrSignature) {
			t.Errorf("%v, other footer: %v", id, err)
		}
		if err := checkRefused(t, "empty footer", c, m, cat(msg[:end], []byte{0, 0}), plaintext); !errors.Is(err, esdk.ErrSignature) {
			t.Errorf("%v, empty footer: %v", id, err)
		}
	}
}

// TestFinalFrameHeldBack: of a signed message whose signature is broken the
// last frame does not come out, and io.EOF does not either.
func TestFinalFrameHeldBack(t *testing.T) {
	for _, id := range tampered {
		c, m := clientFor(id, 16, 1), esdk.Using(rawAES(t, "a"))
		plaintext := random(40)
		msg := encrypt(t, c, m, plaintext)
		msg[len(msg)-1] ^= 1
		got, err := readAll(t.Context(), c, &small{msg}, m, esdk.DecryptOptions{})
		if len(got) != 32 || !bytes.Equal(got, plaintext[:32]) || err == nil {
			t.Errorf("%v: %d bytes, want 32, %v", id, len(got), err)
		}
	}
}

// TestFrameError names the frame.
func TestFrameError(t *testing.T) {
	for _, workers := range []int{1, 3} {
		c, m := clientFor(suite.AES256GCMCommit, 4096, workers), esdk.Using(rawAES(t, "a"))
		msg := encrypt(t, c, m, random(1<<20))
		header, err := c.Inspect(bytes.NewReader(msg))
		if err != nil {
			t.Fatal(err)
		}
		for _, frame := range []int{200, 40} {
			msg[header.Length+(frame-1)*(4096+32)+100] ^= 1
			_, _, err = c.Decrypt(t.Context(), m, msg, esdk.DecryptOptions{})
			if fe, ok := errors.AsType[*esdk.FrameError](err); !ok || int(fe.Frame) != frame || !errors.Is(err, esdk.ErrAuthentication) {
				t.Errorf("%d workers: %v, want frame %d", workers, err, frame)
			}
		}
		at, err := c.NewReaderAt(t.Context(), bytes.NewReader(msg), int64(len(msg)), m, esdk.DecryptOptions{})
		if err != nil {
			t.Fatal(err)
		}
		n, err := at.ReadAt(make([]byte, 1<<20), 0)
		if fe, ok := errors.AsType[*esdk.FrameError](err); !ok || fe.Frame != 40 || n != 39*4096 {
			t.Errorf("ReadAt = %d, %v", n, err)
		}
	}
}

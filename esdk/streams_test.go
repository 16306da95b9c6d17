package esdk_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"runtime"
	"testing"
	"testing/iotest"
	"time"

	"github.com/keywright/keywright/esdk"
	"github.com/keywright/keywright/esdk/suite"
)

// onlyWriter hides that a Writer can read by itself.
type onlyWriter struct{ io.Writer }

// checkGoroutines fails if there are more goroutines than before, a moment
// after f.
func checkGoroutines(t *testing.T, f func()) {
	t.Helper()
	before := runtime.NumGoroutine()
	f()
	for range 100 {
		if runtime.NumGoroutine() <= before {
			return
		}
		time.Sleep(time.Millisecond) // an ended goroutine counts until it is gone
	}
	t.Errorf("%d goroutines before, %d after", before, runtime.NumGoroutine())
}

// TestReadFrom has a Writer read, beside and between other writes.
func TestReadFrom(t *testing.T) {
	m := static()
	for _, id := range []suite.ID{suite.AES256GCMCommit, suite.AES256GCMCommitP384} {
		for _, frame := range []uint32{1000, 4096, 300_000} {
			for _, workers := range []int{1, 3} {
				c := clientFor(id, frame, workers)
				for _, n := range []int{0, 1, int(frame), 64 << 10, 600_001} {
					for name, source := range map[string]func(io.Reader) io.Reader{
						"plain": func(r io.Reader) io.Reader { return r }, "half": iotest.HalfReader, "eof": iotest.DataErrReader,
					} {
						plaintext := random(n + 20)
						var msg bytes.Buffer
						w, err := c.NewWriter(t.Context(), &msg, m, esdk.EncryptOptions{PlaintextBound: int64(n + 20)})
						if err != nil {
							t.Fatal(err)
						}
						w.Write(plaintext[:10])
						got, err := w.ReadFrom(source(bytes.NewReader(plaintext[10 : 10+n])))
						if err != nil || got != int64(n) {
							t.Fatalf("%s: ReadFrom of %d bytes: %d, %v", name, n, got, err)
						}
						w.Write(plaintext[10+n:])
						if err := w.Close(); err != nil {
							t.Fatal(err)
						}
						whole, _, err := c.Decrypt(t.Context(), m, msg.Bytes(), esdk.DecryptOptions{})
						if err != nil || !bytes.Equal(whole, plaintext) {
							t.Fatalf("%v, %s, %d bytes: %d decrypted, %v", id, name, n, len(whole), err)
						}
					}
				}
			}
		}
	}
}

// TestReadFromErrors: an error of the source is the caller's, and not the end of
// the message; one of the Writer's own is.
func TestReadFromErrors(t *testing.T) {
	plaintext := random(1 << 20)
	for _, workers := range []int{1, 3} {
		for _, frame := range []uint32{4096, 300_000} {
			c, m := clientFor(suite.AES256GCMCommit, frame, workers), static()
			var msg bytes.Buffer
			w, err := c.NewWriter(t.Context(), &msg, m, esdk.EncryptOptions{PlaintextBound: 1 << 20})
			if err != nil {
				t.Fatal(err)
			}
			const half = 500_000
			for i, want := range []error{io.ErrUnexpectedEOF, errBroken} {
				src := io.MultiReader(bytes.NewReader(plaintext[i*half:(i+1)*half]), iotest.ErrReader(want))
				if n, err := w.ReadFrom(src); err != want || n != half {
					t.Errorf("ReadFrom = %d, %v; want %d, %v", n, err, half, want)
				}
			}
			if _, err := w.Write(plaintext[2*half:]); err != nil {
				t.Fatal(err)
			}
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
			if got, _, err := c.Decrypt(t.Context(), m, msg.Bytes(), esdk.DecryptOptions{}); err != nil || !bytes.Equal(got, plaintext) {
				t.Errorf("%d bytes decrypted, %v", len(got), err)
			}

			w, err = c.NewWriter(t.Context(), &msg, m, esdk.EncryptOptions{PlaintextBound: 1<<20 - 1})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := w.ReadFrom(bytes.NewReader(plaintext)); !errors.Is(err, esdk.ErrPlaintextBound) {
				t.Errorf("over the bound: %v", err)
			}
			if err := w.Close(); !errors.Is(err, esdk.ErrPlaintextBound) {
				t.Errorf("Close: %v", err)
			}
		}
	}
}

// hesitant is a source of few bytes at a time until it has given some.
type hesitant struct {
	r io.Reader
	n int
}

func (h *hesitant) Read(p []byte) (int, error) {
	if h.n > 0 {
		p = p[:min(len(p), 3000)]
	}
	n, err := h.r.Read(p)
	h.n -= n
	return n, err
}

// TestReadThenWriteTo changes the way of reading within a message.
func TestReadThenWriteTo(t *testing.T) {
	for _, id := range []suite.ID{suite.AES256GCMCommit, suite.AES256GCMCommitP384} {
		for _, workers := range []int{1, 3} {
			c, m, plaintext := clientFor(id, 500, workers), static(), random(3<<20)
			msg := encrypt(t, c, m, plaintext)
			for _, n := range []int{1, 70_000, 700_000} {
				r, err := c.NewReader(t.Context(), &hesitant{bytes.NewReader(msg), n / 2}, m, esdk.DecryptOptions{})
				if err != nil {
					t.Fatal(err)
				}
				got := make([]byte, n)
				if _, err := io.ReadFull(r, got); err != nil {
					t.Fatal(err)
				}
				rest := bytes.NewBuffer(got)
				if _, err := r.WriteTo(rest); err != nil || !bytes.Equal(rest.Bytes(), plaintext) {
					t.Errorf("%v, %d workers: %d bytes, %v", id, workers, rest.Len(), err)
				}
			}
		}
	}
}

// TestStreamsFail breaks what is below a stream at many places: the error comes
// back, what was let out is right, and no goroutine is left.
func TestStreamsFail(t *testing.T) {
	m, plaintext := static(), random(1<<20)
	for _, id := range []suite.ID{suite.AES256GCMCommit, suite.AES256GCMCommitP384} {
		for _, workers := range []int{1, 3} {
			c := clientFor(id, 4096, workers)
			msg := encrypt(t, c, m, plaintext)
			for _, n := range []int{1000, 70_000, 200_001, 999_999} {
				checkGoroutines(t, func() {
					for _, hide := range []bool{false, true} {
						w, err := c.NewWriter(t.Context(), &broken{n}, m, esdk.EncryptOptions{})
						if err != nil {
							t.Fatal(err)
						}
						var dst io.Writer = w
						if hide {
							dst = onlyWriter{w}
						}
						// What is kept back may fail in Close alone.
						if _, err := io.Copy(dst, onlyReader{bytes.NewReader(plaintext)}); err != nil && !errors.Is(err, errBroken) {
							t.Errorf("writing %d bytes: %v", n, err)
						}
						if err := w.Close(); !errors.Is(err, errBroken) {
							t.Errorf("Close: %v", err)
						}
					}
					r, err := c.NewReader(t.Context(), bytes.NewReader(msg), m, esdk.DecryptOptions{})
					if err != nil {
						t.Fatal(err)
					}
					if _, err := r.WriteTo(&broken{n}); !errors.Is(err, errBroken) {
						t.Errorf("writing what was read: %v", err)
					}
					if _, err := r.Read(make([]byte, 1)); !errors.Is(err, errBroken) {
						t.Errorf("Read after that: %v", err)
					}
					r, err = c.NewReader(t.Context(), io.MultiReader(bytes.NewReader(msg[:n]), &broken{}), m, esdk.DecryptOptions{})
					if err != nil {
						t.Fatal(err)
					}
					var got bytes.Buffer
					if _, err := r.WriteTo(&got); !errors.Is(err, errBroken) {
						t.Errorf("reading %d bytes: %v", n, err)
					}
					if !bytes.HasPrefix(plaintext, got.Bytes()) || got.Len() < n-64<<10 {
						t.Errorf("of %d bytes, %d came out", n, got.Len())
					}
				})
			}
		}
	}
}

// TestStreamsCancelled ends the context under streams that run.
func TestStreamsCancelled(t *testing.T) {
	for _, workers := range []int{1, 3} {
		c, m := clientFor(suite.AES256GCMCommit, 4096, workers), static()
		msg := encrypt(t, c, m, random(2<<20))
		checkGoroutines(t, func() {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			w, err := c.NewWriter(ctx, io.Discard, m, esdk.EncryptOptions{})
			if err != nil {
				t.Fatal(err)
			}
			r, err := c.NewReader(ctx, bytes.NewReader(msg), m, esdk.DecryptOptions{})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := r.WriteTo(&calling{after: 1 << 20, f: cancel}); !errors.Is(err, context.Canceled) {
				t.Errorf("WriteTo: %v", err)
			}
			if _, err := w.ReadFrom(neverEnding{}); !errors.Is(err, context.Canceled) {
				t.Errorf("ReadFrom: %v", err)
			}
		})
	}
}

// calling calls f when that many bytes were written.
type calling struct {
	after int
	f     func()
}

func (c *calling) Write(p []byte) (int, error) {
	if c.after -= len(p); c.after <= 0 {
		c.f()
	}
	return len(p), nil
}

type neverEnding struct{}

func (neverEnding) Read(p []byte) (int, error) { return len(p), nil }

// TestFramesAsTheyCome: whoever reads gets what there is of a message whose
// writer pauses, however it reads.
func TestFramesAsTheyCome(t *testing.T) {
	for _, workers := range []int{2, 3} {
		c, m := clientFor(suite.AES256GCMCommit, 16, workers), static()
		plaintext := random(160)
		msg := encrypt(t, c, m, plaintext)
		header, err := c.Inspect(bytes.NewReader(msg))
		if err != nil {
			t.Fatal(err)
		}
		for _, hide := range []bool{false, true} {
			from, to := io.Pipe()
			out, in := io.Pipe()
			done := make(chan error, 1)
			go func() {
				r, err := c.NewReader(t.Context(), from, m, esdk.DecryptOptions{})
				if err == nil && hide {
					_, err = io.Copy(in, onlyReader{r})
				} else if err == nil {
					_, err = r.WriteTo(in)
				}
				in.CloseWithError(err)
				done <- err
			}()
			got := make([]byte, 16)
			to.Write(msg[:header.Length])
			for frame := range 9 {
				at := header.Length + frame*48
				to.Write(msg[at : at+48])
				if _, err := io.ReadFull(out, got); err != nil || !bytes.Equal(got, plaintext[16*frame:16*frame+16]) {
					t.Fatalf("frame %d: %x, %v", frame, got, err)
				}
			}
			// The last one waits for the end.
			go func() {
				to.Write(msg[header.Length+9*48:])
				to.Close()
			}()
			if _, err := io.ReadFull(out, got); err != nil || !bytes.Equal(got, plaintext[144:]) {
				t.Fatalf("the last frame: %x, %v", got, err)
			}
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
	}
}

// TestFrameErrorOfStream: of several frames that were changed the first one is
// named, and nothing of it or behind it comes out.
func TestFrameErrorOfStream(t *testing.T) {
	for _, id := range []suite.ID{suite.AES256GCMCommit, suite.AES256GCMCommitP384} {
		for _, workers := range []int{1, 3} {
			c, m, plaintext := clientFor(id, 4096, workers), static(), random(1<<20)
			msg := encrypt(t, c, m, plaintext)
			header, err := c.Inspect(bytes.NewReader(msg))
			if err != nil {
				t.Fatal(err)
			}
			for _, frame := range []int{200, 130, 40, 1} {
				msg[header.Length+(frame-1)*(4096+32)+100] ^= 1
				for _, hide := range []bool{false, true} {
					r, err := c.NewReader(t.Context(), bytes.NewReader(msg), m, esdk.DecryptOptions{})
					if err != nil {
						t.Fatal(err)
					}
					var src io.Reader = r
					if hide {
						src = onlyReader{r}
					}
					var got bytes.Buffer
					_, err = io.Copy(&got, src)
					if fe, ok := errors.AsType[*esdk.FrameError](err); !ok || int(fe.Frame) != frame {
						t.Errorf("%d workers: %v, want frame %d", workers, err, frame)
					}
					if got.Len() > (frame-1)*4096 || !bytes.HasPrefix(plaintext, got.Bytes()) {
						t.Errorf("%d workers, frame %d: %d bytes came out", workers, frame, got.Len())
					}
				}
			}
		}
	}
}

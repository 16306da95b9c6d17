package esdk_test

import (
	"bytes"
	"io"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/keywright/keywright/esdk"
	"github.com/keywright/keywright/esdk/suite"
)

// A countingWriter notes the most goroutines that there are while it is written
// to.
type countingWriter struct{ most int }

func (c *countingWriter) Write(p []byte) (int, error) {
	c.most = max(c.most, runtime.NumGoroutine())
	return len(p), nil
}

// goroutines returns how many there are, without those that have ended: one counts
// until it is gone.
func goroutines() int {
	least := runtime.NumGoroutine()
	for range 10 {
		time.Sleep(time.Millisecond)
		least = min(least, runtime.NumGoroutine())
	}
	return least
}

// TestHashedBeside: what a loop of Writes and one of Reads give out of a signed
// message is hashed while they go on, unless one goroutine has to do, and whoever
// gives up half-way leaves none behind.
func TestHashedBeside(t *testing.T) {
	m, plaintext := static(), random(4<<20)
	for id, workers := range map[suite.ID][]int{suite.AES256GCMCommitP384: {1, 2, 3}, suite.AES256GCMCommit: {2}} {
		for _, workers := range workers {
			want := workers > 1 && id == suite.AES256GCMCommitP384
			c := clientFor(id, 4096, workers)
			msg := encrypt(t, c, m, plaintext)
			checkGoroutines(t, func() {
				before := goroutines()
				var written countingWriter
				w, err := c.NewWriter(t.Context(), &written, m, esdk.EncryptOptions{})
				if err != nil {
					t.Fatal(err)
				}
				for p := range slices.Chunk(plaintext, 10_000) {
					if _, err := w.Write(p); err != nil {
						t.Fatal(err)
					}
				}
				if got := written.most > before; got != want {
					t.Errorf("%v, %d workers: hashed beside Write: %t", id, workers, got)
				}
			})
			checkGoroutines(t, func() {
				before := goroutines()
				var read countingWriter
				r, err := c.NewReader(t.Context(), bytes.NewReader(msg), m, esdk.DecryptOptions{})
				if err != nil {
					t.Fatal(err)
				}
				if _, err := io.CopyN(&read, onlyReader{r}, int64(len(plaintext)-10_000)); err != nil {
					t.Fatal(err)
				}
				if got := read.most > before; got != want {
					t.Errorf("%v, %d workers: hashed beside Read: %t", id, workers, got)
				}
			})
		}
	}
}

// TestHashBounded: who encrypts and decrypts faster than it is hashed waits.
func TestHashBounded(t *testing.T) {
	const size = 32 << 20
	m, c := static(), clientFor(suite.AES256GCMCommitP384, 4096, 2)
	msg := encrypt(t, c, m, random(size))
	allocated := func(f func()) uint64 {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		f()
		runtime.ReadMemStats(&after)
		return after.TotalAlloc - before.TotalAlloc
	}
	p := make([]byte, 64<<10)
	written := allocated(func() {
		w, err := c.NewWriter(t.Context(), io.Discard, m, esdk.EncryptOptions{})
		for range size / len(p) {
			if err == nil {
				_, err = w.Write(p)
			}
		}
		if err != nil {
			t.Fatal(err)
		}
	})
	read := allocated(func() {
		r, err := c.NewReader(t.Context(), onlyReader{bytes.NewReader(msg)}, m, esdk.DecryptOptions{})
		if err == nil {
			_, err = io.CopyBuffer(onlyWriter{io.Discard}, onlyReader{r}, p)
		}
		if err != nil {
			t.Fatal(err)
		}
	})
	if written > 4<<20 || read > 4<<20 {
		t.Errorf("%d bytes allocated to write %d, %d to read them", written, size, read)
	}
}

// TestSignatureAfterFullBuffer: a signature that has no room behind the last
// frame is not read into what is being hashed.
func TestSignatureAfterFullBuffer(t *testing.T) {
	m := static()
	for _, frame := range []int{4096, 60_000, 65_536, 70_000} {
		for _, workers := range []int{1, 2, 3} {
			c := clientFor(suite.AES256GCMCommitP384, uint32(frame), workers)
			for _, n := range []int{frame - 1, frame, 16 * 4096, 5*frame - 1, 5 * frame} {
				plaintext := random(n)
				msg := encrypt(t, c, m, plaintext)
				for _, hide := range []bool{false, true} {
					r, err := c.NewReader(t.Context(), onlyReader{bytes.NewReader(msg)}, m, esdk.DecryptOptions{})
					if err != nil {
						t.Fatal(err)
					}
					var got bytes.Buffer
					if hide {
						_, err = io.Copy(&got, onlyReader{r})
					} else {
						_, err = r.WriteTo(&got)
					}
					if err != nil || !bytes.Equal(got.Bytes(), plaintext) {
						t.Errorf("%d bytes in frames of %d, %d workers: %d bytes, %v", n, frame, workers, got.Len(), err)
					}
				}
			}
		}
	}
}

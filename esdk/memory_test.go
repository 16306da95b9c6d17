package esdk_test

import (
	"bytes"
	"context"
	"io"
	"runtime"
	"runtime/debug"
	"sync"
	"testing"

	"github.com/keywright/keywright/esdk"
	"github.com/keywright/keywright/esdk/materials"
	"github.com/keywright/keywright/esdk/suite"
)

// A keeper is a stream below that keeps what it was given, which it must not.
type keeper struct {
	io.Reader
	kept [][]byte
}

func (k *keeper) Read(p []byte) (int, error) {
	n, err := k.Reader.Read(p)
	k.kept = append(k.kept, p[:n])
	return n, err
}

func (k *keeper) Write(p []byte) (int, error) {
	k.kept = append(k.kept, p)
	return len(p), nil
}

// check fails if there is anything else than zeros in what was kept.
func (k *keeper) check(t *testing.T, what string) {
	t.Helper()
	for i, p := range k.kept {
		if len(bytes.Trim(p, "\x00")) > 0 {
			t.Errorf("%s: plaintext %d, of %d bytes, stays in memory that other streams use", what, i, len(p))
		}
	}
}

// TestStreamsLeaveNoPlaintext looks at the memory of streams after their end, as
// the stream after them would find it.
func TestStreamsLeaveNoPlaintext(t *testing.T) {
	m := static()
	for _, id := range []suite.ID{suite.AES256GCMCommit, suite.AES256GCMCommitP384} {
		for _, workers := range []int{1, 2} {
			c := clientFor(id, 4096, workers)
			plaintext := random(3<<20 + 7)
			w, err := c.NewWriter(t.Context(), io.Discard, m, esdk.EncryptOptions{})
			if err != nil {
				t.Fatal(err)
			}
			read := &keeper{Reader: bytes.NewReader(plaintext)}
			if _, err := w.ReadFrom(read); err != nil {
				t.Fatal(err)
			}
			read.check(t, "encrypted")

			msg := encrypt(t, c, m, plaintext)
			damaged := bytes.Clone(msg)
			damaged[len(damaged)/2] ^= 1
			for what, msg := range map[string][]byte{"decrypted": msg, "decrypted, damaged": damaged} {
				r, err := c.NewReader(t.Context(), onlyReader{bytes.NewReader(msg)}, m, esdk.DecryptOptions{})
				if err != nil {
					t.Fatal(err)
				}
				written := new(keeper)
				if n, err := r.WriteTo(written); (err == nil) != (n == int64(len(plaintext))) || n < 1<<20 {
					t.Fatalf("%s: %d bytes, %v", what, n, err)
				}
				written.check(t, what)
			}
		}
	}
}

// TestStreamsAtOnce: streams that hand memory on to each other do not use it at
// the same time, whether they are written and read at once or by and by.
func TestStreamsAtOnce(t *testing.T) {
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			id := []suite.ID{suite.AES256GCMCommit, suite.AES256GCMCommitP384}[i/4]
			m, c := static(), clientFor(id, []uint32{100, 4096, 60_000, 70_000}[i%4], 1+i%3)
			for n := range 12 {
				plaintext := random(i*100_001 + n*70_003)
				msg, err := encryptInParts(c, m, plaintext)
				if err != nil {
					t.Error(err)
					return
				}
				got, err := decryptInParts(c, m, msg)
				if err != nil || !bytes.Equal(got, plaintext) {
					t.Errorf("stream %d.%d: %d bytes of %d, %v", i, n, len(got), len(plaintext), err)
				}
			}
		})
	}
	wg.Wait()
}

// encryptInParts writes a quarter by Writes, a half by ReadFrom and the rest by
// Writes.
func encryptInParts(c *esdk.Client, m materials.Manager, plaintext []byte) ([]byte, error) {
	var msg bytes.Buffer
	w, err := c.NewWriter(context.Background(), onlyWriter{&msg}, m, esdk.EncryptOptions{})
	if err != nil {
		return nil, err
	}
	quarter := len(plaintext) / 4
	for i, part := range [][]byte{plaintext[:quarter], plaintext[quarter : 3*quarter], plaintext[3*quarter:]} {
		to := io.Writer(w)
		if i != 1 {
			to = onlyWriter{w}
		}
		if _, err := io.Copy(to, onlyReader{bytes.NewReader(part)}); err != nil {
			return nil, err
		}
	}
	err = w.Close()
	return msg.Bytes(), err
}

// decryptInParts reads some by Reads and the rest by WriteTo.
func decryptInParts(c *esdk.Client, m materials.Manager, msg []byte) ([]byte, error) {
	r, err := c.NewReader(context.Background(), onlyReader{bytes.NewReader(msg)}, m, esdk.DecryptOptions{})
	if err != nil {
		return nil, err
	}
	var got bytes.Buffer
	_, err = io.CopyN(onlyWriter{&got}, onlyReader{r}, int64(len(msg)/3))
	if err == nil || err == io.EOF {
		_, err = r.WriteTo(onlyWriter{&got})
	}
	return got.Bytes(), err
}

// TestStreamsHandMemoryOn: a stream costs little memory after one of its kind.
func TestStreamsHandMemoryOn(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(-1)) // a collection takes what is idle
	m, c := static(), clientFor(suite.AES256GCMCommit, 4096, 2)
	plaintext := random(4 << 20)
	msg := encrypt(t, c, m, plaintext)
	stream := func() {
		w, err := c.NewWriter(t.Context(), onlyWriter{io.Discard}, m, esdk.EncryptOptions{})
		if err == nil {
			_, err = w.ReadFrom(onlyReader{bytes.NewReader(plaintext)})
		}
		if err != nil {
			t.Fatal(err)
		}
		r, err := c.NewReader(t.Context(), onlyReader{bytes.NewReader(msg)}, m, esdk.DecryptOptions{})
		if err == nil {
			_, err = r.WriteTo(onlyWriter{io.Discard})
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	stream()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	const streams = 20
	for range streams {
		stream()
	}
	runtime.ReadMemStats(&after)
	// Without it 12 blocks each, 1.5 MiB. The race detector takes some away.
	if each := (after.TotalAlloc - before.TotalAlloc) / streams; each > 700<<10 {
		t.Errorf("%d bytes allocated to encrypt and decrypt a stream", each)
	}
}

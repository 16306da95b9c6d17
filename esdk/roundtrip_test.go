package esdk_test

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"testing"
	"testing/iotest"

	"github.com/keywright/keywright/esdk"
	"github.com/keywright/keywright/esdk/materials"
	"github.com/keywright/keywright/esdk/suite"
)

// TestRoundTrip writes each message whole and as a stream, and reads it whole,
// as a stream in several ways, and at random.
func TestRoundTrip(t *testing.T) {
	for _, s := range suite.All() {
		for _, frame := range []uint32{1, 16, 4096, 70_000} {
			for _, workers := range []int{1, 3} {
				if workers > 1 && frame != 16 || s.Signature != suite.Unsigned && frame < 16 {
					continue // TestRoundTripLarge has more work; signatures are slow
				}
				t.Run(fmt.Sprintf("%04x/%d/%d", uint16(s.ID), frame, workers), func(t *testing.T) {
					c := clientFor(s.ID, frame, workers)
					f := int(frame)
					for _, n := range []int{0, 1, f, f + 1, 5*f - 1, 20 * f} {
						if n > 1<<17 {
							continue
						}
						roundTrip(t, c, random(n))
					}
				})
			}
		}
	}
}

// TestRoundTripLarge crosses batches of frames, in readers and in writers.
func TestRoundTripLarge(t *testing.T) {
	for _, id := range []suite.ID{suite.AES256GCMCommit, suite.AES256GCMCommitP384} {
		for _, workers := range []int{1, 3} {
			c := clientFor(id, 4096, workers)
			for _, n := range []int{128 << 10, 1<<20 + 1} {
				roundTrip(t, c, random(n))
			}
		}
	}
}

func roundTrip(t *testing.T, c *esdk.Client, plaintext []byte) {
	t.Helper()
	m := esdk.Using(rawAES(t, "a"))
	want := map[string]string{"purpose": "test", "\U0001F511": "non-BMP", "\uFFFD": "BMP"}
	opts := esdk.EncryptOptions{EncryptionContext: want}
	whole, header, err := c.Encrypt(t.Context(), m, plaintext, opts)
	if err != nil {
		t.Fatal(err)
	}
	if got := len(header.EncryptionContext); got != len(want) && header.Suite.Signature == suite.Unsigned {
		t.Errorf("%d entries of context, want %d", got, len(want))
	}
	for _, step := range []int{7, 1 << 30} {
		if len(plaintext) > 1000*step {
			continue
		}
		var streamed bytes.Buffer
		w, err := c.NewWriter(t.Context(), &streamed, m, opts)
		if err != nil {
			t.Fatal(err)
		}
		for p := plaintext; len(p) > 0; p = p[min(step, len(p)):] {
			if n, err := w.Write(p[:min(step, len(p))]); err != nil || n != min(step, len(p)) {
				t.Fatalf("Write = %d, %v", n, err)
			}
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		if w.Header().Suite.Signature == suite.Unsigned && streamed.Len() != len(whole) {
			t.Fatalf("%d bytes as a stream, %d as a whole", streamed.Len(), len(whole))
		}
		checkReads(t, c, m, streamed.Bytes(), plaintext, want)
	}
	checkReads(t, c, m, whole, plaintext, want)
}

func checkReads(t *testing.T, c *esdk.Client, m materials.Manager, msg, plaintext []byte, context map[string]string) {
	t.Helper()
	got, header, err := c.Decrypt(t.Context(), m, msg, esdk.DecryptOptions{EncryptionContext: context})
	if err != nil || !bytes.Equal(got, plaintext) {
		t.Fatalf("Decrypt of %d bytes: %d bytes, %v", len(plaintext), len(got), err)
	}
	stored := maps.Clone(header.EncryptionContext)
	delete(stored, "aws-crypto-public-key")
	if !maps.Equal(stored, context) {
		t.Errorf("context is %v, want %v", stored, context)
	}
	sources := map[string]func(io.Reader) io.Reader{
		"plain": func(r io.Reader) io.Reader { return r },
		"half":  iotest.HalfReader,
		"eof":   iotest.DataErrReader,
	}
	if len(msg) < 5000 {
		sources["byte"] = iotest.OneByteReader
	}
	for name, source := range sources {
		for _, first := range []bool{false, true} {
			if first && name != "half" {
				continue
			}
			got, err := readAll(t.Context(), c, source(bytes.NewReader(msg)), m, esdk.DecryptOptions{VerifyFirst: first})
			if err != nil || !bytes.Equal(got, plaintext) {
				t.Fatalf("Reader (%s) of %d bytes: %d bytes, %v", name, len(plaintext), len(got), err)
			}
		}
	}
	r, err := c.NewReader(t.Context(), bytes.NewReader(msg), m, esdk.DecryptOptions{VerifyFirst: true})
	if err != nil {
		t.Fatal(err)
	}
	var copied bytes.Buffer
	if _, err := io.Copy(&copied, r); err != nil || !bytes.Equal(copied.Bytes(), plaintext) {
		t.Fatalf("WriteTo: %d bytes, %v", copied.Len(), err)
	}
	for _, skip := range []bool{false, true} {
		at, err := c.NewReaderAt(t.Context(), bytes.NewReader(msg), int64(len(msg)), m, esdk.DecryptOptions{SkipSignature: skip})
		if err != nil {
			t.Fatalf("NewReaderAt: %v", err)
		}
		checkReaderAt(t, at, plaintext)
	}
}

func checkReaderAt(t *testing.T, at *esdk.ReaderAt, plaintext []byte) {
	t.Helper()
	if at.Size() != int64(len(plaintext)) {
		t.Fatalf("Size = %d, want %d", at.Size(), len(plaintext))
	}
	f := int(at.Header().FrameLength)
	for _, off := range []int{0, 1, f - 1, f, 2*f + 1, len(plaintext) - 1, len(plaintext), len(plaintext) + 1} {
		for _, n := range []int{0, 1, f, 2*f + 3, len(plaintext)} {
			if off < 0 {
				continue
			}
			want := plaintext[min(off, len(plaintext)):]
			want = want[:min(n, len(want))]
			p := make([]byte, n)
			got, err := at.ReadAt(p, int64(off))
			if !bytes.Equal(p[:got], want) || (err == io.EOF) != (got < n) || err != nil && err != io.EOF {
				t.Fatalf("ReadAt(%d bytes, %d) of %d = %d, %v", n, off, len(plaintext), got, err)
			}
		}
	}
}

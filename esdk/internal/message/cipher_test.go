package message_test

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"testing"

	"github.com/keywright/keywright/esdk/internal/message"
	"github.com/keywright/keywright/esdk/suite"
)

// TestCipher seals a header and frames, and opens them only as they were
// sealed. Package esdk's tests compare the bytes with other implementations.
func TestCipher(t *testing.T) {
	for _, s := range suite.All() {
		h := header(t, s.ID)
		key := bytes.Repeat([]byte{5}, s.KeyLen)
		c, err := message.NewCipher(s, h.ID, key)
		if err != nil {
			t.Fatal(err)
		}
		h.Commitment = c.Commitment()
		if err := h.Marshal(); err != nil {
			t.Fatal(err)
		}
		c.SealHeader(h, []byte("required"))
		if err := c.OpenHeader(h, []byte("required")); err != nil || !c.Commits(h) {
			t.Errorf("%v: header: %v", s.ID, err)
		}
		if err := c.OpenHeader(h, []byte("other")); !errors.Is(err, message.ErrAuthentication) {
			t.Errorf("%v: header, other context: %v", s.ID, err)
		}
		var scratch message.Scratch
		for kind, seq := range map[message.Kind]uint32{message.Regular: 1, message.Final: 2} {
			plaintext := bytes.Repeat([]byte{3}, 16)
			frame := c.SealRun(nil, plaintext, seq, 16, &scratch)
			if kind == message.Final {
				frame = c.SealFinal(nil, plaintext, seq, &scratch)
			}
			scan := message.NewScanner(h, 0)
			scan.Seek(seq)
			f, size, err := scan.Next(frame)
			if err != nil || size != len(frame) || f.Kind != kind || f.Seq != seq {
				t.Fatalf("%v: frame %+v, %d bytes, %v", s.ID, f, size, err)
			}
			if got, err := c.OpenFrame(nil, &f, &scratch); err != nil || !bytes.Equal(got, plaintext) {
				t.Errorf("%v: %x, %v", s.ID, got, err)
			}
			for name, change := range map[string]func(*message.Frame){
				"kind":   func(f *message.Frame) { f.Kind = message.Unframed },
				"number": func(f *message.Frame) { f.Seq++ },
				"length": func(f *message.Frame) { f.Sealed = f.Sealed[1:] },
			} {
				other := f
				change(&other)
				if _, err := c.OpenFrame(nil, &other, &scratch); !errors.Is(err, message.ErrAuthentication) {
					t.Errorf("%v: another %s: %v", s.ID, name, err)
				}
			}
			h.ID[0] ^= 1
			moved, err := message.NewCipher(s, h.ID, key)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := moved.OpenFrame(nil, &f, &scratch); !errors.Is(err, message.ErrAuthentication) {
				t.Errorf("%v: another message: %v", s.ID, err)
			}
			if s.Committing && moved.Commits(h) {
				t.Errorf("%v: commits under another id", s.ID)
			}
			h.ID[0] ^= 1
		}
		if _, err := message.NewCipher(s, h.ID, key[1:]); err == nil {
			t.Errorf("%v: short key accepted", s.ID)
		}
	}
}

// TestRuns seals some frames together, and opens them so, of which one was changed.
func TestRuns(t *testing.T) {
	h := header(t, suite.AES256GCMCommit)
	c, err := message.NewCipher(h.Suite, h.ID, bytes.Repeat([]byte{5}, 32))
	if err != nil {
		t.Fatal(err)
	}
	const first, frames = 1<<24 - 2, 5 // all bytes of a number change
	var scratch message.Scratch
	length := int(h.FrameLength)
	plaintext := make([]byte, frames*length)
	rand.Read(plaintext)
	body := c.SealRun(nil, plaintext, first, length, &scratch)
	for one, i := body, 0; i < frames; i++ {
		scan := message.NewScanner(h, 0)
		scan.Seek(first + uint32(i))
		f, size, err := scan.Next(one)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := c.OpenFrame(nil, &f, &scratch); err != nil || !bytes.Equal(got, plaintext[i*length:][:length]) {
			t.Fatalf("frame %d of the run: %d bytes, %v", i, len(got), err)
		}
		one = one[size:]
	}
	run := func(from uint32, body []byte) message.Run {
		s := message.NewScanner(h, 0)
		s.Seek(from)
		return s.Run(body, frames)
	}
	r := run(first, body)
	plain, _, err := c.OpenRun([]byte("before"), &r, &scratch)
	if err != nil || string(plain) != "before"+string(plaintext) {
		t.Fatalf("%d bytes of %d, %v", len(plain), len(plaintext), err)
	}
	stride := len(body) / frames
	for i := range body {
		if i%stride < 4 {
			continue // the number, which Run looks at
		}
		body[i] ^= 1
		r := run(first, body)
		if plain, failed, err := c.OpenRun(nil, &r, &scratch); plain != nil || failed != first+uint32(i/stride) || !errors.Is(err, message.ErrAuthentication) {
			t.Fatalf("byte %d changed: %d bytes, frame %d, %v", i, len(plain), failed, err)
		}
		body[i] ^= 1
	}
	// A frame under the number of another.
	binary.BigEndian.PutUint32(body, first-1)
	r = run(first-1, body[:stride])
	if _, failed, err := c.OpenRun(nil, &r, &scratch); failed != first-1 || !errors.Is(err, message.ErrAuthentication) {
		t.Errorf("another number: frame %d, %v", failed, err)
	}
}

// TestNoAllocation: frames cost none.
func TestNoAllocation(t *testing.T) {
	h := header(t, suite.AES256GCMCommit)
	c, err := message.NewCipher(h.Suite, h.ID, bytes.Repeat([]byte{5}, 32))
	if err != nil {
		t.Fatal(err)
	}
	scratch, plaintext := new(message.Scratch), make([]byte, 16)
	sealed, opened := make([]byte, 0, 64), make([]byte, 0, 16)
	scan := message.NewScanner(h, 0)
	if n := testing.AllocsPerRun(100, func() {
		scan.Seek(9)
		frame := c.SealRun(sealed, plaintext, 9, 16, scratch)
		f, _, err := scan.Next(frame)
		if err == nil {
			_, err = c.OpenFrame(opened, &f, scratch)
		}
		if err == nil {
			scan.Seek(9)
			run := scan.Run(frame, 1)
			_, _, err = c.OpenRun(opened, &run, scratch)
		}
		if err != nil {
			t.Fatal(err)
		}
	}); n > 0 {
		t.Errorf("%v allocations for a frame", n)
	}
}

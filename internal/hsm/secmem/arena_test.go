package secmem_test

import (
	"bytes"
	"sync"
	"testing"

	"github.com/keywright/keywright/internal/hsm/secmem"
)

// TestArenaSlots fills an arena, empties it and fills it again: no two secrets
// share a byte, and secrets beyond the slots are kept all the same.
func TestArenaSlots(t *testing.T) {
	const slots, size = 300, 40 // 12,000 bytes: not a whole number of pages
	arena := newArena(t, size, slots)
	for round := range 3 {
		var all []secmem.Secret
		for i := range slots + 5 {
			all = append(all, arena.New(bytes.Repeat([]byte{byte(i), byte(round)}, size/2)))
		}
		all = append(all, arena.New(bytes.Repeat([]byte{1}, size+1)), arena.New(nil))
		for i := range slots + 5 {
			if want := bytes.Repeat([]byte{byte(i), byte(round)}, size/2); !bytes.Equal(all[i].Bytes(), want) {
				t.Fatalf("round %d: secret %d is %x, want %x", round, i, all[i].Bytes(), want)
			}
		}
		if got := all[slots+5].Bytes(); !bytes.Equal(got, bytes.Repeat([]byte{1}, size+1)) {
			t.Errorf("a secret longer than a slot is %x", got)
		}
		for _, s := range all {
			s.Release()
		}
	}
}

// TestArenaReuse: a slot comes back zeroed, also where the next secret in it is
// shorter.
func TestArenaReuse(t *testing.T) {
	arena := newArena(t, 32, 1)
	s := arena.New(bytes.Repeat([]byte{0xff}, 32))
	memory := s.Bytes()
	s.Release()
	s = arena.New([]byte{1})
	defer s.Release()
	if want := append([]byte{1}, make([]byte, 31)...); !bytes.Equal(memory, want) {
		t.Errorf("the slot holds %x, want %x", memory, want)
	}
	if got := s.Bytes(); len(got) != 1 || cap(got) != 1 {
		t.Errorf("Bytes has length %d and capacity %d, want 1 and 1: append would write on", len(got), cap(got))
	}
}

// TestArenaClose: secrets outlive Close until they are released, and New goes on
// working.
func TestArenaClose(t *testing.T) {
	arena := secmem.NewArena(32, 2)
	before := newSecret(t, arena, "before")
	arena.Close()
	arena.Close()
	if string(before.Bytes()) != "before" {
		t.Errorf("after Close the secret is %q", before.Bytes())
	}
	after := newSecret(t, arena, "after")
	before.Release()
	if string(after.Bytes()) != "after" {
		t.Errorf("a secret made after Close is %q", after.Bytes())
	}
	after.Release()
}

func TestArenaConcurrent(t *testing.T) {
	arena := newArena(t, 16, 8)
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			want := bytes.Repeat([]byte{byte(g + 1)}, 16)
			for range 500 {
				s, other := arena.New(want), arena.New(want)
				if !bytes.Equal(s.Bytes(), want) || !bytes.Equal(other.Bytes(), want) {
					t.Errorf("secret is %x, want %x", s.Bytes(), want)
				}
				s.Release()
				other.Release()
			}
		})
	}
	wg.Wait()
}

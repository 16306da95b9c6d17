package secmem_test

import (
	"bytes"
	"encoding/gob"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/keywright/keywright/internal/hsm/secmem"
)

const marker = "SECRET-BYTES-0123456789"

func newSecret(t testing.TB, arena *secmem.Arena, b string) secmem.Secret {
	t.Helper()
	s := arena.New([]byte(b))
	if string(s.Bytes()) != b {
		t.Fatalf("Bytes returned %q, want %q", s.Bytes(), b)
	}
	return s
}

func newArena(t testing.TB, slotSize, slots int) *secmem.Arena {
	t.Helper()
	a := secmem.NewArena(slotSize, slots)
	t.Cleanup(a.Close)
	return a
}

func TestSecretIsNotPrinted(t *testing.T) {
	arena := newArena(t, 64, 1)
	cache := secmem.NewCache[int](arena, 64)
	s := newSecret(t, arena, marker)
	defer s.Release()
	cache.Put([]byte("key"), s.Bytes(), 1).Release()
	defer cache.Close()
	inner := struct {
		unexported secmem.Secret
		Exported   secmem.Secret
		pointer    *secmem.Secret
		list       []secmem.Secret
		arena      *secmem.Arena
		cache      *secmem.Cache[int]
	}{s, s, &s, []secmem.Secret{s}, arena, cache}

	check := func(how, out string) {
		t.Helper()
		for _, form := range []string{
			marker,
			fmt.Sprintf("%x", marker), fmt.Sprintf("%X", marker),
			strings.Trim(fmt.Sprint([]byte(marker)), "[]"),
			fmt.Sprintf("%#x", marker[0]) + ", ",
		} {
			if strings.Contains(out, form) {
				t.Errorf("%s printed the secret: %s", how, out)
			}
		}
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%c", "%U", "%b", "%o", "%e", "%t", "%p", "%T", "%20.3s"} {
		for _, v := range []any{s, &s, inner, &inner, []any{s}, map[string]any{"k": inner}, arena, cache} {
			check(verb, fmt.Sprintf(verb, v))
		}
	}
	for _, verb := range []string{"%v", "%s", "%x", "%#v"} {
		if got := fmt.Sprintf(verb, s); got != "[secret]" {
			t.Errorf("%s printed %q, want [secret]", verb, got)
		}
	}
	check("String", s.String())
	check("GoString", s.GoString())
	check("an error", fmt.Errorf("error with %v", s).Error())

	for _, handler := range []func(*bytes.Buffer) slog.Handler{
		func(b *bytes.Buffer) slog.Handler { return slog.NewJSONHandler(b, nil) },
		func(b *bytes.Buffer) slog.Handler { return slog.NewTextHandler(b, nil) },
	} {
		var out bytes.Buffer
		slog.New(handler(&out)).Info("message", "secret", s, "pointer", &s, "inner", inner, "list", []secmem.Secret{s})
		check("slog", out.String())
		if !strings.Contains(out.String(), "[secret]") {
			t.Errorf("slog printed %s, want [secret] in it", out.String())
		}
	}

	if out, err := json.Marshal(s); err == nil {
		t.Errorf("encoding/json marshalled %s", out)
	}
	if out, err := json.Marshal(map[string]any{"k": &s}); err == nil {
		t.Errorf("encoding/json marshalled %s", out)
	}
	if out, err := s.MarshalText(); err == nil {
		t.Errorf("MarshalText returned %s", out)
	}
	if err := gob.NewEncoder(new(bytes.Buffer)).Encode(s); err == nil {
		t.Error("encoding/gob marshalled a secret")
	}
}

func TestSecretIsWiped(t *testing.T) {
	arena := newArena(t, 64, 1)
	for _, where := range []string{"slot", "heap"} {
		s := newSecret(t, arena, marker) // the second finds the one slot taken
		memory := s.Bytes()
		if !s.Retain() {
			t.Fatalf("%s: Retain of a live secret failed", where)
		}
		s.Release()
		if string(memory) != marker {
			t.Fatalf("%s: Release wiped a secret that is still in use", where)
		}
		if where == "slot" {
			defer func() {
				s.Release()
				if !bytes.Equal(memory, make([]byte, len(marker))) {
					t.Error("slot: the last Release did not wipe the secret")
				}
			}()
			continue
		}
		s.Release()
		if !bytes.Equal(memory, make([]byte, len(marker))) {
			t.Error("heap: the last Release did not wipe the secret")
		}
		if s.Retain() {
			t.Error("Retain of a released secret succeeded")
		}
		if s.Bytes() != nil {
			t.Error("Bytes of a released secret returned memory")
		}
		func() {
			defer func() {
				if recover() == nil {
					t.Error("Release of a released secret did not panic")
				}
			}()
			s.Release()
		}()
	}
}

func TestZeroSecret(t *testing.T) {
	var s secmem.Secret
	if s.Retain() || s.Bytes() != nil {
		t.Error("the zero Secret is not empty")
	}
	s.Release()
	if got := fmt.Sprint(s); got != "[secret]" {
		t.Errorf("the zero Secret printed %q", got)
	}
}

func TestDo(t *testing.T) {
	ran := 0
	secmem.Do(func() { ran++ })
	if ran != 1 {
		t.Errorf("Do ran its function %d times", ran)
	}
}

package seal_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"

	"github.com/keywright/keywright/internal/seal"
)

func TestSealOpen(t *testing.T) {
	kr := newVault(t).kr
	for _, plaintext := range []string{"", "x", strings.Repeat("policy", 1000)} {
		sealed := kr.Seal("a/1", []byte(plaintext))
		if got, want := len(sealed), len(plaintext)+seal.Overhead; got != want {
			t.Errorf("sealed length = %d, want %d", got, want)
		}
		got, err := kr.Open("a/1", sealed)
		if err != nil || string(got) != plaintext {
			t.Errorf("Open = %q, %v", got, err)
		}
	}
	if bytes.Equal(kr.Seal("a", []byte("x")), kr.Seal("a", []byte("x"))) {
		t.Error("two seals of the same plaintext are equal")
	}
}

func TestOpenRefusesByName(t *testing.T) {
	kr := newVault(t).kr
	sealed := kr.Seal("account/1/alias/2", []byte("a record"))
	refused := func(what, path string, value []byte) {
		t.Helper()
		_, err := kr.Open(path, value)
		if re, ok := errors.AsType[*seal.RecordError](err); !ok || re.Path != path || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: error = %v, want a RecordError that names %s", what, err, path)
		}
	}
	for bit := range 8 * len(sealed) {
		changed := bytes.Clone(sealed)
		changed[bit/8] ^= 1 << (bit % 8)
		refused(fmt.Sprintf("bit %d", bit), "account/1/alias/2", changed)
	}
	for n := range len(sealed) {
		refused(fmt.Sprintf("cut to %d bytes", n), "account/1/alias/2", sealed[:n])
	}
	refused("one byte more", "account/1/alias/2", append(bytes.Clone(sealed), 0))
	refused("moved", "account/1/alias/3", sealed)
	refused("moved to a longer path", "account/1/alias/22", sealed)
	refused("of another store", "account/1/alias/2", newVault(t).kr.Seal("account/1/alias/2", []byte("a record")))
}

func TestName(t *testing.T) {
	v := newVault(t)
	name := v.kr.Name("alias", "1/eu-west-1", "orders")
	if name != v.kr.Name("alias", "1/eu-west-1", "orders") {
		t.Error("the same name differs")
	}
	if name != unlock(t, v.st, v.root).Name("alias", "1/eu-west-1", "orders") {
		t.Error("the name differs after the store was unlocked again")
	}
	for _, other := range [][3]string{
		{"user", "1/eu-west-1", "orders"},
		{"alias", "2/eu-west-1", "orders"},
		{"alias", "1/eu-west-1", "order"},
		{"alias", "1/eu-west-1o", "rders"},
		{"aliass", "1/eu-west-1", "orders"},
	} {
		if v.kr.Name(other[0], other[1], other[2]) == name {
			t.Errorf("Name(%q) is that of the first", other)
		}
	}
	if newVault(t).kr.Name("alias", "1/eu-west-1", "orders") == name {
		t.Error("two stores have the same name")
	}
}

func TestDerive(t *testing.T) {
	v := newVault(t)
	a := v.kr.Derive("keywright/a")
	if a == v.kr.Derive("keywright/b") {
		t.Error("two labels give one key")
	}
	if a != unlock(t, v.st, v.root).Derive("keywright/a") {
		t.Error("the key differs after the store was unlocked again")
	}
}

func TestKeyringDoesNotPrint(t *testing.T) {
	kr := newVault(t).kr
	derived := seal.Base(kr)
	holder := struct {
		name string
		kr   *seal.Keyring
		Pub  *seal.Keyring
	}{"x", kr, kr}
	var log bytes.Buffer
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "kr", kr, "holder", holder)
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "kr", kr, "holder", holder)
	js, err := json.Marshal(holder)
	if err != nil {
		t.Fatal(err)
	}
	log.Write(js)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%d", "%q"} {
		fmt.Fprintf(&log, verb, kr)
		fmt.Fprintf(&log, verb, holder)
		fmt.Fprintf(&log, verb, seal.BaseSecret(kr))
		fmt.Fprintf(&log, verb, seal.NewMemoryRootKey())
		p := passphrase("correct horse battery")
		fmt.Fprintf(&log, verb, p)
	}
	for _, form := range []string{"%x", "%X", "%d", "%s", "%q"} {
		text := strings.Trim(fmt.Sprintf(form, derived), "[]")
		if strings.Contains(log.String(), text) {
			t.Errorf("the base secret is in the output as %s", form)
		}
	}
	if !strings.Contains(log.String(), "[secret]") {
		t.Error("a secret does not print as [secret]")
	}
}

func TestClose(t *testing.T) {
	v := newVault(t)
	sealed := v.kr.Seal("a", []byte("x"))
	base := seal.BaseSecret(v.kr)
	if err := v.kr.Close(); err != nil {
		t.Fatal(err)
	}
	if err := v.kr.Close(); err != nil {
		t.Errorf("second Close: %v", err)
	}
	if _, err := v.kr.Open("a", sealed); !errors.Is(err, seal.ErrClosed) {
		t.Errorf("Open after Close: %v, want ErrClosed", err)
	}
	if !seal.IsZero(base) {
		t.Error("Close did not wipe the base secret")
	}
	defer func() {
		if recover() == nil {
			t.Error("Seal after Close did not panic")
		}
	}()
	v.kr.Seal("a", nil)
}

func TestKeyringConcurrent(t *testing.T) {
	v := newVault(t)
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if _, err := v.kr.Open("a", v.kr.Seal("a", []byte("x"))); err != nil {
					// A record sealed just before a key was destroyed.
					if _, ok := errors.AsType[*seal.RecordError](err); !ok {
						t.Error(err)
						return
					}
				}
				v.kr.Name("a", "b", "c")
			}
		})
	}
	for range 20 {
		if _, err := seal.RotateStoreKey(t.Context(), v.st, v.kr, rotation(v.root, v.recoveryKey(t))); err != nil {
			t.Error(err)
			break
		}
	}
	close(stop)
	wg.Wait()
	if got := v.kr.Versions(); len(got) != 1 || got[0] != 21 {
		t.Errorf("Versions = %v, want [21]", got)
	}
}

func BenchmarkSeal(b *testing.B) {
	kr := newVault(b).kr
	plaintext := make([]byte, 600)
	b.ReportAllocs()
	b.SetBytes(600)
	for b.Loop() {
		kr.Seal("k/123456789012/1234abcd-12ab-34cd-56ef-1234567890ab", plaintext)
	}
}

func BenchmarkOpen(b *testing.B) {
	kr := newVault(b).kr
	const path = "k/123456789012/1234abcd-12ab-34cd-56ef-1234567890ab"
	sealed := kr.Seal(path, make([]byte, 600))
	b.ReportAllocs()
	b.SetBytes(600)
	for b.Loop() {
		if _, err := kr.Open(path, sealed); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkName(b *testing.B) {
	kr := newVault(b).kr
	b.ReportAllocs()
	for b.Loop() {
		kr.Name("alias", "123456789012/eu-west-1", "alias/orders")
	}
}

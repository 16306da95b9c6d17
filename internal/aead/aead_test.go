package aead_test

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/keywright/keywright/internal/aead"
)

type hexBytes []byte

func (h *hexBytes) UnmarshalText(text []byte) (err error) {
	*h, err = hex.DecodeString(string(text))
	return err
}

// vector is an entry of testdata/vectors.json, which testdata/vectors.py made.
type vector struct {
	Label          string
	Key            hexBytes
	Context        hexBytes
	N              hexBytes
	IV             hexBytes
	AdditionalData hexBytes
	Plaintext      hexBytes
	Derived        hexBytes
	Sealed         hexBytes
}

func vectors(t testing.TB) []vector {
	t.Helper()
	data, err := os.ReadFile("testdata/vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	var all []vector
	if err := json.Unmarshal(data, &all); err != nil {
		t.Fatal(err)
	}
	if len(all) != 7 {
		t.Fatalf("%d vectors, want 7", len(all))
	}
	return all
}

func TestVectors(t *testing.T) {
	for i, v := range vectors(t) {
		if k := aead.DeriveKeys(v.Key, v.Label, v.Context, [16]byte(v.N)); !bytes.Equal(k[:], v.Derived) {
			t.Errorf("vector %d: derived %x, want %x", i, k, v.Derived)
		}
		got, err := aead.Open(nil, v.Key, v.Label, v.Context, v.AdditionalData, v.Sealed)
		if err != nil || !bytes.Equal(got, v.Plaintext) {
			t.Errorf("vector %d: Open returned %x, %v; want %x", i, got, err, v.Plaintext)
		}
		// Seal draws the IV itself, so all but what hangs on it is compared.
		sealed := aead.SealWithN(nil, v.Key, v.Label, v.Context, v.AdditionalData, v.Plaintext, [16]byte(v.N))
		if len(sealed) != len(v.Sealed) || !bytes.Equal(sealed[:48], v.Sealed[:48]) {
			t.Errorf("vector %d: Seal wrote %d bytes beginning %x; want %d beginning %x", i, len(sealed), sealed[:48], len(v.Sealed), v.Sealed[:48])
		}
	}
}

// TestKDFOpenSSL compares the KDF with OpenSSL's.
func TestKDFOpenSSL(t *testing.T) {
	version, err := exec.Command("openssl", "version").Output()
	if err != nil || !strings.HasPrefix(string(version), "OpenSSL 3.") {
		if os.Getenv("CI") == "true" {
			t.Fatalf("openssl 3 is needed: version %q, error %v", version, err)
		}
		t.Skip("needs openssl 3, for its SP 800-108 KDF")
	}
	for i, v := range vectors(t) {
		out, err := exec.Command("openssl", "kdf", "-binary", "-keylen", "64",
			"-kdfopt", "mac:HMAC", "-kdfopt", "digest:SHA256", "-kdfopt", "mode:COUNTER",
			"-kdfopt", "hexkey:"+hex.EncodeToString(v.Key),
			"-kdfopt", "hexsalt:"+hex.EncodeToString([]byte(v.Label)),
			"-kdfopt", "hexinfo:"+hex.EncodeToString(append(bytes.Clone(v.Context), v.N...)),
			"KBKDF").CombinedOutput()
		if err != nil {
			t.Fatalf("vector %d: openssl kdf: %v: %s", i, err, out)
		}
		if k := aead.DeriveKeys(v.Key, v.Label, v.Context, [16]byte(v.N)); !bytes.Equal(k[:], out) {
			t.Errorf("vector %d: derived %x, OpenSSL %x", i, k, out)
		}
	}
}

// TestKDFLengths compares the KDF, whose HMAC is written out, with crypto/hmac
// for inputs on both sides of every border of a block and a buffer.
func TestKDFLengths(t *testing.T) {
	key, n := bytes.Repeat([]byte{7}, 32), [16]byte{1, 2, 3}
	for length := range 600 {
		context := bytes.Repeat([]byte{byte(length)}, length)
		var want []byte
		for i := byte(1); i <= 2; i++ {
			h := hmac.New(sha256.New, key)
			h.Write([]byte{0, 0, 0, i})
			h.Write([]byte("label\x00"))
			h.Write(context)
			h.Write(n[:])
			h.Write([]byte{0, 0, 2, 0})
			want = h.Sum(want)
		}
		if got := aead.DeriveKeys(key, "label", context, n); !bytes.Equal(got[:], want) {
			t.Fatalf("context of %d bytes: derived %x, want %x", length, got, want)
		}
	}
}

func TestSealOpen(t *testing.T) {
	key, context, aad := bytes.Repeat([]byte{7}, 32), []byte("context"), []byte("additional data")
	seen := map[string]bool{}
	for _, n := range []int{0, 1, 16, 100, 5000} {
		plaintext := bytes.Repeat([]byte{0xa5}, n)
		sealed := aead.Seal([]byte("before"), key, "label", context, aad, plaintext)
		if !bytes.HasPrefix(sealed, []byte("before")) || len(sealed) != len("before")+n+aead.Overhead {
			t.Fatalf("Seal of %d bytes did not append %d to dst", n, n+aead.Overhead)
		}
		sealed = sealed[len("before"):]
		if seen[string(sealed[:16])] || seen[string(sealed[48:60])] {
			t.Errorf("Seal of %d bytes used an N or IV again", n)
		}
		seen[string(sealed[:16])], seen[string(sealed[48:60])] = true, true
		got, err := aead.Open([]byte("before"), key, "label", context, aad, sealed)
		if err != nil || string(got) != "before"+string(plaintext) {
			t.Errorf("Open of %d bytes returned %x, %v", n, got, err)
		}
	}
}

// TestOpenRefuses: whatever is another than it was at Seal.
func TestOpenRefuses(t *testing.T) {
	key, context, aad := bytes.Repeat([]byte{7}, 32), []byte("context"), []byte("additional data")
	sealed := aead.Seal(nil, key, "label", context, aad, []byte("plaintext"))
	flip := func(b []byte, bit int) []byte {
		b = bytes.Clone(b)
		b[bit/8] ^= 1 << (bit % 8)
		return b
	}
	refused := func(what string, key []byte, label string, context, aad, sealed []byte) {
		t.Helper()
		if got, err := aead.Open([]byte("dst"), key, label, context, aad, sealed); !errors.Is(err, aead.ErrOpen) || got != nil {
			t.Errorf("Open with %s returned %x, %v; want ErrOpen", what, got, err)
		}
	}
	for bit := range 8 * len(sealed) {
		refused("a bit flipped", key, "label", context, aad, flip(sealed, bit))
	}
	for n := range len(sealed) {
		refused("the end cut off", key, "label", context, aad, sealed[:n])
		refused("the start cut off", key, "label", context, aad, sealed[n+1:])
	}
	refused("a byte more", key, "label", context, aad, append(bytes.Clone(sealed), 0))
	for bit := range 8 * len(key) {
		refused("another key", flip(key, bit), "label", context, aad, sealed)
	}
	refused("another label", key, "labem", context, aad, sealed)
	refused("no label", key, "", context, aad, sealed)
	for bit := range 8 * len(context) {
		refused("another context", key, "label", flip(context, bit), aad, sealed)
	}
	refused("no context", key, "label", nil, aad, sealed)
	refused("label and context moved", key, "labelcontext", nil, aad, sealed)
	for bit := range 8 * len(aad) {
		refused("other additional data", key, "label", context, flip(aad, bit), sealed)
	}
	refused("no additional data", key, "label", context, nil, sealed)
	refused("context and additional data exchanged", key, "label", aad, context, sealed)
	if _, err := aead.Open(nil, key, "label", context, aad, sealed); err != nil {
		t.Errorf("Open of the message itself: %v", err)
	}
}

func TestInputsUntouched(t *testing.T) {
	inputs := [][]byte{bytes.Repeat([]byte{7}, 32), []byte("context"), []byte("additional data"), []byte("plaintext")}
	var copies [][]byte
	for _, in := range inputs {
		copies = append(copies, bytes.Clone(in))
	}
	sealed := aead.Seal(nil, inputs[0], "label", inputs[1], inputs[2], inputs[3])
	before := bytes.Clone(sealed)
	aead.Open(nil, inputs[0], "label", inputs[1], inputs[2], sealed)
	aead.Open(nil, inputs[0], "label", inputs[1], nil, sealed)
	for i := range inputs {
		if !bytes.Equal(inputs[i], copies[i]) {
			t.Errorf("argument %d was changed", i)
		}
	}
	if !bytes.Equal(sealed, before) {
		t.Error("Open changed the sealed message")
	}
}

func TestKeySizePanics(t *testing.T) {
	for _, n := range []int{0, 16, 31, 33, 64} {
		for name, f := range map[string]func([]byte){
			"Seal": func(key []byte) { aead.Seal(nil, key, "label", nil, nil, nil) },
			"Open": func(key []byte) { aead.Open(nil, key, "label", nil, nil, make([]byte, 100)) },
		} {
			func() {
				defer func() {
					if recover() == nil {
						t.Errorf("%s with a key of %d bytes did not panic", name, n)
					}
				}()
				f(make([]byte, n))
			}()
		}
	}
}

// FuzzOpen: nothing opens but what was sealed, and that only as it was.
func FuzzOpen(f *testing.F) {
	v := vectors(f)[4]
	for _, w := range vectors(f) {
		f.Add([]byte(w.Sealed), []byte(w.AdditionalData))
	}
	f.Add([]byte(v.Sealed[:aead.Overhead]), []byte(v.AdditionalData))
	f.Add(append([]byte(v.Sealed), 0), []byte(v.AdditionalData))
	f.Fuzz(func(t *testing.T, sealed, aad []byte) {
		before := bytes.Clone(sealed)
		got, err := aead.Open(nil, v.Key, v.Label, v.Context, aad, sealed)
		opens := bytes.Equal(sealed, v.Sealed) && bytes.Equal(aad, v.AdditionalData)
		if opens != (err == nil) || err != nil && (got != nil || !errors.Is(err, aead.ErrOpen)) {
			t.Errorf("Open of %x returned %x, %v", sealed, got, err)
		}
		if !bytes.Equal(sealed, before) {
			t.Error("Open changed the sealed message")
		}
	})
}

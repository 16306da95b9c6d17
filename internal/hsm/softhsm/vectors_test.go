package softhsm_test

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"os"
	"testing"

	"github.com/keywright/keywright/internal/aead"
	"github.com/keywright/keywright/internal/ciphertext"
	"github.com/keywright/keywright/internal/hsm"
	"github.com/keywright/keywright/internal/hsm/softhsm"
)

type hexBytes []byte

func (h *hexBytes) UnmarshalText(text []byte) (err error) {
	*h, err = hex.DecodeString(string(text))
	return err
}

// vector is an entry of testdata/vectors.json, which testdata/vectors.py made.
type vector struct {
	DomainVersion     uint32
	DomainKey         hexBytes
	Account           string
	Region            string
	KeyID             string
	EncryptionContext map[string]string
	MaterialID        hexBytes
	Token             hexBytes
	BlobKey           hexBytes
	BlobContext       hexBytes
	Header            hexBytes
	AAD               hexBytes
	Plaintext         hexBytes
	Blob              hexBytes
}

func (v *vector) attrs() hsm.Attributes {
	a := testAttrs
	a.Account, a.KeyID = v.Account, v.KeyID
	return a
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
	if len(all) != 4 {
		t.Fatalf("%d vectors, want 4", len(all))
	}
	return all
}

// TestVectors opens blobs that another implementation made, through everything
// that a Decrypt passes.
func TestVectors(t *testing.T) {
	for i, v := range vectors(t) {
		m := open(t, softhsm.DomainKeys{Keys: map[uint32][]byte{v.DomainVersion: v.DomainKey}, Active: v.DomainVersion}, softhsm.Options{})
		attrs, id, err := m.Inspect(t.Context(), hsm.Token(v.Token))
		if err != nil {
			t.Fatalf("vector %d: Inspect: %v", i, err)
		}
		if attrs != v.attrs() || !bytes.Equal(id[:], v.MaterialID) {
			t.Errorf("vector %d: Inspect returned %v, %x; want %v, %x", i, attrs, id, v.attrs(), v.MaterialID)
		}

		h, raw, body, err := ciphertext.Parse(v.Blob)
		if err != nil {
			t.Fatalf("vector %d: Parse: %v", i, err)
		}
		want := ciphertext.Header{Suite: ciphertext.SuiteSoftware, Account: v.Account, Region: v.Region, KeyID: v.KeyID, MaterialID: id}
		if h != want || !bytes.Equal(raw, v.Header) {
			t.Errorf("vector %d: Parse returned %+v, %x; want %+v, %x", i, h, raw, want, v.Header)
		}
		if enc, err := want.Append(nil); err != nil || !bytes.Equal(enc, v.Header) {
			t.Errorf("vector %d: Append returned %x, %v; want %x", i, enc, err, v.Header)
		}
		aad, err := ciphertext.AAD(nil, raw, v.EncryptionContext)
		if err != nil {
			t.Fatalf("vector %d: AAD: %v", i, err)
		}
		if !bytes.Equal(aad, v.AAD) {
			t.Errorf("vector %d: AAD is %x, want %x", i, aad, v.AAD)
		}
		if plaintext, err := m.Decrypt(t.Context(), nil, hsm.Token(v.Token), aad, body); err != nil || !bytes.Equal(plaintext, v.Plaintext) {
			t.Errorf("vector %d: Decrypt returned %x, %v; want %x", i, plaintext, err, v.Plaintext)
		}
		if kctx := softhsm.BlobContext(v.KeyID, id); !bytes.Equal(kctx[:], v.BlobContext) {
			t.Errorf("vector %d: context of the KDF is %x, want %x", i, kctx, v.BlobContext)
		}
		// The body is plain aead under the derived key.
		if plaintext, err := aead.Open(nil, v.BlobKey, "keywright/blob", v.BlobContext, v.AAD, body); err != nil || !bytes.Equal(plaintext, v.Plaintext) {
			t.Errorf("vector %d: aead.Open returned %x, %v; want %x", i, plaintext, err, v.Plaintext)
		}
	}
}

// unseal opens a token of domain by the specification, and returns its parts.
func unseal(t *testing.T, domain softhsm.DomainKeys, token hsm.Token) (header, binding, material []byte) {
	t.Helper()
	header = token[:len(token)-aead.Overhead-64]
	plain, err := aead.Open(nil, domain.Keys[domain.Active], "keywright/token", nil, header, token[len(header):])
	if err != nil {
		t.Fatal(err)
	}
	return header, plain[:32], plain[32:]
}

// forge makes a token of the Module that has domain, as someone could who has
// its domain keys and gets the material wrong.
func forge(domain softhsm.DomainKeys, header, binding, material []byte) hsm.Token {
	header = bytes.Clone(header)
	return aead.Seal(header, domain.Keys[domain.Active], "keywright/token", nil, header, append(bytes.Clone(binding), material...))
}

// TestMaterialID: a token that opens is refused all the same unless its material
// is the one that its id names.
func TestMaterialID(t *testing.T) {
	v := vectors(t)[0]
	domain := softhsm.DomainKeys{Keys: map[uint32][]byte{v.DomainVersion: v.DomainKey}, Active: v.DomainVersion}
	m := open(t, domain, softhsm.Options{})
	header, binding, material := unseal(t, domain, hsm.Token(v.Token))
	if _, _, err := m.Inspect(t.Context(), forge(domain, header, binding, material)); err != nil {
		t.Fatalf("Inspect of a forged but right token: %v", err)
	}
	flipped := func(b []byte, i int) []byte {
		b = bytes.Clone(b)
		b[i] ^= 1
		return b
	}
	// withID is the header with the material id that is right for material.
	withID := func(material []byte) []byte {
		h := hmac.New(sha256.New, binding)
		h.Write([]byte("keywright/material-id\x00" + v.KeyID + "\x00"))
		h.Write(material)
		return h.Sum(bytes.Clone(header[:len(header)-32]))
	}
	if !bytes.Equal(withID(material), header) {
		t.Fatal("the test's material id is not the vector's")
	}
	long := append(bytes.Clone(material), 0)
	for name, token := range map[string]hsm.Token{
		"short material, its id": forge(domain, withID(material[:31]), binding, material[:31]),
		"long material, its id":  forge(domain, withID(long), binding, long),
		"no material, its id":    forge(domain, withID(nil), binding, nil),
		"another binding secret": forge(domain, header, flipped(binding, 0), material),
		"other material":         forge(domain, header, binding, flipped(material, 31)),
		"another material id":    forge(domain, flipped(header, len(header)-1), binding, material),
		"another key id":         forge(domain, bytes.Replace(header, []byte("1234abcd-12ab"), []byte("1234abcd-12ac"), 1), binding, material),
		"short material":         forge(domain, header, binding, material[:31]),
		"no material":            forge(domain, header, binding, nil),
		"nothing":                forge(domain, header, nil, nil),
	} {
		if _, _, err := m.Inspect(t.Context(), token); !errors.Is(err, hsm.ErrInvalidToken) {
			t.Errorf("Inspect of a token with %s: error %v, want ErrInvalidToken", name, err)
		}
	}
}

// TestSiblingSharesBinding: what makes material ids of one key comparable.
func TestSiblingSharesBinding(t *testing.T) {
	domain := testDomain()
	m := open(t, domain, softhsm.Options{})
	var bindings, materials [3][]byte
	var first hsm.Token
	for i, sibling := range []bool{false, true, false} {
		var token hsm.Token
		if sibling {
			token = first
		}
		mat, err := m.Generate(t.Context(), testAttrs, token)
		if err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			first = mat.Token
		}
		_, bindings[i], materials[i] = unseal(t, domain, mat.Token)
	}
	if !bytes.Equal(bindings[0], bindings[1]) {
		t.Error("a sibling has another binding secret")
	}
	if bytes.Equal(bindings[0], bindings[2]) {
		t.Error("two keys have one binding secret")
	}
	if bytes.Equal(materials[0], materials[1]) || bytes.Equal(materials[0], materials[2]) {
		t.Error("two materials are the same")
	}
}

// TestFixed: what one Module encrypts under fixed material, another decrypts,
// whatever its domain keys; but not under another key's id.
func TestFixed(t *testing.T) {
	material := bytes.Repeat([]byte{7}, 32)
	one := open(t, testDomain(), softhsm.Options{})
	other := open(t, softhsm.DomainKeys{Keys: map[uint32][]byte{9: bytes.Repeat([]byte{9}, 32)}, Active: 9}, softhsm.Options{})
	a, err := one.Fixed(t.Context(), testAttrs, material)
	if err != nil {
		t.Fatal(err)
	}
	body, err := one.Encrypt(t.Context(), nil, a.Token, nil, []byte("hello"))
	if err != nil {
		t.Fatal(err)
	}
	b, err := other.Fixed(t.Context(), testAttrs, material)
	if err != nil || a.ID != b.ID {
		t.Fatalf("material ids %x and %x, %v", a.ID, b.ID, err)
	}
	if got, err := other.Decrypt(t.Context(), nil, b.Token, nil, body); err != nil || string(got) != "hello" {
		t.Errorf("got %q, %v", got, err)
	}
	another := testAttrs
	another.KeyID += "0"
	c, err := other.Fixed(t.Context(), another, material)
	if err != nil || a.ID == c.ID {
		t.Fatalf("another key has the material id %x, %v", c.ID, err)
	}
	if _, err := other.Decrypt(t.Context(), nil, c.Token, nil, body); !errors.Is(err, hsm.ErrInvalidCiphertext) {
		t.Errorf("another key decrypts: %v", err)
	}
	for _, n := range []int{31, 33} {
		if _, err := one.Fixed(t.Context(), testAttrs, make([]byte, n)); !errors.Is(err, hsm.ErrUnsupported) {
			t.Errorf("material of %d bytes: %v", n, err)
		}
	}
	one.Close()
	if _, err := one.Fixed(t.Context(), testAttrs, material); !errors.Is(err, hsm.ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
}

// TestBlobKeyBound: the same binding secret and material give another key
// wherever an attribute that matters is another.
func TestBlobKeyBound(t *testing.T) {
	binding, material := bytes.Repeat([]byte{1}, 32), bytes.Repeat([]byte{2}, 32)
	keys := map[[32]byte]string{}
	add := func(name string, k [32]byte) {
		if was, ok := keys[k]; ok {
			t.Errorf("%s has the key of %s", name, was)
		}
		keys[k] = name
	}
	add("the key", softhsm.DeriveBlobKey(testAttrs, binding, material))
	for name, change := range map[string]func(*hsm.Attributes){
		"another account": func(a *hsm.Attributes) { a.Account = "111122223334" },
		"another key id":  func(a *hsm.Attributes) { a.KeyID += "0" },
		"another spec":    func(a *hsm.Attributes) { a.Spec = hsm.SpecSigV4Secret },
		"another usage":   func(a *hsm.Attributes) { a.Usage = hsm.UsageSignRequests },
	} {
		a := testAttrs
		change(&a)
		add(name, softhsm.DeriveBlobKey(a, binding, material))
	}
	add("another binding secret", softhsm.DeriveBlobKey(testAttrs, material, material))
	add("other material", softhsm.DeriveBlobKey(testAttrs, binding, binding))
	if len(keys) != 7 {
		t.Errorf("%d different keys, want 7", len(keys))
	}
}

func FuzzToken(f *testing.F) {
	var token hsm.Token
	v := vectors(f)[0]
	m := open(f, softhsm.DomainKeys{Keys: map[uint32][]byte{v.DomainVersion: v.DomainKey}, Active: v.DomainVersion}, softhsm.Options{})
	for _, v := range vectors(f) {
		f.Add([]byte(v.Token))
		token = hsm.Token(v.Token)
	}
	f.Add([]byte(token[:40]))
	known := map[string]bool{}
	for _, v := range vectors(f) {
		known[string(v.Token)] = true
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		_, _, err := m.Inspect(t.Context(), b)
		if known[string(b)] != (err == nil) || err != nil && !errors.Is(err, hsm.ErrInvalidToken) {
			t.Errorf("Inspect of %x: error %v", b, err)
		}
	})
}

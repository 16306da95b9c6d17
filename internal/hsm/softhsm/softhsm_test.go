package softhsm_test

import (
	"bytes"
	"crypto/rand"
	"errors"
	"testing"

	"github.com/keywright/keywright/internal/hsm"
	"github.com/keywright/keywright/internal/hsm/hsmtest"
	"github.com/keywright/keywright/internal/hsm/secmem"
	"github.com/keywright/keywright/internal/hsm/softhsm"
)

var testAttrs = hsm.Attributes{
	Account: "111122223333",
	KeyID:   "1234abcd-12ab-34cd-56ef-1234567890ab",
	Spec:    hsm.SpecSymmetricDefault,
	Usage:   hsm.UsageEncryptDecrypt,
	Origin:  hsm.OriginAWSKMS,
}

// testDomain has two versions, of which the second is active.
func testDomain() softhsm.DomainKeys {
	return softhsm.DomainKeys{
		Keys:   map[uint32][]byte{1: bytes.Repeat([]byte{1}, 32), 2: bytes.Repeat([]byte{2}, 32)},
		Active: 2,
	}
}

func open(t testing.TB, domain softhsm.DomainKeys, opts softhsm.Options) *softhsm.Module {
	t.Helper()
	m, err := softhsm.New(domain, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	return m
}

func TestContract(t *testing.T) {
	for _, test := range []struct {
		name string
		opts softhsm.Options
	}{
		{"Default", softhsm.Options{}},
		// Caches of one entry: almost every call opens its token, and throws
		// out what another call may be using.
		{"TinyCaches", softhsm.Options{Keys: 1, SigningKeys: 1}},
	} {
		t.Run(test.name, func(t *testing.T) {
			hsmtest.Run(t, func(t *testing.T) hsm.Module {
				key := make([]byte, softhsm.DomainKeySize)
				rand.Read(key)
				return open(t, softhsm.DomainKeys{Keys: map[uint32][]byte{1: key}, Active: 1}, test.opts)
			})
		})
	}
}

func TestNewRefuses(t *testing.T) {
	good := bytes.Repeat([]byte{1}, 32)
	for name, test := range map[string]struct {
		domain softhsm.DomainKeys
		opts   softhsm.Options
	}{
		"no domain keys":     {softhsm.DomainKeys{}, softhsm.Options{}},
		"active key missing": {softhsm.DomainKeys{Keys: map[uint32][]byte{1: good}, Active: 2}, softhsm.Options{}},
		"short key":          {softhsm.DomainKeys{Keys: map[uint32][]byte{1: good, 2: good[:31]}, Active: 1}, softhsm.Options{}},
		"long key":           {softhsm.DomainKeys{Keys: map[uint32][]byte{1: append(good, 0)}, Active: 1}, softhsm.Options{}},
		"negative cache":     {softhsm.DomainKeys{Keys: map[uint32][]byte{1: good}, Active: 1}, softhsm.Options{Keys: -1}},
	} {
		if m, err := softhsm.New(test.domain, test.opts); err == nil || m != nil {
			t.Errorf("New with %s returned no error", name)
		}
	}
}

// TestDomainRotation goes the way on which a domain key is retired.
func TestDomainRotation(t *testing.T) {
	ctx := t.Context()
	keys := testDomain().Keys
	old := open(t, softhsm.DomainKeys{Keys: map[uint32][]byte{1: keys[1]}, Active: 1}, softhsm.Options{})
	mat, err := old.Generate(ctx, testAttrs, nil)
	if err != nil {
		t.Fatal(err)
	}
	body, err := old.Encrypt(ctx, nil, mat.Token, nil, []byte("plaintext"))
	if err != nil {
		t.Fatal(err)
	}

	both := open(t, softhsm.DomainKeys{Keys: keys, Active: 2}, softhsm.Options{})
	token, err := both.Rewrap(ctx, mat.Token)
	if err != nil {
		t.Fatal(err)
	}
	for _, tok := range []hsm.Token{mat.Token, token} {
		if got, err := both.Decrypt(ctx, nil, tok, nil, body); err != nil || string(got) != "plaintext" {
			t.Errorf("Decrypt with both domain keys returned %q, %v", got, err)
		}
	}

	alone := open(t, softhsm.DomainKeys{Keys: map[uint32][]byte{2: keys[2]}, Active: 2}, softhsm.Options{})
	if got, err := alone.Decrypt(ctx, nil, token, nil, body); err != nil || string(got) != "plaintext" {
		t.Errorf("Decrypt of the rewrapped token returned %q, %v", got, err)
	}
	if _, err := alone.Decrypt(ctx, nil, mat.Token, nil, body); !errors.Is(err, hsm.ErrInvalidToken) {
		t.Errorf("Decrypt of the token of a retired domain key: error %v, want ErrInvalidToken", err)
	}
	// A token does not open under the right key of the wrong version either.
	moved := open(t, softhsm.DomainKeys{Keys: map[uint32][]byte{1: keys[2], 2: keys[1]}, Active: 1}, softhsm.Options{})
	if _, _, err := moved.Inspect(ctx, token); !errors.Is(err, hsm.ErrInvalidToken) {
		t.Errorf("Inspect under a domain key of another version: error %v, want ErrInvalidToken", err)
	}
}

// TestDomainKeysCopied: the caller wipes its copies, and nothing else changes.
func TestDomainKeysCopied(t *testing.T) {
	domain := testDomain()
	m := open(t, domain, softhsm.Options{})
	mat, err := m.Generate(t.Context(), testAttrs, nil)
	if err != nil {
		t.Fatal(err)
	}
	for v, k := range domain.Keys {
		clear(k)
		delete(domain.Keys, v)
	}
	if _, _, err := m.Inspect(t.Context(), mat.Token); err != nil {
		t.Errorf("Inspect after the caller wiped its domain keys: %v", err)
	}
	if _, _, err := open(t, testDomain(), softhsm.Options{}).Inspect(t.Context(), mat.Token); err != nil {
		t.Errorf("Inspect by another Module of the same domain keys: %v", err)
	}
}

// TestCloseWipes holds on to one secret, so that the memory of the others stays
// mapped and can be looked at.
func TestCloseWipes(t *testing.T) {
	m := open(t, testDomain(), softhsm.Options{})
	mat, err := m.Generate(t.Context(), testAttrs, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := m.Encrypt(t.Context(), nil, mat.Token, nil, nil); err != nil {
		t.Fatal(err)
	}
	secret, _, err := m.NewSecret(t.Context(), testAttrs.Account, "AKIAIOSFODNN7EXAMPLE")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := m.SigningKey(t.Context(), secret, "20260101", "us-east-1", "kms"); err != nil {
		t.Fatal(err)
	}

	var memory [][]byte
	look := func(name string, s secmem.Secret, ok bool) secmem.Secret {
		t.Helper()
		if !ok || bytes.Equal(s.Bytes(), make([]byte, 32)) {
			t.Fatalf("the Module does not hold the %s", name)
		}
		memory = append(memory, s.Bytes())
		return s
	}
	blobKey, ok := softhsm.HeldBlobKey(m, mat.Token)
	look("blob key", blobKey, ok).Release()
	signingKey, ok := softhsm.HeldSigningKey(m, secret, "20260101", "us-east-1", "kms")
	look("signing key", signingKey, ok).Release()
	active, ok := softhsm.HeldDomainKey(m, 2)
	look("active domain key", active, ok).Release()
	old, ok := softhsm.HeldDomainKey(m, 1)
	look("old domain key", old, ok)

	m.Close()
	for i, name := range []string{"blob key", "signing key", "active domain key"} {
		if !bytes.Equal(memory[i], make([]byte, 32)) {
			t.Errorf("Close did not wipe the %s", name)
		}
	}
	if !bytes.Equal(old.Bytes(), testDomain().Keys[1]) {
		t.Error("Close wiped a key in use")
	}
	old.Release()
	if old.Retain() {
		t.Error("the old domain key is held after Close")
	}
}

func TestSelfTest(t *testing.T) {
	if err := softhsm.SelfTest(); err != nil {
		t.Error(err)
	}
}

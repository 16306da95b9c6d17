package keyring_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/keywright/keywright/esdk/keyring"
	"github.com/keywright/keywright/esdk/materials"
	"github.com/keywright/keywright/esdk/suite"
)

var testSuite = func() suite.Suite {
	s, _ := suite.Lookup(suite.AES256GCMCommit)
	return s
}()

func TestNames(t *testing.T) {
	private := must(keyring.ParseRSAPrivateKeyPEM(readKey(t, "rsa.pem")))(t)
	long := strings.Repeat("x", 1<<16)
	for _, c := range []struct {
		namespace, name string
		aes, rsa        bool
	}{
		{"ns", "name", true, true},
		{"aws-kms", "name", false, false},
		{"aws-kms2", "aws-kms", true, true},
		{"", "name", false, false},
		{"ns", "", false, false},
		{"\xff", "name", false, false},
		{"ns", "\xff", false, false},
		{long[1:], "name", true, true},
		{long, "name", false, false},
		{"ns", long[21:], true, true},
		{"ns", long[20:], false, true},
		{"ns", long[1:], false, true},
		{"ns", long, false, false},
	} {
		if _, err := keyring.NewRawAES(c.namespace, c.name, make([]byte, 32)); (err == nil) != c.aes {
			t.Errorf("NewRawAES(%.9q, %.9q): %v, want success: %v", c.namespace, c.name, err, c.aes)
		}
		_, err := keyring.NewRawRSA(keyring.RawRSAConfig{Namespace: c.namespace, Name: c.name, PrivateKey: private})
		if (err == nil) != c.rsa {
			t.Errorf("NewRawRSA(%.9q, %.9q): %v, want success: %v", c.namespace, c.name, err, c.rsa)
		}
	}
}

func TestRawAESKeyLength(t *testing.T) {
	for n := range 40 {
		key := make([]byte, n)
		_, err := keyring.NewRawAES("ns", "name", key)
		if want := n == 16 || n == 24 || n == 32; (err == nil) != want {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
}

// The key belongs to the caller, who may wipe it.
func TestRawAESKeepsNoKey(t *testing.T) {
	key := bytes.Repeat([]byte{1}, 32)
	k := must(keyring.NewRawAES("ns", "name", key))(t)
	m := &materials.EncryptionMaterials{Suite: testSuite}
	if err := k.OnEncrypt(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	clear(key)
	d := &materials.DecryptionMaterials{Suite: testSuite}
	if err := k.OnDecrypt(t.Context(), d, m.EncryptedDataKeys); err != nil {
		t.Error(err)
	}
}

// Names may end in what looks like the fields after the name, and one name may
// begin with another.
func TestRawAESNames(t *testing.T) {
	tail := string([]byte{0, 0, 0, 0x7f, 0, 0, 0, 12}) + "123456789012"
	names := []string{"n", "nn", "n" + tail, tail, "n\x00"}
	for i, name := range names {
		m := &materials.EncryptionMaterials{Suite: testSuite}
		if err := newAES(t, name, 32).OnEncrypt(t.Context(), m); err != nil {
			t.Fatal(err)
		}
		for j, other := range names {
			d := &materials.DecryptionMaterials{Suite: testSuite}
			err := newAES(t, other, 32).OnDecrypt(t.Context(), d, m.EncryptedDataKeys)
			if (err == nil) != (i == j) {
				t.Errorf("wrapped by %q, opened by %q: %v", name, other, err)
			}
			if e, ok := errors.AsType[*materials.UnwrapError](err); ok && len(e.Attempts) != 0 {
				t.Errorf("%q tried the key of %q", other, name)
			}
		}
	}
}

// The attempts tell which key failed and why, and no more than that.
func TestRawAESAttempts(t *testing.T) {
	k := newAES(t, "the name", 32)
	m := &materials.EncryptionMaterials{Suite: testSuite}
	if err := k.OnEncrypt(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	d := &materials.DecryptionMaterials{Suite: testSuite, EncryptionContext: map[string]string{"a": "b"}}
	err := k.OnDecrypt(t.Context(), d, append(m.EncryptedDataKeys, m.EncryptedDataKeys...))
	e, ok := errors.AsType[*materials.UnwrapError](err)
	if !ok || len(e.Attempts) != 2 || !errors.Is(err, keyring.ErrUnwrap) {
		t.Fatalf("got %v", err)
	}
	if a := e.Attempts[1]; a.ProviderID != "test" || a.ProviderInfo != "the name" {
		t.Errorf("got %q and %q", a.ProviderID, a.ProviderInfo)
	}
	d.EncryptionContext = map[string]string{"a": "\xff"}
	if err := k.OnDecrypt(t.Context(), d, m.EncryptedDataKeys); !errors.Is(err, materials.ErrContextInvalid) {
		t.Errorf("got %v", err)
	}
}

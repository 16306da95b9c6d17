package esdk_test

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"io"
	"math/rand/v2"
	"testing"

	"github.com/keywright/keywright/esdk"
	"github.com/keywright/keywright/esdk/keyring"
	"github.com/keywright/keywright/esdk/materials"
	"github.com/keywright/keywright/esdk/suite"
)

// staticKeyring has one data key for all messages: what decrypts and, for the
// tests of other implementations, encrypts with a key that is known.
type staticKeyring struct {
	key   []byte
	calls int
}

func (k *staticKeyring) OnEncrypt(_ context.Context, m *materials.EncryptionMaterials) error {
	k.calls++
	m.DataKey = bytes.Clone(k.key[:m.Suite.KeyLen])
	m.EncryptedDataKeys = append(m.EncryptedDataKeys, materials.EncryptedDataKey{ProviderID: "static", ProviderInfo: []byte("key"), Ciphertext: []byte{1}})
	return nil
}

func (k *staticKeyring) OnDecrypt(_ context.Context, m *materials.DecryptionMaterials, _ []materials.EncryptedDataKey) error {
	k.calls++
	m.DataKey = bytes.Clone(k.key[:m.Suite.KeyLen])
	return nil
}

func counting(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i)
	}
	return b
}

// static returns a manager whose data key is 0, 1, 2, ...
func static() materials.Manager {
	return esdk.Using(&staticKeyring{key: counting(32)})
}

func rawAES(t testing.TB, name string) *keyring.RawAES {
	t.Helper()
	k, err := keyring.NewRawAES("test", name, bytes.Repeat([]byte(name[:1]), 32))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func random(n int) []byte {
	b := make([]byte, n)
	rand.NewChaCha8([32]byte{byte(n)}).Read(b)
	return b
}

// policyFor is a policy that lets the suite be written and everything be read.
func policyFor(s suite.Suite) materials.CommitmentPolicy {
	if s.Committing {
		return materials.RequireEncryptAllowDecrypt
	}
	return materials.ForbidEncryptAllowDecrypt
}

func clientFor(id suite.ID, frame uint32, workers int) *esdk.Client {
	s, _ := suite.Lookup(id)
	return esdk.New(esdk.Config{Policy: policyFor(s), Suite: id, FrameLength: frame, Workers: workers})
}

func encrypt(t testing.TB, c *esdk.Client, m materials.Manager, plaintext []byte) []byte {
	t.Helper()
	msg, _, err := c.Encrypt(t.Context(), m, plaintext, esdk.EncryptOptions{EncryptionContext: map[string]string{"purpose": "test"}})
	if err != nil {
		t.Fatal(err)
	}
	return msg
}

// readAll decrypts by a Reader and returns what came out before the error, too.
func readAll(ctx context.Context, c *esdk.Client, src io.Reader, m materials.Manager, opts esdk.DecryptOptions) ([]byte, error) {
	r, err := c.NewReader(ctx, src, m, opts)
	if err != nil {
		return nil, err
	}
	return io.ReadAll(r)
}

func gcm(t testing.TB, key []byte) cipher.AEAD {
	t.Helper()
	block, err := aes.NewCipher(key)
	if err != nil {
		t.Fatal(err)
	}
	g, err := cipher.NewGCM(block)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

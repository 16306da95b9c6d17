package keyring_test

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"math/big"
	"testing"

	"github.com/keywright/keywright/esdk/keyring"
	"github.com/keywright/keywright/esdk/materials"
	"github.com/keywright/keywright/esdk/suite"
)

func TestRawRSAHalves(t *testing.T) {
	private := must(keyring.ParseRSAPrivateKeyPEM(readKey(t, "rsa.pem")))(t)
	public := must(keyring.ParseRSAPublicKeyPEM(readKey(t, "rsa.pub.pem")))(t)
	writer := must(keyring.NewRawRSA(keyring.RawRSAConfig{Namespace: "ns", Name: "n", PublicKey: public}))(t)
	reader := must(keyring.NewRawRSA(keyring.RawRSAConfig{Namespace: "ns", Name: "n", PrivateKey: private}))(t)

	m := &materials.EncryptionMaterials{Suite: testSuite}
	// The public key is not taken from the private one.
	if err := reader.OnEncrypt(t.Context(), m); !errors.Is(err, keyring.ErrDecryptOnly) || m.DataKey != nil {
		t.Errorf("encrypting with a private key only: %v", err)
	}
	if err := writer.OnEncrypt(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	d := &materials.DecryptionMaterials{Suite: testSuite}
	if err := writer.OnDecrypt(t.Context(), d, m.EncryptedDataKeys); !errors.Is(err, keyring.ErrEncryptOnly) || d.DataKey != nil {
		t.Errorf("decrypting with a public key only: %v", err)
	}
	if err := reader.OnDecrypt(t.Context(), d, m.EncryptedDataKeys); err != nil || !bytes.Equal(d.DataKey, m.DataKey) {
		t.Errorf("decrypting: %v", err)
	}
}

func TestRawRSAConfig(t *testing.T) {
	private := must(keyring.ParseRSAPrivateKeyPEM(readKey(t, "rsa.pem")))(t)
	other := must(rsa.GenerateKey(rand.Reader, 2048))(t)
	t.Setenv("GODEBUG", "rsa1024min=0")
	small := must(rsa.GenerateKey(rand.Reader, 1024))(t)
	broken := *private
	broken.Precomputed = rsa.PrecomputedValues{}
	broken.D = new(big.Int).Add(private.D, big.NewInt(2))
	for name, c := range map[string]keyring.RawRSAConfig{
		"no keys":       {},
		"padding":       {Padding: 5, PublicKey: &private.PublicKey},
		"small public":  {PublicKey: &small.PublicKey},
		"small private": {PrivateKey: small},
		"empty public":  {PublicKey: new(rsa.PublicKey)},
		"two keys":      {PublicKey: &other.PublicKey, PrivateKey: private},
		"broken":        {PrivateKey: &broken},
	} {
		c.Namespace, c.Name = "ns", "n"
		if _, err := keyring.NewRawRSA(c); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// Paddings are not told apart by the message, and do not open each other's data
// keys.
func TestRawRSAPaddings(t *testing.T) {
	names := map[string]bool{}
	for _, wrapped := range paddings {
		names[wrapped.String()] = true
		m := &materials.EncryptionMaterials{Suite: testSuite}
		if err := newRSA(t, wrapped).OnEncrypt(t.Context(), m); err != nil {
			t.Fatal(err)
		}
		for _, opened := range paddings {
			if opened == wrapped {
				continue
			}
			d := &materials.DecryptionMaterials{Suite: testSuite}
			err := newRSA(t, opened).OnDecrypt(t.Context(), d, m.EncryptedDataKeys)
			if opened == keyring.PKCS1v15 {
				if err != nil || bytes.Equal(d.DataKey, m.DataKey) {
					t.Errorf("wrapped with %v, opened with %v: %v", wrapped, opened, err)
				}
			} else if !errors.Is(err, keyring.ErrUnwrap) {
				t.Errorf("wrapped with %v, opened with %v: %v", wrapped, opened, err)
			}
		}
	}
	if len(names) != len(paddings) || keyring.Padding(9).String() != "padding 9" {
		t.Errorf("names of paddings: %v", names)
	}
}

// A number has many spellings and a data key but one.
func TestRawRSALeadingZeros(t *testing.T) {
	k := newRSA(t, keyring.OAEPSHA256)
	for {
		m := &materials.EncryptionMaterials{Suite: testSuite}
		if err := k.OnEncrypt(t.Context(), m); err != nil {
			t.Fatal(err)
		}
		edk := &m.EncryptedDataKeys[0]
		if edk.Ciphertext[0] != 0 {
			continue
		}
		edk.Ciphertext = edk.Ciphertext[1:]
		d := &materials.DecryptionMaterials{Suite: testSuite}
		if err := k.OnDecrypt(t.Context(), d, m.EncryptedDataKeys); !errors.Is(err, keyring.ErrUnwrap) {
			t.Errorf("got %v, want %v", err, keyring.ErrUnwrap)
		}
		return
	}
}

// What comes out for a padding that is wrong, and for one that is right around
// a data key of another length, cannot be told apart: a random data key.
func TestPKCS1v15IsNoOracle(t *testing.T) {
	k := newRSA(t, keyring.PKCS1v15)
	short, _ := suite.Lookup(suite.AES128GCM)
	wellPadded := &materials.EncryptionMaterials{Suite: short}
	if err := k.OnEncrypt(t.Context(), wellPadded); err != nil {
		t.Fatal(err)
	}
	badlyPadded := &materials.EncryptionMaterials{Suite: testSuite}
	if err := newRSA(t, keyring.OAEPSHA256).OnEncrypt(t.Context(), badlyPadded); err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, m := range []*materials.EncryptionMaterials{wellPadded, badlyPadded, wellPadded, badlyPadded} {
		d := &materials.DecryptionMaterials{Suite: testSuite}
		if err := k.OnDecrypt(t.Context(), d, m.EncryptedDataKeys); err != nil {
			t.Errorf("got %v, want a random data key", err)
		}
		seen[string(d.DataKey)] = true
	}
	if len(seen) != 4 {
		t.Errorf("got %d different data keys, want 4", len(seen))
	}
}

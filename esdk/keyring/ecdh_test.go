package keyring_test

import (
	"bytes"
	"crypto/ecdh"
	"crypto/rand"
	"errors"
	"testing"

	"github.com/keywright/keywright/esdk/keyring"
	"github.com/keywright/keywright/esdk/materials"
)

func TestRawECDHConfig(t *testing.T) {
	p256 := must(ecdh.P256().GenerateKey(rand.Reader))(t)
	p384 := must(ecdh.P384().GenerateKey(rand.Reader))(t)
	x25519 := must(ecdh.X25519().GenerateKey(rand.Reader))(t)
	for name, make := range map[string]func() (*keyring.RawECDH, error){
		"no private key":   func() (*keyring.RawECDH, error) { return keyring.NewRawECDH(nil, p256.PublicKey()) },
		"no public key":    func() (*keyring.RawECDH, error) { return keyring.NewRawECDH(p256, nil) },
		"two curves":       func() (*keyring.RawECDH, error) { return keyring.NewRawECDH(p256, p384.PublicKey()) },
		"other curve":      func() (*keyring.RawECDH, error) { return keyring.NewRawECDH(x25519, x25519.PublicKey()) },
		"no recipient":     func() (*keyring.RawECDH, error) { return keyring.NewEphemeralECDH(nil) },
		"curve of writer":  func() (*keyring.RawECDH, error) { return keyring.NewEphemeralECDH(x25519.PublicKey()) },
		"no discovery key": func() (*keyring.RawECDH, error) { return keyring.NewDiscoveryECDH(nil) },
		"curve of reader":  func() (*keyring.RawECDH, error) { return keyring.NewDiscoveryECDH(x25519) },
	} {
		if _, err := make(); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// Who can open what: a and b know each other, c is a stranger to whom a also
// writes.
func TestRawECDHReaders(t *testing.T) {
	a := must(ecdh.P256().GenerateKey(rand.Reader))(t)
	b := must(ecdh.P256().GenerateKey(rand.Reader))(t)
	c := must(ecdh.P256().GenerateKey(rand.Reader))(t)
	static := func(private, peer *ecdh.PrivateKey) *keyring.RawECDH {
		return must(keyring.NewRawECDH(private, peer.PublicKey()))(t)
	}
	ephemeral := must(keyring.NewEphemeralECDH(b.PublicKey()))(t)
	discoveryB := must(keyring.NewDiscoveryECDH(b))(t)
	for _, test := range []struct {
		name           string
		writer, reader *keyring.RawECDH
		want           bool
	}{
		{"the recipient", static(a, b), static(b, a), true},
		{"the writer", static(a, b), static(a, b), true},
		{"by discovery", static(a, b), discoveryB, true},
		{"the recipient, expecting somebody else", static(a, b), static(b, c), false},
		{"somebody else", static(a, b), static(c, b), false},
		{"the writer to somebody else", static(a, b), static(a, c), false},
		{"by discovery of somebody else", static(a, b), must(keyring.NewDiscoveryECDH(c))(t), false},
		{"by discovery of the writer", static(a, b), must(keyring.NewDiscoveryECDH(a))(t), false},
		{"an unknown writer", ephemeral, discoveryB, true},
		{"an unknown writer, not expected", ephemeral, static(b, a), false},
		{"itself", static(a, a), static(a, a), true},
	} {
		m := &materials.EncryptionMaterials{Suite: testSuite}
		if err := test.writer.OnEncrypt(t.Context(), m); err != nil {
			t.Fatal(err)
		}
		edk := m.EncryptedDataKeys[0]
		if edk.ProviderID != "raw-ecdh" {
			t.Errorf("%s: provider %q", test.name, edk.ProviderID)
		}
		for _, provider := range []string{"raw-ecdh", "aws-kms-ecdh", "aws-kms", "raw-ecdh2"} {
			edk.ProviderID = provider
			d := &materials.DecryptionMaterials{Suite: testSuite}
			err := test.reader.OnDecrypt(t.Context(), d, []materials.EncryptedDataKey{edk})
			want := test.want && (provider == "raw-ecdh" || provider == "aws-kms-ecdh")
			if (err == nil) != want || want != bytes.Equal(d.DataKey, m.DataKey) {
				t.Errorf("%s, %s: got %v, want success: %v", test.name, provider, err, want)
			}
			if e, ok := errors.AsType[*materials.UnwrapError](err); ok && len(e.Attempts) != 0 {
				t.Errorf("%s, %s: tried a key that is not for it", test.name, provider)
			}
		}
	}
}

func TestRawECDHOneWay(t *testing.T) {
	private := must(ecdh.P256().GenerateKey(rand.Reader))(t)
	writer := must(keyring.NewEphemeralECDH(private.PublicKey()))(t)
	reader := must(keyring.NewDiscoveryECDH(private))(t)
	m := &materials.EncryptionMaterials{Suite: testSuite}
	if err := reader.OnEncrypt(t.Context(), m); !errors.Is(err, keyring.ErrDecryptOnly) || m.DataKey != nil {
		t.Errorf("got %v, want %v", err, keyring.ErrDecryptOnly)
	}
	if err := writer.OnEncrypt(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	d := &materials.DecryptionMaterials{Suite: testSuite}
	if err := writer.OnDecrypt(t.Context(), d, m.EncryptedDataKeys); !errors.Is(err, keyring.ErrEncryptOnly) {
		t.Errorf("got %v, want %v", err, keyring.ErrEncryptOnly)
	}
}

// A sender's key that is on no point is refused, and says so.
func TestRawECDHOffCurve(t *testing.T) {
	private := must(ecdh.P256().GenerateKey(rand.Reader))(t)
	m := &materials.EncryptionMaterials{Suite: testSuite}
	if err := must(keyring.NewEphemeralECDH(private.PublicKey()))(t).OnEncrypt(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	edk := m.EncryptedDataKeys[0]
	copy(edk.ProviderInfo[len(edk.ProviderInfo)-32:], bytes.Repeat([]byte{0xff}, 32))
	d := &materials.DecryptionMaterials{Suite: testSuite}
	err := must(keyring.NewDiscoveryECDH(private))(t).OnDecrypt(t.Context(), d, []materials.EncryptedDataKey{edk})
	if e, ok := errors.AsType[*materials.UnwrapError](err); !ok || len(e.Attempts) != 1 {
		t.Errorf("got %v", err)
	}
}

package keyring_test

import (
	"fmt"
	"testing"

	"github.com/keywright/keywright/esdk/keyring"
	"github.com/keywright/keywright/esdk/keyring/keyringtest"
	"github.com/keywright/keywright/esdk/materials"
)

func TestRawAESBehaviour(t *testing.T) {
	for _, n := range []int{16, 24, 32} {
		t.Run(fmt.Sprint(n*8), func(t *testing.T) {
			keyringtest.Run(t, newAES(t, "n", n), keyringtest.Options{})
		})
	}
}

func TestRawRSABehaviour(t *testing.T) {
	for name, padding := range paddings {
		t.Run(name, func(t *testing.T) {
			keyringtest.Run(t, newRSA(t, padding), keyringtest.Options{
				ContextUnbound: true, Implicit: padding == keyring.PKCS1v15, FlipEvery: 233,
			})
		})
	}
}

func TestRawECDHBehaviour(t *testing.T) {
	for _, curve := range []string{"p256", "p384", "p521"} {
		for _, scheme := range []string{"static", "ephemeral"} {
			writer, readers := oracleCase{Kind: "ecdh", Curve: curve, Scheme: scheme}.keyrings(t)
			for i, reader := range readers {
				t.Run(fmt.Sprint(curve, "/", scheme, "/", i), func(t *testing.T) {
					keyringtest.Run(t, writer, keyringtest.Options{Reader: reader, FlipEvery: 53})
				})
			}
		}
	}
}

func TestMultiBehaviour(t *testing.T) {
	one, two := newAES(t, "one", 16), newAES(t, "two", 32)
	for name, c := range map[string]struct {
		generator materials.Keyring
		children  []materials.Keyring
	}{
		"generator":              {one, nil},
		"generator and children": {one, []materials.Keyring{two, newRSA(t, keyring.OAEPSHA256)}},
		"children":               {nil, []materials.Keyring{two, one}},
	} {
		t.Run(name, func(t *testing.T) {
			k := must(keyring.NewMulti(c.generator, c.children...))(t)
			keyringtest.Run(t, k, keyringtest.Options{
				NoGenerate: c.generator == nil, AlwaysGenerate: c.generator != nil, FlipEvery: 97,
				// The data key that RSA wrapped opens with any context.
				ContextUnbound: len(c.children) == 2 && c.generator != nil,
			})
		})
	}
}

// newAES returns a raw AES keyring of its own key, which its name decides.
func newAES(t testing.TB, name string, n int) *keyring.RawAES {
	key := make([]byte, n)
	copy(key, name)
	return must(keyring.NewRawAES("test", name, key))(t)
}

func newRSA(t testing.TB, padding keyring.Padding) *keyring.RawRSA {
	private := must(keyring.ParseRSAPrivateKeyPEM(readKey(t, "rsa.pem")))(t)
	return must(keyring.NewRawRSA(keyring.RawRSAConfig{
		Namespace: "test", Name: "rsa", Padding: padding, PublicKey: &private.PublicKey, PrivateKey: private,
	}))(t)
}

package keyring_test

import (
	"bytes"
	"encoding/pem"
	"strings"
	"testing"

	"github.com/keywright/keywright/esdk/keyring"
)

// The files of testdata/keys are OpenSSL's.
func TestParseKeys(t *testing.T) {
	private := must(keyring.ParseRSAPrivateKeyPEM(readKey(t, "rsa.pem")))(t)
	if public := must(keyring.ParseRSAPublicKeyPEM(readKey(t, "rsa.pub.pem")))(t); !private.PublicKey.Equal(public) {
		t.Error("the RSA public key is not that of the private key")
	}
	for _, curve := range []string{"p256", "p384", "p521"} {
		private := must(keyring.ParseECDHPrivateKeyPEM(readKey(t, curve+"-a.pem")))(t)
		text := readKey(t, curve+"-a.pub.pem")
		block, _ := pem.Decode(text)
		for _, data := range [][]byte{text, block.Bytes} {
			if public := must(keyring.ParseECDHPublicKey(data))(t); !private.PublicKey().Equal(public) {
				t.Errorf("%s: the public key is not that of the private key", curve)
			}
		}
	}
}

var parsers = map[string]func([]byte) error{
	"RSA public":   func(b []byte) error { _, err := keyring.ParseRSAPublicKeyPEM(b); return err },
	"RSA private":  func(b []byte) error { _, err := keyring.ParseRSAPrivateKeyPEM(b); return err },
	"ECDH public":  func(b []byte) error { _, err := keyring.ParseECDHPublicKey(b); return err },
	"ECDH private": func(b []byte) error { _, err := keyring.ParseECDHPrivateKeyPEM(b); return err },
}

func TestParseKeysRefuses(t *testing.T) {
	files := map[string]string{
		"RSA public": "rsa.pub.pem", "RSA private": "rsa.pem",
		"ECDH public": "p256-a.pub.pem", "ECDH private": "p256-a.pem",
	}
	for want, file := range files {
		data := readKey(t, file)
		block, _ := pem.Decode(data)
		for name, parse := range parsers {
			if err := parse(data); (err == nil) != (name == want) {
				t.Errorf("%s as %s: %v", file, name, err)
			}
		}
		parse := parsers[want]
		retyped := func(kind string) []byte {
			return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: block.Bytes})
		}
		for name, bad := range map[string][]byte{
			"empty":     nil,
			"text":      []byte("no key"),
			"two":       append(bytes.Clone(data), data...),
			"truncated": pem.EncodeToMemory(&pem.Block{Type: block.Type, Bytes: block.Bytes[:40]}),
			"encrypted": retyped("ENCRYPTED PRIVATE KEY"),
			"old":       retyped("RSA PRIVATE KEY"),
			"cert":      retyped("CERTIFICATE"),
		} {
			if err := parse(bad); err == nil {
				t.Errorf("%s, %s: accepted", want, name)
			}
		}
		if err := parse(append(bytes.Clone(data), " \r\n"...)); err != nil {
			t.Errorf("%s with white space after it: %v", want, err)
		}
	}
}

// A point that is not on the curve is refused.
func TestParseECDHOffCurve(t *testing.T) {
	block, _ := pem.Decode(readKey(t, "p256-a.pub.pem"))
	block.Bytes[len(block.Bytes)-1] ^= 1
	for _, data := range [][]byte{block.Bytes, pem.EncodeToMemory(block)} {
		if _, err := keyring.ParseECDHPublicKey(data); err == nil {
			t.Error("accepted")
		}
	}
}

// Whoever gives a key of another form learns how to convert it.
func TestParseKeysHint(t *testing.T) {
	for _, name := range []string{"RSA private", "ECDH private"} {
		err := parsers[name](pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: []byte{1}}))
		if err == nil || !strings.Contains(err.Error(), "openssl pkcs8") {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func FuzzParseKeys(f *testing.F) {
	for _, name := range []string{"rsa.pub.pem", "rsa.pem", "p256-a.pub.pem", "p521-a.pem"} {
		data := readKey(f, name)
		block, _ := pem.Decode(data)
		f.Add(data)
		f.Add(block.Bytes)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		ok := 0
		for _, parse := range parsers {
			if parse(data) == nil {
				ok++
			}
		}
		if ok > 1 {
			t.Fatalf("%d parsers took it", ok)
		}
	})
}

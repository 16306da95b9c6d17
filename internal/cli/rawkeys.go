package cli

import (
	"errors"
	"fmt"
	"os"
	"regexp"

	"github.com/keywright/keywright/esdk/keyring"
	"github.com/keywright/keywright/esdk/materials"
)

// rawKey is the value of a flag for a raw key: FILE,namespace=NS,name=NAME.
type rawKey struct {
	text                     []byte
	namespace, name, padding string
}

var rawKeyParam = regexp.MustCompile(`,[a-z]+=`)

// parseRawKey reads the flag and the file that it names.
func parseRawKey(flag string, padded bool) (*rawKey, error) {
	key := new(rawKey)
	targets := map[string]*string{"namespace": &key.namespace, "name": &key.name, "padding": &key.padding}
	at := rawKeyParam.FindAllStringIndex(flag, -1)
	if len(at) == 0 || at[0][0] == 0 {
		return nil, rawKeyUsage(errors.New("it is not FILE,namespace=NS,name=NAME"))
	}
	for i, span := range at {
		end := len(flag)
		if i+1 < len(at) {
			end = at[i+1][0]
		}
		param := flag[span[0]+1 : span[1]-1]
		target := targets[param]
		if target == nil || param == "padding" && !padded {
			return nil, rawKeyUsage(fmt.Errorf("unknown parameter %q", param))
		}
		if *target != "" {
			return nil, rawKeyUsage(fmt.Errorf("%s is there twice", param))
		}
		*target = flag[span[1]:end]
	}
	if key.namespace == "" || key.name == "" {
		return nil, rawKeyUsage(errors.New("namespace and name are needed"))
	}
	var err error
	key.text, err = os.ReadFile(flag[:at[0][0]])
	return key, err
}

func rawKeyUsage(err error) error {
	return &usageError{err, "for example: key.bin,namespace=backup,name=2026; a message is decrypted with the namespace and name that it was encrypted with"}
}

func rawAES(flag string) (materials.Keyring, error) {
	key, err := parseRawKey(flag, false)
	if err != nil {
		return nil, err
	}
	defer clear(key.text)
	return keyring.NewRawAES(key.namespace, key.name, key.text)
}

var paddings = map[string]keyring.Padding{
	"":            keyring.OAEPSHA256,
	"oaep-sha1":   keyring.OAEPSHA1,
	"oaep-sha256": keyring.OAEPSHA256,
	"oaep-sha384": keyring.OAEPSHA384,
	"oaep-sha512": keyring.OAEPSHA512,
	"pkcs1":       keyring.PKCS1v15,
}

// rawRSA makes keyrings of public keys, or of private ones.
func rawRSA(flags []string, private bool) ([]materials.Keyring, error) {
	var rings []materials.Keyring
	for _, flag := range flags {
		key, err := parseRawKey(flag, true)
		if err != nil {
			return nil, err
		}
		padding, ok := paddings[key.padding]
		if !ok {
			return nil, rawKeyUsage(fmt.Errorf("unknown padding %q: it is oaep-sha1, -sha256, -sha384, -sha512 or pkcs1", key.padding))
		}
		cfg := keyring.RawRSAConfig{Namespace: key.namespace, Name: key.name, Padding: padding}
		if private {
			cfg.PrivateKey, err = keyring.ParseRSAPrivateKeyPEM(key.text)
			clear(key.text)
		} else {
			cfg.PublicKey, err = keyring.ParseRSAPublicKeyPEM(key.text)
		}
		if err != nil {
			return nil, err
		}
		ring, err := keyring.NewRawRSA(cfg)
		if err != nil {
			return nil, err
		}
		rings = append(rings, ring)
	}
	return rings, nil
}

package cli

import (
	"crypto/ecdh"
	"errors"
	"fmt"
	"os"
	"regexp"
	"slices"

	"github.com/keywright/keywright/esdk/keyring"
	"github.com/keywright/keywright/esdk/materials"
)

// rawKey is the value of a flag for a raw key: FILE,namespace=NS,name=NAME.
type rawKey struct {
	text                     []byte
	namespace, name, padding string
}

var rawKeyParam = regexp.MustCompile(`,[a-z]+=`)

// splitRawKey takes FILE,NAME=VALUE,... apart. Commas elsewhere belong to the
// file or the value.
func splitRawKey(flag string, known ...string) (file string, params map[string]string, err error) {
	params = map[string]string{}
	at := rawKeyParam.FindAllStringIndex(flag, -1)
	file = flag
	if len(at) > 0 {
		file = flag[:at[0][0]]
	}
	if file == "" {
		return "", nil, errors.New("no file is named")
	}
	for i, span := range at {
		end := len(flag)
		if i+1 < len(at) {
			end = at[i+1][0]
		}
		param := flag[span[0]+1 : span[1]-1]
		if !slices.Contains(known, param) {
			return "", nil, fmt.Errorf("unknown parameter %q", param)
		}
		if _, twice := params[param]; twice {
			return "", nil, fmt.Errorf("%s is there twice", param)
		}
		params[param] = flag[span[1]:end]
	}
	return file, params, nil
}

// parseRawKey reads the flag and the file that it names.
func parseRawKey(flag string, padded bool) (*rawKey, error) {
	known := []string{"namespace", "name"}
	if padded {
		known = append(known, "padding")
	}
	file, params, err := splitRawKey(flag, known...)
	if err != nil {
		return nil, rawKeyUsage(err)
	}
	key := &rawKey{namespace: params["namespace"], name: params["name"], padding: params["padding"]}
	if key.namespace == "" || key.name == "" {
		return nil, rawKeyUsage(errors.New("it is not FILE,namespace=NS,name=NAME"))
	}
	key.text, err = os.ReadFile(file)
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
	ring, err := keyring.NewRawAES(key.namespace, key.name, key.text)
	if err != nil {
		return nil, err
	}
	return &namedKeyring{Keyring: ring, provider: key.namespace, info: []byte(key.name), more: aesInfoMore}, nil
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
		rings = append(rings, &namedKeyring{Keyring: ring, provider: key.namespace, info: []byte(key.name)})
	}
	return rings, nil
}

const providerRawECDH = "raw-ecdh"

// ephemeralECDH makes keyrings that encrypt to the holders of public keys.
func ephemeralECDH(files []string) ([]materials.Keyring, error) {
	var rings []materials.Keyring
	for _, file := range files {
		recipient, err := readECDHPublicKey(file)
		if err != nil {
			return nil, err
		}
		ring, err := keyring.NewEphemeralECDH(recipient)
		if err != nil {
			return nil, err
		}
		info := ecdhInfo(recipient, nil)
		rings = append(rings, &namedKeyring{Keyring: ring, provider: providerRawECDH, info: info, more: len(info) - 1})
	}
	return rings, nil
}

// staticECDH makes keyrings of private keys with the public keys of their peers.
// To decrypt, a peer may be left out: then it is whoever wrote the message.
func staticECDH(flags []string, encrypt bool) ([]materials.Keyring, error) {
	const hint = "for example: own.pem,peer=theirs.pem"
	var rings []materials.Keyring
	for _, flag := range flags {
		file, params, err := splitRawKey(flag, "peer")
		if err == nil && encrypt && params["peer"] == "" {
			err = errors.New("to encrypt, peer=FILE is needed: the public key of who is to read")
		}
		if err != nil {
			return nil, &usageError{err, hint}
		}
		private, err := readECDHPrivateKey(file)
		if err != nil {
			return nil, err
		}
		if _, ok := params["peer"]; !ok {
			ring, err := keyring.NewDiscoveryECDH(private)
			if err != nil {
				return nil, err
			}
			rings = append(rings, ring)
			continue
		}
		peer, err := readECDHPublicKey(params["peer"])
		if err != nil {
			return nil, err
		}
		ring, err := keyring.NewRawECDH(private, peer)
		if err != nil {
			return nil, err
		}
		rings = append(rings, &namedKeyring{Keyring: ring, provider: providerRawECDH, info: ecdhInfo(peer, private.PublicKey())})
	}
	return rings, nil
}

func readECDHPrivateKey(path string) (*ecdh.PrivateKey, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	defer clear(text)
	key, err := keyring.ParseECDHPrivateKeyPEM(text)
	return key, of(path, err)
}

func readECDHPublicKey(path string) (*ecdh.PublicKey, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	key, err := keyring.ParseECDHPublicKey(text)
	return key, of(path, err)
}

// of says which file an error is about.
func of(path string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", path, err)
}

// rawKeys are the values of the flags for raw keys but those of AES.
type rawKeys struct {
	prefix                                         string // of the flags' names, for errors
	rsaPublic, rsaPrivate, ecdhPublic, ecdhPrivate []string
	encrypt                                        bool
}

// keyrings returns a keyring for each key, in the order of the flags.
func (k rawKeys) keyrings() (rings []materials.Keyring, err error) {
	for _, kind := range []struct {
		flag string
		make func() ([]materials.Keyring, error)
	}{
		{"rsa-public-key", func() ([]materials.Keyring, error) { return rawRSA(k.rsaPublic, false) }},
		{"rsa-private-key", func() ([]materials.Keyring, error) { return rawRSA(k.rsaPrivate, true) }},
		{"ecdh-public-key", func() ([]materials.Keyring, error) { return ephemeralECDH(k.ecdhPublic) }},
		{"ecdh-private-key", func() ([]materials.Keyring, error) { return staticECDH(k.ecdhPrivate, k.encrypt) }},
	} {
		made, err := kind.make()
		if err != nil {
			return nil, &keyError{k.prefix + kind.flag, err}
		}
		rings = append(rings, made...)
	}
	return rings, nil
}

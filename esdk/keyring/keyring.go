// Package keyring has the keyrings that call no service: raw AES, raw RSA and
// raw ECDH, whose wrapping keys lie in the program's own memory; the multi-keyring
// that combines keyrings of any kind; and the hierarchical keyring, whose wrapping
// keys come from a store. The keyrings of AWS KMS are in package awskms.
//
// Raw keyrings are for programs that have a key already, from a file or an HSM's
// wrapping, and must exchange messages with other Encryption SDKs. Nobody but
// the program guards such a key, logs its use or rotates it; if in doubt use a
// KMS keyring.
//
// A raw AES or RSA key is found by its namespace and name, which stand in every
// message in the clear: they must be the same for the writer and the reader.
//
// Source: the AWS Encryption SDK specification, "Keyring Interface", "Raw AES
// Keyring", "Raw RSA Keyring", "Raw ECDH Keyring", "Key Agreement Schemas",
// "Multi-Keyring" and "AWS KMS Hierarchical Keyring".
package keyring

import (
	"crypto/rand"
	"errors"
	"fmt"
	"math"
	"slices"
	"unicode/utf8"

	"github.com/keywright/keywright/esdk/materials"
	"github.com/keywright/keywright/esdk/suite"
)

var (
	// ErrUnwrap says that a data key is for this wrapping key by its name and
	// does not open with it: the key is another, the encryption context is
	// another, or the data key was changed. Which of them, it does not say.
	ErrUnwrap = errors.New("esdk: the data key does not open with this key and encryption context")
	// ErrEncryptOnly says that a keyring cannot decrypt, having no private key.
	ErrEncryptOnly = errors.New("esdk: this keyring has no private key and can only encrypt")
	// ErrDecryptOnly says that a keyring cannot encrypt, having no public key to
	// encrypt to.
	ErrDecryptOnly = errors.New("esdk: this keyring has no public key to encrypt to and can only decrypt")
	// ErrHasDataKey says that materials have a data key where the keyring was to
	// provide one.
	ErrHasDataKey = errors.New("esdk: the materials have a data key already")
)

// wrapper is one raw key, with what differs between the kinds of keys.
type wrapper interface {
	// wrap encrypts a data key.
	wrap(context map[string]string, dataKey []byte) (materials.EncryptedDataKey, error)
	// match reports whether k is for this key, and names the key for errors.
	match(k materials.EncryptedDataKey) (name string, ok bool)
	// unwrap decrypts k, which matches, to a data key that should have size
	// bytes; the caller checks that it has.
	unwrap(context map[string]string, k materials.EncryptedDataKey, size int) ([]byte, error)
}

// encrypt is OnEncrypt of the raw keyrings.
func encrypt(w wrapper, m *materials.EncryptionMaterials) error {
	if err := checkSuite(m.Suite); err != nil {
		return err
	}
	dataKey := m.DataKey
	if dataKey == nil {
		dataKey = make([]byte, m.Suite.KeyLen)
		rand.Read(dataKey)
	} else if len(dataKey) != m.Suite.KeyLen {
		return dataKeyLength(len(dataKey), m.Suite)
	}
	edk, err := w.wrap(m.EncryptionContext, dataKey)
	if err != nil {
		if m.DataKey == nil {
			clear(dataKey)
		}
		return err
	}
	m.DataKey = dataKey
	// A new array: the old one may be shared with a copy of the materials.
	m.EncryptedDataKeys = append(slices.Clip(m.EncryptedDataKeys), edk)
	return nil
}

// decrypt is OnDecrypt of the raw keyrings.
func decrypt(w wrapper, m *materials.DecryptionMaterials, keys []materials.EncryptedDataKey) error {
	if err := checkSuite(m.Suite); err != nil {
		return err
	}
	if m.DataKey != nil {
		return ErrHasDataKey
	}
	failed := new(materials.UnwrapError)
	for _, k := range keys {
		name, ok := w.match(k)
		if !ok {
			continue
		}
		dataKey, err := w.unwrap(m.EncryptionContext, k, m.Suite.KeyLen)
		if err == nil && len(dataKey) != m.Suite.KeyLen {
			clear(dataKey)
			err = dataKeyLength(len(dataKey), m.Suite)
		}
		if err == nil {
			m.DataKey = dataKey
			return nil
		}
		failed.Attempts = append(failed.Attempts, materials.Attempt{
			ProviderID: k.ProviderID, ProviderInfo: name, Err: err,
		})
	}
	return failed
}

// checkSuite keeps a Suite that was left empty from making empty data keys.
func checkSuite(s suite.Suite) error {
	if _, ok := suite.Lookup(s.ID); !ok || s.KeyLen <= 0 {
		return fmt.Errorf("%w: %v", materials.ErrUnknownSuite, s.ID)
	}
	return nil
}

func dataKeyLength(n int, s suite.Suite) error {
	return fmt.Errorf("esdk: the data key has %d bytes, %v takes %d", n, s.ID, s.KeyLen)
}

// kmsProvider is the provider id of AWS KMS, which no raw keyring may claim.
const kmsProvider = "aws-kms"

// checkName checks a raw key's namespace and name. infoLen is how many bytes
// the provider information holds besides the name.
func checkName(namespace, name string, infoLen int) error {
	switch {
	case namespace == "" || name == "":
		return errors.New("esdk: a raw key needs a namespace and a name")
	case namespace == kmsProvider:
		return fmt.Errorf("esdk: the namespace %q belongs to AWS KMS, choose another", namespace)
	case !utf8.ValidString(namespace) || !utf8.ValidString(name):
		return errors.New("esdk: the namespace and name of a raw key must be UTF-8")
	case len(namespace) > math.MaxUint16 || len(name)+infoLen > math.MaxUint16:
		return fmt.Errorf("esdk: the namespace or name of a raw key is too long: the most are %d and %d bytes",
			math.MaxUint16, math.MaxUint16-infoLen)
	}
	return nil
}

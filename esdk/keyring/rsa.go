package keyring

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	_ "crypto/sha1" // for the paddings
	_ "crypto/sha256"
	_ "crypto/sha512"
	"errors"
	"fmt"
	"strings"

	"github.com/keywright/keywright/esdk/materials"
)

// Padding is how a raw RSA keyring pads data keys. Messages do not say which
// padding was used: writer and reader must agree on it.
type Padding uint8

// The paddings. OAEP uses its hash in MGF1 as well.
const (
	OAEPSHA256 Padding = iota
	OAEPSHA384
	OAEPSHA512
	// OAEPSHA1 is sound in spite of its hash, whose collisions do not matter
	// here. For readers that know no other.
	OAEPSHA1
	// PKCS1v15 is for old messages and old readers only: see [RawRSA].
	PKCS1v15
)

// String returns the padding's name.
func (p Padding) String() string {
	switch p {
	case OAEPSHA256:
		return "OAEP-SHA-256"
	case OAEPSHA384:
		return "OAEP-SHA-384"
	case OAEPSHA512:
		return "OAEP-SHA-512"
	case OAEPSHA1:
		return "OAEP-SHA-1"
	case PKCS1v15:
		return "PKCS1-v1_5"
	}
	return fmt.Sprintf("padding %d", uint8(p))
}

// hash returns the hash of an OAEP padding, or 0.
func (p Padding) hash() crypto.Hash {
	switch p {
	case OAEPSHA256:
		return crypto.SHA256
	case OAEPSHA384:
		return crypto.SHA384
	case OAEPSHA512:
		return crypto.SHA512
	case OAEPSHA1:
		return crypto.SHA1
	}
	return 0
}

// RawRSA wraps data keys with RSA under a key in memory. RSA does not bind the
// encryption context to the data key; the message's header does.
//
// With PKCS1v15 a data key that does not open yields a random one and no error.
// Whoever sends made-up data keys thus cannot learn from the keyring which of
// them were padded well (Bleichenbacher's attack), and the message fails
// afterwards, when its header is verified. It follows that further data keys of
// the same namespace and name, and further keyrings of a [Multi], are not tried.
type RawRSA struct {
	namespace, name string
	padding         Padding
	public          *rsa.PublicKey
	private         *rsa.PrivateKey
}

// minRSABits is the smallest modulus that is taken (NIST SP 800-131A).
const minRSABits = 2048

// RawRSAConfig says what a raw RSA keyring consists of.
type RawRSAConfig struct {
	// Namespace and Name tell the key from others and are stored in every
	// message: UTF-8, not empty, at most 65535 bytes each. The namespace
	// "aws-kms" is refused.
	Namespace, Name string
	// Padding is OAEPSHA256 unless set.
	Padding Padding
	// PublicKey encrypts. Nil: the keyring can only decrypt, even if it has the
	// private key.
	PublicKey *rsa.PublicKey
	// PrivateKey decrypts. Nil: the keyring can only encrypt. If both are set,
	// they must belong together.
	PrivateKey *rsa.PrivateKey
}

// NewRawRSA returns a keyring for the keys of the configuration: a public or a
// private one or both, of 2048 bits or more. It keeps the keys, which must not
// be changed any more.
func NewRawRSA(c RawRSAConfig) (*RawRSA, error) {
	if err := checkName(c.Namespace, c.Name, 0); err != nil {
		return nil, err
	}
	if c.Padding > PKCS1v15 {
		return nil, fmt.Errorf("esdk: no such RSA padding: %v", c.Padding)
	}
	if c.PublicKey == nil && c.PrivateKey == nil {
		return nil, errors.New("esdk: a raw RSA keyring needs a public key, a private key or both")
	}
	if c.PrivateKey != nil {
		if err := c.PrivateKey.Validate(); err != nil {
			return nil, fmt.Errorf("esdk: checking the RSA private key: %w", err)
		}
		if err := checkRSASize(&c.PrivateKey.PublicKey); err != nil {
			return nil, err
		}
	}
	if c.PublicKey != nil {
		if err := checkRSASize(c.PublicKey); err != nil {
			return nil, err
		}
		if c.PrivateKey != nil && !c.PrivateKey.PublicKey.Equal(c.PublicKey) {
			return nil, errors.New("esdk: the RSA public key is not that of the private key")
		}
	}
	return &RawRSA{strings.Clone(c.Namespace), strings.Clone(c.Name), c.Padding, c.PublicKey, c.PrivateKey}, nil
}

func checkRSASize(key *rsa.PublicKey) error {
	if key.N == nil {
		return errors.New("esdk: the RSA key is empty")
	}
	if n := key.N.BitLen(); n < minRSABits {
		return fmt.Errorf("esdk: the RSA key has %d bits, it needs at least %d", n, minRSABits)
	}
	return nil
}

// OnEncrypt wraps the data key, and makes it first if there is none. The error
// is ErrDecryptOnly if the keyring has no public key.
func (k *RawRSA) OnEncrypt(_ context.Context, m *materials.EncryptionMaterials) error {
	return encrypt(k, m)
}

// OnDecrypt unwraps the first of the keys that has this keyring's namespace and
// name and opens. The error is an *materials.UnwrapError if none does, with
// ErrEncryptOnly in it for each key that needs the private key that is missing.
func (k *RawRSA) OnDecrypt(_ context.Context, m *materials.DecryptionMaterials, keys []materials.EncryptedDataKey) error {
	return decrypt(k, m, keys)
}

func (k *RawRSA) wrap(_ map[string]string, dataKey []byte) (materials.EncryptedDataKey, error) {
	if k.public == nil {
		return materials.EncryptedDataKey{}, ErrDecryptOnly
	}
	var ciphertext []byte
	var err error
	if k.padding == PKCS1v15 {
		//lint:ignore SA1019 the format has it, and the caller asked for it
		ciphertext, err = rsa.EncryptPKCS1v15(rand.Reader, k.public, dataKey)
	} else {
		ciphertext, err = rsa.EncryptOAEP(k.padding.hash().New(), rand.Reader, k.public, dataKey, nil)
	}
	if err != nil {
		return materials.EncryptedDataKey{}, fmt.Errorf("esdk: wrapping the data key with RSA: %w", err)
	}
	return materials.EncryptedDataKey{ProviderID: k.namespace, ProviderInfo: []byte(k.name), Ciphertext: ciphertext}, nil
}

func (k *RawRSA) match(edk materials.EncryptedDataKey) (string, bool) {
	return k.name, edk.ProviderID == k.namespace && string(edk.ProviderInfo) == k.name
}

func (k *RawRSA) unwrap(_ map[string]string, edk materials.EncryptedDataKey, size int) ([]byte, error) {
	if k.private == nil {
		return nil, ErrEncryptOnly
	}
	// Package rsa would also take a ciphertext without its leading zeros.
	// Everybody can see this much, so the error gives nothing away.
	if len(edk.Ciphertext) != k.private.Size() {
		return nil, ErrUnwrap
	}
	if k.padding != PKCS1v15 {
		dataKey, err := rsa.DecryptOAEP(k.padding.hash().New(), nil, k.private, edk.Ciphertext, nil)
		if err != nil {
			return nil, ErrUnwrap
		}
		return dataKey, nil
	}
	// The random key stays unless the padding is right and what is padded has
	// just its length; which of them, neither the result nor the time tells.
	dataKey := make([]byte, size)
	rand.Read(dataKey)
	//lint:ignore SA1019 messages with it must remain readable
	if err := rsa.DecryptPKCS1v15SessionKey(nil, k.private, edk.Ciphertext, dataKey); err != nil {
		return nil, ErrUnwrap
	}
	return dataKey, nil
}

package keyring

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"
	"fmt"
	"strings"

	"github.com/keywright/keywright/esdk/materials"
)

// RawAES wraps data keys with AES-GCM under a key in memory. The encryption
// context is authenticated: a data key opens only with the one it was wrapped
// with.
//
// The IVs are random, so one key may wrap at most 2^32 data keys (NIST SP
// 800-38D section 8.3).
type RawAES struct {
	namespace, name string
	aead            cipher.AEAD // prepends a random nonce to what it seals
}

const (
	aesIVLen  = 12
	aesTagLen = 16
	// aesInfoLen is the provider information after the name: tag length in
	// bits, IV length in bytes, IV.
	aesInfoLen = 4 + 4 + aesIVLen
)

// NewRawAES returns a keyring for key, which has 16, 24 or 32 bytes and is not
// kept. Namespace and name tell the key from others and are stored in every
// message: UTF-8, not empty, at most 65535 and 65515 bytes. The namespace
// "aws-kms" is refused.
func NewRawAES(namespace, name string, key []byte) (*RawAES, error) {
	if err := checkName(namespace, name, aesInfoLen); err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("esdk: a raw AES key has 16, 24 or 32 bytes, not %d", len(key))
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return nil, fmt.Errorf("esdk: preparing the raw AES key: %w", err)
	}
	return &RawAES{strings.Clone(namespace), strings.Clone(name), aead}, nil
}

// OnEncrypt wraps the data key, and makes it first if there is none. It fails
// if the encryption context cannot be serialized.
func (k *RawAES) OnEncrypt(_ context.Context, m *materials.EncryptionMaterials) error {
	return encrypt(k, m)
}

// OnDecrypt unwraps the first of the keys that has this keyring's namespace and
// name and opens. The error is an *materials.UnwrapError if none does.
func (k *RawAES) OnDecrypt(_ context.Context, m *materials.DecryptionMaterials, keys []materials.EncryptedDataKey) error {
	return decrypt(k, m, keys)
}

func (k *RawAES) wrap(context map[string]string, dataKey []byte) (materials.EncryptedDataKey, error) {
	aad, err := materials.AppendContext(nil, context)
	if err != nil {
		return materials.EncryptedDataKey{}, err
	}
	sealed := k.aead.Seal(nil, nil, dataKey, aad)
	iv, ciphertext := sealed[:aesIVLen], sealed[aesIVLen:]

	info := make([]byte, 0, len(k.name)+aesInfoLen)
	info = append(info, k.name...)
	info = binary.BigEndian.AppendUint32(info, aesTagLen*8)
	info = binary.BigEndian.AppendUint32(info, aesIVLen)
	info = append(info, iv...)
	return materials.EncryptedDataKey{ProviderID: k.namespace, ProviderInfo: info, Ciphertext: ciphertext}, nil
}

func (k *RawAES) match(edk materials.EncryptedDataKey) (string, bool) {
	_, ok := k.iv(edk.ProviderInfo)
	return k.name, ok && edk.ProviderID == k.namespace
}

// iv takes the IV out of provider information and reports whether that is this
// key's. A name may hold any bytes, also such as look like what follows it, so
// its length must be known beforehand.
func (k *RawAES) iv(info []byte) ([]byte, bool) {
	if len(info) != len(k.name)+aesInfoLen || string(info[:len(k.name)]) != k.name {
		return nil, false
	}
	rest := info[len(k.name):]
	if binary.BigEndian.Uint32(rest) != aesTagLen*8 || binary.BigEndian.Uint32(rest[4:]) != aesIVLen {
		return nil, false
	}
	return rest[8:], true
}

func (k *RawAES) unwrap(context map[string]string, edk materials.EncryptedDataKey, _ int) ([]byte, error) {
	aad, err := materials.AppendContext(nil, context)
	if err != nil {
		return nil, err
	}
	iv, _ := k.iv(edk.ProviderInfo)
	sealed := make([]byte, 0, len(iv)+len(edk.Ciphertext))
	sealed = append(append(sealed, iv...), edk.Ciphertext...)
	dataKey, err := k.aead.Open(nil, nil, sealed, aad)
	if err != nil {
		return nil, ErrUnwrap
	}
	return dataKey, nil
}

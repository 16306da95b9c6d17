package keyring

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"time"
	"unicode/utf8"

	"github.com/keywright/keywright/esdk/materials"
)

// hierarchyProvider is the provider id of hierarchical keyrings, and the label
// of all that they derive and authenticate.
const hierarchyProvider = "aws-kms-hierarchy"

// Hierarchical wraps data keys under branch keys, which a [BranchKeyStore]
// provides and the keyring keeps for a while: many messages cost one call of the
// store. It is the specification's AWS KMS Hierarchical Keyring, whose branch
// keys a KMS key encrypts; here that is the store's business. The encryption
// context is authenticated.
//
// A data key's provider information is the branch key's id, and its ciphertext
//
//	salt (16) | IV (12) | version of the branch key (16) | wrapped key | tag (16)
//
// The wrapping key comes from branch key and salt by the counter mode KDF of
// SP 800-108 with HMAC-SHA-256.
//
// Source: the AWS Encryption SDK specification, "AWS KMS Hierarchical Keyring".
type Hierarchical struct {
	store BranchKeyStore
	idFor func(map[string]string) (string, error)
	cache *branchKeyCache
}

const (
	hierarchySaltLen   = 16
	hierarchyIVLen     = 12
	hierarchyHeaderLen = hierarchySaltLen + hierarchyIVLen + 16
	defaultBranchKeys  = 1000
)

// HierarchicalConfig says what a hierarchical keyring consists of.
type HierarchicalConfig struct {
	// Store provides the branch keys.
	Store BranchKeyStore
	// BranchKeyID is the one branch key of the keyring. Either it or
	// BranchKeyIDFor must be set.
	BranchKeyID string
	// BranchKeyIDFor chooses the branch key of a message by its encryption
	// context, a tenant's for example. It must choose the same one for reading
	// as for writing, and may be called concurrently.
	BranchKeyIDFor func(context map[string]string) (string, error)
	// TTL is how long the keyring uses a branch key before it asks the store
	// again. A rotated branch key is in use, and a revoked one remains usable,
	// that long. It must be positive.
	TTL time.Duration
	// Capacity is how many branch keys and versions of them are kept. Zero: 1000.
	Capacity int
}

// NewHierarchical returns a keyring for the branch keys of the configuration.
func NewHierarchical(c HierarchicalConfig) (*Hierarchical, error) {
	switch {
	case c.Store == nil:
		return nil, errors.New("esdk: a hierarchical keyring needs a store of branch keys")
	case (c.BranchKeyID == "") == (c.BranchKeyIDFor == nil):
		return nil, errors.New("esdk: a hierarchical keyring needs either BranchKeyID or BranchKeyIDFor")
	case c.TTL <= 0:
		return nil, errors.New("esdk: the TTL of a hierarchical keyring must be positive")
	case c.Capacity < 0:
		return nil, errors.New("esdk: the capacity of a hierarchical keyring is negative")
	}
	k := &Hierarchical{store: c.Store, idFor: c.BranchKeyIDFor}
	if k.idFor == nil {
		if err := checkBranchKeyID(c.BranchKeyID); err != nil {
			return nil, err
		}
		k.idFor = func(map[string]string) (string, error) { return c.BranchKeyID, nil }
	}
	if c.Capacity == 0 {
		c.Capacity = defaultBranchKeys
	}
	k.cache = newBranchKeyCache(c.Capacity, c.TTL)
	return k, nil
}

func checkBranchKeyID(id string) error {
	if id == "" || len(id) > math.MaxUint16 || !utf8.ValidString(id) {
		return errors.New("esdk: the id of a branch key must be UTF-8 of 1 to 65535 bytes")
	}
	return nil
}

// OnEncrypt wraps the data key under the active version of the branch key, and
// makes it first if there is none. The errors are those of the store, of
// BranchKeyIDFor and of the encryption context.
func (k *Hierarchical) OnEncrypt(ctx context.Context, m *materials.EncryptionMaterials) error {
	id, err := k.branchKeyID(m.EncryptionContext)
	if err != nil {
		return err
	}
	return encrypt(branchWrapper{ctx, k, id}, m)
}

// OnDecrypt unwraps the first of the keys that is of the branch key and opens,
// with the version that wrapped it. The error is an *materials.UnwrapError if
// none does, which also holds the errors of the store.
func (k *Hierarchical) OnDecrypt(ctx context.Context, m *materials.DecryptionMaterials, keys []materials.EncryptedDataKey) error {
	id, err := k.branchKeyID(m.EncryptionContext)
	if err != nil {
		return err
	}
	return decrypt(branchWrapper{ctx, k, id}, m, keys)
}

func (k *Hierarchical) branchKeyID(context map[string]string) (string, error) {
	id, err := k.idFor(context)
	if err != nil {
		return "", fmt.Errorf("esdk: choosing the branch key: %w", err)
	}
	return id, checkBranchKeyID(id)
}

// branchWrapper is the wrapper of one call.
type branchWrapper struct {
	ctx context.Context
	k   *Hierarchical
	id  string
}

func (w branchWrapper) wrap(context map[string]string, dataKey []byte) (materials.EncryptedDataKey, error) {
	key, err := w.k.cache.get(w.ctx, w.k.store, w.id, nil)
	if err != nil {
		return materials.EncryptedDataKey{}, err
	}
	aad, err := branchAAD(key, context)
	if err != nil {
		return materials.EncryptedDataKey{}, err
	}
	b := make([]byte, hierarchySaltLen+hierarchyIVLen, hierarchyHeaderLen+len(dataKey)+aesTagLen)
	rand.Read(b)
	salt, iv := b[:hierarchySaltLen], b[hierarchySaltLen:]
	b = append(b, key.Version[:]...)
	aead, err := branchAEAD(key, salt)
	if err != nil {
		return materials.EncryptedDataKey{}, err
	}
	return materials.EncryptedDataKey{
		ProviderID: hierarchyProvider, ProviderInfo: []byte(w.id), Ciphertext: aead.Seal(b, iv, dataKey, aad),
	}, nil
}

func (w branchWrapper) match(edk materials.EncryptedDataKey) (string, bool) {
	return w.id, edk.ProviderID == hierarchyProvider && string(edk.ProviderInfo) == w.id
}

func (w branchWrapper) unwrap(context map[string]string, edk materials.EncryptedDataKey, size int) ([]byte, error) {
	// Before the store is asked: whatever has another length cannot open.
	if len(edk.Ciphertext) != hierarchyHeaderLen+size+aesTagLen {
		return nil, ErrUnwrap
	}
	salt, rest := edk.Ciphertext[:hierarchySaltLen], edk.Ciphertext[hierarchySaltLen:]
	iv, rest := rest[:hierarchyIVLen], rest[hierarchyIVLen:]
	version := [16]byte(rest)
	key, err := w.k.cache.get(w.ctx, w.k.store, w.id, &version)
	if err != nil {
		return nil, err
	}
	aad, err := branchAAD(key, context)
	if err != nil {
		return nil, err
	}
	aead, err := branchAEAD(key, salt)
	if err != nil {
		return nil, err
	}
	dataKey, err := aead.Open(nil, iv, rest[len(version):], aad)
	if err != nil {
		return nil, ErrUnwrap
	}
	return dataKey, nil
}

// branchAAD is what a wrapped data key is bound to.
func branchAAD(key BranchKey, context map[string]string) ([]byte, error) {
	b := append([]byte(hierarchyProvider), key.ID...)
	b = append(b, key.Version[:]...)
	return materials.AppendContext(b, context)
}

// branchAEAD derives the wrapping key of one salt: SP 800-108 in counter mode
// with HMAC-SHA-256, of which one block suffices.
func branchAEAD(key BranchKey, salt []byte) (cipher.AEAD, error) {
	mac := hmac.New(sha256.New, key.Key[:])
	mac.Write([]byte{0, 0, 0, 1})
	mac.Write([]byte(hierarchyProvider))
	mac.Write([]byte{0})
	mac.Write(salt)
	mac.Write(binary.BigEndian.AppendUint32(nil, sha256.Size*8))
	wrapKey := mac.Sum(nil)
	defer clear(wrapKey)
	block, err := aes.NewCipher(wrapKey)
	if err != nil {
		return nil, fmt.Errorf("esdk: preparing the wrapping key: %w", err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return nil, fmt.Errorf("esdk: preparing the wrapping key: %w", err)
	}
	return aead, nil
}

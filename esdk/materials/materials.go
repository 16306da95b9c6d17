// Package materials is what stands between a message and the keys it is
// encrypted under: the materials of one message, the keyrings that wrap and
// unwrap its data key, and the managers that choose, check and cache materials.
//
// A Keyring knows keys and nothing of messages; a Manager (the specification's
// cryptographic materials manager, CMM) knows keyrings and policies; package
// esdk knows messages. Ready-made keyrings are in packages of their own.
package materials

import (
	"context"
	"crypto/ecdsa"

	"github.com/keywright/keywright/esdk/suite"
)

// EncryptedDataKey is a message's data key as one wrapping key encrypted it. A
// message has one or more, any of which opens it. Its bytes are not changed once
// it is made: messages that share a data key share them.
type EncryptedDataKey struct {
	ProviderID   string // "aws-kms", or a raw keyring's namespace
	ProviderInfo []byte // "arn:aws:kms:...", or what a raw keyring puts there
	Ciphertext   []byte
}

// PublicKeyField is the key under which a signed message carries its
// verification key in the encryption context.
const PublicKeyField = "aws-crypto-public-key"

// ReservedPrefix begins the keys of an encryption context that belong to the
// format: a caller may not use them.
const ReservedPrefix = "aws-crypto-"

// EncryptionMaterials are what one message is encrypted with. Whoever gets them
// from a Manager owns them, and wipes them after use.
type EncryptionMaterials struct {
	Suite suite.Suite
	// EncryptionContext is the whole context, with PublicKeyField where the
	// suite signs.
	EncryptionContext map[string]string
	// RequiredKeys are the keys of EncryptionContext that are authenticated and
	// not stored in the message.
	RequiredKeys      []string
	EncryptedDataKeys []EncryptedDataKey
	DataKey           []byte            // Suite.KeyLen bytes; nil until a keyring made it
	SigningKey        *ecdsa.PrivateKey // nil where the suite does not sign
}

// DecryptionMaterials are what one message is decrypted with.
type DecryptionMaterials struct {
	Suite             suite.Suite
	EncryptionContext map[string]string // as stored, and as reproduced by the caller
	RequiredKeys      []string          // the keys that only the caller gave
	DataKey           []byte            // nil until a keyring unwrapped it
	VerificationKey   *ecdsa.PublicKey  // nil where the suite does not sign
}

// Wipe overwrites the plaintext data key and lets the signing key go.
func (m *EncryptionMaterials) Wipe() {
	clear(m.DataKey)
	m.DataKey, m.SigningKey = nil, nil
}

// Wipe overwrites the plaintext data key.
func (m *DecryptionMaterials) Wipe() {
	clear(m.DataKey)
	m.DataKey = nil
}

// Keyring makes, wraps and unwraps data keys. Its methods may be called
// concurrently.
type Keyring interface {
	// OnEncrypt makes a data key if m has none, and appends at least one
	// EncryptedDataKey of it. It changes nothing else, and on an error nothing.
	OnEncrypt(ctx context.Context, m *EncryptionMaterials) error
	// OnDecrypt sets m.DataKey from the first of the keys that it can unwrap.
	// It tries them in order. Where none is its own it returns an
	// *UnwrapError; where m has a data key already, an error.
	OnDecrypt(ctx context.Context, m *DecryptionMaterials, keys []EncryptedDataKey) error
}

// UnknownLength stands for a plaintext whose length is not known beforehand.
const UnknownLength = -1

// EncryptionRequest asks a Manager for the materials of a new message.
type EncryptionRequest struct {
	Policy            CommitmentPolicy
	Suite             suite.ID // zero: the policy's default
	EncryptionContext map[string]string
	// PlaintextLength is how many bytes are to be encrypted, or a bound of it;
	// UnknownLength if there is none. It counts towards a cache's limits.
	PlaintextLength int64
}

// DecryptionRequest asks a Manager for the materials of a message.
type DecryptionRequest struct {
	Policy            CommitmentPolicy
	Suite             suite.ID
	EncryptionContext map[string]string // as stored in the message
	EncryptedDataKeys []EncryptedDataKey
	// Reproduced is the context as the caller gives it. Where a key stands in
	// both, the values must agree; what stands here alone was authenticated and
	// not stored.
	Reproduced map[string]string
}

// Manager is a cryptographic materials manager. Its methods may be called
// concurrently. It neither keeps nor changes the maps and slices of a request.
type Manager interface {
	EncryptionMaterials(ctx context.Context, req EncryptionRequest) (*EncryptionMaterials, error)
	DecryptionMaterials(ctx context.Context, req DecryptionRequest) (*DecryptionMaterials, error)
}

// CommitmentPolicy says which suites may be written and read, by whether they
// commit to their key.
type CommitmentPolicy uint8

// The policies. The zero value is the strictest, and the one to use.
const (
	RequireEncryptRequireDecrypt CommitmentPolicy = iota
	RequireEncryptAllowDecrypt
	ForbidEncryptAllowDecrypt
)

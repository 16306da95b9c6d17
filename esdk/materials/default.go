package materials

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/keywright/keywright/esdk/suite"
)

type defaultManager struct{ keyring Keyring }

// NewDefaultManager returns the manager that asks the keyring for each message.
// It checks the commitment policy, makes the signing key of a signed message
// and refuses materials that break their contract.
//
// To encrypt, the context may hold no key with ReservedPrefix (ErrReservedKey).
// To decrypt, what a caller reproduces must agree with what the message stores
// (ErrContextMismatch), may add no reserved key, and what it adds becomes a
// required key; a signed message must store its verification key and an
// unsigned one must not (ErrSignatureKey).
//
// Source: the specification, "Default Cryptographic Materials Manager". It
// panics if k is nil.
func NewDefaultManager(k Keyring) Manager {
	if k == nil {
		panic("materials: NewDefaultManager without a keyring")
	}
	return &defaultManager{k}
}

func (d *defaultManager) EncryptionMaterials(ctx context.Context, req EncryptionRequest) (*EncryptionMaterials, error) {
	s, err := encryptSuite(req)
	if err != nil {
		return nil, err
	}
	if err := refuseReserved(req.EncryptionContext); err != nil {
		return nil, err
	}
	m := &EncryptionMaterials{Suite: s, EncryptionContext: cloneContext(req.EncryptionContext)}
	if s.Signature != suite.Unsigned {
		if m.SigningKey, err = newSigningKey(s); err != nil {
			return nil, err
		}
		if m.EncryptionContext[PublicKeyField], err = encodePublicKey(&m.SigningKey.PublicKey); err != nil {
			return nil, err
		}
	}
	// Before the keyring is asked: a service would be called for nothing.
	if _, err := contextSize(m.EncryptionContext); err != nil {
		return nil, err
	}
	if err := d.keyring.OnEncrypt(ctx, m); err != nil {
		m.Wipe()
		return nil, err
	}
	if err := checkEncryption(m, req); err != nil {
		m.Wipe()
		return nil, err
	}
	return m, nil
}

func (d *defaultManager) DecryptionMaterials(ctx context.Context, req DecryptionRequest) (*DecryptionMaterials, error) {
	s, err := decryptSuite(req)
	if err != nil {
		return nil, err
	}
	m := &DecryptionMaterials{Suite: s}
	if m.EncryptionContext, m.RequiredKeys, err = mergeReproduced(req); err != nil {
		return nil, err
	}
	if field, has := req.EncryptionContext[PublicKeyField]; has != (s.Signature != suite.Unsigned) {
		if has {
			return nil, fmt.Errorf("%w: %v does not sign, yet the message has a key for it", ErrSignatureKey, s.ID)
		}
		return nil, fmt.Errorf("%w: the message has none, and %v signs", ErrSignatureKey, s.ID)
	} else if has {
		if m.VerificationKey, err = decodePublicKey(s, field); err != nil {
			return nil, err
		}
	}
	if err := d.keyring.OnDecrypt(ctx, m, req.EncryptedDataKeys); err != nil {
		m.Wipe()
		return nil, err
	}
	if err := checkDecryption(m, req); err != nil {
		m.Wipe()
		return nil, err
	}
	return m, nil
}

// checkEncryption is what must hold of materials for a request, whoever made
// them.
func checkEncryption(m *EncryptionMaterials, req EncryptionRequest) error {
	if !req.Policy.AllowsEncrypt(m.Suite) {
		return fmt.Errorf("%w: the materials are for %v", ErrCommitmentPolicy, m.Suite.ID)
	}
	if req.Suite != 0 && m.Suite.ID != req.Suite {
		return fmt.Errorf("%w: they are for %v, asked for was %v", ErrMaterials, m.Suite.ID, req.Suite)
	}
	return m.Validate()
}

// checkDecryption is what must hold of materials for a request, whoever made
// them.
func checkDecryption(m *DecryptionMaterials, req DecryptionRequest) error {
	if !req.Policy.AllowsDecrypt(m.Suite) {
		return fmt.Errorf("%w: the materials are for %v", ErrCommitmentPolicy, m.Suite.ID)
	}
	if m.Suite.ID != req.Suite {
		return fmt.Errorf("%w: they are for %v, asked for was %v", ErrMaterials, m.Suite.ID, req.Suite)
	}
	return m.Validate()
}

// mergeReproduced returns the whole context of a message and, sorted, the keys
// of it that only the caller gave.
func mergeReproduced(req DecryptionRequest) (whole map[string]string, required []string, err error) {
	whole = cloneContext(req.EncryptionContext)
	for k, v := range req.Reproduced {
		stored, ok := whole[k]
		switch {
		case ok && stored != v:
			return nil, nil, fmt.Errorf("%w: the value of %q differs", ErrContextMismatch, k)
		case ok:
		case strings.HasPrefix(k, ReservedPrefix):
			return nil, nil, fmt.Errorf("%w: %q", ErrReservedKey, k)
		default:
			whole[k] = v
			required = append(required, k)
		}
	}
	slices.Sort(required)
	if _, err := contextSize(whole); err != nil {
		return nil, nil, err
	}
	return whole, required, nil
}

func refuseReserved(context map[string]string) error {
	for k := range context {
		if strings.HasPrefix(k, ReservedPrefix) {
			return fmt.Errorf("%w: %q", ErrReservedKey, k)
		}
	}
	return nil
}

// cloneContext is maps.Clone, but never nil, and with room for one more.
func cloneContext(context map[string]string) map[string]string {
	c := make(map[string]string, len(context)+1)
	maps.Copy(c, context)
	return c
}

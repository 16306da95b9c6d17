package materials

import (
	"crypto/elliptic"
	"fmt"
	"math"

	"github.com/keywright/keywright/esdk/suite"
)

// Validate checks that a message can be written with the materials: a data key
// of the suite's length, encrypted at least once, a signing key exactly if the
// suite signs, with its public key in the context, and a context that holds
// the required keys and can be serialized. It returns ErrMaterials, or the
// context's error.
//
// Source: the specification, "Structures", valid encryption materials.
func (m *EncryptionMaterials) Validate() error {
	if err := validateKey(m.Suite, m.DataKey, m.EncryptionContext, m.RequiredKeys); err != nil {
		return err
	}
	if len(m.EncryptedDataKeys) == 0 {
		return fmt.Errorf("%w: no keyring encrypted the data key", ErrMaterials)
	}
	if len(m.EncryptedDataKeys) > math.MaxUint16 {
		return fmt.Errorf("%w: the data key is encrypted %d times, a message has room for %d",
			ErrMaterials, len(m.EncryptedDataKeys), math.MaxUint16)
	}
	if err := checkKeySizes(m.EncryptedDataKeys); err != nil {
		return err
	}
	field, has := m.EncryptionContext[PublicKeyField]
	if m.Suite.Signature == suite.Unsigned {
		if m.SigningKey != nil || has {
			return fmt.Errorf("%w: %v does not sign, yet there is a key for it", ErrMaterials, m.Suite.ID)
		}
		return nil
	}
	if m.SigningKey == nil || m.SigningKey.Curve != curve(m.Suite) {
		return fmt.Errorf("%w: there is no signing key for %v", ErrMaterials, m.Suite.ID)
	}
	want, err := encodePublicKey(&m.SigningKey.PublicKey)
	if err != nil {
		return err
	}
	if field != want {
		return fmt.Errorf("%w: %s is not the signing key's", ErrMaterials, PublicKeyField)
	}
	return nil
}

// Validate checks that a message can be read with the materials: a data key of
// the suite's length, a verification key exactly if the suite signs, and a
// context that holds the required keys. It returns ErrMaterials,
// ErrSignatureKey, or the context's error.
//
// Source: the specification, "Structures", valid decryption materials.
func (m *DecryptionMaterials) Validate() error {
	if err := validateKey(m.Suite, m.DataKey, m.EncryptionContext, m.RequiredKeys); err != nil {
		return err
	}
	var have elliptic.Curve
	if m.VerificationKey != nil {
		have = m.VerificationKey.Curve
	}
	if have != curve(m.Suite) {
		return fmt.Errorf("%w %v", ErrSignatureKey, m.Suite.ID)
	}
	return nil
}

func validateKey(s suite.Suite, dataKey []byte, context map[string]string, required []string) error {
	if known, ok := suite.Lookup(s.ID); !ok || known != s {
		return fmt.Errorf("%w: %w", ErrMaterials, ErrUnknownSuite)
	}
	if len(dataKey) != s.KeyLen {
		return fmt.Errorf("%w: the data key has %d bytes, %v needs %d", ErrMaterials, len(dataKey), s.ID, s.KeyLen)
	}
	for _, k := range required {
		if _, ok := context[k]; !ok {
			return fmt.Errorf("%w: %q", ErrMissingContext, k)
		}
	}
	_, err := contextSize(context)
	return err
}

// checkKeySizes checks that each field fits its length of 16 bits.
func checkKeySizes(keys []EncryptedDataKey) error {
	for _, k := range keys {
		if max(len(k.ProviderID), len(k.ProviderInfo), len(k.Ciphertext)) > math.MaxUint16 {
			return fmt.Errorf("%w: a field of an encrypted data key takes more than %d bytes", ErrMaterials, math.MaxUint16)
		}
	}
	return nil
}

package awskms

import (
	"crypto/rand"
	"fmt"
	"slices"

	"github.com/keywright/keywright/esdk/materials"
	"github.com/keywright/keywright/esdk/suite"
)

// wrapLocally is OnEncrypt of the keyrings that encrypt in this process. The
// data key is made here, if there is none.
func wrapLocally(m *materials.EncryptionMaterials, wrap func(dataKey []byte) (materials.EncryptedDataKey, error)) error {
	dataKey := m.DataKey
	if dataKey == nil {
		dataKey = make([]byte, m.Suite.KeyLen)
		rand.Read(dataKey)
	}
	edk, err := wrap(dataKey)
	if err != nil {
		if m.DataKey == nil {
			clear(dataKey)
		}
		return err
	}
	m.DataKey = dataKey
	add(m, edk)
	return nil
}

// add appends to a new array: the old one may be shared with a copy of m.
func add(m *materials.EncryptionMaterials, edk materials.EncryptedDataKey) {
	m.EncryptedDataKeys = append(slices.Clip(m.EncryptedDataKeys), edk)
}

// checkEncryption is what must hold before anything is encrypted: a data key
// that another keyring made could else be one that no reader can use.
func checkEncryption(m *materials.EncryptionMaterials) error {
	if err := check(m.Suite, m.EncryptionContext); err != nil {
		return err
	}
	if m.DataKey != nil && len(m.DataKey) != m.Suite.KeyLen {
		return fmt.Errorf("esdk: the data key has %d bytes, %v takes %d", len(m.DataKey), m.Suite.ID, m.Suite.KeyLen)
	}
	return nil
}

// check keeps a Suite that was left empty from making empty data keys, and text
// that is not UTF-8 from being sent: JSON has none, and encoders put replacement
// characters in its place, so that different contexts would become the same.
func check(s suite.Suite, context map[string]string) error {
	if s.KeyLen <= 0 {
		return fmt.Errorf("%w: %v", materials.ErrUnknownSuite, s.ID)
	}
	_, err := materials.AppendContext(nil, context)
	return err
}

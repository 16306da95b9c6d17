package keyringtest

import (
	"maps"
	"slices"

	"github.com/keywright/keywright/esdk/materials"
)

func copyKeys(keys []materials.EncryptedDataKey) []materials.EncryptedDataKey {
	c := slices.Clone(keys)
	for i := range c {
		c[i].ProviderInfo = slices.Clone(c[i].ProviderInfo)
		c[i].Ciphertext = slices.Clone(c[i].Ciphertext)
	}
	return c
}

func copyEncryption(m *materials.EncryptionMaterials) materials.EncryptionMaterials {
	c := *m
	c.EncryptionContext = maps.Clone(m.EncryptionContext)
	c.RequiredKeys = slices.Clone(m.RequiredKeys)
	c.EncryptedDataKeys = copyKeys(m.EncryptedDataKeys)
	c.DataKey = slices.Clone(m.DataKey)
	return c
}

func copyDecryption(m *materials.DecryptionMaterials) materials.DecryptionMaterials {
	c := *m
	c.EncryptionContext = maps.Clone(m.EncryptionContext)
	c.RequiredKeys = slices.Clone(m.RequiredKeys)
	c.DataKey = slices.Clone(m.DataKey)
	return c
}

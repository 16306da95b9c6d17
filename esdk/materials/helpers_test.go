package materials_test

import (
	"context"
	"crypto/rand"
	"errors"
	"maps"
	"sync"

	"github.com/keywright/keywright/esdk/materials"
)

// A keyring remembers the data keys it made instead of encrypting them.
type keyring struct {
	mu       sync.Mutex
	keys     map[string][]byte
	encrypts int
	decrypts int

	before    func(ctx context.Context) error // runs before each call
	onEncrypt func(m *materials.EncryptionMaterials)
	onDecrypt func(m *materials.DecryptionMaterials)
}

func (k *keyring) OnEncrypt(ctx context.Context, m *materials.EncryptionMaterials) error {
	k.mu.Lock()
	k.encrypts++
	k.mu.Unlock()
	if k.before != nil {
		if err := k.before(ctx); err != nil {
			return err
		}
	}
	if m.DataKey == nil {
		m.DataKey = make([]byte, m.Suite.KeyLen)
		rand.Read(m.DataKey)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.keys == nil {
		k.keys = make(map[string][]byte)
	}
	name := rand.Text()
	k.keys[name] = append([]byte(nil), m.DataKey...)
	m.EncryptedDataKeys = append(m.EncryptedDataKeys, materials.EncryptedDataKey{
		ProviderID: "test", ProviderInfo: []byte("key"), Ciphertext: []byte(name),
	})
	if k.onEncrypt != nil {
		k.onEncrypt(m)
	}
	return nil
}

func (k *keyring) OnDecrypt(ctx context.Context, m *materials.DecryptionMaterials, keys []materials.EncryptedDataKey) error {
	k.mu.Lock()
	k.decrypts++
	k.mu.Unlock()
	if k.before != nil {
		if err := k.before(ctx); err != nil {
			return err
		}
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, e := range keys {
		if key, ok := k.keys[string(e.Ciphertext)]; ok {
			m.DataKey = append([]byte(nil), key...)
			if k.onDecrypt != nil {
				k.onDecrypt(m)
			}
			return nil
		}
	}
	return &materials.UnwrapError{}
}

func (k *keyring) calls() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.encrypts + k.decrypts
}

var errKeyring = errors.New("the key service is away")

// A manager answers with what its functions return.
type manager struct {
	encrypt func(materials.EncryptionRequest) (*materials.EncryptionMaterials, error)
	decrypt func(materials.DecryptionRequest) (*materials.DecryptionMaterials, error)
}

func (m manager) EncryptionMaterials(_ context.Context, req materials.EncryptionRequest) (*materials.EncryptionMaterials, error) {
	return m.encrypt(req)
}

func (m manager) DecryptionMaterials(_ context.Context, req materials.DecryptionRequest) (*materials.DecryptionMaterials, error) {
	return m.decrypt(req)
}

// reading is the request to read a message written with m.
func reading(m *materials.EncryptionMaterials) materials.DecryptionRequest {
	stored := make(map[string]string)
	maps.Copy(stored, m.EncryptionContext)
	reproduced := make(map[string]string)
	for _, k := range m.RequiredKeys {
		reproduced[k] = stored[k]
		delete(stored, k)
	}
	return materials.DecryptionRequest{
		Suite: m.Suite.ID, EncryptionContext: stored, Reproduced: reproduced,
		EncryptedDataKeys: m.EncryptedDataKeys, Policy: materials.RequireEncryptAllowDecrypt,
	}
}

// A failingKeyring fails after it made a key, as it must not.
type failingKeyring struct{ key []byte }

func (k *failingKeyring) OnEncrypt(_ context.Context, m *materials.EncryptionMaterials) error {
	m.DataKey = []byte("made, and then not encrypted")
	k.key = m.DataKey
	return errKeyring
}

func (k *failingKeyring) OnDecrypt(_ context.Context, m *materials.DecryptionMaterials, _ []materials.EncryptedDataKey) error {
	m.DataKey = []byte("decrypted, and then refused")
	k.key = m.DataKey
	return errKeyring
}

package secretenv

import (
	"context"

	"github.com/keywright/keywright/esdk"
	"github.com/keywright/keywright/esdk/materials"
)

// Messages returns an Opener of messages of the AWS Encryption SDK, for
// Decrypter.Messages. A message is opened whole or not at all, its signature
// verified if it has one. It panics if client or manager is nil.
func Messages(client *esdk.Client, manager materials.Manager) Opener {
	if client == nil || manager == nil {
		panic("secretenv: Messages without a client or a manager")
	}
	return &messages{client, manager}
}

type messages struct {
	client  *esdk.Client
	manager materials.Manager
}

// Open need not look for the pairs in the message: what it does not store is
// taken for authenticated and not stored, and then its header does not verify.
func (m *messages) Open(ctx context.Context, ciphertext []byte, encryptionContext map[string]string) ([]byte, error) {
	plaintext, _, err := m.client.Decrypt(ctx, m.manager, ciphertext, esdk.DecryptOptions{EncryptionContext: encryptionContext})
	return plaintext, err
}

package awskms_test

import (
	"context"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/kms"

	"github.com/keywright/keywright/esdk/materials"
	"github.com/keywright/keywright/esdk/suite"
)

// instant is a client that answers at once, with nothing decrypted.
type instant struct{ standInMRKKMS }

func (instant) Decrypt(_ context.Context, in *kms.DecryptInput, _ ...func(*kms.Options)) (*kms.DecryptOutput, error) {
	return &kms.DecryptOutput{KeyId: in.KeyId, Plaintext: make([]byte, 32)}, nil
}

// What a keyring costs besides the service's answer, for the last of eight
// encrypted data keys.
func BenchmarkOnDecrypt(b *testing.B) {
	k := strict(instant{standIn("us-east-1")}, mrkEast)
	m := encryptionMaterials(suite.AES256GCMCommit)
	if err := k.OnEncrypt(b.Context(), m); err != nil {
		b.Fatal(err)
	}
	other := m.EncryptedDataKeys[0]
	other.ProviderInfo = []byte(mrkOther)
	keys := []materials.EncryptedDataKey{other, other, other, other, other, other, other, m.EncryptedDataKeys[0]}
	b.ReportAllocs()
	b.SetBytes(32)
	for b.Loop() {
		if err := k.OnDecrypt(b.Context(), decryptionMaterials(m), keys); err != nil {
			b.Fatal(err)
		}
	}
}

package keyring_test

import (
	"testing"

	"github.com/keywright/keywright/esdk/materials"
)

func BenchmarkKeyrings(b *testing.B) {
	for _, c := range []oracleCase{
		{Kind: "aes", Namespace: "ns", Name: "name", Key: make([]byte, 32)},
		{Kind: "hierarchical", Name: "branch", Key: make([]byte, 32)},
		{Kind: "rsa", Namespace: "ns", Name: "name", Padding: "OAEP_SHA256_MGF1"},
		{Kind: "ecdh", Curve: "p256", Scheme: "static"},
		{Kind: "ecdh", Curve: "p256", Scheme: "ephemeral"},
		{Kind: "ecdh", Curve: "p384", Scheme: "static"},
	} {
		writer, readers := c.keyrings(b)
		context := map[string]string{"tenant": "blue", "purpose": "backup"}
		m := &materials.EncryptionMaterials{Suite: testSuite, EncryptionContext: context}
		if err := writer.OnEncrypt(b.Context(), m); err != nil {
			b.Fatal(err)
		}
		name := c.Kind + c.Curve + c.Scheme
		b.Run(name+"/wrap", func(b *testing.B) {
			b.SetBytes(int64(testSuite.KeyLen))
			b.ReportAllocs()
			for b.Loop() {
				m := &materials.EncryptionMaterials{Suite: testSuite, EncryptionContext: context}
				if err := writer.OnEncrypt(b.Context(), m); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(name+"/unwrap", func(b *testing.B) {
			b.SetBytes(int64(testSuite.KeyLen))
			b.ReportAllocs()
			for b.Loop() {
				d := &materials.DecryptionMaterials{Suite: testSuite, EncryptionContext: context}
				if err := readers[0].OnDecrypt(b.Context(), d, m.EncryptedDataKeys); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

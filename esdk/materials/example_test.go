package materials_test

import (
	"context"
	"fmt"
	"time"

	"github.com/keywright/keywright/esdk/materials"
)

// A service that writes many small messages asks its key service once for a
// hundred of them, or every five minutes.
func ExampleNewCachingManager() {
	kms := &keyring{} // a keyring of package awskms, say
	m, err := materials.NewCachingManager(materials.CachingConfig{
		Keyring:     kms,
		MaxAge:      5 * time.Minute,
		MaxMessages: 100,
		MaxBytes:    10 << 20,
	})
	if err != nil {
		panic(err)
	}
	for range 250 {
		em, err := m.EncryptionMaterials(context.Background(), materials.EncryptionRequest{
			EncryptionContext: map[string]string{"table": "orders"},
			PlaintextLength:   512,
		})
		if err != nil {
			panic(err)
		}
		em.Wipe() // after the message is written
	}
	s := m.Stats().Encrypt
	fmt.Println("calls:", kms.encrypts, "hits:", s.Hits)
	// Output: calls: 3 hits: 247
}

// A tenant's name is authenticated but not stored: whoever reads a message must
// know whose it is.
func ExampleNewRequiredContextManager() {
	m, err := materials.NewRequiredContextManager([]string{"tenant"}, materials.NewDefaultManager(&keyring{}))
	if err != nil {
		panic(err)
	}
	em, err := m.EncryptionMaterials(context.Background(), materials.EncryptionRequest{
		EncryptionContext: map[string]string{"tenant": "4711", "table": "orders"},
	})
	if err != nil {
		panic(err)
	}
	defer em.Wipe()
	fmt.Println("not stored:", em.RequiredKeys)
	_, err = m.EncryptionMaterials(context.Background(), materials.EncryptionRequest{})
	fmt.Println(err)
	// Output:
	// not stored: [tenant]
	// esdk: a required key is missing from the encryption context: "tenant"
}

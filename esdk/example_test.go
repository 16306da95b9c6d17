package esdk_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log"
	"strings"

	"github.com/keywright/keywright/esdk"
	"github.com/keywright/keywright/esdk/keyring"
	"github.com/keywright/keywright/esdk/materials"
)

// exampleManager wraps data keys with a key of the program's own. Ones of a key
// management service are in esdk/keyring/awskms.
func exampleManager() materials.Manager {
	k, err := keyring.NewRawAES("example", "2026", make([]byte, 32)) // use a random key
	if err != nil {
		log.Fatal(err)
	}
	return esdk.Using(k)
}

func Example() {
	ctx, client, manager := context.Background(), esdk.New(esdk.Config{}), exampleManager()

	message, _, err := client.Encrypt(ctx, manager, []byte("the plaintext"), esdk.EncryptOptions{
		EncryptionContext: map[string]string{"tenant": "7"},
	})
	if err != nil {
		log.Fatal(err)
	}
	// A message of another tenant would be refused.
	plaintext, _, err := client.Decrypt(ctx, manager, message, esdk.DecryptOptions{
		EncryptionContext: map[string]string{"tenant": "7"},
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(string(plaintext))
	// Output: the plaintext
}

func ExampleClient_NewWriter() {
	ctx, client, manager := context.Background(), esdk.New(esdk.Config{}), exampleManager()

	var message bytes.Buffer
	w, err := client.NewWriter(ctx, &message, manager, esdk.EncryptOptions{})
	if err != nil {
		log.Fatal(err)
	}
	if _, err := io.Copy(w, strings.NewReader("a long plaintext")); err != nil {
		log.Fatal(err)
	}
	if err := w.Close(); err != nil { // without it the message is not complete
		log.Fatal(err)
	}

	r, err := client.NewReader(ctx, &message, manager, esdk.DecryptOptions{})
	if err != nil {
		log.Fatal(err)
	}
	// What was read is good only if there was no error up to the end.
	plaintext, err := io.ReadAll(r)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(string(plaintext))
	// Output: a long plaintext
}

func ExampleClient_NewReaderAt() {
	ctx, client, manager := context.Background(), esdk.New(esdk.Config{}), exampleManager()
	message, _, err := client.Encrypt(ctx, manager, bytes.Repeat([]byte("0123456789"), 100_000), esdk.EncryptOptions{})
	if err != nil {
		log.Fatal(err)
	}

	r, err := client.NewReaderAt(ctx, bytes.NewReader(message), int64(len(message)), manager, esdk.DecryptOptions{})
	if err != nil {
		log.Fatal(err)
	}
	p := make([]byte, 10)
	if _, err := r.ReadAt(p, 500_003); err != nil {
		log.Fatal(err)
	}
	fmt.Println(r.Size(), string(p))
	// Output: 1000000 3456789012
}

func ExampleClient_Inspect() {
	ctx, client := context.Background(), esdk.New(esdk.Config{})
	message, _, err := client.Encrypt(ctx, exampleManager(), nil, esdk.EncryptOptions{})
	if err != nil {
		log.Fatal(err)
	}

	header, err := client.Inspect(bytes.NewReader(message)) // needs no key, and verifies nothing
	if err != nil {
		log.Fatal(err)
	}
	for _, key := range header.EncryptedDataKeys {
		fmt.Println(header.Suite.Name, key.ProviderID)
	}
	// Output: AES_256_GCM_HKDF_SHA512_COMMIT_KEY_ECDSA_P384 example
}

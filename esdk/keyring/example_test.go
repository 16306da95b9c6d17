package keyring_test

import (
	"context"
	"crypto/ecdh"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"fmt"
	"log"
	"os"
	"time"

	"github.com/keywright/keywright/esdk"
	"github.com/keywright/keywright/esdk/keyring"
)

// A key from a file or a secret store, here made on the spot.
func ExampleNewRawAES() {
	key := make([]byte, 32)
	rand.Read(key)
	k, err := keyring.NewRawAES("example.com", "backup-2026", key)
	if err != nil {
		log.Fatal(err)
	}
	clear(key) // the keyring does not need it any more

	ctx, client, manager := context.Background(), esdk.New(esdk.Config{}), esdk.Using(k)
	msg, _, err := client.Encrypt(ctx, manager, []byte("hello"), esdk.EncryptOptions{})
	if err != nil {
		log.Fatal(err)
	}
	plaintext, _, err := client.Decrypt(ctx, manager, msg, esdk.DecryptOptions{})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s\n", plaintext)
	// Output: hello
}

// The writer has the public key only and cannot read what it wrote.
func ExampleNewRawRSA() {
	private, err := rsa.GenerateKey(rand.Reader, 2048) // or keyring.ParseRSAPrivateKeyPEM
	if err != nil {
		log.Fatal(err)
	}
	writer, err := keyring.NewRawRSA(keyring.RawRSAConfig{
		Namespace: "example.com", Name: "intake", PublicKey: &private.PublicKey,
	})
	if err != nil {
		log.Fatal(err)
	}
	reader, err := keyring.NewRawRSA(keyring.RawRSAConfig{
		Namespace: "example.com", Name: "intake", PrivateKey: private,
	})
	if err != nil {
		log.Fatal(err)
	}
	ctx, client := context.Background(), esdk.New(esdk.Config{})
	msg, _, err := client.Encrypt(ctx, esdk.Using(writer), []byte("hello"), esdk.EncryptOptions{})
	if err != nil {
		log.Fatal(err)
	}
	_, _, err = client.Decrypt(ctx, esdk.Using(writer), msg, esdk.DecryptOptions{})
	fmt.Println("the writer can read it:", err == nil)
	plaintext, _, err := client.Decrypt(ctx, esdk.Using(reader), msg, esdk.DecryptOptions{})
	fmt.Printf("%s %v\n", plaintext, err)
	// Output:
	// the writer can read it: false
	// hello <nil>
}

// Two parties that know each other's public keys. Either can read what the
// other wrote.
func ExampleNewRawECDH() {
	alice, err := ecdh.P256().GenerateKey(rand.Reader) // or keyring.ParseECDHPrivateKeyPEM
	if err != nil {
		log.Fatal(err)
	}
	bob, err := ecdh.P256().GenerateKey(rand.Reader)
	if err != nil {
		log.Fatal(err)
	}
	writer, err := keyring.NewRawECDH(alice, bob.PublicKey())
	if err != nil {
		log.Fatal(err)
	}
	reader, err := keyring.NewRawECDH(bob, alice.PublicKey())
	if err != nil {
		log.Fatal(err)
	}
	ctx, client := context.Background(), esdk.New(esdk.Config{})
	msg, _, err := client.Encrypt(ctx, esdk.Using(writer), []byte("hello"), esdk.EncryptOptions{})
	if err != nil {
		log.Fatal(err)
	}
	plaintext, _, err := client.Decrypt(ctx, esdk.Using(reader), msg, esdk.DecryptOptions{})
	fmt.Printf("%s %v\n", plaintext, err)
	// Output: hello <nil>
}

// One branch key for each tenant, wrapped under a root key on disk. The root
// keyring would be one of package awskms; it is asked once in an hour for each
// branch key, not for each message.
func ExampleNewHierarchical() {
	dir, err := os.MkdirTemp("", "branch-keys")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	root, err := keyring.NewRawAES("example.com", "root", make([]byte, 32))
	if err != nil {
		log.Fatal(err)
	}
	store, err := keyring.OpenFileBranchKeys(dir, root)
	if err != nil {
		log.Fatal(err)
	}
	defer store.Close()
	ctx, client := context.Background(), esdk.New(esdk.Config{})
	if _, err := store.Rotate(ctx, "tenant blue"); err != nil {
		log.Fatal(err)
	}
	k, err := keyring.NewHierarchical(keyring.HierarchicalConfig{
		Store: store,
		TTL:   time.Hour,
		BranchKeyIDFor: func(context map[string]string) (string, error) {
			if context["tenant"] == "" {
				return "", errors.New("no tenant in the encryption context")
			}
			return "tenant " + context["tenant"], nil
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	msg, _, err := client.Encrypt(ctx, esdk.Using(k), []byte("hello"), esdk.EncryptOptions{
		EncryptionContext: map[string]string{"tenant": "blue"},
	})
	if err != nil {
		log.Fatal(err)
	}
	plaintext, _, err := client.Decrypt(ctx, esdk.Using(k), msg, esdk.DecryptOptions{})
	fmt.Printf("%s %v\n", plaintext, err)
	// Output: hello <nil>
}

// A message for two keys, of which one suffices to read it.
func ExampleNewMulti() {
	var keys [2]*keyring.RawAES
	for i, name := range []string{"daily", "vault"} {
		key := make([]byte, 32)
		rand.Read(key)
		var err error
		if keys[i], err = keyring.NewRawAES("example.com", name, key); err != nil {
			log.Fatal(err)
		}
	}
	both, err := keyring.NewMulti(keys[0], keys[1])
	if err != nil {
		log.Fatal(err)
	}
	ctx, client := context.Background(), esdk.New(esdk.Config{})
	msg, _, err := client.Encrypt(ctx, esdk.Using(both), []byte("hello"), esdk.EncryptOptions{})
	if err != nil {
		log.Fatal(err)
	}
	for _, k := range keys {
		plaintext, _, err := client.Decrypt(ctx, esdk.Using(k), msg, esdk.DecryptOptions{})
		fmt.Printf("%s %v\n", plaintext, err)
	}
	// Output:
	// hello <nil>
	// hello <nil>
}

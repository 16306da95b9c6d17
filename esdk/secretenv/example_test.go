package secretenv_test

import (
	"context"
	"encoding/base64"
	"fmt"
	"log"
	"os"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/kms"

	"github.com/keywright/keywright/esdk"
	"github.com/keywright/keywright/esdk/keyring/awskms"
	"github.com/keywright/keywright/esdk/secretenv"
	"github.com/keywright/keywright/kmstest"
)

// A program reads a secret from its environment, which holds only ciphertext.
func Example() {
	client, stop := startKeywright() // else of config.LoadDefaultConfig
	defer stop()
	ctx := context.Background()

	// Who deploys the program encrypts, once:
	//
	//	aws kms encrypt --key-id alias/app --encryption-context variable=DB_PASSWORD \
	//	    --plaintext fileb://password --query CiphertextBlob --output text
	encrypted, err := client.Encrypt(ctx, &kms.EncryptInput{
		KeyId:             aws.String("alias/app"),
		Plaintext:         []byte("correct horse"),
		EncryptionContext: map[string]string{"variable": "DB_PASSWORD"},
	})
	if err != nil {
		log.Fatal(err)
	}
	os.Setenv("DB_PASSWORD", secretenv.KMSPrefix+base64.StdEncoding.EncodeToString(encrypted.CiphertextBlob))

	// The program decrypts, at its start.
	ciphertexts, err := awskms.NewCiphertexts(awskms.CiphertextConfig{Client: client, KeyID: "alias/app"})
	if err != nil {
		log.Fatal(err)
	}
	secrets := secretenv.Decrypter{KMS: ciphertexts, NameKey: "variable"}
	password, _, err := secrets.Lookup(ctx, "DB_PASSWORD")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(password)

	// In another variable the same ciphertext is worth nothing.
	os.Setenv("MOTD", os.Getenv("DB_PASSWORD"))
	_, _, err = secrets.Lookup(ctx, "MOTD")
	fmt.Println(err != nil)
	// Output:
	// correct horse
	// true
}

// Messages of the AWS Encryption SDK, with a filter for the accounts whose keys
// may be used; the environment is made for a child process.
func ExampleMessages() {
	client, stop := startKeywright()
	defer stop()
	ctx := context.Background()
	environ := []string{"LANG=C", "TOKEN=" + encryptMessage(client, "correct horse")}

	ring, err := awskms.NewDiscovery(awskms.DiscoveryConfig{
		Client: client,
		Filter: &awskms.Filter{Partition: "aws", Accounts: []string{"111122223333"}},
	})
	if err != nil {
		log.Fatal(err)
	}
	secrets := secretenv.Decrypter{Messages: secretenv.Messages(esdk.New(esdk.Config{}), esdk.Using(ring))}
	plain, err := secrets.Environ(ctx, environ) // for the Env of an exec.Cmd
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(plain)
	// Output: [LANG=C TOKEN=correct horse]
}

// startKeywright stands for whatever service there is, with a key alias/app.
func startKeywright() (client *kms.Client, stop func() error) {
	srv, err := kmstest.Start(kmstest.Config{})
	if err != nil {
		log.Fatal(err)
	}
	client = kms.New(kms.Options{
		BaseEndpoint: &srv.Endpoint,
		Region:       srv.Region,
		Credentials:  credentials.NewStaticCredentialsProvider(srv.AccessKeyID, srv.SecretAccessKey, ""),
	})
	key, err := client.CreateKey(context.Background(), &kms.CreateKeyInput{})
	if err != nil {
		log.Fatal(err)
	}
	_, err = client.CreateAlias(context.Background(), &kms.CreateAliasInput{AliasName: aws.String("alias/app"), TargetKeyId: key.KeyMetadata.KeyId})
	if err != nil {
		log.Fatal(err)
	}
	return client, srv.Close
}

func encryptMessage(client *kms.Client, plaintext string) string {
	ring, err := awskms.New(awskms.Config{Client: client, KeyID: "alias/app"})
	if err != nil {
		log.Fatal(err)
	}
	msg, _, err := esdk.New(esdk.Config{}).Encrypt(context.Background(), esdk.Using(ring), []byte(plaintext), esdk.EncryptOptions{})
	if err != nil {
		log.Fatal(err)
	}
	return secretenv.MessagePrefix + base64.StdEncoding.EncodeToString(msg)
}

package kmstest_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"

	"github.com/keywright/keywright/kmstest"
)

// newClient makes a client of aws-sdk-go-v2 for an account of the server.
func newClient(srv *kmstest.Server, c kmstest.Credentials) *kms.Client {
	return kms.New(kms.Options{
		BaseEndpoint: &srv.Endpoint,
		Region:       srv.Region,
		Credentials:  credentials.NewStaticCredentialsProvider(c.AccessKeyID, c.SecretAccessKey, ""),
	})
}

// What happens to data whose key is deleted, tried out in a moment instead of a
// week. In a test, NewServer(t) takes the place of Start and Close.
func Example() {
	srv, err := kmstest.Start(kmstest.Config{})
	if err != nil {
		log.Fatal(err)
	}
	defer srv.Close()
	ctx := context.Background()
	client := newClient(srv, srv.Credentials)

	key, err := client.CreateKey(ctx, &kms.CreateKeyInput{})
	if err != nil {
		log.Fatal(err)
	}
	id := key.KeyMetadata.KeyId
	sealed, err := client.Encrypt(ctx, &kms.EncryptInput{KeyId: id, Plaintext: []byte("attack at dawn")})
	if err != nil {
		log.Fatal(err)
	}
	opened, err := client.Decrypt(ctx, &kms.DecryptInput{CiphertextBlob: sealed.CiphertextBlob})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s\n", opened.Plaintext)

	if _, err := client.ScheduleKeyDeletion(ctx, &kms.ScheduleKeyDeletionInput{KeyId: id, PendingWindowInDays: aws.Int32(7)}); err != nil {
		log.Fatal(err)
	}
	_, err = client.Decrypt(ctx, &kms.DecryptInput{CiphertextBlob: sealed.CiphertextBlob})
	_, pending := errors.AsType[*types.KMSInvalidStateException](err)
	fmt.Println("refused while deletion is pending:", pending)

	srv.Advance(8 * 24 * time.Hour)
	_, err = client.DescribeKey(ctx, &kms.DescribeKeyInput{KeyId: id})
	_, gone := errors.AsType[*types.NotFoundException](err)
	fmt.Println("gone a day after the waiting period:", gone)
	// Output:
	// attack at dawn
	// refused while deletion is pending: true
	// gone a day after the waiting period: true
}

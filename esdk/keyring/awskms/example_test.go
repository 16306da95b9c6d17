package awskms_test

import (
	"context"
	"fmt"
	"log"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kms"

	"github.com/keywright/keywright/esdk"
	"github.com/keywright/keywright/esdk/keyring/awskms"
	"github.com/keywright/keywright/kmstest"
)

// startKeywright stands for whatever service there is. The configuration would
// else come from config.LoadDefaultConfig of aws-sdk-go-v2.
func startKeywright() (cfg aws.Config, stop func() error) {
	srv, err := kmstest.Start(kmstest.Config{})
	if err != nil {
		log.Fatal(err)
	}
	return config(srv, srv.Credentials), srv.Close
}

func makeKey(cfg aws.Config, region string) (keyARN string) {
	client := kms.NewFromConfig(cfg, func(o *kms.Options) { o.Region = region })
	key, err := client.CreateKey(context.Background(), &kms.CreateKeyInput{})
	if err != nil {
		log.Fatal(err)
	}
	return *key.KeyMetadata.Arn
}

// Encrypting and decrypting with one key.
func Example() {
	cfg, stop := startKeywright()
	defer stop()
	keyARN := makeKey(cfg, "us-east-1")
	ctx := context.Background()

	keyring, err := awskms.New(awskms.Config{Client: kms.NewFromConfig(cfg), KeyID: keyARN})
	if err != nil {
		log.Fatal(err)
	}
	client, manager := esdk.New(esdk.Config{}), esdk.Using(keyring)
	purpose := map[string]string{"table": "patients"}
	msg, _, err := client.Encrypt(ctx, manager, []byte("attack at dawn"), esdk.EncryptOptions{EncryptionContext: purpose})
	if err != nil {
		log.Fatal(err)
	}

	plaintext, _, err := client.Decrypt(ctx, manager, msg, esdk.DecryptOptions{EncryptionContext: purpose})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s\n", plaintext)
	// Output: attack at dawn
}

// Encrypting under keys of two Regions, either of which decrypts when the other
// cannot be reached.
func ExampleNewMulti() {
	cfg, stop := startKeywright()
	defer stop()
	primary, backup := makeKey(cfg, "us-east-1"), makeKey(cfg, "eu-west-1")
	ctx := context.Background()
	client := esdk.New(esdk.Config{})

	both, err := awskms.NewMulti(ctx, awskms.MultiConfig{
		Clients:   awskms.RegionalClients(cfg),
		Generator: primary,
		KeyIDs:    []string{backup},
	})
	if err != nil {
		log.Fatal(err)
	}
	msg, _, err := client.Encrypt(ctx, esdk.Using(both), []byte("attack at dawn"), esdk.EncryptOptions{})
	if err != nil {
		log.Fatal(err)
	}

	europe, err := awskms.New(awskms.Config{
		Client: kms.NewFromConfig(cfg, func(o *kms.Options) { o.Region = "eu-west-1" }),
		KeyID:  backup,
	})
	if err != nil {
		log.Fatal(err)
	}
	plaintext, _, err := client.Decrypt(ctx, esdk.Using(europe), msg, esdk.DecryptOptions{})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s\n", plaintext)
	// Output: attack at dawn
}

// Decrypting with whatever key a message names, if it is one of our account's.
func ExampleNewDiscovery() {
	cfg, stop := startKeywright()
	defer stop()
	ctx := context.Background()
	client := esdk.New(esdk.Config{})

	writer, err := awskms.New(awskms.Config{Client: kms.NewFromConfig(cfg), KeyID: makeKey(cfg, "us-east-1")})
	if err != nil {
		log.Fatal(err)
	}
	msg, _, err := client.Encrypt(ctx, esdk.Using(writer), []byte("attack at dawn"), esdk.EncryptOptions{})
	if err != nil {
		log.Fatal(err)
	}

	for _, account := range []string{"111122223333", "444455556666"} {
		reader, err := awskms.NewDiscovery(awskms.DiscoveryConfig{
			Client: kms.NewFromConfig(cfg),
			Filter: &awskms.Filter{Partition: "aws", Accounts: []string{account}},
		})
		if err != nil {
			log.Fatal(err)
		}
		plaintext, _, err := client.Decrypt(ctx, esdk.Using(reader), msg, esdk.DecryptOptions{})
		if err != nil {
			_, reason, _ := strings.Cut(err.Error(), `": `) // after the key's ARN
			fmt.Printf("%s: %s\n", account, reason)
			continue
		}
		fmt.Printf("%s: %s\n", account, plaintext)
	}
	// Output:
	// 111122223333: attack at dawn
	// 444455556666: the discovery filter does not allow its partition and account
}

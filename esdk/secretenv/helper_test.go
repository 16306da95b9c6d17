package secretenv_test

import (
	"encoding/base64"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/kms"

	"github.com/keywright/keywright/esdk"
	"github.com/keywright/keywright/esdk/keyring/awskms"
	"github.com/keywright/keywright/esdk/materials"
	"github.com/keywright/keywright/esdk/secretenv"
	"github.com/keywright/keywright/kmstest"
)

// fixture is a server with a key, and a Decrypter that uses it.
type fixture struct {
	*secretenv.Decrypter
	server  *kmstest.Server
	client  *kms.Client
	key     string // ARN
	manager materials.Manager
}

func newFixture(t *testing.T) *fixture {
	t.Helper()
	srv := kmstest.NewServer(t)
	client := newClient(srv)
	key, err := client.CreateKey(t.Context(), &kms.CreateKeyInput{})
	if err != nil {
		t.Fatal(err)
	}
	ciphertexts, err := awskms.NewCiphertexts(awskms.CiphertextConfig{Client: client})
	if err != nil {
		t.Fatal(err)
	}
	ring, err := awskms.New(awskms.Config{Client: client, KeyID: *key.KeyMetadata.Arn})
	if err != nil {
		t.Fatal(err)
	}
	manager := esdk.Using(ring)
	return &fixture{
		Decrypter: &secretenv.Decrypter{KMS: ciphertexts, Messages: secretenv.Messages(esdk.New(esdk.Config{}), manager)},
		server:    srv, client: client, key: *key.KeyMetadata.Arn, manager: manager,
	}
}

func newClient(srv *kmstest.Server) *kms.Client {
	return kms.New(kms.Options{
		BaseEndpoint: &srv.Endpoint,
		Region:       srv.Region,
		Credentials:  credentials.NewStaticCredentialsProvider(srv.AccessKeyID, srv.SecretAccessKey, ""),
	})
}

// ciphertext is the value of a plaintext that the service encrypted.
func (f *fixture) ciphertext(t *testing.T, plaintext string, encryptionContext map[string]string) string {
	t.Helper()
	out, err := f.client.Encrypt(t.Context(), &kms.EncryptInput{KeyId: aws.String(f.key), Plaintext: []byte(plaintext), EncryptionContext: encryptionContext})
	if err != nil {
		t.Fatal(err)
	}
	return secretenv.KMSPrefix + base64.StdEncoding.EncodeToString(out.CiphertextBlob)
}

// message is the value of a plaintext in a message.
func (f *fixture) message(t *testing.T, plaintext string, encryptionContext map[string]string) string {
	t.Helper()
	msg, _, err := esdk.New(esdk.Config{}).Encrypt(t.Context(), f.manager, []byte(plaintext), esdk.EncryptOptions{EncryptionContext: encryptionContext})
	if err != nil {
		t.Fatal(err)
	}
	return secretenv.MessagePrefix + base64.StdEncoding.EncodeToString(msg)
}

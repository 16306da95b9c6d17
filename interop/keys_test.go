package interop_test

import (
	"crypto"
	"crypto/ecdh"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"

	"github.com/keywright/keywright/esdk"
	"github.com/keywright/keywright/esdk/materials"
	"github.com/keywright/keywright/kmstest"
)

// The names of the raw keys, with characters that others must not count wrong.
const (
	namespace = "näme\U0001F511space"
	keyName   = "key/1 ü"
)

// The Regions of the KMS keys: that of the keys, and that of a replica.
const (
	region        = "us-east-1"
	replicaRegion = "eu-west-1"
)

// server is the key management service of all tests.
var server *kmstest.Server

func TestMain(m *testing.M) {
	var err error
	if server, err = kmstest.Start(kmstest.Config{Region: region}); err != nil {
		fmt.Fprintln(os.Stderr, "starting the server:", err)
		os.Exit(1)
	}
	status := m.Run()
	if err := server.Close(); err != nil {
		fmt.Fprintln(os.Stderr, "stopping the server:", err)
		status = 1
	}
	os.Exit(status)
}

// must returns what a constructor made.
func must[V any](v V, err error) V {
	if err != nil {
		panic(err)
	}
	return v
}

// using returns our default manager of a keyring that was made without error.
func using[K materials.Keyring](k K, err error) materials.Manager {
	return esdk.Using(must(k, err))
}

// aesKey returns a key of n bytes, the same in each run.
func aesKey(n int) []byte { return plaintext(n) }

// rsaKey is the one of the raw RSA keyrings.
var rsaKey = sync.OnceValue(func() *rsa.PrivateKey {
	return must(rsa.GenerateKey(rand.Reader, 2048))
})

func ecdhKey(curve ecdh.Curve) *ecdh.PrivateKey {
	return must(curve.GenerateKey(rand.Reader))
}

func privatePEM(key crypto.PrivateKey) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: must(x509.MarshalPKCS8PrivateKey(key))})
}

func publicPEM(key crypto.PublicKey) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: publicDER(key)})
}

func publicDER(key crypto.PublicKey) []byte {
	return must(x509.MarshalPKIXPublicKey(key))
}

// kmsClient returns a client of the server for a Region.
func kmsClient(region string) *kms.Client {
	return kms.New(kms.Options{
		BaseEndpoint: &server.Endpoint,
		Region:       region,
		Credentials:  credentials.NewStaticCredentialsProvider(server.AccessKeyID, server.SecretAccessKey, ""),
	})
}

// symmetricKey asks for what the service makes when told nothing.
var symmetricKey kms.CreateKeyInput

// newKMSKey makes a key in the service and returns its ARN. It skips the test
// where the service has no such keys.
func newKMSKey(t *testing.T, in kms.CreateKeyInput) string {
	t.Helper()
	out, err := kmsClient(region).CreateKey(t.Context(), &in)
	if unsupported, ok := errors.AsType[*types.UnsupportedOperationException](err); ok {
		t.Skip(unsupported.ErrorMessage())
	}
	if err != nil {
		t.Fatalf("making a key: %v", err)
	}
	return *out.KeyMetadata.Arn
}

// newMultiRegionKey makes a key with a replica and returns the ARNs of both.
func newMultiRegionKey(t *testing.T) (primary, replica string) {
	t.Helper()
	yes, to := true, replicaRegion
	primary = newKMSKey(t, kms.CreateKeyInput{MultiRegion: &yes})
	out, err := kmsClient(region).ReplicateKey(t.Context(), &kms.ReplicateKeyInput{KeyId: &primary, ReplicaRegion: &to})
	if err != nil {
		t.Fatalf("replicating a key: %v", err)
	}
	return primary, *out.ReplicaKeyMetadata.Arn
}

// newKMSKeyPair makes a key pair in the service and returns its ARN and its
// public key.
func newKMSKeyPair(t *testing.T, usage types.KeyUsageType, spec types.KeySpec) (arn string, public crypto.PublicKey) {
	t.Helper()
	arn = newKMSKey(t, kms.CreateKeyInput{KeyUsage: usage, KeySpec: spec})
	out, err := kmsClient(region).GetPublicKey(t.Context(), &kms.GetPublicKeyInput{KeyId: &arn})
	if err != nil {
		t.Fatalf("getting a public key: %v", err)
	}
	return arn, must(x509.ParsePKIXPublicKey(out.PublicKey))
}

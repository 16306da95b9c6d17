// Package awskms has keyrings that work with AWS itself and with Keywright alike:
// they wrap data keys with a key of a key management service that speaks the AWS
// KMS API, and nothing but the clients' endpoint differs.
//
// New is the keyring of one key that the caller names, and the one to begin
// with. NewMRK is the same for multi-Region keys: any replica decrypts.
// NewDiscovery and NewMRKDiscovery only decrypt, with whatever key the message
// names. NewMulti and the constructors next to it put keyrings of several keys
// or Regions together. NewRSA encrypts with the public half of an RSA key
// without calling the service, and NewECDH under a secret that an elliptic curve
// key in the service agrees upon with another party's key.
//
// The package makes no clients, save with RegionalClients, and reads no
// configuration: clients are those of aws-sdk-go-v2 as the caller made them. The
// service does what is secret; here is which key is asked, with what, and
// whether the answer is about the key that was asked. The hierarchical keyring is
// in package keyring; BranchKeys is its store over AWS's DynamoDB tables, and
// BranchKeyAdmin makes branch keys there. Ciphertexts opens what the service's
// own Encrypt returned; it is no keyring.
//
// Every keyring sends the service the message's whole encryption context, except
// where that is said to be different. The service takes one of 8 KiB at most,
// less than the message format does. A call to the service ends when its context
// does; errors of the service are found with errors.As in those returned here.
//
// Source: the AWS Encryption SDK specification, "AWS KMS Keyring" and its
// neighbours.
package awskms

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/aws/aws-sdk-go-v2/service/kms"
)

// Decrypter is what a keyring that only decrypts needs of a client. *kms.Client
// is one.
type Decrypter interface {
	Decrypt(context.Context, *kms.DecryptInput, ...func(*kms.Options)) (*kms.DecryptOutput, error)
}

// Client is what the keyring of a symmetric key needs of a client. *kms.Client
// is one. Implementations must be safe for concurrent use.
type Client interface {
	Decrypter
	Encrypt(context.Context, *kms.EncryptInput, ...func(*kms.Options)) (*kms.EncryptOutput, error)
	GenerateDataKey(context.Context, *kms.GenerateDataKeyInput, ...func(*kms.Options)) (*kms.GenerateDataKeyOutput, error)
}

// KeyAgreementClient is what an ECDH keyring needs of a client. *kms.Client is
// one. Implementations must be safe for concurrent use.
type KeyAgreementClient interface {
	DeriveSharedSecret(context.Context, *kms.DeriveSharedSecretInput, ...func(*kms.Options)) (*kms.DeriveSharedSecretOutput, error)
	GetPublicKey(context.Context, *kms.GetPublicKeyInput, ...func(*kms.Options)) (*kms.GetPublicKeyOutput, error)
}

// The provider ids of these keyrings, and that of the raw ECDH keyring, whose
// encrypted data keys have the same form.
const (
	providerID        = "aws-kms"
	providerIDRSA     = "aws-kms-rsa"
	providerIDECDH    = "aws-kms-ecdh"
	providerIDRawECDH = "raw-ecdh"
)

var errNoClient = errors.New("esdk: the configuration has no client")

// maxGrantTokens is how many the service takes in a request.
const maxGrantTokens = 10

// cloneGrantTokens checks the tokens of a configuration and copies them, so that
// what the caller does to the slice later is without effect.
func cloneGrantTokens(tokens []string) ([]string, error) {
	if len(tokens) > maxGrantTokens {
		return nil, fmt.Errorf("esdk: %d grant tokens, the service takes %d at most", len(tokens), maxGrantTokens)
	}
	if slices.Contains(tokens, "") {
		return nil, errors.New("esdk: a grant token is empty")
	}
	return slices.Clone(tokens), nil
}

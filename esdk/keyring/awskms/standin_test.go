package awskms_test

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdh"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"

	"github.com/keywright/keywright/esdk/materials"
)

// standInMRKKMS does, for multi-Region keys in one Region, what a keyring needs
// of the service. Stand-ins with the same material are the Regions of one
// service.
type standInMRKKMS struct {
	region   string
	material []byte // of 32 bytes; each key has the same
}

func (s standInMRKKMS) seal(keyID *string, plaintext []byte, context map[string]string) ([]byte, error) {
	aead, aad, err := s.aead(keyID, context)
	if err != nil {
		return nil, err
	}
	return aead.Seal(nil, nil, plaintext, aad), nil
}

func (s standInMRKKMS) aead(keyID *string, context map[string]string) (cipher.AEAD, []byte, error) {
	if !strings.HasPrefix(*keyID, "arn:aws:kms:"+s.region+":") {
		return nil, nil, &types.NotFoundException{Message: aws.String("no such key in " + s.region + ": " + *keyID)}
	}
	block, err := aes.NewCipher(s.material)
	if err != nil {
		return nil, nil, err
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return nil, nil, err
	}
	aad, err := materials.AppendContext(nil, context)
	return aead, aad, err
}

func (s standInMRKKMS) GenerateDataKey(_ context.Context, in *kms.GenerateDataKeyInput, _ ...func(*kms.Options)) (*kms.GenerateDataKeyOutput, error) {
	plaintext := make([]byte, *in.NumberOfBytes)
	rand.Read(plaintext)
	sealed, err := s.seal(in.KeyId, plaintext, in.EncryptionContext)
	return &kms.GenerateDataKeyOutput{KeyId: in.KeyId, Plaintext: plaintext, CiphertextBlob: sealed}, err
}

func (s standInMRKKMS) Encrypt(_ context.Context, in *kms.EncryptInput, _ ...func(*kms.Options)) (*kms.EncryptOutput, error) {
	sealed, err := s.seal(in.KeyId, in.Plaintext, in.EncryptionContext)
	return &kms.EncryptOutput{KeyId: in.KeyId, CiphertextBlob: sealed}, err
}

func (s standInMRKKMS) Decrypt(_ context.Context, in *kms.DecryptInput, _ ...func(*kms.Options)) (*kms.DecryptOutput, error) {
	aead, aad, err := s.aead(in.KeyId, in.EncryptionContext)
	if err != nil {
		return nil, err
	}
	plaintext, err := aead.Open(nil, nil, in.CiphertextBlob, aad)
	if err != nil {
		return nil, &types.InvalidCiphertextException{}
	}
	return &kms.DecryptOutput{KeyId: in.KeyId, Plaintext: plaintext}, nil
}

// standInRSAKMS does Decrypt with an RSA key.
type standInRSAKMS struct {
	keyID string
	key   *rsa.PrivateKey
}

func (s standInRSAKMS) Decrypt(_ context.Context, in *kms.DecryptInput, _ ...func(*kms.Options)) (*kms.DecryptOutput, error) {
	if *in.KeyId != s.keyID {
		return nil, &types.NotFoundException{Message: in.KeyId}
	}
	if len(in.EncryptionContext) != 0 {
		return nil, errors.New("ValidationException: RSA keys take no encryption context")
	}
	var plaintext []byte
	var err error
	switch in.EncryptionAlgorithm {
	case types.EncryptionAlgorithmSpecRsaesOaepSha1:
		plaintext, err = rsa.DecryptOAEP(sha1.New(), nil, s.key, in.CiphertextBlob, nil)
	case types.EncryptionAlgorithmSpecRsaesOaepSha256:
		plaintext, err = rsa.DecryptOAEP(sha256.New(), nil, s.key, in.CiphertextBlob, nil)
	default:
		return nil, fmt.Errorf("ValidationException: algorithm %q", in.EncryptionAlgorithm)
	}
	if err != nil {
		return nil, &types.InvalidCiphertextException{}
	}
	return &kms.DecryptOutput{KeyId: in.KeyId, Plaintext: plaintext, EncryptionAlgorithm: in.EncryptionAlgorithm}, nil
}

// standInECDHKMS does GetPublicKey and DeriveSharedSecret with one key.
type standInECDHKMS struct {
	keyID string
	key   *ecdh.PrivateKey
	asked *calls
}

// calls counts by operation.
type calls struct{ getPublicKey, deriveSharedSecret atomic.Int32 }

func newStandInECDHKMS(curve ecdh.Curve, keyID string) standInECDHKMS {
	key, err := curve.GenerateKey(rand.Reader)
	if err != nil {
		panic(err)
	}
	return standInECDHKMS{keyID, key, new(calls)}
}

func (s standInECDHKMS) GetPublicKey(_ context.Context, in *kms.GetPublicKeyInput, _ ...func(*kms.Options)) (*kms.GetPublicKeyOutput, error) {
	s.asked.getPublicKey.Add(1)
	if *in.KeyId != s.keyID {
		return nil, &types.NotFoundException{Message: in.KeyId}
	}
	spki, err := x509.MarshalPKIXPublicKey(s.key.PublicKey())
	return &kms.GetPublicKeyOutput{KeyId: in.KeyId, PublicKey: spki, KeyUsage: types.KeyUsageTypeKeyAgreement}, err
}

func (s standInECDHKMS) DeriveSharedSecret(_ context.Context, in *kms.DeriveSharedSecretInput, _ ...func(*kms.Options)) (*kms.DeriveSharedSecretOutput, error) {
	s.asked.deriveSharedSecret.Add(1)
	if *in.KeyId != s.keyID || in.KeyAgreementAlgorithm != types.KeyAgreementAlgorithmSpecEcdh {
		return nil, &types.NotFoundException{Message: in.KeyId}
	}
	parsed, err := x509.ParsePKIXPublicKey(in.PublicKey)
	if err != nil {
		return nil, err
	}
	peer, err := parsed.(interface {
		ECDH() (*ecdh.PublicKey, error)
	}).ECDH()
	if err != nil {
		return nil, err
	}
	z, err := s.key.ECDH(peer)
	return &kms.DeriveSharedSecretOutput{KeyId: in.KeyId, KeyAgreementAlgorithm: in.KeyAgreementAlgorithm, SharedSecret: z}, err
}

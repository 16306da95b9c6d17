package awskms

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1" // for an algorithm of the service
	"crypto/sha256"
	"crypto/sha512"
	"crypto/subtle"
	"errors"
	"fmt"
	"hash"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"

	"github.com/keywright/keywright/esdk/keyring"
	"github.com/keywright/keywright/esdk/materials"
	"github.com/keywright/keywright/esdk/suite"
)

// minRSABits is the least size of an RSA key of the service.
const minRSABits = 2048

// RSAConfig configures a keyring of an RSA key.
type RSAConfig struct {
	// KeyID is the ARN of the key. Required.
	KeyID string
	// PublicKey is the key's public half, of 2048 bits or more, as GetPublicKey
	// gives it (parse it with x509.ParsePKIXPublicKey). Nil makes a keyring that
	// only decrypts. That it belongs to KeyID is not checked: with another's,
	// nobody can decrypt but the other.
	PublicKey *rsa.PublicKey
	// Client is a client for the key's Region. Nil makes a keyring that only
	// encrypts.
	Client Decrypter
	// Algorithm is RSAES_OAEP_SHA_256, which it is by default, or
	// RSAES_OAEP_SHA_1.
	Algorithm types.EncryptionAlgorithmSpec
	// GrantTokens go with every request, 10 at most.
	GrantTokens []string
}

type rsaKeyring struct {
	cfg  RSAConfig
	hash func() hash.Hash
}

// NewRSA returns the keyring of an RSA key of the service whose usage is
// ENCRYPT_DECRYPT. It encrypts with the public key alone, without a call to the
// service, and needs kms:Decrypt to decrypt. The encryption context is not sent
// to the service, since RSA keys take none: a SHA-384 digest of it is encrypted
// with the data key, and compared when decrypting.
//
// It takes algorithm suites that do not sign only, such as
// suite.AES256GCMCommit, both ways. Everyone who has the public key can write
// messages.
//
// Source: the specification, "AWS KMS RSA Keyring", and for the suites the
// official implementation.
func NewRSA(cfg RSAConfig) (materials.Keyring, error) {
	if err := checkKeyARN(cfg.KeyID); err != nil {
		return nil, err
	}
	if cfg.PublicKey == nil && cfg.Client == nil {
		return nil, errors.New("esdk: the configuration has neither a public key to encrypt with nor a client to decrypt with")
	}
	if cfg.PublicKey != nil && (cfg.PublicKey.N == nil || cfg.PublicKey.N.BitLen() < minRSABits) {
		return nil, fmt.Errorf("esdk: the RSA public key must have %d bits or more", minRSABits)
	}
	k := &rsaKeyring{cfg: cfg}
	switch cfg.Algorithm {
	case "", types.EncryptionAlgorithmSpecRsaesOaepSha256:
		k.cfg.Algorithm, k.hash = types.EncryptionAlgorithmSpecRsaesOaepSha256, sha256.New
	case types.EncryptionAlgorithmSpecRsaesOaepSha1:
		k.hash = sha1.New
	default:
		return nil, fmt.Errorf("esdk: no RSA keyring for algorithm %q: use RSAES_OAEP_SHA_256 or RSAES_OAEP_SHA_1", cfg.Algorithm)
	}
	var err error
	k.cfg.GrantTokens, err = cloneGrantTokens(cfg.GrantTokens)
	if err != nil {
		return nil, err
	}
	return k, nil
}

func (k *rsaKeyring) OnEncrypt(_ context.Context, m *materials.EncryptionMaterials) error {
	if k.cfg.PublicKey == nil {
		return fmt.Errorf("esdk: encrypting with an RSA keyring: %w", keyring.ErrDecryptOnly)
	}
	if err := checkEncryption(m); err != nil {
		return err
	}
	digest, err := contextDigest(m.Suite, m.EncryptionContext)
	if err != nil {
		return err
	}
	return wrapLocally(m, func(dataKey []byte) (materials.EncryptedDataKey, error) {
		plaintext := append(digest, dataKey...)
		defer clear(plaintext)
		ciphertext, err := rsa.EncryptOAEP(k.hash(), rand.Reader, k.cfg.PublicKey, plaintext, nil)
		if err != nil {
			return materials.EncryptedDataKey{}, fmt.Errorf("esdk: encrypting the data key with the public key of %s: %w", k.cfg.KeyID, err)
		}
		return materials.EncryptedDataKey{ProviderID: providerIDRSA, ProviderInfo: []byte(k.cfg.KeyID), Ciphertext: ciphertext}, nil
	})
}

func (k *rsaKeyring) OnDecrypt(ctx context.Context, m *materials.DecryptionMaterials, keys []materials.EncryptedDataKey) error {
	if k.cfg.Client == nil {
		return fmt.Errorf("esdk: decrypting with an RSA keyring that has no client: %w", keyring.ErrEncryptOnly)
	}
	digest, err := contextDigest(m.Suite, m.EncryptionContext)
	if err != nil {
		return err
	}
	return unwrap(ctx, m, keys, func(edk materials.EncryptedDataKey) (opener, error) {
		if edk.ProviderID != providerIDRSA {
			return nil, nil
		}
		info := string(edk.ProviderInfo)
		if _, err := parseKeyARN(info); err != nil {
			return nil, errProviderInfo
		}
		if !mrkMatch(k.cfg.KeyID, info) {
			return nil, fmt.Errorf("the keyring's key is %s", k.cfg.KeyID)
		}
		return func(ctx context.Context) ([]byte, error) { return k.open(ctx, edk.Ciphertext, digest) }, nil
	})
}

func (k *rsaKeyring) open(ctx context.Context, ciphertext, digest []byte) ([]byte, error) {
	plaintext, err := decrypt(ctx, k.cfg.Client, &kms.DecryptInput{
		KeyId:               aws.String(k.cfg.KeyID),
		CiphertextBlob:      ciphertext,
		EncryptionAlgorithm: k.cfg.Algorithm,
		GrantTokens:         k.cfg.GrantTokens,
	})
	if err != nil {
		return nil, err
	}
	if len(plaintext) < len(digest) || subtle.ConstantTimeCompare(plaintext[:len(digest)], digest) != 1 {
		clear(plaintext)
		return nil, materials.ErrContextMismatch
	}
	return plaintext[len(digest):], nil
}

// contextDigest returns the 48 bytes that stand before the data key.
func contextDigest(s suite.Suite, context map[string]string) ([]byte, error) {
	// A signature is to show that the writer was allowed to encrypt, and not only
	// to decrypt. With a public key everyone is.
	if s.Signature != suite.Unsigned {
		return nil, fmt.Errorf("esdk: an RSA keyring takes no algorithm suite that signs, as %v does: use %v", s.ID, suite.AES256GCMCommit)
	}
	b, err := materials.AppendContext(nil, context)
	if err != nil {
		return nil, err
	}
	digest := sha512.Sum384(b)
	return digest[:], nil
}

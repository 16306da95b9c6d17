package awskms

import (
	"context"
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kms"

	"github.com/keywright/keywright/esdk/materials"
)

// Config configures the keyring of one symmetric key.
type Config struct {
	// Client is a client for the key's Region. Required.
	Client Client
	// KeyID names the key: by its ARN, its id, alias/NAME or an alias's ARN, as
	// the service takes it. Required. Only with the key ARN can the keyring
	// decrypt as well: a message names its keys by their ARNs, and to where an
	// alias points may have changed since.
	KeyID string
	// GrantTokens go with every request, 10 at most. They let new grants be used
	// before all of the service knows them.
	GrantTokens []string
}

type strict struct {
	client      Client
	keyID       string
	grantTokens []string
	matches     func(configured, found string) bool
}

// New returns the keyring of one key. It encrypts with that key, and decrypts
// what that key encrypted: it needs the permissions kms:GenerateDataKey to
// encrypt (kms:Encrypt where another keyring makes the data key) and kms:Decrypt
// to decrypt. It calls the service when it is used, and not before.
//
// Source: the specification, "AWS KMS Keyring".
func New(cfg Config) (materials.Keyring, error) {
	return newStrict(cfg, func(configured, found string) bool { return configured == found })
}

// NewMRK is New for a multi-Region key: it decrypts also what another replica of
// the configured key encrypted, with the configured replica. Of other keys it is
// the same as New. Give the replica that is in Config.Client's Region.
//
// Source: the specification, "AWS KMS MRK Keyring".
func NewMRK(cfg Config) (materials.Keyring, error) { return newStrict(cfg, mrkMatch) }

func newStrict(cfg Config, matches func(configured, found string) bool) (materials.Keyring, error) {
	if cfg.Client == nil {
		return nil, errNoClient
	}
	if err := checkIdentifier(cfg.KeyID); err != nil {
		return nil, err
	}
	tokens, err := cloneGrantTokens(cfg.GrantTokens)
	if err != nil {
		return nil, err
	}
	return &strict{cfg.Client, cfg.KeyID, tokens, matches}, nil
}

func (k *strict) OnEncrypt(ctx context.Context, m *materials.EncryptionMaterials) error {
	if err := checkEncryption(m); err != nil {
		return err
	}
	if m.DataKey == nil {
		return k.generate(ctx, m)
	}
	out, err := k.client.Encrypt(ctx, &kms.EncryptInput{
		KeyId:             aws.String(k.keyID),
		Plaintext:         m.DataKey,
		EncryptionContext: m.EncryptionContext,
		GrantTokens:       k.grantTokens,
	})
	if err != nil {
		return fmt.Errorf("esdk: encrypting the data key with %s: %w", k.keyID, err)
	}
	edk, err := k.encrypted(out.KeyId, out.CiphertextBlob)
	if err != nil {
		return fmt.Errorf("esdk: encrypting the data key with %s: %w", k.keyID, err)
	}
	add(m, edk)
	return nil
}

func (k *strict) generate(ctx context.Context, m *materials.EncryptionMaterials) error {
	out, err := k.client.GenerateDataKey(ctx, &kms.GenerateDataKeyInput{
		KeyId:             aws.String(k.keyID),
		NumberOfBytes:     aws.Int32(int32(m.Suite.KeyLen)),
		EncryptionContext: m.EncryptionContext,
		GrantTokens:       k.grantTokens,
	})
	if err != nil {
		return fmt.Errorf("esdk: making a data key with %s: %w", k.keyID, err)
	}
	edk, err := k.encrypted(out.KeyId, out.CiphertextBlob)
	if err == nil && len(out.Plaintext) != m.Suite.KeyLen {
		err = fmt.Errorf("the answer has %d bytes, asked for were %d", len(out.Plaintext), m.Suite.KeyLen)
	}
	if err != nil {
		clear(out.Plaintext)
		return fmt.Errorf("esdk: making a data key with %s: %w", k.keyID, err)
	}
	m.DataKey = out.Plaintext
	add(m, edk)
	return nil
}

// encrypted makes an encrypted data key of the service's answer. The message
// names the key as the answer does, by its ARN, whatever is configured. Where
// that is a key ARN too they must be equal, or this keyring could not decrypt
// what it has written.
func (k *strict) encrypted(keyID *string, ciphertext []byte) (materials.EncryptedDataKey, error) {
	got := aws.ToString(keyID)
	if _, err := parseKeyARN(got); err != nil {
		return materials.EncryptedDataKey{}, fmt.Errorf("the answer names its key %q, which is no key ARN", got)
	}
	if _, err := parseKeyARN(k.keyID); err == nil && got != k.keyID {
		return materials.EncryptedDataKey{}, fmt.Errorf("the answer is of key %s", got)
	}
	if len(ciphertext) == 0 {
		return materials.EncryptedDataKey{}, errors.New("the answer has no ciphertext")
	}
	return materials.EncryptedDataKey{ProviderID: providerID, ProviderInfo: []byte(got), Ciphertext: ciphertext}, nil
}

func (k *strict) OnDecrypt(ctx context.Context, m *materials.DecryptionMaterials, keys []materials.EncryptedDataKey) error {
	_, configured := parseKeyARN(k.keyID)
	return unwrap(ctx, m, keys, func(edk materials.EncryptedDataKey) (opener, error) {
		if edk.ProviderID != providerID {
			return nil, nil
		}
		info := string(edk.ProviderInfo)
		switch _, err := parseKeyARN(info); {
		case err != nil:
			return nil, errProviderInfo
		case configured != nil:
			return nil, fmt.Errorf("the keyring's key is given as %s: give its ARN to decrypt", k.keyID)
		case !k.matches(k.keyID, info):
			return nil, fmt.Errorf("the keyring's key is %s", k.keyID)
		}
		return func(ctx context.Context) ([]byte, error) {
			return decrypt(ctx, k.client, &kms.DecryptInput{
				KeyId:             aws.String(k.keyID),
				CiphertextBlob:    edk.Ciphertext,
				EncryptionContext: m.EncryptionContext,
				GrantTokens:       k.grantTokens,
			})
		}, nil
	})
}

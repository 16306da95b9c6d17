package awskms

import (
	"bytes"
	"context"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/x509"
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"

	"github.com/keywright/keywright/esdk/internal/ecdhwrap"
	"github.com/keywright/keywright/esdk/keyring"
	"github.com/keywright/keywright/esdk/materials"
)

// ECDHConfig configures a keyring of an elliptic curve key.
type ECDHConfig struct {
	// Client is a client for the key's Region. Required.
	Client KeyAgreementClient
	// KeyID is the ARN of the caller's own key, whose usage is KEY_AGREEMENT and
	// whose curve is P-256, P-384 or P-521. Required.
	KeyID string
	// PublicKey is that key's public half. Nil has the constructor ask the
	// service for it, once, which needs kms:GetPublicKey.
	PublicKey *ecdh.PublicKey
	// GrantTokens go with every request, 10 at most.
	GrantTokens []string
}

type ecdhKeyring struct {
	client      KeyAgreementClient
	keyID       string
	grantTokens []string
	curve       ecdh.Curve
	curveName   string
	own         []byte          // the caller's public key, as a compressed point
	peer        *ecdh.PublicKey // nil for discovery
	peerPoint   []byte
}

// NewECDH returns a keyring for messages between the caller, whose private key
// the service keeps, and the holder of the peer's key, which is on the same
// curve. It encrypts to the peer, and decrypts what either wrote to the other.
// It needs kms:DeriveSharedSecret. The encryption context is not sent to the
// service; the derived keys are bound to it.
//
// Either party can write what appears to be from the other, as is in the nature
// of a shared secret.
//
// Source: the specification, "AWS KMS ECDH Keyring" with the schema
// KmsPrivateKeyToStaticPublicKey. The curve SM2 is not supported.
func NewECDH(ctx context.Context, peer *ecdh.PublicKey, cfg ECDHConfig) (materials.Keyring, error) {
	if peer == nil {
		return nil, errors.New("esdk: the peer's public key is missing")
	}
	k, err := newECDH(ctx, cfg)
	if err != nil {
		return nil, err
	}
	if peer.Curve() != k.curve {
		return nil, fmt.Errorf("esdk: the peer's public key is on %v, key %s on %v", peer.Curve(), cfg.KeyID, k.curve)
	}
	k.peer, k.peerPoint = peer, ecdhwrap.Compress(peer)
	return k, nil
}

// NewECDHDiscovery returns a keyring that decrypts what anyone encrypted to the
// caller's key in the service, whoever that may be. It cannot encrypt.
//
// Source: the specification, "AWS KMS ECDH Keyring" with the schema
// KmsPublicKeyDiscovery. The curve SM2 is not supported.
func NewECDHDiscovery(ctx context.Context, cfg ECDHConfig) (materials.Keyring, error) {
	k, err := newECDH(ctx, cfg)
	if err != nil {
		return nil, err
	}
	return k, nil
}

func newECDH(ctx context.Context, cfg ECDHConfig) (*ecdhKeyring, error) {
	if cfg.Client == nil {
		return nil, errNoClient
	}
	if err := checkKeyARN(cfg.KeyID); err != nil {
		return nil, err
	}
	tokens, err := cloneGrantTokens(cfg.GrantTokens)
	if err != nil {
		return nil, err
	}
	own := cfg.PublicKey
	if own == nil {
		if own, err = getPublicKey(ctx, cfg); err != nil {
			return nil, fmt.Errorf("esdk: getting the public key of %s: %w", cfg.KeyID, err)
		}
	}
	name, ok := ecdhwrap.Curve(own.Curve())
	if !ok {
		return nil, fmt.Errorf("esdk: the public key is on %v: use a key on P-256, P-384 or P-521", own.Curve())
	}
	return &ecdhKeyring{
		client:      cfg.Client,
		keyID:       cfg.KeyID,
		grantTokens: tokens,
		curve:       own.Curve(),
		curveName:   name,
		own:         ecdhwrap.Compress(own),
	}, nil
}

func getPublicKey(ctx context.Context, cfg ECDHConfig) (*ecdh.PublicKey, error) {
	out, err := cfg.Client.GetPublicKey(ctx, &kms.GetPublicKeyInput{KeyId: aws.String(cfg.KeyID), GrantTokens: cfg.GrantTokens})
	if err != nil {
		return nil, err
	}
	if got := aws.ToString(out.KeyId); got != cfg.KeyID {
		return nil, fmt.Errorf("the answer is of key %q", got)
	}
	if out.KeyUsage != types.KeyUsageTypeKeyAgreement {
		return nil, fmt.Errorf("the key's usage is %s: use a key for %s", out.KeyUsage, types.KeyUsageTypeKeyAgreement)
	}
	parsed, err := x509.ParsePKIXPublicKey(out.PublicKey)
	if err != nil {
		return nil, fmt.Errorf("parsing it (key spec %s): %w", out.KeySpec, err)
	}
	key, ok := parsed.(*ecdsa.PublicKey)
	if !ok {
		return nil, fmt.Errorf("key spec %s is for no key agreement", out.KeySpec)
	}
	return key.ECDH()
}

func (k *ecdhKeyring) OnEncrypt(ctx context.Context, m *materials.EncryptionMaterials) error {
	if k.peer == nil {
		return fmt.Errorf("esdk: encrypting with an ECDH discovery keyring (use NewECDH): %w", keyring.ErrDecryptOnly)
	}
	if err := checkEncryption(m); err != nil {
		return err
	}
	z, err := k.agree(ctx, k.peer)
	if err != nil {
		return fmt.Errorf("esdk: encrypting the data key: %w", err)
	}
	defer clear(z)
	return wrapLocally(m, func(dataKey []byte) (materials.EncryptedDataKey, error) {
		info, ciphertext, err := ecdhwrap.Wrap(z, k.own, k.peerPoint, k.curveName, m.EncryptionContext, dataKey)
		return materials.EncryptedDataKey{ProviderID: providerIDECDH, ProviderInfo: info, Ciphertext: ciphertext}, err
	})
}

func (k *ecdhKeyring) OnDecrypt(ctx context.Context, m *materials.DecryptionMaterials, keys []materials.EncryptedDataKey) error {
	return unwrap(ctx, m, keys, func(edk materials.EncryptedDataKey) (opener, error) {
		if edk.ProviderID != providerIDECDH && edk.ProviderID != providerIDRawECDH {
			return nil, nil
		}
		recipient, sender, err := ecdhwrap.ParseInfo(edk.ProviderInfo)
		if err != nil {
			return nil, err
		}
		with, err := k.partner(recipient, sender)
		if err != nil {
			return nil, err
		}
		return func(ctx context.Context) ([]byte, error) {
			z, err := k.agree(ctx, with)
			if err != nil {
				return nil, err
			}
			defer clear(z)
			dataKey, err := ecdhwrap.Unwrap(z, edk.ProviderInfo, edk.Ciphertext, k.curveName, m.EncryptionContext)
			if errors.Is(err, ecdhwrap.ErrUnwrap) || errors.Is(err, ecdhwrap.ErrCiphertext) {
				err = keyring.ErrUnwrap
			}
			return dataKey, err
		}, nil
	})
}

// partner returns the key of the other of the two parties to a message.
func (k *ecdhKeyring) partner(recipient, sender []byte) (*ecdh.PublicKey, error) {
	switch {
	case k.peer == nil && bytes.Equal(recipient, k.own):
		return ecdhwrap.Decompress(k.curve, sender)
	case k.peer == nil:
		return nil, errors.New("it is not encrypted to the keyring's key")
	case bytes.Equal(sender, k.own) && bytes.Equal(recipient, k.peerPoint),
		bytes.Equal(sender, k.peerPoint) && bytes.Equal(recipient, k.own):
		return k.peer, nil
	}
	return nil, errors.New("it is not between the keyring's two keys")
}

// agree has the service compute the shared secret of the caller's key and
// another. Its length is checked where it is used.
func (k *ecdhKeyring) agree(ctx context.Context, with *ecdh.PublicKey) ([]byte, error) {
	spki, err := x509.MarshalPKIXPublicKey(with)
	if err != nil {
		return nil, fmt.Errorf("encoding the other party's public key: %w", err)
	}
	out, err := k.client.DeriveSharedSecret(ctx, &kms.DeriveSharedSecretInput{
		KeyId:                 aws.String(k.keyID),
		KeyAgreementAlgorithm: types.KeyAgreementAlgorithmSpecEcdh,
		PublicKey:             spki,
		GrantTokens:           k.grantTokens,
	})
	if err != nil {
		return nil, fmt.Errorf("deriving a shared secret with %s: %w", k.keyID, err)
	}
	got := aws.ToString(out.KeyId)
	if got != k.keyID || out.KeyAgreementAlgorithm != types.KeyAgreementAlgorithmSpecEcdh {
		clear(out.SharedSecret)
		return nil, fmt.Errorf("deriving a shared secret with %s: the answer is of key %q by %q", k.keyID, got, out.KeyAgreementAlgorithm)
	}
	return out.SharedSecret, nil
}

package cli

import (
	"context"
	"encoding/pem"
	"errors"
	"fmt"
	"os"

	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"

	"github.com/keywright/keywright/esdk/keyring"
	"github.com/keywright/keywright/esdk/keyring/awskms"
	"github.com/keywright/keywright/esdk/materials"
)

// rsaAlgorithms are what padding= may be for a key of the service.
var rsaAlgorithms = map[string]types.EncryptionAlgorithmSpec{
	"":            types.EncryptionAlgorithmSpecRsaesOaepSha256,
	"oaep-sha1":   types.EncryptionAlgorithmSpecRsaesOaepSha1,
	"oaep-sha256": types.EncryptionAlgorithmSpecRsaesOaepSha256,
}

// checkPair checks the parameters that only key pairs of the service have.
func (g *keyGroup) checkPair() error {
	if g.provider == providerKMS {
		if g.publicKey != "" || g.peer != "" || g.padding != "" {
			return errors.New("public-key, peer and padding need provider=aws-kms-rsa or provider=aws-kms-ecdh")
		}
		return nil
	}
	if g.discovery {
		return fmt.Errorf("there is no discovery with provider=%s: name the key by its ARN", g.provider)
	}
	if len(g.keys) != 1 || !keyARN.MatchString(g.keys[0]) {
		return fmt.Errorf("with provider=%s there is one key, named by its ARN", g.provider)
	}
	if g.provider == providerRSA && g.peer != "" {
		return errors.New("peer needs provider=aws-kms-ecdh")
	}
	if g.provider == providerECDH && g.padding != "" {
		return errors.New("padding needs provider=aws-kms-rsa")
	}
	if _, ok := rsaAlgorithms[g.padding]; !ok {
		return fmt.Errorf("the service has no padding %q: it is oaep-sha256 or oaep-sha1", g.padding)
	}
	return nil
}

func (g *keyGroup) rsaKeyring(ctx context.Context, client *kms.Client, key string) (materials.Keyring, error) {
	cfg := awskms.RSAConfig{KeyID: key, Client: client, Algorithm: rsaAlgorithms[g.padding], GrantTokens: g.grantTokens}
	if g.encrypt {
		text, err := g.public(ctx, client, key, types.KeyUsageTypeEncryptDecrypt)
		if err != nil {
			return nil, err
		}
		if cfg.PublicKey, err = keyring.ParseRSAPublicKeyPEM(text); err != nil {
			return nil, fmt.Errorf("the public key of %s: %w", key, err)
		}
	}
	ring, err := awskms.NewRSA(cfg)
	if err != nil {
		return nil, err
	}
	return &namedKeyring{Keyring: ring, provider: providerRSA, info: []byte(key)}, nil
}

func (g *keyGroup) ecdhKeyring(ctx context.Context, client *kms.Client, key string) (materials.Keyring, error) {
	text, err := g.public(ctx, client, key, types.KeyUsageTypeKeyAgreement)
	if err != nil {
		return nil, err
	}
	cfg := awskms.ECDHConfig{Client: client, KeyID: key, GrantTokens: g.grantTokens}
	if cfg.PublicKey, err = keyring.ParseECDHPublicKey(text); err != nil {
		return nil, fmt.Errorf("the public key of %s: %w", key, err)
	}
	if g.peer == "" {
		return awskms.NewECDHDiscovery(ctx, cfg)
	}
	peer, err := readECDHPublicKey(g.peer)
	if err != nil {
		return nil, err
	}
	ring, err := awskms.NewECDH(ctx, peer, cfg)
	if err != nil {
		return nil, err
	}
	return &namedKeyring{Keyring: ring, provider: providerECDH, info: ecdhInfo(peer, cfg.PublicKey)}, nil
}

// public returns the public half of a key in PEM or, of an elliptic curve, as
// the file has it: from the file that is named, or else from the service.
func (g *keyGroup) public(ctx context.Context, client *kms.Client, key string, usage types.KeyUsageType) ([]byte, error) {
	if g.publicKey != "" {
		return os.ReadFile(g.publicKey)
	}
	out, err := client.GetPublicKey(ctx, &kms.GetPublicKeyInput{KeyId: &key, GrantTokens: g.grantTokens})
	if err != nil {
		return nil, hinted{fmt.Errorf("getting the public key of %s: %w", key, err), "with public-key=FILE the service is not asked for it"}
	}
	if out.KeyId == nil || *out.KeyId != key {
		return nil, fmt.Errorf("getting the public key of %s: the answer is of another key", key)
	}
	if out.KeyUsage != usage {
		return nil, fmt.Errorf("the usage of %s is %s, and %s is needed", key, out.KeyUsage, usage)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: out.PublicKey}), nil
}

// needsUnsigned tells whether one of the groups has a key that the algorithm
// suites that sign cannot be used with.
func needsUnsigned(groups []string) bool {
	for _, text := range groups {
		g, err := parseKeyGroup(text)
		if err == nil && g.provider == providerRSA {
			return true
		}
	}
	return false
}

// refused reports an error of the service about a key, which has an exit code of
// its own.
func refused(s *streams, err error) error {
	if err == nil || codeOf(err) != exitNoKey {
		return err
	}
	report(s.err, err)
	return exitCode(exitNoKey)
}

// keyError is an error about the keys of a flag. What the library or the service
// said is shown as printable text.
type keyError struct {
	flag string
	err  error
}

func (e *keyError) Error() string { return "--" + e.flag + ": " + errorText(e.err) }
func (e *keyError) Unwrap() error { return e.err }

package awskms_test

import (
	"bytes"
	"context"
	"crypto/ecdh"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"

	"github.com/keywright/keywright/esdk/keyring"
	"github.com/keywright/keywright/esdk/keyring/awskms"
	"github.com/keywright/keywright/esdk/materials"
	"github.com/keywright/keywright/esdk/suite"
)

var curves = []ecdh.Curve{ecdh.P256(), ecdh.P384(), ecdh.P521()}

func newECDH(t *testing.T, peer *ecdh.PublicKey, client standInECDHKMS) materials.Keyring {
	return must(awskms.NewECDH(t.Context(), peer, awskms.ECDHConfig{Client: client, KeyID: client.keyID}))
}

// Two parties whose private keys are in the service, each of its own.
func TestECDH(t *testing.T) {
	t.Parallel()
	for _, curve := range curves {
		t.Run(fmt.Sprint(curve), func(t *testing.T) {
			alice, bob, eve := newStandInECDHKMS(curve, keyEast), newStandInECDHKMS(curve, keyWest), newStandInECDHKMS(curve, mrkEast)
			toBob, toAlice := newECDH(t, bob.key.PublicKey(), alice), newECDH(t, alice.key.PublicKey(), bob)
			m := encrypt(t, toBob)
			edk := m.EncryptedDataKeys[0]
			n := 2 + (len(alice.key.PublicKey().Bytes())-1)/2
			if edk.ProviderID != "aws-kms-ecdh" || len(edk.ProviderInfo) != 9+2*(n-1) || edk.ProviderInfo[0] != 1 {
				t.Errorf("provider %s with information %x", edk.ProviderID, edk.ProviderInfo)
			}
			opens(t, toAlice, m)
			opens(t, toBob, m) // the writer reads too
			opens(t, must(awskms.NewECDHDiscovery(t.Context(), awskms.ECDHConfig{Client: bob, KeyID: bob.keyID})), m)

			asked := alice.asked.deriveSharedSecret.Load() + bob.asked.deriveSharedSecret.Load()
			refuses(t, must(awskms.NewECDHDiscovery(t.Context(), awskms.ECDHConfig{Client: alice, KeyID: alice.keyID})), m)
			refuses(t, newECDH(t, alice.key.PublicKey(), eve), m)
			refuses(t, newECDH(t, eve.key.PublicKey(), bob), m)
			refuses(t, newECDH(t, eve.key.PublicKey(), alice), m)
			if eve.asked.deriveSharedSecret.Load() != 0 || alice.asked.deriveSharedSecret.Load()+bob.asked.deriveSharedSecret.Load() != asked {
				t.Error("the service was asked for a message of others")
			}
			m.EncryptionContext = map[string]string{"tenant": "other"}
			if err := refuses(t, toAlice, m); !errors.Is(err, keyring.ErrUnwrap) {
				t.Errorf("another context: %v, want ErrUnwrap", err)
			}
		})
	}
}

// The other party may have its private key in memory, and then its own provider
// id: the raw keyrings are tested against messages of other implementations.
func TestECDHWithRawKeyring(t *testing.T) {
	t.Parallel()
	for _, curve := range curves {
		client := newStandInECDHKMS(curve, keyEast)
		private, err := curve.GenerateKey(rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		mine := newECDH(t, private.PublicKey(), client)
		raw := must(keyring.NewRawECDH(private, client.key.PublicKey()))
		opens(t, raw, encrypt(t, mine))
		opens(t, mine, encrypt(t, raw))
		opens(t, must(keyring.NewDiscoveryECDH(private)), encrypt(t, mine))
		anyone := must(awskms.NewECDHDiscovery(t.Context(), awskms.ECDHConfig{Client: client, KeyID: keyEast}))
		opens(t, anyone, encrypt(t, must(keyring.NewEphemeralECDH(client.key.PublicKey()))))
	}
}

func TestECDHDataKeys(t *testing.T) {
	t.Parallel()
	alice, bob := newStandInECDHKMS(ecdh.P256(), keyEast), newStandInECDHKMS(ecdh.P256(), keyWest)
	k := newECDH(t, bob.key.PublicKey(), alice)
	m := encrypt(t, k)
	made := bytes.Clone(m.DataKey)
	if err := k.OnEncrypt(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(m.DataKey, made) || len(m.EncryptedDataKeys) != 2 {
		t.Error("wrapping has changed the data key, or added none")
	}
	discovery := must(awskms.NewECDHDiscovery(t.Context(), awskms.ECDHConfig{Client: bob, KeyID: keyWest}))
	if err := discovery.OnEncrypt(t.Context(), m); !errors.Is(err, keyring.ErrDecryptOnly) {
		t.Errorf("encrypting with a discovery keyring: %v, want ErrDecryptOnly", err)
	}
	invalid := encryptionMaterials(suite.AES256GCMCommit)
	invalid.EncryptionContext = map[string]string{"tenant": "\xff"}
	if err := k.OnEncrypt(t.Context(), invalid); !errors.Is(err, materials.ErrContextInvalid) || invalid.DataKey != nil {
		t.Errorf("a context that is not UTF-8: %v, want ErrContextInvalid", err)
	}

	others := *m
	others.EncryptedDataKeys = []materials.EncryptedDataKey{m.EncryptedDataKeys[0]}
	others.EncryptedDataKeys[0].ProviderID = "aws-kms"
	if err := refuses(t, discovery, &others); len(err.Attempts) != 0 {
		t.Errorf("a symmetric key's: %v", err)
	}
	for name, change := range map[string]func(*materials.EncryptedDataKey){
		"truncated ciphertext":  func(k *materials.EncryptedDataKey) { k.Ciphertext = k.Ciphertext[:80] },
		"changed ciphertext":    func(k *materials.EncryptedDataKey) { k.Ciphertext[70] ^= 1 },
		"changed commitment":    func(k *materials.EncryptedDataKey) { k.Ciphertext[40] ^= 1 },
		"truncated information": func(k *materials.EncryptedDataKey) { k.ProviderInfo = k.ProviderInfo[:70] },
		"another version":       func(k *materials.EncryptedDataKey) { k.ProviderInfo[0] = 2 },
		"another sender":        func(k *materials.EncryptedDataKey) { k.ProviderInfo[42] ^= 1 },
		"a point off the curve": func(k *materials.EncryptedDataKey) { clearPoint(k.ProviderInfo[43:]) },
	} {
		m := *m
		edk := m.EncryptedDataKeys[0]
		edk.Ciphertext, edk.ProviderInfo = bytes.Clone(edk.Ciphertext), bytes.Clone(edk.ProviderInfo)
		change(&edk)
		m.EncryptedDataKeys = []materials.EncryptedDataKey{edk}
		if err := refuses(t, discovery, &m); len(err.Attempts) != 1 {
			t.Errorf("%s: %d attempts in %v", name, len(err.Attempts), err)
		}
	}
}

// clearPoint makes an x coordinate that is none: the field has no 2^256-1.
func clearPoint(x []byte) {
	for i := range x {
		x[i] = 0xff
	}
}

// alteredECDH is a client whose answers a test changes.
type alteredECDH struct {
	standInECDHKMS
	public func(*kms.GetPublicKeyOutput)
	secret func(*kms.DeriveSharedSecretOutput)
	err    error
}

func (a alteredECDH) GetPublicKey(ctx context.Context, in *kms.GetPublicKeyInput, o ...func(*kms.Options)) (*kms.GetPublicKeyOutput, error) {
	out, err := a.standInECDHKMS.GetPublicKey(ctx, in, o...)
	if err == nil && a.public != nil {
		a.public(out)
	}
	return out, err
}

func (a alteredECDH) DeriveSharedSecret(ctx context.Context, in *kms.DeriveSharedSecretInput, o ...func(*kms.Options)) (*kms.DeriveSharedSecretOutput, error) {
	if a.err != nil {
		return nil, a.err
	}
	if strings.Join(in.GrantTokens, ",") != "one,two" {
		return nil, fmt.Errorf("grant tokens %q", in.GrantTokens)
	}
	out, err := a.standInECDHKMS.DeriveSharedSecret(ctx, in, o...)
	if err == nil && a.secret != nil {
		a.secret(out)
	}
	return out, err
}

func TestECDHAnswers(t *testing.T) {
	t.Parallel()
	bob, err := ecdh.P256().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	client := alteredECDH{standInECDHKMS: newStandInECDHKMS(ecdh.P256(), keyEast)}
	cfg := func(c alteredECDH) awskms.ECDHConfig {
		return awskms.ECDHConfig{Client: c, KeyID: keyEast, GrantTokens: []string{"one", "two"}}
	}
	m := encrypt(t, must(awskms.NewECDH(t.Context(), bob.PublicKey(), cfg(client))))

	refused := errors.New("AccessDeniedException")
	for name, c := range map[string]alteredECDH{
		"another key":         {secret: func(out *kms.DeriveSharedSecretOutput) { out.KeyId = aws.String(keyWest) }},
		"another algorithm":   {secret: func(out *kms.DeriveSharedSecretOutput) { out.KeyAgreementAlgorithm = "" }},
		"a short secret":      {secret: func(out *kms.DeriveSharedSecretOutput) { out.SharedSecret = out.SharedSecret[:31] }},
		"another secret":      {secret: func(out *kms.DeriveSharedSecretOutput) { out.SharedSecret[0] ^= 1 }},
		"nothing":             {secret: func(out *kms.DeriveSharedSecretOutput) { *out = kms.DeriveSharedSecretOutput{} }},
		"an error of its own": {err: refused},
	} {
		c.standInECDHKMS = client.standInECDHKMS
		k := must(awskms.NewECDH(t.Context(), bob.PublicKey(), cfg(c)))
		if err := refuses(t, k, m); c.err != nil && !errors.Is(err, refused) {
			t.Errorf("%s: %v", name, err)
		}
		fresh := encryptionMaterials(suite.AES256GCMCommit)
		if err := k.OnEncrypt(t.Context(), fresh); (err == nil || fresh.DataKey != nil) && name != "another secret" {
			t.Errorf("encrypting, %s: %v", name, err)
		}
	}
	for name, change := range map[string]func(*kms.GetPublicKeyOutput){
		"another key":   func(out *kms.GetPublicKeyOutput) { out.KeyId = aws.String(keyWest) },
		"another usage": func(out *kms.GetPublicKeyOutput) { out.KeyUsage = types.KeyUsageTypeSignVerify },
		"no key":        func(out *kms.GetPublicKeyOutput) { out.PublicKey = nil },
		"an RSA key": func(out *kms.GetPublicKeyOutput) {
			var err error
			if out.PublicKey, err = x509.MarshalPKIXPublicKey(&rsaKey().PublicKey); err != nil {
				t.Error(err)
			}
		},
		"trailing bytes": func(out *kms.GetPublicKeyOutput) { out.PublicKey = append(out.PublicKey, 0) },
	} {
		c := client
		c.public = change
		if _, err := awskms.NewECDHDiscovery(t.Context(), cfg(c)); err == nil || !strings.Contains(err.Error(), "getting the public key of "+keyEast) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestECDHConfig(t *testing.T) {
	t.Parallel()
	client := newStandInECDHKMS(ecdh.P256(), keyEast)
	peer := newStandInECDHKMS(ecdh.P256(), keyWest).key.PublicKey()
	x25519, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		peer *ecdh.PublicKey
		cfg  awskms.ECDHConfig
		want string
	}{
		{"no peer", nil, awskms.ECDHConfig{Client: client, KeyID: keyEast}, "peer's public key is missing"},
		{"a peer on another curve", newStandInECDHKMS(ecdh.P384(), keyWest).key.PublicKey(), awskms.ECDHConfig{Client: client, KeyID: keyEast}, "on P-384"},
		{"no client", peer, awskms.ECDHConfig{KeyID: keyEast}, "no client"},
		{"no key", peer, awskms.ECDHConfig{Client: client}, "names no key"},
		{"an alias", peer, awskms.ECDHConfig{Client: client, KeyID: aliasEast}, "which this keyring needs"},
		{"a key that is not there", peer, awskms.ECDHConfig{Client: client, KeyID: keyWest}, "getting the public key"},
		{"a curve that is not the service's", x25519.PublicKey(), awskms.ECDHConfig{Client: client, KeyID: keyEast, PublicKey: x25519.PublicKey()}, "P-256, P-384 or P-521"},
		{"an empty token", peer, awskms.ECDHConfig{Client: client, KeyID: keyEast, GrantTokens: []string{""}}, "grant token"},
	} {
		if _, err := awskms.NewECDH(t.Context(), c.peer, c.cfg); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
	// A public key that is given is not asked for.
	silent := newStandInECDHKMS(ecdh.P256(), keyEast)
	k := must(awskms.NewECDH(t.Context(), peer, awskms.ECDHConfig{Client: silent, KeyID: keyEast, PublicKey: silent.key.PublicKey()}))
	opens(t, k, encrypt(t, k))
	if silent.asked.getPublicKey.Load() != 0 {
		t.Error("the service was asked for a public key that was given")
	}
	if _, err := awskms.NewECDHDiscovery(t.Context(), awskms.ECDHConfig{KeyID: keyEast}); err == nil {
		t.Error("a discovery keyring was made without a client")
	}
}

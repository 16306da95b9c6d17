package awskms_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha512"
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"

	"github.com/keywright/keywright/esdk/keyring"
	"github.com/keywright/keywright/esdk/keyring/awskms"
	"github.com/keywright/keywright/esdk/materials"
	"github.com/keywright/keywright/esdk/suite"
)

// rsaKey is made once: making one takes long.
var rsaKey = sync.OnceValue(func() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return key
})

func TestRSA(t *testing.T) {
	t.Parallel()
	client := standInRSAKMS{keyEast, rsaKey()}
	for _, algorithm := range []types.EncryptionAlgorithmSpec{"", types.EncryptionAlgorithmSpecRsaesOaepSha256, types.EncryptionAlgorithmSpecRsaesOaepSha1} {
		t.Run("algorithm "+string(algorithm), func(t *testing.T) {
			writer := must(awskms.NewRSA(awskms.RSAConfig{KeyID: keyEast, PublicKey: &rsaKey().PublicKey, Algorithm: algorithm}))
			reader := must(awskms.NewRSA(awskms.RSAConfig{KeyID: keyEast, Client: client, Algorithm: algorithm}))
			m := encrypt(t, writer)
			edk := m.EncryptedDataKeys[0]
			if edk.ProviderID != "aws-kms-rsa" || string(edk.ProviderInfo) != keyEast {
				t.Errorf("provider %s %s, want aws-kms-rsa %s", edk.ProviderID, edk.ProviderInfo, keyEast)
			}
			opens(t, reader, m)

			// A data key that another keyring made.
			made := bytes.Clone(m.DataKey)
			if err := writer.OnEncrypt(t.Context(), m); err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(m.DataKey, made) || len(m.EncryptedDataKeys) != 2 {
				t.Error("wrapping has changed the data key, or added none")
			}
			m.EncryptedDataKeys = m.EncryptedDataKeys[1:]
			opens(t, reader, m)

			m.EncryptionContext = map[string]string{"tenant": "other"}
			if err := refuses(t, reader, m); !errors.Is(err, materials.ErrContextMismatch) {
				t.Errorf("another context: %v, want ErrContextMismatch", err)
			}
			if err := writer.OnDecrypt(t.Context(), decryptionMaterials(m), nil); !errors.Is(err, keyring.ErrEncryptOnly) {
				t.Errorf("decrypting without a client: %v, want ErrEncryptOnly", err)
			}
			if err := reader.OnEncrypt(t.Context(), encryptionMaterials(suite.AES256GCMCommit)); !errors.Is(err, keyring.ErrDecryptOnly) {
				t.Errorf("encrypting without a public key: %v, want ErrDecryptOnly", err)
			}
		})
	}
}

// The plaintext is the digest of the serialized context, spelled out here, and
// the data key.
func TestRSAPlaintext(t *testing.T) {
	t.Parallel()
	serialized := "\x00\x02" + "\x00\x06tenant" + "\x00\x04acme" + "\x00\x08ключ" + "\x00\x04𝄞"
	for context, want := range map[*map[string]string][48]byte{
		{}:           sha512.Sum384(nil),
		&testContext: sha512.Sum384([]byte(serialized)),
	} {
		m := encryptionMaterials(suite.AES128GCMHKDF)
		m.EncryptionContext = *context
		k := must(awskms.NewRSA(awskms.RSAConfig{KeyID: keyEast, PublicKey: &rsaKey().PublicKey}))
		if err := k.OnEncrypt(t.Context(), m); err != nil {
			t.Fatal(err)
		}
		out, err := standInRSAKMS{keyEast, rsaKey()}.Decrypt(t.Context(), &kms.DecryptInput{
			KeyId: aws.String(keyEast), CiphertextBlob: m.EncryptedDataKeys[0].Ciphertext,
			EncryptionAlgorithm: types.EncryptionAlgorithmSpecRsaesOaepSha256,
		})
		if err != nil {
			t.Fatal(err)
		}
		if len(m.DataKey) != 16 || !bytes.Equal(out.Plaintext, append(want[:], m.DataKey...)) {
			t.Errorf("context %v: plaintext %x, data key %x", *context, out.Plaintext, m.DataKey)
		}
	}
}

// rsaAnswer is a client that answers the same to everything.
type rsaAnswer kms.DecryptOutput

func (a rsaAnswer) Decrypt(context.Context, *kms.DecryptInput, ...func(*kms.Options)) (*kms.DecryptOutput, error) {
	out := kms.DecryptOutput(a)
	return &out, nil
}

func TestRSAAnswers(t *testing.T) {
	t.Parallel()
	m := encrypt(t, must(awskms.NewRSA(awskms.RSAConfig{KeyID: keyEast, PublicKey: &rsaKey().PublicKey})))
	client := func(keyID string, plaintext []byte) rsaAnswer {
		return rsaAnswer{KeyId: &keyID, Plaintext: plaintext}
	}
	digest, empty := sha512.Sum384([]byte("\x00\x02\x00\x06tenant\x00\x04acme\x00\x08ключ\x00\x04𝄞")), sha512.Sum384(nil)
	good := append(digest[:], m.DataKey...)
	reader := func(client awskms.Decrypter) materials.Keyring {
		return must(awskms.NewRSA(awskms.RSAConfig{KeyID: keyEast, Client: client}))
	}
	opens(t, reader(client(keyEast, bytes.Clone(good))), m)
	for name, c := range map[string]rsaAnswer{
		"another key":     client(keyWest, bytes.Clone(good)),
		"another digest":  client(keyEast, append(empty[:], m.DataKey...)),
		"a short answer":  client(keyEast, bytes.Clone(digest[:47])),
		"no data key":     client(keyEast, bytes.Clone(digest[:])),
		"a long data key": client(keyEast, append(bytes.Clone(good), 0)),
		"nothing":         client(keyEast, nil),
	} {
		t.Run(name, func(t *testing.T) { refuses(t, reader(c), m) })
	}
	for name, info := range map[string]string{"another key": keyWest, "an alias": aliasEast} {
		m := *m
		m.EncryptedDataKeys = []materials.EncryptedDataKey{{ProviderID: "aws-kms-rsa", ProviderInfo: []byte(info), Ciphertext: m.EncryptedDataKeys[0].Ciphertext}}
		if err := refuses(t, reader(client(keyEast, bytes.Clone(good))), &m); len(err.Attempts) != 1 {
			t.Errorf("%s: %v", name, err)
		}
	}
	// A replica is the same key.
	m.EncryptedDataKeys[0].ProviderInfo = []byte(mrkEast)
	opens(t, must(awskms.NewRSA(awskms.RSAConfig{KeyID: mrkWest, Client: client(mrkWest, bytes.Clone(good))})), m)
	m.EncryptedDataKeys[0].ProviderID = "aws-kms"
	if err := refuses(t, must(awskms.NewRSA(awskms.RSAConfig{KeyID: mrkWest, Client: client(mrkWest, bytes.Clone(good))})), m); len(err.Attempts) != 0 {
		t.Errorf("a symmetric key's: %v", err)
	}
}

func TestRSARefusesSignedSuites(t *testing.T) {
	t.Parallel()
	k := must(awskms.NewRSA(awskms.RSAConfig{KeyID: keyEast, PublicKey: &rsaKey().PublicKey, Client: standInRSAKMS{keyEast, rsaKey()}}))
	for _, s := range suite.All() {
		m := encryptionMaterials(s.ID)
		if err := k.OnEncrypt(t.Context(), m); (err == nil) != (s.Signature == suite.Unsigned) {
			t.Errorf("encrypting, %v: %v", s.ID, err)
		}
		if s.Signature == suite.Unsigned {
			opens(t, k, m)
			continue
		}
		if m.DataKey != nil {
			t.Errorf("%v: there is a data key in spite of an error", s.ID)
		}
		unsigned := encrypt(t, k)
		d := decryptionMaterials(unsigned)
		d.Suite = s
		if err := k.OnDecrypt(t.Context(), d, unsigned.EncryptedDataKeys); err == nil || !strings.Contains(err.Error(), "no algorithm suite that signs") {
			t.Errorf("decrypting, %v: %v", s.ID, err)
		}
	}
	if err := k.OnEncrypt(t.Context(), &materials.EncryptionMaterials{}); !errors.Is(err, materials.ErrUnknownSuite) {
		t.Errorf("encrypting without a suite: %v, want ErrUnknownSuite", err)
	}
	short := encryptionMaterials(suite.AES256GCMCommit)
	short.DataKey = make([]byte, 16)
	if err := k.OnEncrypt(t.Context(), short); err == nil || len(short.EncryptedDataKeys) != 0 {
		t.Errorf("a data key of 16 bytes was wrapped for a suite of 32: %v", err)
	}
	broken := must(awskms.NewRSA(awskms.RSAConfig{KeyID: keyEast, PublicKey: &rsa.PublicKey{N: rsaKey().N}}))
	m := encryptionMaterials(suite.AES256GCMCommit)
	if err := broken.OnEncrypt(t.Context(), m); err == nil || m.DataKey != nil || len(m.EncryptedDataKeys) != 0 {
		t.Errorf("a public key without an exponent: %v", err)
	}
	invalid := encryptionMaterials(suite.AES256GCMCommit)
	invalid.EncryptionContext = map[string]string{"tenant": "\xff"}
	if err := k.OnEncrypt(t.Context(), invalid); !errors.Is(err, materials.ErrContextInvalid) {
		t.Errorf("a context that is not UTF-8: %v, want ErrContextInvalid", err)
	}
	if err := k.OnDecrypt(t.Context(), decryptionMaterials(invalid), nil); !errors.Is(err, materials.ErrContextInvalid) {
		t.Errorf("decrypting with a context that is not UTF-8: %v, want ErrContextInvalid", err)
	}
}

func TestRSAConfig(t *testing.T) {
	t.Parallel()
	small, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	public := &rsaKey().PublicKey
	for _, c := range []struct {
		name string
		cfg  awskms.RSAConfig
		want string
	}{
		{"no key", awskms.RSAConfig{PublicKey: public}, "names no key"},
		{"an alias", awskms.RSAConfig{KeyID: "alias/app", PublicKey: public}, "which this keyring needs"},
		{"an alias's ARN", awskms.RSAConfig{KeyID: aliasEast, PublicKey: public}, "which this keyring needs"},
		{"a bare id", awskms.RSAConfig{KeyID: "1234", PublicKey: public}, "which this keyring needs"},
		{"neither half", awskms.RSAConfig{KeyID: keyEast}, "neither"},
		{"a small key", awskms.RSAConfig{KeyID: keyEast, PublicKey: &small.PublicKey}, "2048 bits"},
		{"an empty key", awskms.RSAConfig{KeyID: keyEast, PublicKey: new(rsa.PublicKey)}, "2048 bits"},
		{"a signing algorithm", awskms.RSAConfig{KeyID: keyEast, PublicKey: public, Algorithm: "RSASSA_PSS_SHA_256"}, "RSASSA_PSS_SHA_256"},
		{"a symmetric algorithm", awskms.RSAConfig{KeyID: keyEast, PublicKey: public, Algorithm: types.EncryptionAlgorithmSpecSymmetricDefault}, "SYMMETRIC_DEFAULT"},
		{"an empty token", awskms.RSAConfig{KeyID: keyEast, PublicKey: public, GrantTokens: []string{""}}, "grant token"},
	} {
		if _, err := awskms.NewRSA(c.cfg); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
}

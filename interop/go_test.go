package interop_test

import (
	"bytes"
	"context"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/rsa"
	"errors"
	"fmt"
	"maps"
	"testing"

	mpltypes "github.com/aws/aws-cryptographic-material-providers-library/releases/go/mpl/awscryptographymaterialproviderssmithygeneratedtypes"
	primitives "github.com/aws/aws-cryptographic-material-providers-library/releases/go/primitives/awscryptographyprimitivessmithygeneratedtypes"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"

	"github.com/keywright/keywright/esdk"
	"github.com/keywright/keywright/esdk/keyring"
	"github.com/keywright/keywright/esdk/keyring/awskms"
	"github.com/keywright/keywright/esdk/materials"
	"github.com/keywright/keywright/esdk/suite"
)

// theirs returns the official default manager of an official keyring.
func theirs(k mpltypes.IKeyring, err error) manager {
	return must(providers.CreateDefaultCryptographicMaterialsManager(context.Background(), mpltypes.CreateDefaultCryptographicMaterialsManagerInput{Keyring: must(k, err)}))
}

// symmetric is a pair whose sides write and read with one manager each.
func symmetric[K any](name string, ours materials.Manager, theirs K) pair[K] {
	return pair[K]{name: name, ourWriter: ours, ourReader: ours, theirWriter: theirs, theirReader: theirs}
}

// theirAES returns the official manager of a raw AES key of 32 bytes.
func theirAES(t *testing.T, key []byte) manager {
	return theirs(providers.CreateRawAesKeyring(t.Context(), mpltypes.CreateRawAesKeyringInput{
		KeyNamespace: namespace, KeyName: keyName, WrappingKey: key, WrappingAlg: mpltypes.AesWrappingAlgAlgAes256GcmIv12Tag16,
	}))
}

func TestGoKinds(t *testing.T) {
	key := aesKey(32)
	exchangeKinds(t, official{}, symmetric("", using(keyring.NewRawAES(namespace, keyName, key)), theirAES(t, key)))
}

func TestGoRawAES(t *testing.T) {
	var pairs []pair[manager]
	for _, c := range []struct {
		bits      int
		algorithm mpltypes.AesWrappingAlg
	}{
		{128, mpltypes.AesWrappingAlgAlgAes128GcmIv12Tag16},
		{192, mpltypes.AesWrappingAlgAlgAes192GcmIv12Tag16},
		{256, mpltypes.AesWrappingAlgAlgAes256GcmIv12Tag16},
	} {
		key := aesKey(c.bits / 8)
		pairs = append(pairs, symmetric(fmt.Sprint(c.bits),
			using(keyring.NewRawAES(namespace, keyName, key)),
			theirs(providers.CreateRawAesKeyring(t.Context(), mpltypes.CreateRawAesKeyringInput{
				KeyNamespace: namespace, KeyName: keyName, WrappingKey: key, WrappingAlg: c.algorithm,
			}))))
	}
	exchangeAll(t, official{}, pairs)
}

func TestGoRawRSA(t *testing.T) {
	var pairs []pair[manager]
	for _, c := range []struct {
		padding keyring.Padding
		scheme  mpltypes.PaddingScheme
	}{
		{keyring.PKCS1v15, mpltypes.PaddingSchemePkcs1},
		{keyring.OAEPSHA1, mpltypes.PaddingSchemeOaepSha1Mgf1},
		{keyring.OAEPSHA256, mpltypes.PaddingSchemeOaepSha256Mgf1},
		{keyring.OAEPSHA384, mpltypes.PaddingSchemeOaepSha384Mgf1},
		{keyring.OAEPSHA512, mpltypes.PaddingSchemeOaepSha512Mgf1},
	} {
		pairs = append(pairs, symmetric(c.padding.String(),
			using(keyring.NewRawRSA(keyring.RawRSAConfig{
				Namespace: namespace, Name: keyName, Padding: c.padding, PublicKey: &rsaKey().PublicKey, PrivateKey: rsaKey(),
			})),
			theirs(providers.CreateRawRsaKeyring(t.Context(), mpltypes.CreateRawRsaKeyringInput{
				KeyNamespace: namespace, KeyName: keyName, PaddingScheme: c.scheme,
				PublicKey: publicPEM(&rsaKey().PublicKey), PrivateKey: privatePEM(rsaKey()),
			}))))
	}
	exchangeAll(t, official{}, pairs)
}

// A curve is one of those of the ECDH keyrings.
type curve struct {
	name string
	ecdh ecdh.Curve
	spec primitives.ECDHCurveSpec
}

var curves = []curve{
	{"P-256", ecdh.P256(), primitives.ECDHCurveSpecEccNistP256},
	{"P-384", ecdh.P384(), primitives.ECDHCurveSpecEccNistP384},
	{"P-521", ecdh.P521(), primitives.ECDHCurveSpecEccNistP521},
}

func (c curve) raw(t *testing.T, scheme mpltypes.RawEcdhStaticConfigurations) manager {
	return theirs(providers.CreateRawEcdhKeyring(t.Context(), mpltypes.CreateRawEcdhKeyringInput{CurveSpec: c.spec, KeyAgreementScheme: scheme}))
}

// static, ephemeral and discovery are the official keyrings of a private key of
// theirs, a public key of ours, or both.
func (c curve) static(t *testing.T, private *ecdh.PrivateKey, peer *ecdh.PublicKey) manager {
	return c.raw(t, &mpltypes.RawEcdhStaticConfigurationsMemberRawPrivateKeyToStaticPublicKey{
		Value: mpltypes.RawPrivateKeyToStaticPublicKeyInput{SenderStaticPrivateKey: privatePEM(private), RecipientPublicKey: publicDER(peer)},
	})
}

func (c curve) ephemeral(t *testing.T, peer *ecdh.PublicKey) manager {
	return c.raw(t, &mpltypes.RawEcdhStaticConfigurationsMemberEphemeralPrivateKeyToStaticPublicKey{
		Value: mpltypes.EphemeralPrivateKeyToStaticPublicKeyInput{RecipientPublicKey: publicDER(peer)},
	})
}

func (c curve) discovery(t *testing.T, private *ecdh.PrivateKey) manager {
	return c.raw(t, &mpltypes.RawEcdhStaticConfigurationsMemberPublicKeyDiscovery{
		Value: mpltypes.PublicKeyDiscoveryInput{RecipientStaticPrivateKey: privatePEM(private)},
	})
}

func TestGoRawECDH(t *testing.T) {
	var pairs []pair[manager]
	for _, c := range curves {
		our, their := ecdhKey(c.ecdh), ecdhKey(c.ecdh)
		pairs = append(pairs,
			symmetric(c.name+" static", using(keyring.NewRawECDH(our, their.PublicKey())), c.static(t, their, our.PublicKey())),
			pair[manager]{
				name:        c.name + " static to discovery",
				ourWriter:   using(keyring.NewRawECDH(our, their.PublicKey())),
				ourReader:   using(keyring.NewDiscoveryECDH(our)),
				theirWriter: c.static(t, their, our.PublicKey()),
				theirReader: c.discovery(t, their),
			},
			pair[manager]{
				name:        c.name + " ephemeral to discovery",
				ourWriter:   using(keyring.NewEphemeralECDH(their.PublicKey())),
				ourReader:   using(keyring.NewDiscoveryECDH(our)),
				theirWriter: c.ephemeral(t, our.PublicKey()),
				theirReader: c.discovery(t, their),
			})
	}
	exchangeAll(t, official{}, pairs)
}

func TestGoKMS(t *testing.T) {
	one, other := newKMSKey(t, symmetricKey), newKMSKey(t, symmetricKey)
	kmsKeyring := func(arn string) (mpltypes.IKeyring, error) {
		return providers.CreateAwsKmsKeyring(t.Context(), mpltypes.CreateAwsKmsKeyringInput{KmsClient: kmsClient(region), KmsKeyId: arn})
	}
	ourOne := using(awskms.New(awskms.Config{Client: kmsClient(region), KeyID: one}))
	theirOne := theirs(kmsKeyring(one))
	exchangeAll(t, official{}, []pair[manager]{
		symmetric("strict", ourOne, theirOne),
		{
			name:      "discovery",
			ourWriter: ourOne,
			ourReader: using(awskms.NewDiscovery(awskms.DiscoveryConfig{
				Client: kmsClient(region), Filter: &awskms.Filter{Partition: "aws", Accounts: []string{server.Account}},
			})),
			theirWriter: theirOne,
			theirReader: theirs(providers.CreateAwsKmsDiscoveryKeyring(t.Context(), mpltypes.CreateAwsKmsDiscoveryKeyringInput{
				KmsClient: kmsClient(region), DiscoveryFilter: &mpltypes.DiscoveryFilter{Partition: "aws", AccountIds: []string{server.Account}},
			})),
		},
		{
			name: "two keys, read with the second",
			ourWriter: using(keyring.NewMulti(
				must(awskms.New(awskms.Config{Client: kmsClient(region), KeyID: one})),
				must(awskms.New(awskms.Config{Client: kmsClient(region), KeyID: other})))),
			ourReader: using(awskms.New(awskms.Config{Client: kmsClient(region), KeyID: other})),
			theirWriter: theirs(providers.CreateMultiKeyring(t.Context(), mpltypes.CreateMultiKeyringInput{
				Generator: must(kmsKeyring(one)), ChildKeyrings: []mpltypes.IKeyring{must(kmsKeyring(other))},
			})),
			theirReader: theirs(kmsKeyring(other)),
		},
	})
}

func TestGoKMSMultiRegion(t *testing.T) {
	primary, replica := newMultiRegionKey(t)
	ours := func(arn, region string) materials.Manager {
		return using(awskms.NewMRK(awskms.Config{Client: kmsClient(region), KeyID: arn}))
	}
	their := func(arn, region string) manager {
		return theirs(providers.CreateAwsKmsMrkKeyring(t.Context(), mpltypes.CreateAwsKmsMrkKeyringInput{KmsClient: kmsClient(region), KmsKeyId: arn}))
	}
	exchangeAll(t, official{}, []pair[manager]{
		{
			name:        "read with the replica",
			ourWriter:   ours(primary, region),
			ourReader:   ours(replica, replicaRegion),
			theirWriter: their(primary, region),
			theirReader: their(replica, replicaRegion),
		},
		{
			name:        "read by discovery in the replica's Region",
			ourWriter:   ours(primary, region),
			ourReader:   using(awskms.NewMRKDiscovery(replicaRegion, awskms.DiscoveryConfig{Client: kmsClient(replicaRegion)})),
			theirWriter: their(primary, region),
			theirReader: theirs(providers.CreateAwsKmsMrkDiscoveryKeyring(t.Context(), mpltypes.CreateAwsKmsMrkDiscoveryKeyringInput{
				KmsClient: kmsClient(replicaRegion), Region: replicaRegion,
			})),
		},
	})
}

func TestGoKMSRSA(t *testing.T) {
	arn, key := newKMSKeyPair(t, types.KeyUsageTypeEncryptDecrypt, types.KeySpecRsa2048)
	var pairs []pair[manager]
	for _, algorithm := range []types.EncryptionAlgorithmSpec{types.EncryptionAlgorithmSpecRsaesOaepSha256, types.EncryptionAlgorithmSpecRsaesOaepSha1} {
		p := symmetric(string(algorithm),
			using(awskms.NewRSA(awskms.RSAConfig{Client: kmsClient(region), KeyID: arn, PublicKey: key.(*rsa.PublicKey), Algorithm: algorithm})),
			theirs(providers.CreateAwsKmsRsaKeyring(t.Context(), mpltypes.CreateAwsKmsRsaKeyringInput{
				KmsClient: kmsClient(region), KmsKeyId: arn, PublicKey: publicPEM(key), EncryptionAlgorithm: algorithm,
			})))
		p.unsignedOnly = true
		pairs = append(pairs, p)
	}
	exchangeAll(t, official{}, pairs)
}

func TestGoKMSECDH(t *testing.T) {
	var pairs []pair[manager]
	for i, spec := range []types.KeySpec{types.KeySpecEccNistP256, types.KeySpecEccNistP384, types.KeySpecEccNistP521} {
		newKey := func() (string, *ecdh.PublicKey) {
			arn, public := newKMSKeyPair(t, types.KeyUsageTypeKeyAgreement, spec)
			return arn, must(public.(*ecdsa.PublicKey).ECDH())
		}
		ourARN, our := newKey()
		theirARN, their := newKey()
		create := func(scheme mpltypes.KmsEcdhStaticConfigurations) manager {
			return theirs(providers.CreateAwsKmsEcdhKeyring(t.Context(), mpltypes.CreateAwsKmsEcdhKeyringInput{
				KmsClient: kmsClient(region), CurveSpec: curves[i].spec, KeyAgreementScheme: scheme,
			}))
		}
		static := create(&mpltypes.KmsEcdhStaticConfigurationsMemberKmsPrivateKeyToStaticPublicKey{
			Value: mpltypes.KmsPrivateKeyToStaticPublicKeyInput{SenderKmsIdentifier: theirARN, SenderPublicKey: publicDER(their), RecipientPublicKey: publicDER(our)},
		})
		config := awskms.ECDHConfig{Client: kmsClient(region), KeyID: ourARN}
		pairs = append(pairs,
			symmetric(string(spec)+" static", using(awskms.NewECDH(t.Context(), their, config)), static),
			pair[manager]{
				name:        string(spec) + " static to discovery",
				ourWriter:   using(awskms.NewECDH(t.Context(), their, config)),
				ourReader:   using(awskms.NewECDHDiscovery(t.Context(), config)),
				theirWriter: static,
				theirReader: create(&mpltypes.KmsEcdhStaticConfigurationsMemberKmsPublicKeyDiscovery{
					Value: mpltypes.KmsPublicKeyDiscoveryInput{RecipientKmsIdentifier: theirARN},
				}),
			})
	}
	exchangeAll(t, official{}, pairs)
}

// TestGoRequiredContext exchanges messages that authenticate some or all of
// their context and do not store it.
func TestGoRequiredContext(t *testing.T) {
	aes := must(keyring.NewRawAES(namespace, keyName, aesKey(32)))
	theirAES := theirAES(t, aesKey(32))
	pairs := map[string]string{"\U0001F511": "a", "\uE000": "b", "stored": "c"}
	for _, required := range [][]string{{"\U0001F511"}, {"\uE000", "\U0001F511"}, {"stored", "\uE000", "\U0001F511"}} {
		ours, err := materials.NewRequiredContextManager(required, esdk.Using(aes))
		if err != nil {
			t.Fatal(err)
		}
		their := must(providers.CreateRequiredEncryptionContextCMM(t.Context(), mpltypes.CreateRequiredEncryptionContextCMMInput{
			UnderlyingCMM: theirAES, RequiredEncryptionContextKeys: required,
		}))
		reproduced := maps.Clone(pairs)
		maps.DeleteFunc(reproduced, func(k, _ string) bool { return k == "stored" && len(required) < 3 })
		for _, s := range suite.All() {
			t.Run(fmt.Sprintf("%d/%04x", len(required), uint16(s.ID)), func(t *testing.T) {
				m := message{suite: s, context: pairs, reproduced: reproduced, frameLength: 4096, plaintext: plaintext(5000)}
				// Whoever reads needs the values and no such manager, but may have one.
				exchange(t, official{}, pair[manager]{ourWriter: ours, ourReader: esdk.Using(aes), theirWriter: their, theirReader: theirAES}, m)
				exchange(t, official{}, symmetric("", ours, their), m)

				ciphertext, err := official{}.encrypt(t.Context(), their, m)
				if err != nil {
					t.Fatal(err)
				}
				if _, _, err := m.client().Decrypt(t.Context(), ours, ciphertext, esdk.DecryptOptions{}); !errors.Is(err, materials.ErrMissingContext) {
					t.Errorf("without what they do not store: %v", err)
				}
				wrong := maps.Clone(reproduced)
				wrong["\U0001F511"] = "A"
				if _, _, err := m.client().Decrypt(t.Context(), ours, ciphertext, esdk.DecryptOptions{EncryptionContext: wrong}); err == nil {
					t.Error("read with another value than what they do not store")
				}
			})
		}
	}
}

// TestGoCaching has them read messages for which we reuse data keys and signing
// keys. They have no such cache themselves.
func TestGoCaching(t *testing.T) {
	const perKey = 2
	arn := newKMSKey(t, symmetricKey)
	their := theirs(providers.CreateAwsKmsKeyring(t.Context(), mpltypes.CreateAwsKmsKeyringInput{KmsClient: kmsClient(region), KmsKeyId: arn}))
	exchangeCached(t, official{}, arn, perKey, cachedMessages, func(suite.Suite) manager { return their })
}

// TestGoDefaults writes with nothing chosen but the policy.
func TestGoDefaults(t *testing.T) {
	key := aesKey(32)
	ours := using(keyring.NewRawAES(namespace, keyName, key))
	their := theirAES(t, key)
	for _, committing := range []bool{false, true} {
		m := message{suite: suite.Suite{Committing: committing}, plaintext: plaintext(10000)}
		theirMessage, err := official{}.encrypt(t.Context(), their, m)
		if err != nil {
			t.Fatal(err)
		}
		_, want, err := m.client().Decrypt(t.Context(), ours, theirMessage, esdk.DecryptOptions{})
		if err != nil {
			t.Fatal(err)
		}
		_, got, err := m.client().Encrypt(t.Context(), ours, m.plaintext, esdk.EncryptOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if got.Suite != want.Suite || got.FrameLength != want.FrameLength {
			t.Errorf("%v: %v and frames of %d, they take %v and %d", m.policy(), got.Suite.ID, got.FrameLength, want.Suite.ID, want.FrameLength)
		}
	}
}

// TestGoRefusals changes messages and wants both sides to agree on what can
// still be read, which is nothing.
func TestGoRefusals(t *testing.T) {
	key := aesKey(32)
	ours := using(keyring.NewRawAES(namespace, keyName, key))
	their := theirAES(t, key)
	for _, id := range []suite.ID{suite.AES256GCM, suite.AES256GCMHKDFP384, suite.AES256GCMCommit, suite.AES256GCMCommitP384} {
		s, _ := suite.Lookup(id)
		m := message{suite: s, context: map[string]string{"a": "b", "c": ""}, frameLength: 8, plaintext: plaintext(12)}
		original, err := official{}.encrypt(t.Context(), their, m)
		if err != nil {
			t.Fatal(err)
		}
		refused := func(change string, ciphertext []byte) {
			t.Helper()
			if _, _, err := m.client().Decrypt(t.Context(), ours, ciphertext, esdk.DecryptOptions{}); err == nil {
				t.Errorf("%04x, %s: we read it", uint16(id), change)
			}
			if _, _, err := (official{}).decrypt(t.Context(), their, m, ciphertext); err == nil {
				t.Errorf("%04x, %s: they read it", uint16(id), change)
			}
		}
		for i := range original {
			changed := bytes.Clone(original)
			changed[i] ^= 1 << (i % 8)
			refused(fmt.Sprintf("byte %d changed", i), changed)
			refused(fmt.Sprintf("cut to %d bytes", i), original[:i])
		}
		refused("a byte appended", append(bytes.Clone(original), 0))
	}
}

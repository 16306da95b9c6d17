// Command mpl makes and opens encrypted data keys with the Go release of AWS's
// own material providers library, for comparison with package keyring.
//
//	go mod tidy
//	go run . make ../keys >../mpl.json
//	go run . open ../keys <cases.json
//
// It is a module of its own: the library is no dependency of this one.
package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"

	mpl "github.com/aws/aws-cryptographic-material-providers-library/releases/go/mpl/awscryptographymaterialproviderssmithygenerated"
	mpltypes "github.com/aws/aws-cryptographic-material-providers-library/releases/go/mpl/awscryptographymaterialproviderssmithygeneratedtypes"
	primitives "github.com/aws/aws-cryptographic-material-providers-library/releases/go/primitives/awscryptographyprimitivessmithygeneratedtypes"
)

// Case is one encrypted data key and what it was made from.
type Case struct {
	Kind, Namespace, Name string
	Key                   []byte // AES, hierarchical
	Padding               string // RSA
	Curve, Scheme         string // ECDH
	Suite                 uint16
	Context               map[string]string
	DataKey               []byte
	ProviderID            string
	ProviderInfo          []byte
	Ciphertext            []byte
}

func main() {
	client := must(mpl.NewClient(mpltypes.MaterialProvidersConfig{}))
	if os.Args[1] == "open" {
		var cases []Case
		if err := json.NewDecoder(os.Stdin).Decode(&cases); err != nil {
			panic(err)
		}
		for _, c := range cases {
			open(client, c)
		}
		fmt.Println("opened", len(cases))
		return
	}
	var cases []Case
	for _, c := range all() {
		cases = append(cases, seal(client, c))
		fmt.Fprint(os.Stderr, ".")
	}
	enc := json.NewEncoder(os.Stdout)
	enc.SetIndent("", " ")
	must(0, enc.Encode(cases))
}

func all() (cases []Case) {
	contexts := []map[string]string{
		nil,
		{"key1": "val1", "key2": "val2"},
		{"\U0001F511": "beyond the basic plane", "\uFF5E": "after the surrogates", "": "empty key", "empty value": ""},
	}
	suites := map[uint16]int{0x0014: 16, 0x0146: 24, 0x0478: 32}
	for _, context := range contexts {
		for _, suite := range []uint16{0x0014, 0x0146, 0x0478} {
			base := Case{Suite: suite, Context: context, DataKey: random(suites[suite])}
			for _, n := range []int{16, 24, 32} {
				c := base
				c.Kind, c.Namespace, c.Name, c.Key = "aes", "some namespace", "na\x00me\u00e9", random(n)
				cases = append(cases, c)
			}
			for _, curve := range []string{"p256", "p384", "p521"} {
				for _, scheme := range []string{"static", "ephemeral"} {
					c := base
					c.Kind, c.Curve, c.Scheme = "ecdh", curve, scheme
					cases = append(cases, c)
				}
			}
			c := base
			c.Kind, c.Name, c.Key = "hierarchical", "branch \u00e9", random(32)
			cases = append(cases, c)
			if context == nil {
				for _, padding := range []string{"PKCS1", "OAEP_SHA1_MGF1", "OAEP_SHA256_MGF1", "OAEP_SHA384_MGF1", "OAEP_SHA512_MGF1"} {
					c := base
					c.Kind, c.Namespace, c.Name, c.Padding = "rsa", "some namespace", "the key", padding
					cases = append(cases, c)
				}
			}
		}
	}
	return cases
}

func seal(client *mpl.Client, c Case) Case {
	if c.Kind == "hierarchical" {
		return sealHierarchical(client, c)
	}
	m := must(client.InitializeEncryptionMaterials(context.Background(), mpltypes.InitializeEncryptionMaterialsInput{
		AlgorithmSuiteId: suiteID(c.Suite), EncryptionContext: nonNil(c.Context), RequiredEncryptionContextKeys: []string{},
	}))
	m.PlaintextDataKey = c.DataKey
	out := must(keyring(client, c, true).OnEncrypt(mpltypes.OnEncryptInput{Materials: *m}))
	edk := out.Materials.EncryptedDataKeys[0]
	c.ProviderID, c.ProviderInfo, c.Ciphertext = edk.KeyProviderId, edk.KeyProviderInfo, edk.Ciphertext
	return c
}

func open(client *mpl.Client, c Case) {
	if c.Kind == "hierarchical" {
		if !bytes.Equal(openHierarchical(client, c), c.DataKey) {
			panic("another data key")
		}
		return
	}
	m := must(client.InitializeDecryptionMaterials(context.Background(), mpltypes.InitializeDecryptionMaterialsInput{
		AlgorithmSuiteId: suiteID(c.Suite), EncryptionContext: nonNil(c.Context), RequiredEncryptionContextKeys: []string{},
	}))
	out := must(keyring(client, c, false).OnDecrypt(mpltypes.OnDecryptInput{
		Materials: *m,
		EncryptedDataKeys: []mpltypes.EncryptedDataKey{{
			KeyProviderId: c.ProviderID, KeyProviderInfo: c.ProviderInfo, Ciphertext: c.Ciphertext,
		}},
	}))
	if !bytes.Equal(out.Materials.PlaintextDataKey, c.DataKey) {
		panic("another data key")
	}
}

// keyring returns the keyring of the case. The sender of ECDH has key a, the
// recipient b.
func keyring(client *mpl.Client, c Case, encrypt bool) mpltypes.IKeyring {
	ctx := context.Background()
	switch c.Kind {
	case "aes":
		return must(client.CreateRawAesKeyring(ctx, mpltypes.CreateRawAesKeyringInput{
			KeyName: c.Name, KeyNamespace: c.Namespace, WrappingKey: c.Key,
			WrappingAlg: mpltypes.AesWrappingAlg(fmt.Sprintf("ALG_AES%d_GCM_IV12_TAG16", len(c.Key)*8)),
		}))
	case "rsa":
		return must(client.CreateRawRsaKeyring(ctx, mpltypes.CreateRawRsaKeyringInput{
			KeyName: c.Name, KeyNamespace: c.Namespace, PublicKey: read("rsa.pub.pem"), PrivateKey: read("rsa.pem"),
			PaddingScheme: mpltypes.PaddingScheme(c.Padding),
		}))
	}
	input := mpltypes.CreateRawEcdhKeyringInput{
		CurveSpec: map[string]primitives.ECDHCurveSpec{
			"p256": primitives.ECDHCurveSpecEccNistP256,
			"p384": primitives.ECDHCurveSpecEccNistP384,
			"p521": primitives.ECDHCurveSpecEccNistP521,
		}[c.Curve],
	}
	switch {
	case c.Scheme == "static":
		input.KeyAgreementScheme = &mpltypes.RawEcdhStaticConfigurationsMemberRawPrivateKeyToStaticPublicKey{
			Value: mpltypes.RawPrivateKeyToStaticPublicKeyInput{
				SenderStaticPrivateKey: read(c.Curve + "-a.pem"), RecipientPublicKey: der(c.Curve + "-b.pub.pem"),
			}}
	case encrypt:
		input.KeyAgreementScheme = &mpltypes.RawEcdhStaticConfigurationsMemberEphemeralPrivateKeyToStaticPublicKey{
			Value: mpltypes.EphemeralPrivateKeyToStaticPublicKeyInput{
				RecipientPublicKey: der(c.Curve + "-b.pub.pem"),
			}}
	default:
		input.KeyAgreementScheme = &mpltypes.RawEcdhStaticConfigurationsMemberPublicKeyDiscovery{
			Value: mpltypes.PublicKeyDiscoveryInput{
				RecipientStaticPrivateKey: read(c.Curve + "-b.pem"),
			}}
	}
	return must(client.CreateRawEcdhKeyring(ctx, input))
}

func suiteID(id uint16) mpltypes.AlgorithmSuiteId {
	return &mpltypes.AlgorithmSuiteIdMemberESDK{
		Value: mpltypes.ESDKAlgorithmSuiteId(fmt.Sprintf("0x%04x", id)),
	}
}

func read(name string) []byte { return must(os.ReadFile(filepath.Join(os.Args[2], name))) }

func der(name string) []byte {
	block, _ := pem.Decode(read(name))
	return block.Bytes
}

func nonNil(m map[string]string) map[string]string {
	if m == nil {
		return map[string]string{}
	}
	return m
}

func random(n int) []byte {
	b := make([]byte, n)
	rand.Read(b)
	return b
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

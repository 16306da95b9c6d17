package keyring_test

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/keywright/keywright/esdk/keyring"
	"github.com/keywright/keywright/esdk/materials"
	"github.com/keywright/keywright/esdk/suite"
)

// oracleCase is an encrypted data key and what it was made from, as the programs
// in testdata read and write it.
type oracleCase struct {
	Kind, Namespace, Name string
	Key                   []byte // AES; the branch key
	Padding               string // RSA
	Curve, Scheme         string // ECDH: static or ephemeral, from key a to key b
	Suite                 suite.ID
	Context               map[string]string
	DataKey               []byte
	ProviderID            string
	ProviderInfo          []byte
	Ciphertext            []byte
}

func (c oracleCase) String() string {
	return fmt.Sprintf("%s%d%s%s%s/%04x/%d", c.Kind, len(c.Key)*8, c.Padding, c.Curve, c.Scheme, uint16(c.Suite), len(c.Context))
}

var paddings = map[string]keyring.Padding{
	"PKCS1":            keyring.PKCS1v15,
	"OAEP_SHA1_MGF1":   keyring.OAEPSHA1,
	"OAEP_SHA256_MGF1": keyring.OAEPSHA256,
	"OAEP_SHA384_MGF1": keyring.OAEPSHA384,
	"OAEP_SHA512_MGF1": keyring.OAEPSHA512,
}

// keyrings returns the keyring that writes the case and those that read it.
func (c oracleCase) keyrings(t testing.TB) (writer materials.Keyring, readers []materials.Keyring) {
	switch c.Kind {
	case "aes":
		k := must(keyring.NewRawAES(c.Namespace, c.Name, c.Key))(t)
		return k, []materials.Keyring{k}
	case "hierarchical":
		version := sha256.Sum256(c.Key)
		store := new(keyring.MemoryBranchKeys)
		err := store.Put(keyring.BranchKey{ID: c.Name, Version: [16]byte(version[:]), Key: [32]byte(c.Key)})
		if err != nil {
			t.Fatal(err)
		}
		k := must(keyring.NewHierarchical(keyring.HierarchicalConfig{Store: store, BranchKeyID: c.Name, TTL: time.Minute}))(t)
		return k, []materials.Keyring{k}
	case "rsa":
		padding, ok := paddings[c.Padding]
		if !ok {
			t.Fatalf("padding %q", c.Padding)
		}
		k := must(keyring.NewRawRSA(keyring.RawRSAConfig{
			Namespace: c.Namespace, Name: c.Name, Padding: padding,
			PublicKey:  must(keyring.ParseRSAPublicKeyPEM(readKey(t, "rsa.pub.pem")))(t),
			PrivateKey: must(keyring.ParseRSAPrivateKeyPEM(readKey(t, "rsa.pem")))(t),
		}))(t)
		return k, []materials.Keyring{k}
	case "ecdh":
		a := must(keyring.ParseECDHPrivateKeyPEM(readKey(t, c.Curve+"-a.pem")))(t)
		b := must(keyring.ParseECDHPrivateKeyPEM(readKey(t, c.Curve+"-b.pem")))(t)
		discovery := must(keyring.NewDiscoveryECDH(b))(t)
		if c.Scheme == "ephemeral" {
			return must(keyring.NewEphemeralECDH(b.PublicKey()))(t), []materials.Keyring{discovery}
		}
		sender := must(keyring.NewRawECDH(a, b.PublicKey()))(t)
		recipient := must(keyring.NewRawECDH(b, a.PublicKey()))(t)
		return sender, []materials.Keyring{sender, recipient, discovery}
	}
	t.Fatalf("kind %q", c.Kind)
	return nil, nil
}

func (c oracleCase) open(t *testing.T) {
	t.Helper()
	s, ok := suite.Lookup(c.Suite)
	if !ok {
		t.Fatalf("suite %v", c.Suite)
	}
	_, readers := c.keyrings(t)
	for i, k := range readers {
		m := &materials.DecryptionMaterials{Suite: s, EncryptionContext: c.Context}
		edk := materials.EncryptedDataKey{ProviderID: c.ProviderID, ProviderInfo: c.ProviderInfo, Ciphertext: c.Ciphertext}
		if err := k.OnDecrypt(t.Context(), m, []materials.EncryptedDataKey{edk}); err != nil {
			t.Errorf("reader %d: %v", i, err)
		} else if !bytes.Equal(m.DataKey, c.DataKey) {
			t.Errorf("reader %d: got data key %x, want %x", i, m.DataKey, c.DataKey)
		}
	}
}

// TestMPL opens data keys that AWS's own library wrapped (testdata/mpl).
func TestMPL(t *testing.T) {
	cases := mplCases(t)
	for _, c := range cases {
		t.Run(c.String(), c.open)
	}
}

// fuzzKeyring looks for bytes that open and are not those that were wrapped. It
// begins with a data key from a file, for all processes of the fuzzer to have
// the same.
func fuzzKeyring(f *testing.F, c oracleCase) {
	_, readers := c.keyrings(f)
	f.Add(c.ProviderInfo, c.Ciphertext)
	f.Add(c.ProviderInfo[:len(c.ProviderInfo)/2], c.Ciphertext)
	f.Add(c.ProviderInfo, c.Ciphertext[:len(c.Ciphertext)-16])
	f.Fuzz(func(t *testing.T, info, ciphertext []byte) {
		edk := materials.EncryptedDataKey{ProviderID: c.ProviderID, ProviderInfo: info, Ciphertext: ciphertext}
		d := &materials.DecryptionMaterials{Suite: testSuite, EncryptionContext: c.Context}
		err := readers[0].OnDecrypt(t.Context(), d, []materials.EncryptedDataKey{edk})
		same := bytes.Equal(info, c.ProviderInfo) && bytes.Equal(ciphertext, c.Ciphertext)
		if (err == nil) != same || same != bytes.Equal(d.DataKey, c.DataKey) {
			t.Fatalf("same: %v, error: %v", same, err)
		}
	})
}

func FuzzRawAES(f *testing.F) { fuzzKeyring(f, mplCase(f, oracleCase{Kind: "aes"})) }

func FuzzHierarchical(f *testing.F) { fuzzKeyring(f, mplCase(f, oracleCase{Kind: "hierarchical"})) }

func FuzzDiscoveryECDH(f *testing.F) {
	fuzzKeyring(f, mplCase(f, oracleCase{Kind: "ecdh", Curve: "p256", Scheme: "ephemeral"}))
}

// TestPython compares with the Python package cryptography, both ways.
func TestPython(t *testing.T) {
	if out, err := exec.Command("python3", "-c", "import cryptography").CombinedOutput(); err != nil {
		t.Skipf("needs python3 with cryptography: %v %s", err, out)
	}
	t.Run("theirs", func(t *testing.T) {
		out, err := exec.Command("python3", "testdata/oracle.py", "make", "testdata/keys").Output()
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range parseCases(t, out) {
			t.Run(c.String(), c.open)
		}
	})
	t.Run("ours", func(t *testing.T) {
		openElsewhere(t, exec.Command("python3", "testdata/oracle.py", "open", "testdata/keys"))
	})
}

// TestOpensWithMPL has AWS's own library open our data keys.
func TestOpensWithMPL(t *testing.T) {
	program := os.Getenv("KEYWRIGHT_MPL")
	if program == "" {
		t.Skip("KEYWRIGHT_MPL does not name the program built from testdata/mpl")
	}
	openElsewhere(t, exec.Command(program, "open", "testdata/keys"))
}

// openElsewhere wraps a data key for every case and has cmd open them.
func openElsewhere(t *testing.T, cmd *exec.Cmd) {
	cases := mplCases(t)
	for i := range cases {
		c := &cases[i]
		writer, _ := c.keyrings(t)
		s, _ := suite.Lookup(c.Suite)
		rand.Read(c.DataKey)
		m := &materials.EncryptionMaterials{Suite: s, EncryptionContext: c.Context, DataKey: c.DataKey}
		if err := writer.OnEncrypt(t.Context(), m); err != nil {
			t.Fatalf("%v: %v", c, err)
		}
		edk := m.EncryptedDataKeys[0]
		c.ProviderID, c.ProviderInfo, c.Ciphertext = edk.ProviderID, edk.ProviderInfo, edk.Ciphertext
	}
	input, err := json.Marshal(cases)
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdin = bytes.NewReader(input)
	out, err := cmd.CombinedOutput()
	if want := fmt.Sprintf("opened %d\n", len(cases)); err != nil || string(out) != want {
		t.Errorf("%v: %s", err, out)
	}
}

func mplCases(t testing.TB) []oracleCase {
	data, err := os.ReadFile("testdata/mpl.json")
	if err != nil {
		t.Fatal(err)
	}
	return parseCases(t, data)
}

// mplCase returns the first of the cases of that kind for testSuite.
func mplCase(t testing.TB, like oracleCase) oracleCase {
	for _, c := range mplCases(t) {
		if c.Kind == like.Kind && c.Curve == like.Curve && c.Scheme == like.Scheme && c.Suite == testSuite.ID {
			return c
		}
	}
	t.Fatalf("no case like %v", like)
	return oracleCase{}
}

// parseCases reads the cases and makes sure that every kind of keyring is there.
func parseCases(t testing.TB, data []byte) []oracleCase {
	var cases []oracleCase
	if err := json.Unmarshal(data, &cases); err != nil {
		t.Fatal(err)
	}
	kinds := map[string]int{}
	for _, c := range cases {
		kinds[c.Kind+c.Padding+c.Curve+c.Scheme]++
	}
	if len(kinds) != 13 || len(cases) != 105 {
		t.Fatalf("got %d cases of %d kinds: %v", len(cases), len(kinds), kinds)
	}
	return cases
}

// readKey returns a file of testdata/keys.
func readKey(t testing.TB, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", "keys", name))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// must is for values that come with an error which would end the test.
func must[T any](v T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

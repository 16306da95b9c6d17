package esdk_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/keywright/keywright/esdk"
	"github.com/keywright/keywright/esdk/keyring"
	"github.com/keywright/keywright/esdk/materials"
)

// vectors returns the folder with the published test vectors, which are not
// part of the module.
func vectors(t *testing.T) string {
	t.Helper()
	dir := os.Getenv("KEYWRIGHT_VECTORS")
	if dir == "" {
		t.Skip("KEYWRIGHT_VECTORS does not name the folder with the published vectors")
	}
	return filepath.Join(dir, "esdk")
}

func readJSON(t *testing.T, path string, v any) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, v); err != nil {
		t.Fatal(err)
	}
}

func readFile(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestOracleVectors decrypts the vectors of the decrypt oracle whose data key
// is known: all zeros, or counting from one. They are of version 1, in each suite.
func TestOracleVectors(t *testing.T) {
	var all []struct {
		KeyType    string `json:"key-type"`
		Suite      string `json:"algorithm-suite"`
		Ciphertext []byte `json:"ciphertext"`
		Plaintext  []byte `json:"plaintext"`
	}
	readJSON(t, filepath.Join(vectors(t), "decrypt_oracle_vectors.json"), &all)
	keys := map[string][]byte{"null": make([]byte, 32), "test_counting": counting(33)[1:]}
	c := esdk.New(esdk.Config{Policy: materials.RequireEncryptAllowDecrypt})
	n := 0
	for _, v := range all {
		key, ok := keys[v.KeyType]
		if !ok {
			continue
		}
		n++
		got, _, err := c.Decrypt(t.Context(), esdk.Using(&staticKeyring{key: key}), v.Ciphertext, esdk.DecryptOptions{})
		if err != nil || !bytes.Equal(got, v.Plaintext) {
			t.Errorf("%s %s: %v", v.KeyType, v.Suite, err)
		}
	}
	if n != 18 {
		t.Errorf("%d vectors found, want 18", n)
	}
}

// TestNetVectors decrypts what ESDK-NET 4.0.0 wrote, with contexts that are
// authenticated and not stored.
func TestNetVectors(t *testing.T) {
	dir := filepath.Join(vectors(t), "valid-Net-4.0.0")
	var keys struct {
		Keys map[string]struct {
			KeyID    string `json:"key-id"`
			Material []byte `json:"material"`
		} `json:"keys"`
	}
	readJSON(t, filepath.Join(dir, "keys.json"), &keys)
	var manifest struct {
		Tests map[string]struct {
			Ciphertext string `json:"ciphertext"`
			MasterKeys []struct {
				Key        string `json:"key"`
				ProviderID string `json:"provider-id"`
			} `json:"master-keys"`
			Context map[string]string `json:"encryption-context"`
			Result  struct {
				Output struct {
					Plaintext string `json:"plaintext"`
				} `json:"output"`
			} `json:"result"`
		} `json:"tests"`
	}
	readJSON(t, filepath.Join(dir, "manifest.json"), &manifest)
	if len(manifest.Tests) == 0 {
		t.Fatal("no vectors found")
	}
	file := func(uri string) []byte { return readFile(t, filepath.Join(dir, strings.TrimPrefix(uri, "file://"))) }
	c := esdk.New(esdk.Config{Policy: materials.RequireEncryptAllowDecrypt})
	for name, v := range manifest.Tests {
		key := keys.Keys[v.MasterKeys[0].Key]
		k, err := keyring.NewRawAES(v.MasterKeys[0].ProviderID, key.KeyID, key.Material)
		if err != nil {
			t.Fatal(err)
		}
		got, _, err := c.Decrypt(t.Context(), esdk.Using(k), file(v.Ciphertext), esdk.DecryptOptions{EncryptionContext: v.Context})
		if err != nil || !bytes.Equal(got, file(v.Result.Output.Plaintext)) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestPythonVectors inspects what the Python implementation 1.3.5 wrote under
// keys of AWS KMS. Package message's tests check bodies and signatures.
func TestPythonVectors(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(vectors(t), "python-1.3.5", "ciphertexts", "*"))
	if err != nil || len(files) == 0 {
		t.Fatalf("%d vectors found, %v", len(files), err)
	}
	c := esdk.New(esdk.Config{})
	for _, f := range files {
		h, err := c.Inspect(bytes.NewReader(readFile(t, f)))
		if err != nil {
			t.Errorf("%s: %v", filepath.Base(f), err)
			continue
		}
		if h.Version != 1 || len(h.MessageID) != 16 || h.EncryptedDataKeys[0].ProviderID != "aws-kms" {
			t.Errorf("%s: version %d, id of %d bytes, provider %q", filepath.Base(f), h.Version, len(h.MessageID), h.EncryptedDataKeys[0].ProviderID)
		}
	}
}

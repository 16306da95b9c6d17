package keyring_test

import (
	"encoding/base64"
	"encoding/json"
	"maps"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/keywright/keywright/esdk/internal/message"
	"github.com/keywright/keywright/esdk/keyring"
	"github.com/keywright/keywright/esdk/materials"
)

// TestPublishedVectors opens the data keys of the published messages that are
// encrypted under raw AES keys, and verifies the headers with them.
func TestPublishedVectors(t *testing.T) {
	dir := os.Getenv("KEYWRIGHT_VECTORS")
	if dir == "" {
		t.Skip("KEYWRIGHT_VECTORS does not name the folder of the published vectors")
	}
	dir = filepath.Join(dir, "esdk", "valid-Net-4.0.0")
	var keys struct {
		Keys map[string]struct {
			KeyID    string `json:"key-id"`
			Material string `json:"material"`
		} `json:"keys"`
	}
	readJSON(t, filepath.Join(dir, "keys.json"), &keys)
	var manifest struct {
		Tests map[string]struct {
			Ciphertext string            `json:"ciphertext"`
			Context    map[string]string `json:"encryption-context"`
			MasterKeys []struct {
				Type       string `json:"type"`
				Key        string `json:"key"`
				ProviderID string `json:"provider-id"`
				Algorithm  string `json:"encryption-algorithm"`
			} `json:"master-keys"`
		} `json:"tests"`
	}
	readJSON(t, filepath.Join(dir, "manifest.json"), &manifest)

	count := 0
	for name, test := range manifest.Tests {
		for _, mk := range test.MasterKeys {
			if mk.Type != "raw" || mk.Algorithm != "aes" {
				continue
			}
			count++
			t.Run(name, func(t *testing.T) {
				key := keys.Keys[mk.Key]
				material, err := base64.StdEncoding.DecodeString(key.Material)
				if err != nil {
					t.Fatal(err)
				}
				k := must(keyring.NewRawAES(mk.ProviderID, key.KeyID, material))(t)
				f, err := os.Open(filepath.Join(dir, strings.TrimPrefix(test.Ciphertext, "file://")))
				if err != nil {
					t.Fatal(err)
				}
				defer f.Close()
				h, err := message.ReadHeader(f, message.Limits{HeaderLength: 1 << 16, FrameLength: math.MaxUint32})
				if err != nil {
					t.Fatal(err)
				}
				stored := map[string]string{}
				for _, p := range h.Context {
					stored[p.Key] = p.Value
				}
				required := maps.Clone(test.Context)
				maps.DeleteFunc(required, func(key, _ string) bool { _, ok := stored[key]; return ok })
				whole := maps.Clone(stored)
				maps.Copy(whole, test.Context)

				m := &materials.DecryptionMaterials{Suite: h.Suite, EncryptionContext: whole}
				if err := k.OnDecrypt(t.Context(), m, h.Keys); err != nil {
					t.Fatal(err)
				}
				c, err := message.NewCipher(h.Suite, h.ID, m.DataKey)
				if err != nil {
					t.Fatal(err)
				}
				aad, err := materials.AppendContext(nil, required)
				if err != nil {
					t.Fatal(err)
				}
				if !c.Commits(h) {
					t.Error("the header commits to another key")
				}
				if err := c.OpenHeader(h, aad); err != nil {
					t.Errorf("verifying the header: %v", err)
				}
			})
		}
	}
	if count == 0 {
		t.Error("no vectors found")
	}
}

func readJSON(t *testing.T, name string, v any) {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, v); err != nil {
		t.Fatal(err)
	}
}

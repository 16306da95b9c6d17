package esdk_test

import (
	"bytes"
	"crypto/hkdf"
	"crypto/sha256"
	"crypto/sha512"
	"errors"
	"slices"
	"testing"

	"github.com/keywright/keywright/esdk"
	"github.com/keywright/keywright/esdk/keyring"
	"github.com/keywright/keywright/esdk/materials"
	"github.com/keywright/keywright/esdk/suite"
)

// net400 makes a message of one frame as the .NET implementation 4.0.0 made it,
// from one that is as it should be: its header's tag, and where the key is
// another, the frame.
func net400(t *testing.T, msg, plaintext, required []byte) []byte {
	t.Helper()
	h, err := esdk.New(esdk.Config{}).Inspect(bytes.NewReader(msg))
	if err != nil {
		t.Fatal(err)
	}
	key, id := counting(h.Suite.KeyLen), string([]byte{byte(h.Suite.ID >> 8), byte(h.Suite.ID)})
	switch h.Suite.KDF {
	case suite.HKDFSHA256:
		key, err = hkdf.Key(sha256.New, key, nil, id, h.Suite.KeyLen)
	case suite.HKDFSHA512:
		key, err = hkdf.Key(sha512.New, key, h.MessageID, id+"DERIVEKEY", h.Suite.KeyLen)
	}
	if err != nil {
		t.Fatal(err)
	}
	g, tagged := gcm(t, key), h.Length-16
	if !h.Suite.Committing {
		tagged -= 12
	}
	if len(required) == 0 {
		required = []byte{0, 0}
	}
	tag := g.Seal(nil, make([]byte, 12), nil, slices.Concat(msg[:tagged], required))
	nonce := append(make([]byte, 11), 1)
	aad := slices.Concat(h.MessageID, []byte("AWSKMSEncryptionClient Final Frame"), []byte{0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, byte(len(plaintext))})
	return slices.Concat(msg[:h.Length-16], tag, msg[h.Length:h.Length+24], g.Seal(nil, nonce, plaintext, aad))
}

// TestNet400 reads messages that deviate as those of the .NET implementation
// 4.0.0 do, unless they are to be refused.
func TestNet400(t *testing.T) {
	plaintext := []byte("written by .NET")
	for _, id := range []suite.ID{suite.AES128GCM, suite.AES256GCMHKDF, suite.AES256GCMCommit} {
		s, _ := suite.Lookup(id)
		for _, tenant := range []string{"", "7"} {
			enc := &materials.EncryptionMaterials{
				Suite: s, DataKey: counting(s.KeyLen), EncryptedDataKeys: []materials.EncryptedDataKey{{ProviderID: "static"}},
				EncryptionContext: map[string]string{"open": "1"},
			}
			var required []byte
			var opts esdk.DecryptOptions
			if tenant != "" {
				enc.EncryptionContext["t"], enc.RequiredKeys = tenant, []string{"t"}
				required = []byte("\x00\x01\x00\x01t\x00\x017")
				opts.EncryptionContext = map[string]string{"t": tenant}
			}
			config := esdk.Config{Policy: policyFor(s), Suite: id}
			good, _, err := esdk.New(config).Encrypt(t.Context(), manager{enc: enc}, plaintext, esdk.EncryptOptions{})
			if err != nil {
				t.Fatal(err)
			}
			msg := net400(t, good, plaintext, required)
			deviates := tenant == "" || s.KDF == suite.HKDFSHA256
			if bytes.Equal(msg, good) == deviates {
				t.Fatalf("%v: the message deviates: %v, want %v", id, !deviates, deviates)
			}
			if got, _, err := esdk.New(config).Decrypt(t.Context(), static(), msg, opts); err != nil || !bytes.Equal(got, plaintext) {
				t.Errorf("%v, %q: %q, %v", id, tenant, got, err)
			}
			config.RefuseNet400 = true
			if _, _, err := esdk.New(config).Decrypt(t.Context(), static(), msg, opts); errors.Is(err, esdk.ErrAuthentication) != deviates {
				t.Errorf("%v, %q, refused: %v", id, tenant, err)
			}
			config.RefuseNet400 = false
			for i := range msg {
				msg[i] ^= 1
				if got, _, err := esdk.New(config).Decrypt(t.Context(), static(), msg, opts); err == nil {
					t.Errorf("%v, %q: byte %d changed, and %q decrypted", id, tenant, i, got)
				}
				msg[i] ^= 1
			}
		}
	}
}

// TestNet400Rewrapped: such a message stays what it is under another key.
func TestNet400Rewrapped(t *testing.T) {
	c, plaintext := clientFor(suite.AES256GCMHKDF, 4096, 1), []byte("written by .NET")
	msg := net400(t, encrypt(t, c, static(), plaintext), plaintext, nil)
	to, err := keyring.NewRawAES("test", "b", bytes.Repeat([]byte{7}, 32))
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if _, err := c.Rewrap(t.Context(), &out, bytes.NewReader(msg), static(), to, esdk.DecryptOptions{}); err != nil {
		t.Fatal(err)
	}
	if got, _, err := c.Decrypt(t.Context(), esdk.Using(to), out.Bytes(), esdk.DecryptOptions{}); err != nil || !bytes.Equal(got, plaintext) {
		t.Errorf("%q, %v", got, err)
	}
}

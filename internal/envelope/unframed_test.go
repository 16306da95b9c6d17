package envelope_test

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"
	"path/filepath"
	"testing"

	"github.com/keywright/keywright/esdk"
	"github.com/keywright/keywright/esdk/materials"
	"github.com/keywright/keywright/esdk/suite"
	"github.com/keywright/keywright/internal/envelope"
)

// unframedMessage writes what the library reads and does not write: a message of
// format 1 without frames, under key "old".
//
// Source: the AWS Encryption SDK specification, "Message Header", "Message Body"
// and "Message Body AAD".
func unframedMessage(t *testing.T, plaintext string) []byte {
	t.Helper()
	m := &materials.EncryptionMaterials{Suite: suiteOf(t, suite.AES256GCM), EncryptionContext: map[string]string{}}
	if err := rawKey(t, "old").OnEncrypt(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	block, err := aes.NewCipher(m.DataKey)
	if err != nil {
		t.Fatal(err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		t.Fatal(err)
	}
	counted := func(b []byte, field []byte) []byte {
		return append(binary.BigEndian.AppendUint16(b, uint16(len(field))), field...)
	}
	id := []byte("sixteen bytes it")
	edk := m.EncryptedDataKeys[0]
	b := append([]byte{1, 0x80, 0, 0x78}, id...)
	b = append(b, 0, 0, 0, 1) // no context, one data key
	b = counted(b, []byte(edk.ProviderID))
	b = counted(b, edk.ProviderInfo)
	b = counted(b, edk.Ciphertext)
	b = append(b, 1, 0, 0, 0, 0, 12, 0, 0, 0, 0) // no frames
	headerIV, bodyIV := make([]byte, 12), []byte("body's nonce")
	tag := aead.Seal(nil, headerIV, nil, b)
	b = append(append(b, headerIV...), tag...)
	aad := append(id, "AWSKMSEncryptionClient Single Block"...)
	aad = binary.BigEndian.AppendUint32(aad, 1)
	aad = binary.BigEndian.AppendUint64(aad, uint64(len(plaintext)))
	b = binary.BigEndian.AppendUint64(append(b, bodyIV...), uint64(len(plaintext)))
	return aead.Seal(b, bodyIV, []byte(plaintext), aad)
}

// A body without frames stays without; encrypted anew, it gets some.
func TestRekeyUnframed(t *testing.T) {
	for _, c := range []struct {
		id     suite.ID
		method envelope.Method
		frames uint32
	}{{0, envelope.HeaderMethod, 0}, {suite.AES256GCMCommit, envelope.BodyMethod, 128}} {
		path := filepath.Join(t.TempDir(), "m")
		write(t, path, string(unframedMessage(t, "some plaintext")))
		w := newRekey(t)
		w.RekeyOptions.Suite = c.id
		r := w.Do(t.Context(), envelope.File{Input: path, Output: path})
		if r.Err != nil || r.Method != c.method {
			t.Fatalf("%v, %q", r.Err, r.Method)
		}
		got, h, err := w.Client.Decrypt(t.Context(), esdk.Using(rawKey(t, "new")), []byte(read(t, path)), esdk.DecryptOptions{})
		if err != nil || string(got) != "some plaintext" || h.FrameLength != c.frames {
			t.Errorf("got %q, %+v, %v", got, h, err)
		}
	}
}

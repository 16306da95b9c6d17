package interop_test

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"github.com/keywright/keywright/esdk"
	"github.com/keywright/keywright/esdk/keyring/awskms"
	"github.com/keywright/keywright/esdk/materials"
	"github.com/keywright/keywright/esdk/suite"
)

// cachedMessages is how many messages exchangeCached sends each way.
const cachedMessages = 7

// exchangeCached exchanges messages of each suite whose data keys can be reused,
// where we do so perKey times, and they such that theirKeys are used. A KMS key
// wraps the data keys of both.
func exchangeCached[K any](t *testing.T, peer peer[K], arn string, perKey int64, theirKeys int, theirs func(suite.Suite) K) {
	for _, s := range suite.All() {
		if s.KDF == suite.Identity {
			continue // the data key encrypts the message itself
		}
		t.Run(fmt.Sprintf("%04x", uint16(s.ID)), func(t *testing.T) {
			ours, err := materials.NewCachingManager(materials.CachingConfig{
				Keyring: must(awskms.New(awskms.Config{Client: kmsClient(region), KeyID: arn})),
				MaxAge:  time.Hour, MaxMessages: perKey,
			})
			if err != nil {
				t.Fatal(err)
			}
			their := theirs(s)
			m := message{suite: s, context: beyondBMP, frameLength: 4096, plaintext: plaintext(5000)}
			ourKeys, keysOfTheirs := map[string]bool{}, map[string]bool{}
			for range cachedMessages {
				ciphertext, header, err := m.client().Encrypt(t.Context(), ours, m.plaintext, esdk.EncryptOptions{EncryptionContext: m.context})
				if err != nil {
					t.Fatal(err)
				}
				ourKeys[string(header.EncryptedDataKeys[0].Ciphertext)] = true
				got, found, err := peer.decrypt(t.Context(), their, m, ciphertext)
				if err != nil || !bytes.Equal(got, m.plaintext) {
					t.Fatalf("they cannot read what we wrote: %v", err)
				}
				checkContext(t, m, found)

				ciphertext, err = peer.encrypt(t.Context(), their, m)
				if err != nil {
					t.Fatal(err)
				}
				got, header, err = m.client().Decrypt(t.Context(), ours, ciphertext, esdk.DecryptOptions{})
				if err != nil || !bytes.Equal(got, m.plaintext) {
					t.Fatalf("we cannot read what they wrote: %v", err)
				}
				checkContext(t, m, header.EncryptionContext)
				keysOfTheirs[string(header.EncryptedDataKeys[0].Ciphertext)] = true
			}
			if got, want := len(ourKeys), (cachedMessages+int(perKey)-1)/int(perKey); got != want {
				t.Errorf("our messages have %d data keys, want %d", got, want)
			}
			if got := len(keysOfTheirs); got != theirKeys {
				t.Errorf("their messages have %d data keys, want %d", got, theirKeys)
			}
			if got := ours.Stats().Decrypt.MissesAbsent; got != uint64(theirKeys) {
				t.Errorf("we had the service unwrap %d data keys of theirs, want %d", got, theirKeys)
			}
		})
	}
}

package sigv4

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"testing"
)

func TestHMACMatchesTheStandardLibrary(t *testing.T) {
	for _, keySize := range []int{0, 1, 32, 44, 63, 64, 65, 132, 1000} {
		for _, size := range []int{0, 1, 8, 64, 137, 255, 256, 257, 5000} {
			key, message := make([]byte, keySize), make([]byte, size)
			rand.Read(key)
			rand.Read(message)
			h := hmac.New(sha256.New, key)
			h.Write(message)
			if got := hmacSHA256(key, message); !hmac.Equal(got[:], h.Sum(nil)) {
				t.Errorf("key of %d bytes, message of %d", keySize, size)
			}
		}
	}
}

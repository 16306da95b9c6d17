package audit_test

import (
	"bytes"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"testing"

	"github.com/keywright/keywright/internal/audit"
)

func TestHMAC(t *testing.T) {
	for n := range 33 {
		var key [32]byte
		rand.Read(key[:])
		data := make([]byte, n)
		rand.Read(data)
		want := hmac.New(sha256.New, key[:])
		want.Write([]byte("a label"))
		want.Write(data)
		if got := audit.HMAC(key, "a label", data); !bytes.Equal(got[:], want.Sum(nil)) {
			t.Fatalf("%d bytes: not what crypto/hmac computes", n)
		}
	}
}

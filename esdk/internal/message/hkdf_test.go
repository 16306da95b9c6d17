package message_test

import (
	"bytes"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha512"
	"strings"
	"testing"

	"github.com/keywright/keywright/esdk/internal/message"
)

// TestHKDF compares with the standard library's, for all lengths there can be.
func TestHKDF(t *testing.T) {
	for n := range 65 {
		secret, salt := make([]byte, n), make([]byte, 3*n)
		rand.Read(secret)
		rand.Read(salt)
		infos := [2]string{strings.Repeat("i", min(n, 63)), "COMMITKEY"}
		outs := [2][]byte{make([]byte, n), make([]byte, 64-n)}
		message.HKDFSHA512(secret, salt, infos, outs)
		for i, info := range infos {
			want, err := hkdf.Key(sha512.New, secret, salt, info, len(outs[i]))
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(outs[i], want) {
				t.Errorf("%d bytes, %q: %x, want %x", n, info, outs[i], want)
			}
		}
	}
}

// TestHKDFTooLong: a key longer than a hash must not be yielded half filled.
func TestHKDFTooLong(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
	}()
	message.HKDFSHA512(make([]byte, 32), nil, [2]string{}, [2][]byte{make([]byte, 65)})
}

package seal

import (
	"crypto/rand"
	"fmt"
	"io"
)

// secretSize is the length of every key and secret in bytes.
const secretSize = 32

// secret is a key. It prints as "[secret]" under every verb, and because the
// bytes stand behind a pointer in an unexported field, fmt shows an address and
// the encoders nothing when it is part of a larger value.
type secret struct{ b *[secretSize]byte }

func newSecret() secret {
	s := secret{new([secretSize]byte)}
	rand.Read(s.b[:])
	return s
}

// secretFrom copies b, which must be secretSize bytes long.
func secretFrom(b []byte) secret {
	s := secret{new([secretSize]byte)}
	*s.b = [secretSize]byte(b)
	return s
}

func (s secret) bytes() []byte { return s.b[:] }

// wipe overwrites the key. It is for good: every copy of s shares the bytes.
func (s secret) wipe() { clear(s.b[:]) }

// Format implements fmt.Formatter.
func (s secret) Format(f fmt.State, _ rune) { io.WriteString(f, "[secret]") }

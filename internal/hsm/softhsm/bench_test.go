package softhsm_test

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/keywright/keywright/internal/aead"
	"github.com/keywright/keywright/internal/hsm"
	"github.com/keywright/keywright/internal/hsm/softhsm"
)

func benchToken(b *testing.B, m *softhsm.Module) hsm.Token {
	b.Helper()
	mat, err := m.Generate(b.Context(), testAttrs, nil)
	if err != nil {
		b.Fatal(err)
	}
	return mat.Token
}

// BenchmarkEncrypt is the hot path: the key is in the cache. What it costs
// beyond BenchmarkSeal is the Module's own.
func BenchmarkEncrypt(b *testing.B) {
	m := open(b, testDomain(), softhsm.Options{})
	t, aad := benchToken(b, m), make([]byte, 100)
	for _, n := range []int{32, 4096} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			plaintext, dst := make([]byte, n), make([]byte, 0, 8192)
			b.SetBytes(int64(n))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := m.Encrypt(b.Context(), dst, t, aad, plaintext); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkDecrypt(b *testing.B) {
	m := open(b, testDomain(), softhsm.Options{})
	t, aad := benchToken(b, m), make([]byte, 100)
	for _, n := range []int{32, 4096} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			body, err := m.Encrypt(b.Context(), nil, t, aad, make([]byte, n))
			if err != nil {
				b.Fatal(err)
			}
			dst := make([]byte, 0, 8192)
			b.SetBytes(int64(n))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := m.Decrypt(b.Context(), dst, t, aad, body); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkSeal is the construction alone, with the key at hand.
func BenchmarkSeal(b *testing.B) {
	key, context, aad := bytes.Repeat([]byte{1}, 32), make([]byte, 32), make([]byte, 100)
	for _, n := range []int{32, 4096} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			plaintext, dst := make([]byte, n), make([]byte, 0, 8192)
			b.SetBytes(int64(n))
			b.ReportAllocs()
			for b.Loop() {
				aead.Seal(dst, key, "keywright/blob", context, aad, plaintext)
			}
		})
	}
}

// BenchmarkEncryptCold opens the token each time: two keys take turns in a
// cache of one.
func BenchmarkEncryptCold(b *testing.B) {
	m := open(b, testDomain(), softhsm.Options{Keys: 1})
	tokens := [2]hsm.Token{benchToken(b, m), benchToken(b, m)}
	aad, plaintext, dst := make([]byte, 100), make([]byte, 32), make([]byte, 0, 8192)
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		if _, err := m.Encrypt(b.Context(), dst, tokens[i&1], aad, plaintext); err != nil {
			b.Fatal(err)
		}
		i++
	}
}

func BenchmarkSigningKey(b *testing.B) {
	m := open(b, testDomain(), softhsm.Options{})
	t, _, err := m.NewSecret(b.Context(), "111122223333", "AKIAIOSFODNN7EXAMPLE")
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := m.SigningKey(b.Context(), t, "20260101", "us-east-1", "kms"); err != nil {
			b.Fatal(err)
		}
	}
}

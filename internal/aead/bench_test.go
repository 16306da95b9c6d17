package aead_test

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"fmt"
	"testing"

	"github.com/keywright/keywright/internal/aead"
)

var benchSizes = []int{32, 4096}

func BenchmarkSeal(b *testing.B) {
	key, context, aad := bytes.Repeat([]byte{1}, 32), make([]byte, 32), make([]byte, 70)
	for _, n := range benchSizes {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			plaintext, dst := make([]byte, n), make([]byte, 0, n+aead.Overhead)
			b.SetBytes(int64(n))
			b.ReportAllocs()
			for b.Loop() {
				aead.Seal(dst, key, "keywright/blob", context, aad, plaintext)
			}
		})
	}
}

func BenchmarkOpen(b *testing.B) {
	key, context, aad := bytes.Repeat([]byte{1}, 32), make([]byte, 32), make([]byte, 70)
	for _, n := range benchSizes {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			sealed := aead.Seal(nil, key, "keywright/blob", context, aad, make([]byte, n))
			dst := make([]byte, 0, n)
			b.SetBytes(int64(n))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := aead.Open(dst, key, "keywright/blob", context, aad, sealed); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkRawGCM is what AES-256-GCM alone costs, its key schedule included
// and not, for comparison.
func BenchmarkRawGCM(b *testing.B) {
	key, aad := bytes.Repeat([]byte{1}, 32), make([]byte, 70)
	newGCM := func() cipher.AEAD {
		block, err := aes.NewCipher(key)
		if err != nil {
			b.Fatal(err)
		}
		gcm, err := cipher.NewGCMWithRandomNonce(block)
		if err != nil {
			b.Fatal(err)
		}
		return gcm
	}
	for _, n := range benchSizes {
		plaintext, dst := make([]byte, n), make([]byte, 0, n+28)
		b.Run(fmt.Sprintf("KeptKey/%d", n), func(b *testing.B) {
			gcm := newGCM()
			b.SetBytes(int64(n))
			b.ReportAllocs()
			for b.Loop() {
				gcm.Seal(dst, nil, plaintext, aad)
			}
		})
		b.Run(fmt.Sprintf("FreshKey/%d", n), func(b *testing.B) {
			b.SetBytes(int64(n))
			b.ReportAllocs()
			for b.Loop() {
				newGCM().Seal(dst, nil, plaintext, aad)
			}
		})
	}
}

package sigv4_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"strings"
	"testing"

	"github.com/keywright/keywright/internal/sigv4"
)

// BenchmarkVerify is all that a request costs but for the hash of its body and
// the signing key, which callers keep for a day. The ceiling beside it hashes
// and MACs as many bytes, and does nothing else.
func BenchmarkVerify(b *testing.B) {
	for _, bench := range []struct{ name, token string }{
		{"key", ""},
		{"session", strings.Repeat("IQoJb3JpZ2luX2VjE//+", 50)},
	} {
		r := kmsRequest(b, testTime, bench.token)
		key := sigv4.SigningKey(testSecret, "20150830", "us-east-1", "kms")
		bodyHash := sha256.Sum256([]byte(testBody))
		signed, err := sigv4.Parse(&r, testTime)
		if err != nil {
			b.Fatal(err)
		}
		canonical := signed.CanonicalRequest(bodyHash)
		b.Run(bench.name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(canonical)))
			for b.Loop() {
				s, err := sigv4.Parse(&r, testTime)
				if err != nil {
					b.Fatal(err)
				}
				if err := s.Verify(key, bodyHash); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(bench.name+"/ceiling", func(b *testing.B) {
			toSign := make([]byte, 136)
			b.ReportAllocs()
			b.SetBytes(int64(len(canonical)))
			for b.Loop() {
				sha256.Sum256(canonical)
				h := hmac.New(sha256.New, key[:])
				h.Write(toSign)
				h.Sum(toSign[:0])
			}
		})
	}
}

func BenchmarkSigningKey(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		sigv4.SigningKey(testSecret, "20150830", "us-east-1", "kms")
	}
}

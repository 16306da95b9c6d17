package kmsapi_test

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/keywright/keywright/internal/kmsapi"
)

const benchARN = "arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"

func BenchmarkDecodeEncrypt(b *testing.B) {
	for _, size := range []int{32, 4096} {
		b.Run(fmt.Sprintf("%dB", size), func(b *testing.B) {
			body := (&kmsapi.EncryptRequest{
				KeyId:             benchARN,
				Plaintext:         bytes.Repeat([]byte{0xa5}, size),
				EncryptionContext: map[string]string{"tenant": "4711"},
			}).AppendJSON(nil)
			b.SetBytes(int64(size))
			b.ReportAllocs()
			scratch := make([]byte, len(body))
			for b.Loop() {
				copy(scratch, body)
				if _, err := kmsapi.DecodeEncryptRequest(scratch); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkEncodeEncrypt(b *testing.B) {
	for _, size := range []int{32, 4096} {
		b.Run(fmt.Sprintf("%dB", size), func(b *testing.B) {
			r := &kmsapi.EncryptResponse{
				CiphertextBlob:      bytes.Repeat([]byte{0xa5}, size+160),
				KeyId:               benchARN,
				EncryptionAlgorithm: kmsapi.EncryptionAlgorithmSpecSymmetricDefault,
			}
			var buf []byte
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for b.Loop() {
				buf = r.AppendJSON(buf[:0])
			}
		})
	}
}

func BenchmarkAuditEncrypt(b *testing.B) {
	r := &kmsapi.EncryptRequest{
		KeyId:               benchARN,
		EncryptionContext:   map[string]string{"tenant": "4711"},
		EncryptionAlgorithm: kmsapi.EncryptionAlgorithmSpecSymmetricDefault,
	}
	var buf []byte
	b.ReportAllocs()
	for b.Loop() {
		buf = r.AppendAudit(buf[:0])
	}
}

package kms_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/keywright/keywright/internal/call"
	"github.com/keywright/keywright/internal/kmsapi"
)

// The way of a request below the listener: decoded, authorized, carried out,
// recorded and encoded. Bytes are those of the plaintext.
func BenchmarkCrypto(b *testing.B) {
	w := newWorld(b)
	id, _ := w.newKey()
	for _, size := range []int{32, 4096} {
		encrypt := m{"KeyId": id, "Plaintext": b64(strings.Repeat("x", size)), "EncryptionContext": m{"purpose": "benchmark"}}
		decrypt := m{"CiphertextBlob": w.must("Encrypt", encrypt)["CiphertextBlob"], "EncryptionContext": m{"purpose": "benchmark"}}
		for _, c := range []struct {
			operation kmsapi.OpID
			request   m
		}{{kmsapi.OpEncrypt, encrypt}, {kmsapi.OpDecrypt, decrypt}} {
			body, err := json.Marshal(c.request)
			if err != nil {
				b.Fatal(err)
			}
			b.Run(fmt.Sprint(kmsapi.Operations[c.operation].Name, "/", size), func(b *testing.B) {
				caller := call.Root("aws", account, "AKIATEST")
				var dst []byte
				b.ReportAllocs()
				b.SetBytes(int64(size))
				for b.Loop() {
					rec := &call.Record{RequestID: call.NewRequestID(), Region: region, Time: w.clock.Now(), Caller: caller}
					out, err := w.service.Call(context.Background(), rec, c.operation, body, dst[:0])
					if err != nil {
						b.Fatal(err)
					}
					dst = out
				}
			})
		}
	}
}

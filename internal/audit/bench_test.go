package audit_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/keywright/keywright/internal/audit"
)

// BenchmarkAppend is one record of a usual size, at several numbers of callers.
func BenchmarkAppend(b *testing.B) {
	ev := sampleEvent()
	record := ev.AppendJSON(nil)
	for _, callers := range []int{1, 16, 64} {
		b.Run(fmt.Sprintf("callers=%d", callers), func(b *testing.B) {
			l := mustOpen(b, audit.Config{Dir: b.TempDir()})
			b.SetBytes(int64(len(record)))
			b.ReportAllocs()
			perCaller := b.N/callers + 1
			b.ResetTimer()
			var wg sync.WaitGroup
			for range callers {
				wg.Go(func() {
					for range perCaller {
						if err := l.Append(context.Background(), record); err != nil {
							b.Error(err)
							return
						}
					}
				})
			}
			wg.Wait()
		})
	}
}

// BenchmarkWriteCeiling is what the same bytes cost without a log: one write
// call for each record, and one for sixteen.
func BenchmarkWriteCeiling(b *testing.B) {
	ev := sampleEvent()
	record := ev.AppendJSON(nil)
	for _, group := range []int{1, 16} {
		b.Run(fmt.Sprintf("group=%d", group), func(b *testing.B) {
			f, err := os.Create(filepath.Join(b.TempDir(), "file"))
			if err != nil {
				b.Fatal(err)
			}
			defer f.Close()
			buf := bytes.Repeat(record, group)
			b.SetBytes(int64(len(record)))
			b.ReportAllocs()
			b.ResetTimer()
			for i := 0; i < b.N; i += group {
				if _, err := f.Write(buf); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkEventJSON(b *testing.B) {
	ev := sampleEvent()
	dst := ev.AppendJSON(nil)
	b.SetBytes(int64(len(dst)))
	b.ReportAllocs()
	for b.Loop() {
		dst = ev.AppendJSON(dst[:0])
	}
}

func BenchmarkNewEventID(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		audit.NewEventID()
	}
}

func BenchmarkVerify(b *testing.B) {
	dir, keys := b.TempDir(), new(memoryKeys)
	l := mustOpen(b, audit.Config{Dir: dir, Keys: keys})
	ev := sampleEvent()
	record := ev.AppendJSON(nil)
	for range 10_000 {
		mustAppend(b, l, string(record))
	}
	mustClose(b, l)
	b.SetBytes(int64(10_000 * len(record)))
	b.ReportAllocs()
	for b.Loop() {
		if r := mustVerify(b, dir, keys.state(0)); r.Records != 10_000 {
			b.Fatalf("%d records", r.Records)
		}
	}
}

// sampleEvent is an Encrypt as SDKs send it.
func sampleEvent() audit.Event {
	return audit.Event{
		Identity: audit.UserIdentity{
			Type: "IAMUser", PrincipalID: "AIDACKCEVSQ6C2EXAMPLE", ARN: "arn:aws:iam::111122223333:user/alice",
			AccountID: "111122223333", AccessKeyID: "AKIAIOSFODNN7EXAMPLE", UserName: "alice",
		},
		Time:   time.Date(2026, 3, 14, 15, 9, 26, 535_000_000, time.UTC),
		Source: "kms.amazonaws.com", Name: "Encrypt", Region: "eu-central-1", SourceIP: "192.0.2.17",
		UserAgent: "aws-sdk-go-v2/1.47.7 ua/2.1 os/linux lang/go#1.26 md/GOOS#linux md/GOARCH#amd64 api/kms#1.62.4",
		RequestParameters: []byte(`{"keyId":"arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab",` +
			`"encryptionAlgorithm":"SYMMETRIC_DEFAULT","encryptionContext":{"tenant":"blue","object":"invoices/2026/03/14.pdf"}}`),
		AdditionalEventData: []byte(`{"keyMaterialId":"96083e4fb6dbc41d77578a213a6b6669c044dd4c143e96755396d2bf11fd6068"}`),
		RequestID:           "ebe8ee68-27d3-4b8e-b1f0-7ad1fcb2a3a9",
		EventID:             "91b6d2ea-4e0e-4ee2-b0a2-56a8d0c5f1aa",
		ReadOnly:            true,
		Resources:           []audit.Resource{{AccountID: "111122223333", Type: "AWS::KMS::Key", ARN: "arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"}},
		RecipientAccountID:  "111122223333",
		TLS:                 &audit.TLSDetails{Version: "TLSv1.3", CipherSuite: "TLS_AES_128_GCM_SHA256", Host: "kms.eu-central-1.example.com"},
	}
}

package kmsapi_test

import (
	"bytes"
	"errors"
	"testing"

	"github.com/keywright/keywright/internal/awsapi"
	"github.com/keywright/keywright/internal/kmsapi"
)

// FuzzDecode holds for every operation and every body: no panic, an error is an
// *awsapi.Error the client can mend, and what is accepted encodes to a body that
// is accepted again and encodes to the same.
func FuzzDecode(f *testing.F) {
	for name, g := range readGolden(f) {
		id, _ := kmsapi.OperationByName(name)
		f.Add(uint16(id), []byte(g.Request))
	}
	for _, body := range []string{``, `{}`, `null`, `{"KeyId":"k","Tags":[{"TagKey":"a"},null]}`, `{"Limit":1e2}`, `{"ValidTo":1.5E9}`} {
		for id := range kmsapi.Operations {
			f.Add(uint16(id), []byte(body))
		}
	}
	f.Fuzz(func(t *testing.T, n uint16, body []byte) {
		id := kmsapi.OpID(int(n) % len(kmsapi.Operations))
		r, err := kmsapi.DecodeRequest(id, bytes.Clone(body))
		if err != nil {
			e, ok := errors.AsType[*awsapi.Error](err)
			if !ok || e.Status() < 400 || e.Status() > 499 {
				t.Fatalf("error is %T %v, want an *awsapi.Error of the client", err, err)
			}
			if len(e.Message) > 64<<10 {
				t.Fatalf("message has %d bytes", len(e.Message))
			}
			return
		}
		first := r.AppendJSON(nil)
		again, err := kmsapi.DecodeRequest(id, bytes.Clone(first))
		if err != nil {
			t.Fatalf("%s was accepted, its encoding %s is not: %v", body, first, err)
		}
		if second := again.AppendJSON(nil); !bytes.Equal(first, second) {
			t.Fatalf("encodes to %s, then to %s", first, second)
		}
		parse(t, r.AppendAudit(nil))
	})
}

package system_test

import (
	"bytes"
	"context"
	"log/slog"
	"net/http"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/keywright/keywright/internal/kmsapi"
	"github.com/keywright/keywright/internal/server"
)

// inProcess runs a server in the test's own process.
func inProcess(t testing.TB, log *lockedBuffer) (*server.Server, *client) {
	t.Helper()
	data := filepath.Join(t.TempDir(), "data")
	s, err := server.Start(t.Context(), server.Config{Data: data, Listen: "127.0.0.1:0", OperatorListen: "off"}, slog.New(slog.NewTextHandler(log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return s, newClient(t, s.Endpoint(), data)
}

// FuzzRequest sends properly signed requests with whatever target, content type
// and body. Each has an answer, which blames the client or is a success.
func FuzzRequest(f *testing.F) {
	var log lockedBuffer
	_, c := inProcess(f, &log)
	created := c.must(f, "CreateKey", m{})["KeyMetadata"].(m)
	id := created["KeyId"].(string)
	blob := c.must(f, "Encrypt", m{"KeyId": id, "Plaintext": []byte("x")})["CiphertextBlob"].(string)
	c.must(f, "CreateAlias", m{"AliasName": "alias/fuzz", "TargetKeyId": id})
	policy := `{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Principal\":{\"AWS\":\"*\"},\"Action\":\"kms:*\",\"Resource\":\"*\",\"Condition\":{\"StringLike\":{\"kms:ViaService\":\"a*\"}}}]}`
	key := `{"KeyId":"` + id + `"`
	bodies := map[string]string{
		"Encrypt":              key + `,"Plaintext":"eA==","EncryptionContext":{"a":"b"}}`,
		"Decrypt":              `{"CiphertextBlob":"` + blob + `"}`,
		"ReEncrypt":            `{"CiphertextBlob":"` + blob + `","DestinationKeyId":"alias/fuzz"}`,
		"CreateAlias":          `{"AliasName":"alias/x","TargetKeyId":"` + id + `"}`,
		"DeleteAlias":          `{"AliasName":"alias/x"}`,
		"UpdateAlias":          `{"AliasName":"alias/fuzz","TargetKeyId":"` + created["Arn"].(string) + `"}`,
		"PutKeyPolicy":         key + `,"Policy":"` + policy + `","BypassPolicyLockoutSafetyCheck":true}`,
		"CreateKey":            `{"Policy":"` + policy + `","Tags":[{"TagKey":"a","TagValue":"b"}],"Description":"d"}`,
		"TagResource":          key + `,"Tags":[{"TagKey":"a","TagValue":"b"}]}`,
		"UntagResource":        key + `,"TagKeys":["a"]}`,
		"GenerateDataKey":      key + `,"KeySpec":"AES_256"}`,
		"GenerateRandom":       `{"NumberOfBytes":8}`,
		"ListKeys":             `{"Limit":1,"Marker":"AAAA"}`,
		"ScheduleKeyDeletion":  key + `,"PendingWindowInDays":7}`,
		"UpdateKeyDescription": key + `,"Description":"d"}`,
	}
	for _, op := range kmsapi.Operations {
		body := bodies[op.Name]
		if body == "" {
			body = key + `}`
		}
		f.Add("TrentService."+op.Name, jsonType, []byte(body))
	}
	f.Add("", "", []byte{})
	f.Add("TrentService.", "text/plain", []byte(strings.Repeat("[", 100)))
	f.Fuzz(func(t *testing.T, target, contentType string, body []byte) {
		r, err := c.rawRequest(clean(target), "fuzz", body)
		if err != nil {
			t.Skip("no header can hold it")
		}
		r.Header.Set("Content-Type", clean(contentType))
		if err := c.sign(r, body); err != nil {
			t.Skip("no header can hold it")
		}
		a, err := c.do(t.Context(), r)
		if err != nil {
			t.Fatalf("no answer: %v\n%s", err, &log)
		}
		switch {
		case a.status == http.StatusOK:
		case a.status == http.StatusBadRequest || a.status == http.StatusRequestEntityTooLarge:
			if code := a.code(); code == "" || strings.Contains(code, " ") || strings.Contains(code, "Internal") {
				t.Errorf("the answer %d %s has no error code of a client's fault", a.status, a.body)
			}
			if strings.Contains(string(a.body), "SignatureException") {
				t.Errorf("a sound signature is refused: %s", a.body)
			}
		default:
			t.Errorf("%d %s\n%s", a.status, a.body, &log)
		}
		if a.requestID == "" {
			t.Error("the answer has no request id")
		}
		if bytes.Contains([]byte(log.String()), []byte("panic")) {
			t.Errorf("the log:\n%s", &log)
		}
	})
}

// clean makes of a text what a header can hold: its client would refuse to
// send the rest.
func clean(s string) string {
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return -1
		}
		return r
	}, s))
}

// TestNoLeak: after many connections and requests, and after its end, the
// server has left no goroutine behind.
func TestNoLeak(t *testing.T) {
	idle := runtime.NumGoroutine()
	var log lockedBuffer
	s, c := inProcess(t, &log)
	id := c.newKey(t, m{})
	c.http.CloseIdleConnections()
	serving := steadyGoroutines()
	for range 20 {
		for range 25 {
			c.must(t, "Encrypt", m{"KeyId": id, "Plaintext": []byte("x")})
			ctx, hangUp := context.WithCancel(t.Context())
			go hangUp()
			c.call(ctx, "UpdateKeyDescription", "hang up", m{"KeyId": id, "Description": "d"}) // may have an answer or not
			hangUp()
		}
		c.http.CloseIdleConnections()
	}
	if n := settleGoroutines(serving); n > serving {
		t.Errorf("%d goroutines before the requests, %d after", serving, n)
	}
	if err := s.Close(context.Background()); err != nil {
		t.Error(err)
	}
	if n := settleGoroutines(idle); n > idle {
		buf := make([]byte, 1<<20)
		t.Errorf("%d goroutines before the start, %d after the end:\n%s", idle, n, buf[:runtime.Stack(buf, true)])
	}
	if strings.Contains(log.String(), "level=ERROR") {
		t.Errorf("clients that hang up are logged as faults:\n%s", &log)
	}
}

// settleGoroutines waits until there are at most want, and returns how many
// there are.
func settleGoroutines(want int) int {
	for range 100 {
		if runtime.NumGoroutine() <= want {
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	return runtime.NumGoroutine()
}

// steadyGoroutines is how many there are once none has ended for a while.
func steadyGoroutines() int {
	n := runtime.NumGoroutine()
	for same := 0; same < 5; same++ {
		time.Sleep(20 * time.Millisecond)
		if now := runtime.NumGoroutine(); now != n {
			n, same = now, 0
		}
	}
	return n
}

package server

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/keywright/keywright/internal/awsjson"
	"github.com/keywright/keywright/internal/iam"
	"github.com/keywright/keywright/internal/sigv4"
)

// endpoint is the API's handler with everything real beneath it, without a
// network.
type endpoint struct {
	testing.TB
	handler http.Handler
	core    *core
	creds   iam.Credentials
}

func newEndpoint(t testing.TB) *endpoint {
	t.Helper()
	return newEndpointWith(t, Config{})
}

func newEndpointWith(t testing.TB, cfg Config) *endpoint {
	t.Helper()
	cfg.Data = t.TempDir()
	if err := cfg.prepare(); err != nil {
		t.Fatal(err)
	}
	c, err := openCore(t.Context(), cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.close() })
	e := &endpoint{TB: t, core: c, handler: c.apiHandler(new(awsjson.Failures))}
	_, err = c.iam.CreateAccount(t.Context(), "111122223333", func(creds iam.Credentials) error {
		e.creds = creds
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// request makes a signed request.
func (e *endpoint) request(operation string, body []byte) *http.Request {
	e.Helper()
	r := httptest.NewRequest("POST", "http://127.0.0.1:4599/", bytes.NewReader(body))
	r.Header.Set("Content-Type", "application/x-amz-json-1.1")
	r.Header.Set("X-Amz-Target", "TrentService."+operation)
	r.RequestURI = "/"
	signed := sigv4.Request{Method: "POST", Path: "/", Host: r.Host, Header: r.Header}
	signer := sigv4.NewSigner(e.creds.AccessKeyID, e.creds.SecretAccessKey, "")
	if err := signer.Sign(&signed, "us-east-1", "kms", time.Now(), sha256.Sum256(body)); err != nil {
		e.Fatal(err)
	}
	return r
}

func (e *endpoint) call(operation string, request any) map[string]any {
	e.Helper()
	body, err := json.Marshal(request)
	if err != nil {
		e.Fatal(err)
	}
	w := httptest.NewRecorder()
	e.handler.ServeHTTP(w, e.request(operation, body))
	if w.Code != 200 {
		e.Fatalf("%s: %d %s", operation, w.Code, w.Body)
	}
	var resp map[string]any
	json.Unmarshal(w.Body.Bytes(), &resp)
	return resp
}

func TestHandler(t *testing.T) {
	e := newEndpoint(t)
	id := e.call("CreateKey", map[string]any{})["KeyMetadata"].(map[string]any)["KeyId"]
	enc := e.call("Encrypt", map[string]any{"KeyId": id, "Plaintext": "aGVsbG8="})
	if got := e.call("Decrypt", map[string]any{"CiphertextBlob": enc["CiphertextBlob"]})["Plaintext"]; got != "aGVsbG8=" {
		t.Errorf("Decrypt gave %v", got)
	}
	e.creds.SecretAccessKey = "another"
	w := httptest.NewRecorder()
	e.handler.ServeHTTP(w, e.request("ListKeys", []byte("{}")))
	if w.Code != 400 || !bytes.Contains(w.Body.Bytes(), []byte(`"InvalidSignatureException"`)) {
		t.Errorf("a wrong secret: %d %s", w.Code, w.Body)
	}
}

// BenchmarkHandler is a call from the parsed HTTP request to the answer, with
// signature, authorization and audit: all but net/http.
func BenchmarkHandler(b *testing.B) {
	e := newEndpoint(b)
	id := e.call("CreateKey", map[string]any{})["KeyMetadata"].(map[string]any)["KeyId"]
	for _, size := range []int{32, 4096} {
		plaintext := base64.StdEncoding.EncodeToString(make([]byte, size))
		blob := e.call("Encrypt", map[string]any{"KeyId": id, "Plaintext": plaintext})["CiphertextBlob"]
		for operation, body := range map[string]string{
			"Encrypt": fmt.Sprintf(`{"KeyId":"%s","Plaintext":"%s"}`, id, plaintext),
			"Decrypt": fmt.Sprintf(`{"CiphertextBlob":"%s"}`, blob),
		} {
			b.Run(fmt.Sprintf("%s/%d", operation, size), func(b *testing.B) {
				b.ReportAllocs()
				b.RunParallel(func(pb *testing.PB) {
					r := e.request(operation, []byte(body))
					w := &discard{header: http.Header{}}
					for pb.Next() {
						r.Body = io.NopCloser(bytes.NewReader([]byte(body)))
						e.handler.ServeHTTP(w, r)
						if w.status != 200 {
							b.Fatalf("status %d", w.status)
						}
					}
				})
			})
		}
	}
}

// BenchmarkHandlerCold is a call whose key is in no cache: what most calls of a
// server with very many keys cost.
func BenchmarkHandlerCold(b *testing.B) {
	const keys = 2000
	e := newEndpointWith(b, Config{CacheBytes: 64 << 10, OpenKeys: 16})
	requests := make([]*http.Request, keys)
	bodies := make([][]byte, keys)
	for i := range requests {
		id := e.call("CreateKey", map[string]any{})["KeyMetadata"].(map[string]any)["KeyId"]
		bodies[i] = fmt.Appendf(nil, `{"KeyId":"%s","Plaintext":"%s"}`, id, base64.StdEncoding.EncodeToString(make([]byte, 32)))
		requests[i] = e.request("Encrypt", bodies[i])
	}
	w := &discard{header: http.Header{}}
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		i = (i + 7) % keys
		requests[i].Body = io.NopCloser(bytes.NewReader(bodies[i]))
		e.handler.ServeHTTP(w, requests[i])
		if w.status != 200 {
			b.Fatalf("status %d", w.status)
		}
	}
}

// discard is a ResponseWriter that keeps the status.
type discard struct {
	header http.Header
	status int
}

func (d *discard) Header() http.Header         { return d.header }
func (d *discard) WriteHeader(status int)      { d.status = status }
func (d *discard) Write(b []byte) (int, error) { return len(b), nil }

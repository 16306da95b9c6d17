package system_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/keywright/keywright/internal/sigv4"
)

const (
	region   = "eu-central-1"
	jsonType = "application/x-amz-json-1.1"
)

// m is a JSON object.
type m = map[string]any

// client is a lean client of the API: SDKs would retry and so hide what the
// tests look for.
type client struct {
	endpoint string
	host     string
	http     *http.Client
	keyID    string
	signer   sigv4.Signer
}

// newClient returns a client with the access key in the data folder.
func newClient(t testing.TB, endpoint, data string) *client {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(data, "credentials"))
	if err != nil {
		t.Fatal(err)
	}
	values := map[string]string{}
	for line := range strings.Lines(string(text)) {
		if name, value, ok := strings.Cut(line, "="); ok {
			values[strings.TrimSpace(name)] = strings.TrimSpace(value)
		}
	}
	id, secret := values["aws_access_key_id"], values["aws_secret_access_key"]
	if id == "" || secret == "" {
		t.Fatalf("no access key in %s/credentials", data)
	}
	transport := &http.Transport{MaxIdleConnsPerHost: 256}
	t.Cleanup(transport.CloseIdleConnections)
	_, host, _ := strings.Cut(endpoint, "://")
	return &client{endpoint, host, &http.Client{Transport: transport, Timeout: 20 * time.Second}, id, sigv4.NewSigner(id, secret, "")}
}

// client returns a client of the process.
func (p *process) client() *client { return newClient(p.t, p.endpoint, p.data) }

// answer is what the server said.
type answer struct {
	status    int
	requestID string
	header    http.Header
	body      []byte
}

// code is the error code, "" where the call succeeded.
func (a answer) code() string {
	if a.status == http.StatusOK {
		return ""
	}
	var e struct {
		Type string `json:"__type"`
	}
	if err := json.Unmarshal(a.body, &e); err != nil {
		return fmt.Sprintf("status %d: %.100s", a.status, a.body)
	}
	return e.Type
}

// object is the body as a JSON object.
func (a answer) object() m {
	var out m
	json.Unmarshal(a.body, &out) // an empty body is an empty answer
	return out
}

// request is a signed request for an operation. The agent stands in the audit
// log, and tells whose record is whose where no answer came.
func (c *client) request(operation, agent string, in any) (*http.Request, error) {
	body, err := json.Marshal(in)
	if err != nil {
		return nil, err
	}
	return c.rawRequest("TrentService."+operation, agent, body)
}

func (c *client) rawRequest(target, agent string, body []byte) (*http.Request, error) {
	r, err := http.NewRequest("POST", c.endpoint+"/", bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	r.Header = http.Header{"Content-Type": {jsonType}, "X-Amz-Target": {target}, "User-Agent": {agent}}
	return r, c.sign(r, body)
}

func (c *client) sign(r *http.Request, body []byte) error {
	signed := sigv4.Request{Method: r.Method, Path: r.URL.EscapedPath(), RawQuery: r.URL.RawQuery, Host: c.host, Header: r.Header}
	return c.signer.Sign(&signed, region, "kms", time.Now(), sha256.Sum256(body))
}

// do sends the request. An error means that there was no answer.
func (c *client) do(ctx context.Context, r *http.Request) (answer, error) {
	resp, err := c.http.Do(r.WithContext(ctx))
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return answer{}, err
	}
	return answer{resp.StatusCode, resp.Header.Get("x-amzn-RequestId"), resp.Header, body}, nil
}

// call carries an operation out.
func (c *client) call(ctx context.Context, operation, agent string, in any) (answer, error) {
	r, err := c.request(operation, agent, in)
	if err != nil {
		return answer{}, err
	}
	return c.do(ctx, r)
}

// must carries out an operation that has to succeed.
func (c *client) must(t testing.TB, operation string, in any) m {
	t.Helper()
	a, err := c.call(t.Context(), operation, "must", in)
	if err != nil {
		t.Fatalf("%s: %v", operation, err)
	}
	if a.status != http.StatusOK {
		t.Fatalf("%s %v: %d %s", operation, in, a.status, a.body)
	}
	return a.object()
}

// newKey makes a key and returns its id.
func (c *client) newKey(t testing.TB, in m) string {
	t.Helper()
	return c.must(t, "CreateKey", in)["KeyMetadata"].(m)["KeyId"].(string)
}

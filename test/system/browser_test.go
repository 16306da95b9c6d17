package system_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// TestBrowsers: what web pages can send is refused, and no answer is ever
// readable to one.
func TestBrowsers(t *testing.T) {
	p := start(t, t.TempDir(), "--hostname", "kms.example.com")
	c := p.client()
	id := c.newKey(t, m{"Description": "old"})
	_, port, _ := net.SplitHostPort(c.host)

	const signed = http.StatusOK
	for _, tt := range []struct {
		name   string
		host   string
		header http.Header
		status int
	}{
		{"no browser", c.host, nil, signed},
		{"localhost", "localhost:" + port, nil, signed},
		{"localhost in capitals", "LocalHost:" + port, nil, signed},
		{"without a port", "localhost", nil, signed},
		{"IPv6", "[::1]:" + port, nil, signed},
		{"a configured name", "kms.example.com", nil, signed},
		{"a configured name in capitals", "KMS.example.com:" + port, nil, signed},
		{"its own page", c.host, http.Header{"Origin": {"http://" + c.host}, "Sec-Fetch-Site": {"same-origin"}}, signed},
		{"DNS rebinding", "evil.example:" + port, nil, 421},
		{"a name that begins well", "127.0.0.1.evil.example", nil, 421},
		{"a name that ends well", "evil-localhost", nil, 421},
		{"a subdomain", "a.kms.example.com", nil, 421},
		{"another address", "192.0.2.1:" + port, nil, 421},
		{"the unspecified address", "0.0.0.0:" + port, nil, 421},
		{"another page", c.host, http.Header{"Origin": {"https://evil.example"}}, 403},
		{"a page on another port", "localhost:" + port, http.Header{"Origin": {"http://localhost:3000"}}, 403},
		{"a page without an origin", c.host, http.Header{"Origin": {"null"}}, 403},
		{"a page of a rebound name", "evil.example:" + port, http.Header{"Origin": {"http://evil.example:" + port}}, 421},
		{"two origins", c.host, http.Header{"Origin": {"http://" + c.host, "https://evil.example"}}, 403},
		{"cross-site", c.host, http.Header{"Sec-Fetch-Site": {"cross-site"}}, 403},
		{"same site, another origin", c.host, http.Header{"Sec-Fetch-Site": {"same-site"}, "Origin": {"http://127.0.0.1:1"}}, 403},
	} {
		at := *c
		at.host = tt.host
		r, err := at.request("UpdateKeyDescription", "browser", m{"KeyId": id, "Description": tt.name})
		if err != nil {
			t.Fatal(err)
		}
		r.Host = tt.host
		for name, values := range tt.header {
			r.Header[name] = values // as a browser adds it, unsigned
		}
		a, err := c.do(t.Context(), r)
		if err != nil {
			t.Fatalf("%s: %v", tt.name, err)
		}
		if a.status != tt.status {
			t.Errorf("%s: got %d %s, want %d", tt.name, a.status, a.body, tt.status)
		}
		noCORS(t, tt.name, a.header)
		changed := c.must(t, "DescribeKey", m{"KeyId": id})["KeyMetadata"].(m)["Description"] == tt.name
		if changed != (tt.status == http.StatusOK) {
			t.Errorf("%s: the change took place: %v", tt.name, changed)
		}
	}

	// Preflights, and what else a page can ask for without one.
	const page = "Origin: https://evil.example\r\nAccess-Control-Request-Method: POST\r\nAccess-Control-Request-Headers: x-amz-target\r\n"
	for _, tt := range []struct {
		request string
		status  int
	}{
		{"OPTIONS / HTTP/1.1\r\nHost: %s\r\n" + page, 403},
		{"OPTIONS * HTTP/1.1\r\nHost: %s\r\n" + page, 403},
		{"OPTIONS / HTTP/1.1\r\nHost: %s\r\n", 400},
		{"GET /healthz HTTP/1.1\r\nHost: %s\r\n", 200},
		{"GET /healthz HTTP/1.1\r\nHost: %s\r\n" + page, 403},
		{"GET /healthz HTTP/1.1\r\nHost: evil.example\r\nX-Was: %s\r\n", 421},
		{"GET / HTTP/1.1\r\nHost: %s\r\n", 400},
		{"GET http://evil.example/healthz HTTP/1.1\r\nHost: %s\r\n", 421},
		{"GET /healthz HTTP/1.0\r\nX-Was: %s\r\n", 421},
	} {
		request := fmt.Sprintf(tt.request, c.host) + "\r\n"
		resp := rawRoundTrip(t, c.host, request)
		if resp.StatusCode != tt.status {
			t.Errorf("%q: got %d, want %d", request, resp.StatusCode, tt.status)
		}
		noCORS(t, request, resp.Header)
	}
}

func noCORS(t *testing.T, name string, header http.Header) {
	t.Helper()
	for h := range header {
		if strings.HasPrefix(h, "Access-Control-") {
			t.Errorf("%s: the answer has the header %s", name, h)
		}
	}
}

// rawRoundTrip sends text and reads one answer.
func rawRoundTrip(t *testing.T, addr, request string) *http.Response {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := io.WriteString(conn, request); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatalf("%q: %v", request, err)
	}
	resp.Body.Close()
	return resp
}

package httpd

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"strings"
	"testing"
)

// TestFieldsOfEachAnswer: what is kept of one answer's fields does not show in
// the next.
func TestFieldsOfEachAnswer(t *testing.T) {
	w := response{header: make(http.Header)}
	for _, test := range []struct {
		name, fields string
		header       http.Header
	}{
		{"two", "A: 1\r\nB: 2\r\n", http.Header{"B": {"2"}, "A": {"1"}}},
		{"the same with other values", "A: 3\r\nB: 4\r\n", http.Header{"B": {"4"}, "A": {"3"}}},
		{"another name", "A: 1\r\nC: 2\r\n", http.Header{"C": {"2"}, "A": {"1"}}},
		{"a name without a value", "A: 1\r\n", http.Header{"C": nil, "A": {"1"}}},
		{"one less", "C: 1\r\n", http.Header{"C": {"1"}}},
		{"one more", "A: 2\r\nA: 3\r\nC: 1\r\n", http.Header{"C": {"1"}, "A": {"2", "3"}}},
		{"lines in a value", "A: b  C: d\r\n", http.Header{"A": {"b\r\nC: d"}}},
		{"none", "", nil},
	} {
		for name, values := range test.header {
			w.Header()[name] = values
		}
		w.WriteHeader(http.StatusNoContent)
		if got, want := string(w.wire("now", false)), "HTTP/1.1 204 No Content\r\n"+test.fields+"Date: now\r\n\r\n"; got != want {
			t.Errorf("%s: got %q, want %q", test.name, got, want)
		}
		w.reset()
	}
}

// TestBodyBehindHead: whether the head has room before the body or not, the
// answer goes out whole, and nothing of the body is left when the next begins.
func TestBodyBehindHead(t *testing.T) {
	w := response{header: make(http.Header)}
	for _, long := range []int{0, headRoom - 200, headRoom, 4 * headRoom, 0} {
		value := strings.Repeat("v", long)
		w.Header()["Long"] = []string{value}
		w.Write([]byte("first"))
		w.Write([]byte(" and second"))
		resp, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(w.wire("now", true))), nil)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		if err != nil || string(body) != "first and second" || resp.Header.Get("Long") != value || !resp.Close {
			t.Errorf("a field of %d bytes: got %q, %v, %v", long, body, err, resp.Header)
		}
		left := w.buf
		w.reset()
		if i := bytes.Index(left[:cap(left)], []byte("second")); i >= 0 {
			t.Errorf("a field of %d bytes: the body is left in memory", long)
		}
	}
}

func BenchmarkResponse(b *testing.B) {
	w, body := response{header: make(http.Header)}, make([]byte, 200)
	values := [...][]string{{"c8e9a1f0-0000-4000-8000-000000000000"}, {"200"}, {"no-cache, no-store, must-revalidate, private"}, {"0"}, {"no-cache"}, {"application/x-amz-json-1.1"}}
	b.ReportAllocs()
	for b.Loop() {
		for i, name := range [...]string{"X-Amzn-Requestid", "Content-Length", "Cache-Control", "Expires", "Pragma", "Content-Type"} {
			w.Header()[name] = values[i]
		}
		w.Write(body)
		w.wire("Sun, 22 Nov 2026 09:00:00 GMT", false)
		w.reset()
	}
}

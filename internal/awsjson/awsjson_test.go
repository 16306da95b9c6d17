package awsjson_test

import (
	"bytes"
	"strconv"
	"strings"
	"testing"
)

func TestAnswer(t *testing.T) {
	w := newWorld(t)
	resp := w.send(w.sign(w.echo()))
	if resp.StatusCode != 200 || resp.body != `{"a":1}` {
		t.Fatalf("got %d %q, want the body back", resp.StatusCode, resp.body)
	}
	for name, want := range map[string]string{
		"Content-Type":  jsonType,
		"Cache-Control": "no-cache, no-store, must-revalidate, private",
		"Expires":       "0",
		"Pragma":        "no-cache",
	} {
		if got := resp.Header.Get(name); got != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
	// SDKs learn from Date how far their clock is off.
	if resp.Header.Get("Date") == "" {
		t.Error("the answer has no Date")
	}
	id := resp.Header.Get("x-amzn-RequestId")
	if len(id) != 36 || len(w.calls) != 1 || w.calls[0].RequestID != id {
		t.Errorf("request id %q, the service was called with %+v", id, w.calls)
	}
	c := w.calls[0]
	if got, want := c.Caller.ARN, "arn:aws:iam::111122223333:root"; got != want {
		t.Errorf("caller %s, want %s", got, want)
	}
	if c.Region != region || c.Client.SourceIP != "127.0.0.1" || c.Caller.AccessKeyID != w.creds.AccessKeyID || c.Client.Host != w.addr {
		t.Errorf("the call is recorded as %+v", c)
	}
}

// TestMemoryIsWiped: a call's memory holds nothing of the calls before it.
func TestMemoryIsWiped(t *testing.T) {
	w := newWorld(t)
	again := false
	for range 20 {
		if resp := w.send(w.sign(w.echo())); resp.body != `{"a":1}` {
			t.Fatalf("got %q, want the body back", resp.body)
		}
	}
	for _, n := range w.memories {
		again = again || n > 1
	}
	if left := bytes.Trim(w.left, "\x00"); len(left) > 0 || !again {
		t.Errorf("memory used again: %v; left in it: %q", again, left)
	}
}

func TestErrors(t *testing.T) {
	w := newWorld(t)
	for _, tt := range []struct {
		target, body string
		status       int
	}{
		{"TrentService.Refuse", `{"__type":"NotFoundException","message":"no \"such\" key"}`, 400},
		{"TrentService.Fault", `{"__type":"InternalFailure","message":"The request processing has failed because of an unknown error, exception or failure."}`, 500},
	} {
		r := w.echo()
		r.header.Set("X-Amz-Target", tt.target)
		resp := w.send(w.sign(r))
		if resp.StatusCode != tt.status || resp.body != tt.body {
			t.Errorf("%s: got %d %s\nwant %d %s", tt.target, resp.StatusCode, resp.body, tt.status, tt.body)
		}
		if resp.Header.Get("x-amzn-RequestId") == "" || resp.Header.Get("Content-Type") != jsonType {
			t.Errorf("%s: header %v", tt.target, resp.Header)
		}
	}
	if log := w.log.String(); !strings.Contains(log, "the inside of the server") || strings.Count(log, "\n") != 1 {
		t.Errorf("the operator's log should have the fault, and nothing else:\n%s", log)
	}
	if got, want := strings.Join(w.observed, " "), "kms/op1/NotFoundException kms/op2/InternalFailure"; got != want {
		t.Errorf("observed %s, want %s", got, want)
	}
}

// TestFaultsAreBounded: a fault in every request, as with a damaged access-key
// record, does not fill the operator's log.
func TestFaultsAreBounded(t *testing.T) {
	w := newWorld(t)
	tx := w.db.Tx()
	tx.Do(w.db.SealOp([]byte("accesskey/"+w.creds.AccessKeyID), []byte("{}")))
	if _, err := tx.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	for range 300 {
		if resp := w.send(w.sign(w.echo())); resp.StatusCode != 500 {
			t.Fatalf("got %d %s", resp.StatusCode, resp.body)
		}
	}
	// Ten lines in a second, and the loop may take several.
	log := w.log.String()
	if n := strings.Count(log, "\n"); n < 10 || n > 100 || !strings.Contains(log, "access key record of version 0") {
		t.Errorf("300 faults left %d lines in the log, which begins with %.300s", n, log)
	}
}

// TestPanic: a bug in an operation ends its connection without an answer, since
// there is no record of the call, is seen by the operator, and harms nobody else.
func TestPanic(t *testing.T) {
	w := newWorld(t)
	r := w.echo()
	r.header.Set("X-Amz-Target", "TrentService.Panic")
	if all := w.raw(w.sign(r).bytes(), 1); len(all) != 0 {
		t.Errorf("a call that panicked was answered with %s", all[0].body)
	}
	if log := w.log.String(); !strings.Contains(log, "level=ERROR") || !strings.Contains(log, "harness_test.go") {
		t.Errorf("the log does not show where the panic was:\n%s", log)
	}
	if resp := w.send(w.sign(w.echo())); resp.StatusCode != 200 {
		t.Errorf("after a panic the server answers %d %s", resp.StatusCode, resp.body)
	}
}

func TestUnknownOperation(t *testing.T) {
	w := newWorld(t)
	for name, spoil := range map[string]func(*request){
		"no target":             func(r *request) { r.header.Del("X-Amz-Target") },
		"empty target":          func(r *request) { r.header.Set("X-Amz-Target", "") },
		"no dot":                func(r *request) { r.header.Set("X-Amz-Target", "Echo") },
		"other service":         func(r *request) { r.header.Set("X-Amz-Target", "DynamoDB_20120810.Echo") },
		"unknown operation":     func(r *request) { r.header.Set("X-Amz-Target", "TrentService.Frobnicate") },
		"operation in lower":    func(r *request) { r.header.Set("X-Amz-Target", "TrentService.echo") },
		"prefix in lower":       func(r *request) { r.header.Set("X-Amz-Target", "trentservice.Echo") },
		"more after the name":   func(r *request) { r.header.Set("X-Amz-Target", "TrentService.Echo.Echo") },
		"no content type":       func(r *request) { r.header.Del("Content-Type") },
		"other content type":    func(r *request) { r.header.Set("Content-Type", "application/json") },
		"json 1.0":              func(r *request) { r.header.Set("Content-Type", "application/x-amz-json-1.0") },
		"content type and tail": func(r *request) { r.header.Set("Content-Type", jsonType+"x") },
		"GET":                   func(r *request) { r.method = "GET" },
		"PUT":                   func(r *request) { r.method = "PUT" },
		"post":                  func(r *request) { r.method = "post" },
		"OPTIONS":               func(r *request) { r.method = "OPTIONS" },
		"TRACE":                 func(r *request) { r.method = "TRACE" },
		"other path":            func(r *request) { r.target = "/kms" },
		"double slash":          func(r *request) { r.target = "//" },
		"dot segment":           func(r *request) { r.target = "/." },
		"encoded slash":         func(r *request) { r.target = "/%2F" },
	} {
		r := w.echo()
		spoil(r)
		resp := w.send(w.sign(r))
		if resp.StatusCode != 400 || resp.body != `{"__type":"UnknownOperationException"}` {
			t.Errorf("%s: got %d %s", name, resp.StatusCode, resp.body)
		}
	}
	if n := w.reached(); n != 0 {
		t.Errorf("%d of them reached the service", n)
	}
	// With what some clients add, it is the protocol's type all the same.
	for _, good := range []string{jsonType + "; charset=utf-8", strings.ToUpper(jsonType), jsonType + " ;x"} {
		r := w.echo()
		r.header.Set("Content-Type", good)
		if resp := w.send(w.sign(r)); resp.StatusCode != 200 {
			t.Errorf("content type %q: got %d %s", good, resp.StatusCode, resp.body)
		}
	}
	// An unsigned request does not learn which operations there are.
	for _, target := range []string{"TrentService.Echo", "TrentService.Frobnicate"} {
		r := w.echo()
		r.header.Set("X-Amz-Target", target)
		if resp := w.send(r); resp.code() != "MissingAuthenticationTokenException" {
			t.Errorf("unsigned %s: got %s", target, resp.body)
		}
	}
}

func TestBodyLimit(t *testing.T) {
	w := newWorld(t)
	for _, tt := range []struct {
		target string
		size   int
		code   string
	}{
		{"TrentService.Echo", bodyLimit, ""},
		{"TrentService.Echo", bodyLimit + 1, "RequestEntityTooLarge"},
		{"TrentService.Echo", 1 << 20, "RequestEntityTooLarge"},
		{"TrentService.Frobnicate", 64 << 10, "UnknownOperationException"},
		{"TrentService.Frobnicate", 64<<10 + 1, "RequestEntityTooLarge"},
	} {
		for _, chunked := range []bool{false, true} {
			r := w.echo()
			r.body = strings.Repeat("x", tt.size)
			r.header.Set("X-Amz-Target", tt.target)
			w.sign(r)
			if chunked {
				r.chunk(1000)
			}
			resp := w.send(r)
			want := map[string]int{"": 200, "RequestEntityTooLarge": 413, "UnknownOperationException": 400}[tt.code]
			if resp.StatusCode != want || tt.code != "" && resp.code() != tt.code {
				t.Errorf("%s with %d bytes, chunked %v: got %d %.100s, want %d %s", tt.target, tt.size, chunked, resp.StatusCode, resp.body, want, tt.code)
			}
			if tt.code == "" && resp.body != strings.Repeat("x", tt.size) {
				t.Errorf("chunked %v: the body came back as %d bytes", chunked, len(resp.body))
			}
		}
	}
}

// chunk puts the body into chunks of n bytes.
func (r *request) chunk(n int) {
	r.header["Transfer-Encoding"] = []string{"chunked"}
	var b strings.Builder
	for rest := r.body; rest != ""; {
		piece := rest[:min(n, len(rest))]
		rest = rest[len(piece):]
		b.WriteString(strconv.FormatInt(int64(len(piece)), 16) + "\r\n" + piece + "\r\n")
	}
	b.WriteString("0\r\n\r\n")
	r.body = b.String()
}

package awsjson_test

import (
	"bytes"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"
	"time"
)

// signedBytes is a request that succeeds, as it goes over the wire.
func (w *world) signedBytes() string { return string(w.sign(w.echo()).bytes()) }

// TestFraming sends what is not one plain HTTP/1.1 request with a length, where
// parsers that disagree let one request hide in another.
func TestFraming(t *testing.T) {
	w := newWorld(t)
	good := w.signedBytes()
	head, body, _ := strings.Cut(good, "\r\n\r\n")
	with := func(lines string) string { return head + "\r\n" + lines + "\r\n\r\n" + body }
	length := fmt.Sprintf("Content-Length: %d\r\n", len(body))
	line, rest, _ := strings.Cut(good, "\r\n")
	smuggled := w.signedBytes()

	for _, tt := range []struct {
		name, message string
		status        []int  // of each answer
		code          string // of the first
	}{
		{"as it should be", good, []int{200}, ""},
		{"two in a row", good + smuggled, []int{200, 200}, ""},
		{"bytes after the body", good + "GARBAGE\r\n\r\n", []int{200, 400}, ""},
		{"length and chunks", with("Transfer-Encoding: chunked"), []int{400}, "SerializationException"}, // the chunks count
		{"chunks and no chunk", strings.Replace(good, length, "Transfer-Encoding: chunked\r\n", 1), []int{400}, "SerializationException"},
		{"endless chunk size", strings.Replace(head, strings.TrimSpace(length), "Transfer-Encoding: chunked", 1) + "\r\n\r\nfffffffffffffffff\r\nx", []int{400}, "SerializationException"},
		{"unknown transfer encoding", strings.Replace(good, length, "Transfer-Encoding: gzip\r\n", 1), []int{501}, ""},
		{"two transfer encodings", strings.Replace(good, length, "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", 1), []int{501}, ""},
		{"two lengths that differ", with("Content-Length: 1"), []int{400}, ""},
		{"negative length", strings.Replace(good, length, "Content-Length: -1\r\n", 1), []int{400}, ""},
		{"length with a sign", strings.Replace(good, length, fmt.Sprintf("Content-Length: +%d\r\n", len(body)), 1), []int{400}, ""},
		{"length beyond numbers", strings.Replace(good, length, "Content-Length: 99999999999999999999\r\n", 1), []int{400}, ""},
		{"huge length", strings.Replace(good, length, "Content-Length: 9223372036854775807\r\n", 1), []int{413}, "RequestEntityTooLarge"},
		{"folded header", with("X-Folded: a\r\n b"), []int{200}, ""},
		{"space before the colon", with("X-Amz-Foo : b"), []int{400}, ""},
		{"header without a colon", with("nonsense"), []int{400}, ""},
		{"NUL in a header", with("X-Foo: a\x00b"), []int{400}, ""},
		{"no host", strings.Replace(good, "Host: "+w.addr+"\r\n", "", 1), []int{400}, ""},
		{"two hosts", with("Host: " + w.addr), []int{400}, ""},
		{"two hosts that differ", with("Host: kms.example.com"), []int{400}, ""},
		{"malformed host", strings.Replace(good, "Host: "+w.addr, "Host: a b", 1), []int{400}, ""},
		{"absolute target", strings.Replace(good, "POST / ", "POST http://"+w.addr+"/ ", 1), []int{400}, "InvalidSignatureException"},
		{"absolute target, other host", strings.Replace(good, "POST / ", "POST http://kms.example.com/ ", 1), []int{400}, "InvalidSignatureException"},
		{"no target", strings.Replace(good, "POST / ", "POST  ", 1), []int{400}, ""},
		{"asterisk", strings.Replace(good, "POST / ", "POST * ", 1), []int{400}, "UnknownOperationException"},
		{"a tunnel", "CONNECT kms.example.com:443 HTTP/1.1\r\n" + rest, []int{400}, "UnknownOperationException"},
		{"HTTP/1.0", strings.Replace(good, "HTTP/1.1", "HTTP/1.0", 1), []int{200}, ""},
		{"HTTP/1.9", strings.Replace(good, "HTTP/1.1", "HTTP/1.9", 1), []int{200}, ""},
		{"HTTP/9", strings.Replace(good, "HTTP/1.1", "HTTP/9.0", 1), []int{505}, ""},
		{"no version", strings.TrimSuffix(line, " HTTP/1.1") + "\r\n" + rest, []int{400}, ""},
		{"HTTP/2 without TLS", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", []int{400}, "UnknownOperationException"},
		{"TLS to a plain port", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + strings.Repeat("\x00", 512), []int{400}, ""},
		{"headers without end", with("X-Foo: " + strings.Repeat("x", 64<<10)), []int{431}, ""},
		{"many headers", with(strings.TrimSuffix(strings.Repeat("X-Foo: x\r\n", 8<<10), "\r\n")), []int{431}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			before := w.reached()
			w.t = t
			all := w.raw([]byte(tt.message), len(tt.status))
			var got []int
			for _, resp := range all {
				got = append(got, resp.StatusCode)
				checkHeader(t, resp)
			}
			if fmt.Sprint(got) != fmt.Sprint(tt.status) {
				t.Fatalf("got the answers %v, want %v", got, tt.status)
			}
			if code := all[0].code(); code != tt.code {
				t.Errorf("got %s, want %q", all[0].body, tt.code)
			}
			if n, want := w.reached()-before, strings.Count(fmt.Sprint(tt.status), "200"); n != want {
				t.Errorf("%d calls reached the service, want %d", n, want)
			}
		})
	}
}

// checkHeader fails where an answer lets a web page read it.
func checkHeader(t *testing.T, resp response) {
	t.Helper()
	for name := range resp.Header {
		if strings.HasPrefix(name, "Access-Control-") {
			t.Errorf("the answer has the header %s", name)
		}
	}
}

// TestUnfinishedBody: a client that stops sending is given up on.
func TestUnfinishedBody(t *testing.T) {
	w := newWorld(t)
	head, body, _ := strings.Cut(w.signedBytes(), "\r\n\r\n")

	t.Run("it waits", func(t *testing.T) {
		w.t = t
		start := time.Now()
		all := w.raw([]byte(head+"\r\n\r\n"+body[:3]), 1)
		if len(all) != 1 || all[0].code() != "SerializationException" {
			t.Errorf("got %+v", all)
		}
		if took := time.Since(start); took > 5*time.Second {
			t.Errorf("the server waited %v for the rest of a body", took)
		}
	})
	t.Run("it closes", func(t *testing.T) {
		w.t = t
		conn := w.dial()
		io.WriteString(conn, head+"\r\n\r\n"+body[:3])
		conn.(interface{ CloseWrite() error }).CloseWrite()
		if all := w.read(conn, 1); len(all) != 1 || all[0].code() != "SerializationException" {
			t.Errorf("got %+v", all)
		}
	})
	if n := w.reached(); n != 0 {
		t.Errorf("%d unfinished requests reached the service", n)
	}
}

// TestBodyUnread: a client that nobody knows cannot make the server read a body.
func TestBodyUnread(t *testing.T) {
	w := newWorld(t)
	r := w.echo()
	r.body = strings.Repeat("x", bodyLimit)
	message := bytes.Replace(w.sign(r).bytes(), []byte(w.creds.AccessKeyID), []byte("AKIAIOSFODNN7EXAMPLE"), 1)
	message = bytes.Replace(message, []byte("\r\n\r\n"), []byte("\r\nExpect: 100-continue\r\n\r\n"), 1)
	head, _, _ := bytes.Cut(message, []byte("\r\n\r\n"))
	all := w.raw(append(head, "\r\n\r\n"...), 1)
	if len(all) != 1 || all[0].StatusCode != 400 || all[0].code() != "UnrecognizedClientException" {
		t.Fatalf("got %+v, want a refusal without a request for the body", all)
	}
}

// TestHangUp: clients that send a request and are gone leave nothing behind: no
// goroutine, and no line in the log for each.
func TestHangUp(t *testing.T) {
	w := newWorld(t)
	w.send(w.sign(w.echo()))
	before := runtime.NumGoroutine()
	start := time.Now()
	for _, message := range []string{
		w.signedBytes(),
		strings.Replace(w.signedBytes(), w.creds.AccessKeyID, "AKIAIOSFODNN7EXAMPLE", 1),
		"POST / HTTP/1.1\r\nHost: " + w.addr + "\r\nContent-Length: 5\r\n\r\n",
		"POST / HTTP/1.1\r\nHo",
	} {
		for range 200 {
			conn := w.dial()
			io.WriteString(conn, message)
			conn.Close()
		}
	}
	if n := settle(before); n > before {
		t.Errorf("%d goroutines before, %d after", before, n)
	}
	// The first ten refusals are logged, then one a second.
	if n := strings.Count(w.log.String(), "\n"); n > 11+int(time.Since(start).Seconds()) {
		t.Errorf("800 clients that hung up left %d lines in the log:\n%s", n, w.log.String())
	}
}

// settle waits until there are at most want goroutines, and returns how many
// there are.
func settle(want int) int {
	for range 100 {
		if runtime.NumGoroutine() <= want {
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	return runtime.NumGoroutine()
}

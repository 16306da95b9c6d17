package httpd

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"reflect"
	"strings"
	"testing"
)

// plain is a request as aws-sdk-go-v2 sends it.
const plain = "POST / HTTP/1.1\r\nHost: 127.0.0.1:4599\r\nUser-Agent: aws-sdk-go-v2/1.41.7 ua/2.1 os/linux lang/go#1.26.8 md/GOOS#linux md/GOARCH#amd64 api/kms#1.50.5\r\nContent-Length: 16\r\nAmz-Sdk-Invocation-Id: 3b8f1c52-9f3e-4f0c-8f8e-0f4f1f0c7f52\r\nAmz-Sdk-Request: attempt=1; max=3\r\nAuthorization: AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20261122/us-east-1/kms/aws4_request, SignedHeaders=amz-sdk-invocation-id;content-length;content-type;host;x-amz-date;x-amz-target, Signature=5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7\r\nContent-Type: application/x-amz-json-1.1\r\nX-Amz-Date: 20261122T000000Z\r\nX-Amz-Target: TrentService.Encrypt\r\nAccept-Encoding: gzip\r\n\r\n{\"KeyId\":\"test\"}"

var template = &http.Request{Method: "POST", RequestURI: "/", Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1}

// FuzzParse: what is taken for a request here is the same request to net/http,
// whatever came before it.
func FuzzParse(f *testing.F) {
	f.Add([]byte(plain), []byte(plain))
	for _, old := range []string{"\r\n", "Host", ": ", "Content-Length: 16", "Accept-Encoding: gzip", "1.1", "X-Amz-Date"} {
		for _, new := range []string{"", "\n", "\r", " ", "\t", "Transfer-Encoding: chunked", "host", "Content-Length: 1", "Connection: close", "Connection: keep-alive, close", "Pragma: no-cache", "Cookie: a", "\x00", "\xc3\xa9", "Trailer: X-A", ":"} {
			for _, changed := range []string{
				strings.Replace(plain, old, new, 1),
				strings.ReplaceAll(plain, old, new),
				strings.Replace(plain, old, old+new, 1),
				strings.Replace(plain, old, old+"\r\n"+new, 1),
			} {
				f.Add([]byte(plain), []byte(changed))
				f.Add([]byte(changed), []byte(plain))
			}
		}
	}
	f.Fuzz(func(t *testing.T, before, b []byte) {
		p := newParser(template)
		p.parse(before)
		size, v := p.parse(b)
		if _, fresh := newParser(template).parse(b); v != fresh {
			t.Errorf("verdict %d; without a request before, %d", v, fresh)
		}
		if v != whole {
			if size != 0 {
				t.Errorf("%d bytes of no request", size)
			}
			return
		}
		for _, n := range []int{1, len(b) / 2, size - 1} {
			if _, v := newParser(template).parse(b[:min(n, size-1)]); v != partial {
				t.Errorf("the first %d of %d bytes are %d", n, size, v)
			}
		}
		r := bufio.NewReader(bytes.NewReader(b))
		want, err := http.ReadRequest(r)
		if err != nil {
			t.Fatalf("net/http refuses %q: %v", b, err)
		}
		wantBody, err := io.ReadAll(want.Body)
		if err != nil {
			t.Fatalf("net/http finds no whole body in %q: %v", b, err)
		}
		rest, _ := io.ReadAll(r)
		got := p.request
		gotBody, err := io.ReadAll(got.Body)
		if err != nil || !bytes.Equal(gotBody, wantBody) {
			t.Errorf("body %q, %v, want %q", gotBody, err, wantBody)
		}
		if len(rest) != len(b)-size {
			t.Errorf("%d bytes are left, want %d", len(b)-size, len(rest))
		}
		if !reflect.DeepEqual(got.Header, want.Header) {
			t.Errorf("header %v, want %v", got.Header, want.Header)
		}
		if got.Method != want.Method || got.Proto != want.Proto || got.RequestURI != want.RequestURI || *got.URL != *want.URL ||
			got.Host != want.Host || got.ContentLength != want.ContentLength || got.Close != want.Close ||
			len(want.TransferEncoding) > 0 || len(want.Trailer) > 0 {
			t.Errorf("got %+v, want %+v", got, want)
		}
	})
}

func TestParse(t *testing.T) {
	p := newParser(template)
	for range 2 {
		size, v := p.parse([]byte(plain + "POST /"))
		if v != whole || size != len(plain) {
			t.Fatalf("%d bytes, verdict %d", size, v)
		}
		if n := len(p.request.Header); n != 9 {
			t.Errorf("%d fields: %v", n, p.request.Header)
		}
	}
	many := strings.Replace(plain, "\r\n\r\n", "\r\n"+strings.Repeat("A: b\r\n", maxFields-10)+"\r\n", 1)
	if _, v := p.parse([]byte(many)); v != whole {
		t.Errorf("%d fields: %d", maxFields, v)
	}
	if _, v := p.parse([]byte(strings.Replace(many, "A: b\r\n", "A: b\r\nA: b\r\n", 1))); v != odd {
		t.Errorf("%d fields: %d", maxFields+1, v)
	}
}

// BenchmarkParse parses what a client sends over one connection: the signature,
// its time and the request's id are others each time.
func BenchmarkParse(b *testing.B) {
	p, requests := newParser(template), [2][]byte{[]byte(plain), []byte(strings.NewReplacer(
		"Signature=5d67", "Signature=ffff", "20261122T000000Z", "20261122T000001Z", "3b8f1c52", "00000000").Replace(plain))}
	b.ReportAllocs()
	b.SetBytes(int64(len(plain)))
	for n := 0; b.Loop(); n++ {
		if _, v := p.parse(requests[n%2]); v != whole {
			b.Fatal(v)
		}
	}
}

func BenchmarkReadRequest(b *testing.B) {
	b.ReportAllocs()
	b.SetBytes(int64(len(plain)))
	for b.Loop() {
		if _, err := http.ReadRequest(bufio.NewReader(strings.NewReader(plain))); err != nil {
			b.Fatal(err)
		}
	}
}

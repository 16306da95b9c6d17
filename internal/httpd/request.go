package httpd

import (
	"bytes"
	"io"
	"net/http"
	"net/textproto"
	"net/url"
	"strings"
)

// verdict is what the bytes read so far are.
type verdict uint8

const (
	whole   verdict = iota // a request, with its body
	partial                // the beginning of one, as far as one can see
	odd                    // anything else
)

const (
	requestLine = "POST / HTTP/1.1\r\n"
	endOfHead   = "\r\n\r\n"

	// maxRequest bounds a request, head and body. That of Encrypt with the 4096
	// bytes it takes has some 7 KiB.
	maxRequest = 16 << 10
	// maxFields bounds the fields of a header. SDKs send about ten.
	maxFields = 64
)

// parser turns bytes into an http.Request, which it uses again for the next.
type parser struct {
	request  *http.Request
	template *http.Request // of everything that is the same in all requests
	url      url.URL
	header   http.Header
	values   [maxFields]string // of the header
	body     body
}

func newParser(template *http.Request) *parser {
	return &parser{
		request:  new(http.Request),
		template: template,
		header:   make(http.Header, maxFields),
	}
}

// parse looks at b, and where it begins with a whole request of the form that
// this package answers, fills p.request and returns the request's length. It
// must not understand anything otherwise than net/http, which is what its fuzz
// test compares it with. The request is good until the next call, its strings
// for ever.
func (p *parser) parse(b []byte) (int, verdict) {
	n := min(len(b), len(requestLine))
	if string(b[:n]) != requestLine[:n] {
		return 0, odd
	}
	end := bytes.Index(b, []byte(endOfHead))
	switch {
	case end < 0 && len(b) < maxRequest:
		return 0, partial
	case end < 0:
		return 0, odd
	case end < len(requestLine): // no field at all
		return 0, odd
	}
	clear(p.header)
	host, length, ok := p.fields(string(b[len(requestLine) : end+2]))
	size := end + len(endOfHead) + length
	switch {
	case !ok || size > maxRequest:
		return 0, odd
	case size > len(b):
		return 0, partial
	}
	*p.request = *p.template
	p.url = url.URL{Path: "/"}
	p.body.unread = b[size-length : size]
	r := p.request
	r.URL, r.Host, r.Header, r.Body, r.ContentLength = &p.url, host, p.header, &p.body, int64(length)
	return size, whole
}

// fields parses the lines of a header, each with its end.
func (p *parser) fields(head string) (host string, length int, ok bool) {
	length = -1
	for n := 0; head != ""; n++ {
		var line string
		line, head, ok = strings.Cut(head, "\r\n")
		colon := strings.IndexByte(line, ':')
		if !ok || n == maxFields || colon < 1 || !isName(line[:colon]) {
			return "", 0, false
		}
		name, value := textproto.CanonicalMIMEHeaderKey(line[:colon]), strings.Trim(line[colon+1:], " \t")
		if !isValue(value) {
			return "", 0, false
		}
		switch name {
		case "Host":
			if host != "" || !isHost(value) {
				return "", 0, false
			}
			host = value
			continue // net/http has it beside the header
		case "Content-Length":
			if length >= 0 {
				return "", 0, false
			}
			if length, ok = parseLength(value); !ok {
				return "", 0, false
			}
		case "Connection":
			if !strings.EqualFold(value, "keep-alive") {
				return "", 0, false
			}
		case "Transfer-Encoding", "Trailer", "Te", "Expect", "Upgrade", "Pragma", "Keep-Alive", "Proxy-Connection", "Http2-Settings":
			return "", 0, false
		}
		if have := p.header[name]; have != nil {
			p.header[name] = append(have, value)
			continue
		}
		p.values[n] = value
		p.header[name] = p.values[n : n+1 : n+1]
	}
	return host, length, host != "" && length >= 0
}

// parseLength reads a length that may be one of a request here.
func parseLength(s string) (int, bool) {
	if len(s) == 0 || len(s) > len("16384") {
		return 0, false
	}
	n := 0
	for _, c := range []byte(s) {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = 10*n + int(c-'0')
	}
	return n, true
}

// The bytes that may stand in a field's name, its value, and the host. The name
// is a token of RFC 9110, section 5.6.2; the two others are less than standards
// allow.
var nameBytes, valueBytes, hostBytes = func() (name, value, host [256]bool) {
	const alphanumeric = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
	for _, c := range []byte("!#$%&'*+-.^_`|~" + alphanumeric) {
		name[c] = true
	}
	for _, c := range []byte("-.:[]" + alphanumeric) {
		host[c] = true
	}
	for c := byte(' '); c <= '~'; c++ {
		value[c] = true
	}
	value['\t'] = true
	return name, value, host
}()

func isName(s string) bool  { return all(s, &nameBytes) }
func isValue(s string) bool { return all(s, &valueBytes) }
func isHost(s string) bool  { return s != "" && all(s, &hostBytes) }

func all(s string, set *[256]bool) bool {
	for i := range len(s) {
		if !set[s[i]] {
			return false
		}
	}
	return true
}

// body is a request's body, which has been read.
type body struct{ unread []byte }

// Read implements io.Reader.
func (r *body) Read(b []byte) (int, error) {
	n := copy(b, r.unread)
	r.unread = r.unread[n:]
	if len(r.unread) == 0 {
		return n, io.EOF
	}
	return n, nil
}

// Close implements io.Closer.
func (r *body) Close() error { return nil }

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
	fields   []field           // of the header, or none where it cannot come again
	values   [maxFields]string // of the header's fields
	host     string
	length   int // of the body; -1 where it is not known
	body     body
}

// field is a line of the header.
type field struct {
	line  string // as it came, with its end
	colon int
	name  string // in canonical form
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
	head := b[len(requestLine) : end+2]
	ok := p.again(head) || p.anew(head)
	size := end + len(endOfHead) + p.length
	switch {
	case !ok:
		p.fields = p.fields[:0]
		return 0, odd
	case size > maxRequest:
		return 0, odd
	case size > len(b):
		return 0, partial
	}
	*p.request = *p.template
	p.url = url.URL{Path: "/"}
	p.body.unread = b[size-p.length : size : size]
	r := p.request
	r.URL, r.Host, r.Header, r.Body, r.ContentLength = &p.url, p.host, p.header, &p.body, int64(p.length)
	return size, whole
}

// again parses a header that has the fields of the last one, in their order, as
// a client's requests over one connection have. It looks at the values that are
// others, and leaves to anew what it cannot read.
func (p *parser) again(head []byte) bool {
	for n := range p.fields {
		f := &p.fields[n]
		if len(head) >= len(f.line) && string(head[:len(f.line)]) == f.line {
			head = head[len(f.line):]
			continue
		}
		end := bytes.IndexByte(head, '\n') + 1
		if end <= f.colon || string(head[:f.colon+1]) != f.line[:f.colon+1] {
			return false
		}
		f.line = string(head[:end])
		head = head[end:]
		if !p.set(n, f) {
			return false
		}
	}
	return len(p.fields) > 0 && len(head) == 0
}

// anew parses the lines of a header, each with its end.
func (p *parser) anew(head []byte) bool {
	clear(p.header)
	p.fields, p.host, p.length = p.fields[:0], "", -1
	repeated := false
	for rest := string(head); rest != ""; {
		n, end := len(p.fields), strings.IndexByte(rest, '\n')+1
		f := field{line: rest[:end]}
		rest = rest[end:]
		f.colon = strings.IndexByte(f.line, ':')
		if n == maxFields || f.colon < 1 || !isName(f.line[:f.colon]) {
			return false
		}
		f.name = textproto.CanonicalMIMEHeaderKey(f.line[:f.colon])
		if f.name == "Host" && p.host != "" || f.name == "Content-Length" && p.length >= 0 || !p.set(n, &f) {
			return false
		}
		p.fields = append(p.fields, f)
		switch have := p.header[f.name]; {
		case f.name == "Host": // net/http has it beside the header
		case have != nil:
			repeated = true
			p.header[f.name] = append(have, p.values[n])
		default:
			p.header[f.name] = p.values[n : n+1 : n+1]
		}
	}
	if repeated {
		p.fields = p.fields[:0] // values lie elsewhere
	}
	return p.host != "" && p.length >= 0
}

// set makes the n-th field's value what its line says.
func (p *parser) set(n int, f *field) (ok bool) {
	line, ok := strings.CutSuffix(f.line, "\r\n")
	value := strings.Trim(line[f.colon+1:], " \t")
	if !ok || !isValue(value) {
		return false
	}
	switch f.name {
	case "Host":
		if !isHost(value) {
			return false
		}
		p.host = value
	case "Content-Length":
		if p.length, ok = parseLength(value); !ok {
			return false
		}
	case "Connection":
		if !strings.EqualFold(value, "keep-alive") {
			return false
		}
	case "Transfer-Encoding", "Trailer", "Te", "Expect", "Upgrade", "Pragma", "Keep-Alive", "Proxy-Connection", "Http2-Settings":
		return false
	}
	p.values[n] = value
	return true
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

// Rest returns what Read has not, without a copy. The memory is the connection's,
// which wipes it when the handler has returned; until then it may be changed.
func (r *body) Rest() []byte {
	rest := r.unread
	r.unread = nil
	return rest
}

// Close implements io.Closer.
func (r *body) Close() error { return nil }

package sigv4

import (
	"bytes"
	"encoding/hex"
	"slices"
	"strings"
)

// appendCanonicalRequest appends the canonical request: method, path, query,
// signed headers with their values, the list of their names, and the body's
// hash. It reports false where a part has no canonical form or a signed header
// is absent; no signature is right for such a request.
func appendCanonicalRequest(dst []byte, r *Request, service, signedHeaders string, bodyHash *[32]byte) ([]byte, bool) {
	dst = append(dst, r.Method...)
	dst = append(dst, '\n')
	dst, ok := appendPath(dst, r.Path, service)
	if !ok {
		return dst, false
	}
	dst = append(dst, '\n')
	if dst, ok = appendQuery(dst, r.RawQuery); !ok {
		return dst, false
	}
	dst = append(dst, '\n')
	if dst, ok = appendHeaders(dst, r, signedHeaders); !ok {
		return dst, false
	}
	dst = append(dst, '\n')
	dst = append(dst, signedHeaders...)
	dst = append(dst, '\n')
	return hex.AppendEncode(dst, bodyHash[:]), true
}

// appendPath appends the canonical path. For all services but S3 that is the
// path as sent, without empty and dot segments, encoded once more: a space is
// sent as %20 and signed as %2520. S3 signs the path as sent.
func appendPath(dst []byte, path, service string) ([]byte, bool) {
	if path == "" || path == "/" {
		return append(dst, '/'), true
	}
	if path[0] != '/' {
		return dst, false
	}
	if service == "s3" {
		return appendReencoded(dst, path, "/", false)
	}
	start := len(dst)
	for segment := range strings.SplitSeq(path, "/") {
		switch segment {
		case "", ".":
		case "..":
			// Back to before the last segment; at the root there is none.
			dst = dst[:start+max(0, bytes.LastIndexByte(dst[start:], '/'))]
		default:
			dst = append(dst, '/')
			for i := range len(segment) {
				dst = appendEncoded(dst, segment[i])
			}
		}
	}
	if len(dst) == start || path[len(path)-1] == '/' {
		dst = append(dst, '/')
	}
	return dst, true
}

// appendQuery appends the canonical query: every parameter encoded anew, with
// an equal sign, in the order of the encoded names and then values. A plus is
// a space, as in the decoding of forms, so that a parameter's signature covers
// the value that a service will read from it.
func appendQuery(dst []byte, rawQuery string) ([]byte, bool) {
	if rawQuery == "" {
		return dst, true
	}
	type param struct{ name, value string }
	var params []param
	var buf []byte
	for pair := range strings.SplitSeq(rawQuery, "&") {
		if pair == "" {
			continue
		}
		name, value, _ := strings.Cut(pair, "=")
		var ok bool
		if buf, ok = appendReencoded(buf[:0], name, "", true); !ok {
			return dst, false
		}
		split := len(buf)
		if buf, ok = appendReencoded(buf, value, "", true); !ok {
			return dst, false
		}
		both := string(buf)
		params = append(params, param{both[:split], both[split:]})
	}
	slices.SortFunc(params, func(a, b param) int {
		if c := strings.Compare(a.name, b.name); c != 0 {
			return c
		}
		return strings.Compare(a.value, b.value)
	})
	for i, p := range params {
		if i > 0 {
			dst = append(dst, '&')
		}
		dst = append(dst, p.name...)
		dst = append(dst, '=')
		dst = append(dst, p.value...)
	}
	return dst, true
}

// appendReencoded decodes s and encodes it anew, so that each text has one
// form ("%2d" and "-" are the same). Characters in keep stay as they are. It
// reports false for a percent sign without two hex digits.
func appendReencoded(dst []byte, s, keep string, plusIsSpace bool) ([]byte, bool) {
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case c == '%':
			if i+2 >= len(s) {
				return dst, false
			}
			hi, lo := unhex(s[i+1]), unhex(s[i+2])
			if hi > 15 || lo > 15 {
				return dst, false
			}
			c = hi<<4 | lo
			i += 2
		case c == '+' && plusIsSpace:
			c = ' '
		}
		if strings.IndexByte(keep, c) >= 0 {
			dst = append(dst, c)
		} else {
			dst = appendEncoded(dst, c)
		}
	}
	return dst, true
}

// appendEncoded appends c percent-encoded, unless it is one of RFC 3986's
// unreserved characters.
func appendEncoded(dst []byte, c byte) []byte {
	switch {
	case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9',
		c == '-', c == '.', c == '_', c == '~':
		return append(dst, c)
	}
	const digits = "0123456789ABCDEF"
	return append(dst, '%', digits[c>>4], digits[c&15])
}

// unhex returns the value of a hex digit of either case, or 255.
func unhex(c byte) byte {
	switch {
	case '0' <= c && c <= '9':
		return c - '0'
	case 'a' <= c && c <= 'f':
		return c - 'a' + 10
	case 'A' <= c && c <= 'F':
		return c - 'A' + 10
	}
	return 255
}

// appendHeaders appends a line for each signed header: its name, and its
// values joined by commas.
func appendHeaders(dst []byte, r *Request, signedHeaders string) ([]byte, bool) {
	var buf [64]byte
	for name := range strings.SplitSeq(signedHeaders, ";") {
		dst = append(dst, name...)
		dst = append(dst, ':')
		if name == "host" {
			dst = appendTrimmed(dst, r.Host)
			dst = append(dst, '\n')
			continue
		}
		values := r.Header[string(appendCanonicalName(buf[:0], name))]
		if len(values) == 0 {
			return dst, false
		}
		for i, value := range values {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = appendTrimmed(dst, value)
		}
		dst = append(dst, '\n')
	}
	return dst, true
}

// appendTrimmed appends a header's value without spaces around it and with
// each run of spaces in it as one. Tabs are spaces here, as they are to
// botocore and the SDK for JavaScript.
func appendTrimmed(dst []byte, value string) []byte {
	value = trim(value)
	if strings.IndexByte(value, ' ') < 0 && strings.IndexByte(value, '\t') < 0 {
		return append(dst, value...)
	}
	space := false
	for i := range len(value) {
		c := value[i]
		if isSpace(c) {
			space = true
			continue
		}
		if space {
			dst = append(dst, ' ')
			space = false
		}
		dst = append(dst, c)
	}
	return dst
}

package sigv4

import "strings"

// Limits of what Authorization may hold. AWS publishes none; SDKs stay far
// below them (their longest headers have some 30 signed headers).
const (
	maxAuthorization = 8 << 10 // bytes
	maxAccessKeyID   = 128     // IAM's own limit
	maxScopeElement  = 64
)

// authorization is the Authorization header:
//
//	AWS4-HMAC-SHA256 Credential=<key id>/<scope>, SignedHeaders=<a;b;c>, Signature=<hex>
//
// The parameters come in any order, with or without spaces around the commas.
type authorization struct {
	credential    string
	signedHeaders string
	signature     string
}

func parseAuthorization(header string) (authorization, error) {
	var a authorization
	if len(header) > maxAuthorization || !isPrintable(header) {
		return a, authorizationError("Malformed Authorization header", header)
	}
	name, rest, _ := strings.Cut(trim(header), " ")
	if strings.Contains(name, "=") {
		return a, errNoAlgorithm
	}
	if rest = trim(rest); rest == "" {
		return a, nil
	}
	var seen [3]bool
	for param := range strings.SplitSeq(rest, ",") {
		key, value, ok := strings.Cut(trim(param), "=")
		if !ok {
			return a, authorizationError("Invalid key=value pair (missing equal-sign) in Authorization header", header)
		}
		if name != algorithm {
			return a, algorithmError(name)
		}
		var i int
		switch key {
		case "Credential":
			i, a.credential = 0, value
		case "SignedHeaders":
			i, a.signedHeaders = 1, value
		case "Signature":
			i, a.signature = 2, value
		default:
			return a, authorizationError("Unknown parameter in Authorization header", header)
		}
		if seen[i] {
			return a, authorizationError("Repeated parameter in Authorization header", header)
		}
		seen[i] = true
	}
	return a, nil
}

// checkComplete refuses a request that lacks a parameter or a date, and names
// all that it lacks, as AWS does.
func (a *authorization) checkComplete(header string, hasDate bool) error {
	if a.credential != "" && a.signature != "" && a.signedHeaders != "" && hasDate {
		return nil
	}
	var missing []string
	for _, param := range []struct{ name, value string }{
		{"Credential", a.credential}, {"Signature", a.signature}, {"SignedHeaders", a.signedHeaders},
	} {
		if param.value == "" {
			missing = append(missing, "Authorization header requires '"+param.name+"' parameter.")
		}
	}
	if !hasDate {
		missing = append(missing, "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header.")
	}
	return incompleteError(missing, header)
}

// setCredential takes Credential apart: key id/date/Region/service/terminator.
// Whether the scope is right is for checkScope, after the time was checked.
func (s *Signed) setCredential(credential string) error {
	if strings.ContainsAny(credential, " \t") {
		return credentialError(credential)
	}
	var elements [5]string
	n := 0
	for element := range strings.SplitSeq(credential, "/") {
		limit := maxScopeElement
		if n == 0 {
			limit = maxAccessKeyID
		}
		if n == len(elements) || element == "" || len(element) > limit {
			return credentialError(credential)
		}
		elements[n] = element
		n++
	}
	if n != len(elements) {
		return credentialError(credential)
	}
	s.AccessKeyID, s.Date, s.Region, s.Service = elements[0], elements[1], elements[2], elements[3]
	s.scope = credential[len(s.AccessKeyID)+1:]
	return nil
}

func (s *Signed) checkScope() error {
	if end := s.scope[strings.LastIndexByte(s.scope, '/')+1:]; end != terminator {
		return terminatorError(end)
	}
	if day := s.timestamp[:len("20060102")]; s.Date != day {
		return scopeDateError(s.Date, day, s.timestamp)
	}
	return nil
}

// validSignedHeaders tells whether the list is of header names in lower case,
// each greater than the one before it. One order and one case leave one way to
// write a list.
func validSignedHeaders(list string) bool {
	previous := ""
	for name := range strings.SplitSeq(list, ";") {
		if name <= previous {
			return false
		}
		for i := range len(name) {
			if c := name[i]; !isToken(c) || 'A' <= c && c <= 'Z' {
				return false
			}
		}
		previous = name
	}
	return true
}

// isPrintable tells whether s is of visible ASCII, spaces and tabs, so that
// parts of it may stand in an error message.
func isPrintable(s string) bool {
	for i := range len(s) {
		if c := s[i]; (c < ' ' || c > '~') && c != '\t' {
			return false
		}
	}
	return true
}

// trim returns s without spaces and tabs around it. For a set of two characters
// strings.Trim builds a table on each call.
func trim(s string) string {
	for s != "" && isSpace(s[0]) {
		s = s[1:]
	}
	for s != "" && isSpace(s[len(s)-1]) {
		s = s[:len(s)-1]
	}
	return s
}

func isSpace(c byte) bool { return c == ' ' || c == '\t' }

// isCanonicalName tells whether a header's name is as MIME's canonical form
// has it: capitals at the start and after each hyphen, and nowhere else.
func isCanonicalName(name string) bool {
	start := true
	for i := range len(name) {
		c := name[i]
		if !isToken(c) || start && 'a' <= c && c <= 'z' || !start && 'A' <= c && c <= 'Z' {
			return false
		}
		start = c == '-'
	}
	return name != ""
}

// appendCanonicalName appends a name given in lower case in MIME's canonical form.
func appendCanonicalName(dst []byte, lower string) []byte {
	start := true
	for i := range len(lower) {
		c := lower[i]
		if start && 'a' <= c && c <= 'z' {
			c -= 'a' - 'A'
		}
		dst = append(dst, c)
		start = c == '-'
	}
	return dst
}

// isToken tells whether c may occur in a header's name: tchar of RFC 9110
// section 5.6.2.
func isToken(c byte) bool { return tokens[c] }

var tokens = func() (set [256]bool) {
	const chars = "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
	for i := range len(chars) {
		set[chars[i]] = true
	}
	return set
}()

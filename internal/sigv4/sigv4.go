// Package sigv4 verifies AWS Signature Version 4 in its header form, and signs
// with it for Keywright's own clients and tests.
//
// Verifying has two phases, because the access key is looked up before the
// body is read:
//
//	signed, err := sigv4.Parse(&req, time.Now())     // form, required headers, time, scope
//	...                                              // Region, service, access key, body
//	err = signed.Verify(signingKey, bodyHash)        // body hash, signature
//
// A caller that stops after Parse has authenticated nobody.
//
// The package is pure: it does no I/O, has no clock, knows nothing of access
// keys, sessions or accounts, and takes requests without net/http's types. It
// does not verify presigned URLs, SigV4a, or S3's unsigned and chunked payloads.
//
// The algorithm is AWS's "Create a signed AWS API request" (IAM User Guide).
// Where the guide leaves room, what the SDKs sign decides, and where they
// differ, that form is taken under which no two requests of different meaning
// share a signature.
package sigv4

import (
	"strings"
	"time"
)

const (
	algorithm  = "AWS4-HMAC-SHA256"
	terminator = "aws4_request"
)

// Request is what of an HTTP request is signed, but for its body. Nothing in
// it may change until Verify has returned.
type Request struct {
	Method string
	// Path and RawQuery are the request target as it came over the wire, on
	// the two sides of its first '?': still percent-encoded, not cleaned. An
	// empty Path is "/".
	Path     string
	RawQuery string
	// Host is the Host header, or :authority in HTTP/2.
	Host string
	// Header is every other header, under its name in the canonical form of
	// MIME ("X-Amz-Date"), its values in the order they came. An http.Header,
	// as net/http's server fills it, can be assigned as it is.
	Header map[string][]string
}

// Signed is a request whose signature was found well-formed, timely and
// complete by Parse, but which no key has verified yet: until Verify returns
// nil, every field is a claim.
type Signed struct {
	AccessKeyID string // 1 to 128 visible ASCII characters
	// Date, Region and Service are the credential scope. Date is YYYYMMDD and
	// the date of Time. Region and Service are 1 to 64 visible ASCII
	// characters; whether they are right is for the caller to say, with
	// RegionError and ServiceError if not.
	Date, Region, Service string
	SessionToken          string    // X-Amz-Security-Token, empty if absent
	Time                  time.Time // when the client signed, in UTC, whole seconds
	Signature             [32]byte

	req           Request
	timestamp     string // Time as the string to sign has it
	scope         string // date/region/service/aws4_request
	signedHeaders string // as in Authorization; sorted, unique, lower case
	contentSHA256 string // X-Amz-Content-Sha256, 64 hex digits, empty if absent
}

// Parse takes apart the signature of a request that arrived at now, which is
// wall time. The checks are, in this order:
//
//   - there is one Authorization header, of SigV4's form, and a date;
//   - every other header that security rests on occurs at most once
//     (X-Amz-Date, Date, X-Amz-Security-Token, X-Amz-Content-Sha256, Host,
//     X-Amz-Target, Content-Type);
//   - Host, the date used, Content-Type and every X-Amz-* header present are signed;
//   - X-Amz-Content-Sha256, if present, is a hash;
//   - the date is within MaxSkew of now, in whole seconds;
//   - the scope is of that date and ends in aws4_request.
//
// X-Amz-Date, where present, is the date used; else it is Date. The error is
// an *Error to be answered to the client. Parse neither changes nor keeps r,
// but the result refers to its strings and its Header.
func Parse(r *Request, now time.Time) (Signed, error) {
	auth, ok := first(r.Header, "Authorization")
	if !ok {
		if isPresigned(r.RawQuery) {
			return Signed{}, errPresigned
		}
		return Signed{}, ErrMissingToken
	}
	if len(r.Header["Authorization"]) > 1 {
		return Signed{}, repeatedError("Authorization")
	}
	a, err := parseAuthorization(auth)
	if err != nil {
		return Signed{}, err
	}
	dateHeader := "X-Amz-Date"
	date, ok := first(r.Header, dateHeader)
	if !ok {
		dateHeader = "Date"
		date, ok = first(r.Header, dateHeader)
	}
	if err := a.checkComplete(auth, ok); err != nil {
		return Signed{}, err
	}

	s := Signed{req: *r, signedHeaders: a.signedHeaders}
	if err := s.setCredential(a.credential); err != nil {
		return Signed{}, err
	}
	if !validSignedHeaders(s.signedHeaders) {
		return Signed{}, signedHeadersError(s.signedHeaders)
	}
	if !decodeHash(&s.Signature, a.signature) {
		return Signed{}, ErrSignature
	}
	if err := s.checkHeaders(dateHeader); err != nil {
		return Signed{}, err
	}
	s.SessionToken, _ = first(r.Header, "X-Amz-Security-Token")
	if s.contentSHA256, ok = first(r.Header, "X-Amz-Content-Sha256"); ok {
		var hash [32]byte
		if !decodeHash(&hash, s.contentSHA256) {
			return Signed{}, errContentForm
		}
	}
	if s.timestamp, s.Time, ok = parseDate(dateHeader, date); !ok {
		return Signed{}, dateError(date)
	}
	if err := checkSkew(s.Time, now); err != nil {
		return Signed{}, err
	}
	if err := s.checkScope(); err != nil {
		return Signed{}, err
	}
	return s, nil
}

// checkHeaders refuses a request with a header that may occur once and occurs
// twice, with a name not in canonical form, which look-ups would miss, or with
// a header that must be signed and is not.
func (s *Signed) checkHeaders(dateHeader string) error {
	unsigned := ""
	for name, values := range s.req.Header {
		if !isCanonicalName(name) {
			return headerNameError(name)
		}
		if len(values) == 0 {
			continue
		}
		mustSign := strings.HasPrefix(name, "X-Amz-") || name == dateHeader
		switch name {
		case "Content-Type":
			mustSign = true
			fallthrough
		case "X-Amz-Date", "Date", "X-Amz-Security-Token", "X-Amz-Content-Sha256", "X-Amz-Target":
			if len(values) > 1 {
				return repeatedError(name)
			}
		case "Host": // the first is Request.Host
			return repeatedError(name)
		}
		// Of several the first by name is reported, so that the same request
		// always has the same answer.
		if mustSign && (unsigned == "" || name < unsigned) && !isSigned(s.signedHeaders, name) {
			unsigned = name
		}
	}
	if s.req.Host == "" || !isSigned(s.signedHeaders, "Host") {
		return errHostUnsigned
	}
	if unsigned != "" {
		return unsignedError(unsigned)
	}
	return nil
}

// isSigned tells whether a header is in the list of SignedHeaders.
func isSigned(signedHeaders, name string) bool {
	for signed := range strings.SplitSeq(signedHeaders, ";") {
		if strings.EqualFold(signed, name) {
			return true
		}
	}
	return false
}

// isPresigned tells whether the query holds a signature. It only chooses the
// words of a refusal.
func isPresigned(rawQuery string) bool {
	for pair := range strings.SplitSeq(rawQuery, "&") {
		switch name, _, _ := strings.Cut(pair, "="); name {
		case "X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Signature":
			return true
		}
	}
	return false
}

func first(header map[string][]string, name string) (string, bool) {
	values := header[name]
	if len(values) == 0 {
		return "", false
	}
	return values[0], true
}

package sigv4

import (
	"encoding/hex"
	"errors"
	"slices"
	"strings"
	"time"
)

// Signer signs requests with one access key. It is for clients: Keywright's
// own tools and tests. Printing it does not show the secret.
type Signer struct {
	accessKeyID  string
	secret       string
	sessionToken string
}

// NewSigner returns a Signer for an access key. The session token is empty for
// a key without one.
func NewSigner(accessKeyID, secret, sessionToken string) Signer {
	return Signer{accessKeyID, secret, sessionToken}
}

// String names the access key.
func (s Signer) String() string { return "sigv4.Signer(" + s.accessKeyID + ")" }

// GoString is String: %#v must not show the secret either.
func (s Signer) GoString() string { return s.String() }

// Sign signs r as of at for a body of this SHA-256, and sets its X-Amz-Date,
// X-Amz-Security-Token and Authorization headers. All other headers must be
// set before; those that a proxy or an HTTP client may change on the way
// (Connection, User-Agent, Content-Length ...) are not signed. It fails if a
// header's name or the path or query is malformed.
func (s Signer) Sign(r *Request, region, service string, at time.Time, bodyHash [32]byte) error {
	if r.Header == nil {
		r.Header = make(map[string][]string)
	}
	timestamp := at.UTC().Format(isoBasic)
	delete(r.Header, "Authorization")
	delete(r.Header, "X-Amz-Security-Token")
	r.Header["X-Amz-Date"] = []string{timestamp}
	if s.sessionToken != "" {
		r.Header["X-Amz-Security-Token"] = []string{s.sessionToken}
	}
	names := []string{"host"}
	for name, values := range r.Header {
		if !isCanonicalName(name) || name == "Host" {
			return errors.New("signing request: malformed header name " + name)
		}
		if lower := strings.ToLower(name); len(values) > 0 && isSignable(lower) {
			names = append(names, lower)
		}
	}
	slices.Sort(names)

	date := timestamp[:len("20060102")]
	signed := Signed{
		Service:       service,
		req:           *r,
		timestamp:     timestamp,
		scope:         date + "/" + region + "/" + service + "/" + terminator,
		signedHeaders: strings.Join(names, ";"),
	}
	key := SigningKey(s.secret, date, region, service)
	signature, ok := signed.sign(&key, &bodyHash)
	if !ok {
		return errors.New("signing request: malformed path or query")
	}
	r.Header["Authorization"] = []string{algorithm +
		" Credential=" + s.accessKeyID + "/" + signed.scope +
		", SignedHeaders=" + signed.signedHeaders +
		", Signature=" + hex.EncodeToString(signature[:])}
	return nil
}

func isSignable(lower string) bool {
	switch lower {
	case "connection", "content-length", "expect", "keep-alive", "te", "trailer",
		"transfer-encoding", "upgrade", "user-agent", "x-amzn-trace-id":
		return false
	}
	return !strings.HasPrefix(lower, "proxy-")
}

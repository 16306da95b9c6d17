package sigv4

import (
	"crypto/sha256"
	"encoding/base64"
	"strings"
	"time"
)

// The codes of AWS's common errors that authentication answers with.
const (
	codeMissingToken  = "MissingAuthenticationTokenException"
	codeIncomplete    = "IncompleteSignatureException"
	codeInvalid       = "InvalidSignatureException"
	codeUnrecognized  = "UnrecognizedClientException"
	codeExpiredToken  = "ExpiredTokenException"
	mustBeSigned      = " must be a 'SignedHeader' in the AWS Authorization."
	hashedExplanation = "ashed with SHA-256 and encoded with Base64)"
)

// Error is an answer to a client whose request was not authenticated, in AWS's
// words wherever AWS has them. Every error of this package is one. Its text is
// printable ASCII, of bounded length, and holds neither a secret nor the
// string to sign.
type Error struct {
	Code    string // "InvalidSignatureException"
	Message string
}

func (e *Error) Error() string { return e.Code + ": " + e.Message }

// Errors that are the same for every request. ErrUnrecognizedClient and
// ErrExpiredToken are not returned by this package, but by those who look up
// access keys and session tokens.
var (
	// ErrMissingToken: the request is not signed.
	ErrMissingToken = &Error{codeMissingToken, "Missing Authentication Token"}
	// ErrSignature: the signature is not that of this request under this key.
	ErrSignature = &Error{codeInvalid, "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method. Consult the service documentation for details."}
	// ErrUnrecognizedClient: the access key is unknown or inactive, or its
	// session token is missing or not its own.
	ErrUnrecognizedClient = &Error{codeUnrecognized, "The security token included in the request is invalid."}
	// ErrExpiredToken: the session has ended.
	ErrExpiredToken = &Error{codeExpiredToken, "The security token included in the request is expired"}

	errPresigned    = &Error{codeMissingToken, "Missing Authentication Token: presigned URLs are not supported. Sign the request with an Authorization header."}
	errNoAlgorithm  = &Error{codeIncomplete, "Authorization header must begin with the algorithm name, which cannot include an equal-sign."}
	errHostUnsigned = &Error{codeInvalid, "'Host' or ':authority'" + mustBeSigned}
	errContentForm  = &Error{codeInvalid, "'X-Amz-Content-Sha256' must be the SHA-256 of the body in lower-case hex. Unsigned and streaming payloads are not supported."}
	errContent      = &Error{codeInvalid, "The provided 'x-amz-content-sha256' header does not match what was computed."}
)

// RegionError answers a request whose credential scope names a Region that is
// not served.
func RegionError(region string) *Error {
	return &Error{codeInvalid, "Credential should be scoped to a valid region, not '" + shorten(region) + "'. "}
}

// ServiceError answers a request whose credential scope names another service
// than the one it was sent to, which is want.
func ServiceError(want string) *Error {
	return &Error{codeInvalid, "Credential should be scoped to correct service: '" + want + "'. "}
}

func terminatorError(got string) *Error {
	return &Error{codeInvalid, "Credential should be scoped with a valid terminator: '" + terminator + "', not '" + shorten(got) + "'."}
}

func scopeDateError(scope, day, timestamp string) *Error {
	return &Error{codeInvalid, "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: '" +
		shorten(scope) + "' != '" + day + "', from '" + timestamp + "'."}
}

func credentialError(got string) *Error {
	return &Error{codeIncomplete, "Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term, got '" + shorten(got) + "'"}
}

func algorithmError(got string) *Error {
	return &Error{codeIncomplete, "Unsupported AWS 'algorithm': '" + shorten(got) + "'"}
}

func signedHeadersError(got string) *Error {
	return &Error{codeIncomplete, "'SignedHeaders' must be sorted header names in lower case, each once, separated by semicolons, got '" + shorten(got) + "'"}
}

func unsignedError(name string) *Error {
	return &Error{codeInvalid, "'" + name + "'" + mustBeSigned}
}

func repeatedError(name string) *Error {
	return &Error{codeIncomplete, "The request must have no more than one '" + name + "' header."}
}

func headerNameError(name string) *Error {
	return &Error{codeIncomplete, "The request has a header with a malformed name: '" + printable(name) + "'"}
}

func dateError(got string) *Error {
	return &Error{codeIncomplete, "Date must be in ISO-8601 'basic format'. Got '" + printable(got) + "'. See http://en.wikipedia.org/wiki/ISO_8601"}
}

func expiredError(t, now time.Time) *Error {
	return &Error{codeInvalid, "Signature expired: " + t.Format(isoBasic) + " is now earlier than " +
		now.Add(-MaxSkew).Format(isoBasic) + " (" + now.Format(isoBasic) + " - 5 min.)"}
}

func notYetError(t, now time.Time) *Error {
	return &Error{codeInvalid, "Signature not yet current: " + t.Format(isoBasic) + " is still later than " +
		now.Add(MaxSkew).Format(isoBasic) + " (" + now.Format(isoBasic) + " + 5 min.)"}
}

// The errors below show Authorization as a hash, as AWS does: it may hold a
// bearer token or a password that was meant for somebody else.

func authorizationError(problem, header string) *Error {
	return &Error{codeIncomplete, problem + " (h" + hashedExplanation + ": '" + hashed(header) + "'."}
}

func incompleteError(missing []string, header string) *Error {
	return &Error{codeIncomplete, strings.Join(missing, " ") + " (H" + hashedExplanation + " Authorization=" + hashed(header)}
}

func hashed(header string) string {
	sum := sha256.Sum256([]byte(header))
	return base64.StdEncoding.EncodeToString(sum[:])
}

// shorten bounds what is echoed of a request.
func shorten(s string) string {
	const limit = 256
	if len(s) > limit {
		return s[:limit] + "..."
	}
	return s
}

// printable is shorten for what isPrintable has not seen: it echoes only what
// can stand in any log or answer.
func printable(s string) string {
	if !isPrintable(s) {
		return ""
	}
	return shorten(s)
}

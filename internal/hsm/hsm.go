// Package hsm is the one door to plaintext key material. A Module makes,
// holds and uses keys; outside it they exist only as tokens, sealed under the
// Module's own domain keys. What a token may do (its spec, usage, owner) is
// authenticated in the token itself and read from there, never taken from the
// caller, so a caller that mixes up its records cannot make a Module use a key
// for what it was not made for.
//
// The package holds the contract; softhsm is the Module in software, and
// hsmtest checks every Module against this file. It is not a policy engine: a
// Module knows nothing of principals, key states or requests.
package hsm

import (
	"context"
	"errors"
)

// The errors callers branch on.
var (
	// ErrInvalidCiphertext: a body did not open, for whatever reason (changed,
	// truncated, other additional data, other key). There is one error for all
	// of them; the Module does not tell, so nobody can ask.
	ErrInvalidCiphertext = errors.New("hsm: invalid ciphertext")
	// ErrInvalidToken: a token did not open: damaged, of an unknown domain
	// key, or of another Module.
	ErrInvalidToken = errors.New("hsm: invalid key token")
	// ErrWrongUsage: the token is not for this operation.
	ErrWrongUsage = errors.New("hsm: key token is not for this operation")
	// ErrUnsupported: this Module cannot do that.
	ErrUnsupported = errors.New("hsm: not supported by this module")
	// ErrClosed: the Module was closed.
	ErrClosed = errors.New("hsm: module closed")
)

// Spec is what a key is, in the words of the AWS KMS API (KeySpec).
type Spec string

// Usage is what a key is for, in the words of the AWS KMS API (KeyUsage).
type Usage string

// Origin is where a key's material came from, in the words of the AWS KMS API.
type Origin string

// The specs, usages and origins known so far.
const (
	SpecSymmetricDefault Spec = "SYMMETRIC_DEFAULT" // 256-bit AES material
	// SpecSigV4Secret is the secret of an access key. It is no KMS key: such a
	// token is good for SigningKey alone.
	SpecSigV4Secret Spec = "SIGV4_SECRET"

	UsageEncryptDecrypt Usage = "ENCRYPT_DECRYPT"
	UsageSignRequests   Usage = "SIGN_REQUESTS" // SpecSigV4Secret

	OriginAWSKMS   Origin = "AWS_KMS"  // made by the Module
	OriginExternal Origin = "EXTERNAL" // came from outside
)

// Attributes are authenticated in a token. Account and KeyID say whose it is:
// a 12-digit account and the key id (or, for a SigV4 secret, the access key
// id): 1 to 128 printable ASCII characters without spaces. A Module refuses to
// make a token for anything else.
type Attributes struct {
	Account string
	KeyID   string
	Spec    Spec
	Usage   Usage
	Origin  Origin
}

// MaterialID identifies key material. It is a MAC of the material under a
// secret of its key, which all materials of the key share, so the same bytes
// imported twice into one key have the same id, in another key another, and the
// id tells nothing of the bytes. A Module checks it whenever it opens a token.
type MaterialID [32]byte

// Token is key material sealed under a domain key of a Module. It is safe to
// store anywhere the store keeps records; it is opaque but for Inspect.
type Token []byte

// Material is what making or importing a key returns.
type Material struct {
	ID    MaterialID
	Token Token
}

// Module makes and uses keys. All methods may be called concurrently; none
// keeps or changes a slice it was given, but for appending to dst, which must
// not overlap another argument. On an error they return no result. Every method
// that takes a token fails with ErrInvalidToken if it does not open, and with
// ErrClosed after Close. A context that has ended makes a method return its
// error where the work is long or remote; softhsm does not look at it.
type Module interface {
	// Generate makes new material. Where it is a further material of an
	// existing key (rotation), sibling is a token of that key: the new one
	// shares its binding secret, and its Attributes must equal attrs, else
	// ErrWrongUsage. For the first material sibling is nil (a token that
	// is empty but not nil is ErrInvalidToken). The origin must be OriginAWSKMS,
	// and spec and usage a pair the Module can make keys of, else ErrUnsupported.
	Generate(ctx context.Context, attrs Attributes, sibling Token) (Material, error)

	// Inspect opens the token and returns what is authenticated in it.
	Inspect(ctx context.Context, t Token) (Attributes, MaterialID, error)

	// Encrypt encrypts plaintext under a symmetric ENCRYPT_DECRYPT token,
	// authenticates aad, and appends the body to dst. The body's length is
	// that of the plaintext plus a constant; no two bodies are equal. A token
	// of another spec or usage is ErrWrongUsage.
	Encrypt(ctx context.Context, dst []byte, t Token, aad, plaintext []byte) ([]byte, error)

	// Decrypt opens a body that Encrypt made with the same token (or another
	// wrapping of the same material) and the same aad, and appends the
	// plaintext to dst. A body that does not open is ErrInvalidCiphertext, a
	// token of another spec or usage ErrWrongUsage.
	Decrypt(ctx context.Context, dst []byte, t Token, aad, body []byte) ([]byte, error)

	// Random fills buf from the Module's random source.
	Random(ctx context.Context, buf []byte) error

	// NewSecret makes a random SigV4 secret of 40 characters for the access
	// key accessKeyID, and returns its token and, this once, the secret.
	// WrapSecret makes a token of a secret that exists already, of 16 to 128
	// bytes. Their tokens have the origins OriginAWSKMS and OriginExternal.
	NewSecret(ctx context.Context, account, accessKeyID string) (Token, string, error)
	WrapSecret(ctx context.Context, account, accessKeyID, secret string) (Token, error)

	// SigningKey derives the SigV4 signing key for one day, Region and service
	// from a secret's token:
	// HMAC(HMAC(HMAC(HMAC("AWS4"+secret, date), region), service), "aws4_request").
	// The date is YYYYMMDD; Region and service are at most 255 bytes each. The
	// derived key cannot be turned back into the secret. A token of a KMS key is
	// ErrWrongUsage.
	SigningKey(ctx context.Context, t Token, date, region, service string) ([32]byte, error)

	// Rewrap seals the same material under the newest domain key and returns
	// the new token; Attributes and MaterialID stay. It is how old domain keys
	// are retired.
	Rewrap(ctx context.Context, t Token) (Token, error)

	// Close wipes what the Module holds, once calls under way have ended. Calls
	// after it fail with ErrClosed. Closing twice is no error.
	Close() error
}

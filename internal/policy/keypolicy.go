package policy

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// MaxKeyPolicyBytes is the size of the largest key policy. The API's shape
// allows more, so that a larger one is a quota exceeded (ErrTooLarge).
const MaxKeyPolicyBytes = 32768

// ErrTooLarge is the error for a document of more than MaxKeyPolicyBytes, which
// KMS answers with LimitExceededException.
var ErrTooLarge = fmt.Errorf("key policy is larger than %d bytes", MaxKeyPolicyBytes)

// MalformedError is every other reason to refuse a policy. KMS answers it with
// MalformedPolicyDocumentException and its text.
type MalformedError struct {
	Message string
}

func (e *MalformedError) Error() string { return e.Message }

// The errors whose texts are AWS's.
var (
	// ErrInvalidPrincipals: a principal does not exist or cannot be one.
	ErrInvalidPrincipals = &MalformedError{"Policy contains a statement with one or more invalid principals."}
	// ErrLockout: AllowsPutKeyPolicy said no, and the caller did not ask to
	// bypass that check.
	ErrLockout = &MalformedError{"The new key policy will not allow you to update the key policy in the future."}
	// ErrOverlyPermissive: ForAllValues with kms:EncryptionContext:k or
	// aws:RequestTag/k, which holds when the key is absent.
	ErrOverlyPermissive = &MalformedError{"OverlyPermissiveCondition: Using the ForAllValues set operator with a single-valued condition key matches requests without the specified [encryption context or tag] or with an unspecified [encryption context or tag]. To fix, remove ForAllValues."}
)

// ParseKeyPolicy parses, checks and compiles a key policy. Its errors are
// ErrTooLarge and *MalformedError.
//
// The users and roles the document names are resolved; with a nil resolver none
// exists, and accounts, services and "*" are the only principals. Accounts are
// not looked up: who keeps a list of them checks Principals.
//
// A statement without Action (and NotAction) or Resource (and NotResource) is
// accepted, as AWS does, and never applies.
func ParseKeyPolicy(text string, resolve Resolver) (*Document, error) {
	if len(text) > MaxKeyPolicyBytes {
		return nil, ErrTooLarge
	}
	d, err := parseKeyPolicy(text, resolve)
	if err == nil {
		return d, nil
	}
	if malformed, ok := errors.AsType[*MalformedError](err); ok {
		return nil, malformed
	}
	return nil, &MalformedError{"The key policy is malformed: " + err.Error() + "."}
}

func parseKeyPolicy(text string, resolve Resolver) (*Document, error) {
	if err := checkCharacters(text); err != nil {
		return nil, err
	}
	raw, err := decode(text)
	if err != nil {
		return nil, err
	}
	d := &Document{version: raw.version, id: raw.id, statements: make([]statement, len(raw.statements))}
	sids := make(map[string]bool)
	for i := range raw.statements {
		r := &raw.statements[i]
		if d.statements[i], err = compileKeyStatement(r, raw.version); err != nil {
			return nil, fmt.Errorf("statement %d: %w", i+1, err)
		}
		if r.sid != "" && sids[r.sid] {
			return nil, fmt.Errorf("statement %d: the Sid %.100q stands twice", i+1, r.sid)
		}
		sids[r.sid] = true
	}
	// Last, so that what can be seen in the text alone is said first.
	for i := range raw.statements {
		if d.statements[i].principals, err = compilePrincipals(&raw.statements[i], resolve); err != nil {
			return nil, err
		}
	}
	return d, nil
}

// checkCharacters holds text against the API model's
// [\u0009\u000A\u000D\u0020-\u00FF]+.
func checkCharacters(text string) error {
	if !utf8.ValidString(text) {
		return errors.New("the text is not valid UTF-8")
	}
	for at, c := range text {
		if c < ' ' && c != '\t' && c != '\n' && c != '\r' || c > 0xff {
			return fmt.Errorf("the character %U at byte %d is not allowed", c, at)
		}
	}
	return nil
}

func compileKeyStatement(r *rawStatement, version string) (statement, error) {
	s := statement{sid: r.sid}
	switch r.effect {
	case "Allow":
		s.effect = Allow
	case "Deny":
		s.effect = Deny
	case "":
		return s, errors.New("the Effect is missing")
	default:
		return s, fmt.Errorf("the Effect %.100q is neither Allow nor Deny", r.effect)
	}
	switch {
	case r.principal == nil && r.notPrincipal == nil:
		return s, errors.New("the Principal is missing")
	case r.principal != nil && r.notPrincipal != nil:
		return s, errors.New("it has both Principal and NotPrincipal")
	case r.notPrincipal != nil && s.effect == Allow:
		// It would allow everyone in every account but a few, and is not
		// supported by AWS (IAM User Guide, on NotPrincipal).
		return s, errors.New("a NotPrincipal is for Effect Deny only")
	case r.action != nil && r.notAction != nil:
		return s, errors.New("it has both Action and NotAction")
	case r.resource != nil && r.notResource != nil:
		return s, errors.New("it has both Resource and NotResource")
	}
	s.actions.not = r.notAction != nil
	for _, text := range append(r.action, r.notAction...) {
		p, err := compileAction(text, "kms")
		if err != nil {
			return s, fmt.Errorf("action %w", err)
		}
		s.actions.patterns = append(s.actions.patterns, p)
	}
	s.resources.not = r.notResource != nil
	for _, text := range append(r.resource, r.notResource...) {
		p, err := parseARNPattern(text, version)
		if err != nil {
			return s, fmt.Errorf("resource %.100q %w", text, err)
		}
		s.resources.patterns = append(s.resources.patterns, p)
	}
	for _, raw := range r.conditions {
		c, err := compileCondition(raw, version)
		if err != nil {
			return s, err
		}
		if c.set == setForAllValues && isSingleValued(c.key) {
			return s, ErrOverlyPermissive
		}
		s.conditions = append(s.conditions, c)
	}
	return s, nil
}

// isSingleValued reports whether a key (in lower case) is one of those KMS does
// not let ForAllValues be used with.
func isSingleValued(key string) bool {
	return strings.HasPrefix(key, "kms:encryptioncontext:") || strings.HasPrefix(key, "aws:requesttag/")
}

func compilePrincipals(r *rawStatement, resolve Resolver) (principalSet, error) {
	set := principalSet{not: r.notPrincipal != nil}
	for _, n := range append(r.principal, r.notPrincipal...) {
		p, ok := compilePrincipal(n, resolve)
		if !ok {
			return principalSet{}, ErrInvalidPrincipals
		}
		set.list = append(set.list, p)
	}
	return set, nil
}

// AllowsPutKeyPolicy is the lockout safety check: whether p, who puts the
// document as the policy of the key r names, may put another one afterwards. An
// Allow for p's account counts, though p may need an identity policy besides.
// Conditions hold as far as r's Context knows: it has what would be in p's next
// request too, and not, say, the source address that may change. r's Action
// does not matter.
func (d *Document) AllowsPutKeyPolicy(r *Request) bool {
	next := *r
	next.Action = "kms:PutKeyPolicy"
	return d.Evaluate(&next).Effect == Allow
}

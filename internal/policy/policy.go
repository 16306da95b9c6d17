// Package policy reads policy documents in the IAM policy language, checks
// that a document can be a key policy, and decides what one document says about
// one request. It is the engine of authorization, not authorization itself: a
// decision over key policy, identity policies, grants and boundaries together
// is made by its caller, who also knows which principals exist and what a
// request's context is.
//
// Nothing here does I/O, tells the time or keeps state: all a decision depends
// on is in the Document and the Request.
//
// A document is strict: unknown elements, duplicate names, wrong types, unknown
// condition operators and condition values that cannot match are refused when
// it is parsed, so that nothing in a Document is silently without effect; the
// one exception is AWS's own, a statement that lacks Action or Resource.
package policy

import (
	"iter"

	"github.com/keywright/keywright/internal/arn"
)

// The versions of the policy language. Policy variables are expanded in
// Version2012 only.
const (
	Version2008 = "2008-10-17" // also of documents that state none
	Version2012 = "2012-10-17"
)

// Document is a policy, parsed, checked and compiled. It is immutable and may
// be used by many goroutines at once.
type Document struct {
	version    string
	id         string
	statements []statement
}

// statement is one element of a document's Statement.
type statement struct {
	sid        string
	effect     Effect
	principals principalSet
	actions    actionSet
	resources  resourceSet
	conditions []condition
}

// Version is the document's version of the policy language.
func (d *Document) Version() string { return d.version }

// ID is the document's Id element, which decides nothing.
func (d *Document) ID() string { return d.id }

// Principals yields every principal the document names under Principal or
// NotPrincipal, in order, as often as it is named, for a caller that checks
// accounts or services for existence.
func (d *Document) Principals() iter.Seq[NamedPrincipal] {
	return func(yield func(NamedPrincipal) bool) {
		for i := range d.statements {
			for _, p := range d.statements[i].principals.list {
				if !yield(p.NamedPrincipal) {
					return
				}
			}
		}
	}
}

// Effect is what a document, or a statement of it, says about a request.
type Effect uint8

// The effects. NoMatch, the zero value, is the implicit deny.
const (
	NoMatch Effect = iota
	Allow
	Deny
)

// String returns the effect as policies write it.
func (e Effect) String() string {
	switch e {
	case Allow:
		return "Allow"
	case Deny:
		return "Deny"
	}
	return "NoMatch"
}

// Context returns the values a request has for a condition key, whose name is
// given in lower case. It returns nothing where the key is absent from the
// request; a key of several values whose set is empty is absent too. Text, as
// AWS writes it: dates in ISO 8601 or epoch seconds, booleans as true and
// false, binary in base64.
type Context func(key string) []string

// Request is what is asked of a document.
type Request struct {
	Principal Principal
	// Action is "service:Name", in any case.
	Action string
	// Resource is the ARN of what is acted on, for a key policy the key.
	Resource arn.ARN
	// Context may be nil: no key is present.
	Context Context
}

func (c Context) values(key string) []string {
	if c == nil {
		return nil
	}
	return c(key)
}

// Decision is a document's answer, with its reason.
type Decision struct {
	Effect Effect
	// Statement is the index, from 0, and Sid the Sid (perhaps empty) of the
	// statement that decided. Statement is -1 with NoMatch.
	Statement int
	Sid       string
	// Match is how that statement named the principal.
	Match Match
}

// Evaluate decides about r. The first Deny that applies decides. Else, of the
// Allows that apply, the one with the strongest Match decides, the first of
// equals: an Allow for the principal itself counts for more than one that only
// leaves the matter to the account's identity policies.
func (d *Document) Evaluate(r *Request) Decision {
	best := Decision{Statement: -1}
	for i := range d.statements {
		s := &d.statements[i]
		m := s.principals.match(&r.Principal)
		if m <= best.Match && (m == MatchNone || s.effect == Allow) {
			continue
		}
		if !s.actions.match(r.Action) || !s.resources.match(r) || !conditionsHold(s.conditions, r.Context) {
			continue
		}
		best = Decision{Effect: s.effect, Statement: i, Sid: s.sid, Match: m}
		if s.effect == Deny {
			return best
		}
	}
	return best
}

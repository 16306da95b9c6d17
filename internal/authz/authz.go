// Package authz decides whether a principal may do an action. A decision is
// made once per call, on the state of one snapshot, and comes with its reason,
// in the words that AWS uses.
//
// Today it knows one kind of principal, the root of an account, and denies
// everyone else. It evaluates policies handed to it and looks nothing up.
package authz

import (
	"github.com/keywright/keywright/internal/arn"
	"github.com/keywright/keywright/internal/awsapi"
	"github.com/keywright/keywright/internal/policy"
)

// Principal is who asks.
type Principal struct {
	Account string // 12 digits
	ARN     string
	Root    bool // the root user of Account
}

// Request is one question.
type Request struct {
	Principal Principal
	Action    string // "kms:Encrypt"

	// Resource is what is acted on; zero where the action is on no resource.
	Resource arn.ARN
	// Owner is the account that owns the resource.
	Owner string
	// Policy is the policy of the resource; nil where the resource has none, as
	// with CreateKey and the alias side of alias operations.
	Policy *policy.Document
	// Context returns the values of a condition key, which is in lower case.
	Context policy.Context
}

// Decide returns nil where the request is allowed, else an
// AccessDeniedException with the reason. For a resource of another account the
// text does not tell whether the resource exists.
func Decide(r *Request) error {
	if !r.Principal.Root {
		return denied(r, "because no identity-based policy allows the "+r.Action+" action")
	}
	if r.Policy == nil {
		// The root user has every permission in its own account.
		if r.Owner == r.Principal.Account {
			return nil
		}
		return Hidden(r.Principal, r.Action)
	}
	d := r.Policy.Evaluate(&policy.Request{
		Principal: policy.Principal{Kind: policy.KindRoot, Account: r.Principal.Account},
		Action:    r.Action,
		Resource:  r.Resource,
		Context:   r.Context,
	})
	switch {
	case d.Effect == policy.Allow:
		return nil
	case r.Owner != r.Principal.Account:
		return Hidden(r.Principal, r.Action)
	case d.Effect == policy.Deny:
		return denied(r, "with an explicit deny in a resource-based policy")
	default:
		return denied(r, "because no resource-based policy allows the "+r.Action+" action")
	}
}

// Hidden is the answer for a key of another account that is missing or
// forbidden: the two cannot be told apart.
func Hidden(p Principal, action string) error {
	return awsapi.Errorf(awsapi.CodeAccessDenied,
		"User: %s is not authorized to perform: %s on this resource because the resource does not exist in this Region, no resource-based policies allow access, or a resource-based policy explicitly denies access", p.ARN, action)
}

// HiddenCiphertext is Hidden for a key that only the ciphertext names.
func HiddenCiphertext(p Principal, action string) error {
	return awsapi.Errorf(awsapi.CodeAccessDenied,
		"User: %s is not authorized to perform: %s on the resource associated with this ciphertext because the resource does not exist in this Region, no resource-based policies allow access, or a resource-based policy explicitly denies access", p.ARN, action)
}

func denied(r *Request, reason string) error {
	resource := "*"
	if r.Resource != (arn.ARN{}) {
		resource = r.Resource.String()
	}
	return awsapi.Errorf(awsapi.CodeAccessDenied,
		"User: %s is not authorized to perform: %s on resource: %s %s", r.Principal.ARN, r.Action, resource, reason)
}

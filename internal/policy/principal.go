package policy

import (
	"strings"

	"github.com/keywright/keywright/internal/arn"
)

// PrincipalType is the member of a Principal element a name stands under.
type PrincipalType string

// The types of the policy language. {"AWS": "*"} and "*" are the same.
const (
	AWS           PrincipalType = "AWS"
	Service       PrincipalType = "Service"
	Federated     PrincipalType = "Federated"
	CanonicalUser PrincipalType = "CanonicalUser"
)

// NamedPrincipal is a principal as a document names it: "*", an account id, an
// ARN, or a service's name.
type NamedPrincipal struct {
	Type PrincipalType
	Name string
}

// Resolver returns the unique id of the user (AIDA...) or role (AROA...) with
// this ARN, and whether it exists. For a session of a role it is asked for the
// role's name, as a role ARN without path, because a session ARN has none.
//
// A document's principals are resolved once, when it is put; who reads it back
// later passes a Resolver over the ids found then, so that a user made anew
// under an old name gains nothing of the old one's.
type Resolver func(a arn.ARN) (id string, ok bool)

// PrincipalKind is what a requester is.
type PrincipalKind uint8

// The kinds of requesters. The zero value is nobody, whom only "*" names.
const (
	KindRoot          PrincipalKind = iota + 1 // an account's root user
	KindUser                                   // an IAM user
	KindRoleSession                            // a session of a role
	KindFederatedUser                          // a user of GetFederationToken
	KindService                                // a service, acting for itself
)

// Principal is who makes a request.
type Principal struct {
	Kind PrincipalKind
	// Account is the requester's account; empty for a service.
	Account string
	// ID is the unique id of the user or, for a role session, of the role.
	ID string
	// Name is the session's name, the federated user's name, or the service's
	// (sns.amazonaws.com); empty for other kinds.
	Name string
}

// Match is how a statement names a requester, from weak to strong.
type Match uint8

// The ways. MatchAccount in an Allow is delegation: it lets the account's
// identity policies allow, but does not itself allow anything to anyone but the
// account's root user. MatchEveryone and MatchRole allow by themselves within
// what a permissions boundary or session policy allows; MatchPrincipal (the
// user or session itself) also beyond.
const (
	MatchNone Match = iota
	MatchAccount
	MatchEveryone
	MatchRole
	MatchPrincipal
)

// String names the match for explanations.
func (m Match) String() string {
	return [...]string{"none", "account", "everyone", "role", "principal"}[m]
}

// principalForm is the form of a named principal.
type principalForm uint8

const (
	formNobody principalForm = iota // Federated, CanonicalUser: no requester of ours
	formEveryone
	formAccount
	formUser
	formRole
	formRoleSession
	formFederatedUser
	formService
)

// principal is a named principal, compiled. account, id and name are compared
// with those of the requester, as far as the form has them.
type principal struct {
	NamedPrincipal
	form              principalForm
	account, id, name string
}

func (n *principal) match(p *Principal) Match {
	switch n.form {
	case formEveryone:
		return MatchEveryone
	case formAccount:
		if p.Account == n.account {
			return MatchAccount
		}
	case formUser:
		if p.Kind == KindUser && p.ID == n.id {
			return MatchPrincipal
		}
	case formRole:
		if p.Kind == KindRoleSession && p.ID == n.id {
			return MatchRole
		}
	case formRoleSession:
		if p.Kind == KindRoleSession && p.ID == n.id && p.Name == n.name {
			return MatchPrincipal
		}
	case formFederatedUser:
		if p.Kind == KindFederatedUser && p.Account == n.account && p.Name == n.name {
			return MatchPrincipal
		}
	case formService:
		if p.Kind == KindService && p.Name == n.name {
			return MatchPrincipal
		}
	}
	return MatchNone
}

// principalSet is a Principal or NotPrincipal element.
type principalSet struct {
	not  bool
	list []principal
}

func (s *principalSet) match(p *Principal) Match {
	if s.not {
		return s.matchNot(p)
	}
	best := MatchNone
	for i := range s.list {
		best = max(best, s.list[i].match(p))
	}
	return best
}

// matchNot reports whom NotPrincipal names: everyone but those exempt. To be
// exempt each identity a requester has must be listed: its account and, but for
// the root user, itself, and for a session its role too (IAM User Guide, on
// NotPrincipal).
func (s *principalSet) matchNot(p *Principal) Match {
	var listed [MatchPrincipal + 1]bool
	for i := range s.list {
		listed[s.list[i].match(p)] = true
	}
	exempt := listed[MatchEveryone]
	switch p.Kind {
	case KindRoot:
		exempt = exempt || listed[MatchAccount]
	case KindUser, KindFederatedUser:
		exempt = exempt || listed[MatchAccount] && listed[MatchPrincipal]
	case KindRoleSession:
		exempt = exempt || listed[MatchAccount] && listed[MatchRole] && listed[MatchPrincipal]
	case KindService:
		exempt = exempt || listed[MatchPrincipal]
	}
	if exempt {
		return MatchNone
	}
	return MatchEveryone
}

// compilePrincipal reads one name. It reports false where the name cannot be a
// principal: unknown to resolve, an IAM group, a partial wildcard, or anything
// that is no name at all.
func compilePrincipal(n NamedPrincipal, resolve Resolver) (principal, bool) {
	p := principal{NamedPrincipal: n}
	switch n.Type {
	case Service:
		p.form, p.name = formService, n.Name
		return p, isServiceName(n.Name)
	case Federated, CanonicalUser:
		return p, n.Name != "" && !strings.ContainsAny(n.Name, "*?")
	}
	switch {
	case n.Name == "*":
		p.form = formEveryone
		return p, true
	case arn.IsAccount(n.Name):
		p.form, p.account = formAccount, n.Name
		return p, true
	}
	a, err := arn.Parse(n.Name)
	if err != nil || a.Region != "" || !arn.IsAccount(a.Account) || strings.ContainsAny(a.Resource, "*?") {
		return p, false
	}
	p.account = a.Account
	kind, name, _ := strings.Cut(a.Resource, "/")
	switch a.Service + ":" + kind {
	case "iam:root":
		p.form = formAccount
		return p, a.Resource == "root"
	case "iam:user":
		p.form = formUser
	case "iam:role":
		p.form = formRole
	case "sts:assumed-role":
		p.form = formRoleSession
		role, session, _ := strings.Cut(name, "/")
		if role == "" || session == "" || strings.Contains(session, "/") {
			return p, false
		}
		p.name = session
		a.Service, a.Resource = "iam", "role/"+role
	case "sts:federated-user":
		// A federated user is no entity; its name in its account is its id.
		p.form, p.name = formFederatedUser, name
		return p, name != "" && !strings.Contains(name, "/")
	default:
		return p, false
	}
	if name == "" || resolve == nil {
		return p, false
	}
	var ok bool
	p.id, ok = resolve(a)
	return p, ok && p.id != ""
}

// isServiceName reports whether s is like sns.amazonaws.com, perhaps with a
// Region before or .cn behind.
func isServiceName(s string) bool {
	name, ok := strings.CutSuffix(strings.TrimSuffix(s, ".cn"), ".amazonaws.com")
	if !ok {
		return false
	}
	for label := range strings.SplitSeq(name, ".") {
		if label == "" || strings.Trim(label, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" {
			return false
		}
	}
	return true
}

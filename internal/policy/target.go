package policy

import (
	"errors"
	"fmt"
	"strings"

	"github.com/keywright/keywright/internal/arn"
)

// actionSet is an Action or NotAction element: lower-case compiled patterns. Of
// a statement that lacks both it is the zero value, which matches nothing; not
// is never set without patterns.
type actionSet struct {
	not      bool
	patterns []string
}

func (s *actionSet) match(action string) bool {
	for _, p := range s.patterns {
		if matchWildcard(p, action, true) {
			return !s.not
		}
	}
	return s.not
}

// resourceSet is a Resource or NotResource element, as actionSet for actions.
type resourceSet struct {
	not      bool
	patterns []arnPattern
}

func (s *resourceSet) match(r *Request) bool {
	for i := range s.patterns {
		if s.patterns[i].match(&r.Resource, r.Context) {
			return !s.not
		}
	}
	return s.not
}

// arnPattern matches ARNs component by component, so that no wildcard reaches
// over a colon but in the last one, the resource.
type arnPattern struct {
	all        bool      // the pattern is *
	components [6]string // compiled, if template has no variables
	template   template
}

var errARNPattern = errors.New("is neither * nor of the form arn:partition:service:region:account:resource")

func parseARNPattern(text, version string) (arnPattern, error) {
	if text == "*" {
		return arnPattern{all: true}, nil
	}
	t, err := parseTemplate(text, version, true)
	if err != nil {
		return arnPattern{}, err
	}
	p := arnPattern{template: t}
	if t.parts != nil {
		return p, nil // its components are known when the variables are
	}
	var ok bool
	if p.components, ok = arn.Split(t.literal); !ok || p.components[0] != "arn" || p.components[5] == "" {
		return arnPattern{}, errARNPattern
	}
	return p, nil
}

func (p *arnPattern) match(a *arn.ARN, ctx Context) bool {
	if p.all {
		return true
	}
	c := p.components
	if p.template.parts != nil {
		text, ok := p.template.expand(ctx)
		if !ok {
			return false
		}
		if c, ok = arn.Split(text); !ok || c[0] != "arn" {
			return false
		}
	}
	return matchWildcard(c[1], a.Partition, false) &&
		matchWildcard(c[2], a.Service, false) &&
		matchWildcard(c[3], a.Region, false) &&
		matchWildcard(c[4], a.Account, false) &&
		matchWildcard(c[5], a.Resource, false)
}

// matchText matches an ARN given as text, as the values of condition keys are.
func (p *arnPattern) matchText(s string, ctx Context) bool {
	c, ok := arn.Split(s)
	if !ok || c[0] != "arn" {
		return false
	}
	return p.match(&arn.ARN{Partition: c[1], Service: c[2], Region: c[3], Account: c[4], Resource: c[5]}, ctx)
}

// compileAction checks an action pattern of a policy for one service only,
// named by its prefix ("kms"), and compiles it.
func compileAction(text, service string) (string, error) {
	if text == "*" {
		return wildcards.Replace(text), nil
	}
	prefix, name, ok := strings.Cut(text, ":")
	if !ok || !strings.EqualFold(prefix, service) {
		return "", fmt.Errorf("%.100q is neither * nor an action of %s", text, service)
	}
	if name == "" || strings.Trim(strings.ToLower(name), "abcdefghijklmnopqrstuvwxyz0123456789*?") != "" {
		return "", fmt.Errorf("%.100q is not the name of an action", text)
	}
	return wildcards.Replace(strings.ToLower(text)), nil
}

package policy

import (
	"errors"
	"strings"
	"unicode/utf8"
)

// template is text of a policy in which ${...} may stand for values of the
// request. Text without variables is its literal, with no parts.
type template struct {
	literal string
	parts   []part
}

// part is a literal, or a variable if its key is not empty.
type part struct {
	literal    string
	key        string // in lower case
	fallback   string // of ${key, 'fallback'}
	hasDefault bool
}

var errVariable = errors.New("has a policy variable that is not of the form ${key}, ${key, 'default'}, ${*}, ${?} or ${$}")

// parseTemplate compiles text. Variables and escapes are known in Version2012
// only; in Version2008 ${ is text. Where wild is set, * and ? outside of them
// become wildcards.
func parseTemplate(text, version string, wild bool) (template, error) {
	compile := func(s string) string {
		if wild {
			return wildcards.Replace(s)
		}
		return s
	}
	if version != Version2012 || !strings.Contains(text, "${") {
		return template{literal: compile(text)}, nil
	}
	var t template
	for {
		before, rest, found := strings.Cut(text, "${")
		t.literal += compile(before)
		if !found {
			break
		}
		inner, after, closed := strings.Cut(rest, "}")
		if !closed {
			return template{}, errVariable
		}
		text = after
		if inner == "*" || inner == "?" || inner == "$" {
			t.literal += inner
			continue
		}
		v, ok := parseVariable(inner)
		if !ok {
			return template{}, errVariable
		}
		t.parts = append(t.parts, part{literal: t.literal}, v)
		t.literal = ""
	}
	if t.parts != nil {
		t.parts = append(t.parts, part{literal: t.literal})
		t.literal = ""
	}
	return t, nil
}

// parseVariable reads what stands within ${ and }.
func parseVariable(inner string) (part, bool) {
	key, fallback, hasDefault := strings.Cut(inner, ",")
	key = strings.TrimSpace(key)
	if key == "" || strings.ContainsAny(key, " '\"${*?") {
		return part{}, false
	}
	v := part{key: strings.ToLower(key), hasDefault: hasDefault}
	if hasDefault {
		fallback = strings.TrimSpace(fallback)
		if len(fallback) < 2 || fallback[0] != '\'' || fallback[len(fallback)-1] != '\'' {
			return part{}, false
		}
		v.fallback = fallback[1 : len(fallback)-1]
	}
	return v, true
}

// expand puts the request's values in. It reports false where a variable
// without default has no value, or several, or one that is not valid UTF-8:
// such text matches nothing. Wildcards in a value are text.
func (t *template) expand(ctx Context) (string, bool) {
	if t.parts == nil {
		return t.literal, true
	}
	var b strings.Builder
	for i := range t.parts {
		p := &t.parts[i]
		if p.key == "" {
			b.WriteString(p.literal)
			continue
		}
		switch values := ctx.values(p.key); {
		case len(values) == 1 && utf8.ValidString(values[0]):
			b.WriteString(values[0])
		case len(values) == 0 && p.hasDefault:
			b.WriteString(p.fallback)
		default:
			return "", false
		}
	}
	return b.String(), true
}

package policy

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// rawDocument is a document's JSON in Go, before its words are understood. A
// nil list is an element the statement lacks; lists are never empty otherwise.
type rawDocument struct {
	version, id string
	statements  []rawStatement
}

type rawStatement struct {
	sid, effect             string
	principal, notPrincipal []NamedPrincipal
	action, notAction       []string
	resource, notResource   []string
	conditions              []rawCondition
}

type rawCondition struct {
	operator, key string
	values        []string
}

// decode reads the JSON of a policy. It never goes deeper than the language
// does, and refuses duplicate names and invalid UTF-8 (both by jsontext),
// unknown elements, wrong types, empty lists and anything after the document.
func decode(text string) (rawDocument, error) {
	var doc rawDocument
	d := decoder{jsontext.NewDecoder(strings.NewReader(text))}
	err := d.object("the policy", func(name string) (err error) {
		switch name {
		case "Version":
			doc.version, err = d.text(name)
			if err == nil && doc.version != Version2008 && doc.version != Version2012 {
				err = fmt.Errorf("the Version %.100q is neither %s nor %s", doc.version, Version2012, Version2008)
			}
		case "Id":
			doc.id, err = d.text(name)
		case "Statement":
			doc.statements, err = d.statements()
		default:
			err = fmt.Errorf("the policy has an unknown element %.100q", name)
		}
		return err
	})
	if err != nil {
		return rawDocument{}, err
	}
	if _, err := d.ReadToken(); err != io.EOF {
		return rawDocument{}, errors.New("there is text after the policy")
	}
	if len(doc.statements) == 0 {
		return rawDocument{}, errors.New("the policy has no statement")
	}
	if doc.version == "" {
		doc.version = Version2008
	}
	return doc, nil
}

// decoder reads the values a policy is made of. Where names, for messages, the
// element that is read.
type decoder struct{ *jsontext.Decoder }

func (d decoder) statements() ([]rawStatement, error) {
	var statements []rawStatement
	add := func() error {
		s, err := d.statement()
		if err != nil {
			return fmt.Errorf("statement %d: %w", len(statements)+1, err)
		}
		statements = append(statements, s)
		return nil
	}
	var err error
	if d.PeekKind() == '[' {
		err = d.array(add)
	} else {
		err = add()
	}
	return statements, err
}

func (d decoder) statement() (rawStatement, error) {
	var s rawStatement
	err := d.object("the statement", func(name string) (err error) {
		switch name {
		case "Sid":
			s.sid, err = d.text(name)
		case "Effect":
			s.effect, err = d.text(name)
		case "Principal":
			s.principal, err = d.principals(name)
		case "NotPrincipal":
			s.notPrincipal, err = d.principals(name)
		case "Action":
			s.action, err = d.texts(name)
		case "NotAction":
			s.notAction, err = d.texts(name)
		case "Resource":
			s.resource, err = d.texts(name)
		case "NotResource":
			s.notResource, err = d.texts(name)
		case "Condition":
			s.conditions, err = d.conditions()
		default:
			err = fmt.Errorf("unknown element %.100q", name)
		}
		return err
	})
	return s, err
}

func (d decoder) principals(where string) ([]NamedPrincipal, error) {
	if d.PeekKind() == '"' {
		name, err := d.text(where)
		if err == nil && name != "*" {
			err = fmt.Errorf("%s is neither * nor an object", where)
		}
		return []NamedPrincipal{{AWS, name}}, err
	}
	var list []NamedPrincipal
	err := d.object(where, func(name string) error {
		switch t := PrincipalType(name); t {
		case AWS, Service, Federated, CanonicalUser:
			names, err := d.texts(where + " " + name)
			for _, n := range names {
				list = append(list, NamedPrincipal{t, n})
			}
			return err
		}
		return fmt.Errorf("%s has an unknown type %.100q", where, name)
	})
	if err == nil && len(list) == 0 {
		err = fmt.Errorf("%s is empty", where)
	}
	return list, err
}

func (d decoder) conditions() ([]rawCondition, error) {
	var list []rawCondition
	err := d.object("Condition", func(operator string) error {
		before := len(list)
		where := fmt.Sprintf("Condition %.100q", operator)
		err := d.object(where, func(key string) error {
			values, err := d.list(fmt.Sprintf("%s %.100q", where, key), d.scalar)
			list = append(list, rawCondition{operator, key, values})
			return err
		})
		if err == nil && len(list) == before {
			err = fmt.Errorf("%s has no key", where)
		}
		return err
	})
	return list, err
}

// object reads an object and calls member with each name, which must read the
// value.
func (d decoder) object(where string, member func(name string) error) error {
	if err := d.open('{', where, "an object"); err != nil {
		return err
	}
	for d.PeekKind() != '}' {
		name, err := d.ReadToken()
		if err != nil {
			return syntaxError(err)
		}
		if err := member(name.String()); err != nil {
			return err
		}
	}
	return d.skip()
}

// array reads an array and calls element where each one begins.
func (d decoder) array(element func() error) error {
	if err := d.skip(); err != nil {
		return err
	}
	for d.PeekKind() != ']' {
		if err := element(); err != nil {
			return err
		}
	}
	return d.skip()
}

// texts reads a string or a list of strings, which may not be empty.
func (d decoder) texts(where string) ([]string, error) {
	return d.list(where, d.text)
}

func (d decoder) list(where string, element func(where string) (string, error)) ([]string, error) {
	var list []string
	add := func() error {
		s, err := element(where)
		list = append(list, s)
		return err
	}
	if d.PeekKind() != '[' {
		err := add()
		return list, err
	}
	err := d.array(add)
	if err == nil && len(list) == 0 {
		err = fmt.Errorf("%s is an empty list", where)
	}
	return list, err
}

func (d decoder) text(where string) (string, error) {
	if err := d.expect('"', where, "a string"); err != nil {
		return "", err
	}
	return d.token()
}

// scalar reads a condition's value, for which booleans and numbers may stand
// without quotes.
func (d decoder) scalar(where string) (string, error) {
	switch d.PeekKind() {
	case '0', 't', 'f':
		return d.token()
	}
	return d.text(where)
}

func (d decoder) open(kind jsontext.Kind, where, what string) error {
	if err := d.expect(kind, where, what); err != nil {
		return err
	}
	return d.skip()
}

// expect looks at the next value's kind without reading it.
func (d decoder) expect(kind jsontext.Kind, where, what string) error {
	if d.PeekKind() == kind {
		return nil
	}
	if _, err := d.ReadToken(); err != nil {
		return syntaxError(err)
	}
	return fmt.Errorf("%s is not %s", where, what)
}

func (d decoder) skip() error {
	_, err := d.token()
	return err
}

func (d decoder) token() (string, error) {
	t, err := d.ReadToken()
	if err != nil {
		return "", syntaxError(err)
	}
	return t.String(), nil
}

// syntaxError says what is wrong with the JSON, in words for who wrote it.
func syntaxError(err error) error {
	if errors.Is(err, jsontext.ErrDuplicateName) {
		if e, ok := errors.AsType[*jsontext.SyntacticError](err); ok {
			return fmt.Errorf("the name %.100q stands twice in one object", e.JSONPointer.LastToken())
		}
	}
	if e, ok := errors.AsType[*jsontext.SyntacticError](err); ok {
		return fmt.Errorf("not valid JSON at byte %d: %w", e.ByteOffset, e.Err)
	}
	return fmt.Errorf("not valid JSON: %w", err)
}

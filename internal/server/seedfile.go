package server

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/keywright/keywright/internal/arn"
	"github.com/keywright/keywright/internal/iam"
	"github.com/keywright/keywright/internal/kms"
)

// seedFile is a seed file as it was read. docs/operations.md describes it.
type seedFile struct {
	accounts []*seedAccount
	keys     []*seedKey
}

type seedAccount struct {
	path       string // where it stands in the file: "/accounts/0"
	id         string
	accessKeys []seedAccessKey
}

type seedAccessKey struct{ id, secret string }

// Format keeps the secret out of error texts.
func (k seedAccessKey) Format(f fmt.State, _ rune) { fmt.Fprintf(f, "access key %s", k.id) }

type seedKey struct {
	path     string
	material []byte // nil where the file has none
	kms.Seed
}

// Format keeps the material out of error texts.
func (k *seedKey) Format(f fmt.State, _ rune) { fmt.Fprintf(f, "key %s", k.ID) }

// parseSeed reads a seed file. It is strict: an unknown or repeated member and a
// value of another type are errors that name the place, because a key that is
// not as its author thinks is worse than none.
func parseSeed(text []byte) (*seedFile, error) {
	r := &seedReader{jsontext.NewDecoder(bytes.NewReader(text))}
	file := new(seedFile)
	err := r.object(func(name string) error {
		switch name {
		case "accounts":
			return r.array(func() error { return r.account(file) })
		case "keys":
			return r.array(func() error { return r.key(file) })
		}
		return r.unknown()
	})
	if err != nil {
		return nil, err
	}
	if _, err := r.dec.ReadToken(); !errors.Is(err, io.EOF) {
		return nil, errors.New("there is something after the JSON object: remove it")
	}
	return file, file.checkTwice()
}

// checkTwice refuses what stands twice in a file: the later one would undo the
// earlier at each start.
func (f *seedFile) checkTwice() error {
	seen := map[string]string{}
	once := func(what, path string) error {
		if before, ok := seen[what]; ok {
			return fmt.Errorf("%s: it is the same %s as %s: remove one", path, what, before)
		}
		seen[what] = path
		return nil
	}
	for _, a := range f.accounts {
		if err := once("account "+a.id, a.path); err != nil {
			return err
		}
	}
	for _, k := range f.keys {
		in := " in " + k.Account + " " + k.Region
		if err := once("key "+k.ID+in, k.path); err != nil {
			return err
		}
		for _, alias := range k.Aliases {
			if err := once(alias+in, k.path+"/aliases"); err != nil {
				return err
			}
		}
	}
	return nil
}

// seedReader reads the values of a seed file. Its errors begin with the JSON
// pointer of the value that they are about.
type seedReader struct{ dec *jsontext.Decoder }

func (r *seedReader) here() string { return string(r.dec.StackPointer()) }

func (r *seedReader) account(file *seedFile) error {
	a := new(seedAccount)
	file.accounts = append(file.accounts, a)
	err := r.object(func(name string) (err error) {
		switch name {
		case "id":
			if a.id, err = r.text(); err == nil && !arn.IsAccount(a.id) {
				return fmt.Errorf("%s: %q is not an account id: it has 12 digits", r.here(), a.id)
			}
			return err
		case "accessKeys":
			return r.array(func() error { return r.accessKey(a) })
		}
		return r.unknown()
	})
	a.path = r.here()
	return r.required(err, "id", a.id)
}

func (r *seedReader) accessKey(a *seedAccount) error {
	var k seedAccessKey
	err := r.object(func(name string) (err error) {
		switch name {
		case "id":
			k.id, err = r.text()
		case "secret":
			k.secret, err = r.text()
		default:
			err = r.unknown()
		}
		return err
	})
	if err != nil {
		return err
	}
	if err := iam.CheckAccessKey(k.id, k.secret); err != nil {
		return fmt.Errorf("%s: %w", r.here(), err)
	}
	a.accessKeys = append(a.accessKeys, k)
	return nil
}

func (r *seedReader) key(file *seedFile) error {
	k := new(seedKey)
	file.keys = append(file.keys, k)
	err := r.object(func(name string) (err error) {
		switch name {
		case "account":
			if k.Account, err = r.text(); err == nil && !arn.IsAccount(k.Account) {
				return fmt.Errorf("%s: %q is not an account id: it has 12 digits", r.here(), k.Account)
			}
		case "region":
			k.Region, err = r.text()
		case "id":
			k.ID, err = r.text()
		case "description":
			var text string
			text, err = r.text()
			k.Description = &text
		case "enabled":
			var on bool
			on, err = r.boolean()
			k.Enabled = &on
		case "tags":
			k.Tags = map[string]string{}
			err = r.object(func(tag string) (err error) {
				k.Tags[tag], err = r.text()
				return err
			})
		case "policy":
			k.Policy, err = r.policy()
		case "aliases":
			err = r.array(func() error {
				alias, err := r.text()
				k.Aliases = append(k.Aliases, alias)
				return err
			})
		case "material":
			k.material, err = r.keyMaterial()
		default:
			err = r.unknown()
		}
		return err
	})
	k.path = r.here()
	return r.required(err, "id", k.ID)
}

// required makes a member that is missing an error.
func (r *seedReader) required(err error, name, value string) error {
	if err == nil && value == "" {
		return fmt.Errorf("%s: the member %q is missing", r.here(), name)
	}
	return err
}

// object reads an object; member is called at each value with its name.
func (r *seedReader) object(member func(name string) error) error {
	if err := r.begin('{', "an object"); err != nil {
		return err
	}
	for r.dec.PeekKind() != '}' {
		tok, err := r.dec.ReadToken()
		if err != nil {
			return r.syntax(err)
		}
		if err := member(tok.String()); err != nil {
			return err
		}
	}
	_, err := r.dec.ReadToken()
	return r.syntax(err)
}

func (r *seedReader) array(element func() error) error {
	if err := r.begin('[', "an array"); err != nil {
		return err
	}
	for r.dec.PeekKind() != ']' {
		if r.dec.PeekKind() == jsontext.KindInvalid {
			_, err := r.dec.ReadToken()
			return r.syntax(err)
		}
		if err := element(); err != nil {
			return err
		}
	}
	_, err := r.dec.ReadToken()
	return r.syntax(err)
}

func (r *seedReader) begin(kind jsontext.Kind, want string) error {
	_, err := r.value(kind, want)
	return err
}

// value reads one token of a kind.
func (r *seedReader) value(kind jsontext.Kind, want string) (jsontext.Token, error) {
	got := r.dec.PeekKind()
	tok, err := r.dec.ReadToken()
	if err != nil {
		return tok, r.syntax(err)
	}
	if got != kind {
		at := r.here()
		if at == "" {
			at = "/"
		}
		return tok, fmt.Errorf("%s: it must be %s", at, want)
	}
	return tok, nil
}

func (r *seedReader) text() (string, error) {
	tok, err := r.value('"', "a string")
	if err != nil {
		return "", err
	}
	return tok.String(), nil
}

// keyMaterial reads the material of a symmetric key.
func (r *seedReader) keyMaterial() ([]byte, error) {
	text, err := r.text()
	if err != nil {
		return nil, err
	}
	material, err := base64.StdEncoding.Strict().DecodeString(text)
	if err != nil || len(material) != 32 {
		return nil, fmt.Errorf("%s: it must be 32 bytes in base64, as `openssl rand -base64 32` makes them", r.here())
	}
	return material, nil
}

func (r *seedReader) boolean() (bool, error) {
	if k := r.dec.PeekKind(); k != 't' && k != 'f' {
		_, err := r.value('t', "true or false")
		return false, err
	}
	tok, err := r.dec.ReadToken()
	return err == nil && tok.Bool(), r.syntax(err)
}

// policy reads a policy document: an object, or a string that holds one.
func (r *seedReader) policy() (string, error) {
	if r.dec.PeekKind() != '{' {
		text, err := r.value('"', "an object or a string")
		if err != nil {
			return "", err
		}
		return text.String(), nil
	}
	raw, err := r.dec.ReadValue()
	if err != nil {
		return "", r.syntax(err)
	}
	raw = raw.Clone()
	if err := raw.Compact(); err != nil {
		return "", r.syntax(err)
	}
	return string(raw), nil
}

func (r *seedReader) unknown() error {
	return fmt.Errorf("%s: there is no such setting: remove it, or see the seed file in docs/operations.md", r.here())
}

func (r *seedReader) syntax(err error) error {
	if err == nil {
		return nil
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errors.New("the JSON ends too early")
	}
	if e, ok := errors.AsType[*jsontext.SyntacticError](err); ok && errors.Is(err, jsontext.ErrDuplicateName) {
		return fmt.Errorf("%s: it stands there twice: remove one", e.JSONPointer)
	}
	return fmt.Errorf("it is not JSON: %w", err)
}

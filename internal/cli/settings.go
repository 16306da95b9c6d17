package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"
	"strings"
	"time"

	"github.com/alecthomas/kong"
	"github.com/go-json-experiment/json/jsontext"
)

// settings resolves the flags that are not on the command line. A flag's value
// is, in this order, that of the command line, of its environment variable, of
// the configuration file, or its default.
//
// The configuration file is one JSON object whose members are named as the
// server's flags. It is read strictly: a setting that is mistyped must not be
// one that is silently not in force.
type settings struct {
	path   string
	loaded map[string]any
}

// Validate implements kong.Resolver.
func (s *settings) Validate(*kong.Application) error { return nil }

// Resolve implements kong.Resolver.
func (s *settings) Resolve(ctx *kong.Context, parent *kong.Path, flag *kong.Flag) (any, error) {
	for _, env := range flag.Envs {
		if _, ok := os.LookupEnv(env); ok {
			return nil, nil // kong has taken it
		}
	}
	node := parent.Node()
	if node == nil || flag.Name == "config" {
		return nil, nil
	}
	path := configPath(ctx, node)
	if path == "" {
		return nil, nil
	}
	if s.path != path {
		loaded, err := readConfig(path, node.Flags)
		if err != nil {
			return nil, &fileError{path, err}
		}
		s.path, s.loaded = path, loaded
	}
	return s.loaded[flag.Name], nil
}

// fileError is what is wrong with a configuration file.
type fileError struct {
	path string
	err  error
}

func (e *fileError) Error() string { return "configuration file " + e.path + ": " + e.err.Error() }
func (e *fileError) Unwrap() error { return e.err }

// configPath is the value of the command's --config, if it has one.
func configPath(ctx *kong.Context, node *kong.Node) string {
	for _, f := range node.Flags {
		if f.Name == "config" {
			path, _ := ctx.FlagValue(f).(string)
			return path
		}
	}
	return ""
}

const maxConfigBytes = 1 << 20

func readConfig(path string, flags []*kong.Flag) (map[string]any, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxConfigBytes+1))
	if err != nil {
		return nil, err
	}
	if len(text) > maxConfigBytes {
		return nil, fmt.Errorf("it is larger than %d bytes", maxConfigBytes)
	}
	return parseConfig(text, flags)
}

// parseConfig reads the text of a configuration file for a command with the
// given flags. The values it returns are as kong takes them.
func parseConfig(text []byte, flags []*kong.Flag) (map[string]any, error) {
	known := map[string]*kong.Flag{}
	for _, f := range flags {
		if f.Name != "config" && f.Name != "help" {
			known[f.Name] = f
		}
	}
	dec := jsontext.NewDecoder(bytes.NewReader(text)) // refuses duplicate members and invalid UTF-8
	tok, err := dec.ReadToken()
	if err != nil {
		return nil, syntaxError(err)
	}
	if tok.Kind() != '{' {
		return nil, errors.New("it must be one JSON object")
	}
	values := map[string]any{}
	for dec.PeekKind() != '}' {
		tok, err := dec.ReadToken()
		if err != nil {
			return nil, syntaxError(err)
		}
		name := tok.String()
		flag, ok := known[name]
		if !ok {
			return nil, fmt.Errorf("%q is not a setting: remove it, or see `keywright server --help` for the names, without the dashes", name)
		}
		raw, err := dec.ReadValue()
		if err != nil {
			return nil, syntaxError(err)
		}
		if values[name], err = configValue(flag, raw); err != nil {
			return nil, fmt.Errorf("%q %w", name, err)
		}
	}
	if _, err := dec.ReadToken(); err != nil {
		return nil, syntaxError(err)
	}
	if _, err := dec.ReadToken(); !errors.Is(err, io.EOF) {
		return nil, errors.New("there is something after the JSON object: remove it")
	}
	return values, nil
}

// configValue checks that a value is of its flag's type.
func configValue(flag *kong.Flag, raw jsontext.Value) (any, error) {
	var want string
	switch t := flag.Target.Type(); {
	case t == reflect.TypeFor[time.Duration]():
		want = `a string with a unit, as "15s" or "24h" are`
		if raw.Kind() == '"' {
			return decodeString(raw)
		}
	case t.Kind() == reflect.Bool:
		want = "true or false"
		if k := raw.Kind(); k == 't' || k == 'f' {
			return string(raw), nil
		}
	case t.Kind() == reflect.Slice:
		want = "an array of strings"
		var list []string
		if raw.Kind() == '[' && json.Unmarshal(raw, &list) == nil && !bytes.Contains(raw, []byte("null")) {
			values := make([]any, len(list))
			for i, v := range list {
				values[i] = v
			}
			return values, nil
		}
	case t.Kind() == reflect.String:
		want = "a string"
		if raw.Kind() == '"' {
			return decodeString(raw)
		}
	default:
		want = "a whole number"
		if raw.Kind() == '0' && !strings.ContainsAny(string(raw), ".eE") {
			return string(raw), nil
		}
	}
	return nil, fmt.Errorf("must be %s", want)
}

func decodeString(raw jsontext.Value) (any, error) {
	text, err := jsontext.AppendUnquote(nil, raw)
	return string(text), err
}

// syntaxError puts what jsontext says into our words.
func syntaxError(err error) error {
	if errors.Is(err, jsontext.ErrDuplicateName) {
		if e, ok := errors.AsType[*jsontext.SyntacticError](err); ok {
			return fmt.Errorf("%q stands there twice: remove one", e.JSONPointer.LastToken())
		}
	}
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
		return errors.New("the JSON object has no end")
	}
	return fmt.Errorf("it is not JSON: %w", err)
}

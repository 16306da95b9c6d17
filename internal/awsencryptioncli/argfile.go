package awsencryptioncli

import (
	"errors"
	"fmt"
	"os"
	"os/user"
	"regexp"
	"strings"
	"syscall"
)

// Environment is what files of arguments are read with.
type Environment struct {
	ReadFile  func(path string) ([]byte, error)
	LookupEnv func(name string) (value string, ok bool)
	// Home returns the home directory of a user, or with "" of the user of this
	// process.
	Home func(user string) (dir string, ok bool)
}

// System returns the environment of this process.
func System() Environment {
	return Environment{os.ReadFile, os.LookupEnv, func(name string) (string, bool) {
		u, err := user.Current()
		if name != "" {
			u, err = user.Lookup(name)
		}
		if err != nil {
			return "", false
		}
		return u.HomeDir, true
	}}
}

// maxFiles is how many files of arguments are read, so that one that names itself
// comes to an end.
const maxFiles = 1000

// expandFiles replaces each @path by the arguments in that file, which may name
// files too.
func expandFiles(args []string, env Environment) ([]string, error) {
	f := &argFiles{env: env}
	if err := f.expand(args); err != nil {
		return nil, err
	}
	return f.args, nil
}

type argFiles struct {
	env  Environment
	read int
	args []string
}

func (f *argFiles) expand(args []string) error {
	for _, arg := range args {
		path, ok := strings.CutPrefix(arg, "@")
		if !ok {
			f.args = append(f.args, arg)
			continue
		}
		if f.read++; f.read > maxFiles {
			return fmt.Errorf("%s: more than %d files of arguments: one of them names itself", arg, maxFiles)
		}
		text, err := f.env.ReadFile(path)
		if err != nil {
			return &UsageError{fileError(path, err)}
		}
		var words []string
		for _, line := range splitLines(string(text)) {
			more, err := splitWords(line)
			if err != nil {
				return fmt.Errorf("%s: %w", arg, err)
			}
			for _, word := range more {
				words = append(words, f.env.expandVars(f.env.expandUser(strings.TrimFunc(word, isSpace))))
			}
		}
		if err := f.expand(words); err != nil {
			return err
		}
	}
	return nil
}

// fileError is how Python says that a file cannot be read.
func fileError(path string, err error) string {
	code, ok := errors.AsType[syscall.Errno](err)
	if !ok {
		return err.Error()
	}
	text := code.Error()
	return fmt.Sprintf("[Errno %d] %s: %s", int(code), strings.ToUpper(text[:1])+text[1:], quote(path))
}

var (
	errQuotation = errors.New("a quotation mark is not closed")
	errEscaped   = errors.New("nothing follows the last \\")
)

// splitWords splits a line as a shell does: at spaces that are not quoted, with
// \ before what is meant as it stands, up to a #. Unlike in a shell, # begins a
// comment within a word too, and \ works between single quotes.
func splitWords(line string) (words []string, err error) {
	var (
		word    []byte
		started bool // there is a word, even if it is empty
		mark    byte // the quotation mark that the text is in; 0: none
		escaped bool
	)
	end := func() {
		if started {
			words = append(words, string(word))
		}
		word, started = word[:0], false
	}
	for _, c := range []byte(line) {
		switch {
		case escaped:
			// Between quotation marks \ stands for itself, but before the mark
			// and another \.
			if mark != 0 && c != mark && c != '\\' {
				word = append(word, '\\')
			}
			word, escaped = append(word, c), false
		case c == '\\':
			escaped, started = true, true
		case mark != 0 && c == mark:
			mark = 0
		case mark != 0:
			word = append(word, c)
		case c == '\'' || c == '"':
			mark, started = c, true
		case c == ' ' || c == '\t':
			end()
		case c == '#':
			end()
			return words, nil
		default:
			word, started = append(word, c), true
		}
	}
	switch {
	case escaped:
		return nil, errEscaped
	case mark != 0:
		return nil, errQuotation
	}
	end()
	return words, nil
}

// expandUser replaces a ~ or ~user at the beginning.
func (e Environment) expandUser(text string) string {
	rest, ok := strings.CutPrefix(text, "~")
	if !ok {
		return text
	}
	name, tail, slash := strings.Cut(rest, "/")
	if slash {
		tail = "/" + tail
	}
	home, found := "", false
	if name == "" {
		home, found = e.LookupEnv("HOME")
	}
	if !found {
		if home, found = e.Home(name); !found {
			return text
		}
	}
	if text = strings.TrimRight(home, "/") + tail; text == "" {
		return "/"
	}
	return text
}

var variable = regexp.MustCompile(`\$(\w+|\{[^}]*\})`)

// expandVars replaces $NAME and ${NAME}, where there is such a variable.
func (e Environment) expandVars(text string) string {
	return variable.ReplaceAllStringFunc(text, func(text string) string {
		name := strings.TrimSuffix(strings.TrimPrefix(text[1:], "{"), "}")
		if value, ok := e.LookupEnv(name); ok {
			return value
		}
		return text
	})
}

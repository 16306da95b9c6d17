package cli

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"unicode/utf8"
)

// globPaths returns what a pattern of Python's glob matches, in order. A file that has
// the pattern for a name goes before.
func globPaths(pattern string) ([]string, error) {
	if pattern == "" {
		return nil, nil
	}
	if _, err := os.Lstat(pattern); err == nil {
		return []string{pattern}, nil
	} else if !errors.Is(err, fs.ErrNotExist) && !strings.ContainsAny(pattern, `*?[`) {
		return nil, err
	}
	found, err := filepath.Glob(globPattern(pattern))
	if err != nil {
		return nil, err
	}
	kept := found[:0]
	for _, path := range found {
		if !hidden(pattern, path) {
			kept = append(kept, path)
		}
	}
	return kept, nil
}

// globPattern writes a pattern of Python's glob as filepath.Glob takes it:
// there ! negates a class and \ is a letter like others, and a [ that is not
// closed stands for itself.
func globPattern(pattern string) string {
	var b strings.Builder
	for i := 0; i < len(pattern); i++ {
		switch c := pattern[i]; c {
		case '\\':
			b.WriteString(`\\`)
		case '[':
			class, size := globClass(pattern[i:])
			b.WriteString(class)
			i += size - 1
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}

// globClass translates the class that text begins with, and returns how long it
// is there.
func globClass(text string) (class string, size int) {
	body := text[1:]
	negated := strings.HasPrefix(body, "!")
	if negated {
		body = body[1:]
	}
	// A ] that comes first is one of the class.
	end := -1
	if len(body) > 0 {
		end = strings.IndexByte(body[1:], ']') + 1
	}
	if end < 1 || strings.Contains(body[:end], "/") {
		return `\[`, 1
	}
	b := []byte{'['}
	if negated {
		b = append(b, '^')
	}
	for rest := body[:end]; rest != ""; {
		b, rest = appendClassLetter(b, rest)
		if len(rest) > 1 && rest[0] == '-' {
			b, rest = appendClassLetter(append(b, '-'), rest[1:])
		}
	}
	return string(append(b, ']')), len(text) - len(body) + end + 1
}

// appendClassLetter appends the first letter of rest as one of a class, whatever
// it would mean there.
func appendClassLetter(b []byte, rest string) ([]byte, string) {
	_, size := utf8.DecodeRuneInString(rest)
	if strings.IndexByte(`\]^-[`, rest[0]) >= 0 {
		b = append(b, '\\')
	}
	return append(b, rest[:size]...), rest[size:]
}

// hidden tells whether a name in path that begins with a dot was matched by a
// part of the pattern that does not.
func hidden(pattern, path string) bool {
	parts, names := strings.Split(pattern, "/"), strings.Split(path, "/")
	if len(parts) != len(names) {
		parts, names = parts[len(parts)-1:], names[len(names)-1:]
	}
	for i, name := range names {
		if strings.HasPrefix(name, ".") && !strings.HasPrefix(parts[i], ".") && strings.ContainsAny(parts[i], `*?[`) {
			return true
		}
	}
	return false
}

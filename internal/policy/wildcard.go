package policy

import (
	"strings"
	"unicode/utf8"
)

// In a compiled pattern a wildcard is a byte that no valid UTF-8 has, so that
// every other byte, escaped wildcards among them, stands for itself.
const (
	anyRun  = 0xff // *: any characters, also none
	anyRune = 0xfe // ?: one character
)

// wildcards compiles * and ? of the text of a policy, which is valid UTF-8.
var wildcards = strings.NewReplacer("*", string([]byte{anyRun}), "?", string([]byte{anyRune}))

// matchWildcard reports whether s is matched by the compiled pattern. With
// fold, ASCII letters of s match the lower-case ones of the pattern.
//
// It remembers only the last *, which suffices because the shortest match of
// what stands before a later * leaves the most for the rest; so its time is at
// most proportional to len(pattern) times len(s), whatever the number of
// wildcards. Without fold, the text behind a * is looked for as a substring,
// which makes the time linear unless a ? stands there.
func matchWildcard(pattern, s string, fold bool) bool {
	p, i := 0, 0
	star, retry := -1, 0 // behind the last * in pattern, and where in s it was tried
	for {
		switch {
		case p < len(pattern) && pattern[p] == anyRun:
			p++
			if p == len(pattern) {
				return true
			}
			star, retry = p, i
			if !fold {
				retry = findRun(pattern[star:], s, retry)
			}
			i = retry
		case p == len(pattern) && i == len(s):
			return true
		case p < len(pattern) && i < len(s) && pattern[p] == anyRune:
			_, n := utf8.DecodeRuneInString(s[i:])
			p, i = p+1, i+n
		case p < len(pattern) && i < len(s) && (pattern[p] == s[i] || fold && pattern[p] == lower(s[i])):
			p, i = p+1, i+1
		case star >= 0 && retry < len(s):
			_, n := utf8.DecodeRuneInString(s[retry:])
			retry += n
			if !fold {
				retry = findRun(pattern[star:], s, retry)
			}
			p, i = star, retry
		default:
			return false
		}
	}
}

// findRun returns the first place in s, from the given one on, of the text that
// stands before the first wildcard of pattern, or len(s) where there is none:
// a place at which no text can match, and after which none is tried.
func findRun(pattern, s string, from int) int {
	end := 0
	for end < len(pattern) && pattern[end] < anyRune {
		end++
	}
	if at := strings.Index(s[from:], pattern[:end]); at >= 0 {
		return from + at
	}
	return len(s)
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		c += 'a' - 'A'
	}
	return c
}

package policy_test

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"pgregory.net/rapid"

	"github.com/keywright/keywright/internal/policy"
)

// naive is the definition of * and ?, one character at a time.
func naive(pattern, s []rune) bool {
	switch {
	case len(pattern) == 0:
		return len(s) == 0
	case pattern[0] == '*':
		return naive(pattern[1:], s) || len(s) > 0 && naive(pattern, s[1:])
	case len(s) == 0:
		return false
	}
	return (pattern[0] == '?' || pattern[0] == s[0]) && naive(pattern[1:], s[1:])
}

func TestWildcardIsNaive(t *testing.T) {
	matched := 0
	rapid.Check(t, func(t *rapid.T) {
		pattern := rapid.StringOfN(rapid.SampledFrom([]rune("aabü**?")), 0, 10, -1).Draw(t, "pattern")
		s := rapid.StringOfN(rapid.SampledFrom([]rune("aabü?*")), 0, 12, -1).Draw(t, "s")
		want := naive([]rune(pattern), []rune(s))
		if got := policy.MatchWildcard(pattern, s, false); got != want {
			t.Fatalf("%q on %q: %v, want %v", pattern, s, got, want)
		}
		if got := policy.MatchWildcard(pattern, strings.ToUpper(s), true); got != naive([]rune(pattern), []rune(strings.ReplaceAll(s, "ü", "Ü"))) {
			t.Fatalf("%q on %q without case: %v", pattern, strings.ToUpper(s), got)
		}
		if want {
			matched++
		}
	})
	if matched == 0 && !testing.Short() { // which tries few patterns
		t.Error("no pattern matched; the test compares nothing")
	}
}

// A pattern made of a string by replacing parts with wildcards matches it.
func TestWildcardMatchesItsOrigin(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := []rune(rapid.StringN(1, 40, -1).Draw(t, "s"))
		var pattern strings.Builder
		for i := 0; i < len(s); {
			switch n := rapid.IntRange(0, 5).Draw(t, "step"); {
			case n == 0:
				pattern.WriteByte('*')
				i += rapid.IntRange(0, len(s)-i).Draw(t, "run")
			case n == 1 || s[i] == '*' || s[i] == '?':
				pattern.WriteByte('?')
				i++
			default:
				pattern.WriteRune(s[i])
				i++
			}
		}
		if !policy.MatchWildcard(pattern.String(), string(s), false) {
			t.Fatalf("%q does not match %q", pattern.String(), string(s))
		}
	})
}

// Backtracking into every * would take 2^100 steps.
func TestWildcardIsNotExponential(t *testing.T) {
	s := strings.Repeat("a", 8192)
	start := time.Now()
	for _, pattern := range []string{
		strings.Repeat("a*", 100) + "b",
		strings.Repeat("?*", 100) + "b",
		"*" + strings.Repeat("a", 8000) + "b",
		strings.Repeat("*?a", 100) + "b",
	} {
		if policy.MatchWildcard(pattern, s, false) || policy.MatchWildcard(pattern, s, true) {
			t.Errorf("%.20q... matches", pattern)
		}
	}
	if took := time.Since(start); took > 10*time.Second {
		t.Errorf("took %v", took)
	}
}

func FuzzWildcard(f *testing.F) {
	f.Add("a*b?c", "axxbyc")
	f.Add("**?", "")
	f.Add("*\xff", "\xff\xfe")
	f.Fuzz(func(t *testing.T, pattern, s string) {
		got := policy.MatchWildcard(pattern, s, false)
		if len(pattern) > 12 || len(s) > 30 || !utf8.ValidString(pattern) || !utf8.ValidString(s) {
			return
		}
		if want := naive([]rune(pattern), []rune(s)); got != want {
			t.Errorf("%q on %q: %v, want %v", pattern, s, got, want)
		}
	})
}

func BenchmarkWildcard(b *testing.B) {
	s := "arn:aws:kms:us-east-1:111122223333:key/" + keyID
	pattern := policy.CompileWildcard("arn:aws:kms:*:111122223333:key/*-56ef-*")
	b.ReportAllocs()
	b.SetBytes(int64(len(s)))
	for b.Loop() {
		policy.MatchCompiled(pattern, s, false)
	}
}

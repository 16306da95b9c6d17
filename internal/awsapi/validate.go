package awsapi

import (
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"unicode/utf8"
)

// Limits on what a ValidationException repeats of a request, so that no one can
// make the server answer in megabytes. AWS has none that are known.
const (
	maxEcho    = 1 << 10  // bytes of one value
	maxMessage = 32 << 10 // bytes of all violations together
)

// StringShape is what the model demands of a string or enum. Lengths are in
// characters; Max 0 means no limit.
type StringShape struct {
	Min, Max  int
	Pattern   *Pattern // nil: none
	Enum      []string // nil: no enum
	Sensitive bool     // the value must not be repeated in an error
}

// intern returns b as a string, and whether it is known to be valid: the values
// of an enum are not copied, and need no further look.
func (s *StringShape) intern(b []byte) (string, bool) {
	for _, v := range s.Enum {
		if v == string(b) {
			return v, true
		}
	}
	return string(b), false
}

func (s *StringShape) valid(v string) bool {
	return s.brokenLength(v) == "" && (s.Pattern == nil || s.Pattern.match(v)) && s.inEnum(v)
}

func (s *StringShape) inEnum(v string) bool {
	return s.Enum == nil || slices.Contains(s.Enum, v)
}

func (s *StringShape) brokenLength(v string) string {
	if len(v) >= s.Min*utf8.UTFMax && (s.Max == 0 || len(v) <= s.Max) {
		return ""
	}
	switch n := utf8.RuneCountInString(v); {
	case n < s.Min:
		return ruleMinLength(s.Min)
	case s.Max > 0 && n > s.Max:
		return ruleMaxLength(s.Max)
	}
	return ""
}

// validate notes each rule that v breaks.
func (s *StringShape) validate(d *Decoder, v string) {
	if rule := s.brokenLength(v); rule != "" {
		d.violate(s.value(v), rule)
	}
	if s.Pattern != nil && !s.Pattern.match(v) {
		d.violate(s.value(v), rulePattern(s.Pattern))
	}
	if !s.inEnum(v) {
		d.violate(s.value(v), ruleEnum(s.Enum))
	}
}

func (s *StringShape) value(v string) string {
	if s.Sensitive {
		return hiddenValue
	}
	return quoted(v)
}

// rules lists everything the shape demands, as AWS does for elements of a list.
func (s *StringShape) rules() string {
	var rules []string
	if s.Max > 0 {
		rules = append(rules, "Member must "+ruleMaxLength(s.Max))
	}
	if s.Min > 0 {
		rules = append(rules, "Member must "+ruleMinLength(s.Min))
	}
	if s.Pattern != nil {
		rules = append(rules, "Member must "+rulePattern(s.Pattern))
	}
	if s.Enum != nil {
		rules = append(rules, "Member must "+ruleEnum(s.Enum))
	}
	return strings.Join(rules, ", ")
}

// BlobShape is what the model demands of binary data. Lengths are in bytes; Max
// 0 means no limit.
type BlobShape struct {
	Min, Max  int
	Sensitive bool
}

func (s *BlobShape) validate(d *Decoder, b []byte) {
	rule := brokenLength(len(b), s.Min, s.Max)
	if rule == "" {
		return
	}
	if s.Sensitive {
		d.violate(hiddenValue, rule)
		return
	}
	// So AWS shows bytes: by its runtime's name for them.
	d.violate(fmt.Sprintf("'java.nio.HeapByteBuffer[pos=0 lim=%d cap=%d]' ", len(b), len(b)), rule)
}

// ListShape is what the model demands of a list's length; Max 0 means no limit.
type ListShape struct {
	Min, Max int
}

func (s *ListShape) broken(n int) string { return brokenLength(n, s.Min, s.Max) }

func brokenLength(n, lo, hi int) string {
	switch {
	case n < lo:
		return ruleMinLength(lo)
	case hi > 0 && n > hi:
		return ruleMaxLength(hi)
	}
	return ""
}

// IntShape is what the model demands of a number.
type IntShape struct {
	Min, Max int64
}

// AnyInt is the IntShape of numbers without limits.
var AnyInt = IntShape{Min: math.MinInt64, Max: math.MaxInt64}

func (s *IntShape) validate(d *Decoder, n int64) {
	switch {
	case n < s.Min:
		d.violate(quoted(strconv.FormatInt(n, 10)), "have value greater than or equal to "+strconv.FormatInt(s.Min, 10))
	case n > s.Max:
		d.violate(quoted(strconv.FormatInt(n, 10)), "have value less than or equal to "+strconv.FormatInt(s.Max, 10))
	}
}

// Pattern is a regular expression of the model, which a value must match from
// end to end whether or not it is anchored.
type Pattern struct {
	source string
	re     func() *regexp.Regexp
}

// NewPattern returns the Pattern with this source, in the dialect of the models
// (Java's). It is compiled at its first use.
func NewPattern(source string) *Pattern {
	return &Pattern{source: source, re: sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`\A(?:` + fromJava.Replace(source) + `)\z`)
	})}
}

// fromJava turns what the models use of Java's dialect into Go's: \u00XX, and
// \s inside brackets, which in Java has the vertical tab too. An escaped
// backslash stays.
var fromJava = strings.NewReplacer(`\\`, `\\`, `\u00`, `\x`, `\s`, `\t\n\v\f\r `)

func (p *Pattern) match(v string) bool { return p.re().MatchString(v) }

// The rules, as they follow "Member must " in a message.
const ruleNotNull = "not be null"

func ruleMinLength(n int) string {
	return "have length greater than or equal to " + strconv.Itoa(n)
}

func ruleMaxLength(n int) string {
	return "have length less than or equal to " + strconv.Itoa(n)
}

func rulePattern(p *Pattern) string {
	return "satisfy regular expression pattern: " + p.source
}

func ruleEnum(values []string) string {
	return "satisfy enum value set: [" + strings.Join(values, ", ") + "]"
}

// The values, as they stand between "Value " and "at" in a message.
const (
	nullValue   = "null "
	hiddenValue = ""
)

func quoted(v string) string { return "'" + cut(v) + "' " }

// listValue shows a list as AWS does, unless its elements are sensitive.
func listValue[S ~string](list []S, sensitive bool) string {
	if sensitive {
		return hiddenValue
	}
	var b strings.Builder
	b.WriteByte('[')
	for i, s := range list {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(string(s))
		if b.Len() > maxEcho {
			break
		}
	}
	b.WriteByte(']')
	return quoted(b.String())
}

// cut shortens a value that is repeated to maxEcho bytes, at a character.
func cut(v string) string {
	if len(v) <= maxEcho {
		return v
	}
	end := maxEcho
	for !utf8.RuneStart(v[end]) {
		end--
	}
	return v[:end] + "..."
}

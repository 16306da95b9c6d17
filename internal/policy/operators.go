package policy

import (
	"bytes"
	"encoding/base64"
	"errors"
	"net/netip"
	"strings"
	"time"
)

// operator is a condition operator without prefix and suffix.
type operator struct {
	negated bool
	// compile makes the matcher of the positive operator for one value.
	compile func(text, version string) (valueMatcher, error)
}

var operators = map[string]operator{
	"StringEquals":              {false, compileString(equal)},
	"StringNotEquals":           {true, compileString(equal)},
	"StringEqualsIgnoreCase":    {false, compileString(strings.EqualFold)},
	"StringNotEqualsIgnoreCase": {true, compileString(strings.EqualFold)},
	"StringLike":                {false, compileStringLike},
	"StringNotLike":             {true, compileStringLike},

	"NumericEquals":            {false, compileNumeric(func(c int) bool { return c == 0 })},
	"NumericNotEquals":         {true, compileNumeric(func(c int) bool { return c == 0 })},
	"NumericLessThan":          {false, compileNumeric(func(c int) bool { return c < 0 })},
	"NumericLessThanEquals":    {false, compileNumeric(func(c int) bool { return c <= 0 })},
	"NumericGreaterThan":       {false, compileNumeric(func(c int) bool { return c > 0 })},
	"NumericGreaterThanEquals": {false, compileNumeric(func(c int) bool { return c >= 0 })},

	"DateEquals":            {false, compileDate(func(c int) bool { return c == 0 })},
	"DateNotEquals":         {true, compileDate(func(c int) bool { return c == 0 })},
	"DateLessThan":          {false, compileDate(func(c int) bool { return c < 0 })},
	"DateLessThanEquals":    {false, compileDate(func(c int) bool { return c <= 0 })},
	"DateGreaterThan":       {false, compileDate(func(c int) bool { return c > 0 })},
	"DateGreaterThanEquals": {false, compileDate(func(c int) bool { return c >= 0 })},

	"Bool":         {false, compileBool},
	"Null":         {false, compileBool},
	"BinaryEquals": {false, compileBinary},
	"IpAddress":    {false, compileIP},
	"NotIpAddress": {true, compileIP},

	"ArnEquals":    {false, compileARN},
	"ArnLike":      {false, compileARN},
	"ArnNotEquals": {true, compileARN},
	"ArnNotLike":   {true, compileARN},
}

func equal(a, b string) bool { return a == b }

func compileString(same func(a, b string) bool) func(text, version string) (valueMatcher, error) {
	return func(text, version string) (valueMatcher, error) {
		t, err := parseTemplate(text, version, false)
		return func(value string, ctx Context) bool {
			want, ok := t.expand(ctx)
			return ok && same(want, value)
		}, err
	}
}

func compileStringLike(text, version string) (valueMatcher, error) {
	t, err := parseTemplate(text, version, true)
	return func(value string, ctx Context) bool {
		pattern, ok := t.expand(ctx)
		return ok && matchWildcard(pattern, value, false)
	}, err
}

func compileNumeric(is func(cmp int) bool) func(text, version string) (valueMatcher, error) {
	return func(text, _ string) (valueMatcher, error) {
		want, ok := parseDecimal(text)
		if !ok {
			return nil, errors.New("is not a decimal number")
		}
		return func(value string, _ Context) bool {
			n, ok := parseDecimal(value)
			return ok && is(n.compare(want))
		}, nil
	}
}

// decimal is a decimal number, exact at any length: its integer digits without
// leading zeros, its fraction digits without trailing ones.
type decimal struct {
	negative          bool
	integer, fraction string
}

func parseDecimal(s string) (decimal, bool) {
	var d decimal
	if s != "" && (s[0] == '-' || s[0] == '+') {
		d.negative, s = s[0] == '-', s[1:]
	}
	integer, fraction, point := strings.Cut(s, ".")
	if integer == "" || point && fraction == "" || strings.Trim(integer+fraction, "0123456789") != "" {
		return decimal{}, false
	}
	d.integer = strings.TrimLeft(integer, "0")
	d.fraction = strings.TrimRight(fraction, "0")
	if d.integer == "" && d.fraction == "" {
		d.negative = false
	}
	return d, true
}

func (d decimal) compare(e decimal) int {
	switch {
	case d.negative && !e.negative:
		return -1
	case !d.negative && e.negative:
		return 1
	case d.negative:
		d, e = e, d
	}
	if len(d.integer) != len(e.integer) {
		return len(d.integer) - len(e.integer)
	}
	if c := strings.Compare(d.integer, e.integer); c != 0 {
		return c
	}
	return strings.Compare(d.fraction, e.fraction)
}

func compileDate(is func(cmp int) bool) func(text, version string) (valueMatcher, error) {
	return func(text, _ string) (valueMatcher, error) {
		want, ok := parseDate(text)
		if !ok {
			return nil, errors.New("is neither an ISO 8601 date nor epoch seconds")
		}
		return func(value string, _ Context) bool {
			t, ok := parseDate(value)
			return ok && is(t.Compare(want))
		}, nil
	}
}

// dateLayouts are the W3C profile of ISO 8601. Seconds may have a fraction.
var dateLayouts = [...]string{"2006-01-02T15:04:05Z07:00", "2006-01-02T15:04Z07:00", "2006-01-02", "2006-01", "2006"}

// parseDate reads a date or epoch seconds, which may have a fraction. Four
// digits are a year.
func parseDate(s string) (time.Time, bool) {
	for _, layout := range dateLayouts {
		if t, err := time.Parse(layout, s); err == nil {
			return t, true
		}
	}
	seconds, err := time.ParseDuration(s + "s")
	if _, ok := parseDecimal(s); !ok || err != nil {
		return time.Time{}, false
	}
	return time.Unix(0, 0).Add(seconds), true
}

func compileBool(text, _ string) (valueMatcher, error) {
	if !strings.EqualFold(text, "true") && !strings.EqualFold(text, "false") {
		return nil, errors.New("is neither true nor false")
	}
	return func(value string, _ Context) bool { return strings.EqualFold(value, text) }, nil
}

func compileBinary(text, _ string) (valueMatcher, error) {
	want, err := base64.StdEncoding.Strict().DecodeString(text)
	if err != nil {
		return nil, errors.New("is not base64")
	}
	return func(value string, _ Context) bool {
		b, err := base64.StdEncoding.Strict().DecodeString(value)
		return err == nil && bytes.Equal(b, want)
	}, nil
}

func compileIP(text, _ string) (valueMatcher, error) {
	prefix, err := netip.ParsePrefix(text)
	if addr, addrErr := netip.ParseAddr(text); addrErr == nil {
		prefix, err = addr.Prefix(addr.BitLen())
	}
	// Requests' IPv4 addresses are compared as such, so a range in the IPv6
	// form of IPv4 could never match.
	if err != nil || prefix.Addr().Is4In6() {
		return nil, errors.New("is neither an IP address nor a CIDR range")
	}
	return func(value string, _ Context) bool {
		addr, err := netip.ParseAddr(value)
		return err == nil && prefix.Contains(addr.Unmap().WithZone(""))
	}, nil
}

func compileARN(text, version string) (valueMatcher, error) {
	p, err := parseARNPattern(text, version)
	if err != nil {
		return nil, err
	}
	return p.matchText, nil
}

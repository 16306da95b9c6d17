package policy_test

import (
	"fmt"
	"testing"

	"github.com/keywright/keywright/internal/policy"
)

// holds reports whether a statement with the Condition applies, when the
// request has these values of the key "test:key", and a few others.
func holds(t *testing.T, version, condition string, values ...string) bool {
	t.Helper()
	d := parse(t, `{"Version":"`+version+`","Statement":[{`+allowRoot+`,"Condition":`+condition+`}]}`)
	return d.Evaluate(&policy.Request{Principal: root, Action: "kms:Encrypt", Resource: key, Context: contextOf(map[string][]string{
		"test:key":              values,
		"aws:username":          {"alice"},
		"aws:principaltag/team": {"a*b"},
		"aws:principaltag/bad":  {"\xff"},
		"aws:tagkeys":           {"one", "two"},
		"aws:principalarn":      {"arn:aws:iam::" + account + ":user/alice"},
	})}).Effect == policy.Allow
}

// One row is an operator, the policy's value or values as JSON, a request's
// value, and whether the positive operator matches.
var operatorCases = []struct {
	operator, values, request string
	want                      bool
}{
	{"StringEquals", `"a"`, "a", true},
	{"StringEquals", `"a"`, "A", false},
	{"StringEquals", `"a*"`, "ab", false},
	{"StringEquals", `"a*"`, "a*", true},
	{"StringEquals", `["a","b"]`, "b", true},
	{"StringEquals", `""`, "x", false},
	{"StringEquals", `""`, "", true},
	{"StringEqualsIgnoreCase", `"Grün"`, "GRÜN", true},
	{"StringEqualsIgnoreCase", `"a"`, "b", false},
	{"StringLike", `"a*c?"`, "abbcd", true},
	{"StringLike", `"a*c?"`, "abbc", false},
	{"StringLike", `"A*"`, "ab", false},
	{"StringLike", `["x*","*b"]`, "ab", true},
	{"StringLike", `"?"`, "ü", true},
	{"StringLike", `"*"`, "", true},

	{"NumericEquals", `"10"`, "10", true},
	{"NumericEquals", `10`, "+10.00", true},
	{"NumericEquals", `"10"`, "010", true},
	{"NumericEquals", `"0"`, "-0.0", true},
	{"NumericEquals", `"10"`, "10.01", false},
	{"NumericEquals", `"9007199254740993"`, "9007199254740992", false},
	{"NumericEquals", `"10"`, "ten", false},
	{"NumericEquals", `"10"`, "1e1", false},
	{"NumericEquals", `"10"`, "10.", false},
	{"NumericEquals", `"10"`, "", false},
	{"NumericLessThan", `"10"`, "9", true},
	{"NumericLessThan", `"10"`, "10", false},
	{"NumericLessThan", `"10"`, "-11", true},
	{"NumericLessThan", `"-10"`, "-11", true},
	{"NumericLessThan", `"-10"`, "-9.5", false},
	{"NumericLessThan", `"0.2"`, "0.15", true},
	{"NumericLessThan", `"10"`, "x", false},
	{"NumericLessThanEquals", `"10"`, "10", true},
	{"NumericLessThanEquals", `"10"`, "10.5", false},
	{"NumericLessThanEquals", `["1","10"]`, "5", true},
	{"NumericGreaterThan", `"10"`, "11", true},
	{"NumericGreaterThan", `"10"`, "10", false},
	{"NumericGreaterThan", `"-1"`, "0", true},
	{"NumericGreaterThanEquals", `"10"`, "10", true},
	{"NumericGreaterThanEquals", `"10"`, "9.99", false},

	{"DateEquals", `"2026-01-02T03:04:05Z"`, "2026-01-02T03:04:05Z", true},
	{"DateEquals", `"2026-01-02T03:04:05Z"`, "2026-01-02T04:04:05+01:00", true},
	{"DateEquals", `"2026-01-02T03:04:05Z"`, "1767323045", true},
	{"DateEquals", `"1767323045"`, "2026-01-02T03:04:05.000Z", true},
	{"DateEquals", `"1767323045.5"`, "2026-01-02T03:04:05.5Z", true},
	{"DateEquals", `"2026-01-02"`, "2026-01-02T00:00Z", true},
	{"DateEquals", `"2026-01"`, "2026-01-01", true},
	{"DateEquals", `"2026"`, "2026-01-01T00:00:00Z", true},
	{"DateEquals", `"2026-01-02"`, "1h", false},
	{"DateEquals", `"2026-01-02"`, "2026-01-03", false},
	{"DateLessThan", `"2026-01-02"`, "2026-01-01", true},
	{"DateLessThan", `"2026-01-02"`, "2026-01-02", false},
	{"DateLessThan", `"2026-01-02"`, "1h1", false},
	{"DateLessThan", `"2026-01-02"`, "99999999999999999999", false},
	{"DateLessThanEquals", `"2026-01-02"`, "2026-01-02", true},
	{"DateLessThanEquals", `"2026-01-02"`, "2026-01-03", false},
	{"DateGreaterThan", `"2026-01-02"`, "2026-01-02T00:00:01Z", true},
	{"DateGreaterThan", `"2026-01-02"`, "2026-01-02", false},
	{"DateGreaterThanEquals", `"2026-01-02"`, "2026-01-02", true},
	{"DateGreaterThanEquals", `"2026-01-02"`, "2025-12-31", false},

	{"Bool", `true`, "true", true},
	{"Bool", `"True"`, "true", true},
	{"Bool", `"false"`, "true", false},
	{"Bool", `"false"`, "no", false},
	{"BinaryEquals", `"QmluYXJ5"`, "QmluYXJ5", true},
	{"BinaryEquals", `"QmluYXJ5"`, "QmluYXJ6", false},
	{"BinaryEquals", `"QmluYXJ5"`, "Binary", false},

	{"IpAddress", `"10.0.0.0/8"`, "10.255.0.1", true},
	{"IpAddress", `"10.0.0.0/8"`, "11.0.0.1", false},
	{"IpAddress", `"10.0.0.7/8"`, "10.1.0.1", true},
	{"IpAddress", `"10.0.0.0/8"`, "::ffff:10.0.0.1", true},
	{"IpAddress", `"10.0.0.1"`, "10.0.0.1", true},
	{"IpAddress", `"10.0.0.1"`, "10.0.0.2", false},
	{"IpAddress", `"2001:db8::/32"`, "2001:db8:1::1", true},
	{"IpAddress", `"2001:db8::1"`, "2001:db8:0::1", true},
	{"IpAddress", `"::/0"`, "10.0.0.1", false},
	{"IpAddress", `"0.0.0.0/0"`, "2001:db8::1", false},
	{"IpAddress", `["192.0.2.0/24","fe80::/10"]`, "fe80::1%eth0", true},
	{"IpAddress", `"0.0.0.0/0"`, "somewhere", false},

	{"ArnEquals", `"arn:aws:iam::111122223333:user/alice"`, "arn:aws:iam::111122223333:user/alice", true},
	{"ArnEquals", `"arn:aws:iam::111122223333:user/alice"`, "arn:aws:iam::111122223333:user/Alice", false},
	{"ArnEquals", `"arn:aws:iam::111122223333:user/*"`, "arn:aws:iam::111122223333:user/alice", true},
	{"ArnLike", `"arn:aws:iam::*:role/dep?oy"`, "arn:aws:iam::111122223333:role/deploy", true},
	{"ArnLike", `"arn:aws:iam:*:role/deploy:*"`, "arn:aws:iam::111122223333:role/deploy", false},
	{"ArnLike", `"arn:aws:*:*:*:*"`, "arn:aws:sns:us-east-1:111122223333:topic:x", true},
	{"ArnLike", `"arn:aws:sns:*:*:top*x"`, "arn:aws:sns:us-east-1:111122223333:topic:x", true},
	{"ArnLike", `"arn:*:topic:*:*:x"`, "arn:aws:sns:us-east-1:111122223333:topic:x", false},
	{"ArnLike", `"*"`, "arn:aws:iam::111122223333:root", true},
	{"ArnLike", `"*"`, "root", false},
	{"ArnLike", `"arn:*:*:*:*:*"`, "urn:aws:iam::111122223333:root", false},
	{"ArnLike", `"arn:aws:iam::*:*"`, "arn:aws:iam", false},
}

// negatedOf maps the operators that have a negated twin to it.
var negatedOf = map[string]string{
	"StringEquals": "StringNotEquals", "StringEqualsIgnoreCase": "StringNotEqualsIgnoreCase", "StringLike": "StringNotLike",
	"NumericEquals": "NumericNotEquals", "DateEquals": "DateNotEquals", "IpAddress": "NotIpAddress",
	"ArnEquals": "ArnNotEquals", "ArnLike": "ArnNotLike",
}

func TestOperators(t *testing.T) {
	seen := make(map[string]bool)
	check := func(operator, values string, want bool, request ...string) {
		t.Helper()
		condition := fmt.Sprintf(`{%q:{"test:Key":%s}}`, operator, values)
		if got := holds(t, policy.Version2012, condition, request...); got != want {
			t.Errorf("%s with %q: %v, want %v", condition, request, got, want)
		}
	}
	for _, c := range operatorCases {
		check(c.operator, c.values, c.want, c.request)
		check(c.operator+"IfExists", c.values, c.want, c.request)
		check("ForAnyValue:"+c.operator, c.values, c.want, c.request)
		check("ForAllValues:"+c.operator, c.values, c.want, c.request)
		if negated := negatedOf[c.operator]; negated != "" {
			check(negated, c.values, !c.want, c.request)
			check(negated+"IfExists", c.values, !c.want, c.request)
			check("ForAnyValue:"+negated, c.values, !c.want, c.request)
			check("ForAllValues:"+negated, c.values, !c.want, c.request)
		}
		if seen[c.operator] {
			continue
		}
		seen[c.operator] = true
		// The key is absent.
		check(c.operator, c.values, false)
		check(c.operator+"IfExists", c.values, true)
		check("ForAnyValue:"+c.operator, c.values, false)
		check("ForAnyValue:"+c.operator+"IfExists", c.values, true)
		check("ForAllValues:"+c.operator, c.values, true)
		check("ForAllValues:"+c.operator+"IfExists", c.values, true)
		if negated := negatedOf[c.operator]; negated != "" {
			check(negated, c.values, true)
			check(negated+"IfExists", c.values, true)
			check("ForAnyValue:"+negated, c.values, false)
			check("ForAllValues:"+negated, c.values, true)
		}
	}
	if len(seen) != 18 || len(negatedOf) != 8 {
		t.Errorf("%d positive and %d negated operators were tested", len(seen), len(negatedOf))
	}
}

func TestSetOperators(t *testing.T) {
	for _, c := range []struct {
		operator string
		request  []string
		want     bool
	}{
		{"ForAllValues:StringEquals", []string{"a", "b"}, true},
		{"ForAllValues:StringEquals", []string{"a", "c"}, false},
		{"ForAllValues:StringEquals", []string{"c"}, false},
		{"ForAnyValue:StringEquals", []string{"c", "b"}, true},
		{"ForAnyValue:StringEquals", []string{"c", "d"}, false},
		{"ForAllValues:StringNotEquals", []string{"c", "d"}, true},
		{"ForAllValues:StringNotEquals", []string{"c", "a"}, false},
		{"ForAnyValue:StringNotEquals", []string{"c", "a"}, true},
		{"ForAnyValue:StringNotEquals", []string{"a", "b"}, false},
		// No set operator, and still several values: see condition.holds.
		{"StringEquals", []string{"a", "b"}, false},
		{"StringNotEquals", []string{"a", "b"}, true},
	} {
		if got := holds(t, policy.Version2012, `{"`+c.operator+`":{"test:key":["a","b"]}}`, c.request...); got != c.want {
			t.Errorf("%s of a, b with %q: %v, want %v", c.operator, c.request, got, c.want)
		}
	}
}

func TestNull(t *testing.T) {
	for _, c := range []struct {
		values  string
		request []string
		want    bool
	}{
		{`"true"`, nil, true},
		{`"true"`, []string{"x"}, false},
		{`"true"`, []string{""}, false},
		{`"true"`, []string{"true"}, false},
		{`false`, nil, false},
		{`"False"`, []string{"x", "y"}, true},
		{`["true","false"]`, nil, true},
	} {
		if got := holds(t, policy.Version2012, `{"Null":{"TEST:KEY":`+c.values+`}}`, c.request...); got != c.want {
			t.Errorf("Null %s with %q: %v, want %v", c.values, c.request, got, c.want)
		}
	}
}

func TestConditionsAreAndOfOperatorsAndKeys(t *testing.T) {
	for condition, want := range map[string]bool{
		`{"StringEquals":{"test:key":"x","aws:username":"alice"}}`:              true,
		`{"StringEquals":{"test:key":"x","aws:username":"bob"}}`:                false,
		`{"StringEquals":{"test:key":"y","aws:username":"alice"}}`:              false,
		`{"StringEquals":{"test:key":"x"},"StringLike":{"aws:username":"al*"}}`: true,
		`{"StringEquals":{"test:key":"x"},"StringLike":{"aws:username":"b*"}}`:  false,
		`{"StringNotEquals":{"test:key":["y","x"]}}`:                            false,
		`{"StringNotEquals":{"test:key":["y","z"]}}`:                            true,
		`{}`: true,
	} {
		if got := holds(t, policy.Version2012, condition, "x"); got != want {
			t.Errorf("%s: %v, want %v", condition, got, want)
		}
	}
	// A request without context has no keys.
	d := parse(t, document(allowRoot+`,"Condition":{"Null":{"aws:username":"true"},"StringNotEquals":{"aws:username":"${aws:userid}"}}`))
	if got := d.Evaluate(&policy.Request{Principal: root, Action: "kms:Encrypt", Resource: key}); got.Effect != policy.Allow {
		t.Errorf("nil context: %+v", got)
	}
}

func TestVariables(t *testing.T) {
	for _, c := range []struct {
		operator, value, request string
		want                     bool
	}{
		{"StringEquals", "${aws:username}", "alice", true},
		{"StringEquals", "${AWS:UserName}", "alice", true},
		{"StringEquals", "${ aws:username }", "alice", true},
		{"StringEquals", "x-${aws:username}-y", "x-alice-y", true},
		{"StringEquals", "x-${aws:username}-y", "x-bob-y", false},
		{"StringEquals", "${aws:username}${aws:username}", "alicealice", true},
		{"StringEquals", "${aws:userid}", "", false},
		{"StringEquals", "${aws:userid, 'anon'}", "anon", true},
		{"StringEquals", "${aws:userid,''}", "", true},
		{"StringEquals", "${aws:username, 'anon'}", "alice", true},
		{"StringEquals", "${aws:username, 'anon'}", "anon", false},
		{"StringEquals", "${aws:tagkeys}", "one", false},           // several values
		{"StringEquals", "${aws:tagkeys, 'anon'}", "anon", false},  // the same
		{"StringEquals", "${aws:PrincipalTag/bad}", "\xff", false}, // would be a wildcard
		{"StringEquals", "$", "$", true},
		{"StringEquals", "{}$x", "{}$x", true},
		{"StringEquals", "${$}{aws:username}", "${aws:username}", true},
		{"StringEquals", "${*}${?}", "*?", true},
		{"StringEqualsIgnoreCase", "${aws:username}", "ALICE", true},
		{"StringLike", "${*}", "*", true},
		{"StringLike", "${*}", "x", false},
		{"StringLike", "${?}", "x", false},
		{"StringLike", "*${*}?", "ab*c", true},
		{"StringLike", "${aws:username}/*", "alice/x", true},
		{"StringLike", "${aws:PrincipalTag/team}", "a*b", true},
		{"StringLike", "${aws:PrincipalTag/team}", "axb", false}, // a value's * is text
		{"StringLike", "${aws:userid, 'a*'}", "ab", false},       // so is a default's
		{"StringLike", "${aws:PrincipalTag/bad}", "x", false},
		{"ArnLike", "arn:aws:iam::*:user/${aws:username}", "arn:aws:iam::111122223333:user/alice", true},
		{"ArnLike", "arn:aws:iam::*:user/${aws:username}", "arn:aws:iam::111122223333:user/bob", false},
		{"ArnEquals", "${aws:PrincipalArn}", "arn:aws:iam::111122223333:user/alice", true},
		{"ArnEquals", "${aws:username}", "arn:aws:iam::111122223333:user/alice", false},
		{"ArnEquals", "arn:aws:iam::*:user/${aws:userid}", "arn:aws:iam::111122223333:user/", false},
	} {
		condition := fmt.Sprintf(`{%q:{"test:key":%q}}`, c.operator, c.value)
		if got := holds(t, policy.Version2012, condition, c.request); got != c.want {
			t.Errorf("%s with %q: %v, want %v", condition, c.request, got, c.want)
		}
		condition = fmt.Sprintf(`{%q:{"test:key":%q}}`, negatedOf[c.operator], c.value)
		if got := holds(t, policy.Version2012, condition, c.request); got == c.want {
			t.Errorf("%s with %q: %v, want %v", condition, c.request, got, !c.want)
		}
	}
	// Version 2008-10-17 has no variables; there ${ is text, and not an error.
	for value, request := range map[string]string{"${aws:username}": "${aws:username}", "${": "${", "${*}": "${*}"} {
		if !holds(t, policy.Version2008, `{"StringEquals":{"test:key":"`+value+`"}}`, request) {
			t.Errorf("%s is not text in the old version", value)
		}
	}
	if !holds(t, policy.Version2008, `{"StringLike":{"test:key":"${*}"}}`, "${x}") {
		t.Error("* in ${*} is no wildcard in the old version")
	}
}

package policy_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/keywright/keywright/internal/arn"
	"github.com/keywright/keywright/internal/policy"
)

const allowRoot = `"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::` + account + `:root"},"Action":"kms:*","Resource":"*"`

func TestParseKeyPolicyAccepts(t *testing.T) {
	for name, text := range map[string]string{
		"one statement, no list":      `{"Version":"2012-10-17","Statement":{` + allowRoot + `}}`,
		"no version":                  `{"Statement":[{` + allowRoot + `}]}`,
		"old version":                 `{"Version":"2008-10-17","Statement":[{` + allowRoot + `}]}`,
		"id":                          `{"Id":"","Version":"2012-10-17","Statement":[{` + allowRoot + `}]}`,
		"white space":                 " \r\n\t" + document(allowRoot) + "\n ",
		"sid with spaces":             document(`"Sid":"Allow use of the key",` + allowRoot),
		"equal statements, no sid":    document(allowRoot, allowRoot),
		"equal statements, empty sid": document(`"Sid":"",`+allowRoot, `"Sid":"",`+allowRoot),
		"Latin-1 sid":                 document(`"Sid":"Schlüssel",` + allowRoot),
		"unknown action":              document(`"Effect":"Allow","Principal":"*","Action":"kms:FlyToTheMoon","Resource":"*"`),
		"empty condition":             document(allowRoot + `,"Condition":{}`),
		"bare values":                 document(allowRoot + `,"Condition":{"Bool":{"kms:MultiRegion":true},"NumericLessThan":{"kms:RotationPeriodInDays":[100,1.5,-1]}}`),
		"Deny NotPrincipal":           document(allowRoot, `"Effect":"Deny","NotPrincipal":{"AWS":"`+account+`"},"Action":"kms:*","Resource":"*"`),
		"largest":                     document(allowRoot) + strings.Repeat(" ", policy.MaxKeyPolicyBytes-len(document(allowRoot))),
	} {
		if _, err := policy.ParseKeyPolicy(text, nil); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestParseKeyPolicyRefuses(t *testing.T) {
	const who = `"Principal":"*",`
	const rest = `,"Principal":"*","Action":"kms:*","Resource":"*"`
	condition := func(c string) string { return document(allowRoot + `,"Condition":` + c) }
	for _, c := range []struct{ name, text, want string }{
		{"empty", ``, "not valid JSON"},
		{"not JSON", `Version: 2012-10-17`, "not valid JSON"},
		{"cut off", `{"Version":"2012-10-17","Statement":[{`, "not valid JSON"},
		{"list", `[]`, "the policy is not an object"},
		{"null", `null`, "the policy is not an object"},
		{"text after", document(allowRoot) + `{}`, "text after"},
		{"comma after", document(allowRoot) + `,`, "text after"},
		{"trailing comma", `{"Statement":[{` + allowRoot + `},]}`, "not valid JSON"},
		{"control character", "\x0b" + document(allowRoot), "U+000B"},
		{"beyond Latin-1", document(`"Sid":"ключ",` + allowRoot), "U+043A"},
		{"invalid UTF-8", document(`"Sid":"` + "\xff" + `",` + allowRoot), "UTF-8"},
		{"lone surrogate", document(`"Sid":"\ud800",` + allowRoot), "not valid JSON"},

		{"unknown version", `{"Version":"2012-10-18","Statement":[{` + allowRoot + `}]}`, `"2012-10-18"`},
		{"empty version", `{"Version":"","Statement":[{` + allowRoot + `}]}`, `Version ""`},
		{"version a number", `{"Version":2012,"Statement":[{` + allowRoot + `}]}`, "Version is not a string"},
		{"duplicate version", `{"Version":"2012-10-17","Version":"2012-10-17","Statement":[{` + allowRoot + `}]}`, `"Version" stands twice`},
		{"unknown element", `{"version":"2012-10-17","Statement":[{` + allowRoot + `}]}`, `unknown element "version"`},
		{"no statement", `{"Version":"2012-10-17"}`, "no statement"},
		{"empty statement list", `{"Version":"2012-10-17","Statement":[]}`, "no statement"},
		{"statement a string", `{"Statement":"x"}`, "statement 1: the statement is not an object"},
		{"nested lists", `{"Statement":[[{` + allowRoot + `}]]}`, "statement 1: the statement is not an object"},
		{"deep", `{"Statement":` + strings.Repeat("[", 10000) + strings.Repeat("]", 10000) + `}`, "not an object"},

		{"statement element", document(allowRoot, allowRoot+`,"Resources":"*"`), `statement 2: unknown element "Resources"`},
		{"duplicate effect", document(`"Effect":"Allow",` + allowRoot), `"Effect" stands twice`},
		{"no effect", document(`"Sid":"x"` + rest), "Effect is missing"},
		{"effect in lower case", document(`"Effect":"allow"` + rest), `Effect "allow"`},
		{"sid a number", document(`"Sid":1,` + allowRoot), "Sid is not a string"},
		{"duplicate sid", document(`"Sid":"a",`+allowRoot, `"Sid":"b",`+allowRoot, `"Sid":"a",`+allowRoot), `statement 3: the Sid "a" stands twice`},

		{"no principal", document(`"Effect":"Allow","Action":"kms:*","Resource":"*"`), "Principal is missing"},
		{"principal text", document(`"Effect":"Allow","Principal":"` + account + `"`), "neither * nor an object"},
		{"principal list", document(`"Effect":"Allow","Principal":["*"]`), "Principal is not an object"},
		{"principal empty", document(`"Effect":"Allow","Principal":{}`), "Principal is empty"},
		{"principal empty list", document(`"Effect":"Allow","Principal":{"AWS":[]}`), "Principal AWS is an empty list"},
		{"principal type", document(`"Effect":"Allow","Principal":{"aws":"*"}`), `unknown type "aws"`},
		{"principal of numbers", document(`"Effect":"Allow","Principal":{"AWS":[111122223333]}`), "Principal AWS is not a string"},
		{"both principals", document(`"Effect":"Deny","Principal":"*","NotPrincipal":"*"`), "both Principal and NotPrincipal"},
		{"Allow NotPrincipal", document(`"Effect":"Allow","NotPrincipal":{"AWS":"` + account + `"}`), "Deny only"},

		{"action of another service", document(`"Effect":"Allow",` + who + `"Action":["kms:*","s3:GetObject"]`), `"s3:GetObject"`},
		{"action without prefix", document(`"Effect":"Allow",` + who + `"Action":"Encrypt"`), `"Encrypt"`},
		{"wildcard in prefix", document(`"Effect":"Allow",` + who + `"Action":"k*:Encrypt"`), `"k*:Encrypt"`},
		{"action without name", document(`"Effect":"Allow",` + who + `"Action":"kms:"`), "not the name"},
		{"action with space", document(`"Effect":"Allow",` + who + `"NotAction":"kms:En crypt"`), "not the name"},
		{"action null", document(`"Effect":"Allow",` + who + `"Action":null`), "Action is not a string"},
		{"action empty list", document(`"Effect":"Deny",` + who + `"NotAction":[]`), "NotAction is an empty list"},
		{"both actions", document(`"Effect":"Deny",` + who + `"Action":"*","NotAction":"*"`), "both Action and NotAction"},
		{"both resources", document(`"Effect":"Deny",` + who + `"Resource":"*","NotResource":"*"`), "both Resource and NotResource"},
		{"resource no ARN", document(`"Effect":"Allow",` + who + `"Resource":"key/1"`), `"key/1" is neither * nor`},
		{"resource no arn:", document(`"Effect":"Allow",` + who + `"Resource":"urn:aws:kms:*:*:key/*"`), "neither * nor"},
		{"resource empty", document(`"Effect":"Allow",` + who + `"Resource":"arn:aws:kms:*:*:"`), "neither * nor"},
		{"resource short ARN", document(`"Effect":"Allow",` + who + `"Resource":"arn:aws:kms:*"`), "neither * nor"},

		{"condition a string", condition(`"x"`), "Condition is not an object"},
		{"unknown operator", condition(`{"StringMatches":{"aws:x":"y"}}`), `"StringMatches" is not a condition operator`},
		{"operator in lower case", condition(`{"stringEquals":{"aws:x":"y"}}`), "not a condition operator"},
		{"NullIfExists", condition(`{"NullIfExists":{"aws:x":"true"}}`), "not a condition operator"},
		{"set of Null", condition(`{"ForAnyValue:Null":{"aws:x":"true"}}`), "not a condition operator"},
		{"double suffix", condition(`{"BoolIfExistsIfExists":{"aws:x":"true"}}`), "not a condition operator"},
		{"operator without key", condition(`{"StringEquals":{}}`), `Condition "StringEquals" has no key`},
		{"key without name", condition(`{"StringEquals":{"":"x"}}`), "without a name"},
		{"no value", condition(`{"StringEquals":{"aws:x":[]}}`), "empty list"},
		{"null value", condition(`{"StringEquals":{"aws:x":null}}`), "not a string"},
		{"object value", condition(`{"StringEquals":{"aws:x":{}}}`), "not a string"},
		{"duplicate key", condition(`{"StringEquals":{"aws:x":"1","aws:x":"2"}}`), `"aws:x" stands twice`},
		{"number", condition(`{"NumericEquals":{"aws:x":"1e3"}}`), "not a decimal number"},
		{"date", condition(`{"DateEquals":{"aws:x":"yesterday"}}`), "ISO 8601"},
		{"bool", condition(`{"Bool":{"aws:x":"yes"}}`), "neither true nor false"},
		{"null operator", condition(`{"Null":{"aws:x":"1"}}`), "neither true nor false"},
		{"binary", condition(`{"BinaryEquals":{"aws:x":"QQ="}}`), "base64"},
		{"address", condition(`{"IpAddress":{"aws:x":"10.0.0.0/33"}}`), "CIDR"},
		{"mapped address", condition(`{"IpAddress":{"aws:x":"::ffff:10.0.0.1"}}`), "CIDR"},
		{"ARN", condition(`{"ArnLike":{"aws:x":"root"}}`), "neither * nor"},
		{"open variable", condition(`{"StringEquals":{"aws:x":"${aws:username"}}`), "policy variable"},
		{"empty variable", condition(`{"StringEquals":{"aws:x":"${}"}}`), "policy variable"},
		{"unquoted default", condition(`{"StringLike":{"aws:x":"${aws:username, x}"}}`), "policy variable"},
		{"variable in resource", document(`"Effect":"Allow",` + who + `"Resource":"arn:aws:kms:*:*:key/${a b}"`), "policy variable"},
	} {
		d, err := policy.ParseKeyPolicy(c.text, resolve)
		malformed, ok := errors.AsType[*policy.MalformedError](err)
		if d != nil || !ok || !strings.Contains(malformed.Message, c.want) {
			t.Errorf("%s: got %v, %v; want a MalformedError with %q", c.name, d, err, c.want)
		}
	}
}

func TestParseKeyPolicyTooLarge(t *testing.T) {
	text := document(allowRoot) + strings.Repeat(" ", policy.MaxKeyPolicyBytes)
	if d, err := policy.ParseKeyPolicy(text, nil); d != nil || err != policy.ErrTooLarge {
		t.Errorf("got %v, %v; want ErrTooLarge", d, err)
	}
}

func TestParseKeyPolicyInvalidPrincipals(t *testing.T) {
	for _, p := range []string{
		`{"AWS":"arn:aws:iam::` + account + `:user/nobody"}`,
		`{"AWS":["` + account + `","arn:aws:iam::` + account + `:role/nobody"]}`,
		`{"AWS":"arn:aws:iam::` + other + `:user/alice"}`,
		`{"AWS":"arn:aws:sts::` + account + `:assumed-role/nobody/s"}`,
		`{"AWS":"arn:aws:sts::` + account + `:assumed-role/deploy"}`,
		`{"AWS":"arn:aws:sts::` + account + `:assumed-role/deploy/"}`,
		`{"AWS":"arn:aws:sts::` + account + `:assumed-role/deploy/a/b"}`,
		`{"AWS":"arn:aws:sts::` + account + `:assumed-role//s"}`,
		`{"AWS":"arn:aws:sts::` + account + `:federated-user/"}`,
		`{"AWS":"arn:aws:iam::` + account + `:user/"}`,
		`{"AWS":"arn:aws:iam::` + account + `:user/*"}`,
		`{"AWS":"arn:aws:iam::` + account + `:*"}`,
		`{"AWS":"arn:aws:iam::*:root"}`,
		`{"AWS":"arn:aws:iam::` + account + `:root/x"}`,
		`{"AWS":"arn:aws:iam::` + account + `:group/admins"}`,
		`{"AWS":"arn:aws:iam:us-east-1:` + account + `:root"}`,
		`{"AWS":"arn:aws:iam::aws:root"}`,
		`{"AWS":"arn:aws:kms:us-east-1:` + account + `:key/` + keyID + `"}`,
		`{"AWS":"11112222333"}`, `{"AWS":"alice"}`, `{"AWS":"AIDAALICE"}`, `{"AWS":""}`, `{"AWS":"1111*"}`,
		`{"Service":"*"}`, `{"Service":"sns"}`, `{"Service":"SNS.amazonaws.com"}`, `{"Service":".amazonaws.com"}`, `{"Service":"sns.example.com"}`,
		`{"Federated":"*"}`, `{"CanonicalUser":""}`,
	} {
		for _, element := range []string{`"Effect":"Deny","Principal":`, `"Effect":"Deny","NotPrincipal":`} {
			text := document(allowRoot, element+p+`,"Action":"kms:*","Resource":"*"`)
			if d, err := policy.ParseKeyPolicy(text, resolve); d != nil || err != policy.ErrInvalidPrincipals {
				t.Errorf("%s%s: %v, %v", element, p, d, err)
			}
		}
	}
	// Wildcards are refused before anybody is asked.
	for _, name := range []string{"user/*", "user/a?", "role/path/*"} {
		text := document(`"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::` + account + `:` + name + `"},"Action":"kms:*","Resource":"*"`)
		if _, err := policy.ParseKeyPolicy(text, func(arn.ARN) (string, bool) { return "AIDAANY", true }); err != policy.ErrInvalidPrincipals {
			t.Errorf("%s: %v", name, err)
		}
	}
	// Without a resolver no user and no role exists.
	text := document(`"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::` + account + `:user/alice"},"Action":"kms:*","Resource":"*"`)
	if d, err := policy.ParseKeyPolicy(text, nil); d != nil || err != policy.ErrInvalidPrincipals {
		t.Errorf("no resolver: %v, %v", d, err)
	}
	if got, want := policy.ErrInvalidPrincipals.Error(), "Policy contains a statement with one or more invalid principals."; got != want {
		t.Errorf("text is %q", got)
	}
}

// A resolver that knows a name but no id must not make a principal that every
// requester without id matches.
func TestParseKeyPolicyEmptyID(t *testing.T) {
	text := document(`"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::` + account + `:user/alice"},"Action":"kms:*","Resource":"*"`)
	if _, err := policy.ParseKeyPolicy(text, func(arn.ARN) (string, bool) { return "", true }); err != policy.ErrInvalidPrincipals {
		t.Errorf("got %v", err)
	}
}

func TestResolverIsAskedForEntities(t *testing.T) {
	var asked []string
	text := document(`"Effect":"Allow","Action":"kms:*","Resource":"*","Principal":{"AWS":["*","` + account + `",
		"arn:aws:iam::` + account + `:root","arn:aws:iam::` + account + `:user/team/bob",
		"arn:aws:sts::` + account + `:assumed-role/deploy/ci","arn:aws:sts::` + account + `:federated-user/f"],"Service":"s3.amazonaws.com"}`)
	d, err := policy.ParseKeyPolicy(text, func(a arn.ARN) (string, bool) {
		asked = append(asked, a.String())
		return "id", true
	})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"arn:aws:iam::" + account + ":user/team/bob", "arn:aws:iam::" + account + ":role/deploy"}
	if !slices.Equal(asked, want) {
		t.Errorf("asked for %q, want %q", asked, want)
	}
	var names []policy.NamedPrincipal
	for p := range d.Principals() {
		names = append(names, p)
	}
	wantNames := []policy.NamedPrincipal{
		{Type: policy.AWS, Name: "*"}, {Type: policy.AWS, Name: account},
		{Type: policy.AWS, Name: "arn:aws:iam::" + account + ":root"},
		{Type: policy.AWS, Name: "arn:aws:iam::" + account + ":user/team/bob"},
		{Type: policy.AWS, Name: "arn:aws:sts::" + account + ":assumed-role/deploy/ci"},
		{Type: policy.AWS, Name: "arn:aws:sts::" + account + ":federated-user/f"},
		{Type: policy.Service, Name: "s3.amazonaws.com"},
	}
	if !slices.Equal(names, wantNames) {
		t.Errorf("principals are %v, want %v", names, wantNames)
	}
	for range d.Principals() {
		break // ends without a panic
	}
}

func TestOverlyPermissiveCondition(t *testing.T) {
	for operator, refused := range map[string]map[string]bool{
		"ForAllValues:StringEquals":       {"kms:EncryptionContext:AppName": true, "KMS:encryptioncontext:a": true, "aws:RequestTag/Team": true, "kms:EncryptionContextKeys": false, "aws:TagKeys": false},
		"ForAllValues:StringLikeIfExists": {"kms:EncryptionContext:a": true, "aws:requesttag/t": true},
		"ForAnyValue:StringEquals":        {"kms:EncryptionContext:AppName": false, "aws:RequestTag/Team": false},
		"StringEquals":                    {"kms:EncryptionContext:AppName": false, "aws:RequestTag/Team": false},
	} {
		for key, want := range refused {
			_, err := policy.ParseKeyPolicy(document(allowRoot+`,"Condition":{"`+operator+`":{"`+key+`":"x"}}`), nil)
			if got := err == policy.ErrOverlyPermissive; got != want || err != nil && !got {
				t.Errorf("%s %s: %v, refused should be %v", operator, key, err, want)
			}
		}
	}
	if text := policy.ErrOverlyPermissive.Error(); !strings.HasPrefix(text, "OverlyPermissiveCondition: Using the ForAllValues set operator") {
		t.Errorf("text is %q", text)
	}
}

func TestAllowsPutKeyPolicy(t *testing.T) {
	const aliceARN = `"arn:aws:iam::` + account + `:user/alice"`
	const put = `,"Resource":"*","Action":"kms:PutKeyPolicy"`
	for _, c := range []struct {
		name, text string
		who        policy.Principal
		want       bool
	}{
		{"default, root", policy.DefaultKeyPolicy("aws", account), root, true},
		{"default, user", policy.DefaultKeyPolicy("aws", account), alice, true},
		{"default, other account", policy.DefaultKeyPolicy("aws", account), far, false},
		{"other account only", document(`"Effect":"Allow","Principal":{"AWS":"` + other + `"}` + put), root, false},
		{"user only, user", document(`"Effect":"Allow","Principal":{"AWS":` + aliceARN + `}` + put), alice, true},
		{"user only, other user", document(`"Effect":"Allow","Principal":{"AWS":` + aliceARN + `}` + put), bob, false},
		{"user only, root", document(`"Effect":"Allow","Principal":{"AWS":` + aliceARN + `}` + put), root, false},
		{"everyone", document(`"Effect":"Allow","Principal":"*"` + put), root, true},
		{"other actions", document(`"Effect":"Allow","Principal":"*","Resource":"*","Action":["kms:Get*","kms:Encrypt"]`), root, false},
		{"no action", document(`"Effect":"Allow","Principal":"*","Resource":"*"`), root, false},
		{"no resource", document(`"Effect":"Allow","Principal":"*","Action":"kms:*"`), root, false},
		{"other key", document(`"Effect":"Allow","Principal":"*","Action":"kms:*","Resource":"arn:aws:kms:us-east-1:` + account + `:key/x"`), root, false},
		{"denied", document(allowRoot, `"Effect":"Deny","Principal":{"AWS":`+aliceARN+`}`+put), alice, false},
		{"other denied", document(allowRoot, `"Effect":"Deny","Principal":{"AWS":`+aliceARN+`}`+put), bob, true},
		{"condition holds", document(allowRoot + `,"Condition":{"StringEquals":{"kms:CallerAccount":"` + account + `"}}`), root, true},
		{"condition fails", document(allowRoot + `,"Condition":{"StringEquals":{"kms:CallerAccount":"` + other + `"}}`), root, false},
		{"condition unknown", document(allowRoot + `,"Condition":{"IpAddress":{"aws:SourceIp":"10.0.0.0/8"}}`), root, false},
		{"bypass forbidden", document(allowRoot, `"Effect":"Deny","Principal":"*"`+put+`,"Condition":{"Null":{"kms:BypassPolicyLockoutSafetyCheck":"false"}}`), root, true},
	} {
		r := policy.Request{Principal: c.who, Action: "kms:CreateKey", Resource: key, Context: contextOf(map[string][]string{"kms:calleraccount": {account}})}
		if got := parse(t, c.text).AllowsPutKeyPolicy(&r); got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
		if r.Action != "kms:CreateKey" {
			t.Errorf("%s: the request was changed", c.name)
		}
	}
	if got, want := policy.ErrLockout.Error(), "The new key policy will not allow you to update the key policy in the future."; got != want {
		t.Errorf("text is %q", got)
	}
}

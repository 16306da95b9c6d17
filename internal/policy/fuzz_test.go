package policy_test

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/keywright/keywright/internal/policy"
)

// FuzzParseKeyPolicy checks that no text makes the parser or an evaluation
// panic, that errors are of the two kinds promised, that what is accepted is
// JSON by another parser, and that the document written anew by it is accepted
// and decides alike.
func FuzzParseKeyPolicy(f *testing.F) {
	f.Add(policy.DefaultKeyPolicy("aws", account))
	f.Add(document(allowRoot, `"Sid":"x","Effect":"Deny","NotPrincipal":{"AWS":["`+account+`","arn:aws:iam::`+account+`:user/alice"]},"NotAction":"kms:Get*","NotResource":"arn:aws:kms:*:${aws:PrincipalAccount}:key/*"`))
	f.Add(document(allowRoot + `,"Condition":{"StringLike":{"aws:username":["a*","${aws:userid, 'x'}"]},"ForAllValues:NumericLessThanIfExists":{"a:b":[1,2.5]},"Null":{"a:c":true},"Bool":{"a:d":false}}`))
	f.Add(document(`"Effect":"Allow","Principal":{"Service":["s3.amazonaws.com"],"Federated":"x","CanonicalUser":"y","AWS":"*"},"Action":["*"],"Resource":["*"],"Condition":{"IpAddress":{"aws:SourceIp":"10.0.0.0/8"},"DateLessThan":{"aws:CurrentTime":"2030"},"ArnLike":{"aws:PrincipalArn":"arn:*:*:*:*:*"},"BinaryEquals":{"a:e":"QQ=="}}`))
	context := func(key string) []string {
		switch key {
		case "aws:username", "aws:sourceip", "aws:currenttime":
			return []string{"10.1.2.3"}
		case "aws:tagkeys":
			return []string{"a", "b"}
		}
		return nil
	}
	f.Fuzz(func(t *testing.T, text string) {
		d, err := policy.ParseKeyPolicy(text, resolve)
		if err != nil {
			_, malformed := errors.AsType[*policy.MalformedError](err)
			if d != nil || !malformed && err != policy.ErrTooLarge || !utf8.ValidString(err.Error()) {
				t.Errorf("got %v, %v", d, err)
			}
			return
		}
		var value any
		decoder := json.NewDecoder(strings.NewReader(text))
		decoder.UseNumber()
		if err := decoder.Decode(&value); err != nil {
			t.Fatalf("accepted, but is not JSON: %v", err)
		}
		again, err := json.MarshalIndent(value, "", " ")
		if err != nil {
			t.Fatal(err)
		}
		if len(again) > policy.MaxKeyPolicyBytes || slices.ContainsFunc([]rune(string(again)), func(r rune) bool { return r > 0xff }) {
			return // escapes were resolved, or white space added
		}
		e, err := policy.ParseKeyPolicy(string(again), resolve)
		if err != nil {
			t.Fatalf("%s was accepted, but written anew is not: %v", text, err)
		}
		if d.Version() != e.Version() || d.ID() != e.ID() {
			t.Errorf("%s is of version %q and %q, id %q and %q", text, d.Version(), e.Version(), d.ID(), e.ID())
		}
		for _, who := range []policy.Principal{root, alice, deploy, far, sns} {
			for _, action := range []string{"kms:Encrypt", "kms:PutKeyPolicy"} {
				r := policy.Request{Principal: who, Action: action, Resource: key, Context: context}
				if a, b := d.Evaluate(&r), e.Evaluate(&r); a != b {
					t.Errorf("%s decides %+v and, written anew, %+v", text, a, b)
				}
			}
		}
	})
}

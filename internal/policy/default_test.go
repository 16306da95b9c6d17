package policy_test

import (
	"reflect"
	"testing"

	"github.com/keywright/keywright/internal/policy"
)

// The text is what GetKeyPolicy of AWS returns for a key created without a
// policy, with its line breaks.
const wantDefault = `{
  "Version" : "2012-10-17",
  "Id" : "key-default-1",
  "Statement" : [ {
    "Sid" : "Enable IAM User Permissions",
    "Effect" : "Allow",
    "Principal" : {
      "AWS" : "arn:aws-cn:iam::111122223333:root"
    },
    "Action" : "kms:*",
    "Resource" : "*"
  } ]
}`

func TestDefaultKeyPolicy(t *testing.T) {
	text := policy.DefaultKeyPolicy("aws-cn", account)
	if text != wantDefault {
		t.Errorf("got %s", text)
	}
	if d := policy.DefaultDocument("aws-cn", account); !reflect.DeepEqual(d, parse(t, text)) {
		t.Error("DefaultDocument is not what parsing DefaultKeyPolicy makes")
	}
	if d := policy.DefaultDocument("aws", other); reflect.DeepEqual(d, parse(t, text)) {
		t.Error("DefaultDocument is the same for every account")
	}
	d := policy.DefaultDocument("aws", account)
	if d.Version() != policy.Version2012 || d.ID() != "key-default-1" {
		t.Errorf("version %q, id %q", d.Version(), d.ID())
	}
}

func BenchmarkDefaultDocument(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		policy.DefaultDocument("aws", account)
	}
}

func BenchmarkParseKeyPolicy(b *testing.B) {
	text := policy.DefaultKeyPolicy("aws", account)
	b.ReportAllocs()
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		if _, err := policy.ParseKeyPolicy(text, nil); err != nil {
			b.Fatal(err)
		}
	}
}

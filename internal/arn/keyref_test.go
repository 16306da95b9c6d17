package arn_test

import (
	"strings"
	"testing"

	"github.com/keywright/keywright/internal/arn"
)

const (
	uuid = "1234abcd-12ab-34cd-56ef-1234567890ab"
	mrk  = "mrk-1234abcd12ab34cd56ef1234567890ab"
	acct = "111122223333"
)

func TestParseKeyRef(t *testing.T) {
	inKMS := func(k arn.Kind, id string) arn.KeyRef {
		return arn.KeyRef{Kind: k, Partition: "aws", Region: "us-east-1", Account: acct, ID: id}
	}
	const prefix = "arn:aws:kms:us-east-1:" + acct + ":"
	longest := "alias/" + strings.Repeat("a", arn.MaxAliasLength-len("alias/"))
	for in, want := range map[string]arn.KeyRef{
		uuid:                   {Kind: arn.KeyID, ID: uuid},
		mrk:                    {Kind: arn.KeyID, ID: mrk},
		"alias/a":              {Kind: arn.AliasName, ID: "alias/a"},
		"alias/aws/s3":         {Kind: arn.AliasName, ID: "alias/aws/s3"},
		"alias/A_z-9/b":        {Kind: arn.AliasName, ID: "alias/A_z-9/b"},
		longest:                {Kind: arn.AliasName, ID: longest},
		prefix + "key/" + uuid: inKMS(arn.KeyARN, uuid),
		prefix + "key/" + mrk:  inKMS(arn.KeyARN, mrk),
		prefix + "alias/a/b":   inKMS(arn.AliasARN, "alias/a/b"),
		"arn:aws-cn:kms:cn-north-1:" + acct + ":alias/x": {Kind: arn.AliasARN, Partition: "aws-cn", Region: "cn-north-1", Account: acct, ID: "alias/x"},

		// NotFoundException "Invalid keyId '...'" on AWS, for the first four recorded there.
		"fake-key-id":                           {},
		"1234abcd12ab34cd56ef1234567890ab":      {},
		"mrk-fake-key-id":                       {},
		"key_id":                                {},
		"":                                      {},
		strings.ToUpper(uuid):                   {},
		"1234abcd-12ab-34cd-56ef-1234567890a":   {},
		"1234abcd-12ab-34cd-56ef-1234567890abc": {},
		"1234abcd-12ab-34cd-56ef_1234567890ab":  {},
		"1234abcg-12ab-34cd-56ef-1234567890ab":  {},
		"mrk-1234abcd12ab34cd56ef1234567890a":   {},
		"mrk-1234abcd12ab34cd56ef1234567890aB":  {},
		"key/" + uuid:                           {},
		"alias/":                                {},
		"alias":                                 {},
		"Alias/a":                               {},
		"alias/a b":                             {},
		"alias/é":                               {},
		longest + "a":                           {},

		"arn:":                                             {Kind: arn.MalformedARN},
		prefix + "key/":                                    {Kind: arn.MalformedARN},
		prefix + "key/x":                                   {Kind: arn.MalformedARN},
		prefix + "alias/":                                  {Kind: arn.MalformedARN},
		prefix + uuid:                                      {Kind: arn.MalformedARN},
		prefix + "key/" + uuid + "/x":                      {Kind: arn.MalformedARN},
		"arn:aws:kms:us-east-1::key/" + uuid:               {Kind: arn.MalformedARN},
		"arn:aws:kms:us-east-1:aws:key/" + uuid:            {Kind: arn.MalformedARN},
		"arn:aws:kms::" + acct + ":key/" + uuid:            {Kind: arn.MalformedARN},
		"arn:aws:iam:us-east-1:" + acct + ":key/" + uuid:   {Kind: arn.MalformedARN},
		"arn:other:kms:us-east-1:" + acct + ":key/" + uuid: {Kind: arn.MalformedARN},
	} {
		if got := arn.ParseKeyRef(in); got != want {
			t.Errorf("ParseKeyRef(%q) = %+v, want %+v", in, got, want)
		}
	}
}

func TestBuildersRoundTrip(t *testing.T) {
	key := arn.Key("aws", "us-east-1", acct, mrk)
	if got, want := key.String(), "arn:aws:kms:us-east-1:111122223333:key/"+mrk; got != want {
		t.Errorf("Key = %q, want %q", got, want)
	}
	if got := arn.KeyString("aws", "us-east-1", acct, mrk); got != key.String() {
		t.Errorf("KeyString = %q, want %q", got, key)
	}
	alias := arn.Alias("aws-cn", "cn-north-1", acct, "alias/a/b")
	if got, want := alias.String(), "arn:aws-cn:kms:cn-north-1:111122223333:alias/a/b"; got != want {
		t.Errorf("Alias = %q, want %q", got, want)
	}
	if got, want := arn.Root("aws", acct).String(), "arn:aws:iam::111122223333:root"; got != want {
		t.Errorf("Root = %q, want %q", got, want)
	}
	for _, a := range []arn.ARN{key, alias, arn.Root("aws", acct)} {
		if back, err := arn.Parse(a.String()); err != nil || back != a {
			t.Errorf("Parse(%q) = %+v, %v", a, back, err)
		}
	}
}

func TestIsMultiRegion(t *testing.T) {
	if !arn.IsMultiRegion(mrk) || arn.IsMultiRegion(uuid) {
		t.Error("IsMultiRegion does not tell mrk- ids from others")
	}
}

func TestParseKeyRefDoesNotAllocate(t *testing.T) {
	for _, in := range []string{uuid, mrk, "alias/a", arn.KeyString("aws", "us-east-1", acct, uuid), "alias/a b", "arn:x"} {
		if n := testing.AllocsPerRun(100, func() { arn.ParseKeyRef(in) }); n != 0 {
			t.Errorf("ParseKeyRef(%q) allocates %v times", in, n)
		}
	}
}

func FuzzParseKeyRef(f *testing.F) {
	f.Add(uuid)
	f.Add("alias/a")
	f.Add(arn.KeyString("aws", "us-east-1", acct, mrk))
	f.Fuzz(func(t *testing.T, s string) {
		ref := arn.ParseKeyRef(s)
		var back string
		switch ref.Kind {
		case arn.KeyID, arn.AliasName:
			back = ref.ID
		case arn.KeyARN:
			back = arn.KeyString(ref.Partition, ref.Region, ref.Account, ref.ID)
		case arn.AliasARN:
			back = arn.Alias(ref.Partition, ref.Region, ref.Account, ref.ID).String()
		default:
			if ref.ID != "" {
				t.Errorf("ParseKeyRef(%q) = %+v", s, ref)
			}
			return
		}
		if back != s {
			t.Errorf("ParseKeyRef(%q) = %+v, which is %q", s, ref, back)
		}
	})
}

func BenchmarkParseKeyRef(b *testing.B) {
	for name, in := range map[string]string{
		"id": uuid, "alias": "alias/payments/main", "arn": arn.KeyString("aws", "us-east-1", acct, uuid),
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				arn.ParseKeyRef(in)
			}
		})
	}
}

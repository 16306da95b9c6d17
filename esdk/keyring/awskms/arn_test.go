package awskms_test

import (
	"strings"
	"testing"

	"github.com/keywright/keywright/esdk/keyring/awskms"
)

const (
	keyEast   = "arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
	keyWest   = "arn:aws:kms:us-west-2:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
	mrkEast   = "arn:aws:kms:us-east-1:111122223333:key/mrk-1234abcd12ab34cd56ef1234567890ab"
	mrkWest   = "arn:aws:kms:us-west-2:111122223333:key/mrk-1234abcd12ab34cd56ef1234567890ab"
	mrkOther  = "arn:aws:kms:us-west-2:111122223333:key/mrk-ffffffffffffffffffffffffffffffff"
	aliasEast = "arn:aws:kms:us-east-1:111122223333:alias/mrk-app"
	aliasWest = "arn:aws:kms:us-west-2:111122223333:alias/mrk-app"
)

func TestParseARN(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		in          string
		want        awskms.ARN
		multiRegion bool
	}{
		{keyEast, awskms.ARN{"aws", "us-east-1", "111122223333", "key", "1234abcd-12ab-34cd-56ef-1234567890ab"}, false},
		{mrkWest, awskms.ARN{"aws", "us-west-2", "111122223333", "key", "mrk-1234abcd12ab34cd56ef1234567890ab"}, true},
		{aliasEast, awskms.ARN{"aws", "us-east-1", "111122223333", "alias", "mrk-app"}, false},
		{"arn:aws-cn:kms:cn-north-1:1:key/k", awskms.ARN{"aws-cn", "cn-north-1", "1", "key", "k"}, false},
		{"arn:aws:kms:r:a:alias/team/app", awskms.ARN{"aws", "r", "a", "alias", "team/app"}, false},
	} {
		got, text, multiRegion, err := awskms.ParseARN(c.in)
		if err != nil || got != c.want || text != c.in || multiRegion != c.multiRegion {
			t.Errorf("%s: got %+v, %s, multi-Region %v, %v", c.in, got, text, multiRegion, err)
		}
	}
	for _, in := range []string{
		"",
		"arn",
		"1234abcd-12ab-34cd-56ef-1234567890ab",
		"alias/app",
		"arn:aws:kms:us-east-1:111122223333",
		"arn:aws:kms:us-east-1:111122223333:",
		"arn:aws:kms:us-east-1:111122223333:key",
		"arn:aws:kms:us-east-1:111122223333:key/",
		"arn:aws:kms:us-east-1:111122223333:key:1234",
		"arn:aws:kms:us-east-1:111122223333:keys/1234",
		"arn:aws:kms:us-east-1:111122223333:key/1234:5",
		"arn:aws:kms:us-east-1::key/1234",
		"arn:aws:kms::111122223333:key/1234",
		"arn::kms:us-east-1:111122223333:key/1234",
		"arn:aws:s3:us-east-1:111122223333:key/1234",
		"ARN:aws:kms:us-east-1:111122223333:key/1234",
		" arn:aws:kms:us-east-1:111122223333:key/1234",
		"arn:aws:kms:us-east-1:111122223333:key/" + strings.Repeat("a", 2048),
	} {
		if got, _, _, err := awskms.ParseARN(in); err == nil {
			t.Errorf("%q was taken as %+v", in, got)
		}
	}
}

// What is accepted has one spelling, since ARNs are compared as text.
func FuzzParseARN(f *testing.F) {
	for _, s := range []string{keyEast, mrkWest, aliasEast, "arn:aws:kms:::key/", "alias/a"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		parts, text, _, err := awskms.ParseARN(s)
		if err == nil && text != s {
			t.Errorf("%q parsed to %+v, which is %q", s, parts, text)
		}
	})
}

func TestMRKMatch(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		configured, found string
		want              bool
	}{
		{keyEast, keyEast, true},
		{keyEast, keyWest, false},
		{mrkEast, mrkEast, true},
		{mrkEast, mrkWest, true},
		{mrkWest, mrkEast, true},
		{mrkEast, mrkOther, false},
		{mrkEast, keyWest, false},
		{keyWest, mrkEast, false},
		{aliasEast, aliasWest, false}, // an alias is no multi-Region key, whatever its name
		{"mrk-1234abcd12ab34cd56ef1234567890ab", mrkEast, false},
		{mrkEast, strings.Replace(mrkWest, "111122223333", "444455556666", 1), false},
		{mrkEast, strings.Replace(mrkWest, "arn:aws:", "arn:aws-cn:", 1), false},
	} {
		if got := awskms.MRKMatch(c.configured, c.found); got != c.want {
			t.Errorf("configured %s, found %s: %v, want %v", c.configured, c.found, got, c.want)
		}
	}
}

func TestIdentifiers(t *testing.T) {
	t.Parallel()
	for _, id := range []string{
		keyEast, aliasEast, mrkEast, "1234abcd-12ab-34cd-56ef-1234567890ab",
		"mrk-1234abcd12ab34cd56ef1234567890ab", "alias/app", "alias/team/app",
	} {
		if _, err := awskms.New(awskms.Config{Client: standInMRKKMS{}, KeyID: id}); err != nil {
			t.Errorf("%s: %v", id, err)
		}
	}
	for id, want := range map[string]string{
		"": "names no key",
		"key/1234abcd-12ab-34cd-56ef-1234567890ab": "use the id alone",
		"alias/":      "use a key's id or ARN",
		"aliases/app": "use a key's id or ARN",
		"urn:aws:kms": "use a key's id or ARN",
		"arn:aws:kms:us-east-1:111122223333:secret/app":     "not an ARN of the form",
		"arn:aws:s3:::bucket":                               "not an ARN of the form",
		"my key":                                            "visible ASCII",
		"alias/schlüssel":                                   "visible ASCII",
		"alias/" + strings.Repeat("a", 2048):                "2048 at most",
		strings.Replace(keyEast, "us-east-1", "", 1):        "not an ARN of the form",
		strings.Replace(keyEast, "key/", "key:", 1):         "not an ARN of the form",
		strings.Replace(keyEast, "111122223333", "", 1):     "not an ARN of the form",
		strings.Replace(keyEast, ":key/", ":key/a:key/", 1): "not an ARN of the form",
	} {
		_, err := awskms.New(awskms.Config{Client: standInMRKKMS{}, KeyID: id})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("key %.80q: %v, want %q", id, err, want)
		}
	}
}

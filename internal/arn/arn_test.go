package arn_test

import (
	"strings"
	"testing"

	"github.com/keywright/keywright/internal/arn"
)

func TestParse(t *testing.T) {
	for in, want := range map[string]arn.ARN{
		"arn:aws:iam::111122223333:root":                       {"aws", "iam", "", "111122223333", "root"},
		"arn:aws:iam::aws:policy/ReadOnlyAccess":               {"aws", "iam", "", "aws", "policy/ReadOnlyAccess"},
		"arn:aws-us-gov:kms:us-gov-west-1:111122223333:key/x":  {"aws-us-gov", "kms", "us-gov-west-1", "111122223333", "key/x"},
		"arn:aws:sns:eu-west-1:111122223333:topic:7a-b:é":      {"aws", "sns", "eu-west-1", "111122223333", "topic:7a-b:é"},
		"arn:aws:s3:::bucket/a key with spaces and * and 100%": {"aws", "s3", "", "", "bucket/a key with spaces and * and 100%"},
	} {
		got, err := arn.Parse(in)
		if err != nil || got != want {
			t.Errorf("Parse(%q) = %+v, %v; want %+v", in, got, err, want)
		}
		if got.String() != in {
			t.Errorf("Parse(%q).String() = %q", in, got.String())
		}
		if s := string(got.Append([]byte("x"))); s != "x"+in {
			t.Errorf("Append = %q", s)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	for in, why := range map[string]string{
		"": "form arn:", "arn": "form arn:", "arn:aws:iam::111122223333": "form arn:",
		"ARN:aws:iam::111122223333:root":                         "form arn:",
		" arn:aws:iam::111122223333:root":                        "form arn:",
		"arn::iam::111122223333:root":                            "partition",
		"arn:awscn:iam::111122223333:root":                       "partition",
		"arn:aws-CN:iam::111122223333:root":                      "partition",
		"arn:*:iam::111122223333:root":                           "partition",
		"arn:aws:::111122223333:root":                            "service",
		"arn:aws:k*:us-east-1:111122223333:key/x":                "service",
		"arn:aws:kms:us_east_1:111122223333:key/x":               "region",
		"arn:aws:kms:*:111122223333:key/x":                       "region",
		"arn:aws:iam::11112222333:root":                          "account",
		"arn:aws:iam::1111222233334:root":                        "account",
		"arn:aws:iam::11112222333x:root":                         "account",
		"arn:aws:iam::*:root":                                    "account",
		"arn:aws:iam::111122223333:":                             "resource",
		"arn:aws:iam::111122223333:ro\not":                       "resource",
		"arn:aws:iam::111122223333:ro\x7fot":                     "resource",
		"arn:aws:iam::111122223333:ro\xffot":                     "resource",
		"arn:aws:iam::111122223333:" + strings.Repeat("x", 2100): "longer",
	} {
		if a, err := arn.Parse(in); err == nil || !strings.Contains(err.Error(), why) || len(err.Error()) > 2*arn.MaxLength {
			t.Errorf("Parse(%q) = %+v, %v; want an error with %q", in, a, err, why)
		}
	}
}

// The Regions and partitions are those of botocore's partitions.json.
func TestPartition(t *testing.T) {
	for region, want := range map[string]string{
		"us-east-1": "aws", "eu-central-1": "aws", "mx-central-1": "aws", "local": "aws", "": "aws",
		"cn-north-1": "aws-cn", "cn-northwest-1": "aws-cn",
		"us-gov-east-1": "aws-us-gov", "us-gov-west-1": "aws-us-gov",
		"us-iso-east-1": "aws-iso", "us-isob-east-1": "aws-iso-b",
		"eu-isoe-west-1": "aws-iso-e", "us-isof-south-1": "aws-iso-f",
		"eusc-de-east-1": "aws-eusc",
	} {
		if got := arn.Partition(region); got != want {
			t.Errorf("Partition(%q) = %q, want %q", region, got, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add("arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab")
	f.Add("arn:aws:iam::111122223333:root")
	f.Add("arn:aws:s3:::b:c:d")
	f.Fuzz(func(t *testing.T, s string) {
		a, err := arn.Parse(s)
		if err != nil {
			if a != (arn.ARN{}) {
				t.Errorf("Parse(%q) returned %+v with an error", s, a)
			}
			return
		}
		if a.String() != s {
			t.Errorf("Parse(%q).String() = %q", s, a.String())
		}
	})
}

// Package arn reads and writes Amazon Resource Names and the forms in which
// the AWS KMS API names keys and aliases. It is pure syntax: it does not know
// which keys, accounts or Regions exist.
package arn

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// MaxLength is the length in bytes above which no string is an ARN, the limit
// AWS sets on its ARN shapes.
const MaxLength = 2048

// ARN is arn:Partition:Service:Region:Account:Resource. Region and Account are
// empty for resources that have none; Resource may itself contain colons.
type ARN struct {
	Partition, Service, Region, Account, Resource string
}

// Parse reads an ARN. It accepts exactly what String can write: a partition
// (aws, aws-cn, ...), a service, a Region or nothing, a 12-digit account, "aws"
// or nothing, and a resource without control characters. Wildcards are for
// patterns and are accepted in the resource only, where they are characters
// like others. Its strings share s's memory, and it allocates only for an error.
func Parse(s string) (ARN, error) {
	a, err := parse(s)
	if err == nil {
		return a, nil
	}
	if len(s) > MaxLength {
		return ARN{}, fmt.Errorf("parsing ARN of %d bytes: %w", len(s), err)
	}
	return ARN{}, fmt.Errorf("parsing ARN %q: %w", s, err)
}

var (
	errTooLong   = fmt.Errorf("longer than %d bytes", MaxLength)
	errParts     = errors.New("not of the form arn:partition:service:region:account:resource")
	errPartition = errors.New("unknown partition")
	errService   = errors.New("service is not of lower-case letters, digits and hyphens")
	errRegion    = errors.New("region is not of lower-case letters, digits and hyphens")
	errAccount   = errors.New("account is not of 12 digits")
	errResource  = errors.New("resource is empty or has control characters")
)

func parse(s string) (ARN, error) {
	if len(s) > MaxLength {
		return ARN{}, errTooLong
	}
	parts, ok := Split(s)
	if !ok || parts[0] != "arn" {
		return ARN{}, errParts
	}
	a := ARN{parts[1], parts[2], parts[3], parts[4], parts[5]}
	switch {
	case a.Partition != "aws" && !strings.HasPrefix(a.Partition, "aws-") || !isLabel(a.Partition):
		return ARN{}, errPartition
	case a.Service == "" || !isLabel(a.Service):
		return ARN{}, errService
	case !isLabel(a.Region):
		return ARN{}, errRegion
	case a.Account != "" && a.Account != "aws" && !IsAccount(a.Account):
		return ARN{}, errAccount
	case a.Resource == "" || !isText(a.Resource):
		return ARN{}, errResource
	}
	return a, nil
}

// Split cuts s at its first five colons into the six components of an ARN,
// without looking at what they contain, so that it serves for patterns too. It
// reports false where there are fewer.
func Split(s string) (parts [6]string, ok bool) {
	for i := range len(parts) - 1 {
		if parts[i], s, ok = strings.Cut(s, ":"); !ok {
			return parts, false
		}
	}
	parts[5] = s
	return parts, true
}

// String returns the ARN as text.
func (a ARN) String() string {
	return string(a.Append(make([]byte, 0, 128)))
}

// Append appends the ARN as text to dst.
func (a ARN) Append(dst []byte) []byte {
	dst = append(dst, "arn:"...)
	dst = append(dst, a.Partition...)
	dst = append(dst, ':')
	dst = append(dst, a.Service...)
	dst = append(dst, ':')
	dst = append(dst, a.Region...)
	dst = append(dst, ':')
	dst = append(dst, a.Account...)
	dst = append(dst, ':')
	return append(dst, a.Resource...)
}

// IsAccount reports whether s is an account id: 12 digits.
func IsAccount(s string) bool {
	if len(s) != 12 {
		return false
	}
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return true
}

// Partition returns the partition a Region belongs to, by its prefix. Regions
// that fit no prefix are of the partition aws.
func Partition(region string) string {
	for _, p := range partitions {
		if strings.HasPrefix(region, p.prefix) {
			return p.name
		}
	}
	return "aws"
}

// partitions are those of botocore's partitions.json but for aws.
var partitions = [...]struct{ prefix, name string }{
	{"cn-", "aws-cn"},
	{"us-gov-", "aws-us-gov"},
	{"us-iso-", "aws-iso"},
	{"us-isob-", "aws-iso-b"},
	{"eu-isoe-", "aws-iso-e"},
	{"us-isof-", "aws-iso-f"},
	{"eusc-", "aws-eusc"},
}

// isLabel reports whether s has lower-case letters, digits and hyphens only.
func isLabel(s string) bool {
	for i := range len(s) {
		if c := s[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
			return false
		}
	}
	return true
}

func isText(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] == 0x7f {
			return false
		}
	}
	return utf8.ValidString(s)
}

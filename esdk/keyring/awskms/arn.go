package awskms

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// maxIdentifierLen is the longest KeyId that the service takes, in bytes.
const maxIdentifierLen = 2048

// arn is the ARN of a key or an alias, in its parts.
type arn struct {
	partition, region, account string
	kind                       string // kindKey or kindAlias
	id                         string // a key's id or an alias's name, without "alias/"
}

const (
	kindKey   = "key"
	kindAlias = "alias"
)

var errARN = errors.New("not an ARN of the form arn:PARTITION:kms:REGION:ACCOUNT:key/ID")

// parseARN takes an ARN of a key or an alias apart. As the specification has it,
// in "AWS KMS Key ARN", the parts may not be empty and are not looked into: which
// partitions and Regions there are is the service's to know.
func parseARN(s string) (arn, error) {
	parts := strings.Split(s, ":")
	if len(s) > maxIdentifierLen || len(parts) != 6 || parts[0] != "arn" || parts[2] != "kms" {
		return arn{}, errARN
	}
	kind, id, _ := strings.Cut(parts[5], "/")
	if kind != kindKey && kind != kindAlias {
		return arn{}, errARN
	}
	a := arn{partition: parts[1], region: parts[3], account: parts[4], kind: kind, id: id}
	if a.partition == "" || a.region == "" || a.account == "" || a.id == "" {
		return arn{}, errARN
	}
	return a, nil
}

// parseKeyARN is parseARN for keys alone.
func parseKeyARN(s string) (arn, error) {
	a, err := parseARN(s)
	if err == nil && a.kind != kindKey {
		err = errARN
	}
	return a, err
}

func (a arn) String() string {
	return "arn:" + a.partition + ":kms:" + a.region + ":" + a.account + ":" + a.kind + "/" + a.id
}

// multiRegion reports whether it is the ARN of a multi-Region key. An alias may
// begin with mrk- too and is none.
func (a arn) multiRegion() bool { return a.kind == kindKey && strings.HasPrefix(a.id, "mrk-") }

// mrkMatch reports whether the configured key can decrypt what the found key
// encrypted: they are the same, or replicas of one multi-Region key.
//
// Source: the specification, "AWS KMS MRK Match for Decrypt".
func mrkMatch(configured, found string) bool {
	if configured == found {
		return true
	}
	a, errA := parseARN(configured)
	b, errB := parseARN(found)
	a.region, b.region = "", ""
	return errA == nil && errB == nil && a.multiRegion() && a == b
}

// checkIdentifier says whether a configured key has one of the forms that the
// service takes.
func checkIdentifier(id string) error {
	kind, rest, slash := strings.Cut(id, "/")
	switch {
	case id == "":
		return errors.New("esdk: the configuration names no key")
	case len(id) > maxIdentifierLen:
		return fmt.Errorf("esdk: the key's name has %d bytes, the service takes %d at most", len(id), maxIdentifierLen)
	case strings.ContainsFunc(id, func(r rune) bool { return r <= ' ' || r > '~' }):
		return fmt.Errorf("esdk: %q names no key: it may hold visible ASCII characters only", id)
	case strings.HasPrefix(id, "arn:"):
		if _, err := parseARN(id); err != nil {
			return fmt.Errorf("esdk: %q is %w or .../alias/NAME", id, err)
		}
		return nil
	case slash && kind == kindKey:
		return fmt.Errorf("esdk: %q names no key: use the id alone, or the whole ARN", id)
	case slash && (kind != kindAlias || rest == ""), strings.Contains(id, ":"):
		return fmt.Errorf("esdk: %q names no key: use a key's id or ARN, alias/NAME or the ARN of an alias", id)
	}
	return nil
}

// checkKeyARN says whether a configured key is a key ARN.
func checkKeyARN(id string) error {
	if err := checkIdentifier(id); err != nil {
		return err
	}
	if _, err := parseKeyARN(id); err != nil {
		return fmt.Errorf("esdk: %q is %w, which this keyring needs", id, err)
	}
	return nil
}

// checkUniqueMRKs says which of the ARNs are of the same multi-Region key: which
// Region to ask would be a guess.
//
// Source: the specification, "Assert AWS KMS MRK are unique".
func checkUniqueMRKs(arns []arn) error {
	replicas := make(map[string][]string)
	for _, a := range arns {
		if a.multiRegion() {
			replicas[a.id] = append(replicas[a.id], a.String())
		}
	}
	var duplicates []string
	for _, r := range replicas {
		if len(r) > 1 {
			duplicates = append(duplicates, r...)
		}
	}
	if len(duplicates) == 0 {
		return nil
	}
	slices.Sort(duplicates)
	return fmt.Errorf("esdk: a multi-Region key may be given for one Region only: %s", strings.Join(duplicates, ", "))
}

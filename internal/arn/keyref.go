package arn

import "strings"

// Kind is the form in which a request names a key.
type Kind uint8

// The forms. KMS answers Malformed with NotFoundException (Invalid keyId) and
// MalformedARN with InvalidArnException.
const (
	Malformed    Kind = iota // none of the others
	MalformedARN             // begins like an ARN, but is not one of a KMS key or alias
	KeyID                    // 1234abcd-12ab-34cd-56ef-1234567890ab, mrk-1234abcd12ab34cd56ef1234567890ab
	KeyARN                   // arn:aws:kms:us-east-1:111122223333:key/...
	AliasName                // alias/name
	AliasARN                 // arn:aws:kms:us-east-1:111122223333:alias/name
)

const (
	keyPrefix   = "key/"
	aliasPrefix = "alias/"

	// MaxAliasLength is the length of the longest alias name in bytes, with
	// its "alias/".
	MaxAliasLength = 256
)

// KeyRef is what a KeyId parameter names. Partition, Region and Account are set
// for the two ARN kinds only: a bare id or alias means the caller's account and
// the endpoint's Region. ID is the key id, or the alias name with its "alias/";
// it is empty where the reference is malformed.
type KeyRef struct {
	Kind                       Kind
	Partition, Region, Account string
	ID                         string
}

// ParseKeyRef classifies a KeyId parameter. It says nothing of whether the key
// exists or the form is allowed for the operation. Its strings share s's memory.
// Well-formed references do not allocate.
func ParseKeyRef(s string) KeyRef {
	switch {
	case IsKeyID(s):
		return KeyRef{Kind: KeyID, ID: s}
	case strings.HasPrefix(s, "arn:"):
		return parseKeyARN(s)
	case isAlias(s):
		return KeyRef{Kind: AliasName, ID: s}
	}
	return KeyRef{}
}

func parseKeyARN(s string) KeyRef {
	a, err := parse(s)
	if err != nil || a.Service != "kms" || a.Region == "" || !IsAccount(a.Account) {
		return KeyRef{Kind: MalformedARN}
	}
	ref := KeyRef{Partition: a.Partition, Region: a.Region, Account: a.Account}
	switch id, isKey := strings.CutPrefix(a.Resource, keyPrefix); {
	case isKey && IsKeyID(id):
		ref.Kind, ref.ID = KeyARN, id
	case isAlias(a.Resource):
		ref.Kind, ref.ID = AliasARN, a.Resource
	default:
		return KeyRef{Kind: MalformedARN}
	}
	return ref
}

// IsKeyID reports whether s has the form of a key id: a UUID with hyphens, or
// for a multi-Region key mrk- and 32 digits; hexadecimal digits are lower-case,
// as KMS makes them.
func IsKeyID(s string) bool {
	if hex, ok := strings.CutPrefix(s, "mrk-"); ok {
		return len(hex) == 32 && isHex(hex)
	}
	return len(s) == 36 && s[8] == '-' && s[13] == '-' && s[18] == '-' && s[23] == '-' &&
		isHex(s[:8]) && isHex(s[9:13]) && isHex(s[14:18]) && isHex(s[19:23]) && isHex(s[24:])
}

// IsMultiRegion reports whether the key id is that of a multi-Region key.
func IsMultiRegion(keyID string) bool {
	return strings.HasPrefix(keyID, "mrk-")
}

func isHex(s string) bool {
	for i := range len(s) {
		if c := s[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

// isAlias holds s against the API model's ^alias/[a-zA-Z0-9/_-]+$.
func isAlias(s string) bool {
	name, ok := strings.CutPrefix(s, aliasPrefix)
	if !ok || name == "" || len(s) > MaxAliasLength {
		return false
	}
	for i := range len(name) {
		c := name[i]
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '/', c == '_', c == '-':
		default:
			return false
		}
	}
	return true
}

// Key returns the ARN of a key.
func Key(partition, region, account, keyID string) ARN {
	return ARN{partition, "kms", region, account, keyPrefix + keyID}
}

// KeyString returns the text of a key's ARN, for answers that need no more.
func KeyString(partition, region, account, keyID string) string {
	return "arn:" + partition + ":kms:" + region + ":" + account + ":" + keyPrefix + keyID
}

// Alias returns the ARN of an alias; name has its "alias/".
func Alias(partition, region, account, name string) ARN {
	return ARN{partition, "kms", region, account, name}
}

// Root returns the ARN of an account's root user, which in policies stands for
// the account.
func Root(partition, account string) ARN {
	return ARN{partition, "iam", "", account, "root"}
}

package secretenv

import (
	"encoding/base64"
	"fmt"
	"strings"
)

// The prefixes of values that are ciphertext. They are longer than they need be
// and name what follows, so that no value has one by accident: neither is a URL's
// scheme, nor the beginning of an ARN, of an IAM action such as kms:Decrypt, or
// of base64. A value that has one is never passed on as it is.
const (
	// KMSPrefix is before the base64 of a CiphertextBlob, as the Encrypt of AWS
	// KMS and of Keywright returns it.
	KMSPrefix = "kms-ciphertext:"
	// MessagePrefix is before the base64 of a message of the AWS Encryption SDK.
	MessagePrefix = "esdk-message:"
)

// Marked reports whether a value has one of the prefixes, well-formed or not.
func Marked(value string) bool {
	return strings.HasPrefix(value, KMSPrefix) || strings.HasPrefix(value, MessagePrefix)
}

// parse returns the prefix of a value and the ciphertext after it, or "" and
// nothing if it has none. The base64 is the standard one with padding; line ends
// in it, as the base64 command writes them, are passed over.
func parse(value string) (prefix string, ciphertext []byte, err error) {
	switch {
	case strings.HasPrefix(value, KMSPrefix):
		prefix = KMSPrefix
	case strings.HasPrefix(value, MessagePrefix):
		prefix = MessagePrefix
	default:
		return "", nil, nil
	}
	// The decoder's own error is about an offset, which helps nobody here.
	ciphertext, err = base64.StdEncoding.Strict().DecodeString(value[len(prefix):])
	if err != nil || len(ciphertext) == 0 {
		return "", nil, fmt.Errorf("%w: %s", ErrMalformed, prefix)
	}
	return prefix, ciphertext, nil
}

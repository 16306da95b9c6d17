// Package message is the wire format of the AWS Encryption SDK: headers of
// version 1 and 2, framed and unframed bodies, footers, and the cryptography
// that binds them to a data key. It takes bytes and returns bytes; where data
// keys come from, what a caller may see and when, and which suites a policy
// allows is package esdk's business.
//
// Source: the AWS Encryption SDK specification, "Message", "Message Header",
// "Message Body", "Message Body AAD", "Message Footer" and "Algorithm Suites".
package message

import "errors"

// The errors of a message. Package esdk hands them on under the same names.
var (
	ErrBase64         = errors.New("esdk: the message is base64 text: decode it first")
	ErrVersion        = errors.New("esdk: not a message of a supported version and type")
	ErrMalformed      = errors.New("esdk: malformed message")
	ErrTruncated      = errors.New("esdk: the message ends early")
	ErrTrailingData   = errors.New("esdk: data after the end of the message")
	ErrTooManyKeys    = errors.New("esdk: more encrypted data keys than allowed")
	ErrTooLarge       = errors.New("esdk: over the configured size limit")
	ErrTooLong        = errors.New("esdk: the plaintext takes more frames than a message can have")
	ErrFrameSequence  = errors.New("esdk: frame out of order")
	ErrFrameLength    = errors.New("esdk: the final frame is longer than the header allows")
	ErrAuthentication = errors.New("esdk: authentication failed")
	ErrSignature      = errors.New("esdk: the message's signature is not valid")
)

// Sizes of the format, in bytes.
const (
	ivSize         = 12
	tagSize        = 16
	commitmentSize = 32

	idSizeV1 = 16
	idSizeV2 = 32

	// RegularOverhead and FinalOverhead are how much longer a frame is than its
	// plaintext.
	RegularOverhead = 4 + ivSize + tagSize
	FinalOverhead   = 4 + 4 + ivSize + 4 + tagSize
)

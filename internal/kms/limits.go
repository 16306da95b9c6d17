package kms

import "github.com/keywright/keywright/internal/kmsapi"

// BodyLimit is the most bytes the body of a request may have: what the largest
// valid request takes, in JSON with every character escaped where text may be,
// and some room for members to come.
func BodyLimit(op kmsapi.OpID) int64 {
	switch op {
	case kmsapi.OpCreateKey, kmsapi.OpPutKeyPolicy, kmsapi.OpReplicateKey:
		return 1 << 20 // a policy of 131,072 characters, each as \u00ff
	case kmsapi.OpDecrypt, kmsapi.OpDeriveSharedSecret, kmsapi.OpGenerateDataKey, kmsapi.OpGenerateDataKeyPair, kmsapi.OpGenerateRandom:
		return 640 << 10 // an attestation document of 262,144 bytes, and grant tokens
	default:
		return 256 << 10
	}
}

// Package suite is the table of algorithm suites of the AWS Encryption SDK's
// message format. It holds facts and does no cryptography.
//
// Source: the AWS Encryption SDK specification, "Algorithm Suites".
package suite

import "fmt"

// ID names an algorithm suite as it stands in a message's header.
type ID uint16

// The suites of the message format. All encrypt with AES-GCM, 12-byte IVs and
// 16-byte tags. Use the default unless messages are for readers that do not
// know it.
const (
	// AES128GCM, AES192GCM and AES256GCM encrypt with the data key itself. Only
	// for reading old messages.
	AES128GCM ID = 0x0014
	AES192GCM ID = 0x0046
	AES256GCM ID = 0x0078
	// AES128GCMHKDF, AES192GCMHKDF and AES256GCMHKDF derive a key for each
	// message with HKDF-SHA-256.
	AES128GCMHKDF ID = 0x0114
	AES192GCMHKDF ID = 0x0146
	AES256GCMHKDF ID = 0x0178
	// AES128GCMHKDFP256, AES192GCMHKDFP384 and AES256GCMHKDFP384 also sign.
	AES128GCMHKDFP256 ID = 0x0214
	AES192GCMHKDFP384 ID = 0x0346
	AES256GCMHKDFP384 ID = 0x0378
	// AES256GCMCommit commits to its key and does not sign: for readers that
	// are as trusted as the writers.
	AES256GCMCommit ID = 0x0478
	// AES256GCMCommitP384 commits to its key and signs: the default.
	AES256GCMCommitP384 ID = 0x0578
)

// KDF says how the key that encrypts a message comes from the data key.
type KDF uint8

// The key derivations.
const (
	Identity KDF = iota // the data key itself
	HKDFSHA256
	HKDFSHA384
	HKDFSHA512
)

// Signature says how a message is signed.
type Signature uint8

// The signatures: ECDSA over the hash that belongs to the curve.
const (
	Unsigned Signature = iota
	P256               // SHA-256
	P384               // SHA-384
)

// Suite is what a suite consists of.
type Suite struct {
	ID         ID
	Name       string // as the specification writes it, without ALG_
	KeyLen     int    // of the data key and of the AES key, in bytes
	KDF        KDF
	Committing bool // format 2, with a commitment to the data key
	Signature  Signature
}

var suites = [...]Suite{
	{AES128GCM, "AES_128_GCM_IV12_TAG16", 16, Identity, false, Unsigned},
	{AES192GCM, "AES_192_GCM_IV12_TAG16", 24, Identity, false, Unsigned},
	{AES256GCM, "AES_256_GCM_IV12_TAG16", 32, Identity, false, Unsigned},
	{AES128GCMHKDF, "AES_128_GCM_IV12_TAG16_HKDF_SHA256", 16, HKDFSHA256, false, Unsigned},
	{AES192GCMHKDF, "AES_192_GCM_IV12_TAG16_HKDF_SHA256", 24, HKDFSHA256, false, Unsigned},
	{AES256GCMHKDF, "AES_256_GCM_IV12_TAG16_HKDF_SHA256", 32, HKDFSHA256, false, Unsigned},
	{AES128GCMHKDFP256, "AES_128_GCM_IV12_TAG16_HKDF_SHA256_ECDSA_P256", 16, HKDFSHA256, false, P256},
	{AES192GCMHKDFP384, "AES_192_GCM_IV12_TAG16_HKDF_SHA384_ECDSA_P384", 24, HKDFSHA384, false, P384},
	{AES256GCMHKDFP384, "AES_256_GCM_IV12_TAG16_HKDF_SHA384_ECDSA_P384", 32, HKDFSHA384, false, P384},
	{AES256GCMCommit, "AES_256_GCM_HKDF_SHA512_COMMIT_KEY", 32, HKDFSHA512, true, Unsigned},
	{AES256GCMCommitP384, "AES_256_GCM_HKDF_SHA512_COMMIT_KEY_ECDSA_P384", 32, HKDFSHA512, true, P384},
}

// All returns every suite of the message format, in order of their ids.
func All() []Suite { return append([]Suite(nil), suites[:]...) }

// Lookup returns the suite of that id, and whether there is one.
func Lookup(id ID) (Suite, bool) {
	for _, s := range suites {
		if s.ID == id {
			return s, true
		}
	}
	return Suite{}, false
}

// String returns the id's name, or its number where it has none.
func (id ID) String() string {
	if s, ok := Lookup(id); ok {
		return s.Name
	}
	return fmt.Sprintf("suite 0x%04x", uint16(id))
}

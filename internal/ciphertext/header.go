// Package ciphertext is the form of the ciphertext blobs that Encrypt and its
// sisters return: a strict binary header that says which key and which material
// opens the blob, followed by the body that a Module made. It also gives the
// encryption context the one byte form in which it is authenticated.
//
// The package encrypts nothing, does no I/O, and decides nothing about keys:
// a header that parses is a claim, true only once the Module has opened the
// body with the header as additional data. docs/ciphertext-blob.md specifies
// the bytes.
package ciphertext

import (
	"encoding/hex"
	"errors"
	"fmt"
)

// ErrMalformed is the one error of Parse. It does not tell what is wrong.
var ErrMalformed = errors.New("ciphertext: malformed blob")

// Suite says how the body is made.
type Suite byte

// The suites. Only SuiteSoftware has a body so far, and Append and Parse accept
// no other; the numbers of the others are taken, so that they stay theirs.
const (
	SuiteSoftware Suite = 1 // aead under a key derived in software
	SuiteTokenGCM Suite = 2 // GCM inside a PKCS#11 token (reserved)
	SuiteXKS      Suite = 3 // encrypted once more by an external key store (reserved)
)

// Header names the key and the material of a blob. One Header has one encoding.
type Header struct {
	Suite Suite
	// Account is the 12-digit account that owns the key.
	Account string
	// Region is the key's Region, at most 32 lower-case letters, digits and
	// hyphens. It is empty for multi-Region keys, and for them only.
	Region string
	// KeyID is a lower-case UUID, or "mrk-" and 32 lower-case hex digits.
	KeyID      string
	MaterialID [32]byte
}

const (
	version = 1

	formUUID byte = 1 // KeyID is a UUID
	formMRK  byte = 2 // KeyID is mrk- and 32 hex digits

	accountDigits = 12
	accountSize   = 5 // 10^12 < 2^40
	maxRegion     = 32
	idSize        = 16
	uuidLen       = 36
	mrkPrefix     = "mrk-"
	mrkLen        = len(mrkPrefix) + 2*idSize

	// MaxHeaderSize is the length of the longest header.
	MaxHeaderSize = 2 + accountSize + 1 + maxRegion + 1 + idSize + 32
)

// Append appends the header's encoding to dst. An error means that h is not a
// header by the rules of its fields, and is a bug of the caller.
func (h Header) Append(dst []byte) ([]byte, error) {
	account, ok := packAccount(h.Account)
	if !ok {
		return nil, fmt.Errorf("ciphertext: account %q is not 12 digits", h.Account)
	}
	form, id, ok := packKeyID(h.KeyID)
	if !ok {
		return nil, fmt.Errorf("ciphertext: key id %q is neither a UUID nor a multi-Region id", h.KeyID)
	}
	if h.Suite != SuiteSoftware {
		return nil, fmt.Errorf("ciphertext: suite %d is not in use", h.Suite)
	}
	if !validRegion(h.Region, form) {
		return nil, fmt.Errorf("ciphertext: region %q does not fit key id %q", h.Region, h.KeyID)
	}
	dst = append(dst, version, byte(h.Suite))
	dst = append(dst, account[:]...)
	dst = append(dst, byte(len(h.Region)))
	dst = append(dst, h.Region...)
	dst = append(dst, form)
	dst = append(dst, id[:]...)
	return append(dst, h.MaterialID[:]...), nil
}

// Parse splits a blob into its header and the module's body, and returns the
// header's bytes too, for AAD. The slices point into blob. The body is all that
// follows the header and is never empty; nothing of it has been checked. The
// only error is ErrMalformed.
func Parse(blob []byte) (h Header, rawHeader, body []byte, err error) {
	const fixed = 2 + accountSize + 1
	if len(blob) < fixed || blob[0] != version || Suite(blob[1]) != SuiteSoftware {
		return Header{}, nil, nil, ErrMalformed
	}
	var text [accountDigits + maxRegion + uuidLen]byte // account, Region, key id
	if !unpackAccount(text[:accountDigits], [accountSize]byte(blob[2:])) {
		return Header{}, nil, nil, ErrMalformed
	}
	regionLen := int(blob[fixed-1])
	size := fixed + regionLen + 1 + idSize + 32
	if regionLen > maxRegion || len(blob) <= size {
		return Header{}, nil, nil, ErrMalformed
	}
	region := blob[fixed : fixed+regionLen]
	form := blob[fixed+regionLen]
	if form != formUUID && form != formMRK || !validRegion(region, form) {
		return Header{}, nil, nil, ErrMalformed
	}
	n := accountDigits + copy(text[accountDigits:], region)
	end := n + unpackKeyID(text[n:], form, [idSize]byte(blob[fixed+regionLen+1:]))

	// One string holds all three, for the sake of one allocation.
	s := string(text[:end])
	h = Header{
		Suite:      Suite(blob[1]),
		Account:    s[:accountDigits],
		Region:     s[accountDigits:n],
		KeyID:      s[n:],
		MaterialID: [32]byte(blob[size-32:]),
	}
	return h, blob[:size:size], blob[size:], nil
}

// validRegion: multi-Region keys have no Region in their header, because every
// replica opens the blob; all others have one.
func validRegion[T string | []byte](region T, form byte) bool {
	if (form == formMRK) != (len(region) == 0) || len(region) > maxRegion {
		return false
	}
	for i := range len(region) {
		c := region[i]
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
			return false
		}
	}
	return true
}

// packAccount turns 12 digits into the big-endian number they are.
func packAccount(s string) (b [accountSize]byte, ok bool) {
	if len(s) != accountDigits {
		return b, false
	}
	var v uint64
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return b, false
		}
		v = v*10 + uint64(s[i]-'0')
	}
	for i := range b {
		b[i] = byte(v >> (8 * (accountSize - 1 - i)))
	}
	return b, true
}

// unpackAccount writes the 12 digits to dst; it fails beyond 999999999999.
func unpackAccount(dst []byte, b [accountSize]byte) bool {
	var v uint64
	for _, c := range b {
		v = v<<8 | uint64(c)
	}
	for i := accountDigits - 1; i >= 0; i-- {
		dst[i] = byte('0' + v%10)
		v /= 10
	}
	return v == 0
}

func packKeyID(s string) (form byte, id [idSize]byte, ok bool) {
	var digits [2 * idSize]byte
	switch {
	case len(s) == uuidLen && s[8] == '-' && s[13] == '-' && s[18] == '-' && s[23] == '-':
		form = formUUID
		n := copy(digits[:], s[:8])
		n += copy(digits[n:], s[9:13])
		n += copy(digits[n:], s[14:18])
		n += copy(digits[n:], s[19:23])
		copy(digits[n:], s[24:])
	case len(s) == mrkLen && s[:len(mrkPrefix)] == mrkPrefix:
		form = formMRK
		copy(digits[:], s[len(mrkPrefix):])
	default:
		return 0, id, false
	}
	for _, c := range digits {
		if c >= 'A' && c <= 'F' { // hex.Decode would take them
			return 0, id, false
		}
	}
	_, err := hex.Decode(id[:], digits[:])
	return form, id, err == nil
}

// unpackKeyID writes the key id to dst and returns its length.
func unpackKeyID(dst []byte, form byte, id [idSize]byte) int {
	if form == formMRK {
		n := copy(dst, mrkPrefix)
		return n + hex.Encode(dst[n:], id[:])
	}
	hex.Encode(dst[0:], id[0:4])
	hex.Encode(dst[9:], id[4:6])
	hex.Encode(dst[14:], id[6:8])
	hex.Encode(dst[19:], id[8:10])
	hex.Encode(dst[24:], id[10:16])
	for _, i := range [4]int{8, 13, 18, 23} {
		dst[i] = '-'
	}
	return uuidLen
}

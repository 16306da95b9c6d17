package aead

import (
	"crypto/sha256"
	"encoding/binary"
)

// deriveKeys is the KDF in counter mode of SP 800-108r1 section 4.1 with
// HMAC-SHA-256, a 32-bit counter before the fixed input, and a 32-bit length in
// bits after it: K(i) = HMAC(key, i || label || 0x00 || context || N || 512).
// The length of context is fixed for each label, so its join with N is
// unambiguous.
//
// HMAC is written out: crypto/hmac would cost eight allocations and half a
// microsecond more, a quarter of what sealing a short message takes.
func deriveKeys(key []byte, label string, context []byte, n [nonceSize]byte) (k [KeySize + commitSize]byte) {
	if len(key) != KeySize {
		panic("aead: key must be 32 bytes")
	}
	var innerBuf [sha256.BlockSize + 256]byte
	inner := innerBuf[:sha256.BlockSize+4] // the padded key, the counter
	inner = append(inner, label...)
	inner = append(inner, 0)
	inner = append(inner, context...)
	inner = append(inner, n[:]...)
	inner = binary.BigEndian.AppendUint32(inner, uint32(8*len(k)))
	var outer [sha256.BlockSize + sha256.Size]byte // the padded key, the inner digest
	for i := range sha256.BlockSize {
		inner[i], outer[i] = 0x36, 0x5c
	}
	for i, b := range key {
		inner[i] ^= b
		outer[i] ^= b
	}
	for i := range 2 {
		inner[sha256.BlockSize+3] = byte(i + 1)
		digest := sha256.Sum256(inner)
		copy(outer[sha256.BlockSize:], digest[:])
		digest = sha256.Sum256(outer[:])
		copy(k[i*sha256.Size:], digest[:])
		clear(digest[:])
	}
	clear(inner)
	clear(outer[:])
	return k
}

package audit

import (
	"crypto/sha256"
)

// The keys of a chain. S(0) is the key a chain starts with; from it
//
//	S(n+1)   = HMAC(S(n), "keywright audit next segment")   start key of segment n+1
//	F(n,0)   = HMAC(S(n), "keywright audit first frame")
//	F(n,i+1) = HMAC(F(n,i), "keywright audit next frame")
//	MAC      = HMAC(F(n,i), "keywright audit mac" | hash of frame i of segment n)
//
// with HMAC-SHA-256. Each step is one-way: who holds S(n) can compute the keys
// of segment n and all later ones, and none of an earlier one. Verifying a
// segment far down the chain costs one step for each segment before it.
const (
	labelNextSegment = "keywright audit next segment"
	labelFirstFrame  = "keywright audit first frame"
	labelNextFrame   = "keywright audit next frame"
	labelMAC         = "keywright audit mac"
)

const (
	hashSize = sha256.Size
	keySize  = 32
)

type key [keySize]byte

func (k *key) derive(label string) (out key) {
	hmacSHA256((*[keySize]byte)(&out), k, label, nil)
	return out
}

// step replaces the key by the next; the old one is gone.
func (k *key) step(label string) { *k = k.derive(label) }

func (k *key) wipe() { clear(k[:]) }

// mac authenticates a frame by its hash.
func (k *key) mac(out *[hashSize]byte, frameHash *[hashSize]byte) {
	hmacSHA256(out, k, labelMAC, frameHash[:])
}

// hmacSHA256 is HMAC-SHA-256 (FIPS 198-1) of label | data under a 32-byte key.
// crypto/hmac would leave the padded key in memory that cannot be wiped, which
// a forward-secure chain cannot have, and costs three times as much for two
// short messages a frame. TestHMAC holds it against crypto/hmac.
func hmacSHA256(out *[hashSize]byte, k *key, label string, data []byte) {
	var inner [sha256.BlockSize + 64]byte
	var outer [sha256.BlockSize + hashSize]byte
	for i := range sha256.BlockSize {
		inner[i], outer[i] = 0x36, 0x5c
	}
	for i, b := range k {
		inner[i] ^= b
		outer[i] ^= b
	}
	if len(label)+len(data) > len(inner)-sha256.BlockSize {
		panic("audit: message too long for a chain key")
	}
	n := sha256.BlockSize
	n += copy(inner[n:], label)
	n += copy(inner[n:], data)
	sum := sha256.Sum256(inner[:n])
	copy(outer[sha256.BlockSize:], sum[:])
	*out = sha256.Sum256(outer[:])
	clear(inner[:])
	clear(outer[:])
}

package message

import (
	"bytes"
	"crypto/sha512"
	"crypto/subtle"
)

// hkdfSHA512 derives, by HKDF-SHA-512 (RFC 5869), a key for each info: it fills
// each out, which may have up to 64 bytes.
//
// It is crypto/hkdf for the one shape that version 2 needs, with one extraction
// for both keys and no object on the heap: a small message is on its way for some
// microseconds only. The tests compare the two.
func hkdfSHA512(secret, salt []byte, infos [2]string, outs [2][]byte) {
	prk := hmacSHA512(salt, secret)
	defer clear(prk[:])
	for i, info := range infos {
		var room [64]byte
		block := hmacSHA512(prk[:], append(append(room[:0], info...), 1)) // the first block, the only one that is needed
		n := copy(outs[i], block[:])
		clear(block[:])
		if n < len(outs[i]) {
			panic("message: a derived key longer than a hash")
		}
	}
}

// What HMAC adds to the key before the message, and then to turn that into what it
// adds before the hash of both.
var (
	innerPad = bytes.Repeat([]byte{0x36}, sha512.BlockSize)
	turnPad  = bytes.Repeat([]byte{0x36 ^ 0x5c}, sha512.BlockSize)
)

// hmacSHA512 is HMAC of RFC 2104 over two calls of Sum512.
func hmacSHA512(key, message []byte) [sha512.Size]byte {
	if len(key) > sha512.BlockSize {
		sum := sha512.Sum512(key)
		key = sum[:]
	}
	var room [2 * sha512.BlockSize]byte
	defer clear(room[:])
	pad := room[:sha512.BlockSize]
	copy(pad, key)
	subtle.XORBytes(pad, pad, innerPad)
	inner := sha512.Sum512(append(pad, message...))
	subtle.XORBytes(pad, pad, turnPad)
	return sha512.Sum512(append(pad, inner[:]...))
}

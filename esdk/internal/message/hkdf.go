package message

import (
	"crypto/hmac"
	"crypto/sha512"
)

// hkdfSHA512 derives, by HKDF-SHA-512 (RFC 5869), a key for each info: it fills
// each out, which may have up to 64 bytes.
//
// It is crypto/hkdf for the one shape that version 2 needs, with one HMAC for
// both keys: a small message is on its way for some microseconds only.
func hkdfSHA512(secret, salt []byte, infos [2]string, outs [2][]byte) {
	var prk, block [sha512.Size]byte
	defer clear(prk[:])
	defer clear(block[:])
	extract := hmac.New(sha512.New, salt)
	extract.Write(secret)
	extract.Sum(prk[:0])
	expand := hmac.New(sha512.New, prk[:])
	for i, info := range infos {
		expand.Reset()
		expand.Write(append([]byte(info), 1)) // the first block, the only one that is needed
		expand.Sum(block[:0])
		if copy(outs[i], block[:]) < len(outs[i]) {
			panic("message: a derived key longer than a hash")
		}
	}
}

package sigv4

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"sync"
)

// Verify tells whether the request was signed with the key that SigningKey
// returns for the scope and the secret of AccessKeyID, and for a body of this
// SHA-256. The error is an *Error to be answered to the client.
func (s *Signed) Verify(signingKey, bodyHash [32]byte) error {
	if s.contentSHA256 != "" {
		var claimed [32]byte
		if !decodeHash(&claimed, s.contentSHA256) || claimed != bodyHash {
			return errContent
		}
	}
	signature, ok := s.sign(&signingKey, &bodyHash)
	if !ok || subtle.ConstantTimeCompare(signature[:], s.Signature[:]) != 1 {
		return ErrSignature
	}
	return nil
}

// sign computes the signature of the request; false if it cannot have one.
func (s *Signed) sign(signingKey, bodyHash *[32]byte) (signature [32]byte, ok bool) {
	scratch := buffers.Get().(*[]byte)
	defer release(scratch)
	buf, ok := appendCanonicalRequest((*scratch)[:0], &s.req, s.Service, s.signedHeaders, bodyHash)
	*scratch = buf
	if !ok {
		return signature, false
	}
	canonical := sha256.Sum256(buf)
	toSign := append(buf[:0], algorithm...)
	toSign = append(toSign, '\n')
	toSign = append(toSign, s.timestamp...)
	toSign = append(toSign, '\n')
	toSign = append(toSign, s.scope...)
	toSign = append(toSign, '\n')
	toSign = hex.AppendEncode(toSign, canonical[:])
	return hmacSHA256(signingKey[:], toSign), true
}

// SigningKey derives the key that signs one day's requests to one service of
// one Region. The date is YYYYMMDD.
func SigningKey(secret, date, region, service string) [32]byte {
	key := hmacSHA256([]byte("AWS4"+secret), []byte(date))
	key = hmacSHA256(key[:], []byte(region))
	key = hmacSHA256(key[:], []byte(service))
	return hmacSHA256(key[:], []byte(terminator))
}

// hmacSHA256 is HMAC of RFC 2104 over two calls of Sum256: for the short
// messages here crypto/hmac would spend more on its objects than on hashing. The
// tests compare the two.
func hmacSHA256(key, message []byte) [32]byte {
	var block [sha256.BlockSize]byte
	if len(key) > len(block) {
		sum := sha256.Sum256(key)
		key = sum[:]
	}
	copy(block[:], key)
	defer clear(block[:])

	var stack [sha256.BlockSize + 256]byte
	for i := range block {
		block[i] ^= 0x36
	}
	inner := sha256.Sum256(append(append(stack[:0], block[:]...), message...))
	for i := range block {
		block[i] ^= 0x36 ^ 0x5c
	}
	outer := append(append(stack[:0], block[:]...), inner[:]...)
	defer clear(outer)
	return sha256.Sum256(outer)
}

// decodeHash reads 64 lower-case hex digits. A signature or hash has one form
// only.
func decodeHash(dst *[32]byte, s string) bool {
	if len(s) != 2*len(dst) {
		return false
	}
	for i := range dst {
		hi, lo := lowerHex[s[2*i]], lowerHex[s[2*i+1]]
		if hi > 15 || lo > 15 {
			return false
		}
		dst[i] = hi<<4 | lo
	}
	return true
}

// lowerHex is the value of each lower-case hex digit, and 255 of all else. A
// hash's digits are random: to branch on them costs more than to look them up.
var lowerHex = func() (values [256]byte) {
	for c := range values {
		values[c] = 255
	}
	for i, c := range "0123456789abcdef" {
		values[c] = byte(i)
	}
	return values
}()

// buffers hold canonical requests while they are hashed.
var buffers = sync.Pool{New: func() any {
	b := make([]byte, 0, 4<<10)
	return &b
}}

// release gives a buffer back, unless an unusual request made it large.
func release(b *[]byte) {
	if cap(*b) <= 64<<10 {
		buffers.Put(b)
	}
}

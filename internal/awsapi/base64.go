package awsapi

import (
	"encoding/base64"
	"slices"

	simd "github.com/segmentio/asm/base64"
)

// The vector instructions read no table at an index that is secret, either.
// What they leave, at the end or where a character is not of the alphabet, the
// standard library does.
var strictSIMD = simd.StdEncoding.Strict()

// minSIMDEncode is the length from which vector instructions pay for encoding.
const minSIMDEncode = 256

// appendEncoded appends src in base64 to dst.
func appendEncoded(dst, src []byte) []byte {
	if len(src) < minSIMDEncode {
		return base64.StdEncoding.AppendEncode(dst, src)
	}
	start, size := len(dst), base64.StdEncoding.EncodedLen(len(src))
	dst = slices.Grow(dst, size)[:start+size]
	simd.StdEncoding.Encode(dst[start:], src)
	return dst
}

// appendDecoded appends what src stands for to dst, and tells whether src is
// base64 in its one canonical form. The memory of dst beyond its length must
// not overlap src.
func appendDecoded(dst, src []byte) ([]byte, bool) {
	if len(src)%4 != 0 {
		return dst, false
	}
	start, room := len(dst), len(src)/4*3
	size := room
	for i := len(src); i > max(0, len(src)-2) && src[i-1] == '='; i-- {
		size--
	}
	dst = slices.Grow(dst, room)
	// Line breaks are skipped; then there are fewer bytes than the length of
	// src says.
	n, err := strictSIMD.Decode(dst[start:start+room], src)
	return dst[:start+n], err == nil && n == size
}

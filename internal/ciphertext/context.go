package ciphertext

import (
	"encoding/binary"
	"errors"
	"slices"
	"unicode/utf8"
)

// MaxContextSize is the most bytes an encryption context may have in the form
// that AppendContext gives it.
const MaxContextSize = 8 << 10

// The errors of an encryption context; both are the request's fault.
var (
	ErrContextTooLarge = errors.New("ciphertext: encryption context is larger than 8 KiB")
	ErrContextInvalid  = errors.New("ciphertext: encryption context is not valid UTF-8")
)

// AppendContext appends the encryption context to dst in its one byte form: the
// pairs sorted by the bytes of their keys, each as key and value with a 32-bit
// big-endian length before either. Nothing is normalised: strings that differ
// in a byte are different. An empty context is no bytes, as is none at all. The
// errors are ErrContextTooLarge and ErrContextInvalid.
func AppendContext(dst []byte, ec map[string]string) ([]byte, error) {
	var few [16]string // so that usual contexts are sorted without an allocation
	keys := few[:0]
	size := 0
	for k, v := range ec {
		if size += 4 + len(k) + 4 + len(v); size > MaxContextSize {
			return nil, ErrContextTooLarge
		}
		keys = append(keys, k)
	}
	slices.Sort(keys) // Go compares strings by their bytes
	for _, k := range keys {
		v := ec[k]
		if !utf8.ValidString(k) || !utf8.ValidString(v) {
			return nil, ErrContextInvalid
		}
		dst = binary.BigEndian.AppendUint32(dst, uint32(len(k)))
		dst = append(dst, k...)
		dst = binary.BigEndian.AppendUint32(dst, uint32(len(v)))
		dst = append(dst, v...)
	}
	return dst, nil
}

// AAD appends to dst the additional data of a blob: the length of its header in
// 32 big-endian bits, the header, and the encryption context as AppendContext
// writes it. Its errors are those of AppendContext.
func AAD(dst, rawHeader []byte, ec map[string]string) ([]byte, error) {
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(rawHeader)))
	dst = append(dst, rawHeader...)
	return AppendContext(dst, ec)
}

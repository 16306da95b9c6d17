// Package ecdhwrap wraps a message's data key under a secret that two elliptic
// curve keys agreed upon. It is what the raw ECDH and the AWS KMS ECDH keyrings
// have in common: from the shared secret on, both do the same. It agrees on
// nothing itself and knows neither keyrings nor messages.
//
// The provider information of such a data key is
//
//	version 0x01 | length (4 bytes) | recipient | length (4 bytes) | sender
//
// with both public keys as compressed points, and its ciphertext is
//
//	salt (32) | commitment (32) | AES-256-GCM ciphertext | tag (16)
//
// Commitment and wrapping key come from the shared secret by the counter mode
// KDF of SP 800-108 with HMAC-SHA-384. The GCM nonce is all zeros, since each
// wrapping key, having a random salt, is used once.
//
// Source: the AWS Encryption SDK specification, "Raw ECDH Keyring". It differs
// from the code in spelling the label in upper case and in the lengths of the
// keys; here is what the code does.
package ecdhwrap

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha512"
	"crypto/subtle"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/keywright/keywright/esdk/materials"
)

// The names of the curves as the key derivation has them.
const (
	P256 = "p256"
	P384 = "p384"
	P521 = "p521"
)

// Errors of unwrapping and parsing.
var (
	ErrInfo       = errors.New("esdk: the provider information of the ECDH-wrapped data key is malformed")
	ErrCiphertext = errors.New("esdk: the ECDH-wrapped data key is malformed")
	// ErrUnwrap says that the secret is not the one the data key was wrapped
	// under, or that something it is bound to has changed: the public keys, the
	// curve or the encryption context.
	ErrUnwrap = errors.New("esdk: the ECDH-wrapped data key does not open: " +
		"it is for other keys or another encryption context, or it was changed")
)

const (
	version       = 1
	saltLen       = 32
	commitmentLen = 32
	wrapKeyLen    = 32
	tagLen        = 16
	overhead      = saltLen + commitmentLen + tagLen
)

// Wrap encrypts dataKey under the shared secret z, the x coordinate as the
// agreement gave it (32, 48 or 66 bytes), and returns the provider information
// and the ciphertext. The sender's and the recipient's keys are compressed
// points of the curve, which is P256, P384 or P521; context is the whole
// encryption context. It fails if one of these has another form or length, or
// the context cannot be serialized.
func Wrap(z, sender, recipient []byte, curve string, context map[string]string, dataKey []byte) (info, ciphertext []byte, err error) {
	fixed, err := fixedInfo(z, sender, recipient, curve, context)
	if err != nil {
		return nil, nil, err
	}
	ciphertext = make([]byte, saltLen, overhead+len(dataKey))
	rand.Read(ciphertext)
	commitment, wrapKey := derive(z, fixed, ciphertext)
	defer clear(wrapKey)
	aead, err := newGCM(wrapKey)
	if err != nil {
		return nil, nil, err
	}
	ciphertext = append(ciphertext, commitment...)
	ciphertext = aead.Seal(ciphertext, make([]byte, aead.NonceSize()), dataKey, fixed)
	return appendInfo(nil, recipient, sender), ciphertext, nil
}

// Unwrap returns the data key. The error is ErrInfo or ErrCiphertext where the
// input cannot be such a data key, and ErrUnwrap, without saying more, where it
// does not open. The length of the data key is whatever was wrapped: compare it
// with the suite's.
func Unwrap(z []byte, info, ciphertext []byte, curve string, context map[string]string) ([]byte, error) {
	recipient, sender, err := ParseInfo(info)
	if err != nil {
		return nil, err
	}
	if len(ciphertext) <= overhead {
		return nil, ErrCiphertext
	}
	fixed, err := fixedInfo(z, sender, recipient, curve, context)
	if err != nil {
		return nil, err
	}
	salt, rest := ciphertext[:saltLen], ciphertext[saltLen:]
	commitment, wrapKey := derive(z, fixed, salt)
	defer clear(wrapKey)
	if subtle.ConstantTimeCompare(commitment, rest[:commitmentLen]) != 1 {
		return nil, ErrUnwrap
	}
	aead, err := newGCM(wrapKey)
	if err != nil {
		return nil, err
	}
	dataKey, err := aead.Open(nil, make([]byte, aead.NonceSize()), rest[commitmentLen:], fixed)
	if err != nil {
		return nil, ErrUnwrap
	}
	return dataKey, nil
}

// ParseInfo splits provider information into the recipient's and the sender's
// compressed public keys, which share its memory. It accepts only what Wrap
// could have written, save that it does not look whether the points lie on a
// curve. The error is ErrInfo.
func ParseInfo(info []byte) (recipient, sender []byte, err error) {
	if len(info) < 1 || info[0] != version {
		return nil, nil, ErrInfo
	}
	recipient, rest, ok := cutPoint(info[1:])
	if !ok {
		return nil, nil, ErrInfo
	}
	sender, rest, ok = cutPoint(rest)
	if !ok || len(rest) != 0 || len(sender) != len(recipient) {
		return nil, nil, ErrInfo
	}
	return recipient, sender, nil
}

func appendInfo(dst, recipient, sender []byte) []byte {
	dst = slices.Grow(dst, 9+len(recipient)+len(sender))
	dst = append(dst, version)
	for _, point := range [][]byte{recipient, sender} {
		dst = binary.BigEndian.AppendUint32(dst, uint32(len(point)))
		dst = append(dst, point...)
	}
	return dst
}

// cutPoint takes a point and its length from the beginning of b.
func cutPoint(b []byte) (point, rest []byte, ok bool) {
	if len(b) < 4 {
		return nil, nil, false
	}
	n := binary.BigEndian.Uint32(b)
	b = b[4:]
	if uint64(n) > uint64(len(b)) || !isPoint(b[:n]) {
		return nil, nil, false
	}
	return b[:n:n], b[n:], true
}

// isPoint reports whether b has the form of a compressed point.
func isPoint(b []byte) bool {
	switch len(b) {
	case 33, 49, 67:
		return b[0] == 2 || b[0] == 3
	}
	return false
}

// fixedInfo is what the derived keys are bound to, and the additional
// authenticated data of the wrapping.
func fixedInfo(z, sender, recipient []byte, curve string, context map[string]string) ([]byte, error) {
	size := map[string]int{P256: 32, P384: 48, P521: 66}[curve]
	if size == 0 {
		return nil, fmt.Errorf("esdk: no ECDH wrapping for curve %q", curve)
	}
	if len(z) != size {
		return nil, fmt.Errorf("esdk: the shared secret has %d bytes, on %s it has %d", len(z), curve, size)
	}
	for _, point := range [][]byte{sender, recipient} {
		if len(point) != size+1 || !isPoint(point) {
			return nil, fmt.Errorf("esdk: a public key is no compressed point of %s", curve)
		}
	}
	b := append([]byte("ecdh-key-derivation\x00"), curve...)
	b = append(b, "\x00HMAC_SHA384\x00"...)
	b = append(b, sender...)
	b = append(b, recipient...)
	b = append(b, 0, version, 0)
	return materials.AppendContext(b, context)
}

// derive makes the commitment and the wrapping key: SP 800-108 in counter mode
// with HMAC-SHA-384 under z, of 64 bytes.
func derive(z, fixed, salt []byte) (commitment, wrapKey []byte) {
	const size = commitmentLen + wrapKeyLen
	mac := hmac.New(sha512.New384, z)
	out := make([]byte, 0, 2*sha512.Size384)
	for i := uint32(1); len(out) < size; i++ {
		mac.Reset()
		mac.Write(binary.BigEndian.AppendUint32(nil, i))
		mac.Write(fixed)
		mac.Write([]byte{0})
		mac.Write(salt)
		mac.Write(binary.BigEndian.AppendUint32(nil, size*8))
		out = mac.Sum(out)
	}
	clear(out[size:])
	return out[:commitmentLen:commitmentLen], out[commitmentLen:size:size]
}

func newGCM(key []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("esdk: preparing the wrapping key: %w", err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return nil, fmt.Errorf("esdk: preparing the wrapping key: %w", err)
	}
	return aead, nil
}

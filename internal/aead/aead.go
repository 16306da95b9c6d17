// Package aead is the one construction by which Keywright encrypts: records of
// the store, tokens of key material, ciphertext blobs, tokens handed to
// clients, and backups all use it, each under a label of its own.
//
//	N          16 fresh random bytes
//	K1 || K2   SP 800-108 counter-mode KDF, HMAC-SHA-256, 64 bytes, from the
//	           key, the label and the context || N
//	sealed     N || K2 || IV || AES-256-GCM(K1, IV, plaintext, additional data)
//
// A key is used for one message only (up to collisions of the 128-bit N, of
// probability below 2^-32 after 2^48 messages), and its 96-bit IV is random on
// top of that, so neither a count of messages nor a caller's nonce can break
// it. K2 commits to the key: it is compared in constant time before GCM runs,
// so one message cannot be opened under two keys, which plain GCM allows.
//
// The package does no I/O but for the system's random source, and knows
// nothing of stores, tokens or blobs. docs/ciphertext-blob.md specifies the
// bytes.
package aead

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/subtle"
	"errors"
)

const (
	// KeySize is the length of a key in bytes.
	KeySize = 32
	// Overhead is how much longer the sealed form is than the plaintext.
	Overhead = nonceSize + commitSize + ivSize + tagSize

	nonceSize  = 16
	commitSize = 32
	ivSize     = 12
	tagSize    = 16
)

// ErrOpen is the one error of Open. It tells nothing of which check failed.
var ErrOpen = errors.New("aead: message authentication failed")

// Seal encrypts and authenticates plaintext, authenticates additionalData, and
// appends the result, Overhead bytes longer than plaintext, to dst. The label
// names what the message is for ("keywright/record") and must not contain a
// zero byte; context is bound into the key derivation, and its length must
// always be the same under one label. Key must be KeySize bytes long: anything
// else is a bug of the caller and panics. The memory of dst beyond its length
// must not overlap plaintext or additionalData.
func Seal(dst, key []byte, label string, context, additionalData, plaintext []byte) []byte {
	var n [nonceSize]byte
	rand.Read(n[:])
	return seal(dst, key, label, context, additionalData, plaintext, n)
}

func seal(dst, key []byte, label string, context, additionalData, plaintext []byte, n [nonceSize]byte) []byte {
	k := deriveKeys(key, label, context, n)
	defer clear(k[:])
	dst = append(dst, n[:]...)
	dst = append(dst, k[KeySize:]...)
	// K1 is fresh for each message because N is, so the random 96-bit IV of
	// NewGCMWithRandomNonce meets SP 800-38D 8.2.2 with one invocation per key.
	return newGCM(k[:KeySize]).Seal(dst, nil, plaintext, additionalData)
}

// Open authenticates and decrypts what Seal returned, and appends the
// plaintext to dst. Key, label, context and additionalData must be those given
// to Seal. Its only error is ErrOpen, with which it returns nothing.
func Open(dst, key []byte, label string, context, additionalData, sealed []byte) ([]byte, error) {
	if len(sealed) < Overhead {
		return nil, ErrOpen
	}
	n := [nonceSize]byte(sealed)
	commitment := sealed[nonceSize : nonceSize+commitSize]
	k := deriveKeys(key, label, context, n)
	defer clear(k[:])
	if subtle.ConstantTimeCompare(k[KeySize:], commitment) != 1 {
		return nil, ErrOpen
	}
	out, err := newGCM(k[:KeySize]).Open(dst, nil, sealed[nonceSize+commitSize:], additionalData)
	if err != nil {
		return nil, ErrOpen
	}
	return out, nil
}

func newGCM(key []byte) cipher.AEAD {
	block, err := aes.NewCipher(key)
	if err != nil {
		panic("aead: " + err.Error())
	}
	gcm, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		panic("aead: " + err.Error())
	}
	return gcm
}

package softhsm

import (
	"bytes"
	"encoding/hex"
	"errors"

	"github.com/keywright/keywright/internal/aead"
)

const selfTestLabel = "keywright/self-test"

// selfTest checks what the Module rests on against known answers: a machine or
// a build whose SHA-256 or AES is wrong must not make keys.
func selfTest() error {
	key := make([]byte, aead.KeySize)
	for i := range key {
		key[i] = byte(i)
	}
	sealed, err := hex.DecodeString(selfTestSealed)
	if err != nil {
		return err
	}
	if plaintext, err := aead.Open(nil, key, selfTestLabel, nil, []byte("aad"), sealed); err != nil || string(plaintext) != "plaintext" {
		return errors.New("softhsm: self-test of decryption failed; do not use this build on this machine")
	}
	fresh := aead.Seal(nil, key, selfTestLabel, nil, []byte("aad"), []byte("plaintext"))
	if plaintext, err := aead.Open(nil, key, selfTestLabel, nil, []byte("aad"), fresh); err != nil || string(plaintext) != "plaintext" || bytes.Equal(fresh, sealed) {
		return errors.New("softhsm: self-test of encryption failed; do not use this build on this machine")
	}
	fresh[len(fresh)-1] ^= 1
	if _, err := aead.Open(nil, key, selfTestLabel, nil, []byte("aad"), fresh); err == nil {
		return errors.New("softhsm: self-test of authentication failed; do not use this build on this machine")
	}
	// The example of the AWS documentation ("Examples of how to derive a signing
	// key for Signature Version 4"); it tests HMAC-SHA-256 of crypto/hmac.
	signing := deriveSigningKey([]byte("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"), "20120215", "us-east-1", "iam")
	if hex.EncodeToString(signing[:]) != selfTestSigningKey {
		return errors.New("softhsm: self-test of HMAC-SHA-256 failed; do not use this build on this machine")
	}
	return nil
}

const (
	selfTestSealed = "404142434445464748494a4b4c4d4e4f0fee02e921c8ea3e2fa6c4ca688acb2888d7ab60a4c68721bf11d98c5937de92" +
		"606162636465666768696a6bf6cfd543a48c27118790dc3ec23b10632fb61d9e8a0403eec9"
	selfTestSigningKey = "f4780e2d9f65fa895f9c67b32ce1baf0b0d8a43505a000a1a9e090d414db404d"
)

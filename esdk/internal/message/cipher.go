package message

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/subtle"
	"encoding/binary"
	"fmt"
	"hash"

	"github.com/keywright/keywright/esdk/suite"
)

// What the body's additional data and the key derivation name.
var contentNames = [...]string{
	Regular:  "AWSKMSEncryptionClient Frame",
	Final:    "AWSKMSEncryptionClient Final Frame",
	Unframed: "AWSKMSEncryptionClient Single Block",
}

const (
	deriveLabel = "DERIVEKEY"
	commitLabel = "COMMITKEY"
)

// Cipher encrypts and decrypts one message. Its methods may be called
// concurrently, with a Scratch for each goroutine.
type Cipher struct {
	aead       cipher.AEAD
	id         []byte
	commitment []byte
}

// Scratch holds what a Cipher needs for one frame at a time, so that a frame
// costs no allocation.
type Scratch struct {
	aad   [idSizeV2 + 64]byte
	nonce [ivSize]byte
}

// NewCipher derives the keys of the message with that id from its data key,
// which it does not keep.
func NewCipher(s suite.Suite, id, dataKey []byte) (*Cipher, error) {
	if len(dataKey) != s.KeyLen || len(id) != IDSize(s) {
		return nil, fmt.Errorf("esdk: a data key of %d bytes for %v", len(dataKey), s.ID)
	}
	key, commitment, err := derive(s, id, dataKey)
	if err != nil {
		return nil, fmt.Errorf("deriving the message key: %w", err)
	}
	if s.KDF != suite.Identity {
		defer clear(key)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("setting up AES: %w", err)
	}
	// Nonces are fixed by the format: zero for the header and the frame's
	// number for a frame. A derived key is used for one message only, and so is
	// a data key without derivation.
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return nil, fmt.Errorf("setting up GCM: %w", err)
	}
	return &Cipher{aead: aead, id: bytes.Clone(id), commitment: commitment}, nil
}

func derive(s suite.Suite, id, dataKey []byte) (key, commitment []byte, err error) {
	suiteID := string(binary.BigEndian.AppendUint16(nil, uint16(s.ID)))
	switch s.KDF {
	case suite.Identity:
		return dataKey, nil, nil
	case suite.HKDFSHA256:
		key, err = hkdf.Key(sha256.New, dataKey, nil, suiteID+string(id), s.KeyLen)
		return key, nil, err
	case suite.HKDFSHA384:
		key, err = hkdf.Key(sha512.New384, dataKey, nil, suiteID+string(id), s.KeyLen)
		return key, nil, err
	}
	prk, err := hkdf.Extract(sha512.New, dataKey, id)
	if err != nil {
		return nil, nil, err
	}
	defer clear(prk)
	if key, err = hkdf.Expand(sha512.New, prk, suiteID+deriveLabel, s.KeyLen); err != nil {
		return nil, nil, err
	}
	commitment, err = hkdf.Expand(sha512.New, prk, commitLabel, commitmentSize)
	return key, commitment, err
}

// Commitment returns what the header of a committing suite stores, else nil.
func (c *Cipher) Commitment() []byte { return c.commitment }

// Commits reports, in constant time, whether the header commits to this key.
// It is true for suites that do not commit.
func (c *Cipher) Commits(h *Header) bool {
	return subtle.ConstantTimeCompare(c.commitment, h.Commitment) == 1
}

// SealHeader sets h.Tag over h.Body, with h.IV. Required is the serialized
// encryption context that is authenticated and not stored.
func (c *Cipher) SealHeader(h *Header, required []byte) {
	c.aead.Seal(h.Tag[:0], h.IV[:], nil, headerAAD(h, required))
}

// OpenHeader verifies h.Tag.
func (c *Cipher) OpenHeader(h *Header, required []byte) error {
	if _, err := c.aead.Open(nil, h.IV[:], h.Tag[:], headerAAD(h, required)); err != nil {
		return fmt.Errorf("%w: header", ErrAuthentication)
	}
	return nil
}

func headerAAD(h *Header, required []byte) []byte {
	if len(required) == 0 {
		return h.Body
	}
	return append(h.Body[:len(h.Body):len(h.Body)], required...)
}

// SealFrame appends the frame of that kind, Regular or Final, and number to dst.
func (c *Cipher) SealFrame(dst, plaintext []byte, kind Kind, seq uint32, s *Scratch) []byte {
	binary.BigEndian.PutUint32(s.nonce[ivSize-4:], seq)
	clear(s.nonce[:ivSize-4])
	if kind == Final {
		dst = binary.BigEndian.AppendUint32(dst, finalMark)
	}
	dst = binary.BigEndian.AppendUint32(dst, seq)
	dst = append(dst, s.nonce[:]...)
	if kind == Final {
		dst = binary.BigEndian.AppendUint32(dst, uint32(len(plaintext)))
	}
	return c.aead.Seal(dst, s.nonce[:], plaintext, c.bodyAAD(s, kind, seq, len(plaintext)))
}

// OpenFrame verifies a frame and appends its plaintext to dst, which must not
// overlap the frame. The nonce is the one in the frame: there are messages
// whose nonces are not their frames' numbers.
func (c *Cipher) OpenFrame(dst []byte, f *Frame, s *Scratch) ([]byte, error) {
	dst, err := c.aead.Open(dst, f.IV, f.Sealed, c.bodyAAD(s, f.Kind, f.Seq, f.PlaintextLen()))
	if err != nil {
		return nil, ErrAuthentication
	}
	return dst, nil
}

func (c *Cipher) bodyAAD(s *Scratch, kind Kind, seq uint32, length int) []byte {
	b := append(s.aad[:0], c.id...)
	b = append(b, contentNames[kind]...)
	b = binary.BigEndian.AppendUint32(b, seq)
	return binary.BigEndian.AppendUint64(b, uint64(length))
}

// NewHash returns the hash that a signature of that kind covers, nil for none.
func NewHash(s suite.Signature) hash.Hash {
	switch s {
	case suite.P256:
		return sha256.New()
	case suite.P384:
		return sha512.New384()
	}
	return nil
}

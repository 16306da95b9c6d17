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
	net400     bool
}

// Scratch holds what a Cipher needs for one frame at a time, so that a frame
// costs no allocation.
type Scratch struct {
	of    *Cipher // whose frames of that kind all begin their aad so
	kind  Kind
	aad   []byte // in space
	space [idSizeV2 + 64]byte
	nonce [ivSize]byte
}

// NewCipher derives the keys of the message with that id from its data key,
// which it does not keep.
func NewCipher(s suite.Suite, id, dataKey []byte) (*Cipher, error) {
	return newCipher(s, id, dataKey, false)
}

// NewNet400Cipher is NewCipher for messages of the AWS Encryption SDK for .NET
// 4.0.0, which deviate: keys that are derived without a commitment do not depend
// on the message's id, and where nothing is authenticated without being stored,
// a header is authenticated with a count of zero behind it.
//
// Source: aws-encryption-sdk, EncryptDecrypt.dfy and KeyDerivation.dfy,
// NetV4_0_0_RetryPolicy.
func NewNet400Cipher(s suite.Suite, id, dataKey []byte) (*Cipher, error) {
	return newCipher(s, id, dataKey, true)
}

func newCipher(s suite.Suite, id, dataKey []byte, net400 bool) (*Cipher, error) {
	if len(dataKey) != s.KeyLen || len(id) != IDSize(s) {
		return nil, fmt.Errorf("esdk: a data key of %d bytes for %v", len(dataKey), s.ID)
	}
	salt := id
	if net400 && !s.Committing {
		salt = nil
	}
	key, commitment, err := derive(s, salt, dataKey)
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
	return &Cipher{aead: aead, id: bytes.Clone(id), commitment: commitment, net400: net400}, nil
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
	both := make([]byte, s.KeyLen+commitmentSize)
	key, commitment = both[:s.KeyLen:s.KeyLen], both[s.KeyLen:]
	hkdfSHA512(dataKey, id, [2]string{suiteID + deriveLabel, commitLabel}, [2][]byte{key, commitment})
	return key, commitment, nil
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
	c.aead.Seal(h.Tag[:0], h.IV[:], nil, c.headerAAD(h, required))
}

// OpenHeader verifies h.Tag.
func (c *Cipher) OpenHeader(h *Header, required []byte) error {
	if _, err := c.aead.Open(nil, h.IV[:], h.Tag[:], c.headerAAD(h, required)); err != nil {
		return fmt.Errorf("%w: header", ErrAuthentication)
	}
	return nil
}

func (c *Cipher) headerAAD(h *Header, required []byte) []byte {
	if c.net400 && len(required) == 0 {
		required = []byte{0, 0}
	}
	if len(required) == 0 {
		return h.Body
	}
	return append(h.Body[:len(h.Body):len(h.Body)], required...)
}

// SealRun appends plaintext, of a multiple of length bytes, as regular frames with
// the numbers from first on.
func (c *Cipher) SealRun(dst, plaintext []byte, first uint32, length int, s *Scratch) []byte {
	// All but the number is the same for each.
	aad := c.bodyAAD(s, Regular, first, length)
	number := aad[len(s.aad):][:4]
	for seq := first; len(plaintext) > 0; seq++ {
		binary.BigEndian.PutUint32(number, seq)
		dst = append(append(dst, number...), s.frameNonce(seq)...)
		dst = c.aead.Seal(dst, s.nonce[:], plaintext[:length], aad)
		plaintext = plaintext[length:]
	}
	return dst
}

// SealFinal appends the final frame, which has that number.
func (c *Cipher) SealFinal(dst, plaintext []byte, seq uint32, s *Scratch) []byte {
	dst = binary.BigEndian.AppendUint32(dst, finalMark)
	dst = binary.BigEndian.AppendUint32(dst, seq)
	dst = append(dst, s.frameNonce(seq)...)
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(plaintext)))
	return c.aead.Seal(dst, s.nonce[:], plaintext, c.bodyAAD(s, Final, seq, len(plaintext)))
}

// frameNonce makes s.nonce that of the frame with that number, and returns it.
func (s *Scratch) frameNonce(seq uint32) []byte {
	binary.BigEndian.PutUint32(s.nonce[ivSize-4:], seq) // behind zeros
	return s.nonce[:]
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

// OpenRun is OpenFrame for the frames of a run. With ErrAuthentication it returns
// the number of the first frame that is not verified.
func (c *Cipher) OpenRun(dst []byte, r *Run, s *Scratch) (plain []byte, failed uint32, err error) {
	// All but the number is the same for each.
	aad := c.bodyAAD(s, Regular, r.First, int(r.Length))
	number, stride := aad[len(s.aad):][:4], r.stride()
	for raw := r.Raw; len(raw) > 0; raw = raw[stride:] {
		copy(number, raw)
		dst, err = c.aead.Open(dst, raw[4:4+ivSize], raw[4+ivSize:stride], aad)
		if err != nil {
			return nil, binary.BigEndian.Uint32(raw), ErrAuthentication
		}
	}
	return dst, 0, nil
}

func (c *Cipher) bodyAAD(s *Scratch, kind Kind, seq uint32, length int) []byte {
	if s.of != c || s.kind != kind {
		s.of, s.kind = c, kind
		s.aad = append(append(s.space[:0], c.id...), contentNames[kind]...)
	}
	b := binary.BigEndian.AppendUint32(s.aad, seq)
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

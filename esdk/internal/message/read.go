package message

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"unicode/utf8"

	"github.com/keywright/keywright/esdk/materials"
	"github.com/keywright/keywright/esdk/suite"
)

// Limits bound what a header may announce. No limit may be exceeded before it
// is noticed: what is over it is not read.
type Limits struct {
	EncryptedDataKeys int    // zero: what the format allows
	HeaderLength      int    // bytes
	FrameLength       uint32 // bytes of a frame's plaintext
}

// ReadHeader reads a header from r, and nothing beyond it. It authenticates
// nothing. Memory is allocated as bytes come in, not as they are announced.
func ReadHeader(r io.Reader, limits Limits) (*Header, error) {
	return readHeader(headerReader{r: r, limits: limits, buf: make([]byte, 0, 512)})
}

// ParseHeader is ReadHeader for a header that b begins with. The header's Body
// lies in b.
func ParseHeader(b []byte, limits Limits) (*Header, error) {
	return readHeader(headerReader{limits: limits, buf: b[:0:len(b)]})
}

func readHeader(r headerReader) (*Header, error) {
	h := new(Header)
	if err := r.header(h); err != nil {
		return nil, err
	}
	return h, nil
}

type headerReader struct {
	r      io.Reader // nil: all there is lies in buf, up to its capacity
	limits Limits
	buf    []byte // what was read
}

// take reads the next n bytes, n at most 65535. They are valid until the next
// call.
func (r *headerReader) take(n int) ([]byte, error) {
	start := len(r.buf)
	if start+n > r.limits.HeaderLength {
		return nil, fmt.Errorf("%w: header of more than %d bytes", ErrTooLarge, r.limits.HeaderLength)
	}
	b, err := r.upTo(n)
	switch {
	case err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF):
		return nil, fmt.Errorf("reading the header: %w", err)
	case len(b) < n:
		return nil, fmt.Errorf("%w: in the header", ErrTruncated)
	}
	return b, nil
}

// upTo reads the next n bytes, or as many as there are.
func (r *headerReader) upTo(n int) ([]byte, error) {
	start := len(r.buf)
	if r.r == nil {
		r.buf = r.buf[:min(start+n, cap(r.buf))]
		return r.buf[start:], nil
	}
	r.buf = slices.Grow(r.buf, n)[:start+n]
	k, err := io.ReadFull(r.r, r.buf[start:])
	return r.buf[start : start+k], err
}

func (r *headerReader) uint8() (byte, error) {
	b, err := r.take(1)
	if err != nil {
		return 0, err
	}
	return b[0], nil
}

func (r *headerReader) uint16() (int, error) {
	b, err := r.take(2)
	if err != nil {
		return 0, err
	}
	return int(binary.BigEndian.Uint16(b)), nil
}

// field reads bytes that stand behind their length in 16 bits.
func (r *headerReader) field() ([]byte, error) {
	n, err := r.uint16()
	if err != nil {
		return nil, err
	}
	return r.take(n)
}

func (r *headerReader) header(h *Header) error {
	version, err := r.version()
	if err != nil {
		return err
	}
	id, err := r.uint16()
	if err != nil {
		return err
	}
	var ok bool
	if h.Suite, ok = suite.Lookup(suite.ID(id)); !ok {
		return fmt.Errorf("%w: 0x%04x", materials.ErrUnknownSuite, id)
	}
	if h.Version() != version {
		return fmt.Errorf("%w: %v in a header of version %d", ErrMalformed, h.Suite.ID, version)
	}
	messageID, err := r.take(IDSize(h.Suite))
	if err != nil {
		return err
	}
	h.ID = bytes.Clone(messageID)
	if h.Context, err = r.context(); err != nil {
		return err
	}
	if h.Keys, err = r.keys(); err != nil {
		return err
	}
	if err := r.content(h); err != nil {
		return err
	}
	if h.Suite.Committing {
		c, err := r.take(commitmentSize)
		if err != nil {
			return err
		}
		h.Commitment = bytes.Clone(c)
	}
	bodyLen := len(r.buf)
	if !h.Suite.Committing {
		iv, err := r.take(ivSize)
		if err != nil {
			return err
		}
		h.IV = [ivSize]byte(iv)
	}
	tag, err := r.take(tagSize)
	if err != nil {
		return err
	}
	h.Tag = [tagSize]byte(tag)
	h.Body = r.buf[:bodyLen:bodyLen]
	return nil
}

// version reads the version and, in version 1, the type.
func (r *headerReader) version() (int, error) {
	v, err := r.uint8()
	if err != nil {
		return 0, err
	}
	switch v {
	case version1:
		t, err := r.uint8()
		if err == nil && t != typeCustomer {
			err = fmt.Errorf("%w: type 0x%02x", ErrVersion, t)
		}
		return version1, err
	case version2:
		return version2, nil
	case 'A':
		// 01 80, and 02 with each suite of version 2, look so in base64.
		rest, _ := r.upTo(3)
		if s := string(rest); s != "" && s[0] == 'Y' || s == "gR4" || s == "gV4" {
			return 0, ErrBase64
		}
	}
	return 0, fmt.Errorf("%w: version 0x%02x", ErrVersion, v)
}

func (r *headerReader) context() ([]materials.Pair, error) {
	b, err := r.field()
	if err != nil {
		return nil, err
	}
	pairs, err := materials.ParsePairs(b)
	if errors.Is(err, materials.ErrContextMalformed) {
		return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	return pairs, err
}

func (r *headerReader) keys() ([]materials.EncryptedDataKey, error) {
	count, err := r.uint16()
	if err != nil {
		return nil, err
	}
	if count == 0 {
		return nil, fmt.Errorf("%w: no encrypted data key", ErrMalformed)
	}
	if limit := r.limits.EncryptedDataKeys; limit > 0 && count > limit {
		return nil, fmt.Errorf("%w: %d, of which %d are allowed", ErrTooManyKeys, count, limit)
	}
	var keys []materials.EncryptedDataKey
	for range count {
		var k materials.EncryptedDataKey
		id, err := r.field()
		if err != nil {
			return nil, err
		}
		if !utf8.Valid(id) {
			return nil, fmt.Errorf("%w: a key provider's id is not UTF-8", ErrMalformed)
		}
		k.ProviderID = string(id)
		info, err := r.field()
		if err != nil {
			return nil, err
		}
		k.ProviderInfo = bytes.Clone(info)
		ciphertext, err := r.field()
		if err != nil {
			return nil, err
		}
		k.Ciphertext = bytes.Clone(ciphertext)
		keys = append(keys, k)
	}
	return keys, nil
}

// content reads the content type and the frame length, and in version 1 the
// reserved bytes and the IV length between them.
func (r *headerReader) content(h *Header) error {
	content, err := r.uint8()
	if err != nil {
		return err
	}
	if !h.Suite.Committing {
		b, err := r.take(5)
		if err != nil {
			return err
		}
		if binary.BigEndian.Uint32(b) != 0 {
			return fmt.Errorf("%w: reserved bytes are not zero", ErrMalformed)
		}
		if b[4] != ivSize {
			return fmt.Errorf("%w: IVs of %d bytes", ErrMalformed, b[4])
		}
	}
	b, err := r.take(4)
	if err != nil {
		return err
	}
	h.FrameLength = binary.BigEndian.Uint32(b)
	switch {
	case content != contentFramed && content != contentUnframed:
		return fmt.Errorf("%w: content type 0x%02x", ErrMalformed, content)
	case (content == contentFramed) != (h.FrameLength > 0):
		return fmt.Errorf("%w: the frame length does not fit the content type", ErrMalformed)
	case h.FrameLength > r.limits.FrameLength:
		return fmt.Errorf("%w: frames of %d bytes, of which %d are allowed", ErrTooLarge, h.FrameLength, r.limits.FrameLength)
	}
	return nil
}

package message

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/keywright/keywright/esdk/materials"
	"github.com/keywright/keywright/esdk/suite"
)

const (
	version1     = 1
	version2     = 2
	typeCustomer = 0x80 // customer authenticated encrypted data

	contentUnframed = 1
	contentFramed   = 2
)

// Header is a message's header.
type Header struct {
	Suite suite.Suite
	ID    []byte // IDSize(Suite) bytes
	// Context is the stored encryption context in the order of the bytes. A
	// writer sorts it by key; a reader takes any order, since some
	// implementations sort by UTF-16.
	Context     []materials.Pair
	Keys        []materials.EncryptedDataKey
	FrameLength uint32 // zero: the body is not framed
	Commitment  []byte // 32 bytes in version 2, nil in version 1

	// IV and Tag authenticate the header. Version 2 does not store the IV: it
	// is zero.
	IV  [ivSize]byte
	Tag [tagSize]byte

	// Body is the serialized header but for IV and Tag, as it was read or
	// written.
	Body []byte
}

// Version returns 1 or 2.
func (h *Header) Version() int {
	if h.Suite.Committing {
		return version2
	}
	return version1
}

// IDSize returns the length of a message id under that suite, in bytes.
func IDSize(s suite.Suite) int {
	if s.Committing {
		return idSizeV2
	}
	return idSizeV1
}

// Marshal sets h.Body from the other fields. The errors are those of fields that
// do not fit the format.
func (h *Header) Marshal() error {
	size := 128
	for _, p := range h.Context {
		size += 4 + len(p.Key) + len(p.Value)
	}
	for _, k := range h.Keys {
		size += 6 + len(k.ProviderID) + len(k.ProviderInfo) + len(k.Ciphertext)
	}
	b, err := h.appendBody(make([]byte, 0, size))
	if err != nil {
		return err
	}
	h.Body = b
	return nil
}

func (h *Header) appendBody(b []byte) ([]byte, error) {
	framed := byte(contentFramed)
	if h.FrameLength == 0 {
		framed = contentUnframed
	}
	if h.Suite.Committing {
		b = append(b, version2)
	} else {
		b = append(b, version1, typeCustomer)
	}
	b = binary.BigEndian.AppendUint16(b, uint16(h.Suite.ID))
	b = append(b, h.ID...)
	b, err := appendContext(b, h.Context)
	if err != nil {
		return nil, err
	}
	if b, err = appendKeys(b, h.Keys); err != nil {
		return nil, err
	}
	b = append(b, framed)
	if !h.Suite.Committing {
		b = append(b, 0, 0, 0, 0, ivSize)
	}
	b = binary.BigEndian.AppendUint32(b, h.FrameLength)
	return append(b, h.Commitment...), nil
}

func appendContext(b []byte, pairs []materials.Pair) ([]byte, error) {
	if len(pairs) == 0 {
		return append(b, 0, 0), nil
	}
	size := 2
	for _, p := range pairs {
		size += 4 + len(p.Key) + len(p.Value)
	}
	if size > math.MaxUint16 {
		return nil, materials.ErrContextTooLarge
	}
	b = binary.BigEndian.AppendUint16(b, uint16(size))
	b = binary.BigEndian.AppendUint16(b, uint16(len(pairs)))
	for _, p := range pairs {
		b = binary.BigEndian.AppendUint16(b, uint16(len(p.Key)))
		b = append(b, p.Key...)
		b = binary.BigEndian.AppendUint16(b, uint16(len(p.Value)))
		b = append(b, p.Value...)
	}
	return b, nil
}

func appendKeys(b []byte, keys []materials.EncryptedDataKey) ([]byte, error) {
	if len(keys) == 0 {
		return nil, fmt.Errorf("%w: no encrypted data key", ErrMalformed)
	}
	if len(keys) > math.MaxUint16 {
		return nil, ErrTooManyKeys
	}
	b = binary.BigEndian.AppendUint16(b, uint16(len(keys)))
	for _, k := range keys {
		if max(len(k.ProviderID), len(k.ProviderInfo), len(k.Ciphertext)) > math.MaxUint16 {
			return nil, fmt.Errorf("%w: a field of an encrypted data key takes more than 65535 bytes", ErrMalformed)
		}
		b = binary.BigEndian.AppendUint16(b, uint16(len(k.ProviderID)))
		b = append(b, k.ProviderID...)
		b = binary.BigEndian.AppendUint16(b, uint16(len(k.ProviderInfo)))
		b = append(b, k.ProviderInfo...)
		b = binary.BigEndian.AppendUint16(b, uint16(len(k.Ciphertext)))
		b = append(b, k.Ciphertext...)
	}
	return b, nil
}

// Append appends the whole header as it stands in a message: Body, IV where the
// version stores it, and Tag.
func (h *Header) Append(b []byte) []byte {
	b = append(slices.Grow(b, h.Len()), h.Body...)
	if !h.Suite.Committing {
		b = append(b, h.IV[:]...)
	}
	return append(b, h.Tag[:]...)
}

// Len returns how many bytes the whole header takes in a message.
func (h *Header) Len() int {
	if h.Suite.Committing {
		return len(h.Body) + tagSize
	}
	return len(h.Body) + ivSize + tagSize
}

// SortedPairs returns a context as a writer stores it.
func SortedPairs(context map[string]string) []materials.Pair {
	pairs := make([]materials.Pair, 0, len(context))
	for k, v := range context {
		pairs = append(pairs, materials.Pair{Key: k, Value: v})
	}
	// Go compares strings by their bytes, which is the order the format wants.
	slices.SortFunc(pairs, func(a, b materials.Pair) int { return strings.Compare(a.Key, b.Key) })
	return pairs
}

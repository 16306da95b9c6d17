package seal

import (
	"encoding/binary"
	"errors"
	"maps"
	"slices"

	"golang.org/x/crypto/cryptobyte"
)

// keyData is what a slot wraps: everything that makes a Keyring.
type keyData struct {
	storeID [16]byte
	base    secret
	keys    map[uint32]secret // never empty; versions start at 1
}

// maxVersions bounds the store keys of a keyring. A rotation adds one only where
// there is one, so more than two are not made.
const maxVersions = 8

func (d keyData) versions() []uint32 { return slices.Sorted(maps.Keys(d.keys)) }

func (d keyData) active() uint32 { return slices.Max(d.versions()) }

func (d keyData) wipe() {
	d.base.wipe()
	for _, key := range d.keys {
		key.wipe()
	}
}

// only returns d with the store key of that version alone. It shares the keys.
func (d keyData) only(version uint32) keyData {
	d.keys = map[uint32]secret{version: d.keys[version]}
	return d
}

// encode returns the plaintext of a slot; the caller wipes it.
//
//	format (1) || store id (16) || base secret (32) || n (u8) ||
//	    n times: version (u32), key (32), in ascending order of version
func (d keyData) encode() []byte {
	b := make([]byte, 0, 1+16+secretSize+1+len(d.keys)*(4+secretSize))
	b = append(b, 1)
	b = append(b, d.storeID[:]...)
	b = append(b, d.base.bytes()...)
	b = append(b, byte(len(d.keys)))
	for _, v := range d.versions() {
		b = binary.BigEndian.AppendUint32(b, v)
		b = append(b, d.keys[v].bytes()...)
	}
	return b
}

var errKeyData = errors.New("the keys in the slot are of an unknown form: it was made by a newer version")

// parseKeyData is the inverse of encode. It keeps nothing of b, which the caller
// wipes.
func parseKeyData(b []byte) (keyData, error) {
	s := cryptobyte.String(b)
	var (
		d         keyData
		format, n uint8
		base      []byte
	)
	if !s.ReadUint8(&format) || format != 1 || !s.CopyBytes(d.storeID[:]) ||
		!s.ReadBytes(&base, secretSize) || !s.ReadUint8(&n) || n == 0 || n > maxVersions {
		return keyData{}, errKeyData
	}
	d.keys = make(map[uint32]secret, n)
	var last uint32
	for range n {
		var (
			version uint32
			key     []byte
		)
		if !s.ReadUint32(&version) || version <= last || !s.ReadBytes(&key, secretSize) {
			return keyData{}, errKeyData
		}
		d.keys[version], last = secretFrom(key), version
	}
	if !s.Empty() {
		return keyData{}, errKeyData
	}
	d.base = secretFrom(base)
	return d, nil
}

// state is the record under stateKey. Every change of the slots writes it again
// on the condition that nobody else did, which puts those changes in one order.
type state struct {
	epoch    uint64
	versions []uint32 // of the store keys, as every slot must have them
}

// encode returns the plaintext of the record:
//
//	format (1) || epoch (u64) || n (u8) || n times version (u32)
func (s state) encode() []byte {
	b := binary.BigEndian.AppendUint64([]byte{1}, s.epoch)
	b = append(b, byte(len(s.versions)))
	for _, v := range s.versions {
		b = binary.BigEndian.AppendUint32(b, v)
	}
	return b
}

func parseState(b []byte) (state, bool) {
	in := cryptobyte.String(b)
	var (
		s         state
		format, n uint8
	)
	if !in.ReadUint8(&format) || format != 1 || !in.ReadUint64(&s.epoch) || !in.ReadUint8(&n) {
		return state{}, false
	}
	for range n {
		var v uint32
		if !in.ReadUint32(&v) {
			return state{}, false
		}
		s.versions = append(s.versions, v)
	}
	return s, in.Empty()
}

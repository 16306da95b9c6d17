package audit

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"time"

	"github.com/keywright/keywright/internal/store"
)

// A segment is a header and then frames.
// Numbers are little-endian.
//
//	header   0  8  magic "KWAUDIT" and the format version, 1
//	         8  16 chain id
//	         24 8  number of the segment in its chain, from 0
//	         32 8  sequence number of the first record it will hold, from 1
//	         40 8  time of creation, Unix milliseconds
//	         48 32 hash of the last frame of the segment before; zeros in segment 0
//
//	frame    0  4  length of the frame, all of it
//	         4  4  CRC-32C of the frame's head without this field
//	         8  1  kind
//	         9  3  zero
//	         12 4  number of records
//	         16 8  sequence number of the first record, or of the next where there is none
//	         24 8  outbox mark: the store revision up to which the outbox is contained
//	         32 8  newest store revision known
//	         40 8  time, Unix milliseconds
//	         48 32 hash of the frame before; in the first frame, of the header
//	         80    records: 4 bytes length, then the event as JSON
//	         -32   MAC over the frame's hash
//
// The hash of a frame is SHA-256 of all of it before the MAC. The CRC tells a
// frame that was cut off by a crash (its head says how long it would be) from
// one whose length was changed; against intent there are hash and MAC.
const (
	magic      = "KWAUDIT\x01"
	headerSize = 80
	headSize   = 80
	macSize    = hashSize

	// groupBytes is where a frame stops taking records; a single revision's
	// outbox records, a store batch at most, always go into one frame.
	groupBytes    = 1 << 20
	maxFrameBytes = 4 << 20
)

// The kinds of frames.
const (
	frameRecords    = 1 // records of calls that changed nothing
	frameOutbox     = 2 // records drained from the store's outbox
	frameCheckpoint = 3 // no records: what is known of the store
	// frameReset is a checkpoint that lets the mark and the revision go back,
	// because an operator has accepted that the store was restored.
	frameReset = 4
)

type chainID [16]byte

type header struct {
	chain   chainID
	number  uint64
	first   uint64
	created time.Time
	prev    [hashSize]byte
}

func (h *header) encode() []byte {
	b := make([]byte, headerSize)
	copy(b, magic)
	copy(b[8:], h.chain[:])
	binary.LittleEndian.PutUint64(b[24:], h.number)
	binary.LittleEndian.PutUint64(b[32:], h.first)
	binary.LittleEndian.PutUint64(b[40:], uint64(h.created.UnixMilli()))
	copy(b[48:], h.prev[:])
	return b
}

func decodeHeader(b []byte) (h header, err error) {
	if string(b[:7]) != magic[:7] {
		return h, errors.New("not an audit segment (wrong magic)")
	}
	if b[7] != magic[7] {
		return h, fmt.Errorf("written in format version %d; this program reads version %d", b[7], magic[7])
	}
	copy(h.chain[:], b[8:])
	h.number = binary.LittleEndian.Uint64(b[24:])
	h.first = binary.LittleEndian.Uint64(b[32:])
	h.created = time.UnixMilli(int64(binary.LittleEndian.Uint64(b[40:]))).UTC()
	copy(h.prev[:], b[48:])
	if h.first == 0 {
		return h, errors.New("first sequence number is zero")
	}
	return h, nil
}

// head is the fixed part of a frame.
type head struct {
	length   uint32
	kind     byte
	count    uint32
	first    uint64
	mark     store.Revision
	revision store.Revision
	time     time.Time
	prev     [hashSize]byte
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func headCRC(b []byte) uint32 {
	return crc32.Update(crc32.Checksum(b[:4], castagnoli), castagnoli, b[8:headSize])
}

// put writes the head into the first headSize bytes of a frame.
func (h *head) put(b []byte) {
	binary.LittleEndian.PutUint32(b[0:], h.length)
	binary.LittleEndian.PutUint32(b[8:], uint32(h.kind))
	binary.LittleEndian.PutUint32(b[12:], h.count)
	binary.LittleEndian.PutUint64(b[16:], h.first)
	binary.LittleEndian.PutUint64(b[24:], uint64(h.mark))
	binary.LittleEndian.PutUint64(b[32:], uint64(h.revision))
	binary.LittleEndian.PutUint64(b[40:], uint64(h.time.UnixMilli()))
	copy(b[48:], h.prev[:])
	binary.LittleEndian.PutUint32(b[4:], headCRC(b))
}

func decodeHead(b []byte) (h head, err error) {
	if binary.LittleEndian.Uint32(b[4:]) != headCRC(b) {
		return h, errors.New("checksum of the frame's head does not match")
	}
	h.length = binary.LittleEndian.Uint32(b[0:])
	h.kind = b[8]
	h.count = binary.LittleEndian.Uint32(b[12:])
	h.first = binary.LittleEndian.Uint64(b[16:])
	h.mark = store.Revision(binary.LittleEndian.Uint64(b[24:]))
	h.revision = store.Revision(binary.LittleEndian.Uint64(b[32:]))
	h.time = time.UnixMilli(int64(binary.LittleEndian.Uint64(b[40:]))).UTC()
	copy(h.prev[:], b[48:])
	switch {
	case h.length < headSize+macSize || h.length > maxFrameBytes:
		return h, fmt.Errorf("frame length %d is out of bounds", h.length)
	case h.kind < frameRecords || h.kind > frameReset:
		return h, fmt.Errorf("unknown kind of frame %d", h.kind)
	case b[9]|b[10]|b[11] != 0:
		return h, errors.New("reserved bytes of the frame's head are not zero")
	case (h.count == 0) != (h.kind >= frameCheckpoint):
		return h, fmt.Errorf("a frame of kind %d with %d records", h.kind, h.count)
	}
	return h, nil
}

func appendRecord(dst, event []byte) []byte {
	dst = binary.LittleEndian.AppendUint32(dst, uint32(len(event)))
	return append(dst, event...)
}

// records yields the count events in a frame's body and fails unless they fill
// it exactly.
func records(body []byte, count uint32, yield func(event []byte) bool) error {
	for range count {
		if len(body) < 4 {
			return errors.New("a record's length is cut off")
		}
		n := binary.LittleEndian.Uint32(body)
		if n == 0 || n > MaxEventBytes || int(n) > len(body)-4 {
			return fmt.Errorf("record length %d is out of bounds", n)
		}
		if !yield(body[4 : 4+n]) {
			return nil
		}
		body = body[4+n:]
	}
	if len(body) != 0 {
		return fmt.Errorf("%d bytes after the last record", len(body))
	}
	return nil
}

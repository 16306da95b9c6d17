package backup

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/keywright/keywright/internal/aead"
	"github.com/keywright/keywright/internal/seal"
	"github.com/keywright/keywright/internal/store"
	"golang.org/x/crypto/cryptobyte"
)

// A backup is
//
//	"keywright-backup-1\n"
//	header frame:   length (u32) || header
//	entry frames:   length (u32) || sealed
//	end frame:      length (u32) || sealed
//
// and nothing after it. The header, in the clear because the keys are in it, is
//
//	random (16) || store id (16) || revision (u64) || time (i64, Unix ms) || entry...
//
// with the slots and the state. An entry is
//
//	key length (u16) || key || value length (u32) || value
//
// A sealed frame is made by aead.Seal under the key that the store's keyring
// derives for backups, with the SHA-256 of all before it up to the header's end
// as context, and as additional data the frame's number (u64, from 1) and its
// kind (1): so a frame opens in its place of its backup only, the header cannot
// be changed, and the end cannot be cut off. An entry frame contains entries, in
// ascending order throughout the backup; the end frame
//
//	number of entries (u64) || bytes of their keys and values (u64)
const (
	magic = "keywright-backup-1\n"

	randomSize = 16
	frameSize  = 256 << 10                            // plaintext after which a frame is closed
	maxFrame   = frameSize + store.MaxBatchBytes + 64 // plaintext of a frame with one more entry of any size
	maxHeader  = 1 << 18

	kindEntries = 1
	kindEnd     = 2
)

type header struct {
	Info
	slots []store.Entry
}

func isSlotEntry(key []byte) bool { return bytes.HasPrefix(key, []byte(seal.Prefix)) }

// countSlots counts the entries without the state.
func countSlots(entries []store.Entry) (n int) {
	for _, e := range entries {
		if strings.HasPrefix(string(e.Key), seal.Prefix+"slot/") {
			n++
		}
	}
	return n
}

func appendEntry(b, key, value []byte) []byte {
	b = binary.BigEndian.AppendUint16(b, uint16(len(key)))
	b = append(b, key...)
	b = binary.BigEndian.AppendUint32(b, uint32(len(value)))
	return append(b, value...)
}

// readEntries reads entries to the end of b, and copies them. Their keys must
// ascend from last on.
func readEntries(b []byte, last []byte) ([]store.Entry, bool) {
	var entries []store.Entry
	for in := cryptobyte.String(b); !in.Empty(); {
		var (
			key, value []byte
			size       uint32
			k          cryptobyte.String
		)
		if !in.ReadUint16LengthPrefixed(&k) || !in.ReadUint32(&size) || uint64(size) > uint64(len(in)) || !in.ReadBytes(&value, int(size)) {
			return nil, false
		}
		if key = bytes.Clone(k); len(key) == 0 || bytes.Compare(key, last) <= 0 {
			return nil, false
		}
		entries = append(entries, store.Entry{Key: key, Value: bytes.Clone(value)})
		last = key
	}
	return entries, true
}

// frameWriter seals entries into frames.
type frameWriter struct {
	w       io.Writer
	key     [32]byte
	sum     headerSum
	number  uint64
	payload []byte
}

func newFrameWriter(w io.Writer, kr *seal.Keyring, h header) (*frameWriter, error) {
	b := make([]byte, randomSize, 4096)
	rand.Read(b)
	b = append(b, h.StoreID[:]...)
	b = binary.BigEndian.AppendUint64(b, uint64(h.Revision))
	b = binary.BigEndian.AppendUint64(b, uint64(h.Time.UnixMilli()))
	for _, e := range h.slots {
		b = appendEntry(b, e.Key, e.Value)
	}
	start := binary.BigEndian.AppendUint32([]byte(magic), uint32(len(b)))
	start = append(start, b...)
	if _, err := w.Write(start); err != nil {
		return nil, fmt.Errorf("writing the backup: %w", err)
	}
	return &frameWriter{w: w, key: kr.Derive(label), sum: sha256.Sum256(start)}, nil
}

func (f *frameWriter) add(key, value []byte) error {
	f.payload = appendEntry(f.payload, key, value)
	if len(f.payload) < frameSize {
		return nil
	}
	return f.flush(kindEntries)
}

func (f *frameWriter) flush(kind byte) error {
	f.number++
	out := make([]byte, 4, 4+len(f.payload)+aead.Overhead)
	out = aead.Seal(out, f.key[:], label, f.sum[:], frameData(f.number, kind), f.payload)
	binary.BigEndian.PutUint32(out, uint32(len(out)-4))
	f.payload = f.payload[:0]
	if _, err := f.w.Write(out); err != nil {
		return fmt.Errorf("writing the backup: %w", err)
	}
	return nil
}

// close writes what is left and the end.
func (f *frameWriter) close(info Info) error {
	defer clear(f.key[:])
	if len(f.payload) > 0 {
		if err := f.flush(kindEntries); err != nil {
			return err
		}
	}
	f.payload = binary.BigEndian.AppendUint64(f.payload, uint64(info.Records))
	f.payload = binary.BigEndian.AppendUint64(f.payload, uint64(info.Bytes))
	return f.flush(kindEnd)
}

func frameData(number uint64, kind byte) []byte {
	return append(binary.BigEndian.AppendUint64(nil, number), kind)
}

// frameReader opens frames.
type frameReader struct {
	r      io.Reader
	key    [32]byte
	sum    headerSum
	number uint64
	last   []byte // key of the last entry
}

// end is what the end frame says.
type end struct{ records, bytes uint64 }

// readHeader reads up to the first sealed frame. What it returns is not
// authenticated until that opens under the sum.
func readHeader(r io.Reader) (*frameReader, header, headerSum, error) {
	start := make([]byte, len(magic)+4)
	if _, err := io.ReadFull(r, start); err != nil || !strings.HasPrefix(string(start), magic) {
		if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
			return nil, header{}, headerSum{}, fmt.Errorf("reading the backup: %w", err)
		}
		return nil, header{}, headerSum{}, fmt.Errorf("%w: this is not a backup, or one of a newer version", ErrDamaged)
	}
	size := binary.BigEndian.Uint32(start[len(magic):])
	if size > maxHeader {
		return nil, header{}, headerSum{}, fmt.Errorf("%w: its header is too long", ErrDamaged)
	}
	start = append(start, make([]byte, size)...)
	if err := readFull(r, start[len(magic)+4:]); err != nil {
		return nil, header{}, headerSum{}, err
	}
	in := cryptobyte.String(start[len(magic)+4:])
	var (
		h              header
		revision, time uint64
		ok             bool
	)
	if !in.Skip(randomSize) || !in.CopyBytes(h.StoreID[:]) || !in.ReadUint64(&revision) || !in.ReadUint64(&time) {
		return nil, header{}, headerSum{}, fmt.Errorf("%w: its header cannot be read", ErrDamaged)
	}
	if h.slots, ok = readEntries(in, nil); !ok {
		return nil, header{}, headerSum{}, fmt.Errorf("%w: its header cannot be read", ErrDamaged)
	}
	for _, e := range h.slots {
		if !isSlotEntry(e.Key) {
			return nil, header{}, headerSum{}, fmt.Errorf("%w: its header has an entry that is no key slot", ErrDamaged)
		}
	}
	h.Revision, h.Time, h.Slots = store.Revision(revision), unixMilli(time), countSlots(h.slots)
	return &frameReader{r: r}, h, sha256.Sum256(start), nil
}

func unixMilli(ms uint64) time.Time { return time.UnixMilli(int64(ms)).UTC() }

// readFull fills b; a stream that ends before is damaged.
func readFull(r io.Reader, b []byte) error {
	_, err := io.ReadFull(r, b)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("%w: it ends before its time", ErrDamaged)
	}
	if err != nil {
		return fmt.Errorf("reading the backup: %w", err)
	}
	return nil
}

func (f *frameReader) unlock(key [32]byte, sum headerSum) { f.key, f.sum = key, sum }

// next returns the entries of the next frame or, with none, the end.
func (f *frameReader) next() ([]store.Entry, *end, error) {
	var size [4]byte
	if err := readFull(f.r, size[:]); err != nil {
		return nil, nil, err
	}
	n := binary.BigEndian.Uint32(size[:])
	if n < aead.Overhead || n > maxFrame+aead.Overhead {
		return nil, nil, fmt.Errorf("%w: frame %d has an impossible length", ErrDamaged, f.number+1)
	}
	sealed := make([]byte, n)
	if err := readFull(f.r, sealed); err != nil {
		return nil, nil, err
	}
	f.number++
	payload, err := aead.Open(nil, f.key[:], label, f.sum[:], frameData(f.number, kindEntries), sealed)
	if err == nil {
		entries, ok := readEntries(payload, f.last)
		if !ok || len(entries) == 0 {
			return nil, nil, fmt.Errorf("%w: the entries of frame %d cannot be read", ErrDamaged, f.number)
		}
		for _, e := range entries {
			if isSlotEntry(e.Key) || string(e.Key) == seal.RestoringKey {
				return nil, nil, fmt.Errorf("%w: frame %d has the entry %q, which no backup has", ErrDamaged, f.number, e.Key)
			}
		}
		f.last = entries[len(entries)-1].Key
		return entries, nil, nil
	}
	payload, err = aead.Open(nil, f.key[:], label, f.sum[:], frameData(f.number, kindEnd), sealed)
	if err != nil {
		return nil, nil, fmt.Errorf("%w: frame %d was changed", ErrDamaged, f.number)
	}
	var e end
	in := cryptobyte.String(payload)
	if !in.ReadUint64(&e.records) || !in.ReadUint64(&e.bytes) || !in.Empty() {
		return nil, nil, fmt.Errorf("%w: its end cannot be read", ErrDamaged)
	}
	switch n, err := io.ReadFull(f.r, size[:1]); {
	case n > 0:
		return nil, nil, fmt.Errorf("%w: something follows its end", ErrDamaged)
	case !errors.Is(err, io.EOF):
		return nil, nil, fmt.Errorf("reading the backup: %w", err)
	}
	return nil, &e, nil
}

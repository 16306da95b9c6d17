package seal

import (
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/keywright/keywright/internal/aead"
	"golang.org/x/crypto/cryptobyte"
)

// Kind says what sort of secret opens a slot.
type Kind uint8

// The kinds of slots. A systemd credential holds a root key and opens slots of
// KindRootKey: where the key lies is the host's affair, not the store's.
const (
	KindRootKey Kind = 1 + iota
	KindPassphrase
	KindRecovery
)

func (k Kind) String() string {
	switch k {
	case KindRootKey:
		return "root key"
	case KindPassphrase:
		return "passphrase"
	case KindRecovery:
		return "recovery key"
	}
	return fmt.Sprintf("Kind(%d)", uint8(k))
}

// Slot describes one slot. It contains nothing secret.
type Slot struct {
	ID      string // 16 hexadecimal digits
	Kind    Kind
	Label   string // the operator's own words
	Created time.Time
	Argon2  Argon2 // of a passphrase; otherwise zero

	// Replaces is the id of the slot that a rotation of the root key made this
	// one for. While a slot of that id exists, the rotation is not finished.
	Replaces string

	// Err says why the slot cannot be read; then only ID is meaningful.
	Err error
}

// Argon2 is the cost of turning a passphrase into a key, by Argon2id of RFC 9106.
type Argon2 struct {
	Time    uint32 // passes
	Memory  uint32 // KiB
	Threads uint8
}

// DefaultArgon2 takes about 0.1 s and 64 MiB; it is RFC 9106's second
// recommended choice.
var DefaultArgon2 = Argon2{Time: 3, Memory: 64 << 10, Threads: 4}

// check bounds the cost before it is paid, so that a changed slot cannot make
// the server use all memory or hang: at most 1 GiB and 32 passes.
func (a Argon2) check() error {
	if a.Time < 1 || a.Time > 32 || a.Threads < 1 || a.Threads > 16 ||
		a.Memory < 8*uint32(a.Threads) || a.Memory > 1<<20 {
		return fmt.Errorf("the cost of the passphrase (%d passes, %d KiB, %d threads) is beyond what is allowed: 1 to 32 passes, 8 KiB per thread to 1 GiB, 1 to 16 threads",
			a.Time, a.Memory, a.Threads)
	}
	return nil
}

const (
	slotFormat   = 1
	slotIDSize   = 8
	saltSize     = 32
	maxLabelSize = 128
	maxSlots     = 16 // all of them are rewritten in one batch
	maxSlotSize  = 1 << 12
)

type slotID [slotIDSize]byte

func (id slotID) String() string { return hex.EncodeToString(id[:]) }

func (id slotID) path() string { return slotPrefix + id.String() }

func newSlotID() (id slotID) {
	rand.Read(id[:])
	return id
}

// slot is a slot as it is stored:
//
//	format (1) || id (8) || kind (1) || salt (32) || created (i64, Unix ms) ||
//	    label (u8 length) || parameters (u8 length) || wrapped (the rest)
//
// The parameters of a passphrase are time (u32), memory (u32) and threads (u8);
// those of a root key the id of the slot it replaces, or nothing; those of a
// recovery key nothing. All before wrapped is its additional data, the salt is
// the context of its key derivation, and aead commits to the key, so no other
// secret and no change of a parameter opens it.
type slot struct {
	id       slotID
	kind     Kind
	salt     [saltSize]byte
	created  time.Time
	label    string
	argon2   Argon2
	replaces *slotID
	wrapped  []byte
}

// newSlotFor returns a slot without keys. The label is checked.
func newSlotFor(kind Kind, label string) (*slot, error) {
	if !validLabel(label) {
		return nil, fmt.Errorf("the label of a key slot may have at most %d bytes of printable text", maxLabelSize)
	}
	s := &slot{id: newSlotID(), kind: kind, label: label, created: time.Now().UTC().Truncate(time.Millisecond)}
	rand.Read(s.salt[:])
	return s, nil
}

func validLabel(label string) bool {
	return len(label) <= maxLabelSize && utf8.ValidString(label) &&
		!strings.ContainsFunc(label, func(r rune) bool { return !unicode.IsPrint(r) })
}

// header returns the encoding up to wrapped.
func (s *slot) header() []byte {
	b := append([]byte{slotFormat}, s.id[:]...)
	b = append(b, byte(s.kind))
	b = append(b, s.salt[:]...)
	b = binary.BigEndian.AppendUint64(b, uint64(s.created.UnixMilli()))
	b = append(b, byte(len(s.label)))
	b = append(b, s.label...)
	switch {
	case s.kind == KindPassphrase:
		b = append(b, 9)
		b = binary.BigEndian.AppendUint32(b, s.argon2.Time)
		b = binary.BigEndian.AppendUint32(b, s.argon2.Memory)
		b = append(b, s.argon2.Threads)
	case s.replaces != nil:
		b = append(b, slotIDSize)
		b = append(b, s.replaces[:]...)
	default:
		b = append(b, 0)
	}
	return b
}

func (s *slot) encode() []byte { return append(s.header(), s.wrapped...) }

var errSlotForm = errors.New("it is damaged, or was made by a newer version")

// parseSlot reads what encode wrote, and nothing else.
func parseSlot(b []byte) (*slot, error) {
	if len(b) > maxSlotSize {
		return nil, errSlotForm
	}
	in := cryptobyte.String(b)
	var (
		s             slot
		format, kind  uint8
		created       uint64
		label, params cryptobyte.String
	)
	if !in.ReadUint8(&format) || format != slotFormat || !in.CopyBytes(s.id[:]) ||
		!in.ReadUint8(&kind) || !in.CopyBytes(s.salt[:]) || !in.ReadUint64(&created) ||
		!in.ReadUint8LengthPrefixed(&label) || !in.ReadUint8LengthPrefixed(&params) ||
		!validLabel(string(label)) {
		return nil, errSlotForm
	}
	s.kind, s.label, s.created = Kind(kind), string(label), time.UnixMilli(int64(created)).UTC()
	switch s.kind {
	case KindPassphrase:
		if !params.ReadUint32(&s.argon2.Time) || !params.ReadUint32(&s.argon2.Memory) || !params.ReadUint8(&s.argon2.Threads) {
			return nil, errSlotForm
		}
		if err := s.argon2.check(); err != nil {
			return nil, err
		}
	case KindRootKey:
		if len(params) > 0 {
			s.replaces = new(slotID)
			if !params.CopyBytes(s.replaces[:]) {
				return nil, errSlotForm
			}
		}
	case KindRecovery:
	default:
		return nil, errSlotForm
	}
	if !params.Empty() || len(in) < aead.Overhead {
		return nil, errSlotForm
	}
	s.wrapped = append([]byte(nil), in...)
	return &s, nil
}

// wrap puts the keys into the slot, under the secret.
func (s *slot) wrap(key secret, d keyData) {
	plaintext := d.encode()
	defer clear(plaintext)
	s.wrapped = aead.Seal(nil, key.bytes(), labelSlot, s.salt[:], s.header(), plaintext)
}

// unwrap returns the keys of the slot. Where the secret is not that of the slot
// or the slot was changed, the error is aead.ErrOpen.
func (s *slot) unwrap(key secret) (keyData, error) {
	plaintext, err := aead.Open(nil, key.bytes(), labelSlot, s.salt[:], s.header(), s.wrapped)
	if err != nil {
		return keyData{}, err
	}
	defer clear(plaintext)
	return parseKeyData(plaintext)
}

func (s *slot) describe() Slot {
	d := Slot{ID: s.id.String(), Kind: s.kind, Label: s.label, Created: s.created, Argon2: s.argon2}
	if s.replaces != nil {
		d.Replaces = s.replaces.String()
	}
	return d
}

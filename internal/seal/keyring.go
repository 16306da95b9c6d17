package seal

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"io"
	"maps"
	"slices"
	"sync"

	"github.com/keywright/keywright/internal/aead"
)

// The labels of what the package seals and derives.
const (
	labelRecord = "keywright/record"
	labelSlot   = "keywright/slot"
	labelState  = "keywright/state"
	labelNames  = "keywright/names"
)

const (
	recordFormat = 1
	headerSize   = 1 + 4 // format, version of the store key

	// Overhead is how much longer a sealed record is than its plaintext.
	Overhead = headerSize + aead.Overhead
)

// NameSize is the length in bytes of what Keyring.Name returns.
const NameSize = 16

// Keyring is an unlocked store's keys: the store keys by version, of which the
// newest seals and all open, and a base secret that never rotates, from which
// the keys for names, for the state and for other uses are derived. All methods
// may be called concurrently, also while the store key is rotated.
//
// The keys lie in ordinary memory until Close overwrites them.
type Keyring struct {
	mu     sync.RWMutex // guards what follows; held while a key is in use
	keys   map[uint32]secret
	active uint32
	base   secret
	names  secret
	closed bool

	storeID [16]byte
	epoch   uint64

	writes sync.RWMutex // held shared by a guarded Write, alone to switch keys
	slots  sync.Mutex   // held by an operation on the slots
}

func newKeyring(d keyData, epoch uint64) *Keyring {
	kr := &Keyring{keys: d.keys, active: d.active(), base: d.base, storeID: d.storeID, epoch: epoch}
	names := kr.Derive(labelNames)
	kr.names = secretFrom(names[:])
	return kr
}

// Seal encrypts plaintext as the record of that path, which must not begin with
// Prefix or PlainPrefix. The result is Overhead bytes longer and opens under
// that path only:
//
//	format (1) || store key version (u32) || aead.Seal(store key, "keywright/record",
//	    additional data: format || version || path, plaintext)
//
// The record must be written through a store that Guard returned. Seal panics
// after Close.
func (kr *Keyring) Seal(path string, plaintext []byte) []byte {
	kr.mu.RLock()
	defer kr.mu.RUnlock()
	if kr.closed {
		panic("seal: Seal on a closed keyring")
	}
	dst := make([]byte, 0, len(plaintext)+Overhead)
	dst = append(dst, recordFormat)
	dst = binary.BigEndian.AppendUint32(dst, kr.active)
	return aead.Seal(dst, kr.keys[kr.active].bytes(), labelRecord, nil, recordData(kr.active, path), plaintext)
}

// Open decrypts the record of that path. It fails with a *RecordError that
// names the path unless the value is, bit by bit, one that Seal returned for it.
func (kr *Keyring) Open(path string, sealed []byte) ([]byte, error) {
	version, ok := recordVersion(sealed)
	if !ok {
		return nil, &RecordError{path}
	}
	kr.mu.RLock()
	defer kr.mu.RUnlock()
	if kr.closed {
		return nil, ErrClosed
	}
	key, ok := kr.keys[version]
	if !ok {
		return nil, &RecordError{path}
	}
	dst := make([]byte, 0, len(sealed)-Overhead)
	plaintext, err := aead.Open(dst, key.bytes(), labelRecord, nil, recordData(version, path), sealed[headerSize:])
	if err != nil {
		return nil, &RecordError{path}
	}
	return plaintext, nil
}

// recordVersion returns the version of the store key that a record says it is
// sealed under, and whether it has the form of a record at all.
func recordVersion(sealed []byte) (uint32, bool) {
	if len(sealed) < Overhead || sealed[0] != recordFormat {
		return 0, false
	}
	return binary.BigEndian.Uint32(sealed[1:]), true
}

func recordData(version uint32, path string) []byte {
	data := make([]byte, 0, headerSize+len(path))
	data = append(data, recordFormat)
	data = binary.BigEndian.AppendUint32(data, version)
	return append(data, path...)
}

// Name returns what stands for a name in a path, so that a path tells nothing
// of it: an HMAC of kind ("alias"), scope (account and Region) and name. Equal
// names of another kind or in another scope have nothing in common. It never
// changes for a store, rotations and restores included. With NameSize bytes,
// two of 2^32 names are equal with a probability of 2^-65; nobody without the
// store's keys can look for such a pair.
func (kr *Keyring) Name(kind, scope, name string) [NameSize]byte {
	buf := make([]byte, 0, 128)
	for _, s := range [...]string{kind, scope, name} {
		buf = binary.BigEndian.AppendUint32(buf, uint32(len(s)))
		buf = append(buf, s...)
	}
	kr.mu.RLock()
	defer kr.mu.RUnlock()
	if kr.closed {
		panic("seal: Name on a closed keyring")
	}
	mac := hmac.New(sha256.New, kr.names.bytes())
	mac.Write(buf)
	var sum [sha256.Size]byte
	mac.Sum(sum[:0])
	return [NameSize]byte(sum[:])
}

// Derive returns the store's key for another use, by HKDF-Expand with the label
// as info. The label ("keywright/marker") names the use and must be unique to
// it. The key is the same for the life of the store, rotations and restores
// included; the caller keeps and wipes it. Derive panics after Close.
func (kr *Keyring) Derive(label string) [32]byte {
	kr.mu.RLock()
	defer kr.mu.RUnlock()
	if kr.closed {
		panic("seal: Derive on a closed keyring")
	}
	return derive(kr.base, label)
}

func derive(base secret, label string) [32]byte {
	key, err := hkdf.Expand(sha256.New, base.bytes(), label, 32)
	if err != nil {
		panic("seal: " + err.Error()) // only for lengths beyond 8160
	}
	defer clear(key)
	return [32]byte(key)
}

// Epoch counts the restores of the store: 1 for a new one, one more after each.
// A token that carries the epoch in which it was issued is void in the next.
func (kr *Keyring) Epoch() uint64 { return kr.epoch }

// StoreID identifies the store. A restored store has that of the original.
func (kr *Keyring) StoreID() [16]byte { return kr.storeID }

// Versions returns the versions of the store keys in ascending order; the last
// seals. There is more than one only from the start of a rotation of the store
// key to its end.
func (kr *Keyring) Versions() []uint32 {
	kr.mu.RLock()
	defer kr.mu.RUnlock()
	return slices.Sorted(maps.Keys(kr.keys))
}

// Close overwrites the keys. It waits for calls under way. Closing twice is no
// error.
func (kr *Keyring) Close() error {
	kr.mu.Lock()
	defer kr.mu.Unlock()
	if kr.closed {
		return nil
	}
	kr.closed = true
	for _, key := range kr.keys {
		key.wipe()
	}
	kr.base.wipe()
	kr.names.wipe()
	return nil
}

// Format implements fmt.Formatter: a Keyring prints without its keys.
func (kr *Keyring) Format(f fmt.State, _ rune) {
	if kr == nil {
		io.WriteString(f, "Keyring(nil)")
		return
	}
	fmt.Fprintf(f, "Keyring(%x)", kr.storeID)
}

// data returns a copy of the keys, for wrapping.
func (kr *Keyring) data() (keyData, error) {
	kr.mu.RLock()
	defer kr.mu.RUnlock()
	if kr.closed {
		return keyData{}, ErrClosed
	}
	d := keyData{storeID: kr.storeID, base: secretFrom(kr.base.bytes()), keys: map[uint32]secret{}}
	for v, key := range kr.keys {
		d.keys[v] = secretFrom(key.bytes())
	}
	return d, nil
}

// setKeys makes the store keys those of d, of which it keeps none, and wipes
// the ones that are gone. It returns when no guarded Write with records under a
// key other than the newest is under way any more, and none can start.
func (kr *Keyring) setKeys(d keyData) error {
	kr.writes.Lock()
	defer kr.writes.Unlock()
	kr.mu.Lock()
	defer kr.mu.Unlock()
	if kr.closed {
		return ErrClosed
	}
	for v, key := range kr.keys {
		if _, ok := d.keys[v]; !ok {
			key.wipe()
			delete(kr.keys, v)
		}
	}
	for v, key := range d.keys {
		if _, ok := kr.keys[v]; !ok {
			kr.keys[v] = secretFrom(key.bytes())
		}
	}
	kr.active = d.active()
	return nil
}

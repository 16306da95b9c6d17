// Package seal keeps a store unreadable to whoever holds only the store. It
// owns the store keys, under which every record is encrypted and bound to its
// path before it reaches a store.Store, and the slots that wrap those keys, each
// for one secret that can open the store: a root key in a file or a systemd
// credential, a passphrase, a recovery key. Slots and both rotations work as
// LUKS's do: a slot is replaced without touching a record, and the store key is
// replaced by sealing every record again while the store serves.
//
// The package does not hold the keys of users (internal/hsm does, under keys of
// its own), decides nothing about who may do what, and writes no audit records;
// its operations return what a caller needs to write them.
//
// # What is where
//
//	seal/slot/<id>   a slot: parameters in the clear, the wrapped store keys
//	seal/state       the epoch and the versions of the store keys, sealed under
//	                 a key that never rotates
//	meta/...         plain values of the store's users; never secret
//	anything else    a sealed record: Keyring.Seal's output, never empty
//
// # What a thief of the store learns
//
// The paths and the sizes of records, and what stands in the clear in slots:
// kind, label, date of creation, cost of the passphrase. Paths contain ids and
// HMACs of names. Someone who can write the store can put back an older version
// of one record under its own path, or remove it; that is not detected here.
package seal

import (
	"errors"
	"fmt"
	"strings"
)

// Keys and prefixes of the store that this package gives a meaning to.
const (
	// Prefix is that of the slots and the state. Nothing else may write there.
	Prefix = "seal/"
	// PlainPrefix is that of values which are not sealed.
	PlainPrefix = "meta/"
	// RestoringKey is present while a restore is under way, and after one that
	// failed. A store that has it cannot be unlocked.
	RestoringKey = PlainPrefix + "restoring"

	slotPrefix = Prefix + "slot/"
	stateKey   = Prefix + "state"
)

// The errors callers branch on.
var (
	// ErrNotInitialized: the store is empty; Init makes it usable.
	ErrNotInitialized = errors.New("the store is empty")
	// ErrInitialized: Init found something in the store, or another process
	// initialised it at the same moment.
	ErrInitialized = errors.New("the store is not empty")
	// ErrLocked: none of the secrets given opens a slot of the store: they are
	// wrong or missing, or the slots were changed. Nothing was written.
	ErrLocked = errors.New("the store stays locked")
	// ErrRestoring: a restore into the store is under way or failed.
	ErrRestoring = errors.New("the store holds an unfinished restore (" + RestoringKey + "): run the restore again")
	// ErrBusy: another operation on the slots is running in this process.
	ErrBusy = errors.New("another operation on the key slots is running: try again when it is done")
	// ErrChanged: the slots were changed by someone else in the middle of the
	// operation, or since this process read them; nothing was written.
	ErrChanged = errors.New("the key slots were changed by another process: try again, and restart this server if that does not help")
	// ErrClosed: the Keyring was closed.
	ErrClosed = errors.New("the keyring is closed")
	// ErrLastSlot: the slot is the only one that opens the store.
	ErrLastSlot = errors.New("it is the only key slot left: without it nothing opens the store")
	// ErrNoSlot: there is no slot of that id.
	ErrNoSlot = errors.New("there is no such key slot")
	// ErrDuplicateSlot: the secret opens a slot already.
	ErrDuplicateSlot = errors.New("a key slot for this secret exists already")
	// ErrTooManySlots: the store has as many slots as are allowed.
	ErrTooManySlots = fmt.Errorf("the store has %d key slots, the most it may have: remove one first", maxSlots)
)

// RecordError reports a record that does not open under its path: a bit of it
// changed, it was sealed for another path, or its key is not that of this store.
type RecordError struct {
	Path string // the store key of the record
}

func (e *RecordError) Error() string {
	return fmt.Sprintf("record %q is damaged or was moved: restore it from a backup", e.Path)
}

// IsSealed tells whether the value under a key of the store is a sealed record,
// as opposed to a slot or a plain value.
func IsSealed(key string) bool {
	return !strings.HasPrefix(key, Prefix) && !strings.HasPrefix(key, PlainPrefix)
}

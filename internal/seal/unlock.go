package seal

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/keywright/keywright/internal/aead"
	"github.com/keywright/keywright/internal/store"
)

// Init makes an empty store usable: it makes the store's keys, a slot for root,
// which is a root key, and one for a new recovery key, and returns the recovery
// key. That is the only time it can be had; show it and forget it.
//
// Root's key is made where there is none yet (see RootKeyFile). Where the store
// is not empty the error is ErrInitialized and neither it nor any file is
// touched. Where writing the store fails, the root key file stays and the next
// Init takes it.
func Init(ctx context.Context, st store.Store, root Provider) (kr *Keyring, recovery string, err error) {
	if root.Kind() != KindRootKey {
		return nil, "", fmt.Errorf("initialising the store: the %s is not a root key", root.Kind())
	}
	if err := checkEmpty(ctx, st); err != nil {
		return nil, "", err
	}
	d := keyData{base: newSecret(), keys: map[uint32]secret{1: newSecret()}}
	rand.Read(d.storeID[:])
	recoveryKey := recoveryKey{newSecret()}
	defer recoveryKey.key.wipe()
	s := state{epoch: 1, versions: d.versions()}
	var ops []store.Op
	for _, n := range []struct {
		p     Provider
		label string
	}{{root, "first root key"}, {recoveryKey, "first recovery key"}} {
		slot, err := enroll(ctx, n.p, n.label, d)
		if err != nil {
			return nil, "", fmt.Errorf("initialising the store: %w", err)
		}
		ops = append(ops, slot.op())
	}
	_, err = st.Write(ctx, store.Batch{
		If:  []store.Cond{{Key: []byte(stateKey)}, {Key: []byte(RestoringKey)}},
		Ops: append(ops, sealState(d.base, s)),
	})
	if errors.Is(err, store.ErrConflict) {
		return nil, "", ErrInitialized
	}
	if err != nil {
		return nil, "", fmt.Errorf("initialising the store: %w", err)
	}
	return newKeyring(d, s.epoch), recoveryKey.text(), nil
}

func checkEmpty(ctx context.Context, st store.Store) error {
	view, err := st.Snapshot(ctx)
	if err != nil {
		return fmt.Errorf("looking whether the store is empty: %w", err)
	}
	defer view.Close()
	empty, err := isEmpty(view)
	if err == nil && !empty {
		err = ErrInitialized
	}
	return err
}

// enroll makes a slot for p that wraps the keys.
func enroll(ctx context.Context, p Provider, label string, d keyData) (*slot, error) {
	s, err := newSlotFor(p.Kind(), label)
	if err != nil {
		return nil, err
	}
	key, err := p.enroll(ctx, s)
	if err != nil {
		return nil, err
	}
	defer key.wipe()
	s.wrap(key, d)
	return s, nil
}

// Unlock opens the store with the first of the providers whose secret opens one
// of its slots. It never writes. Errors:
//
//   - ErrNotInitialized: the store is empty; Init it, if it should be.
//   - ErrRestoring: a restore did not finish.
//   - ErrLocked: no provider opens a slot. The text tells of each why; where a
//     file is missing it is also fs.ErrNotExist. A new root key would not open
//     the store, so never make one here.
//   - *RecordError: the slots open, but the store's state is damaged.
func Unlock(ctx context.Context, st store.Store, providers ...Provider) (*Keyring, error) {
	t, err := readTable(ctx, st)
	if err != nil {
		return nil, err
	}
	return t.unlock(ctx, providers)
}

// UnlockEntries is Unlock for what Entries returned of a store.
func UnlockEntries(ctx context.Context, entries []store.Entry, providers ...Provider) (*Keyring, error) {
	t, err := parseTable(entries)
	if err != nil {
		return nil, err
	}
	return t.unlock(ctx, providers)
}

func (t *table) unlock(ctx context.Context, providers []Provider) (*Keyring, error) {
	var failures []error
	for _, p := range providers {
		s, d, key, err := t.openWith(ctx, p)
		if err != nil {
			failures = append(failures, err)
			continue
		}
		key.wipe()
		state, err := t.openState(d.base)
		if err != nil {
			return nil, err
		}
		if !slices.Equal(state.versions, d.versions()) {
			d.wipe()
			failures = append(failures, fmt.Errorf("slot %s is older than the rest of the store", s.id))
			continue
		}
		return newKeyring(d, state.epoch), nil
	}
	for _, s := range t.damaged {
		failures = append(failures, fmt.Errorf("slot %s cannot be read: %w", s.ID, s.Err))
	}
	if len(providers) == 0 {
		failures = append(failures, errors.New("no root key, passphrase or recovery key was given"))
	}
	return nil, &lockedError{failures}
}

// openWith returns the slot that p opens, its keys and its secret.
func (t *table) openWith(ctx context.Context, p Provider) (*slot, keyData, secret, error) {
	tried := 0
	for _, s := range t.slots {
		if s.kind != p.Kind() {
			continue
		}
		tried++
		key, err := p.open(ctx, s)
		if err != nil {
			return nil, keyData{}, secret{}, err
		}
		d, err := s.unwrap(key)
		if err == nil {
			return s, d, key, nil
		}
		key.wipe()
		if !errors.Is(err, aead.ErrOpen) {
			return nil, keyData{}, secret{}, fmt.Errorf("slot %s: %w", s.id, err)
		}
	}
	if tried == 0 {
		return nil, keyData{}, secret{}, fmt.Errorf("%w: the store has no slot for a %s", errWrongSecret, p.Kind())
	}
	return nil, keyData{}, secret{}, fmt.Errorf("%w: the %s is not that of this store, or its slot was changed", errWrongSecret, p)
}

// errWrongSecret marks that a secret was there, and opens nothing.
var errWrongSecret = errors.New("wrong key")

// lockedError is ErrLocked with the reasons, on one line.
type lockedError struct{ reasons []error }

func (e *lockedError) Error() string {
	var b strings.Builder
	b.WriteString(ErrLocked.Error())
	for i, err := range e.reasons {
		b.WriteString([]string{": ", "; "}[min(i, 1)])
		b.WriteString(err.Error())
	}
	b.WriteString(". Bring back the root key, or use the recovery key; a new root key opens nothing")
	return b.String()
}

func (e *lockedError) Unwrap() []error { return append([]error{ErrLocked}, e.reasons...) }

package seal

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/keywright/keywright/internal/store"
)

// ListSlots returns the store's slots, oldest first, those that cannot be read
// last.
func ListSlots(ctx context.Context, st store.Store) ([]Slot, error) {
	t, err := readTable(ctx, st)
	if err != nil {
		return nil, err
	}
	var slots []Slot
	for _, s := range t.slots {
		slots = append(slots, s.describe())
	}
	slices.SortFunc(slots, func(a, b Slot) int {
		return cmp.Or(a.Created.Compare(b.Created), cmp.Compare(a.ID, b.ID))
	})
	return append(slots, t.damaged...), nil
}

// AddSlot makes a slot for another secret and returns it. A RootKeyFile that
// does not exist is made. A secret that opens a slot already is refused with
// ErrDuplicateSlot.
func AddSlot(ctx context.Context, st store.Store, kr *Keyring, p Provider, label string) (Slot, error) {
	if !kr.slots.TryLock() {
		return Slot{}, ErrBusy
	}
	defer kr.slots.Unlock()
	t, err := readTable(ctx, st)
	if err != nil {
		return Slot{}, err
	}
	if t.count() >= maxSlots {
		return Slot{}, ErrTooManySlots
	}
	if _, d, key, err := t.openWith(ctx, p); err == nil {
		d.wipe()
		key.wipe()
		return Slot{}, ErrDuplicateSlot
	}
	d, state, err := t.current(kr)
	if err != nil {
		return Slot{}, err
	}
	defer d.wipe()
	s, err := enroll(ctx, p, label, d)
	if err != nil {
		return Slot{}, fmt.Errorf("adding a key slot: %w", err)
	}
	if err := t.commit(ctx, st, d.base, state, s.op()); err != nil {
		return Slot{}, err
	}
	return s.describe(), nil
}

// LastOfKindError warns that the slot to be removed is the last of a kind that
// the store should not be without: the root key that lets it start unattended,
// or the recovery key.
type LastOfKindError struct{ Kind Kind }

func (e *LastOfKindError) Error() string {
	if e.Kind == KindRecovery {
		return "it is the last recovery key: without one, a lost root key means that all data is lost"
	}
	return fmt.Sprintf("it is the last %s: without one, the server cannot start by itself", e.Kind)
}

// RemoveSlot removes the slot of that id, readable or not, and returns what it
// was. The last slot that can be read is never removed (ErrLastSlot). The last
// root key or recovery key is removed only if lastOfKind is set, and is else a
// *LastOfKindError. Copies of the store from before, backups included, still
// open with the slot's secret.
func RemoveSlot(ctx context.Context, st store.Store, kr *Keyring, id string, lastOfKind bool) (Slot, error) {
	if !kr.slots.TryLock() {
		return Slot{}, ErrBusy
	}
	defer kr.slots.Unlock()
	t, err := readTable(ctx, st)
	if err != nil {
		return Slot{}, err
	}
	var removed Slot
	if s, ok := t.find(id); ok {
		removed = s.describe()
		if len(t.slots) == 1 {
			return Slot{}, fmt.Errorf("removing slot %s: %w", id, ErrLastSlot)
		}
		if !lastOfKind && s.kind != KindPassphrase && t.countKind(s.kind) == 1 {
			return Slot{}, fmt.Errorf("removing slot %s: %w", id, &LastOfKindError{s.kind})
		}
	} else if i := slices.IndexFunc(t.damaged, func(d Slot) bool { return d.ID == id }); i >= 0 {
		removed = t.damaged[i]
	} else {
		return Slot{}, fmt.Errorf("removing slot %s: %w", id, ErrNoSlot)
	}
	d, state, err := t.current(kr)
	if err != nil {
		return Slot{}, err
	}
	defer d.wipe()
	if err := t.commit(ctx, st, d.base, state, store.Op{Key: []byte(slotPrefix + id), Delete: true}); err != nil {
		return Slot{}, err
	}
	return removed, nil
}

func (t *table) countKind(k Kind) (n int) {
	for _, s := range t.slots {
		if s.kind == k {
			n++
		}
	}
	return n
}

// ReplaceRecoveryKey makes a new recovery key, which it returns, and removes the
// slots of all others, whose ids it returns, in one step.
func ReplaceRecoveryKey(ctx context.Context, st store.Store, kr *Keyring, label string) (recovery string, added Slot, removed []string, err error) {
	if !kr.slots.TryLock() {
		return "", Slot{}, nil, ErrBusy
	}
	defer kr.slots.Unlock()
	t, err := readTable(ctx, st)
	if err != nil {
		return "", Slot{}, nil, err
	}
	d, state, err := t.current(kr)
	if err != nil {
		return "", Slot{}, nil, err
	}
	defer d.wipe()
	var ops []store.Op
	for _, s := range t.slots {
		if s.kind == KindRecovery {
			removed = append(removed, s.id.String())
			ops = append(ops, store.Op{Key: []byte(s.id.path()), Delete: true})
		}
	}
	if len(removed) == 0 && t.count() >= maxSlots {
		return "", Slot{}, nil, ErrTooManySlots
	}
	p := recoveryKey{newSecret()}
	defer p.key.wipe()
	s, err := enroll(ctx, p, label, d)
	if err != nil {
		return "", Slot{}, nil, fmt.Errorf("replacing the recovery key: %w", err)
	}
	if err := t.commit(ctx, st, d.base, state, append(ops, s.op())...); err != nil {
		return "", Slot{}, nil, err
	}
	return p.text(), s.describe(), removed, nil
}

// RestoredSlots returns the writes that make a restored store usable, to be the
// last of the restore: the state in the next epoch, a slot for root, and those
// of the slots in the backup that are not for root keys. A root key belongs to
// the server it was made on; the restored store takes none over, so that one
// which was left behind there, or retired since, opens nothing here. Entries are
// those of the backup and kr is what UnlockEntries made of them.
func RestoredSlots(ctx context.Context, entries []store.Entry, kr *Keyring, root Provider) ([]store.Op, error) {
	if root.Kind() != KindRootKey {
		return nil, fmt.Errorf("making the slot for the restored store: the %s is not a root key", root.Kind())
	}
	t, err := parseTable(entries)
	if err != nil {
		return nil, err
	}
	d, s, err := t.current(kr)
	if err != nil {
		return nil, err
	}
	defer d.wipe()
	if s.epoch++; s.epoch == 0 {
		return nil, errors.New("the epochs of the store are used up")
	}
	slot, err := enroll(ctx, root, "root key of the restored store", d)
	if err != nil {
		return nil, fmt.Errorf("making the slot for the restored store: %w", err)
	}
	ops := []store.Op{slot.op()}
	for _, s := range t.slots {
		if s.kind != KindRootKey {
			ops = append(ops, s.op())
		}
	}
	return append(ops, sealState(d.base, s)), nil
}

package seal

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/keywright/keywright/internal/store"
)

// RootRotation tells what a rotation of the root key did.
type RootRotation struct {
	Added   string   // id of the new root key's slot
	Removed []string // ids of the slots of the old one
}

// RotateRoot replaces the root key in the file, and its slot, by new ones. At
// every point of it the file holds a key that opens the store:
//
//  1. the new key is written to a file of its own beside the old;
//  2. its slot is added: both keys open the store;
//  3. that file is renamed over the root key file;
//  4. the old key's slot is removed.
//
// Where it fails or the process dies before the end, FinishRootRotation (which
// it begins with) completes it or takes it back. The old key still opens copies
// of the store from before; to make them worthless, rotate the store key too.
func RotateRoot(ctx context.Context, st store.Store, kr *Keyring, file *RootKeyFile) (RootRotation, error) {
	if !kr.slots.TryLock() {
		return RootRotation{}, ErrBusy
	}
	defer kr.slots.Unlock()
	if _, err := finishRootRotation(ctx, st, kr, file); err != nil {
		return RootRotation{}, err
	}
	t, err := readTable(ctx, st)
	if err != nil {
		return RootRotation{}, err
	}
	old, err := t.slotOfFile(ctx, file)
	if err != nil {
		return RootRotation{}, fmt.Errorf("rotating the root key: %w", err)
	}
	if t.count() >= maxSlots {
		return RootRotation{}, ErrTooManySlots
	}
	d, state, err := t.current(kr)
	if err != nil {
		return RootRotation{}, err
	}
	defer d.wipe()
	s, err := newSlotFor(KindRootKey, old.label)
	if err != nil {
		return RootRotation{}, err
	}
	s.replaces = &old.id
	key := newSecret()
	defer key.wipe()
	s.wrap(key, d)

	pending := pendingKeyPath(file.Path, s.id.String())
	err = rotateStep("write the new key", func() error { return writePending(pending, key) })
	if err != nil {
		return RootRotation{}, fmt.Errorf("rotating the root key: writing the new one: %w", err)
	}
	err = rotateStep("add the slot", func() error { return t.commit(ctx, st, d.base, state, s.op()) })
	if errors.Is(err, ErrChanged) { // it is certain that nothing needs the file
		return RootRotation{}, errors.Join(err, os.Remove(pending))
	}
	if err != nil {
		return RootRotation{}, fmt.Errorf("rotating the root key: %w", err)
	}
	err = rotateStep("replace the file", func() error { return promotePending(pending, file.Path) })
	if err != nil {
		return RootRotation{}, fmt.Errorf("rotating the root key: replacing %s: %w", file.Path, err)
	}
	r := RootRotation{Added: s.id.String(), Removed: []string{old.id.String()}}
	err = rotateStep("remove the old slot", func() error {
		return t.commit(ctx, st, d.base, state, store.Op{Key: []byte(old.id.path()), Delete: true})
	})
	if err != nil {
		return RootRotation{}, fmt.Errorf("rotating the root key: the new key is in place, but the old one opens the store still: %w", err)
	}
	return r, nil
}

// FinishRootRotation looks for what a rotation of the root key left that did not
// get to its end, and removes it: the old key's slot if the new key is in the
// file already, else the new key and its slot. It returns the ids of the slots
// it removed. Where there is nothing to do it writes nothing. A server calls it
// when it starts.
func FinishRootRotation(ctx context.Context, st store.Store, kr *Keyring, file *RootKeyFile) ([]string, error) {
	if !kr.slots.TryLock() {
		return nil, ErrBusy
	}
	defer kr.slots.Unlock()
	return finishRootRotation(ctx, st, kr, file)
}

func finishRootRotation(ctx context.Context, st store.Store, kr *Keyring, file *RootKeyFile) ([]string, error) {
	t, err := readTable(ctx, st)
	if err != nil {
		return nil, err
	}
	current, err := t.slotOfFile(ctx, file)
	if err != nil {
		return nil, fmt.Errorf("finishing the last rotation of the root key: %w", err)
	}
	var dead []*slot
	if current.replaces != nil {
		if s, ok := t.find(current.replaces.String()); ok {
			dead = append(dead, s)
		}
	}
	files, err := pendingKeys(file.Path)
	if err != nil {
		return nil, fmt.Errorf("finishing the last rotation of the root key: %w", err)
	}
	for _, f := range files {
		// The key must open the slot: a file of that name alone removes nothing.
		s, ok := t.find(f.slot)
		if !ok || s == current {
			continue
		}
		if opened, err := t.slotOfFile(ctx, &RootKeyFile{Path: f.path}); err == nil && opened == s {
			dead = append(dead, s)
		}
	}
	var removed []string
	if len(dead) > 0 {
		d, state, err := t.current(kr)
		if err != nil {
			return nil, err
		}
		defer d.wipe()
		var ops []store.Op
		for _, s := range dead {
			removed = append(removed, s.id.String())
			ops = append(ops, store.Op{Key: []byte(s.id.path()), Delete: true})
		}
		if err := t.commit(ctx, st, d.base, state, ops...); err != nil {
			return nil, err
		}
	}
	for _, f := range files {
		if err := os.Remove(f.path); err != nil {
			return removed, fmt.Errorf("removing a root key that is not in use: %w", err)
		}
	}
	return removed, nil
}

// slotOfFile returns the slot that the key in the file opens.
func (t *table) slotOfFile(ctx context.Context, file *RootKeyFile) (*slot, error) {
	s, d, key, err := t.openWith(ctx, file)
	if err != nil {
		return nil, err
	}
	d.wipe()
	key.wipe()
	return s, nil
}

type pendingKey struct{ path, slot string }

// pendingKeys returns the files beside the root key file that writePending made.
func pendingKeys(path string) ([]pendingKey, error) {
	names, err := os.ReadDir(filepath.Dir(path))
	if err != nil {
		return nil, err
	}
	var files []pendingKey
	for _, e := range names {
		id, ok := strings.CutPrefix(e.Name(), filepath.Base(pendingKeyPath(path, "")))
		if ok && len(id) == 2*slotIDSize && e.Type().IsRegular() {
			files = append(files, pendingKey{filepath.Join(filepath.Dir(path), e.Name()), id})
		}
	}
	return files, nil
}

// testOnlyStep, where set, takes the place of a step: it may fail before or
// after it, or not run it at all.
var testOnlyStep func(name string, step func() error) error

func rotateStep(name string, step func() error) error {
	if testOnlyStep != nil {
		return testOnlyStep(name, step)
	}
	return step()
}

package seal

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/keywright/keywright/internal/aead"
	"github.com/keywright/keywright/internal/store"
)

// table is what stands under Prefix at one revision of a store.
type table struct {
	slots   []*slot
	damaged []Slot // slots that cannot be read, with Err
	state   store.Entry
}

// readTable reads the slots and the state of a store that is in use.
func readTable(ctx context.Context, st store.Store) (*table, error) {
	view, err := st.Snapshot(ctx)
	if err != nil {
		return nil, fmt.Errorf("reading the key slots: %w", err)
	}
	defer view.Close()
	if _, err := view.Get([]byte(RestoringKey)); err == nil {
		return nil, ErrRestoring
	} else if !errors.Is(err, store.ErrNotFound) {
		return nil, fmt.Errorf("reading %s: %w", RestoringKey, err)
	}
	entries, err := Entries(view)
	if err != nil {
		return nil, err
	}
	if len(entries) == 0 {
		empty, err := isEmpty(view)
		if err != nil {
			return nil, err
		}
		if empty {
			return nil, ErrNotInitialized
		}
	}
	return parseTable(entries)
}

// isEmpty tells whether the store holds nothing at all.
func isEmpty(view store.View) (bool, error) {
	for _, err := range view.Scan(nil, nil) {
		if err != nil {
			return false, fmt.Errorf("looking whether the store is empty: %w", err)
		}
		return false, nil
	}
	return true, nil
}

// Entries returns copies of the slots and the state of a store, for a backup.
func Entries(view store.View) ([]store.Entry, error) {
	var entries []store.Entry
	for e, err := range view.Scan([]byte(Prefix), store.PrefixEnd([]byte(Prefix))) {
		if err != nil {
			return nil, fmt.Errorf("reading the key slots: %w", err)
		}
		entries = append(entries, store.Entry{Key: slices.Clone(e.Key), Value: slices.Clone(e.Value), Revision: e.Revision})
	}
	return entries, nil
}

func parseTable(entries []store.Entry) (*table, error) {
	t := &table{}
	for _, e := range entries {
		path := string(e.Key)
		if path == stateKey {
			t.state = e
			continue
		}
		id, ok := strings.CutPrefix(path, slotPrefix)
		if !ok {
			return nil, fmt.Errorf("the store has the unknown entry %q: it was written by a newer version", path)
		}
		s, err := parseSlot(e.Value)
		if err == nil && s.id.String() != id {
			err = errors.New("it was moved from another place")
		}
		if err != nil {
			t.damaged = append(t.damaged, Slot{ID: id, Err: err})
			continue
		}
		t.slots = append(t.slots, s)
	}
	if t.state.Value == nil {
		return nil, &RecordError{stateKey}
	}
	return t, nil
}

func (t *table) find(id string) (*slot, bool) {
	for _, s := range t.slots {
		if s.id.String() == id {
			return s, true
		}
	}
	return nil, false
}

// count is the number of slots, damaged ones included.
func (t *table) count() int { return len(t.slots) + len(t.damaged) }

// openState returns the state, which must be that of the store the keys are of.
func (t *table) openState(base secret) (state, error) {
	key := derive(base, labelState)
	defer clear(key[:])
	plaintext, err := aead.Open(nil, key[:], labelState, nil, []byte(stateKey), t.state.Value)
	if err != nil {
		return state{}, &RecordError{stateKey}
	}
	s, ok := parseState(plaintext)
	if !ok {
		return state{}, &RecordError{stateKey}
	}
	return s, nil
}

func sealState(base secret, s state) store.Op {
	key := derive(base, labelState)
	defer clear(key[:])
	return store.Op{
		Key:   []byte(stateKey),
		Value: aead.Seal(nil, key[:], labelState, nil, []byte(stateKey), s.encode()),
	}
}

func (s *slot) op() store.Op { return store.Op{Key: []byte(s.id.path()), Value: s.encode()} }

// current returns the keys of the keyring and the store's state, after checking
// that the keyring has the very store keys that the store has.
func (t *table) current(kr *Keyring) (keyData, state, error) {
	d, err := kr.data()
	if err != nil {
		return keyData{}, state{}, err
	}
	s, err := t.openState(d.base)
	if err == nil && !slices.Equal(s.versions, d.versions()) {
		err = ErrChanged
	}
	if err != nil {
		d.wipe()
		return keyData{}, state{}, err
	}
	return d, s, nil
}

// commit applies changes of the slots on the condition that nothing under Prefix
// changed since the table was read, and notes the new state in the table.
func (t *table) commit(ctx context.Context, st store.Store, base secret, s state, ops ...store.Op) error {
	op := sealState(base, s)
	rev, err := st.Write(ctx, store.Batch{
		If:  []store.Cond{{Key: op.Key, Revision: t.state.Revision}},
		Ops: append(ops, op),
	})
	if errors.Is(err, store.ErrConflict) {
		return ErrChanged
	}
	if err != nil {
		return fmt.Errorf("writing the key slots: %w", err)
	}
	t.state = store.Entry{Key: op.Key, Value: op.Value, Revision: rev}
	return nil
}

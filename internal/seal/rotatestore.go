package seal

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/keywright/keywright/internal/aead"
	"github.com/keywright/keywright/internal/store"
)

// StoreKeyRotation is how to rotate the store key.
type StoreKeyRotation struct {
	// Providers give the secret of every slot, because every slot wraps the new
	// store key. Where a recovery key is not at hand, ReplaceRecoveryKey first.
	Providers []Provider

	// Drain is how long the old key is kept after nothing is sealed under it any
	// more, for readers that hold an older view of the store. Zero means 10 s.
	Drain time.Duration

	// Transient are prefixes of records that are removed soon after they are
	// written, and must not be written again meanwhile, as those of an outbox
	// that is drained in order of revision. They keep the key they were sealed
	// under; the rotation waits until the last of them is gone.
	Transient []string

	// Progress, where set, is called now and then with the records sealed under
	// the new key, and all. It is called by one goroutine.
	Progress func(done, total int)
}

// RotatedStoreKey tells what a rotation of the store key did.
type RotatedStoreKey struct {
	Version  uint32   // of the new key
	Retired  []uint32 // versions of the keys destroyed
	Resealed int      // records that were sealed again
	Resumed  bool     // it took up one that had not got to its end
}

// MissingSecretsError reports the slots whose secrets were not given.
type MissingSecretsError struct{ Slots []Slot }

func (e *MissingSecretsError) Error() string {
	var b strings.Builder
	b.WriteString("the new store key must go into every slot, and the secrets of these are missing or wrong:")
	for i, s := range e.Slots {
		fmt.Fprintf(&b, "%s %s (%s %q)", []string{"", ","}[min(i, 1)], s.ID, s.Kind, s.Label)
	}
	b.WriteString("; give them, replace the recovery key, or remove the slots")
	return b.String()
}

// RotateStoreKey makes a new store key, seals every record again under it, and
// destroys the old one, while the store serves through kr.Guard(st); st is the
// store itself. The steps:
//
//  1. the new key is added in all slots, in one batch, then used for sealing;
//  2. every record under an older key is sealed again, on the condition that it
//     did not change meanwhile;
//  3. after Drain, the older keys are removed from all slots, in one batch, and
//     wiped.
//
// When it fails, is cancelled or the process dies, the store serves on, and the
// next call resumes: with two keys in the slots it makes no third. It stops with
// a *RecordError at a record that does not open, and with a
// *MissingSecretsError, before anything is written, if a slot's secret lacks.
func RotateStoreKey(ctx context.Context, st store.Store, kr *Keyring, how StoreKeyRotation) (RotatedStoreKey, error) {
	if !kr.slots.TryLock() {
		return RotatedStoreKey{}, ErrBusy
	}
	defer kr.slots.Unlock()
	t, err := readTable(ctx, st)
	if err != nil {
		return RotatedStoreKey{}, err
	}
	if len(t.damaged) > 0 {
		return RotatedStoreKey{}, fmt.Errorf("rotating the store key: slot %s cannot be read, remove it first: %w", t.damaged[0].ID, t.damaged[0].Err)
	}
	opened, d, err := t.openAll(ctx, how.Providers)
	if err != nil {
		return RotatedStoreKey{}, err
	}
	defer opened.wipe()
	defer d.wipe()
	if d.storeID != kr.storeID {
		return RotatedStoreKey{}, errors.New("rotating the store key: the keyring is that of another store")
	}
	state, err := t.openState(d.base)
	if err != nil {
		return RotatedStoreKey{}, err
	}
	if !slices.Equal(state.versions, d.versions()) {
		return RotatedStoreKey{}, &RecordError{stateKey}
	}

	r := RotatedStoreKey{Resumed: len(d.keys) > 1}
	if !r.Resumed {
		if d.active() == math.MaxUint32 {
			return RotatedStoreKey{}, errors.New("rotating the store key: the versions of the store key are used up")
		}
		d.keys[d.active()+1] = newSecret()
		if err := t.rewrap(ctx, st, opened, &state, d); err != nil {
			return RotatedStoreKey{}, fmt.Errorf("rotating the store key: adding the new one: %w", err)
		}
	}
	r.Version = d.active()
	if err := kr.setKeys(d); err != nil {
		return r, err
	}
	// A guarded write that was given up may sit in the store's queue still. This
	// one is ordered behind it, so what is read next has it.
	if err := t.commit(ctx, st, d.base, state); err != nil {
		return r, err
	}

	if _, err := kr.resealAll(ctx, st, &how, &r.Resealed); err != nil {
		return r, fmt.Errorf("sealing the records under the new store key: %w", err)
	}
	if err := sleep(ctx, cmp.Or(how.Drain, 10*time.Second)); err != nil {
		return r, fmt.Errorf("waiting for readers: %w", err)
	}
	// Nothing can have been written under an older key since. But a record whose
	// key is destroyed is lost for ever, so look again, until nothing is left.
	for {
		left, err := kr.resealAll(ctx, st, &StoreKeyRotation{Transient: how.Transient}, &r.Resealed)
		if err != nil {
			return r, fmt.Errorf("sealing the records under the new store key: %w", err)
		}
		if left == 0 {
			break
		}
		if err := sleep(ctx, transientPoll); err != nil {
			return r, fmt.Errorf("waiting for %d transient records: %w", left, err)
		}
	}

	for _, v := range d.versions() {
		if v != r.Version {
			r.Retired = append(r.Retired, v)
		}
	}
	last := d.only(r.Version)
	if err := t.rewrap(ctx, st, opened, &state, last); err != nil {
		r.Retired = nil
		return r, fmt.Errorf("destroying the old store key: %w", err)
	}
	return r, kr.setKeys(last)
}

// transientPoll is how often the end of transient records is looked for.
const transientPoll = 50 * time.Millisecond

// openedSlot is a slot with its secret.
type openedSlot struct {
	*slot
	key secret
}

type openedSlots []openedSlot

func (o openedSlots) wipe() {
	for _, s := range o {
		s.key.wipe()
	}
}

// openAll opens every slot with one of the providers, and returns the keys,
// which must be the same in all.
func (t *table) openAll(ctx context.Context, providers []Provider) (openedSlots, keyData, error) {
	var (
		opened  openedSlots
		missing []Slot
		d       keyData
	)
	fail := func(err error) (openedSlots, keyData, error) {
		opened.wipe()
		if len(opened) > 0 {
			d.wipe()
		}
		return nil, keyData{}, err
	}
	for _, s := range t.slots {
		key, data, err := s.openWithAny(ctx, providers)
		if errors.Is(err, aead.ErrOpen) {
			missing = append(missing, s.describe())
			continue
		}
		if err != nil {
			return fail(err)
		}
		opened = append(opened, openedSlot{s, key})
		if len(opened) == 1 {
			d = data
			continue
		}
		same := data.storeID == d.storeID && slices.Equal(data.versions(), d.versions())
		data.wipe()
		if !same {
			return fail(fmt.Errorf("slot %s is older than the rest of the store: remove it first", s.id))
		}
	}
	if len(missing) > 0 {
		return fail(&MissingSecretsError{missing})
	}
	return opened, d, nil
}

// openWithAny opens the slot with the first provider that can; aead.ErrOpen
// means none.
func (s *slot) openWithAny(ctx context.Context, providers []Provider) (secret, keyData, error) {
	for _, p := range providers {
		if p.Kind() != s.kind {
			continue
		}
		key, err := p.open(ctx, s)
		if err != nil {
			return secret{}, keyData{}, err
		}
		d, err := s.unwrap(key)
		if err == nil {
			return key, d, nil
		}
		key.wipe()
		if !errors.Is(err, aead.ErrOpen) {
			return secret{}, keyData{}, err
		}
	}
	return secret{}, keyData{}, aead.ErrOpen
}

// rewrap puts the keys into all slots, in one batch with the state.
func (t *table) rewrap(ctx context.Context, st store.Store, opened openedSlots, s *state, d keyData) error {
	next := state{epoch: s.epoch, versions: d.versions()}
	var ops []store.Op
	for _, o := range opened {
		o.wrap(o.key, d)
		ops = append(ops, o.op())
	}
	if err := t.commit(ctx, st, d.base, next, ops...); err != nil {
		return err
	}
	*s = next
	return nil
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

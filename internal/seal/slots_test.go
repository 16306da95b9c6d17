package seal_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/keywright/keywright/internal/seal"
	"github.com/keywright/keywright/internal/store"
)

func TestAddListRemove(t *testing.T) {
	v := newVault(t)
	phrase := passphrase("correct horse battery")
	added, err := seal.AddSlot(t.Context(), v.st, v.kr, phrase, "on paper")
	if err != nil {
		t.Fatal(err)
	}
	second := &seal.RootKeyFile{Path: filepath.Join(t.TempDir(), "second")}
	if _, err := seal.AddSlot(t.Context(), v.st, v.kr, second, "node 2"); err != nil {
		t.Fatal(err)
	}
	slots := slotsOf(t, v.st)
	if len(slots) != 4 {
		t.Fatalf("%d slots, want 4", len(slots))
	}
	for _, p := range []seal.Provider{v.root, v.recoveryKey(t), phrase, second} {
		unlock(t, v.st, p)
		if _, err := seal.AddSlot(t.Context(), v.st, v.kr, p, ""); !errors.Is(err, seal.ErrDuplicateSlot) {
			t.Errorf("adding the %s again: %v, want ErrDuplicateSlot", p, err)
		}
	}
	if added.Label != "on paper" || added.Kind != seal.KindPassphrase || added.Argon2 != cheap || added.Created.IsZero() {
		t.Errorf("added = %+v", added)
	}
	if _, err := seal.RemoveSlot(t.Context(), v.st, v.kr, added.ID, false); err != nil {
		t.Fatal(err)
	}
	if _, err := seal.Unlock(t.Context(), v.st, phrase); !errors.Is(err, seal.ErrLocked) {
		t.Errorf("the removed passphrase: %v, want ErrLocked", err)
	}
	if _, err := seal.RemoveSlot(t.Context(), v.st, v.kr, added.ID, false); !errors.Is(err, seal.ErrNoSlot) {
		t.Errorf("removing twice: %v, want ErrNoSlot", err)
	}
}

func TestRemoveWarnsAndKeepsTheLast(t *testing.T) {
	v := newVault(t)
	for _, s := range slotsOf(t, v.st) {
		_, err := seal.RemoveSlot(t.Context(), v.st, v.kr, s.ID, false)
		if last, ok := errors.AsType[*seal.LastOfKindError](err); !ok || last.Kind != s.Kind {
			t.Errorf("removing the only %s: %v, want a LastOfKindError", s.Kind, err)
		}
	}
	slots := slotsOf(t, v.st)
	if _, err := seal.RemoveSlot(t.Context(), v.st, v.kr, slots[0].ID, true); err != nil {
		t.Fatal(err)
	}
	if _, err := seal.RemoveSlot(t.Context(), v.st, v.kr, slots[1].ID, true); !errors.Is(err, seal.ErrLastSlot) {
		t.Errorf("removing the last slot: %v, want ErrLastSlot", err)
	}
}

func TestAddSlotRefuses(t *testing.T) {
	v := newVault(t)
	before := revision(t, v.st)
	expensive := passphrase("correct horse battery")
	expensive.Cost = seal.Argon2{Time: 1, Memory: 1<<20 + 1, Threads: 1}
	for _, c := range []struct {
		name  string
		p     seal.Provider
		label string
	}{
		{"short passphrase", passphrase("fourteen bytes"), ""},
		{"empty passphrase", passphrase(""), ""},
		{"beyond the bounds", expensive, ""},
		{"long label", passphrase("correct horse battery"), strings.Repeat("x", 129)},
		{"label of two lines", passphrase("correct horse battery"), "a\nb"},
		{"label that is no UTF-8", passphrase("correct horse battery"), "\xff"},
		{"file in a folder that is not there", &seal.RootKeyFile{Path: filepath.Join(t.TempDir(), "no", "key")}, ""},
	} {
		if _, err := seal.AddSlot(t.Context(), v.st, v.kr, c.p, c.label); err == nil {
			t.Errorf("%s: added", c.name)
		}
	}
	if revision(t, v.st) != before {
		t.Error("the store changed")
	}
	for range 14 {
		if _, err := seal.AddSlot(t.Context(), v.st, v.kr, seal.NewMemoryRootKey(), ""); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := seal.AddSlot(t.Context(), v.st, v.kr, seal.NewMemoryRootKey(), ""); !errors.Is(err, seal.ErrTooManySlots) {
		t.Errorf("a 17th slot: %v, want ErrTooManySlots", err)
	}
}

func TestReplaceRecoveryKey(t *testing.T) {
	v := newVault(t)
	old := v.recoveryKey(t)
	recovery, added, removed, err := seal.ReplaceRecoveryKey(t.Context(), v.st, v.kr, "2027")
	if err != nil {
		t.Fatal(err)
	}
	if len(removed) != 1 || added.Kind != seal.KindRecovery || added.Label != "2027" {
		t.Errorf("added %+v, removed %v", added, removed)
	}
	if _, err := seal.Unlock(t.Context(), v.st, old); !errors.Is(err, seal.ErrLocked) {
		t.Errorf("the old recovery key: %v, want ErrLocked", err)
	}
	p, err := seal.RecoveryKey(recovery)
	if err != nil {
		t.Fatal(err)
	}
	unlock(t, v.st, p)
}

// Two processes with the store open do not overwrite each other's slots.
func TestSlotsFromTwoProcesses(t *testing.T) {
	v := newVault(t)
	other := unlock(t, v.st, v.root)
	racing := &racingStore{v.st, func() {
		if _, err := seal.AddSlot(t.Context(), v.st, other, seal.NewMemoryRootKey(), "third"); err != nil {
			t.Fatal(err)
		}
	}}
	if _, err := seal.AddSlot(t.Context(), racing, v.kr, seal.NewMemoryRootKey(), ""); !errors.Is(err, seal.ErrChanged) {
		t.Errorf("AddSlot: %v, want ErrChanged", err)
	}
	if _, err := seal.RotateStoreKey(t.Context(), v.st, other, rotation(v.root, v.recoveryKey(t))); err == nil {
		t.Error("rotated without the secret of the third slot")
	}
	for _, s := range slotsOf(t, v.st) {
		if s.Label != "third" {
			continue
		}
		if _, err := seal.RemoveSlot(t.Context(), v.st, other, s.ID, false); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := seal.RotateStoreKey(t.Context(), v.st, other, rotation(v.root, v.recoveryKey(t))); err != nil {
		t.Fatal(err)
	}
	// v.kr has keys now that the store no longer has.
	if _, err := seal.AddSlot(t.Context(), v.st, v.kr, seal.NewMemoryRootKey(), ""); !errors.Is(err, seal.ErrChanged) {
		t.Errorf("AddSlot with old keys: %v, want ErrChanged", err)
	}
}

func TestRemoveDamagedSlot(t *testing.T) {
	v := newVault(t)
	write(t, v.st, store.Op{Key: []byte("seal/slot/00000000000000ff"), Value: []byte("rubbish")})
	slots := slotsOf(t, v.st)
	if last := slots[len(slots)-1]; len(slots) != 3 || last.ID != "00000000000000ff" || last.Err == nil {
		t.Fatalf("slots = %+v", slots)
	}
	if _, err := seal.RotateStoreKey(t.Context(), v.st, v.kr, rotation(v.root, v.recoveryKey(t))); err == nil || !strings.Contains(err.Error(), "00000000000000ff") {
		t.Errorf("rotating beside a damaged slot: %v", err)
	}
	if _, err := seal.RemoveSlot(t.Context(), v.st, v.kr, "00000000000000ff", false); err != nil {
		t.Fatal(err)
	}
	if got := len(slotsOf(t, v.st)); got != 2 {
		t.Errorf("%d slots, want 2", got)
	}
}

func TestPassphraseFile(t *testing.T) {
	v := newVault(t)
	if _, err := seal.AddSlot(t.Context(), v.st, v.kr, passphrase("correct horse battery"), ""); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "phrase")
	for _, text := range []string{"correct horse battery", "correct horse battery\n", "correct horse battery\r\n"} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		unlock(t, v.st, seal.PassphraseFile(path))
	}
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := seal.Unlock(t.Context(), v.st, seal.PassphraseFile(path)); !errors.Is(err, seal.ErrLocked) || !strings.Contains(err.Error(), "chmod") {
		t.Errorf("a file others may read: %v", err)
	}
}

func TestCredential(t *testing.T) {
	v := newVault(t)
	t.Setenv("CREDENTIALS_DIRECTORY", "")
	if _, err := seal.Unlock(t.Context(), v.st, seal.Credential("key")); !errors.Is(err, seal.ErrLocked) || !strings.Contains(err.Error(), "LoadCredential") {
		t.Errorf("without credentials: %v", err)
	}
	dir := t.TempDir()
	t.Setenv("CREDENTIALS_DIRECTORY", dir)
	key, err := os.ReadFile(v.root.Path)
	if err != nil {
		t.Fatal(err)
	}
	// systemd's access control list shows as permission of the group.
	if err := os.WriteFile(filepath.Join(dir, "key"), key, 0o440); err != nil {
		t.Fatal(err)
	}
	unlock(t, v.st, seal.Credential("key"))
	if _, err := seal.Unlock(t.Context(), v.st, seal.Credential("../key")); !errors.Is(err, seal.ErrLocked) {
		t.Errorf("a name that leads out of the folder: %v", err)
	}
	if _, _, err := seal.Init(t.Context(), newStore(t), seal.Credential("absent")); err == nil {
		t.Error("Init without the credential")
	}
	st := newStore(t)
	if _, _, err := seal.Init(t.Context(), st, seal.Credential("key")); err != nil {
		t.Fatal(err)
	}
	unlock(t, st, v.root)
}

package seal_test

import (
	"context"
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/keywright/keywright/internal/seal"
	"github.com/keywright/keywright/internal/store"
	"github.com/keywright/keywright/internal/store/boltstore"
)

func TestInitUnlock(t *testing.T) {
	v := newVault(t)
	v.put(t, "a", "text")
	for _, p := range []seal.Provider{v.root, v.recoveryKey(t)} {
		kr := unlock(t, v.st, p)
		if got := read(t, v.st, kr, "a"); got != "text" {
			t.Errorf("%s: read %q", p, got)
		}
		if kr.Epoch() != 1 || kr.StoreID() != v.kr.StoreID() {
			t.Errorf("%s: epoch %d, store %x", p, kr.Epoch(), kr.StoreID())
		}
	}
	info, err := os.Stat(v.root.Path)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o600 {
		t.Errorf("the root key has mode %o", info.Mode().Perm())
	}
	names, err := os.ReadDir(filepath.Dir(v.root.Path))
	if err != nil || len(names) != 1 {
		t.Errorf("files beside the root key: %v, %v", names, err)
	}
}

func TestInitOnEmptyStoresOnly(t *testing.T) {
	v := newVault(t)
	other := &seal.RootKeyFile{Path: filepath.Join(t.TempDir(), "root.key")}
	before := dump(t, v.st)
	if _, _, err := seal.Init(t.Context(), v.st, other); !errors.Is(err, seal.ErrInitialized) {
		t.Errorf("Init of a store in use: %v, want ErrInitialized", err)
	}
	if !maps.Equal(before, dump(t, v.st)) {
		t.Error("Init changed the store")
	}
	if _, err := os.Stat(other.Path); !errors.Is(err, fs.ErrNotExist) {
		t.Error("Init made a root key beside existing data")
	}

	// A single entry without slots is data too.
	st := newStore(t)
	write(t, st, store.Op{Key: []byte("a"), Value: []byte("x")})
	if _, _, err := seal.Init(t.Context(), st, other); !errors.Is(err, seal.ErrInitialized) {
		t.Errorf("Init: %v, want ErrInitialized", err)
	}
	if _, err := seal.Unlock(t.Context(), st, other); err == nil || errors.Is(err, seal.ErrNotInitialized) {
		t.Errorf("Unlock of a store that lost its slots: %v", err)
	}
	if _, _, err := seal.Init(t.Context(), newStore(t), passphrase("correct horse battery")); err == nil {
		t.Error("Init without a root key")
	}
}

// racingStore lets another Init win after the store was found empty.
type racingStore struct {
	store.Store
	race func()
}

func (r *racingStore) Write(ctx context.Context, b store.Batch) (store.Revision, error) {
	r.race()
	return r.Store.Write(ctx, b)
}

func TestInitLosesRace(t *testing.T) {
	st := newStore(t)
	winner := seal.NewMemoryRootKey()
	loser := &racingStore{st, func() {
		if _, _, err := seal.Init(t.Context(), st, winner); err != nil {
			t.Fatal(err)
		}
	}}
	if _, _, err := seal.Init(t.Context(), loser, seal.NewMemoryRootKey()); !errors.Is(err, seal.ErrInitialized) {
		t.Errorf("Init: %v, want ErrInitialized", err)
	}
	unlock(t, st, winner)
}

func TestInitAfterFailure(t *testing.T) {
	for _, written := range []bool{false, true} {
		st := newStore(t)
		root := &seal.RootKeyFile{Path: filepath.Join(t.TempDir(), "root.key")}
		broken := &brokenStore{Store: st, failAt: 1, written: written}
		if _, _, err := seal.Init(t.Context(), broken, root); !errors.Is(err, errBroken) {
			t.Fatalf("Init: %v", err)
		}
		if written {
			unlock(t, st, root)
			continue
		}
		kr, _, err := seal.Init(t.Context(), st, root)
		if err != nil {
			t.Fatal(err)
		}
		sealed := kr.Seal("a", []byte("x"))
		if _, err := unlock(t, st, root).Open("a", sealed); err != nil {
			t.Error(err)
		}
	}
}

func TestUnlockRefuses(t *testing.T) {
	v := newVault(t)
	v.put(t, "a", "text")
	dir := t.TempDir()
	file := func(name, content string, mode fs.FileMode) *seal.RootKeyFile {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), mode); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		return &seal.RootKeyFile{Path: path}
	}
	key, err := os.ReadFile(v.root.Path)
	if err != nil {
		t.Fatal(err)
	}
	otherRecovery, err := seal.RecoveryKey(newVault(t).recovery)
	if err != nil {
		t.Fatal(err)
	}
	before, state := revision(t, v.st), dump(t, v.st)
	for _, c := range []struct {
		name string
		p    []seal.Provider
		says string
		is   error
	}{
		{"nothing", nil, "no root key, passphrase or recovery key was given", nil},
		{"missing", []seal.Provider{&seal.RootKeyFile{Path: filepath.Join(dir, "gone")}}, "gone", fs.ErrNotExist},
		{"other key", []seal.Provider{file("other", string(seal.GenerateRootKey()), 0o600)}, "is not that of this store", nil},
		{"other recovery key", []seal.Provider{otherRecovery}, "recovery key is not that of this store", nil},
		{"no slot", []seal.Provider{passphrase("correct horse battery")}, "no slot for a passphrase", nil},
		{"group may read", []seal.Provider{file("group", string(key), 0o640)}, "chmod 600", nil},
		{"world may read", []seal.Provider{file("world", string(key), 0o604)}, "chmod 600", nil},
		{"empty", []seal.Provider{file("empty", "", 0o600)}, "not a root key", nil},
		{"folder", []seal.Provider{&seal.RootKeyFile{Path: dir}}, "not a regular file", nil},
		{"long", []seal.Provider{file("long", strings.Repeat("x", 5000), 0o600)}, "longer than", nil},
	} {
		_, err := seal.Unlock(t.Context(), v.st, c.p...)
		if !errors.Is(err, seal.ErrLocked) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want ErrLocked that says %q", c.name, err, c.says)
		}
		if c.is != nil && !errors.Is(err, c.is) {
			t.Errorf("%s: %v is not %v", c.name, err, c.is)
		}
		if strings.Contains(err.Error(), string(key[len("keywright-root-key-1:"):])) {
			t.Errorf("%s: the error contains the key", c.name)
		}
	}
	if got := revision(t, v.st); got != before {
		t.Errorf("revision = %d, want %d as before", got, before)
	}
	if !maps.Equal(state, dump(t, v.st)) {
		t.Error("the store changed")
	}
	unlock(t, v.st, &seal.RootKeyFile{Path: filepath.Join(dir, "gone")}, v.root)

	if _, err := seal.Unlock(t.Context(), newStore(t), v.root); !errors.Is(err, seal.ErrNotInitialized) {
		t.Errorf("an empty store: %v, want ErrNotInitialized", err)
	}
	write(t, v.st, store.Op{Key: []byte(seal.RestoringKey)})
	if _, err := seal.Unlock(t.Context(), v.st, v.root); !errors.Is(err, seal.ErrRestoring) {
		t.Errorf("a store being restored: %v, want ErrRestoring", err)
	}
}

func TestDamagedState(t *testing.T) {
	v, w := newVault(t), newVault(t)
	state := get(t, v.st, "seal/state")
	for _, value := range [][]byte{get(t, w.st, "seal/state"), {}, state[:len(state)-1]} {
		write(t, v.st, store.Op{Key: []byte("seal/state"), Value: value})
		_, err := seal.Unlock(t.Context(), v.st, v.root)
		if re, ok := errors.AsType[*seal.RecordError](err); !ok || re.Path != "seal/state" {
			t.Errorf("%d bytes: %v, want a RecordError for seal/state", len(value), err)
		}
	}
	write(t, v.st, store.Op{Key: []byte("seal/state"), Delete: true})
	if _, err := seal.Unlock(t.Context(), v.st, v.root); err == nil {
		t.Error("unlocked without a state")
	}
}

// No byte of the store's file is of a record's text, a name, or a key.
func TestNothingReadableOnDisk(t *testing.T) {
	dir := t.TempDir()
	st, err := boltstore.Open(filepath.Join(dir, "store.db"), boltstore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	root := &seal.RootKeyFile{Path: filepath.Join(t.TempDir(), "root.key")}
	kr, recovery, err := seal.Init(t.Context(), st, root)
	if err != nil {
		t.Fatal(err)
	}
	phrase := passphrase("correct horse battery staple")
	if _, err := seal.AddSlot(t.Context(), st, kr, phrase, "for the safe"); err != nil {
		t.Fatal(err)
	}
	texts := []string{"alias/payroll", "the description of a key", "CostCenter=4711", `{"Statement":[{"Effect":"Allow"}]}`}
	for _, text := range texts {
		name := kr.Name("alias", "111122223333/eu-west-1", text)
		path := "alias/" + string(name[:])
		write(t, kr.Guard(st), store.Op{Key: []byte(path), Value: kr.Seal(path, []byte(text))})
	}
	p, err := seal.RecoveryKey(recovery)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := seal.RotateStoreKey(t.Context(), st, kr, rotation(root, phrase, p)); err != nil {
		t.Fatal(err)
	}
	if _, err := seal.RotateRoot(t.Context(), st, kr, root); err != nil {
		t.Fatal(err)
	}
	line, err := os.ReadFile(root.Path)
	if err != nil {
		t.Fatal(err)
	}
	rawRoot, err := seal.RootKeyBytes(line)
	if err != nil {
		t.Fatal(err)
	}
	rawRecovery, err := seal.ReadRecoveryKey(recovery)
	if err != nil {
		t.Fatal(err)
	}
	texts = append(texts, "correct horse battery staple", recovery, string(line), string(rawRoot), string(rawRecovery), string(seal.Base(kr)))
	for _, key := range seal.StoreKeys(kr) {
		texts = append(texts, string(key))
	}
	if err := st.Close(); err != nil {
		t.Fatal(err)
	}
	scanned := 0
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		scanned += len(content)
		for i, text := range texts {
			if strings.Contains(string(content), text) {
				t.Errorf("%s contains text %d", d.Name(), i)
			}
		}
		if !strings.Contains(string(content), "for the safe") {
			t.Error("the scan does not find the label, which is in the clear")
		}
		return nil
	})
	if err != nil || scanned == 0 {
		t.Fatalf("scanned %d bytes: %v", scanned, err)
	}
}

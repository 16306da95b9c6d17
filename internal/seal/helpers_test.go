package seal_test

import (
	"context"
	"errors"
	"path/filepath"
	"testing"
	"time"

	"github.com/keywright/keywright/internal/seal"
	"github.com/keywright/keywright/internal/store"
	"github.com/keywright/keywright/internal/store/boltstore"
)

// cheap is the least cost of a passphrase, for tests that are not about it.
var cheap = seal.Argon2{Time: 1, Memory: 8, Threads: 1}

func newStore(t testing.TB) store.Store {
	t.Helper()
	st, err := boltstore.OpenMemory(boltstore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { st.Close() })
	return st
}

// vault is a store that was just initialised.
type vault struct {
	st       store.Store
	kr       *seal.Keyring
	root     *seal.RootKeyFile
	recovery string
}

func newVault(t testing.TB) vault {
	t.Helper()
	v := vault{st: newStore(t), root: &seal.RootKeyFile{Path: filepath.Join(t.TempDir(), "root.key")}}
	var err error
	v.kr, v.recovery, err = seal.Init(t.Context(), v.st, v.root)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func (v vault) recoveryKey(t testing.TB) seal.Provider {
	t.Helper()
	p, err := seal.RecoveryKey(v.recovery)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// put seals the plaintext and writes it under the path.
func (v vault) put(t testing.TB, path, plaintext string) {
	t.Helper()
	write(t, v.kr.Guard(v.st), store.Op{Key: []byte(path), Value: v.kr.Seal(path, []byte(plaintext))})
}

func write(t testing.TB, st store.Store, ops ...store.Op) {
	t.Helper()
	if _, err := st.Write(t.Context(), store.Batch{Ops: ops}); err != nil {
		t.Fatal(err)
	}
}

func get(t testing.TB, st store.Store, path string) []byte {
	t.Helper()
	view, err := st.Snapshot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer view.Close()
	e, err := view.Get([]byte(path))
	if err != nil {
		t.Fatalf("getting %s: %v", path, err)
	}
	return append([]byte(nil), e.Value...)
}

// read opens the record under the path.
func read(t testing.TB, st store.Store, kr *seal.Keyring, path string) string {
	t.Helper()
	b, err := kr.Open(path, get(t, st, path))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// dump returns everything in the store.
func dump(t testing.TB, st store.Store) map[string]string {
	t.Helper()
	view, err := st.Snapshot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer view.Close()
	all := map[string]string{}
	for e, err := range view.Scan(nil, nil) {
		if err != nil {
			t.Fatal(err)
		}
		all[string(e.Key)] = string(e.Value)
	}
	return all
}

func revision(t testing.TB, st store.Store) store.Revision {
	t.Helper()
	view, err := st.Snapshot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer view.Close()
	return view.Revision()
}

func passphrase(text string) *seal.Passphrase {
	return &seal.Passphrase{Cost: cheap, Read: func(context.Context) ([]byte, error) { return []byte(text), nil }}
}

func unlock(t testing.TB, st store.Store, p ...seal.Provider) *seal.Keyring {
	t.Helper()
	kr, err := seal.Unlock(t.Context(), st, p...)
	if err != nil {
		t.Fatal(err)
	}
	return kr
}

func slotsOf(t testing.TB, st store.Store) []seal.Slot {
	t.Helper()
	slots, err := seal.ListSlots(t.Context(), st)
	if err != nil {
		t.Fatal(err)
	}
	return slots
}

// brokenStore fails one Write, before or after it took place.
type brokenStore struct {
	store.Store
	failAt  int  // the Write that fails, from 1; 0 for none
	written bool // it takes place all the same
	writes  int
}

var errBroken = errors.New("the disk is on fire")

func (b *brokenStore) Write(ctx context.Context, batch store.Batch) (store.Revision, error) {
	b.writes++
	if b.writes != b.failAt {
		return b.Store.Write(ctx, batch)
	}
	if b.written {
		if _, err := b.Store.Write(ctx, batch); err != nil {
			return 0, err
		}
	}
	return 0, errBroken
}

// rotation is that of the store key without the wait for readers.
func rotation(p ...seal.Provider) seal.StoreKeyRotation {
	return seal.StoreKeyRotation{Providers: p, Drain: time.Nanosecond}
}

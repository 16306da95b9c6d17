package keyring_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/keywright/keywright/esdk/keyring"
	"github.com/keywright/keywright/esdk/keyring/keyringtest"
	"github.com/keywright/keywright/esdk/materials"
)

// countingStore counts the calls, and fails when told to.
type countingStore struct {
	keyring.MemoryBranchKeys
	active, version int
	err             error
	change          func(*keyring.BranchKey)
}

func (s *countingStore) ActiveBranchKey(ctx context.Context, id string) (keyring.BranchKey, error) {
	s.active++
	return s.answer(s.MemoryBranchKeys.ActiveBranchKey(ctx, id))
}

func (s *countingStore) BranchKeyVersion(ctx context.Context, id string, version [16]byte) (keyring.BranchKey, error) {
	s.version++
	return s.answer(s.MemoryBranchKeys.BranchKeyVersion(ctx, id, version))
}

func (s *countingStore) answer(key keyring.BranchKey, err error) (keyring.BranchKey, error) {
	if s.change != nil {
		s.change(&key)
	}
	return key, errors.Join(err, s.err)
}

// put makes a new version of a branch key and returns it.
func (s *countingStore) put(t *testing.T, id string) keyring.BranchKey {
	t.Helper()
	key := keyring.BranchKey{ID: id}
	rand.Read(key.Key[:])
	rand.Read(key.Version[:])
	if err := s.Put(key); err != nil {
		t.Fatal(err)
	}
	return key
}

func TestHierarchicalBehaviour(t *testing.T) {
	store := new(keyring.MemoryBranchKeys)
	for _, id := range []string{"blue", "blve", "other"} {
		key := keyring.BranchKey{ID: id}
		rand.Read(key.Key[:])
		if err := store.Put(key); err != nil {
			t.Fatal(err)
		}
	}
	t.Run("one", func(t *testing.T) {
		k := must(keyring.NewHierarchical(keyring.HierarchicalConfig{Store: store, BranchKeyID: "blue", TTL: time.Hour}))(t)
		keyringtest.Run(t, k, keyringtest.Options{})
	})
	t.Run("by context", func(t *testing.T) {
		k := must(keyring.NewHierarchical(keyring.HierarchicalConfig{
			Store: store, TTL: time.Hour, Capacity: 1,
			BranchKeyIDFor: func(context map[string]string) (string, error) {
				if id := context["tenant"]; id != "" {
					return id, nil
				}
				return "other", nil
			},
		}))(t)
		keyringtest.Run(t, k, keyringtest.Options{})
	})
}

func TestHierarchicalConfig(t *testing.T) {
	store := new(keyring.MemoryBranchKeys)
	choose := func(map[string]string) (string, error) { return "", nil }
	for name, c := range map[string]keyring.HierarchicalConfig{
		"no store":          {BranchKeyID: "id", TTL: 1},
		"no id":             {Store: store, TTL: 1},
		"two ids":           {Store: store, BranchKeyID: "id", BranchKeyIDFor: choose, TTL: 1},
		"id not UTF-8":      {Store: store, BranchKeyID: "\xff", TTL: 1},
		"no TTL":            {Store: store, BranchKeyID: "id"},
		"negative TTL":      {Store: store, BranchKeyID: "id", TTL: -1},
		"negative capacity": {Store: store, BranchKeyID: "id", TTL: 1, Capacity: -1},
	} {
		if _, err := keyring.NewHierarchical(c); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	k := must(keyring.NewHierarchical(keyring.HierarchicalConfig{Store: store, BranchKeyIDFor: choose, TTL: 1}))(t)
	if err := k.OnEncrypt(t.Context(), &materials.EncryptionMaterials{Suite: testSuite}); err == nil {
		t.Error("an empty id was chosen and accepted")
	}
	k = must(keyring.NewHierarchical(keyring.HierarchicalConfig{Store: store, TTL: 1,
		BranchKeyIDFor: func(map[string]string) (string, error) { return "id", errFake }}))(t)
	if err := k.OnDecrypt(t.Context(), &materials.DecryptionMaterials{Suite: testSuite}, nil); !errors.Is(err, errFake) {
		t.Errorf("got %v, want %v", err, errFake)
	}
}

// Rotation: old messages stay readable, new ones use the new version once the
// TTL has passed.
func TestHierarchicalRotation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := new(countingStore)
		first := store.put(t, "id")
		k := must(keyring.NewHierarchical(keyring.HierarchicalConfig{Store: store, BranchKeyID: "id", TTL: time.Minute}))(t)
		versionUsed := func() []byte {
			m := &materials.EncryptionMaterials{Suite: testSuite}
			if err := k.OnEncrypt(t.Context(), m); err != nil {
				t.Fatal(err)
			}
			d := &materials.DecryptionMaterials{Suite: testSuite}
			if err := k.OnDecrypt(t.Context(), d, m.EncryptedDataKeys); err != nil || !bytes.Equal(d.DataKey, m.DataKey) {
				t.Fatal(err)
			}
			return m.EncryptedDataKeys[0].Ciphertext[28:44]
		}
		old := &materials.EncryptionMaterials{Suite: testSuite}
		if err := k.OnEncrypt(t.Context(), old); err != nil {
			t.Fatal(err)
		}
		for range 3 {
			if got := versionUsed(); !bytes.Equal(got, first.Version[:]) {
				t.Errorf("got version %x, want %x", got, first.Version)
			}
		}
		if store.active != 1 || store.version != 1 {
			t.Errorf("asked the store %d and %d times, want once each", store.active, store.version)
		}
		second := store.put(t, "id")
		time.Sleep(time.Minute - time.Nanosecond)
		if got := versionUsed(); !bytes.Equal(got, first.Version[:]) {
			t.Errorf("within the TTL got version %x, want %x", got, first.Version)
		}
		time.Sleep(time.Nanosecond)
		if got := versionUsed(); !bytes.Equal(got, second.Version[:]) {
			t.Errorf("after the TTL got version %x, want %x", got, second.Version)
		}
		d := &materials.DecryptionMaterials{Suite: testSuite}
		if err := k.OnDecrypt(t.Context(), d, old.EncryptedDataKeys); err != nil {
			t.Errorf("an old message: %v", err)
		}
	})
}

// The least recently used branch key is the one to go.
func TestHierarchicalCapacity(t *testing.T) {
	store := new(countingStore)
	for _, id := range []string{"a", "b", "c"} {
		store.put(t, id)
	}
	k := must(keyring.NewHierarchical(keyring.HierarchicalConfig{
		Store: store, TTL: time.Hour, Capacity: 2,
		BranchKeyIDFor: func(context map[string]string) (string, error) { return context["id"], nil },
	}))(t)
	for i, step := range []struct {
		id   string
		want int // calls of the store until now
	}{{"a", 1}, {"b", 2}, {"a", 2}, {"c", 3}, {"a", 3}, {"b", 4}, {"a", 4}, {"c", 5}} {
		m := &materials.EncryptionMaterials{Suite: testSuite, EncryptionContext: map[string]string{"id": step.id}}
		if err := k.OnEncrypt(t.Context(), m); err != nil {
			t.Fatal(err)
		}
		if store.active != step.want {
			t.Errorf("step %d: the store was asked %d times, want %d", i, store.active, step.want)
		}
	}
}

// Failures of the store are told and not kept, and a store that returns another
// key is not believed.
func TestHierarchicalStoreFails(t *testing.T) {
	store := new(countingStore)
	store.put(t, "id")
	config := keyring.HierarchicalConfig{Store: store, BranchKeyID: "id", TTL: time.Hour}
	k := must(keyring.NewHierarchical(config))(t)
	m := &materials.EncryptionMaterials{Suite: testSuite}
	store.err = errFake
	if err := k.OnEncrypt(t.Context(), m); !errors.Is(err, errFake) || m.DataKey != nil {
		t.Errorf("got %v", err)
	}
	store.err = nil
	if err := k.OnEncrypt(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*keyring.BranchKey){
		"another id":      func(b *keyring.BranchKey) { b.ID = "other" },
		"another version": func(b *keyring.BranchKey) { b.Version[0] ^= 1 },
		"another key":     func(b *keyring.BranchKey) { b.Key[0] ^= 1 },
	} {
		store.change = change
		d := &materials.DecryptionMaterials{Suite: testSuite}
		err := must(keyring.NewHierarchical(config))(t).OnDecrypt(t.Context(), d, m.EncryptedDataKeys)
		e, ok := errors.AsType[*materials.UnwrapError](err)
		if !ok || len(e.Attempts) != 1 || errors.Is(err, keyring.ErrUnwrap) != (name == "another key") {
			t.Errorf("%s: got %v", name, err)
		}
		if name == "another id" {
			m := &materials.EncryptionMaterials{Suite: testSuite}
			if err := must(keyring.NewHierarchical(config))(t).OnEncrypt(t.Context(), m); err == nil {
				t.Errorf("%s: encrypted under it", name)
			}
		}
	}
	store.change = nil
	// The store is not asked for what cannot open.
	asked := store.version
	edk := m.EncryptedDataKeys[0]
	edk.Ciphertext = edk.Ciphertext[:len(edk.Ciphertext)-1]
	err := must(keyring.NewHierarchical(config))(t).OnDecrypt(t.Context(),
		&materials.DecryptionMaterials{Suite: testSuite}, []materials.EncryptedDataKey{edk})
	if !errors.Is(err, keyring.ErrUnwrap) || store.version != asked {
		t.Errorf("a short data key: got %v after %d calls", err, store.version-asked)
	}
	empty := keyring.HierarchicalConfig{Store: new(keyring.MemoryBranchKeys), BranchKeyID: "id", TTL: time.Hour}
	d := &materials.DecryptionMaterials{Suite: testSuite}
	err = must(keyring.NewHierarchical(empty))(t).OnDecrypt(t.Context(), d, m.EncryptedDataKeys)
	if !errors.Is(err, keyring.ErrBranchKeyNotFound) {
		t.Errorf("got %v, want %v", err, keyring.ErrBranchKeyNotFound)
	}
}

func TestBranchKeyString(t *testing.T) {
	key := keyring.BranchKey{ID: "id", Version: [16]byte{1}, Key: [32]byte{0xab, 0xcd, 0xef}}
	const want = `branch key "id" version 01000000000000000000000000000000`
	for _, format := range []string{"%v", "%+v", "%s", "%#v"} {
		if got := fmt.Sprintf(format, key); got != want {
			t.Errorf("%s: got %q", format, got)
		}
	}
}

func TestMemoryBranchKeys(t *testing.T) {
	var store keyring.MemoryBranchKeys
	if _, err := store.ActiveBranchKey(t.Context(), "id"); !errors.Is(err, keyring.ErrBranchKeyNotFound) {
		t.Errorf("got %v", err)
	}
	one := keyring.BranchKey{ID: "id", Version: [16]byte{1}, Key: [32]byte{1}}
	two := keyring.BranchKey{ID: "id", Version: [16]byte{2}, Key: [32]byte{2}}
	for _, key := range []keyring.BranchKey{one, two, two} {
		if err := store.Put(key); err != nil {
			t.Fatal(err)
		}
		if got, err := store.ActiveBranchKey(t.Context(), "id"); err != nil || got != key {
			t.Errorf("got %x, %v, want %x", got.Version, err, key.Version)
		}
	}
	if got, err := store.BranchKeyVersion(t.Context(), "id", one.Version); err != nil || got != one {
		t.Errorf("got %x, %v, want %x", got.Version, err, one.Version)
	}
	if err := store.Put(keyring.BranchKey{ID: "id", Version: one.Version}); err == nil {
		t.Error("a version was replaced")
	}
	if err := store.Put(keyring.BranchKey{}); err == nil {
		t.Error("an id is missing")
	}
}

package keyring_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/keywright/keywright/esdk/keyring"
	"github.com/keywright/keywright/esdk/keyring/keyringtest"
	"github.com/keywright/keywright/esdk/materials"
)

func openFiles(t *testing.T, dir string) *keyring.FileBranchKeys {
	t.Helper()
	s := must(keyring.OpenFileBranchKeys(dir, newAES(t, "root", 32)))(t)
	t.Cleanup(func() { s.Close() })
	return s
}

func TestFileBranchKeysBehaviour(t *testing.T) {
	store := openFiles(t, t.TempDir())
	if _, err := store.Rotate(t.Context(), "id"); err != nil {
		t.Fatal(err)
	}
	k := must(keyring.NewHierarchical(keyring.HierarchicalConfig{Store: store, BranchKeyID: "id", TTL: time.Hour}))(t)
	keyringtest.Run(t, k, keyringtest.Options{FlipEvery: 3})
}

// Versions survive reopening; the last is active; ids may hold anything.
func TestFileBranchKeys(t *testing.T) {
	dir := t.TempDir()
	store := openFiles(t, dir)
	for _, id := range []string{"id", "../../id", "id/\x00", strings.Repeat("long ", 1000)} {
		if _, err := store.ActiveBranchKey(t.Context(), id); !errors.Is(err, keyring.ErrBranchKeyNotFound) {
			t.Errorf("%.9q: got %v, want %v", id, err, keyring.ErrBranchKeyNotFound)
		}
		first := must(store.Rotate(t.Context(), id))(t)
		one := must(store.ActiveBranchKey(t.Context(), id))(t)
		second := must(store.Rotate(t.Context(), id))(t)
		if first == second || one.Version != first || one.ID != id {
			t.Errorf("%.9q: got version %x, want %x", id, one.Version, first)
		}
		again := openFiles(t, dir)
		two := must(again.ActiveBranchKey(t.Context(), id))(t)
		if two.Version != second || two.Key == one.Key {
			t.Errorf("%.9q: got version %x, want %x", id, two.Version, second)
		}
		if old := must(again.BranchKeyVersion(t.Context(), id, first))(t); old != one {
			t.Errorf("%.9q: the first version changed", id)
		}
		if _, err := again.BranchKeyVersion(t.Context(), id, [16]byte{}); !errors.Is(err, keyring.ErrBranchKeyNotFound) {
			t.Errorf("%.9q: got %v, want %v", id, err, keyring.ErrBranchKeyNotFound)
		}
	}
	if _, err := store.Rotate(t.Context(), ""); err == nil {
		t.Error("an empty id was accepted")
	}
	if files := must(filepath.Glob(filepath.Join(dir, "*", "*.tmp-*")))(t); len(files) != 0 {
		t.Errorf("left behind: %q", files)
	}
}

// Files are bound to their id and version, are not readable by others, and are
// refused when they are damaged.
func TestFileBranchKeysDamaged(t *testing.T) {
	dir := t.TempDir()
	store := openFiles(t, dir)
	must(store.Rotate(t.Context(), "id"))(t)
	must(store.Rotate(t.Context(), "id"))(t)
	files := must(filepath.Glob(filepath.Join(dir, "*", "*")))(t)
	if len(files) != 3 {
		t.Fatalf("got files %q", files)
	}
	var active string
	contents := map[string][]byte{}
	for _, name := range files {
		contents[name] = must(os.ReadFile(name))(t)
		if info := must(os.Stat(name))(t); info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v", name, info.Mode())
		}
		if filepath.Base(name) == "ACTIVE" {
			active = name
		}
	}
	current := filepath.Join(filepath.Dir(active), string(contents[active]))
	var other []byte
	for name, data := range contents {
		if name != active && name != current {
			other = data
		}
	}
	for what, c := range map[string]struct {
		file string
		data []byte
	}{
		"another version's key": {current, other},
		"no JSON":               {current, []byte("{")},
		"no keys":               {current, []byte("{}")},
		"empty":                 {current, nil},
		"too large":             {current, make([]byte, 1<<20+1)},
		"ACTIVE is no version":  {active, []byte("../../x")},
		"ACTIVE is short":       {active, []byte("00")},
		"ACTIVE of nothing":     {active, []byte(strings.Repeat("0", 32))},
	} {
		if err := os.WriteFile(c.file, c.data, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := store.ActiveBranchKey(t.Context(), "id"); err == nil {
			t.Errorf("%s: accepted", what)
		}
		if err := os.WriteFile(c.file, contents[c.file], 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := store.ActiveBranchKey(t.Context(), "id"); err != nil {
		t.Errorf("after repair: %v", err)
	}
	// Another wrapping key opens nothing.
	foreign := must(keyring.OpenFileBranchKeys(dir, newAES(t, "toor", 32)))(t)
	defer foreign.Close()
	if _, err := foreign.ActiveBranchKey(t.Context(), "id"); err == nil {
		t.Error("opened with another key")
	}
}

// The format of the files, so that later releases keep reading them.
func TestFileBranchKeysFormat(t *testing.T) {
	dir := t.TempDir()
	store := openFiles(t, dir)
	version := must(store.Rotate(t.Context(), "id"))(t)
	if version[6]>>4 != 4 || version[8]>>6 != 2 {
		t.Errorf("version %x is no random UUID", version)
	}
	// echo -n id | sha256sum
	folder := filepath.Join(dir, "a56145270ce6b3bebd1dd012b73948677dd618d496488bc608a3cb43ce3547dd")
	name := fmt.Sprintf("%x", version)
	if got := string(must(os.ReadFile(filepath.Join(folder, "ACTIVE")))(t)); got != name {
		t.Errorf("ACTIVE is %q, want %q", got, name)
	}
	var file struct {
		ID      string `json:"branch-key-id"`
		Version string `json:"version"`
		Keys    []struct {
			ProviderID   string `json:"provider-id"`
			ProviderInfo []byte `json:"provider-info"`
			Ciphertext   []byte `json:"ciphertext"`
		} `json:"encrypted-keys"`
	}
	readJSON(t, filepath.Join(folder, name), &file)
	if file.ID != "id" || file.Version != name || len(file.Keys) != 1 {
		t.Errorf("got %+v", file)
	}
	v := version
	m := &materials.DecryptionMaterials{Suite: testSuite, EncryptionContext: map[string]string{
		"branch-key-id": "id",
		"type":          fmt.Sprintf("branch:version:%x-%x-%x-%x-%x", v[:4], v[4:6], v[6:8], v[8:10], v[10:]),
	}}
	if err := newAES(t, "root", 32).OnDecrypt(t.Context(), m, []materials.EncryptedDataKey{{
		ProviderID: file.Keys[0].ProviderID, ProviderInfo: file.Keys[0].ProviderInfo, Ciphertext: file.Keys[0].Ciphertext,
	}}); err != nil {
		t.Fatal(err)
	}
	if key := must(store.ActiveBranchKey(t.Context(), "id"))(t); [32]byte(m.DataKey) != key.Key {
		t.Error("the store returned another key than the file holds")
	}
}

// Readers see a whole version at any time.
func TestFileBranchKeysConcurrent(t *testing.T) {
	store := openFiles(t, t.TempDir())
	must(store.Rotate(t.Context(), "id"))(t)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 5 {
				if _, err := store.Rotate(t.Context(), "id"); err != nil {
					t.Error(err)
				}
				if _, err := store.ActiveBranchKey(t.Context(), "id"); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
}

func TestOpenFileBranchKeys(t *testing.T) {
	if _, err := keyring.OpenFileBranchKeys(t.TempDir(), nil); err == nil {
		t.Error("no keyring: accepted")
	}
	if _, err := keyring.OpenFileBranchKeys(filepath.Join(t.TempDir(), "none"), newAES(t, "root", 32)); err == nil {
		t.Error("no folder: accepted")
	}
}

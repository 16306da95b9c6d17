package seal_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/keywright/keywright/internal/seal"
	"github.com/keywright/keywright/internal/store"
)

func TestRotateRoot(t *testing.T) {
	v := newVault(t)
	v.put(t, "a", "text")
	old, err := os.ReadFile(v.root.Path)
	if err != nil {
		t.Fatal(err)
	}
	r, err := seal.RotateRoot(t.Context(), v.st, v.kr, v.root)
	if err != nil {
		t.Fatal(err)
	}
	checkRootRotated(t, v, old)
	ids := slices.Collect(maps.Keys(dump(t, v.st)))
	if !slices.Contains(ids, "seal/slot/"+r.Added) || len(r.Removed) != 1 || slices.Contains(ids, "seal/slot/"+r.Removed[0]) {
		t.Errorf("rotation = %+v, slots %v", r, ids)
	}
	// The new slot's note of what it replaced does no harm later.
	if _, err := seal.RotateRoot(t.Context(), v.st, v.kr, v.root); err != nil {
		t.Fatal(err)
	}
	before := revision(t, v.st)
	if removed, err := seal.FinishRootRotation(t.Context(), v.st, v.kr, v.root); err != nil || len(removed) != 0 || revision(t, v.st) != before {
		t.Errorf("with nothing to finish: %v, %v", removed, err)
	}
	if err := os.WriteFile(v.root.Path, old, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := seal.RotateRoot(t.Context(), v.st, v.kr, v.root); err == nil {
		t.Error("rotated a root key that does not open the store")
	}
}

// checkRootRotated checks that the file holds a key that opens the store, that
// old does not, and that nothing else is left.
func checkRootRotated(t *testing.T, v vault, old []byte) {
	t.Helper()
	kr := unlock(t, v.st, v.root)
	if got := read(t, v.st, kr, "a"); got != "text" {
		t.Errorf("read %q", got)
	}
	unlock(t, v.st, v.recoveryKey(t))
	oldFile := &seal.RootKeyFile{Path: filepath.Join(t.TempDir(), "old")}
	if err := os.WriteFile(oldFile.Path, old, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := seal.Unlock(t.Context(), v.st, oldFile); !errors.Is(err, seal.ErrLocked) {
		t.Errorf("the old root key: %v, want ErrLocked", err)
	}
	if got := len(slotsOf(t, v.st)); got != 2 {
		t.Errorf("%d slots, want 2", got)
	}
	if names, err := os.ReadDir(filepath.Dir(v.root.Path)); err != nil || len(names) != 1 {
		t.Errorf("files beside the root key: %v, %v", names, err)
	}
}

// Each step of the rotation fails before and after it took place; the process
// dies; the file's key opens the store at once, and the next rotation leaves
// nothing behind.
func TestRotateRootCrash(t *testing.T) {
	t.Cleanup(func() { seal.OnRotateStep(nil) })
	steps := []string{"write the new key", "add the slot", "replace the file", "remove the old slot"}
	for _, failing := range steps {
		for _, done := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/done=%t", failing, done), func(t *testing.T) {
				v := newVault(t)
				v.put(t, "a", "text")
				first, err := os.ReadFile(v.root.Path)
				if err != nil {
					t.Fatal(err)
				}
				seal.OnRotateStep(func(name string, step func() error) error {
					names, err := os.ReadDir(filepath.Dir(v.root.Path))
					if err != nil {
						t.Fatal(err)
					}
					for _, n := range names {
						if n.Name() != "root.key" && (strings.Contains(n.Name(), "root") || strings.Contains(n.Name(), "seal")) {
							t.Errorf("a file named %s", n.Name())
						}
					}
					if name != failing {
						return step()
					}
					if done {
						if err := step(); err != nil {
							t.Fatal(err)
						}
					}
					return errBroken
				})
				if _, err := seal.RotateRoot(t.Context(), v.st, v.kr, v.root); !errors.Is(err, errBroken) {
					t.Fatalf("RotateRoot: %v", err)
				}
				seal.OnRotateStep(nil)

				kr := unlock(t, v.st, v.root) // the process that comes after
				if got := read(t, v.st, kr, "a"); got != "text" {
					t.Errorf("read %q", got)
				}
				if _, err := seal.FinishRootRotation(t.Context(), v.st, kr, v.root); err != nil {
					t.Fatal(err)
				}
				if got := len(slotsOf(t, v.st)); got != 2 {
					t.Errorf("%d slots after finishing, want 2", got)
				}
				if _, err := seal.RotateRoot(t.Context(), v.st, kr, v.root); err != nil {
					t.Fatal(err)
				}
				checkRootRotated(t, v, first)
			})
		}
	}
}

// A file that looks left behind removes no slot that its key does not open.
func TestFinishRootRotationChecksTheKey(t *testing.T) {
	v := newVault(t)
	second := &seal.RootKeyFile{Path: filepath.Join(t.TempDir(), "second")}
	added, err := seal.AddSlot(t.Context(), v.st, v.kr, second, "")
	if err != nil {
		t.Fatal(err)
	}
	pending := seal.PendingKeyPath(v.root.Path, added.ID)
	if err := os.WriteFile(pending, seal.GenerateRootKey(), 0o600); err != nil {
		t.Fatal(err)
	}
	if removed, err := seal.FinishRootRotation(t.Context(), v.st, v.kr, v.root); err != nil || len(removed) != 0 {
		t.Errorf("removed %v, %v", removed, err)
	}
	unlock(t, v.st, second)
}

func TestRotateStoreKey(t *testing.T) {
	v := newVault(t)
	want := map[string]string{}
	for i := range 300 {
		path := fmt.Sprintf("record/%03d", i)
		want[path] = strings.Repeat("x", i)
		v.put(t, path, want[path])
	}
	write(t, v.st, store.Op{Key: []byte("meta/plain"), Value: []byte("as it is")})
	oldKeys := seal.StoreKeys(v.kr)
	oldSlots := dump(t, v.st)
	phrase := passphrase("correct horse battery")
	if _, err := seal.AddSlot(t.Context(), v.st, v.kr, phrase, ""); err != nil {
		t.Fatal(err)
	}
	name, derived := v.kr.Name("a", "b", "c"), v.kr.Derive("x")

	how := rotation(v.root, v.recoveryKey(t), phrase)
	var last [2]int
	how.Progress = func(done, total int) {
		if done < last[0] || done > total {
			t.Errorf("progress %d of %d after %d", done, total, last[0])
		}
		last = [2]int{done, total}
	}
	r, err := seal.RotateStoreKey(t.Context(), v.st, v.kr, how)
	if err != nil {
		t.Fatal(err)
	}
	if r.Version != 2 || !slices.Equal(r.Retired, []uint32{1}) || r.Resealed != 300 || r.Resumed {
		t.Errorf("rotation = %+v", r)
	}
	if last != [2]int{300, 300} {
		t.Errorf("last progress = %v, want 300 of 300", last)
	}
	for _, p := range how.Providers {
		kr := unlock(t, v.st, p)
		if got := kr.Versions(); !slices.Equal(got, []uint32{2}) {
			t.Errorf("%s: versions %v, want 2", p, got)
		}
		for path, text := range want {
			if got := read(t, v.st, kr, path); got != text {
				t.Errorf("%s: %s changed", p, path)
			}
		}
		if kr.Name("a", "b", "c") != name || kr.Derive("x") != derived || kr.StoreID() != v.kr.StoreID() {
			t.Errorf("%s: names, derived keys or the id changed", p)
		}
		if slices.ContainsFunc(seal.StoreKeys(kr), func(k []byte) bool { return string(k) == string(oldKeys[0]) }) {
			t.Errorf("%s: the old key is still there", p)
		}
	}
	if string(get(t, v.st, "meta/plain")) != "as it is" {
		t.Error("a plain value changed")
	}
	if _, err := v.kr.Open("record/001", []byte(oldSlots["record/001"])); err == nil {
		t.Error("the keyring still opens a record under the old key")
	}
}

func TestRotateStoreKeyNeedsAllSecrets(t *testing.T) {
	v := newVault(t)
	before := revision(t, v.st)
	_, err := seal.RotateStoreKey(t.Context(), v.st, v.kr, rotation(v.root))
	missing, ok := errors.AsType[*seal.MissingSecretsError](err)
	if !ok || len(missing.Slots) != 1 || missing.Slots[0].Kind != seal.KindRecovery {
		t.Errorf("RotateStoreKey: %v, want the recovery key's slot missing", err)
	}
	if revision(t, v.st) != before {
		t.Error("the store changed")
	}
	recovery, _, _, err := seal.ReplaceRecoveryKey(t.Context(), v.st, v.kr, "new")
	if err != nil {
		t.Fatal(err)
	}
	p, err := seal.RecoveryKey(recovery)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := seal.RotateStoreKey(t.Context(), v.st, v.kr, rotation(v.root, p)); err != nil {
		t.Error(err)
	}
}

func TestRotateStoreKeyStopsAtDamage(t *testing.T) {
	v := newVault(t)
	v.put(t, "a", "text")
	v.put(t, "b", "text")
	write(t, v.st, store.Op{Key: []byte("b"), Value: get(t, v.st, "a")})
	_, err := seal.RotateStoreKey(t.Context(), v.st, v.kr, rotation(v.root, v.recoveryKey(t)))
	if re, ok := errors.AsType[*seal.RecordError](err); !ok || re.Path != "b" {
		t.Errorf("RotateStoreKey: %v, want a RecordError for b", err)
	}
	if got := read(t, v.st, unlock(t, v.st, v.root), "a"); got != "text" {
		t.Errorf("a = %q", got)
	}
}

// Every write of the rotation fails, whether it took place or not; the process
// dies and all slots open everything; then the rotation is taken up and ends.
func TestRotateStoreKeyCrash(t *testing.T) {
	const records = 150
	failed := 0
	for at := 1; ; at++ {
		finished := false
		for _, written := range []bool{false, true} {
			v := newVault(t)
			for i := range records {
				v.put(t, fmt.Sprintf("record/%03d", i), fmt.Sprint(i))
			}
			broken := &brokenStore{Store: v.st, failAt: at, written: written}
			providers := []seal.Provider{v.root, v.recoveryKey(t)}
			_, err := seal.RotateStoreKey(t.Context(), broken, v.kr, rotation(providers...))
			if err == nil {
				finished = true
				break
			}
			if !errors.Is(err, errBroken) {
				t.Fatalf("write %d: %v", at, err)
			}
			failed++
			for _, survivor := range []*seal.Keyring{unlock(t, v.st, providers[0]), unlock(t, v.st, providers[1])} {
				for i := range records {
					if got := read(t, v.st, survivor, fmt.Sprintf("record/%03d", i)); got != fmt.Sprint(i) {
						t.Fatalf("write %d: record %d = %q", at, i, got)
					}
				}
			}
			kr := unlock(t, v.st, v.root)
			resumes := len(kr.Versions()) > 1
			r, err := seal.RotateStoreKey(t.Context(), v.st, kr, rotation(providers...))
			if err != nil {
				t.Fatalf("write %d: taking it up: %v", at, err)
			}
			if r.Resumed != resumes || len(r.Retired) != 1 {
				t.Errorf("write %d, written=%t: rotation = %+v", at, written, r)
			}
			for i := range records {
				if got := read(t, v.st, kr, fmt.Sprintf("record/%03d", i)); got != fmt.Sprint(i) {
					t.Fatalf("write %d: record %d = %q after the rotation", at, i, got)
				}
			}
			// The process that saw the failure goes on too.
			if _, err := seal.RotateStoreKey(t.Context(), v.st, v.kr, rotation(providers...)); err != nil {
				t.Errorf("write %d: in the first process: %v", at, err)
			}
		}
		if finished {
			break
		}
	}
	// The key, the fence, three batches of records, the end.
	if failed != 2*6 {
		t.Errorf("%d writes failed, want 12", failed)
	}
}

func TestRotateStoreKeyCancelled(t *testing.T) {
	v := newVault(t)
	v.put(t, "a", "text")
	how := rotation(v.root, v.recoveryKey(t))
	how.Drain = 0 // ten seconds
	ctx, cancel := context.WithCancel(t.Context())
	how.Progress = func(int, int) { cancel() }
	if _, err := seal.RotateStoreKey(ctx, v.st, v.kr, how); !errors.Is(err, context.Canceled) {
		t.Errorf("RotateStoreKey: %v, want context.Canceled", err)
	}
	if got := v.kr.Versions(); !slices.Equal(got, []uint32{1, 2}) {
		t.Errorf("versions = %v, want both", got)
	}
	if got := read(t, v.st, v.kr, "a"); got != "text" {
		t.Errorf("a = %q", got)
	}
}

// Writers work through several rotations. What they were told is written is
// there afterwards and opens.
func TestRotateStoreKeyUnderWriters(t *testing.T) {
	v := newVault(t)
	guarded := v.kr.Guard(v.st)
	stop := make(chan struct{})
	var wg sync.WaitGroup
	var writes atomic.Int64
	newest := make([]map[string]string, 3)
	for w := range newest {
		newest[w] = map[string]string{}
		wg.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				path, text := fmt.Sprintf("w%d/%d", w, n%50), fmt.Sprint(n)
				_, err := guarded.Write(context.Background(), store.Batch{Ops: []store.Op{{Key: []byte(path), Value: v.kr.Seal(path, []byte(text))}}})
				if err == nil {
					newest[w][path] = text
					writes.Add(1)
				} else if _, ok := errors.AsType[*seal.RecordError](err); !ok {
					// A write that waited for longer than Drain, here nothing, is
					// refused; any other error is a fault.
					t.Error(err)
					return
				}
			}
		})
	}
	for writes.Load() < 100 {
		v.put(t, "x", "y")
	}
	for range 5 {
		if _, err := seal.RotateStoreKey(t.Context(), v.st, v.kr, rotation(v.root, v.recoveryKey(t))); err != nil {
			t.Error(err)
		}
	}
	close(stop)
	wg.Wait()
	kr := unlock(t, v.st, v.root)
	for _, m := range newest {
		for path, text := range m {
			if got := read(t, v.st, kr, path); got != text {
				t.Errorf("%s = %q, want %q", path, got, text)
			}
		}
	}
}

func TestGuard(t *testing.T) {
	v := newVault(t)
	guarded := v.kr.Guard(v.st)
	before := revision(t, v.st)
	for _, value := range []string{"", "in the clear", strings.Repeat("in the clear", 20)} {
		if _, err := guarded.Write(t.Context(), store.Batch{Ops: []store.Op{{Key: []byte("a"), Value: []byte(value)}}}); err == nil || !strings.Contains(err.Error(), `"a"`) {
			t.Errorf("writing %d bytes in the clear: %v", len(value), err)
		}
	}
	long := v.kr.Seal("a", make([]byte, seal.MaxRecordBytes-seal.Overhead))
	if _, err := guarded.Write(t.Context(), store.Batch{Ops: []store.Op{{Key: []byte("a"), Value: long}}}); err == nil {
		t.Error("wrote a record that no conditional batch can hold")
	}
	if revision(t, v.st) != before {
		t.Error("the store changed")
	}
	write(t, guarded, store.Op{Key: []byte("meta/a"), Value: []byte("plain")}, store.Op{Key: []byte("a"), Delete: true})

	// Sealed before the rotation switched keys, written after.
	late := store.Op{Key: []byte("late"), Value: v.kr.Seal("late", []byte("text"))}
	given := slices.Clone(late.Value)
	ops := []store.Op{late}
	how := rotation(v.root, v.recoveryKey(t))
	ctx, cancel := context.WithCancel(t.Context())
	v.put(t, "other", "text")
	how.Progress = func(int, int) { cancel() }
	if _, err := seal.RotateStoreKey(ctx, v.st, v.kr, how); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	write(t, guarded, ops...)
	if string(ops[0].Value) != string(given) {
		t.Error("the caller's batch was changed")
	}
	if _, err := seal.RotateStoreKey(t.Context(), v.st, v.kr, rotation(v.root, v.recoveryKey(t))); err != nil {
		t.Fatal(err)
	}
	if got := read(t, v.st, v.kr, "late"); got != "text" {
		t.Errorf("late = %q", got)
	}
	if _, err := guarded.Write(t.Context(), store.Batch{Ops: []store.Op{late}}); err == nil {
		t.Error("wrote a record whose key is destroyed")
	}
}

// slowStore holds up the Write of one path until it is released.
type slowStore struct {
	store.Store
	path             string
	reached, release chan struct{}
}

func (s *slowStore) Write(ctx context.Context, b store.Batch) (store.Revision, error) {
	if string(b.Ops[0].Key) == s.path {
		close(s.reached)
		<-s.release
	}
	return s.Store.Write(ctx, b)
}

// A rotation waits for a write that began before it switched keys, else the
// record would arrive when its key is gone.
func TestRotateStoreKeyWaitsForWrites(t *testing.T) {
	v := newVault(t)
	slow := &slowStore{v.st, "slow", make(chan struct{}), make(chan struct{})}
	var wg sync.WaitGroup
	wg.Go(func() {
		sealed := v.kr.Seal("slow", []byte("text"))
		if _, err := v.kr.Guard(slow).Write(context.Background(), store.Batch{Ops: []store.Op{{Key: []byte("slow"), Value: sealed}}}); err != nil {
			t.Error(err)
		}
	})
	<-slow.reached
	rotated := make(chan error)
	go func() {
		_, err := seal.RotateStoreKey(context.Background(), v.st, v.kr, rotation(v.root, v.recoveryKey(t)))
		rotated <- err
	}()
	select {
	case err := <-rotated:
		t.Fatalf("the rotation ended before the write: %v", err)
	case <-time.After(100 * time.Millisecond):
	}
	close(slow.release)
	wg.Wait()
	if err := <-rotated; err != nil {
		t.Fatal(err)
	}
	if got := read(t, v.st, v.kr, "slow"); got != "text" {
		t.Errorf("slow = %q", got)
	}
}

// A slot from before a rotation, put back, opens nothing and stops a rotation.
func TestOldSlotPutBack(t *testing.T) {
	v := newVault(t)
	var slot store.Op
	for _, s := range slotsOf(t, v.st) {
		if s.Kind == seal.KindRootKey {
			path := "seal/slot/" + s.ID
			slot = store.Op{Key: []byte(path), Value: get(t, v.st, path)}
		}
	}
	how := rotation(v.root, v.recoveryKey(t))
	if _, err := seal.RotateStoreKey(t.Context(), v.st, v.kr, how); err != nil {
		t.Fatal(err)
	}
	write(t, v.st, slot)
	if _, err := seal.Unlock(t.Context(), v.st, v.root); !errors.Is(err, seal.ErrLocked) || !strings.Contains(err.Error(), "older than the rest") {
		t.Errorf("Unlock: %v, want ErrLocked for the slot's age", err)
	}
	unlock(t, v.st, v.root, v.recoveryKey(t))
	if _, err := seal.RotateStoreKey(t.Context(), v.st, v.kr, how); err == nil || !strings.Contains(err.Error(), "older than the rest") {
		t.Errorf("RotateStoreKey: %v, want an error for the slot's age", err)
	}
}

// One operation on the slots at a time.
func TestBusy(t *testing.T) {
	v := newVault(t)
	v.put(t, "a", "text")
	how := rotation(v.root, v.recoveryKey(t))
	how.Progress = func(int, int) {
		_, err1 := seal.AddSlot(t.Context(), v.st, v.kr, seal.NewMemoryRootKey(), "")
		_, err2 := seal.RemoveSlot(t.Context(), v.st, v.kr, "x", false)
		_, err3 := seal.RotateRoot(t.Context(), v.st, v.kr, v.root)
		_, err4 := seal.RotateStoreKey(t.Context(), v.st, v.kr, how)
		_, _, _, err5 := seal.ReplaceRecoveryKey(t.Context(), v.st, v.kr, "")
		_, err6 := seal.FinishRootRotation(t.Context(), v.st, v.kr, v.root)
		for i, err := range []error{err1, err2, err3, err4, err5, err6} {
			if !errors.Is(err, seal.ErrBusy) {
				t.Errorf("operation %d: %v, want ErrBusy", i+1, err)
			}
		}
	}
	if _, err := seal.RotateStoreKey(t.Context(), v.st, v.kr, how); err != nil {
		t.Fatal(err)
	}
}

// Records that may not be written twice are waited for, not sealed again.
func TestRotateStoreKeyWaitsForTransientRecords(t *testing.T) {
	v := newVault(t)
	v.put(t, "kept/a", "text")
	v.put(t, "outbox/a", "text")
	before := get(t, v.st, "outbox/a")
	how := rotation(v.root, v.recoveryKey(t))
	how.Transient = []string{"outbox/"}
	rotated := make(chan error, 1)
	go func() {
		_, err := seal.RotateStoreKey(t.Context(), v.st, v.kr, how)
		rotated <- err
	}()
	for len(v.kr.Versions()) < 2 || string(get(t, v.st, "kept/a")[1:5]) == string(before[1:5]) {
		time.Sleep(time.Millisecond)
	}
	select {
	case err := <-rotated:
		t.Fatalf("the rotation ended with a record under the old key: %v", err)
	case <-time.After(200 * time.Millisecond):
	}
	if got := get(t, v.st, "outbox/a"); string(got) != string(before) {
		t.Error("a transient record was sealed again")
	}
	if got := read(t, v.st, v.kr, "outbox/a"); got != "text" {
		t.Errorf("a transient record reads %q", got)
	}
	write(t, v.st, store.Op{Key: []byte("outbox/a"), Delete: true})
	if err := <-rotated; err != nil {
		t.Fatal(err)
	}
	if got := v.kr.Versions(); !slices.Equal(got, []uint32{2}) {
		t.Errorf("versions %v, want 2", got)
	}
}

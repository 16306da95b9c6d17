package boltstore_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/keywright/keywright/internal/store"
	"github.com/keywright/keywright/internal/store/boltstore"
)

// smallDisk mounts a disk of the given size, or skips the test.
func smallDisk(t *testing.T, size string) string {
	t.Helper()
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size="+size); err != nil {
		t.Skipf("mounting a small disk (needs root): %v", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, 0); err != nil {
			t.Errorf("unmounting: %v", err)
		}
	})
	return dir
}

// On a full disk writes fail and what was written before stays; when there is
// space again writes succeed, without any help. It happens several times, with
// many writers, while a view is open.
func TestDiskFull(t *testing.T) {
	dir := smallDisk(t, "6m")
	path := filepath.Join(dir, "store.db")
	ballast := filepath.Join(dir, "ballast")
	st, err := boltstore.Open(path, boltstore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	mustWrite(t, st, put("first", []byte("1")))

	want := map[string]store.Revision{"first": 1}
	for round := range 4 {
		view := mustSnapshot(t, st)
		if err := os.WriteFile(ballast, make([]byte, 1<<20), 0o600); err != nil && !errors.Is(err, syscall.ENOSPC) {
			t.Fatal(err)
		}
		if !fill(t, st, round, want) {
			t.Fatal("the disk did not fill")
		}
		checkEntries(t, st, want)
		if e, err := view.Get([]byte("first")); err != nil || string(e.Value) != "1" {
			t.Errorf("open view reads %q, %v", e.Value, err)
		}
		if err := view.Close(); err != nil {
			t.Fatal(err)
		}
		if err := os.Remove(ballast); err != nil {
			t.Fatal(err)
		}
		key := fmt.Sprintf("relief %d", round)
		want[key] = mustWrite(t, st, put(key, make([]byte, 10_000)))
		for key := range want { // make room for the next round
			if key != "first" {
				mustWrite(t, st, store.Batch{Ops: []store.Op{{Key: []byte(key), Delete: true}}})
				delete(want, key)
			}
		}
		checkEntries(t, st, want)
		if found := st.Check(); len(found) > 0 {
			t.Errorf("check: %v", found)
		}
	}
	mustClose(t, st)
	st, err = boltstore.Open(path, boltstore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	checkEntries(t, st, want)
	mustClose(t, st)
}

// fill writes with several goroutines until each has met an error, and notes
// what was acknowledged.
func fill(t *testing.T, st store.Store, round int, want map[string]store.Revision) bool {
	t.Helper()
	var mu sync.Mutex
	var failed atomic.Int64
	var wg sync.WaitGroup
	const writers = 4
	for w := range writers {
		wg.Go(func() {
			for i := range 2000 {
				key := fmt.Sprintf("%d/%d/%d", round, w, i)
				r, err := st.Write(context.Background(), put(key, make([]byte, 30_000)))
				if err != nil {
					failed.Add(1)
					return
				}
				mu.Lock()
				want[key] = r
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	return failed.Load() == writers
}

func checkEntries(t *testing.T, st store.Store, want map[string]store.Revision) {
	t.Helper()
	v := mustSnapshot(t, st)
	defer v.Close()
	n := 0
	for e, err := range v.Scan(nil, nil) {
		if err != nil {
			t.Fatal(err)
		}
		n++
		if r, ok := want[string(e.Key)]; !ok || r != e.Revision {
			t.Errorf("store holds %s of revision %d, want %d", e.Key, e.Revision, r)
		}
	}
	if n != len(want) {
		t.Errorf("store holds %d entries, want %d", n, len(want))
	}
}

// A disk too small for a new store gives an error, and a store once there is
// space.
func TestDiskFullAtCreation(t *testing.T) {
	dir := smallDisk(t, "256k")
	ballast := filepath.Join(dir, "ballast")
	if err := os.WriteFile(ballast, make([]byte, 1<<20), 0o600); !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("filling the disk: %v", err)
	}
	path := filepath.Join(dir, "store.db")
	if st, err := boltstore.Open(path, boltstore.Options{}); err == nil {
		mustClose(t, st)
		t.Fatal("Open succeeded on a full disk")
	}
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	st, err := boltstore.Open(path, boltstore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	mustWrite(t, st, put("a", nil))
	mustClose(t, st)
}

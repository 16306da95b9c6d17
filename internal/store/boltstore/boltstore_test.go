package boltstore_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"github.com/keywright/keywright/internal/store"
	"github.com/keywright/keywright/internal/store/boltstore"
	"github.com/keywright/keywright/internal/store/storetest"
)

func TestContract(t *testing.T) {
	storetest.Run(t, func(t *testing.T) storetest.Opened {
		path := filepath.Join(t.TempDir(), "store.db")
		return storetest.Opened{
			Store:  mustOpen(t, path, boltstore.Options{}),
			Reopen: func() store.Store { return mustOpen(t, path, boltstore.Options{}) },
		}
	})
}

func TestContractInMemory(t *testing.T) {
	storetest.Run(t, func(t *testing.T) storetest.Opened {
		return storetest.Opened{Store: mustOpenMemory(t)}
	})
}

func mustOpen(t testing.TB, path string, opts boltstore.Options) *boltstore.Store {
	t.Helper()
	st, err := boltstore.Open(path, opts)
	return closeAtEnd(t, st, err)
}

func mustOpenMemory(t testing.TB) *boltstore.Store {
	t.Helper()
	st, err := boltstore.OpenMemory(boltstore.Options{})
	return closeAtEnd(t, st, err)
}

func closeAtEnd(t testing.TB, st *boltstore.Store, err error) *boltstore.Store {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { mustClose(t, st) })
	return st
}

func mustClose(t testing.TB, st store.Store) {
	t.Helper()
	if err := st.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
}

func put(key string, value []byte) store.Batch {
	return store.Batch{Ops: []store.Op{{Key: []byte(key), Value: value}}}
}

func mustWrite(t testing.TB, st store.Store, b store.Batch) store.Revision {
	t.Helper()
	r, err := st.Write(context.Background(), b)
	if err != nil {
		t.Fatalf("Write: %v", err)
	}
	return r
}

func mustSnapshot(t testing.TB, st store.Store) store.View {
	t.Helper()
	v, err := st.Snapshot(context.Background())
	if err != nil {
		t.Fatalf("Snapshot: %v", err)
	}
	return v
}

func TestFileMode(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("no file modes on Windows")
	}
	path := filepath.Join(t.TempDir(), "store.db")
	mustOpen(t, path, boltstore.Options{})
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if got := info.Mode(); got != 0o600 {
		t.Errorf("mode of the file is %v, want 0600", got)
	}
}

func TestIdentity(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store.db")
	begin := time.Now().Truncate(time.Millisecond)
	st := mustOpen(t, path, boltstore.Options{})
	id, created := st.ID(), st.Created()
	if created.Before(begin) || created.After(time.Now()) {
		t.Errorf("created at %v, want it between %v and now", created, begin)
	}
	mustClose(t, st)
	st = mustOpen(t, path, boltstore.Options{})
	if st.ID() != id || !st.Created().Equal(created) {
		t.Errorf("reopened store is %x of %v, want %x of %v", st.ID(), st.Created(), id, created)
	}
	other := mustOpen(t, filepath.Join(t.TempDir(), "store.db"), boltstore.Options{})
	if other.ID() == id {
		t.Errorf("two stores have the id %x", id)
	}
}

func TestLock(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store.db")
	st := mustOpen(t, path, boltstore.Options{})
	begin := time.Now()
	_, err := boltstore.Open(path, boltstore.Options{LockTimeout: 100 * time.Millisecond})
	if err == nil || !strings.Contains(err.Error(), "opening store "+path+": another keywright has it open") {
		t.Errorf("second Open: %v, want it to say that another has the file open", err)
	}
	if took := time.Since(begin); took > 5*time.Second {
		t.Errorf("second Open gave up after %v, want 100ms", took)
	}
	mustWrite(t, st, put("a", nil)) // the first is not disturbed
	mustClose(t, st)
	mustOpen(t, path, boltstore.Options{})
}

// What cannot be opened is refused with an error that tells why, and stays as
// it is.
func TestRefused(t *testing.T) {
	tests := []struct {
		name string
		make func(t *testing.T, path string)
		want string
	}{
		{"newer format", func(t *testing.T, path string) { setFormat(t, path, 2) }, "has format 2, this keywright knows formats up to 1"},
		{"much newer format", func(t *testing.T, path string) { setFormat(t, path, 1<<63) }, "has format 9223372036854775808"},
		{"no format", func(t *testing.T, path string) { setFormat(t, path, 0) }, "damaged"},
		{"another program's bbolt file", makeForeign, "it is no store of keywright"},
		{"text", func(t *testing.T, path string) { writeFile(t, path, bytes.Repeat([]byte("some text\n"), 10_000)) }, "damaged"},
		{"zeros", func(t *testing.T, path string) { writeFile(t, path, make([]byte, 1<<16)) }, "damaged"},
		{"short", func(t *testing.T, path string) { writeFile(t, path, []byte("x")) }, "damaged"},
		{"folder", func(t *testing.T, path string) {
			if err := os.Mkdir(path, 0o700); err != nil {
				t.Fatal(err)
			}
		}, "opening store"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "store.db")
			test.make(t, path)
			before, _ := os.ReadFile(path)
			st, err := boltstore.Open(path, boltstore.Options{})
			if err == nil {
				mustClose(t, st)
				t.Fatal("Open succeeded")
			}
			if !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), path) {
				t.Errorf("Open: %v, want it to name the file and say %q", err, test.want)
			}
			if after, _ := os.ReadFile(path); !bytes.Equal(after, before) {
				t.Error("the refused file was changed")
			}
			// Refusing leaves no lock behind.
			if _, again := boltstore.Open(path, boltstore.Options{}); again == nil || again.Error() != err.Error() {
				t.Errorf("second Open: %v, want %v", again, err)
			}
		})
	}
}

func setFormat(t *testing.T, path string, version uint64) {
	t.Helper()
	st := mustOpen(t, path, boltstore.Options{})
	mustWrite(t, st, put("a", []byte("1")))
	mustClose(t, st)
	if err := boltstore.SetFormat(path, version); err != nil {
		t.Fatal(err)
	}
}

func makeForeign(t *testing.T, path string) {
	t.Helper()
	db, err := bbolt.Open(path, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	err = db.Update(func(tx *bbolt.Tx) error {
		_, err := tx.CreateBucket([]byte("theirs"))
		return err
	})
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
}

func writeFile(t *testing.T, path string, b []byte) {
	t.Helper()
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

// A process that died right after bbolt made the file leaves one without
// buckets. It becomes a store.
func TestUnfinishedCreation(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store.db")
	db, err := bbolt.Open(path, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	st := mustOpen(t, path, boltstore.Options{})
	if r := mustWrite(t, st, put("a", nil)); r != 1 {
		t.Errorf("first revision is %d, want 1", r)
	}
}

// Batches that come while a commit runs share the next one.
func TestGroupCommit(t *testing.T) {
	release, started := make(chan struct{}), make(chan struct{})
	var commits []boltstore.Commit // appended to by the one committing goroutine
	st := mustOpen(t, filepath.Join(t.TempDir(), "store.db"), boltstore.Options{
		OnCommit: func(c boltstore.Commit) { commits = append(commits, c) },
	})
	st.CommitTx(func(tx *bbolt.Tx) error {
		if started != nil {
			close(started)
			started = nil
			<-release
		}
		return tx.Commit()
	})
	var wg sync.WaitGroup
	write := func(b store.Batch, want error) {
		wg.Go(func() {
			if _, err := st.Write(context.Background(), b); !errors.Is(err, want) {
				t.Errorf("Write: %v, want %v", err, want)
			}
		})
	}
	first := started
	write(put("first", nil), nil)
	<-first
	const n = 20
	for i := range n {
		write(put(fmt.Sprint(i), nil), nil)
	}
	conflict := put("conflict", nil)
	conflict.If = []store.Cond{{Key: []byte("conflict"), Revision: 99}}
	write(conflict, store.ErrConflict) // does not disturb the others
	time.Sleep(50 * time.Millisecond)  // until all of them wait
	close(release)
	wg.Wait()
	mustClose(t, st)
	if len(commits) != 2 || commits[0].Batches != 1 || commits[1].Batches != n+1 {
		t.Errorf("commits %+v, want one of 1 batch and one of %d", commits, n+1)
	}
	for _, c := range commits {
		if c.Err != nil || c.Duration <= 0 {
			t.Errorf("commit %+v, want no error and a duration", c)
		}
	}
}

func TestStats(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store.db")
	st := mustOpen(t, path, boltstore.Options{})
	mustWrite(t, st, put("a", make([]byte, 500_000)))
	before := st.Stats()
	v := mustSnapshot(t, st)
	mustWrite(t, st, store.Batch{Ops: []store.Op{{Key: []byte("a"), Delete: true}}})
	held := st.Stats()
	if held.PendingBytes < 500_000 {
		t.Errorf("%d bytes pending while a view sees the deleted value, want 500,000", held.PendingBytes)
	}
	if err := v.Close(); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		mustWrite(t, st, put("b", nil))
	}
	after := st.Stats()
	if after.FreeBytes < before.FreeBytes+400_000 {
		t.Errorf("%d bytes free after deleting 500,000, %d before", after.FreeBytes, before.FreeBytes)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if after.FileBytes != info.Size() || after.Revision != 5 || after.Commits != 5 {
		t.Errorf("Stats = %+v, want file of %d bytes, revision 5, 5 commits", after, info.Size())
	}
	mustClose(t, st)
	if got := st.Stats(); got != (boltstore.Stats{Commits: 5}) {
		t.Errorf("Stats of the closed store = %+v", got)
	}
}

// Space that values once took is used again: a store whose content keeps its
// size keeps its length.
func TestSpaceIsReused(t *testing.T) {
	st := mustOpenMemory(t)
	for i := range 300 {
		mustWrite(t, st, put(fmt.Sprint(i%3), make([]byte, 200_000)))
	}
	if got := st.Stats().FileBytes; got > 8<<20 {
		t.Errorf("store has %d bytes after writing 600,000 over and over", got)
	}
	if found := st.Check(); len(found) > 0 {
		t.Errorf("check: %v", found)
	}
}

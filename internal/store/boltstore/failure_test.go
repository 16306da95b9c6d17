package boltstore_test

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"go.etcd.io/bbolt"

	"github.com/keywright/keywright/internal/store"
	"github.com/keywright/keywright/internal/store/boltstore"
)

var errDisk = errors.New("disk failed")

// failOnce makes the next commit run f, and later ones succeed.
func failOnce(st *boltstore.Store, f func(*bbolt.Tx) error) {
	failed := false
	st.CommitTx(func(tx *bbolt.Tx) error {
		if failed {
			return tx.Commit()
		}
		failed = true
		return f(tx)
	})
}

// A commit that wrote nothing costs the group it held, and nothing else.
func TestCommitFailsUnwritten(t *testing.T) {
	st := mustOpen(t, filepath.Join(t.TempDir(), "store.db"), boltstore.Options{})
	mustWrite(t, st, put("a", []byte("1")))
	failOnce(st, func(tx *bbolt.Tx) error { return errors.Join(tx.Rollback(), errDisk) })
	if r, err := st.Write(context.Background(), put("a", []byte("2"))); !errors.Is(err, errDisk) || r != 0 {
		t.Errorf("Write = %d, %v, want the disk's error", r, err)
	}
	wantValue(t, st, "a", "1", 1)
	if r := mustWrite(t, st, put("a", []byte("3"))); r != 2 {
		t.Errorf("next revision is %d, want 2", r)
	}
	wantValue(t, st, "a", "3", 2)
}

// A commit whose last sync failed is not shown to anyone, and nothing is
// written until the file was opened anew.
func TestCommitFailsWritten(t *testing.T) {
	st := mustOpen(t, filepath.Join(t.TempDir(), "store.db"), boltstore.Options{})
	mustWrite(t, st, put("a", []byte("1")))
	view := mustSnapshot(t, st)
	failOnce(st, func(tx *bbolt.Tx) error { return errors.Join(tx.Commit(), errDisk) })
	if _, err := st.Write(context.Background(), put("a", []byte("2"))); !errors.Is(err, errDisk) {
		t.Errorf("Write: %v, want the disk's error", err)
	}
	if _, err := st.Snapshot(context.Background()); err == nil {
		t.Error("Snapshot succeeded while nobody knows what is on the disk")
	}
	if _, err := st.Write(context.Background(), put("b", nil)); err == nil || !strings.Contains(err.Error(), "until all open views are closed") {
		t.Errorf("Write beside an open view: %v, want it to ask for the view to be closed", err)
	}
	if e, err := view.Get([]byte("a")); err != nil || string(e.Value) != "1" {
		t.Errorf("open view reads %q, %v, want 1", e.Value, err)
	}
	if err := view.Close(); err != nil {
		t.Fatal(err)
	}

	if r := mustWrite(t, st, put("b", []byte("3"))); r != 3 {
		t.Errorf("next revision is %d, want 3: the failed commit was on the disk", r)
	}
	wantValue(t, st, "a", "2", 2)
	wantValue(t, st, "b", "3", 3)
	for _, err := range st.Watch(context.Background(), nil, 1) {
		if !errors.Is(err, store.ErrCompacted) {
			t.Errorf("Watch across the failure: %v, want ErrCompacted", err)
		}
		break
	}
	if found := st.Check(); len(found) > 0 {
		t.Errorf("check: %v", found)
	}
}

// A panic of bbolt is an error to the caller, and the file is opened anew.
func TestCommitPanics(t *testing.T) {
	st := mustOpen(t, filepath.Join(t.TempDir(), "store.db"), boltstore.Options{})
	mustWrite(t, st, put("a", []byte("1")))
	failOnce(st, func(*bbolt.Tx) error { panic("page 7 already freed") })
	if _, err := st.Write(context.Background(), put("a", []byte("2"))); err == nil || !strings.Contains(err.Error(), "page 7 already freed") {
		t.Errorf("Write: %v, want bbolt's panic as an error", err)
	}
	if r := mustWrite(t, st, put("a", []byte("3"))); r != 2 {
		t.Errorf("next revision is %d, want 2", r)
	}
	wantValue(t, st, "a", "3", 2)
}

// A store in memory that cannot go on says so, and does not start over empty.
func TestCommitFailsInMemory(t *testing.T) {
	st := mustOpenMemory(t)
	mustWrite(t, st, put("a", []byte("1")))
	failOnce(st, func(tx *bbolt.Tx) error { return errors.Join(tx.Commit(), errDisk) })
	for range 2 {
		if _, err := st.Write(context.Background(), put("a", []byte("2"))); err == nil {
			t.Error("Write succeeded")
		}
		if _, err := st.Snapshot(context.Background()); err == nil || errors.Is(err, store.ErrClosed) {
			t.Errorf("Snapshot: %v, want that the store is unavailable", err)
		}
	}
}

// A store that was closed in doubt is closed, and opens again.
func TestCloseInDoubt(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store.db")
	st := mustOpen(t, path, boltstore.Options{})
	failOnce(st, func(tx *bbolt.Tx) error { return errors.Join(tx.Commit(), errDisk) })
	if _, err := st.Write(context.Background(), put("a", []byte("1"))); err == nil {
		t.Error("Write succeeded")
	}
	mustClose(t, st)
	if _, err := st.Snapshot(context.Background()); !errors.Is(err, store.ErrClosed) {
		t.Errorf("Snapshot: %v, want ErrClosed", err)
	}
	wantValue(t, mustOpen(t, path, boltstore.Options{}), "a", "1", 1)
}

func wantValue(t *testing.T, st store.Store, key, value string, revision store.Revision) {
	t.Helper()
	v := mustSnapshot(t, st)
	defer v.Close()
	e, err := v.Get([]byte(key))
	if err != nil || string(e.Value) != value || e.Revision != revision {
		t.Errorf("Get(%q) = %q at %d, %v, want %q at %d", key, e.Value, e.Revision, err, value, revision)
	}
}

// Package storetest checks a driver of store.Store against its contract: each
// test holds the driver to sentences of the interface's comment, which it
// quotes. Every driver runs it. It does not test what a driver promises beyond
// the contract, nor what happens when a machine dies: that needs the driver's
// own means.
package storetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/keywright/keywright/internal/store"
)

// Opened is a new, empty store for one test.
type Opened struct {
	Store store.Store

	// Reopen opens the same store anew after it was closed. Where it is nil
	// the driver keeps nothing beyond Close, and what asks for it is skipped.
	Reopen func() store.Store
}

// Run checks the driver whose stores open makes. Run closes them.
func Run(t *testing.T, open func(t *testing.T) Opened) {
	tests := []struct {
		name string
		run  func(t *testing.T, o Opened)
	}{
		{"GetAndPut", testGetAndPut},
		{"Delete", testDelete},
		{"ScanOrder", testScanOrder},
		{"ScanBounds", testScanBounds},
		{"ScanStops", testScanStops},
		{"BatchIsKeptByNobody", testBatchIsKeptByNobody},
		{"Limits", testLimits},
		{"Conditions", testConditions},
		{"ConflictWritesNothing", testConflictWritesNothing},
		{"Revisions", testRevisions},
		{"RevisionsAcrossReopen", testRevisionsAcrossReopen},
		{"SnapshotIsolation", testSnapshotIsolation},
		{"LongView", testLongView},
		{"BatchesAreSeenWhole", testBatchesAreSeenWhole},
		{"ViewInManyGoroutines", testViewInManyGoroutines},
		{"ViewClose", testViewClose},
		{"CompareAndSet", testCompareAndSet},
		{"ReadYourWrites", testReadYourWrites},
		{"WatchOrder", testWatchOrder},
		{"WatchPrefix", testWatchPrefix},
		{"WatchResumes", testWatchResumes},
		{"WatchUnderConcurrentWriters", testWatchUnderConcurrentWriters},
		{"WatchThenSnapshot", testWatchThenSnapshot},
		{"WatchCompacted", testWatchCompacted},
		{"WatchSlowly", testWatchSlowly},
		{"WatchContext", testWatchContext},
		{"ContextEnded", testContextEnded},
		{"Closed", testClosed},
		{"CloseEndsCalls", testCloseEndsCalls},
		{"CloseWaitsForViews", testCloseWaitsForViews},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			o := open(t)
			t.Cleanup(func() {
				if err := o.Store.Close(); err != nil {
					t.Errorf("Close: %v", err)
				}
			})
			test.run(t, o)
		})
	}
	t.Run("Model", func(t *testing.T) { testModel(t, open) })
}

// patience is how long a test waits for what must happen soon.
const patience = 20 * time.Second

// tb is what testing.T and rapid.T share.
type tb interface {
	Helper()
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
}

func put(key, value string) store.Op { return store.Op{Key: []byte(key), Value: []byte(value)} }

func del(key string) store.Op { return store.Op{Key: []byte(key), Delete: true} }

func at(key string, r store.Revision) store.Cond { return store.Cond{Key: []byte(key), Revision: r} }

func write(t tb, st store.Store, ops ...store.Op) store.Revision {
	t.Helper()
	r, err := st.Write(context.Background(), store.Batch{Ops: ops})
	if err != nil {
		t.Fatalf("Write: %v", err)
	}
	return r
}

func snapshot(t tb, st store.Store) store.View {
	t.Helper()
	v, err := st.Snapshot(context.Background())
	if err != nil {
		t.Fatalf("Snapshot: %v", err)
	}
	return v
}

func closeView(t tb, v store.View) {
	t.Helper()
	if err := v.Close(); err != nil {
		t.Errorf("closing view: %v", err)
	}
}

// wantEntry checks one key of a view; revision 0 means that it is absent.
func wantEntry(t tb, v store.View, key, value string, revision store.Revision) {
	t.Helper()
	e, err := v.Get([]byte(key))
	if revision == 0 {
		if !errors.Is(err, store.ErrNotFound) {
			t.Errorf("Get(%q) = %q, %v, want ErrNotFound", key, e.Value, err)
		}
		return
	}
	if err != nil {
		t.Errorf("Get(%q): %v", key, err)
		return
	}
	if string(e.Key) != key || string(e.Value) != value || e.Revision != revision {
		t.Errorf("Get(%q) = %q %q at %d, want value %q at %d", key, e.Key, e.Value, e.Revision, value, revision)
	}
}

// scan returns the entries of a range, copied, as text.
func scan(t tb, v store.View, from, to []byte) []string {
	t.Helper()
	var got []string
	for e, err := range v.Scan(from, to) {
		if err != nil {
			t.Fatalf("Scan(%q, %q): %v", from, to, err)
		}
		got = append(got, fmt.Sprintf("%s=%s@%d", e.Key, e.Value, e.Revision))
	}
	return got
}

func text(e store.Event) string {
	if e.Deleted {
		if e.Value != nil {
			return fmt.Sprintf("%s deleted with value %q", e.Key, e.Value)
		}
		return fmt.Sprintf("%s deleted@%d", e.Key, e.Revision)
	}
	return fmt.Sprintf("%s=%s@%d", e.Key, e.Value, e.Revision)
}

// watch reads n events, and returns them and the error that ended it early.
func watch(st store.Store, prefix string, after store.Revision, n int) (got []string, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for e, err := range st.Watch(ctx, []byte(prefix), after) {
		if err != nil {
			return got, err
		}
		if got = append(got, text(e)); len(got) == n {
			break
		}
	}
	return got, nil
}

func numbered(prefix string, n int) []byte {
	return fmt.Appendf(nil, "%s%06d", prefix, n)
}

func large(n int) []byte { return bytes.Repeat([]byte{'v'}, n) }

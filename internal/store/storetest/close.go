package storetest

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/keywright/keywright/internal/store"
)

// "later calls with ErrClosed. [...] Closing twice is no error."
func testClosed(t *testing.T, o Opened) {
	ctx := context.Background()
	write(t, o.Store, put("a", "1"))
	for range 2 {
		if err := o.Store.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := o.Store.Write(ctx, store.Batch{Ops: []store.Op{put("a", "2")}}); !errors.Is(err, store.ErrClosed) {
		t.Errorf("Write: %v, want ErrClosed", err)
	}
	if _, err := o.Store.Snapshot(ctx); !errors.Is(err, store.ErrClosed) {
		t.Errorf("Snapshot: %v, want ErrClosed", err)
	}
	wantEnd(t, o.Store.Watch(ctx, nil, 0), store.ErrClosed)
	if o.Reopen == nil {
		return
	}
	st := o.Reopen()
	v := snapshot(t, st)
	wantEntry(t, v, "a", "1", 1)
	closeView(t, v)
	if err := st.Close(); err != nil {
		t.Error(err)
	}
}

// "calls under way end with ErrClosed, or as they would have ended": and a
// Write that returned nil is in the store.
func testCloseEndsCalls(t *testing.T, o Opened) {
	ctx := context.Background()
	r := write(t, o.Store, put("a", "1"))
	var wg sync.WaitGroup
	wg.Go(func() { wantEnd(t, o.Store.Watch(ctx, nil, r+1_000_000), store.ErrClosed) })
	var last [8]store.Revision
	for w := range last {
		wg.Go(func() {
			for {
				rev, err := o.Store.Write(ctx, store.Batch{Ops: []store.Op{{Key: numbered("w", w)}}})
				if err != nil {
					if !errors.Is(err, store.ErrClosed) {
						t.Errorf("Write while closing: %v, want ErrClosed", err)
					}
					return
				}
				last[w] = rev
			}
		})
	}
	time.Sleep(20 * time.Millisecond)
	if err := o.Store.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
	wg.Wait()
	if o.Reopen == nil {
		return
	}
	st := o.Reopen()
	v := snapshot(t, st)
	for w, rev := range last {
		wantEntry(t, v, string(numbered("w", w)), "", rev)
	}
	closeView(t, v)
	if err := st.Close(); err != nil {
		t.Error(err)
	}
}

// "It waits for open views to be closed."
func testCloseWaitsForViews(t *testing.T, o Opened) {
	r := write(t, o.Store, put("a", "1"))
	v := snapshot(t, o.Store)
	closed := make(chan error, 1)
	go func() { closed <- o.Store.Close() }()
	select {
	case err := <-closed:
		t.Errorf("Close returned %v beside an open view", err)
	case <-time.After(20 * time.Millisecond):
	}
	wantEntry(t, v, "a", "1", r)
	closeView(t, v)
	select {
	case err := <-closed:
		if err != nil {
			t.Errorf("Close: %v", err)
		}
	case <-time.After(patience):
		t.Fatal("Close does not return when the last view is closed")
	}
}

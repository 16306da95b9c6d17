package storetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/keywright/keywright/internal/store"
)

// "Watch yields, in order of revision, every change [...] Changes of one commit
// come in the order of its Ops. [...] removing an absent key is no change."
func testWatchOrder(t *testing.T, o Opened) {
	write(t, o.Store, put("b", "1"), put("a", "1"))
	write(t, o.Store, del("absent"))
	write(t, o.Store, put("c", "3"), del("b"), put("a", ""))
	write(t, o.Store, put("b", "4"), del("absent"))
	want := []string{"b=1@1", "a=1@1", "c=3@3", "b deleted@3", "a=@3", "b=4@4"}
	for after, skip := range map[store.Revision]int{0: 0, 1: 2, 2: 2, 3: 5} {
		got, err := watch(o.Store, "", after, len(want)-skip)
		if err != nil || !slices.Equal(got, want[skip:]) {
			t.Errorf("Watch after %d yields %q, %v, want %q", after, got, err, want[skip:])
		}
	}
}

// "every change under prefix".
func testWatchPrefix(t *testing.T, o Opened) {
	write(t, o.Store, put("a", "1"), put("a/x", "1"), put("a/y", "1"), put("b/x", "1"), put("a0", "1"))
	write(t, o.Store, put("b", "2"))
	write(t, o.Store, del("a/x"), del("a"))
	want := []string{"a/x=1@1", "a/y=1@1", "a/x deleted@3"}
	prefix := []byte("a/")
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	seq := o.Store.Watch(ctx, prefix, 0)
	copy(prefix, "zz") // the store has kept none of it
	for range 2 {      // and each range starts anew
		var got []string
		for e, err := range seq {
			if err != nil {
				t.Fatal(err)
			}
			if got = append(got, text(e)); len(got) == len(want) {
				break
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("Watch of a/ yields %q, want %q", got, want)
		}
	}
}

// "committed after the given revision, then waits for more": a watch from the
// newest revision, and one from a revision still to come, get just what follows.
func testWatchResumes(t *testing.T, o Opened) {
	r := write(t, o.Store, put("a", "1"))
	type result struct {
		got []string
		err error
	}
	results := map[store.Revision]chan result{r: make(chan result), r + 2: make(chan result)}
	for after, ch := range results {
		go func() {
			got, err := watch(o.Store, "", after, 2)
			ch <- result{got, err}
		}()
	}
	for i := range 4 {
		time.Sleep(5 * time.Millisecond) // let the watchers wait
		write(t, o.Store, put("a", fmt.Sprint(i+2)))
	}
	for after, ch := range results {
		res := <-ch
		want := []string{fmt.Sprintf("a=%d@%d", after+1, after+1), fmt.Sprintf("a=%d@%d", after+2, after+2)}
		if res.err != nil || !slices.Equal(res.got, want) {
			t.Errorf("Watch after %d yields %q, %v, want %q", after, res.got, res.err, want)
		}
	}
}

// "No change is skipped and none is repeated."
func testWatchUnderConcurrentWriters(t *testing.T, o Opened) {
	const writers, each, watchers = 8, 40, 4
	var wg sync.WaitGroup
	for range watchers {
		wg.Go(func() {
			ctx, cancel := context.WithTimeout(context.Background(), patience)
			defer cancel()
			last := store.Revision(0)
			perKey := map[string]int{}
			for e, err := range o.Store.Watch(ctx, nil, 0) {
				if err != nil {
					t.Errorf("Watch after %d: %v", last, err)
					return
				}
				if e.Revision != last+1 {
					t.Errorf("Watch yields revision %d after %d", e.Revision, last)
				}
				last = e.Revision
				if want := string(numbered("v", perKey[string(e.Key)])); string(e.Value) != want {
					t.Errorf("Watch yields %s of %s, want %s", e.Value, e.Key, want)
				}
				perKey[string(e.Key)]++
				if last == writers*each {
					return
				}
			}
		})
	}
	for w := range writers {
		wg.Go(func() {
			for i := range each {
				if _, err := o.Store.Write(context.Background(), store.Batch{Ops: []store.Op{
					{Key: numbered("k", w), Value: numbered("v", i)},
				}}); err != nil {
					t.Errorf("Write: %v", err)
				}
			}
		})
	}
	wg.Wait()
}

// "and so is every Event that a Watch yielded before it": what was watched can
// be read.
func testWatchThenSnapshot(t *testing.T, o Opened) {
	const n = 100
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() {
		for i := range n {
			if _, err := o.Store.Write(context.Background(), store.Batch{Ops: []store.Op{
				{Key: []byte("k"), Value: numbered("", i)},
			}}); err != nil {
				t.Errorf("Write: %v", err)
			}
		}
	})
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for e, err := range o.Store.Watch(ctx, nil, 0) {
		if err != nil {
			t.Fatal(err)
		}
		v := snapshot(t, o.Store)
		if v.Revision() < e.Revision {
			t.Errorf("view of revision %d after an event of %d", v.Revision(), e.Revision)
		}
		closeView(t, v)
		if e.Revision == n {
			return
		}
	}
}

// "ErrCompacted where that cannot be promised (the commits are too old": a
// driver may hold as much as it likes, so this writes until one is gone. A
// driver that holds this much and more is not at fault.
func testWatchCompacted(t *testing.T, o Opened) {
	const mebibytes = 24
	value := large(store.MaxBatchBytes - 1)
	for range mebibytes {
		if _, err := o.Store.Write(context.Background(), store.Batch{Ops: []store.Op{{Key: []byte("k"), Value: value}}}); err != nil {
			t.Fatal(err)
		}
	}
	got, err := watch(o.Store, "", 0, mebibytes)
	if err == nil && len(got) == mebibytes {
		t.Skip("this driver holds more commits than the test makes")
	}
	if !errors.Is(err, store.ErrCompacted) || len(got) != 0 {
		t.Errorf("Watch after 0 yields %d events, %v, want ErrCompacted at once", len(got), err)
	}
	// "The caller takes a Snapshot, reads what it needs, and watches from
	// there."
	v := snapshot(t, o.Store)
	r := v.Revision()
	closeView(t, v)
	write(t, o.Store, put("next", ""))
	if got, err := watch(o.Store, "", r, 1); err != nil || got[0] != fmt.Sprintf("next=@%d", r+1) {
		t.Errorf("Watch after %d yields %q, %v", r, got, err)
	}
}

// "or the caller read too slowly: a watcher never holds up a Write".
func testWatchSlowly(t *testing.T, o Opened) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	write(t, o.Store, put("first", ""))
	value := large(store.MaxBatchBytes - 1)
	last := store.Revision(0)
	var end error
	for e, err := range o.Store.Watch(ctx, nil, 0) {
		if err != nil {
			end = err
			break
		}
		if e.Revision != last+1 {
			t.Fatalf("Watch yields revision %d after %d", e.Revision, last)
		}
		if last = e.Revision; last > 1 {
			break // the driver holds more than the test writes
		}
		for range 24 { // while this watcher is busy
			if _, err := o.Store.Write(ctx, store.Batch{Ops: []store.Op{{Key: []byte("k"), Value: value}}}); err != nil {
				t.Fatalf("Write beside a slow watcher: %v", err)
			}
		}
	}
	if end != nil && !errors.Is(end, store.ErrCompacted) {
		t.Errorf("Watch ended with %v, want ErrCompacted", end)
	}
}

// testWatchAfterReopen: a driver that forgets what was before says so, and has
// no gap at the revision it was opened at.
func testWatchAfterReopen(t *testing.T, st store.Store, opened store.Revision) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	for e, err := range st.Watch(ctx, nil, opened) {
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Watch after the newest revision %d yields %s, %v, want it to wait", opened, text(e), err)
		}
	}
	for e, err := range st.Watch(ctx, nil, opened-2) {
		if err == nil && e.Revision == opened-1 {
			break // the driver remembers
		}
		if !errors.Is(err, store.ErrCompacted) && !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Watch after %d yields %s, %v", opened-2, text(e), err)
		}
	}
}

// "It ends with an error, yielded once with a zero Event: [...] ctx's error".
func testWatchContext(t *testing.T, o Opened) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	r := write(t, o.Store, put("a", "1"))
	time.AfterFunc(10*time.Millisecond, cancel)
	wantEnd(t, o.Store.Watch(ctx, nil, r), context.Canceled)

	// Also where there is something to yield.
	wantEnd(t, o.Store.Watch(ctx, nil, r-1), context.Canceled)
}

func wantEnd(t *testing.T, seq func(func(store.Event, error) bool), want error) {
	t.Helper()
	n := 0
	for e, err := range seq {
		if n++; !errors.Is(err, want) || e.Key != nil || e.Revision != 0 {
			t.Errorf("Watch yields %s, %v, want a zero Event and %v", text(e), err, want)
		}
	}
	if n != 1 {
		t.Errorf("Watch yields %d times at its end, want once", n)
	}
}

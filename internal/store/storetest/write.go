package storetest

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/keywright/keywright/internal/store"
)

// "It keeps nothing of the batch."
func testBatchIsKeptByNobody(t *testing.T, o Opened) {
	key, value := []byte("key"), []byte("value")
	r, err := o.Store.Write(context.Background(), store.Batch{Ops: []store.Op{{Key: key, Value: value}}})
	if err != nil {
		t.Fatal(err)
	}
	copy(key, "xxx")
	copy(value, "xxxxx")
	v := snapshot(t, o.Store)
	defer closeView(t, v)
	wantEntry(t, v, "key", "value", r)
	got, err := watch(o.Store, "", r-1, 1)
	if err != nil || got[0] != "key=value@1" {
		t.Errorf("Watch yields %q, %v, want the batch as it was written", got, err)
	}
}

// "Limits that hold on every driver, so that a batch which one accepts is
// accepted by all."
func testLimits(t *testing.T, o Opened) {
	manyOps := func(n int) (ops []store.Op) {
		for i := range n {
			ops = append(ops, store.Op{Key: numbered("many", i)})
		}
		return ops
	}
	manyConds := func(n int) (conds []store.Cond) {
		for i := range n {
			conds = append(conds, store.Cond{Key: numbered("absent", i)})
		}
		return conds
	}
	key := strings.Repeat("k", store.MaxKeyBytes)
	tests := []struct {
		name  string
		batch store.Batch
		ok    bool
	}{
		{"no ops", store.Batch{}, false},
		{"conditions only", store.Batch{If: manyConds(1)}, false},
		{"empty key", store.Batch{Ops: []store.Op{put("", "v")}}, false},
		{"empty key in a delete", store.Batch{Ops: []store.Op{del("")}}, false},
		{"empty key in a condition", store.Batch{If: []store.Cond{at("", 0)}, Ops: []store.Op{put("k", "v")}}, false},
		{"same key twice", store.Batch{Ops: []store.Op{put("k", "v"), put("l", "v"), put("k", "w")}}, false},
		{"put and delete of a key", store.Batch{Ops: []store.Op{put("k", "v"), del("k")}}, false},
		{"delete with a value", store.Batch{Ops: []store.Op{{Key: []byte("k"), Value: []byte("v"), Delete: true}}}, false},
		{"longest key", store.Batch{Ops: []store.Op{put(key, "v")}}, true},
		{"key too long", store.Batch{Ops: []store.Op{put(key+"k", "v")}}, false},
		{"key too long in a condition", store.Batch{If: []store.Cond{at(key+"k", 0)}, Ops: []store.Op{put("k", "v")}}, false},
		{"most ops", store.Batch{Ops: manyOps(store.MaxBatchOps)}, true},
		{"too many ops", store.Batch{Ops: manyOps(store.MaxBatchOps + 1)}, false},
		{"most ops and conditions", store.Batch{If: manyConds(store.MaxBatchOps - 1), Ops: manyOps(1)}, true},
		{"too many ops and conditions", store.Batch{If: manyConds(store.MaxBatchOps - 1), Ops: manyOps(2)}, false},
		{"most bytes", store.Batch{Ops: []store.Op{{Key: []byte("1234"), Value: large(store.MaxBatchBytes - 4)}}}, true},
		{"most bytes in two ops", store.Batch{Ops: []store.Op{
			{Key: []byte("1"), Value: large(store.MaxBatchBytes/2 - 1)}, {Key: []byte("2"), Value: large(store.MaxBatchBytes/2 - 1)},
		}}, true},
		{"too many bytes", store.Batch{Ops: []store.Op{{Key: []byte("1234"), Value: large(store.MaxBatchBytes - 3)}}}, false},
		{"too many bytes with a condition", store.Batch{If: []store.Cond{at("5", 0)}, Ops: []store.Op{
			{Key: []byte("1234"), Value: large(store.MaxBatchBytes - 4)},
		}}, false},
	}
	last := store.Revision(0)
	for _, test := range tests {
		r, err := o.Store.Write(context.Background(), test.batch)
		if test.ok {
			last++
			if err != nil || r != last {
				t.Errorf("%s: Write = %d, %v, want %d", test.name, r, err, last)
			}
			continue
		}
		if err == nil || errors.Is(err, store.ErrConflict) || r != 0 {
			t.Errorf("%s: Write = %d, %v, want it refused", test.name, r, err)
		}
		v := snapshot(t, o.Store)
		if got := v.Revision(); got != last {
			t.Errorf("%s: refused, but the store is at %d, want %d", test.name, got, last)
		}
		closeView(t, v)
	}
	v := snapshot(t, o.Store)
	defer closeView(t, v)
	e, err := v.Get([]byte("1234"))
	if err != nil || len(e.Value) != store.MaxBatchBytes-4 {
		t.Errorf("largest value: %d bytes, %v", len(e.Value), err)
	}
	if _, err := v.Get([]byte(key + "k")); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("Get of a key too long to exist: %v, want ErrNotFound", err)
	}
}

// "the key's current revision must be this one; zero demands that the key is
// absent."
func testConditions(t *testing.T, o Opened) {
	ctx := context.Background()
	r1 := write(t, o.Store, put("a", "1"), put("b", "1"))
	r2 := write(t, o.Store, put("b", "2"))
	r3 := write(t, o.Store, put("gone", "3"))
	r4 := write(t, o.Store, del("gone"))
	tests := []struct {
		name  string
		conds []store.Cond
		ok    bool
	}{
		{"absent, is", []store.Cond{at("c", 0)}, true},
		{"absent, is not", []store.Cond{at("a", 0)}, false},
		{"absent, was deleted", []store.Cond{at("gone", 0)}, true},
		{"revision", []store.Cond{at("a", r1)}, true},
		{"revision too old", []store.Cond{at("b", r1)}, false},
		{"revision too new", []store.Cond{at("a", r2)}, false},
		{"revision of an absent key", []store.Cond{at("c", r1)}, false},
		{"revision before the delete", []store.Cond{at("gone", r3)}, false},
		{"revision of the delete", []store.Cond{at("gone", r4)}, false},
		{"revision that never was", []store.Cond{at("a", 1<<62)}, false},
		{"all hold", []store.Cond{at("a", r1), at("b", r2), at("c", 0)}, true},
		{"last does not hold", []store.Cond{at("a", r1), at("b", r2), at("a", 0)}, false},
		{"first does not hold", []store.Cond{at("b", 0), at("a", r1)}, false},
	}
	for _, test := range tests {
		_, err := o.Store.Write(ctx, store.Batch{If: test.conds, Ops: []store.Op{put("probe", test.name)}})
		if test.ok && err != nil {
			t.Errorf("%s: %v", test.name, err)
		}
		if !test.ok && !errors.Is(err, store.ErrConflict) {
			t.Errorf("%s: %v, want ErrConflict", test.name, err)
		}
	}
	// A condition may be on a key that the batch writes, or on another.
	r, err := o.Store.Write(ctx, store.Batch{If: []store.Cond{at("a", r1)}, Ops: []store.Op{put("a", "9")}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := o.Store.Write(ctx, store.Batch{If: []store.Cond{at("a", r1)}, Ops: []store.Op{put("a", "10")}}); !errors.Is(err, store.ErrConflict) {
		t.Errorf("writing over revision %d once more: %v, want ErrConflict", r1, err)
	}
	if _, err := o.Store.Write(ctx, store.Batch{If: []store.Cond{at("a", r)}, Ops: []store.Op{del("a")}}); err != nil {
		t.Errorf("deleting at revision %d: %v", r, err)
	}
}

// "On ErrConflict nothing was written."
func testConflictWritesNothing(t *testing.T, o Opened) {
	r := write(t, o.Store, put("a", "1"), put("b", "1"))
	got, err := o.Store.Write(context.Background(), store.Batch{
		If:  []store.Cond{at("a", r), at("b", 0)},
		Ops: []store.Op{put("a", "2"), del("b"), put("c", "2")},
	})
	if !errors.Is(err, store.ErrConflict) || got != 0 {
		t.Fatalf("Write = %d, %v, want ErrConflict", got, err)
	}
	v := snapshot(t, o.Store)
	defer closeView(t, v)
	if got := v.Revision(); got != r {
		t.Errorf("store is at %d after a conflict, want %d", got, r)
	}
	wantEntry(t, v, "a", "1", r)
	wantEntry(t, v, "b", "1", r)
	wantEntry(t, v, "c", "", 0)
}

// "the first is 1, each is one more than the last, and none is ever used
// twice".
func testRevisions(t *testing.T, o Opened) {
	v := snapshot(t, o.Store)
	if got := v.Revision(); got != 0 {
		t.Errorf("an empty store is at %d, want 0", got)
	}
	closeView(t, v)
	const writers, each = 16, 25
	revisions := make(chan store.Revision, writers*each)
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			last := store.Revision(0)
			for i := range each {
				r, err := o.Store.Write(context.Background(), store.Batch{Ops: []store.Op{
					{Key: numbered("k", w), Value: numbered("v", i)},
				}})
				if err != nil || r <= last {
					t.Errorf("Write = %d, %v after %d", r, err, last)
				}
				last = r
				revisions <- r
			}
		})
	}
	wg.Wait()
	close(revisions)
	seen := map[store.Revision]bool{}
	for r := range revisions {
		if r < 1 || r > writers*each || seen[r] {
			t.Errorf("revision %d is outside 1 to %d or used twice", r, writers*each)
		}
		seen[r] = true
	}
}

// "none is ever used twice, restarts included"; "Writes that had returned
// stay".
func testRevisionsAcrossReopen(t *testing.T, o Opened) {
	if o.Reopen == nil {
		t.Skip("this driver keeps nothing beyond Close")
	}
	st := o.Store
	want := store.Revision(0)
	for i := range 4 {
		for range 3 {
			want++
			if got := write(t, st, put(strconv.Itoa(i), "v"), put("last", strconv.Itoa(int(want)))); got != want {
				t.Errorf("Write = %d, want %d", got, want)
			}
		}
		want++
		write(t, st, del("last")) // the newest commit leaves no entry behind
		if err := st.Close(); err != nil {
			t.Fatal(err)
		}
		st = o.Reopen()
		v := snapshot(t, st)
		if got := v.Revision(); got != want {
			t.Errorf("store reopened at %d, want %d", got, want)
		}
		if got := scan(t, v, nil, nil); len(got) != i+1 {
			t.Errorf("store reopened with %q", got)
		}
		wantEntry(t, v, strconv.Itoa(i), "v", want-1)
		closeView(t, v)
		testWatchAfterReopen(t, st, want)
	}
	if err := st.Close(); err != nil {
		t.Error(err)
	}
}

// Sixteen goroutines count with compare-and-set: every success must have seen
// the one before.
func testCompareAndSet(t *testing.T, o Opened) {
	const workers, each = 16, 20
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for range each {
				increment(t, o.Store)
			}
		})
	}
	wg.Wait()
	v := snapshot(t, o.Store)
	defer closeView(t, v)
	e, err := v.Get([]byte("counter"))
	if err != nil || string(e.Value) != strconv.Itoa(workers*each) {
		t.Errorf("counter is %q, %v, want %d", e.Value, err, workers*each)
	}
	if got := v.Revision(); got != workers*each {
		t.Errorf("store is at %d, want %d: conflicts are no commits", got, workers*each)
	}
}

func increment(t tb, st store.Store) {
	for {
		v := snapshot(t, st)
		n := 0
		e, err := v.Get([]byte("counter"))
		if err == nil {
			n, err = strconv.Atoi(string(e.Value))
		} else if errors.Is(err, store.ErrNotFound) {
			err = nil
		}
		closeView(t, v)
		if err != nil {
			t.Errorf("reading counter: %v", err)
			return
		}
		_, err = st.Write(context.Background(), store.Batch{
			If:  []store.Cond{at("counter", e.Revision)},
			Ops: []store.Op{put("counter", strconv.Itoa(n+1))},
		})
		if errors.Is(err, store.ErrConflict) {
			continue
		}
		if err != nil {
			t.Errorf("Write: %v", err)
		}
		return
	}
}

// A call whose context has ended returns its error and does nothing.
func testContextEnded(t *testing.T, o Opened) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := o.Store.Write(ctx, store.Batch{Ops: []store.Op{put("a", "1")}}); !errors.Is(err, context.Canceled) {
		t.Errorf("Write: %v, want context.Canceled", err)
	}
	if _, err := o.Store.Snapshot(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Snapshot: %v, want context.Canceled", err)
	}
	v := snapshot(t, o.Store)
	defer closeView(t, v)
	wantEntry(t, v, "a", "", 0)
}

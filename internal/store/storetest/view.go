package storetest

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/keywright/keywright/internal/store"
)

// "Get returns the entry under key, or ErrNotFound."
func testGetAndPut(t *testing.T, o Opened) {
	v := snapshot(t, o.Store)
	wantEntry(t, v, "a", "", 0)
	if _, err := v.Get(nil); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("Get(nil): %v, want ErrNotFound", err)
	}
	if got := scan(t, v, nil, nil); len(got) != 0 {
		t.Errorf("Scan of an empty store: %q", got)
	}
	closeView(t, v)

	r := write(t, o.Store, put("a", "1"), put("b", ""), store.Op{Key: []byte("c")}, put("d\x00", "zero"))
	v = snapshot(t, o.Store)
	defer closeView(t, v)
	wantEntry(t, v, "a", "1", r)
	wantEntry(t, v, "b", "", r) // "A Value may be empty; empty and nil are the same."
	wantEntry(t, v, "c", "", r)
	wantEntry(t, v, "d\x00", "zero", r)
	wantEntry(t, v, "d", "", 0)
	wantEntry(t, v, "aa", "", 0)
	wantEntry(t, v, "e", "", 0)
	if got := v.Revision(); got != r {
		t.Errorf("Revision of view = %d, want %d", got, r)
	}
}

// "Removing an absent key is no error."
func testDelete(t *testing.T, o Opened) {
	write(t, o.Store, put("a", "1"), put("b", "1"))
	write(t, o.Store, del("a"), del("absent"))
	r := write(t, o.Store, del("a"))
	v := snapshot(t, o.Store)
	wantEntry(t, v, "a", "", 0)
	if got := v.Revision(); got != r {
		t.Errorf("Revision = %d, want %d: a batch that changes nothing is a commit", got, r)
	}
	closeView(t, v)

	r = write(t, o.Store, put("a", "2"))
	v = snapshot(t, o.Store)
	defer closeView(t, v)
	wantEntry(t, v, "a", "2", r)
}

// "Keys sort as bytes."
func testScanOrder(t *testing.T, o Opened) {
	keys := []string{"\x00", "\x00\x00", "A", "a", "a\x00", "a/", "aa", "b", "\x7f", "\x80", "é", "\xff", "\xff\xff"}
	ops := make([]store.Op, 0, len(keys))
	for _, k := range slices.Backward(keys) {
		ops = append(ops, put(k, "v"))
	}
	r := write(t, o.Store, ops...)
	want := slices.Clone(keys)
	slices.SortFunc(want, func(a, b string) int { return bytes.Compare([]byte(a), []byte(b)) })

	v := snapshot(t, o.Store)
	defer closeView(t, v)
	var got []string
	for e, err := range v.Scan(nil, nil) {
		if err != nil {
			t.Fatal(err)
		}
		if string(e.Value) != "v" || e.Revision != r {
			t.Errorf("Scan yields %q with %q at %d, want v at %d", e.Key, e.Value, e.Revision, r)
		}
		got = append(got, string(e.Key))
	}
	if !slices.Equal(got, want) {
		t.Errorf("Scan yields %q, want %q", got, want)
	}
}

// "Scan yields the entries with from <= key < to in order of key; a nil or
// empty to means no upper bound."
func testScanBounds(t *testing.T, o Opened) {
	write(t, o.Store, put("a", ""), put("b", ""), put("b/1", ""), put("b/2", ""), put("c", ""), put("\xff", ""))
	v := snapshot(t, o.Store)
	defer closeView(t, v)
	tests := []struct {
		from, to string
		want     []string
	}{
		{"", "", []string{"a", "b", "b/1", "b/2", "c", "\xff"}},
		{"b", "", []string{"b", "b/1", "b/2", "c", "\xff"}},
		{"b", "b", nil},
		{"b", "b/2", []string{"b", "b/1"}},
		{"b/", string(store.PrefixEnd([]byte("b/"))), []string{"b/1", "b/2"}},
		{"\xff", string(store.PrefixEnd([]byte("\xff"))), []string{"\xff"}},
		{"aa", "bb", []string{"b", "b/1", "b/2"}},
		{"c", "a", nil},
		{"d", "e", nil},
		{"\xff\xff", "", nil},
	}
	for _, test := range tests {
		var got []string
		for e, err := range v.Scan([]byte(test.from), []byte(test.to)) {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, string(e.Key))
		}
		if !slices.Equal(got, test.want) {
			t.Errorf("Scan(%q, %q) = %q, want %q", test.from, test.to, got, test.want)
		}
	}
}

// A scan may be left at any entry, used twice, and run beside another.
func testScanStops(t *testing.T, o Opened) {
	write(t, o.Store, put("a", ""), put("b", ""), put("c", ""))
	v := snapshot(t, o.Store)
	defer closeView(t, v)
	seq := v.Scan(nil, nil)
	for range 2 {
		var got []byte
		for e := range seq {
			got = append(got, e.Key...)
			for inner := range seq {
				got = append(got, inner.Key...)
			}
			if string(e.Key) == "b" {
				break
			}
		}
		if string(got) != "aabcbabc" {
			t.Errorf("nested scans yield %q, want %q", got, "aabcbabc")
		}
	}
}

// "Snapshot returns an immutable view of the store at its newest revision."
func testSnapshotIsolation(t *testing.T, o Opened) {
	r1 := write(t, o.Store, put("a", "1"), put("b", "1"))
	old := snapshot(t, o.Store)
	defer closeView(t, old)
	a, err := old.Get([]byte("a"))
	if err != nil {
		t.Fatal(err)
	}
	r2 := write(t, o.Store, put("a", "2"), del("b"), put("c", "2"))
	r3 := write(t, o.Store, put("a", "3"))

	wantEntry(t, old, "a", "1", r1)
	wantEntry(t, old, "b", "1", r1)
	wantEntry(t, old, "c", "", 0)
	if got := scan(t, old, nil, nil); len(got) != 2 {
		t.Errorf("Scan of the old view: %q", got)
	}
	if got := old.Revision(); got != r1 {
		t.Errorf("Revision of the old view = %d, want %d", got, r1)
	}
	if string(a.Value) != "1" || string(a.Key) != "a" {
		t.Errorf("entry read before has become %q %q", a.Key, a.Value)
	}
	v := snapshot(t, o.Store)
	defer closeView(t, v)
	wantEntry(t, v, "a", "3", r3)
	wantEntry(t, v, "b", "", 0)
	wantEntry(t, v, "c", "2", r2)
}

// "An open view holds up no Write and no other Snapshot". The store grows a
// great deal under an open view, so that a driver that must move its data to
// grow shows it.
func testLongView(t *testing.T, o Opened) {
	r1 := write(t, o.Store, put("a", "1"))
	old := snapshot(t, o.Store)
	defer closeView(t, old)
	done := make(chan struct{})
	go func() {
		defer close(done)
		value := large(500_000)
		for i := range 60 {
			if _, err := o.Store.Write(context.Background(), store.Batch{Ops: []store.Op{{Key: numbered("k", i%20), Value: value}, put("a", "2")}}); err != nil {
				t.Errorf("Write: %v", err)
				return
			}
			v, err := o.Store.Snapshot(context.Background())
			if err != nil {
				t.Errorf("Snapshot: %v", err)
				return
			}
			if err := v.Close(); err != nil {
				t.Errorf("closing view: %v", err)
			}
		}
	}()
	select {
	case <-done:
	case <-time.After(patience):
		t.Error("writes do not go on while a view is open")
	}
	wantEntry(t, old, "a", "1", r1)
	if got := scan(t, old, nil, nil); len(got) != 1 {
		t.Errorf("old view has %d entries, want 1", len(got))
	}
}

// "a Write is in it whole or not at all": writers move money between accounts,
// and no view may see it on its way.
func testBatchesAreSeenWhole(t *testing.T, o Opened) {
	const accounts = 4
	ops := make([]store.Op, accounts)
	for i := range ops {
		ops[i] = store.Op{Key: numbered("account", i), Value: []byte{100}}
	}
	write(t, o.Store, ops...)
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			for n := w; ; n++ {
				select {
				case <-stop:
					return
				default:
					transfer(t, o.Store, numbered("account", n%accounts), numbered("account", (n+1+w%2)%accounts))
				}
			}
		})
	}
	for range 300 {
		v := snapshot(t, o.Store)
		sum, newest := 0, store.Revision(0)
		for e, err := range v.Scan(nil, nil) {
			if err != nil {
				t.Fatal(err)
			}
			sum += int(e.Value[0])
			newest = max(newest, e.Revision)
		}
		if sum != 100*accounts {
			t.Errorf("view at %d: accounts hold %d, want %d", v.Revision(), sum, 100*accounts)
		}
		if newest != v.Revision() {
			t.Errorf("newest entry is of revision %d, the view of %d", newest, v.Revision())
		}
		closeView(t, v)
	}
	close(stop)
	wg.Wait()
}

// transfer moves one unit; a conflict with another transfer is fine.
func transfer(t tb, st store.Store, from, to []byte) {
	v := snapshot(t, st)
	a, errA := v.Get(from)
	b, errB := v.Get(to)
	if errA != nil || errB != nil {
		t.Errorf("reading accounts: %v, %v", errA, errB)
		closeView(t, v)
		return
	}
	batch := store.Batch{
		If: []store.Cond{{Key: from, Revision: a.Revision}, {Key: to, Revision: b.Revision}},
	}
	if a.Value[0] > 0 && b.Value[0] < 255 {
		batch.Ops = []store.Op{{Key: from, Value: []byte{a.Value[0] - 1}}, {Key: to, Value: []byte{b.Value[0] + 1}}}
	}
	closeView(t, v)
	if batch.Ops == nil {
		return
	}
	if _, err := st.Write(context.Background(), batch); err != nil && !errors.Is(err, store.ErrConflict) {
		t.Errorf("Write: %v", err)
	}
}

// "It may be used from several goroutines."
func testViewInManyGoroutines(t *testing.T, o Opened) {
	ops := make([]store.Op, 100)
	for i := range ops {
		ops[i] = store.Op{Key: numbered("k", i), Value: numbered("v", i)}
	}
	r := write(t, o.Store, ops...)
	v := snapshot(t, o.Store)
	defer closeView(t, v)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for i := range 100 {
				wantEntry(t, v, string(numbered("k", i)), string(numbered("v", i)), r)
			}
			if got := scan(t, v, nil, nil); len(got) != 100 {
				t.Errorf("Scan yields %d entries, want 100", len(got))
			}
		})
	}
	wg.Wait()
}

// "Closing twice is no error; reading from a closed view is an error."
func testViewClose(t *testing.T, o Opened) {
	write(t, o.Store, put("a", "1"))
	v := snapshot(t, o.Store)
	closeView(t, v)
	other := snapshot(t, o.Store)
	defer closeView(t, other)
	closeView(t, v)
	if _, err := v.Get([]byte("a")); err == nil || errors.Is(err, store.ErrNotFound) {
		t.Errorf("Get from a closed view: %v, want an error of its own", err)
	}
	n := 0
	for e, err := range v.Scan(nil, nil) {
		if n++; err == nil || e.Key != nil {
			t.Errorf("Scan of a closed view yields %q, %v, want an error with a zero Entry", e.Key, err)
		}
	}
	if n != 1 {
		t.Errorf("Scan of a closed view yields %d times, want 1", n)
	}
	// Closing one view twice takes nothing from another.
	for range 3 {
		write(t, o.Store, put("a", "2"))
	}
	wantEntry(t, other, "a", "1", 1)
}

// "Every Write that returned before the call is in it (read-your-writes)".
func testReadYourWrites(t *testing.T, o Opened) {
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Go(func() {
			key := string(numbered("w", w))
			for i := range 50 {
				value := string(numbered("", i))
				r, err := o.Store.Write(context.Background(), store.Batch{Ops: []store.Op{put(key, value)}})
				if err != nil {
					t.Errorf("Write: %v", err)
					return
				}
				v, err := o.Store.Snapshot(context.Background())
				if err != nil {
					t.Errorf("Snapshot: %v", err)
					return
				}
				wantEntry(t, v, key, value, r)
				if v.Revision() < r {
					t.Errorf("view of revision %d after a write of %d", v.Revision(), r)
				}
				closeView(t, v)
			}
		})
	}
	wg.Wait()
}

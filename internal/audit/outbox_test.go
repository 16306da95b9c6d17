package audit_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/keywright/keywright/internal/audit"
	"github.com/keywright/keywright/internal/store"
)

func mustWrite(t testing.TB, st store.Store, key, value string, ops ...store.Op) {
	t.Helper()
	ops = append(ops, store.Op{Key: []byte(key), Value: []byte(value)})
	if _, err := st.Write(context.Background(), store.Batch{Ops: ops}); err != nil {
		t.Fatal(err)
	}
}

func outboxEntries(t testing.TB, st store.Store) (entries []store.Entry) {
	t.Helper()
	v, err := st.Snapshot(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	prefix := []byte(audit.OutboxPrefix)
	for e, err := range v.Scan(prefix, store.PrefixEnd(prefix)) {
		if err != nil {
			t.Fatal(err)
		}
		entries = append(entries, store.Entry{Key: slices.Clone(e.Key), Value: slices.Clone(e.Value)})
	}
	return entries
}

func outboxSize(t testing.TB, st store.Store) int { return len(outboxEntries(t, st)) }

func TestOutboxRun(t *testing.T) {
	dir, keys, st := t.TempDir(), new(memoryKeys), memoryStore(t)
	l := mustOpen(t, audit.Config{Dir: dir, Keys: keys, StoreRevision: revisionOf(st)})
	o := audit.NewOutbox(st, plainSealer{}, l)
	mustWrite(t, st, "key", "0", o.Op([]byte(`{"n":0}`))) // before it runs
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); o.Run(ctx) }()
	eventually(t, "what was there is drained", func() bool { return l.Status().LastSequence == 1 })
	want := []string{`{"n":0}`}
	for i := 1; i < 50; i++ {
		want = append(want, fmt.Sprintf(`{"n":%d}`, i))
		mustWrite(t, st, "key", "x", o.Op([]byte(want[i])))
		if i == 25 {
			eventually(t, "the outbox is empty", func() bool { return outboxSize(t, st) == 0 })
		}
	}
	cancel()
	<-done
	if n := outboxSize(t, st); n != 0 {
		t.Errorf("%d entries left", n)
	}
	mustClose(t, l)
	if got := readAll(t, dir); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	mustVerify(t, dir, keys.state(0))
}

// failingStore fails the writes that delete while fail is set.
type failingStore struct {
	store.Store
	fail     bool
	deleting func()
}

var errStore = errors.New("the store is away")

func (s *failingStore) Write(ctx context.Context, b store.Batch) (store.Revision, error) {
	if b.Ops[0].Delete {
		s.deleting()
		if s.fail {
			return 0, errStore
		}
	}
	return s.Store.Write(ctx, b)
}

// Entries that are in the log and still in the store are not recorded again,
// neither by the same log nor by the next.
func TestOutboxExactlyOnce(t *testing.T) {
	dir, keys := t.TempDir(), new(memoryKeys)
	st := &failingStore{Store: memoryStore(t), fail: true}
	cfg := audit.Config{Dir: dir, Keys: keys, StoreRevision: revisionOf(st)}
	l := mustOpen(t, cfg)
	st.deleting = func() {
		if !audit.Synced(l) {
			t.Error("deleted from the store before it is on the disk of the log")
		}
	}
	o := audit.NewOutbox(st, plainSealer{}, l)
	// Two in one batch, and enough for several batches of deletions.
	mustWrite(t, st, "k", "", o.Op([]byte(`{"n":1}`)), o.Op([]byte(`{"n":1}`)))
	for range 300 {
		mustWrite(t, st, "k", "", o.Op([]byte(`{"n":2}`)))
	}
	for range 3 {
		if err := o.Drain(t.Context()); !errors.Is(err, errStore) {
			t.Fatalf("Drain: got %v", err)
		}
	}
	mustWrite(t, st, "k", "", o.Op([]byte(`{"n":3}`)))
	if err := o.Drain(t.Context()); !errors.Is(err, errStore) {
		t.Fatalf("Drain: got %v", err)
	}
	// Written again, as re-sealing does, they have revisions that are new.
	for _, e := range outboxEntries(t, st) {
		mustWrite(t, st, string(e.Key), string(e.Value))
	}
	if err := o.Drain(t.Context()); !errors.Is(err, errStore) {
		t.Fatalf("Drain: got %v", err)
	}
	st.fail = false
	if err := o.Drain(t.Context()); err != nil {
		t.Fatal(err)
	}
	st.fail = true
	mustWrite(t, st, "k", "", o.Op([]byte(`{"n":5}`)))
	if err := o.Drain(t.Context()); !errors.Is(err, errStore) {
		t.Fatalf("Drain: got %v", err)
	}
	mustClose(t, l)
	l = mustOpen(t, cfg)
	o = audit.NewOutbox(st, plainSealer{}, l)
	if err := o.Drain(t.Context()); !errors.Is(err, errStore) {
		t.Fatalf("Drain: got %v", err)
	}
	st.fail = false
	if err := o.Drain(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := outboxSize(t, st); n != 0 {
		t.Errorf("%d entries left", n)
	}
	mustWrite(t, st, "k", "", o.Op([]byte(`{"n":4}`)))
	if err := o.Drain(t.Context()); err != nil {
		t.Fatal(err)
	}
	mustClose(t, l)
	count := make(map[string]int)
	for _, ev := range readAll(t, dir) {
		count[ev]++
	}
	if len(count) != 5 || count[`{"n":1}`] != 2 || count[`{"n":2}`] != 300 || count[`{"n":3}`] != 1 || count[`{"n":4}`] != 1 || count[`{"n":5}`] != 1 {
		t.Errorf("recorded %v", count)
	}
}

// More than one frame holds is drained in several, parted between revisions.
func TestOutboxLarge(t *testing.T) {
	dir, keys, st := t.TempDir(), new(memoryKeys), memoryStore(t)
	l := mustOpen(t, audit.Config{Dir: dir, Keys: keys})
	o := audit.NewOutbox(st, plainSealer{}, l)
	large := `"` + strings.Repeat("x", 200<<10) + `"`
	for range 6 {
		mustWrite(t, st, "k", "", o.Op([]byte(large)), o.Op([]byte(large)), o.Op([]byte(large)), o.Op([]byte(large)))
	}
	if err := o.Drain(t.Context()); err != nil {
		t.Fatal(err)
	}
	mustClose(t, l)
	if r := mustVerify(t, dir, keys.state(0)); r.Records != 24 || r.Frames < 4 || r.Frames > 12 {
		t.Errorf("report %+v", r)
	}
}

// An entry that cannot be opened stays, and so does everything after it.
func TestOutboxDamaged(t *testing.T) {
	dir, st := t.TempDir(), memoryStore(t)
	l := mustOpen(t, audit.Config{Dir: dir})
	o := audit.NewOutbox(st, plainSealer{}, l)
	mustWrite(t, st, audit.OutboxPrefix+"0", "damaged")
	mustWrite(t, st, "k", "", o.Op([]byte(`{}`)))
	if err := o.Drain(t.Context()); err == nil || !strings.Contains(err.Error(), "opening an outbox entry") {
		t.Errorf("got %v", err)
	}
	if outboxSize(t, st) != 2 || len(readAll(t, dir)) != 0 {
		t.Error("something was drained")
	}
}

func TestOutboxOp(t *testing.T) {
	l := mustOpen(t, audit.Config{Dir: t.TempDir()})
	o := audit.NewOutbox(memoryStore(t), plainSealer{}, l)
	a, b := o.Op([]byte(`{}`)), o.Op([]byte(`{}`))
	if string(a.Key) == string(b.Key) || len(a.Key) != len("outbox/")+32 || !strings.HasPrefix(string(a.Key), "outbox/") {
		t.Errorf("keys %q and %q", a.Key, b.Key)
	}
	if want := string(a.Key) + "|{}"; string(a.Value) != want {
		t.Errorf("value %q, want %q", a.Value, want)
	}
	for _, event := range [][]byte{nil, make([]byte, audit.MaxEventBytes+1)} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("an event of %d bytes was taken", len(event))
				}
			}()
			o.Op(event)
		}()
	}
}

// After a store was put back, what is in its outbox is recorded, though the
// numbers of its revisions were used before.
func TestOutboxAfterRollback(t *testing.T) {
	dir, keys := t.TempDir(), new(memoryKeys)
	newer := memoryStore(t)
	for range 10 {
		mustWrite(t, newer, "k", "")
	}
	l := mustOpen(t, audit.Config{Dir: dir, Keys: keys, StoreRevision: revisionOf(newer)})
	o := audit.NewOutbox(newer, plainSealer{}, l)
	mustWrite(t, newer, "k", "", o.Op([]byte(`{"n":1}`)))
	if err := o.Drain(t.Context()); err != nil {
		t.Fatal(err)
	}
	mustClose(t, l)

	older := memoryStore(t)
	mustWrite(t, older, "k", "", o.Op([]byte(`{"n":2}`)))
	l = mustOpen(t, audit.Config{Dir: dir, Keys: keys, StoreRevision: revisionOf(older), AcceptRollback: true})
	if err := audit.NewOutbox(older, plainSealer{}, l).Drain(t.Context()); err != nil {
		t.Fatal(err)
	}
	mustClose(t, l)
	if got, want := readAll(t, dir), []string{`{"n":1}`, `{"n":2}`}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	mustVerify(t, dir, keys.state(0))
}

func BenchmarkOutboxDrain(b *testing.B) {
	st := memoryStore(b)
	l := mustOpen(b, audit.Config{Dir: b.TempDir()})
	o := audit.NewOutbox(st, plainSealer{}, l)
	ev := sampleEvent()
	record := ev.AppendJSON(nil)
	ctx, cancel := context.WithCancel(b.Context())
	done := make(chan struct{})
	go func() { defer close(done); o.Run(ctx) }()
	b.SetBytes(int64(len(record)))
	b.ReportAllocs()
	for b.Loop() {
		mustWrite(b, st, "k", "", o.Op(record))
	}
	cancel()
	<-done
}

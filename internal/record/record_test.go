package record_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/keywright/keywright/internal/record"
	"github.com/keywright/keywright/internal/seal"
	"github.com/keywright/keywright/internal/store"
	"github.com/keywright/keywright/internal/store/boltstore"
)

type thing struct {
	Version int    `json:"v"`
	Name    string `json:"name"`
}

func (t *thing) Prepare() error {
	if t.Version > 1 {
		return errors.New("too new")
	}
	return nil
}

// wider is a thing as a later program writes it.
type wider struct {
	thing
	More int `json:"more"`
}

func open(t testing.TB, cacheBytes int) (*record.DB, *boltstore.Store) {
	t.Helper()
	st, keyring := openStore(t)
	return record.New(keyring.Guard(st), keyring, cacheBytes), st
}

func openStore(t testing.TB) (*boltstore.Store, *seal.Keyring) {
	t.Helper()
	st, err := boltstore.OpenMemory(boltstore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { st.Close() })
	keyring, _, err := seal.Init(t.Context(), st, seal.NewMemoryRootKey())
	if err != nil {
		t.Fatal(err)
	}
	return st, keyring
}

func put[T any](t testing.TB, db *record.DB, path string, rev store.Revision, r *T) error {
	t.Helper()
	tx := db.Tx()
	record.Put(tx, []byte(path), rev, r)
	_, err := tx.Commit(t.Context())
	return err
}

func get(t testing.TB, db *record.DB, path string) (record.Found[thing], error) {
	t.Helper()
	v, err := db.View(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	return record.Get[thing](v, []byte(path))
}

func TestPutGetConflict(t *testing.T) {
	for _, cacheBytes := range []int{0, 1 << 20} {
		db, _ := open(t, cacheBytes)
		if _, err := get(t, db, "thing/a"); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("absent record: %v", err)
		}
		if err := put(t, db, "thing/a", 0, &thing{1, "first"}); err != nil {
			t.Fatal(err)
		}
		first, err := get(t, db, "thing/a")
		if err != nil || first.Value.Name != "first" {
			t.Fatalf("got %v, %v", first, err)
		}
		if err := put(t, db, "thing/a", 0, &thing{1, "again"}); !errors.Is(err, store.ErrConflict) {
			t.Errorf("a record was made twice: %v", err)
		}
		if err := put(t, db, "thing/a", first.Revision, &thing{1, "second"}); err != nil {
			t.Fatal(err)
		}
		if err := put(t, db, "thing/a", first.Revision, &thing{1, "late"}); !errors.Is(err, store.ErrConflict) {
			t.Errorf("a change on an old revision was written: %v", err)
		}
		if second, err := get(t, db, "thing/a"); err != nil || second.Value.Name != "second" {
			t.Errorf("got %v, %v", second, err)
		}
	}
}

// A view shows its revision, though the cache has met a newer one.
func TestViewIsNotFooledByTheCache(t *testing.T) {
	db, _ := open(t, 1<<20)
	if err := put(t, db, "thing/a", 0, &thing{1, "old"}); err != nil {
		t.Fatal(err)
	}
	old, err := db.View(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer old.Close()
	f, err := record.Get[thing](old, []byte("thing/a"))
	if err != nil {
		t.Fatal(err)
	}
	if err := put(t, db, "thing/a", f.Revision, &thing{1, "new"}); err != nil {
		t.Fatal(err)
	}
	if got, err := get(t, db, "thing/a"); err != nil || got.Value.Name != "new" {
		t.Errorf("new view: %v, %v", got, err)
	}
	if got, err := record.Get[thing](old, []byte("thing/a")); err != nil || got.Value.Name != "old" {
		t.Errorf("old view: %v, %v", got, err)
	}
}

// counting counts how often a store is asked for a key.
type counting struct {
	store.Store
	gets int
}

type countingView struct {
	store.View
	of *counting
}

func (c *counting) Snapshot(ctx context.Context) (store.View, error) {
	v, err := c.Store.Snapshot(ctx)
	return countingView{v, c}, err
}

func (v countingView) Get(key []byte) (store.Entry, error) {
	v.of.gets++
	return v.View.Get(key)
}

// TestKnownRecordsAreNotLookedUp: while nothing is written, a record is looked up
// in the store once, and in any state of it the right one is returned.
func TestKnownRecordsAreNotLookedUp(t *testing.T) {
	st, keyring := openStore(t)
	counted := &counting{Store: keyring.Guard(st)}
	db := record.New(counted, keyring, 1<<20)
	var views []*record.View
	names := make(map[*record.View]string) // "" where there is no record
	step := func(name string, change func() error) {
		t.Helper()
		if err := change(); err != nil {
			t.Fatal(err)
		}
		v, err := db.View(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		views, names[v] = append(views, v), name
	}
	at := func() store.Revision {
		f, err := get(t, db, "thing/a")
		if err != nil {
			t.Fatal(err)
		}
		return f.Revision
	}
	step("first", func() error { return put(t, db, "thing/a", 0, &thing{1, "first"}) })
	step("first", func() error { return put(t, db, "thing/b", 0, &thing{1, "other"}) })
	step("second", func() error { return put(t, db, "thing/a", at(), &thing{1, "second"}) })
	step("", func() error {
		tx := db.Tx()
		tx.Delete([]byte("thing/a"), at())
		_, err := tx.Commit(t.Context())
		return err
	})
	step("third", func() error { return put(t, db, "thing/a", 0, &thing{1, "third"}) })
	step("third", func() error { return put(t, db, "thing/c", 0, &thing{1, "other"}) })
	for range 2000 {
		v := views[rand.IntN(len(views))]
		got, err := record.Get[thing](v, []byte("thing/a"))
		if names[v] == "" {
			if !errors.Is(err, store.ErrNotFound) {
				t.Fatalf("revision %d: %v, %v; want none", v.Revision(), got.Value, err)
			}
		} else if err != nil || got.Value.Name != names[v] {
			t.Fatalf("revision %d: %v, %v; want %s", v.Revision(), got.Value, err, names[v])
		}
	}
	counted.gets = 0
	for range 10 {
		if f, err := get(t, db, "thing/a"); err != nil || f.Value.Name != "third" {
			t.Fatalf("%v, %v", f.Value, err)
		}
	}
	if counted.gets != 0 {
		t.Errorf("the newest record, which is known, was looked up %d times", counted.gets)
	}
	if err := put(t, db, "thing/b", 0, &thing{1, "made twice"}); err == nil {
		t.Error("a conflict was not noticed")
	}
	step("third", func() error { return put(t, db, "thing/d", 0, &thing{1, "other"}) })
	for range 10 {
		get(t, db, "thing/a")
	}
	if counted.gets != 1 {
		t.Errorf("after a write it was looked up %d times, want 1", counted.gets)
	}
	for _, v := range views {
		v.Close()
	}
}

func TestRecordsOfNewerProgramsAreRefused(t *testing.T) {
	db, _ := open(t, 1<<20)
	if err := put(t, db, "thing/version", 0, &thing{2, ""}); err != nil {
		t.Fatal(err)
	}
	if err := put(t, db, "thing/field", 0, &wider{thing{1, ""}, 1}); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"thing/version", "thing/field"} {
		if _, err := get(t, db, path); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v, want an error that names it", path, err)
		}
	}
}

func TestMovedRecordIsRefusedByName(t *testing.T) {
	db, st := open(t, 1<<20)
	if err := put(t, db, "thing/a", 0, &thing{1, "a"}); err != nil {
		t.Fatal(err)
	}
	v, err := st.Snapshot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	e, err := v.Get([]byte("thing/a"))
	if err != nil {
		t.Fatal(err)
	}
	_, err = st.Write(t.Context(), store.Batch{Ops: []store.Op{{Key: []byte("thing/b"), Value: append([]byte(nil), e.Value...)}}})
	v.Close()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := get(t, db, "thing/b"); err == nil || !strings.Contains(err.Error(), `"thing/b"`) {
		t.Errorf("a moved record gave %v", err)
	}
}

func TestScan(t *testing.T) {
	db, _ := open(t, 4<<10) // too small for all of them
	for i := range 100 {
		if err := put(t, db, fmt.Sprintf("thing/%03d", i), 0, &thing{1, fmt.Sprint(i)}); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		v, err := db.View(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for f, err := range record.Scan[thing](v, []byte("thing/"), store.PrefixEnd([]byte("thing/"))) {
			if err != nil || f.Value.Name != fmt.Sprint(n) || string(f.Path) != fmt.Sprintf("thing/%03d", n) {
				t.Fatalf("record %d: %v, %v", n, f, err)
			}
			n++
		}
		if n != 100 {
			t.Errorf("%d records", n)
		}
		v.Close()
	}
}

func BenchmarkGet(b *testing.B) {
	for name, cacheBytes := range map[string]int{"cached": 1 << 20, "uncached": 0} {
		b.Run(name, func(b *testing.B) {
			db, _ := open(b, cacheBytes)
			if err := put(b, db, "thing/a", 0, &thing{1, strings.Repeat("x", 300)}); err != nil {
				b.Fatal(err)
			}
			v, err := db.View(b.Context())
			if err != nil {
				b.Fatal(err)
			}
			defer v.Close()
			path := []byte("thing/a")
			b.ReportAllocs()
			for b.Loop() {
				if _, err := record.Get[thing](v, path); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

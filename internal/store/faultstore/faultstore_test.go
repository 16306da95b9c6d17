package faultstore_test

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/keywright/keywright/internal/store"
	"github.com/keywright/keywright/internal/store/boltstore"
	"github.com/keywright/keywright/internal/store/faultstore"
	"github.com/keywright/keywright/internal/store/storetest"
)

func open(t *testing.T) *faultstore.Store {
	t.Helper()
	st, err := boltstore.OpenMemory(boltstore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { st.Close() })
	return faultstore.New(st)
}

// Without a plan it is a store like any other.
func TestContract(t *testing.T) {
	storetest.Run(t, func(t *testing.T) storetest.Opened {
		return storetest.Opened{Store: open(t)}
	})
}

func put(key string) store.Batch {
	return store.Batch{Ops: []store.Op{{Key: []byte(key)}}}
}

func TestPlan(t *testing.T) {
	st := open(t)
	st.Fail(faultstore.Plan{2: faultstore.NotPersisted, 3: faultstore.Persisted})
	var seen []int
	st.OnWrite = func(n int, _ store.Batch) { seen = append(seen, n) }
	for i, key := range []string{"a", "b", "c", "d"} {
		r, err := st.Write(context.Background(), put(key))
		if fails := i == 1 || i == 2; errors.Is(err, faultstore.ErrInjected) != fails || (err == nil) == fails || (r == 0) != fails {
			t.Errorf("write %d = %d, %v", i+1, r, err)
		}
	}
	v, err := st.Snapshot(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	var got []string
	for e, err := range v.Scan(nil, nil) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, string(e.Key))
	}
	if want := []string{"a", "c", "d"}; !slices.Equal(got, want) {
		t.Errorf("store holds %q, want %q", got, want)
	}
	if !slices.Equal(seen, []int{1, 2, 3, 4}) || st.Writes() != 4 || st.Failed() != 2 {
		t.Errorf("saw writes %v, counted %d of which %d failed, want 1 to 4, 4 and 2", seen, st.Writes(), st.Failed())
	}

	st.Fail(nil)
	if _, err := st.Write(context.Background(), put("e")); err != nil || st.Writes() != 1 || st.Failed() != 0 {
		t.Errorf("after Fail(nil): %v, %d writes, %d failed", err, st.Writes(), st.Failed())
	}
}

// A batch that the store refuses is not reported as persisted.
func TestPersistedConflict(t *testing.T) {
	st := open(t)
	st.Fail(faultstore.Plan{1: faultstore.Persisted})
	b := put("a")
	b.If = []store.Cond{{Key: []byte("a"), Revision: 7}}
	if _, err := st.Write(context.Background(), b); !errors.Is(err, store.ErrConflict) {
		t.Errorf("Write: %v, want ErrConflict", err)
	}
	if st.Failed() != 0 {
		t.Errorf("%d writes failed by plan, want 0", st.Failed())
	}
}

// OnWrite may come between a caller's read and its write.
func TestOnWriteInterferes(t *testing.T) {
	st := open(t)
	st.OnWrite = func(int, store.Batch) {
		if _, err := st.Store.Write(context.Background(), put("a")); err != nil {
			t.Errorf("writing below: %v", err)
		}
	}
	b := put("a")
	b.If = []store.Cond{{Key: []byte("a"), Revision: 0}}
	if _, err := st.Write(context.Background(), b); !errors.Is(err, store.ErrConflict) {
		t.Errorf("Write: %v, want ErrConflict", err)
	}
}

func TestPlans(t *testing.T) {
	var names []string
	for name, plan := range faultstore.Plans(2) {
		if len(plan) != 1 {
			t.Errorf("%s: plan %v, want one fault", name, plan)
		}
		names = append(names, name)
	}
	want := []string{"write 1 not persisted", "write 1 persisted", "write 2 not persisted", "write 2 persisted"}
	if !slices.Equal(names, want) {
		t.Errorf("Plans(2) yields %q, want %q", names, want)
	}
}

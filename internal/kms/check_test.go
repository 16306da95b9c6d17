package kms_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/keywright/keywright/internal/kms"
	"github.com/keywright/keywright/internal/record"
	"github.com/keywright/keywright/internal/store"
)

// problems returns what Check finds.
func (w *world) problems() []string {
	w.t.Helper()
	v, err := w.db.View(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	defer v.Close()
	var found []string
	if err := w.service.Check(w.t.Context(), v, func(p string) { found = append(found, p) }); err != nil {
		w.t.Fatal(err)
	}
	return found
}

// paths returns the paths under a prefix.
func (w *world) paths(prefix string) []string {
	w.t.Helper()
	v, err := w.db.View(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	defer v.Close()
	var all []string
	for p, err := range v.Paths([]byte(prefix), store.PrefixEnd([]byte(prefix))) {
		if err != nil {
			w.t.Fatal(err)
		}
		all = append(all, string(p))
	}
	return all
}

// edit writes to the store past the service.
func (w *world) edit(change func(tx *record.Tx)) {
	w.t.Helper()
	tx := w.db.Tx()
	change(tx)
	if _, err := tx.Commit(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) remove(path string) {
	w.t.Helper()
	w.edit(func(tx *record.Tx) { tx.Do(store.Op{Key: []byte(path), Delete: true}) })
}

// change rewrites a record.
func change[T any](w *world, path string, edit func(*T)) {
	w.t.Helper()
	v, err := w.db.View(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	defer v.Close()
	r, err := record.Get[T](v, []byte(path))
	if err != nil {
		w.t.Fatal(err)
	}
	changed := *r.Value
	edit(&changed)
	w.edit(func(tx *record.Tx) { record.Put(tx, r.Path, r.Revision, &changed) })
}

// TestCheck breaks a store in every way that Check looks for.
func TestCheck(t *testing.T) {
	const (
		one     = "1234abcd-12ab-34cd-56ef-1234567890ab"
		two     = "2234abcd-12ab-34cd-56ef-1234567890ab"
		pending = "3234abcd-12ab-34cd-56ef-1234567890ab"
		gone    = "4234abcd-12ab-34cd-56ef-1234567890ab"
		at      = account + "/" + region + "/"
	)
	build := func(t *testing.T) *world {
		w := newWorld(t)
		for _, d := range []kms.Seed{
			{Account: account, Region: region, ID: one, Aliases: []string{"alias/a"}},
			{Account: account, Region: region, ID: two},
			{Account: account, Region: region, ID: pending},
			{Account: account, Region: region, ID: gone},
		} {
			if _, err := w.service.Apply(t.Context(), &d); err != nil {
				t.Fatal(err)
			}
		}
		for _, id := range []string{gone, pending} {
			days := 7
			if id == pending {
				days = 30
			}
			if _, err := w.as(account, region, "ScheduleKeyDeletion", m{"KeyId": id, "PendingWindowInDays": days}); err != nil {
				t.Fatal(err)
			}
		}
		w.clock.Advance(8 * 24 * 60 * 60 * 1e9)
		worker := kms.Worker{Service: w.service, Grace: 1e15, Guard: noGuard}
		if _, err := worker.Work(t.Context()); err != nil {
			t.Fatal(err)
		}
		if n := len(w.paths("tombstone/")); n != 1 {
			t.Fatalf("%d tombstones, want 1", n)
		}
		return w
	}
	if found := build(t).problems(); len(found) > 0 {
		t.Fatalf("a sound store has problems: %q", found)
	}
	for _, c := range []struct {
		name, want string
		damage     func(w *world)
	}{
		{"material missing", "its key material material/", func(w *world) { w.remove(w.paths("material/" + account + "/" + one)[0]) }},
		{"key missing", "key material without a key", func(w *world) { w.remove("key/" + at + two) }},
		{"aliased key missing", "the alias is of key " + one + ", which does not exist", func(w *world) { w.remove("key/" + at + one) }},
		{"material of another key", "the key material is that of another key", func(w *world) {
			from, to := w.paths("material/" + account + "/" + two)[0], w.paths("material/" + account + "/" + one)[0]
			var token []byte
			change(w, from, func(m *kms.Material) { token = m.Token })
			change(w, to, func(m *kms.Material) { m.Token = token })
		}},
		{"material damaged", "does not open", func(w *world) {
			change(w, w.paths("material/" + account + "/" + one)[0], func(m *kms.Material) { m.Token = slices.Clone(m.Token)[:len(m.Token)-1] })
		}},
		{"key under another path", "the record is of another key", func(w *world) {
			change(w, "key/"+at+one, func(k *kms.Key) { k.ID = two })
		}},
		{"alias index missing", "is missing among those of its key", func(w *world) { w.remove(w.paths("keyalias/")[0]) }},
		{"alias missing", "there is no such alias", func(w *world) { w.remove(w.paths("alias/")[0]) }},
		{"alias of another key", "the alias is of another key, " + two, func(w *world) {
			change(w, w.paths("alias/")[0], func(a *kms.Alias) { a.KeyID = two })
		}},
		{"alias under another name", "the record is of another alias", func(w *world) {
			change(w, w.paths("alias/")[0], func(a *kms.Alias) { a.Name = "alias/b" })
		}},
		{"deletion not scheduled", "is not in the index of deletions", func(w *world) { w.remove(w.paths("deletion/")[0]) }},
		{"deletion of another date", "the key is not pending deletion then", func(w *world) {
			change(w, "key/"+at+pending, func(k *kms.Key) { k.Deletion++ })
		}},
		{"deletion of a key in use", "the key is not pending deletion then", func(w *world) {
			change(w, "key/"+at+pending, func(k *kms.Key) { k.Deletion = 0 })
		}},
		{"erasure not scheduled", "is not in the index of erasures", func(w *world) { w.remove(w.paths("erasure/")[0]) }},
		{"erasure of nothing", "there is no such deleted key", func(w *world) { w.remove("tombstone/" + at + gone) }},
		{"too many tags", "the key has 51 tags", func(w *world) {
			change(w, "key/"+at+one, func(k *kms.Key) { k.Tags = make([]kms.Tag, 51) })
		}},
		{"too many aliases", "the key has 51 aliases", func(w *world) {
			w.edit(func(tx *record.Tx) {
				for i := range 50 {
					tx.Do(w.db.SealOp(fmt.Appendf(nil, "keyalias/%s%s/%064x", at, one, i), []byte(`{"v":1}`)))
				}
			})
		}},
		{"record under another path", "key/" + at + one, func(w *world) {
			w.edit(func(tx *record.Tx) {
				tx.Do(store.Op{Key: []byte("key/" + at + one), Value: w.keyring.Seal("elsewhere", []byte("{}"))})
			})
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := build(t)
			c.damage(w)
			found := w.problems()
			if !slices.ContainsFunc(found, func(p string) bool { return strings.Contains(p, c.want) }) {
				t.Errorf("found %q, want something with %q", found, c.want)
			}
		})
	}
}

package storetest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/keywright/keywright/internal/store"
)

// model is the contract in its simplest form: a map.
type model struct {
	entries  map[string]record
	revision store.Revision
}

type record struct {
	value    string
	revision store.Revision
}

func (m *model) write(b store.Batch) (store.Revision, error) {
	for _, c := range b.If {
		if m.entries[string(c.Key)].revision != c.Revision {
			return 0, store.ErrConflict
		}
	}
	m.revision++
	for _, op := range b.Ops {
		if op.Delete {
			delete(m.entries, string(op.Key))
		} else {
			m.entries[string(op.Key)] = record{string(op.Value), m.revision}
		}
	}
	return m.revision, nil
}

func (m *model) scan(from, to string) (got []string) {
	for _, k := range slices.Sorted(maps.Keys(m.entries)) {
		if k >= from && (to == "" || k < to) {
			got = append(got, fmt.Sprintf("%s=%s@%d", k, m.entries[k].value, m.entries[k].revision))
		}
	}
	return got
}

// testModel plays random batches, reads and restarts on new stores and on the
// model, and keeps views of the past to be compared later.
func testModel(t *testing.T, open func(t *testing.T) Opened) {
	rapid.Check(t, func(rt *rapid.T) {
		o := open(t)
		st := o.Store
		m := &model{entries: map[string]record{}}
		defer func() {
			if err := st.Close(); err != nil {
				rt.Errorf("Close: %v", err)
			}
		}()

		type past struct {
			view store.View
			want []string
		}
		var views []past
		closeViews := func() {
			for _, p := range views {
				if got := scan(rt, p.view, nil, nil); !slices.Equal(got, p.want) {
					rt.Errorf("view of %d has become %q, want %q", p.view.Revision(), got, p.want)
				}
				closeView(rt, p.view)
			}
			views = nil
		}
		defer closeViews()

		key := rapid.Custom(func(rt *rapid.T) string {
			return rapid.StringOfN(rapid.RuneFrom([]rune("ab/")), 1, 3, -1).Draw(rt, "key")
		})
		rt.Repeat(map[string]func(*rapid.T){
			"write": func(rt *rapid.T) {
				b := store.Batch{}
				for _, k := range rapid.SliceOfNDistinct(key, 1, 6, rapid.ID[string]).Draw(rt, "keys") {
					if rapid.IntRange(0, 3).Draw(rt, "kind") == 0 {
						b.Ops = append(b.Ops, del(k))
					} else {
						size := rapid.SampledFrom([]int{0, 1, 30, 3000}).Draw(rt, "size")
						b.Ops = append(b.Ops, put(k, fmt.Sprint(m.revision, string(large(size)))))
					}
				}
				for _, k := range rapid.SliceOfN(key, 0, 2).Draw(rt, "conditions") {
					r := m.entries[k].revision
					if rapid.IntRange(0, 3).Draw(rt, "hold") == 0 {
						r = store.Revision(rapid.Uint64Range(0, uint64(m.revision)).Draw(rt, "revision"))
					}
					b.If = append(b.If, at(k, r))
				}
				got, err := st.Write(context.Background(), b)
				want, wantErr := m.write(b)
				if got != want || !errors.Is(err, wantErr) {
					rt.Fatalf("Write(%+v) = %d, %v, want %d, %v", b, got, err, want, wantErr)
				}
			},
			"get": func(rt *rapid.T) {
				v := snapshot(rt, st)
				defer closeView(rt, v)
				k := key.Draw(rt, "key")
				wantEntry(rt, v, k, m.entries[k].value, m.entries[k].revision)
			},
			"scan": func(rt *rapid.T) {
				v := snapshot(rt, st)
				defer closeView(rt, v)
				from, to := key.Draw(rt, "from"), rapid.OneOf(key, rapid.Just("")).Draw(rt, "to")
				if got, want := scan(rt, v, []byte(from), []byte(to)), m.scan(from, to); !slices.Equal(got, want) {
					rt.Errorf("Scan(%q, %q) = %q, want %q", from, to, got, want)
				}
			},
			"keep a view": func(rt *rapid.T) {
				if len(views) < 5 {
					views = append(views, past{snapshot(rt, st), m.scan("", "")})
				}
			},
			"reopen": func(rt *rapid.T) {
				if o.Reopen == nil || rapid.IntRange(0, 9).Draw(rt, "seldom") > 0 {
					return
				}
				closeViews()
				if err := st.Close(); err != nil {
					rt.Fatalf("Close: %v", err)
				}
				st = o.Reopen()
			},
		})
	})
}

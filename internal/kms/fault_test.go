package kms_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/keywright/keywright/internal/awsapi"
	"github.com/keywright/keywright/internal/kms"
	"github.com/keywright/keywright/internal/record"
	"github.com/keywright/keywright/internal/store"
	"github.com/keywright/keywright/internal/store/faultstore"
)

// A mutation is an operation whose writes the fault table breaks.
type mutation struct {
	name  string // the event in the audit log; "" for what has none
	setup func(w *world)
	run   func(w *world) error
	// again is the error code of the operation after it has succeeded; "" where
	// it succeeds again.
	again string
	// adds: each success adds to what is there. resumes: the operation takes
	// several writes, and may be seen half done until it is repeated.
	adds, resumes bool
	// writes is how many writes it takes.
	writes int
}

// Keys in the fault table are known by their descriptions.
func (w *world) named(description string) string {
	w.t.Helper()
	v, err := w.db.View(context.Background())
	if err != nil {
		w.t.Fatal(err)
	}
	defer v.Close()
	for k, err := range record.Scan[kms.Key](v, []byte("key/"), store.PrefixEnd([]byte("key/"))) {
		if err != nil {
			w.t.Fatal(err)
		}
		if k.Value.Description == description {
			return k.Value.ID
		}
	}
	return "00000000-0000-4000-8000-000000000000"
}

func apiCall(operation string, request func(w *world) m) func(*world) error {
	return func(w *world) error {
		_, err := w.as(account, region, operation, request(w))
		return err
	}
}

func mutations() map[string]mutation {
	of := func(description string, more ...any) func(*world) m {
		return func(w *world) m {
			r := m{"KeyId": w.named(description)}
			for i := 0; i < len(more); i += 2 {
				r[more[i].(string)] = more[i+1]
			}
			return r
		}
	}
	work := func(w *world) error {
		var none error
		_, err := w.worker(&none).Work(context.Background())
		return err
	}
	due := func(w *world) {
		for _, name := range []string{"alias/x", "alias/y"} {
			w.must("CreateAlias", m{"AliasName": name, "TargetKeyId": w.named("a")})
		}
		w.must("ScheduleKeyDeletion", m{"KeyId": w.named("a"), "PendingWindowInDays": 7})
		w.clock.Advance(7*day + time.Second)
	}
	return map[string]mutation{
		"CreateKey": {name: "CreateKey", adds: true, writes: 1, run: apiCall("CreateKey", func(*world) m {
			return m{"Description": "new", "Policy": policyFor(account), "Tags": tags(3)}
		})},
		"CreateAlias": {name: "CreateAlias", again: "AlreadyExistsException", writes: 1, run: apiCall("CreateAlias", func(w *world) m {
			return m{"AliasName": "alias/new", "TargetKeyId": w.named("a")}
		})},
		"UpdateAlias": {name: "UpdateAlias", writes: 1, run: apiCall("UpdateAlias", func(w *world) m {
			return m{"AliasName": "alias/a", "TargetKeyId": w.named("b")}
		})},
		"DeleteAlias": {name: "DeleteAlias", again: "NotFoundException", writes: 1, run: apiCall("DeleteAlias", func(*world) m {
			return m{"AliasName": "alias/a"}
		})},
		"TagResource":          {name: "TagResource", writes: 1, run: apiCall("TagResource", of("a", "Tags", tags(2)))},
		"UntagResource":        {name: "UntagResource", writes: 1, run: apiCall("UntagResource", of("a", "TagKeys", []string{"first"}))},
		"UpdateKeyDescription": {name: "UpdateKeyDescription", again: "NotFoundException", writes: 1, run: apiCall("UpdateKeyDescription", of("a", "Description", "other"))},
		"DisableKey":           {name: "DisableKey", writes: 1, run: apiCall("DisableKey", of("a"))},
		"EnableKey": {
			name: "EnableKey", writes: 1, run: apiCall("EnableKey", of("a")),
			setup: func(w *world) { w.must("DisableKey", m{"KeyId": w.named("a")}) },
		},
		"PutKeyPolicy":        {name: "PutKeyPolicy", writes: 1, run: apiCall("PutKeyPolicy", of("a", "Policy", policyFor(account)))},
		"ScheduleKeyDeletion": {name: "ScheduleKeyDeletion", again: "KMSInvalidStateException", writes: 1, run: apiCall("ScheduleKeyDeletion", of("a"))},
		"CancelKeyDeletion": {
			name: "CancelKeyDeletion", again: "KMSInvalidStateException", writes: 1, run: apiCall("CancelKeyDeletion", of("a")),
			setup: func(w *world) { w.must("ScheduleKeyDeletion", m{"KeyId": w.named("a")}) },
		},
		"the worker deletes": {name: "DeleteKey", writes: 1, run: work, setup: due},
		"the worker erases": {
			resumes: true, writes: 3, run: work,
			setup: func(w *world) {
				w.moreMaterial(w.named("a"), 150)
				due(w)
				if err := work(w); err != nil {
					w.t.Fatal(err)
				}
				w.clock.Advance(day + time.Second)
			},
		},
		"a seed is applied": {
			resumes: true, writes: 3,
			run: func(w *world) error {
				_, err := w.service.Apply(context.Background(), &kms.Seed{
					Account: account, Region: region, ID: "11111111-2222-4333-8444-555555555555", Description: new("seeded"), Enabled: new(false), Aliases: []string{"alias/seeded"},
				})
				return err
			},
		},
	}
}

// moreMaterial gives a key more material, as rotations do.
func (w *world) moreMaterial(id string, n int) {
	w.t.Helper()
	v, err := w.db.View(context.Background())
	if err != nil {
		w.t.Fatal(err)
	}
	defer v.Close()
	prefix := []byte("material/" + account + "/" + id + "/")
	for found, err := range record.Scan[kms.Material](v, prefix, store.PrefixEnd(prefix)) {
		if err != nil {
			w.t.Fatal(err)
		}
		attrs, _, err := w.module.Inspect(context.Background(), found.Value.Token)
		if err != nil {
			w.t.Fatal(err)
		}
		for range n {
			material, err := w.module.Generate(context.Background(), attrs, found.Value.Token)
			if err != nil {
				w.t.Fatal(err)
			}
			tx := w.db.Tx()
			record.Put(tx, fmt.Appendf(nil, "%s%x", prefix, material.ID), 0, &kms.Material{Version: 1, Token: material.Token})
			if _, err := tx.Commit(context.Background()); err != nil {
				w.t.Fatal(err)
			}
		}
	}
}

// state is what the store shows, without what differs from run to run: ids and
// dates.
func (w *world) state() string {
	w.t.Helper()
	v, err := w.db.View(context.Background())
	if err != nil {
		w.t.Fatal(err)
	}
	defer v.Close()
	var lines []string
	names := map[string]string{}
	for k, err := range record.Scan[kms.Key](v, []byte("key/"), store.PrefixEnd([]byte("key/"))) {
		if err != nil {
			w.t.Fatal(err)
		}
		names[k.Value.ID] = k.Value.Description
		shown, err := json.Marshal(m{
			"description": k.Value.Description, "disabled": k.Value.Disabled, "pending": k.Value.Deletion != 0, "policy": k.Value.Policy, "tags": k.Value.Tags,
		})
		if err != nil {
			w.t.Fatal(err)
		}
		lines = append(lines, "key "+string(shown))
	}
	for a, err := range record.Scan[kms.Alias](v, []byte("alias/"), store.PrefixEnd([]byte("alias/"))) {
		if err != nil {
			w.t.Fatal(err)
		}
		lines = append(lines, "alias "+a.Value.Name+" of "+names[a.Value.KeyID])
	}
	for _, kind := range []string{"material/", "keyalias/", "deletion/", "tombstone/", "erasure/"} {
		lines = append(lines, fmt.Sprint(kind, " ", w.count(kind)))
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// successes counts the records of success in the audit log.
func (w *world) successes(name string) (n int) {
	w.t.Helper()
	for _, ev := range w.events() {
		if ev["eventName"] == name && ev["errorCode"] == nil {
			n++
		}
	}
	return n
}

// prepare makes the world that every row starts in.
func (r *mutation) prepare(t *testing.T) (*world, *faultstore.Store) {
	t.Helper()
	w, faults := newFaultyWorld(t)
	w.must("CreateKey", m{"Description": "a", "Tags": []m{{"TagKey": "first", "TagValue": "1"}}})
	w.must("CreateKey", m{"Description": "b"})
	w.must("CreateAlias", m{"AliasName": "alias/a", "TargetKeyId": w.named("a")})
	if r.setup != nil {
		r.setup(w)
	}
	if err := w.path.Outbox.Drain(t.Context()); err != nil {
		t.Fatal(err)
	}
	return w, faults
}

// TestFaults breaks each write of each mutation, written and not written, then
// starts anew on the store: it is whole, it shows the change or does not, the
// audit log says the same, and the operation can be repeated.
func TestFaults(t *testing.T) {
	for name, row := range mutations() {
		t.Run(name, func(t *testing.T) {
			w, faults := row.prepare(t)
			before := w.state()
			faults.Fail(nil)
			if err := row.run(w); err != nil {
				t.Fatal(err)
			}
			writes := faults.Writes()
			after := w.state()
			if writes != row.writes || before == after {
				t.Fatalf("it took %d writes, want %d; the state before:\n%s\nand after:\n%s", writes, row.writes, before, after)
			}
			for plan, failing := range faultstore.Plans(writes) {
				t.Run(plan, func(t *testing.T) { row.breakWrite(t, failing, before, after) })
			}
		})
	}
}

func (r *mutation) breakWrite(t *testing.T, plan faultstore.Plan, before, after string) {
	w, faults := r.prepare(t)
	was := w.successes(r.name)
	faults.Fail(plan)
	err := r.run(w)
	if faults.Failed() != 1 || err == nil {
		t.Fatalf("%d writes failed, and the answer was %v", faults.Failed(), err)
	}
	faults.Fail(nil)

	for _, restarted := range []bool{false, true} {
		if restarted {
			w.open()
		}
		w.check()
		got := w.state()
		if !r.resumes && got != before && got != after {
			t.Errorf("restarted %v: the state is between before and after:\n%s", restarted, got)
		}
		for n, fault := range plan {
			if n == 1 && fault == faultstore.NotPersisted && got != before {
				t.Errorf("nothing was written, and yet (-before +got):\n%s", cmp.Diff(before, got))
			}
			if n == r.writes && fault == faultstore.Persisted && got != after {
				t.Errorf("all was written, and yet (-after +got):\n%s", cmp.Diff(after, got))
			}
		}
		if n := w.successes(r.name) - was; r.name != "" && n != map[bool]int{true: 1}[got == after] {
			t.Errorf("restarted %v: the change is there: %v, and has %d records of success", restarted, got == after, n)
		}
	}

	done := w.state() == after
	err = r.run(w)
	switch e, ok := errors.AsType[*awsapi.Error](err); {
	case !done && err != nil:
		t.Errorf("the operation cannot be repeated: %v", err)
	case done && r.again == "" && err != nil, done && r.again != "" && (!ok || e.Code != r.again):
		t.Errorf("repeated after it was done, it answered %v", err)
	}
	w.check()
	if got := w.state(); got != after && !(done && r.adds) {
		t.Errorf("after the repetition (-want +got):\n%s", cmp.Diff(after, got))
	}
}

// Whatever becomes of the writes that empty the outbox, each change is recorded
// once.
func TestFaultsOfTheOutbox(t *testing.T) {
	for plan, failing := range faultstore.Plans(1) {
		for _, restart := range []bool{false, true} {
			t.Run(fmt.Sprint(plan, ", restarted ", restart), func(t *testing.T) {
				w, faults := newFaultyWorld(t)
				for i := range 5 {
					w.newKey(m{"Description": fmt.Sprint(i)})
				}
				faults.Fail(failing)
				if err := w.path.Outbox.Drain(t.Context()); err == nil || faults.Failed() != 1 {
					t.Fatalf("%d writes failed, and the answer was %v", faults.Failed(), err)
				}
				faults.Fail(nil)
				if restart {
					w.open()
				}
				w.newKey(m{"Description": "5"})
				if n := w.successes("CreateKey"); n != 6 {
					t.Errorf("six changes have %d records", n)
				}
				if n := w.count("outbox/"); n != 0 {
					t.Errorf("%d entries are left", n)
				}
			})
		}
	}
}

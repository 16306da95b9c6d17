package kms_test

import (
	"strings"
	"testing"
	"time"

	"github.com/keywright/keywright/internal/store"
	"github.com/keywright/keywright/internal/store/faultstore"
)

// newFaultyWorld builds a world whose store fails as it is told.
func newFaultyWorld(t testing.TB) (*world, *faultstore.Store) {
	t.Helper()
	var faults *faultstore.Store
	w := newWorld(t, func(st store.Store) store.Store {
		faults = faultstore.New(st)
		return faults
	})
	return w, faults
}

// between runs other when the next write is about to happen, and lets it happen
// then, on the state that other left.
func between(faults *faultstore.Store, other func()) {
	faults.Fail(nil)
	faults.OnWrite = func(n int, _ store.Batch) {
		if n == 1 {
			other()
		}
	}
}

// An alias that leaves a key at the moment of the key's deletion is not deleted
// with it.
func TestAliasLeavesWhileItsKeyIsDeleted(t *testing.T) {
	for name, leave := range map[string]func(w *world, keep string){
		"moved": func(w *world, keep string) { w.must("UpdateAlias", m{"AliasName": "alias/a", "TargetKeyId": keep}) },
		"deleted and made again": func(w *world, keep string) {
			w.must("DeleteAlias", m{"AliasName": "alias/a"})
			w.must("CreateAlias", m{"AliasName": "alias/a", "TargetKeyId": keep})
		},
	} {
		t.Run(name, func(t *testing.T) {
			w, faults := newFaultyWorld(t)
			id, _ := w.newKey()
			keep, keepARN := w.newKey()
			w.must("CreateAlias", m{"AliasName": "alias/a", "TargetKeyId": id})
			w.must("CreateAlias", m{"AliasName": "alias/b", "TargetKeyId": id})
			w.must("ScheduleKeyDeletion", m{"KeyId": id})
			w.clock.Advance(31 * day)
			between(faults, func() { leave(w, keep) })
			var none error
			if _, err := w.worker(&none).Work(t.Context()); err != nil {
				t.Fatal(err)
			}
			w.check()
			if _, err := w.as(account, region, "DescribeKey", m{"KeyId": id}); err == nil {
				t.Error("the key was not deleted")
			}
			if got := w.metadata("alias/a")["Arn"]; got != keepARN {
				t.Errorf("the alias names %v", got)
			}
		})
	}
}

// A key that gets an alias at the moment of its deletion takes it along.
func TestAliasArrivesWhileItsKeyIsDeleted(t *testing.T) {
	w, faults := newFaultyWorld(t)
	id, _ := w.newKey()
	keep, _ := w.newKey()
	w.must("CreateAlias", m{"AliasName": "alias/a", "TargetKeyId": keep})
	w.must("ScheduleKeyDeletion", m{"KeyId": keep}) // a date later than that of its cancellation
	w.must("CancelKeyDeletion", m{"KeyId": keep})
	between(faults, func() {
		w.must("ScheduleKeyDeletion", m{"KeyId": id})
		w.clock.Advance(31 * day)
		var none error
		if _, err := w.worker(&none).Work(t.Context()); err != nil {
			t.Fatal(err)
		}
	})
	_, err := w.as(account, region, "UpdateAlias", m{"AliasName": "alias/a", "TargetKeyId": id})
	if err == nil || !strings.HasPrefix(err.Error(), "NotFoundException") {
		t.Errorf("UpdateAlias to a key that was deleted meanwhile: %v", err)
	}
	w.check()
}

// A deletion that is cancelled at the last moment does not happen, and is no
// fault.
func TestCancelWhileTheKeyIsDeleted(t *testing.T) {
	w, faults := newFaultyWorld(t)
	id, _ := w.newKey()
	w.must("ScheduleKeyDeletion", m{"KeyId": id})
	w.clock.Advance(31 * day)
	between(faults, func() { w.must("CancelKeyDeletion", m{"KeyId": id}) })
	var none error
	if next, err := w.worker(&none).Work(t.Context()); err != nil || !next.IsZero() {
		t.Errorf("the worker answered %v, %v", next, err)
	}
	if got := w.metadata(id)["KeyState"]; got != "Disabled" {
		t.Errorf("the key is %v", got)
	}
	w.check()
	for _, ev := range w.events() {
		if ev["eventName"] == "DeleteKey" && ev["errorCode"] != "KMSInvalidStateException" {
			t.Errorf("a record of a deletion that was not: %v", ev)
		}
	}
}

// A key that cannot be deleted does not hold up the others.
func TestWorkerGoesOn(t *testing.T) {
	w := newWorld(t)
	bad, _ := w.newKey()
	w.must("ScheduleKeyDeletion", m{"KeyId": bad, "PendingWindowInDays": 7})
	time.Sleep(2 * time.Millisecond)
	good, _ := w.newKey()
	w.must("ScheduleKeyDeletion", m{"KeyId": good, "PendingWindowInDays": 7})
	later, _ := w.newKey()
	w.must("ScheduleKeyDeletion", m{"KeyId": later, "PendingWindowInDays": 9})
	w.damage("key/" + account + "/" + region + "/" + bad)
	w.clock.Advance(8 * day)
	var none error
	next, err := w.worker(&none).Work(t.Context())
	if err == nil {
		t.Error("the worker did not tell of the key it could not delete")
	}
	if d := next.Sub(w.clock.Now()); d < 0 || d > day {
		t.Errorf("the next work is in %v", d)
	}
	if _, err := w.as(account, region, "DescribeKey", m{"KeyId": good}); err == nil {
		t.Error("the good key was not deleted")
	}
	w.metadata(later)
}

// damage spoils a record.
func (w *world) damage(path string) {
	w.t.Helper()
	v, err := w.store.Snapshot(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	e, err := v.Get([]byte(path))
	if err != nil {
		w.t.Fatal(err)
	}
	value := append([]byte(nil), e.Value...)
	v.Close()
	value[len(value)-1] ^= 1
	if _, err := w.store.Write(w.t.Context(), store.Batch{Ops: []store.Op{{Key: []byte(path), Value: value}}}); err != nil {
		w.t.Fatal(err)
	}
}

// The quota holds whatever became of the calls before: those that made a key and
// did not know it count, those that made none do not.
func TestKeyQuotaAfterFaults(t *testing.T) {
	w, faults := newFaultyWorld(t)
	w.keyLimit = 5
	w.open()
	create := func(fault faultstore.Fault) error {
		faults.Fail(faultstore.Plan{1: fault})
		_, err := w.as(account, region, "CreateKey", m{})
		faults.Fail(nil)
		return err
	}
	var ids []string
	for range 2 {
		id, _ := w.newKey()
		ids = append(ids, id)
		for _, fault := range []faultstore.Fault{faultstore.NotPersisted, faultstore.NotPersisted, faultstore.NotPersisted} {
			if err := create(fault); err == nil {
				t.Fatal("the write did not fail")
			}
		}
	}
	create(faultstore.Persisted)
	create(faultstore.Persisted)
	w.newKey()
	const full = "The account has 5 keys in eu-central-1, the most it may have."
	w.fails("LimitExceededException", full, "CreateKey", m{})

	w.must("ScheduleKeyDeletion", m{"KeyId": ids[0]})
	w.clock.Advance(31 * day)
	faults.Fail(faultstore.Plan{1: faultstore.NotPersisted})
	var none error
	if _, err := w.worker(&none).Work(t.Context()); err == nil {
		t.Fatal("the write did not fail")
	}
	w.fails("LimitExceededException", full, "CreateKey", m{})
	faults.Fail(faultstore.Plan{1: faultstore.Persisted})
	if _, err := w.worker(&none).Work(t.Context()); err == nil {
		t.Fatal("the write did not fail")
	}
	faults.Fail(nil)
	w.newKey()
	w.fails("LimitExceededException", full, "CreateKey", m{})
	w.must("ScheduleKeyDeletion", m{"KeyId": ids[1]})
	w.clock.Advance(31 * day)
	if _, err := w.worker(&none).Work(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.newKey()
	w.fails("LimitExceededException", full, "CreateKey", m{})
}

// The first creations in a Region, all at once, meet the quota exactly.
func TestKeyQuotaUnderConcurrency(t *testing.T) {
	w := newWorld(t)
	w.keyLimit = 7
	w.open()
	made := make(chan bool)
	for range 20 {
		go func() {
			_, err := w.as(account, region, "CreateKey", m{})
			made <- err == nil
		}()
	}
	count := 0
	for range 20 {
		if <-made {
			count++
		}
	}
	if got := len(w.must("ListKeys", m{})["Keys"].([]any)); count != 7 || got != 7 {
		t.Errorf("%d calls made %d keys, want 7", count, got)
	}
}

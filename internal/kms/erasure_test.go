package kms_test

import (
	"testing"
	"time"

	"github.com/keywright/keywright/internal/kms"
)

// Keys of one id in several Regions, as seeds may make them, have their material
// under one prefix. Erasing one spares the others', also while they wait for
// their own erasure.
func TestErasureSparesOtherRegions(t *testing.T) {
	w := newWorld(t)
	const id, second, third = "11111111-2222-4333-8444-555555555555", "eu-west-1", "us-east-1"
	blobs := map[string]any{}
	for _, r := range []string{region, second, third} {
		if _, err := w.service.Apply(t.Context(), &kms.Seed{Account: account, Region: r, ID: id}); err != nil {
			t.Fatal(err)
		}
		enc, err := w.as(account, r, "Encrypt", m{"KeyId": id, "Plaintext": b64(r)})
		if err != nil {
			t.Fatal(err)
		}
		blobs[r] = enc["CiphertextBlob"]
	}
	materials := func() int { return w.count("material/" + account + "/" + id + "/") }
	schedule := func(r string, days int) {
		t.Helper()
		if _, err := w.as(account, r, "ScheduleKeyDeletion", m{"KeyId": id, "PendingWindowInDays": days}); err != nil {
			t.Fatal(err)
		}
	}
	schedule(region, 7)
	schedule(second, 8)
	var none error
	worker := w.worker(&none)
	for _, c := range []struct {
		days      int
		materials int
	}{
		{7, 3}, // one is deleted
		{1, 2}, // it is erased, and the second one deleted
		{1, 1}, // that is erased too
		{9, 1},
	} {
		w.clock.Advance(time.Duration(c.days) * day)
		if _, err := worker.Work(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := materials(); got != c.materials {
			t.Fatalf("%d materials, want %d", got, c.materials)
		}
		w.check()
		if _, err := w.as(account, third, "Decrypt", m{"CiphertextBlob": blobs[third]}); err != nil {
			t.Fatal(err)
		}
	}
}

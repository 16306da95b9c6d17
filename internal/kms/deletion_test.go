package kms_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"
)

func guardFunc(err *error) func(context.Context) error {
	return func(context.Context) error { return *err }
}

const day = 24 * time.Hour

func TestWorkerDeletesInTwoPhases(t *testing.T) {
	w := newWorld(t)
	id, arn := w.newKey()
	keep, _ := w.newKey()
	w.must("CreateAlias", m{"AliasName": "alias/goes", "TargetKeyId": id})
	w.must("CreateAlias", m{"AliasName": "alias/stays", "TargetKeyId": keep})
	blob := w.must("Encrypt", m{"KeyId": id, "Plaintext": b64("x")})["CiphertextBlob"]
	w.must("ScheduleKeyDeletion", m{"KeyId": id, "PendingWindowInDays": 7})
	w.must("ScheduleKeyDeletion", m{"KeyId": keep, "PendingWindowInDays": 30})
	w.must("CancelKeyDeletion", m{"KeyId": keep})

	var shut error
	worker := w.worker(&shut)
	next, err := worker.Work(t.Context())
	if err != nil || next.Sub(w.clock.Now()) > 7*day || next.Sub(w.clock.Now()) < 7*day-time.Minute {
		t.Fatalf("the next work is at %v, %v", next, err)
	}
	w.metadata(id)

	// A clock that is not believed deletes nothing.
	w.clock.Advance(7*day + time.Second)
	shut = errors.New("clock not trusted")
	if _, err := worker.Work(t.Context()); !errors.Is(err, shut) {
		t.Errorf("the worker went on: %v", err)
	}
	w.metadata(id)
	shut = nil

	if _, err := worker.Work(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.fails("NotFoundException", "Key '"+arn+"' does not exist", "DescribeKey", m{"KeyId": id})
	w.fails("NotFoundException", "Alias arn:aws:kms:"+region+":"+account+":alias/goes is not found.", "DescribeKey", m{"KeyId": "alias/goes"})
	if _, err := w.as(account, region, "Decrypt", m{"CiphertextBlob": blob}); err == nil {
		t.Error("a deleted key decrypts")
	}
	w.must("DescribeKey", m{"KeyId": "alias/stays"})
	if n := w.count("material/" + account + "/" + id + "/"); n != 1 {
		t.Errorf("%d materials within the grace period, want 1", n)
	}

	w.clock.Advance(day + time.Second)
	if _, err := worker.Work(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, prefix := range []string{"material/" + account + "/" + id, "tombstone/", "erasure/", "deletion/", "keyalias/" + account + "/" + region + "/" + id} {
		if n := w.count(prefix); n != 0 {
			t.Errorf("%d records under %s after erasure", n, prefix)
		}
	}
	w.must("Encrypt", m{"KeyId": w.enable(keep), "Plaintext": b64("x")})

	var deleted []m
	for _, ev := range w.events() {
		if ev["eventName"] == "DeleteKey" {
			deleted = append(deleted, ev)
		}
	}
	if len(deleted) != 1 || deleted[0]["eventType"] != "AwsServiceEvent" || deleted[0]["recipientAccountId"] != account ||
		deleted[0]["resources"].([]any)[0].(m)["ARN"] != arn || deleted[0]["userIdentity"].(m)["invokedBy"] != "AWS Internal" {
		t.Errorf("records of the deletion: %v", deleted)
	}
}

func (w *world) enable(id string) string {
	w.must("EnableKey", m{"KeyId": id})
	return id
}

// count counts the records under a prefix.
func (w *world) count(prefix string) int {
	w.t.Helper()
	v, err := w.db.View(context.Background())
	if err != nil {
		w.t.Fatal(err)
	}
	defer v.Close()
	n := 0
	for path, err := range v.Paths([]byte(prefix), nil) {
		if err != nil {
			w.t.Fatal(err)
		}
		if !strings.HasPrefix(string(path), prefix) {
			break
		}
		n++
	}
	return n
}

func TestWorkerDeletesFiftyAliases(t *testing.T) {
	w := newWorld(t)
	id, _ := w.newKey()
	for i := range 50 {
		w.must("CreateAlias", m{"AliasName": "alias/" + strings.Repeat("x", i+1), "TargetKeyId": id})
	}
	w.fails("LimitExceededException", "...", "CreateAlias", m{"AliasName": "alias/one-more", "TargetKeyId": id})
	w.must("ScheduleKeyDeletion", m{"KeyId": id})
	w.clock.Advance(31 * day)
	var none error
	if _, err := w.worker(&none).Work(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := w.count("alias/"); n != 0 {
		t.Errorf("%d aliases are left", n)
	}
}

func TestWorkerRunFollowsTheClock(t *testing.T) {
	w := newWorld(t)
	id, _ := w.newKey()
	w.must("ScheduleKeyDeletion", m{"KeyId": id, "PendingWindowInDays": 7})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	var none error
	go func() {
		w.worker(&none).Run(ctx)
		close(done)
	}()
	w.clock.Advance(8 * day)
	for range 1000 {
		if _, err := w.as(account, region, "DescribeKey", m{"KeyId": id}); err != nil {
			break
		}
		time.Sleep(5 * time.Millisecond)
	}
	cancel()
	<-done
	if _, err := w.as(account, region, "DescribeKey", m{"KeyId": id}); err == nil {
		t.Error("moving the clock did not wake the worker")
	}
}

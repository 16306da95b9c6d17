package kms_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"
)

// Sixteen callers change three keys and their aliases at once, while keys are
// deleted and the outbox is drained. Afterwards the store is whole, and every
// change that was acknowledged has exactly one record, and no other has any.
func TestConcurrentChanges(t *testing.T) {
	w := newWorld(t)
	w.keyLimit = 1000
	w.open()
	var mu sync.Mutex // of what follows
	var keys [3]string
	acknowledged := map[any]string{}

	at := func(i int) string {
		mu.Lock()
		defer mu.Unlock()
		return keys[i]
	}
	change := func(operation string, request m) m {
		requestID, resp, err := w.call(account, region, operation, request)
		if err == nil {
			mu.Lock()
			acknowledged[requestID] = operation
			mu.Unlock()
			return resp
		}
		if strings.HasPrefix(err.Error(), "KMSInternal") || strings.HasPrefix(err.Error(), "Throttling") {
			t.Errorf("%s: %v", operation, err)
		}
		return nil
	}
	create := func(i int) {
		resp := change("CreateKey", m{})
		mu.Lock()
		keys[i] = resp["KeyMetadata"].(m)["KeyId"].(string)
		mu.Unlock()
	}
	for i := range keys {
		create(i)
	}

	var none error
	worker := w.worker(&none)
	step := func(r *rand.Rand) {
		id, second := at(r.IntN(3)), at(r.IntN(3))
		alias := fmt.Sprint("alias/", r.IntN(6))
		tag := fmt.Sprint(r.IntN(4))
		switch r.IntN(13) {
		case 0:
			change("CreateAlias", m{"AliasName": alias, "TargetKeyId": id})
		case 1, 2, 3:
			change("UpdateAlias", m{"AliasName": alias, "TargetKeyId": second})
		case 4:
			change("DeleteAlias", m{"AliasName": alias})
		case 5:
			change("TagResource", m{"KeyId": id, "Tags": []m{{"TagKey": tag, "TagValue": tag}}})
		case 6:
			change("UntagResource", m{"KeyId": id, "TagKeys": []string{tag}})
		case 7:
			change("DisableKey", m{"KeyId": id})
		case 8:
			change("EnableKey", m{"KeyId": id})
		case 9:
			change("PutKeyPolicy", m{"KeyId": id, "Policy": policyFor(account)})
		case 10:
			change("ScheduleKeyDeletion", m{"KeyId": id, "PendingWindowInDays": 7})
		case 11:
			change("CancelKeyDeletion", m{"KeyId": id})
		case 12:
			if enc, err := w.as(account, region, "Encrypt", m{"KeyId": id, "Plaintext": b64("x")}); err == nil {
				w.as(account, region, "Decrypt", m{"CiphertextBlob": enc["CiphertextBlob"]})
			}
		}
	}

	ctx, stop := context.WithTimeout(t.Context(), time.Second)
	defer stop()
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(1, uint64(i)))
			for ctx.Err() == nil {
				step(r)
			}
		})
	}
	wg.Go(func() { // the worker, and new keys for those that go
		for round := 0; ctx.Err() == nil; round++ {
			change("ScheduleKeyDeletion", m{"KeyId": at(round % 3), "PendingWindowInDays": 7})
			time.Sleep(10 * time.Millisecond)
			w.clock.Advance(7 * day)
			if _, err := worker.Work(context.Background()); err != nil {
				t.Error(err)
			}
			for i := range keys {
				if _, err := w.as(account, region, "DescribeKey", m{"KeyId": at(i)}); err != nil {
					create(i)
				}
			}
		}
	})
	wg.Go(func() {
		for ctx.Err() == nil {
			if err := w.path.Outbox.Drain(context.Background()); err != nil {
				t.Error(err)
			}
		}
	})
	wg.Wait()
	w.check()

	readOnly, deletions := 0, 0
	for _, ev := range w.events() {
		switch {
		case ev["errorCode"] != nil:
		case ev["readOnly"] == true:
			readOnly++
		case ev["eventName"] == "DeleteKey":
			deletions++
		case acknowledged[ev["requestID"]] != ev["eventName"]:
			t.Fatalf("a record of a change nobody was told of, or a second one: %v", ev)
		default:
			delete(acknowledged, ev["requestID"])
		}
	}
	for requestID, operation := range acknowledged {
		t.Errorf("%s %v has no record", operation, requestID)
	}
	if readOnly == 0 || deletions == 0 {
		t.Errorf("%d uses and %d deletions were recorded: the test did nothing", readOnly, deletions)
	}
}

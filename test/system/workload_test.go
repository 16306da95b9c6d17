package system_test

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
)

// key is what a client knows of a key: what was acknowledged to it.
type key struct {
	id, description, policy string
	state                   string
	tags                    map[string]string
	aliases                 map[string]bool

	// unsettled is a change of this key that got no answer, or one that does
	// not tell whether it happened.
	unsettled *change
}

func (k *key) copy() *key {
	c := *k
	c.tags, c.aliases = maps.Clone(k.tags), maps.Clone(k.aliases)
	return &c
}

func (k *key) equal(o *key) bool {
	return k.id == o.id && k.description == o.description && k.policy == o.policy && k.state == o.state &&
		maps.Equal(k.tags, o.tags) && maps.Equal(k.aliases, o.aliases)
}

// change is one request of the workload, with what it does when it succeeds.
type change struct {
	agent     string // unique; in the audit log
	operation string
	request   m
	touched   []*key
	after     []*key // what becomes of touched; of CreateKey the new key
	refused   string // the error code that it must be refused with, "" for none
	readOnly  bool

	outcome   outcome
	requestID string
}

// outcome is what the client learnt of a request.
type outcome int

const (
	unanswered outcome = iota
	done
	refusedAsExpected
	faulted // a status of 500: it may have happened or not
)

// workload makes changes and remembers what came of them. Each of its workers
// has keys of its own, so what a key must look like does not depend on the
// order in which the server took the requests.
type workload struct {
	t       testing.TB
	client  *client
	account string
	// faults tells whether an internal error is to be expected.
	faults bool

	mu      sync.Mutex
	keys    map[string]*key
	changes []*change // of the current round
	serial  atomic.Int64
	pools   [][]*key
}

const workers = 32

func newWorkload(t testing.TB, c *client) *workload {
	arn := c.must(t, "CreateKey", m{"Description": "finds the account"})["KeyMetadata"].(m)
	w := &workload{t: t, client: c, account: arn["AWSAccountId"].(string), keys: map[string]*key{}, pools: make([][]*key, workers)}
	id := arn["KeyId"].(string)
	w.keys[id] = w.actual(id)
	return w
}

// run makes changes from all workers until the context ends or the budget is
// used up. settled is called after each that was acknowledged.
func (w *workload) run(ctx context.Context, budget int, settled func(n int)) {
	w.changes = nil
	var begun, acknowledged atomic.Int64
	var wg sync.WaitGroup
	for i := range workers {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(i), uint64(w.serial.Load())))
			for ctx.Err() == nil && begun.Add(1) <= int64(budget) {
				ch := w.next(i, rng)
				w.perform(ctx, i, ch)
				switch ch.outcome {
				case unanswered:
					return // the server is gone
				case done:
					settled(int(acknowledged.Add(1)))
				}
			}
		})
	}
	wg.Wait()
}

// acknowledged is how many changes of the last run were.
func (w *workload) acknowledged() (n int) {
	for _, ch := range w.changes {
		if ch.outcome == done {
			n++
		}
	}
	return n
}

// perform makes the change and notes what came of it.
func (w *workload) perform(ctx context.Context, worker int, ch *change) {
	a, err := w.client.call(ctx, ch.operation, ch.agent, ch.request)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.changes = append(w.changes, ch)
	ch.requestID = a.requestID
	switch {
	case err != nil:
		ch.outcome = unanswered
	case a.status == http.StatusOK && ch.refused == "":
		ch.outcome = done
	case a.status == http.StatusBadRequest && a.code() == ch.refused:
		ch.outcome = refusedAsExpected
	case a.status == http.StatusInternalServerError && w.faults && a.code() == "KMSInternalException":
		ch.outcome = faulted
	default:
		w.t.Errorf("%s %v: %d %s, expected %q", ch.operation, ch.request, a.status, a.body, ch.refused)
		return
	}
	if ch.readOnly || ch.refused != "" {
		return
	}
	if ch.outcome == unanswered || ch.outcome == faulted {
		for _, k := range ch.touched {
			k.unsettled = ch
		}
		w.pools[worker] = slices.DeleteFunc(w.pools[worker], func(k *key) bool { return k.unsettled != nil })
		return
	}
	if ch.operation == "CreateKey" {
		k := ch.after[0]
		k.id = a.object()["KeyMetadata"].(m)["KeyId"].(string)
		w.keys[k.id] = k
		// Workers leave their older keys alone after a while.
		w.pools[worker] = append(w.pools[worker], k)
		if len(w.pools[worker]) > 6 {
			w.pools[worker] = w.pools[worker][1:]
		}
		return
	}
	for i, k := range ch.touched {
		*k = *ch.after[i]
	}
}

// next thinks of a change that a worker can make.
func (w *workload) next(worker int, rng *rand.Rand) *change {
	n := w.serial.Add(1)
	ch := &change{agent: fmt.Sprintf("system-test/%d", n)}
	w.mu.Lock()
	defer w.mu.Unlock()
	pool := w.pools[worker]
	if len(pool) < 2 || rng.IntN(12) == 0 {
		return w.createKey(ch, n)
	}
	k := pool[rng.IntN(len(pool))]
	next := k.copy()
	ch.touched, ch.after = []*key{k}, []*key{next}
	ch.request = m{"KeyId": k.id}
	if k.state == "PendingDeletion" {
		if rng.IntN(4) == 0 {
			ch.operation, ch.refused = "EnableKey", "KMSInvalidStateException"
			return ch
		}
		ch.operation, next.state = "CancelKeyDeletion", "Disabled"
		return ch
	}
	switch rng.IntN(11) {
	case 0:
		ch.operation, next.description = "UpdateKeyDescription", ch.agent
		ch.request["Description"] = ch.agent
	case 1:
		ch.operation = "TagResource"
		next.tags["first"], next.tags["second"] = ch.agent, ch.agent
		ch.request["Tags"] = []m{{"TagKey": "first", "TagValue": ch.agent}, {"TagKey": "second", "TagValue": ch.agent}}
	case 2:
		if k.tags["second"] == "" { // what changes nothing would not show whether it happened
			ch.operation, ch.request["Tags"] = "TagResource", []m{{"TagKey": "second", "TagValue": ch.agent}}
			next.tags["second"] = ch.agent
			break
		}
		ch.operation, ch.request["TagKeys"] = "UntagResource", []string{"serial", "second"}
		delete(next.tags, "serial")
		delete(next.tags, "second")
	case 3:
		ch.operation, next.policy = "PutKeyPolicy", w.policy(n)
		ch.request["Policy"] = next.policy
	case 4, 5:
		ch.operation, next.state = "DisableKey", "Disabled"
		if k.state == "Disabled" {
			ch.operation, next.state = "EnableKey", "Enabled"
		}
	case 6:
		ch.operation, next.state = "ScheduleKeyDeletion", "PendingDeletion"
		ch.request["PendingWindowInDays"] = 7 + rng.IntN(24)
	case 7:
		alias := fmt.Sprintf("alias/system-%d", n)
		ch.operation, next.aliases[alias] = "CreateAlias", true
		ch.request = m{"AliasName": alias, "TargetKeyId": k.id}
	case 8:
		for alias := range k.aliases {
			ch.request = m{"AliasName": alias}
			if other := pool[rng.IntN(len(pool))]; other != k && other.state != "PendingDeletion" {
				ch.operation, ch.request["TargetKeyId"] = "UpdateAlias", other.id
				nextOther := other.copy()
				nextOther.aliases[alias] = true
				ch.touched, ch.after = append(ch.touched, other), append(ch.after, nextOther)
			} else {
				ch.operation = "DeleteAlias"
			}
			delete(next.aliases, alias)
			return ch
		}
		ch.operation, ch.refused = "DeleteAlias", "NotFoundException"
		ch.request = m{"AliasName": fmt.Sprintf("alias/none-%d", n)}
	case 9:
		ch.operation, ch.readOnly = "DescribeKey", true
	case 10:
		ch.operation, ch.readOnly = "Encrypt", true
		ch.request["Plaintext"] = []byte("text")
		if k.state == "Disabled" {
			ch.refused = "DisabledException"
		}
	}
	return ch
}

func (w *workload) createKey(ch *change, n int64) *change {
	k := &key{
		description: ch.agent, policy: w.policy(n), state: "Enabled",
		tags: map[string]string{"serial": ch.agent}, aliases: map[string]bool{},
	}
	ch.operation, ch.after = "CreateKey", []*key{k}
	ch.request = m{"Description": k.description, "Policy": k.policy, "Tags": []m{{"TagKey": "serial", "TagValue": ch.agent}}}
	return ch
}

// policy is a key policy like no other.
func (w *workload) policy(n int64) string {
	return fmt.Sprintf(`{"Version":"2012-10-17","Statement":[{"Sid":"Serial%d","Effect":"Allow","Principal":{"AWS":"arn:aws:iam::%s:root"},"Action":"kms:*","Resource":"*"}]}`, n, w.account)
}

// actual is the key as the server shows it.
func (w *workload) actual(id string) *key {
	w.t.Helper()
	about := m{"KeyId": id}
	meta := w.client.must(w.t, "DescribeKey", about)["KeyMetadata"].(m)
	k := &key{
		id: id, description: meta["Description"].(string), state: meta["KeyState"].(string),
		policy: w.client.must(w.t, "GetKeyPolicy", about)["Policy"].(string),
		tags:   map[string]string{}, aliases: map[string]bool{},
	}
	for _, tag := range w.client.must(w.t, "ListResourceTags", about)["Tags"].([]any) {
		k.tags[tag.(m)["TagKey"].(string)] = tag.(m)["TagValue"].(string)
	}
	for _, alias := range w.client.must(w.t, "ListAliases", about)["Aliases"].([]any) {
		k.aliases[alias.(m)["AliasName"].(string)] = true
	}
	return k
}

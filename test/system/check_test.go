package system_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/keywright/keywright/internal/audit"
)

// auditRecord is what the tests look at of a record.
type auditRecord struct {
	EventName string
	RequestID string
	UserAgent string
	ErrorCode string
	ReadOnly  bool
}

// auditTrail reads an audit log as it grows.
type auditTrail struct {
	dir     string
	next    uint64
	byAgent map[string][]auditRecord
}

func newAuditTrail(dir string) *auditTrail {
	return &auditTrail{dir: dir, next: 1, byAgent: map[string][]auditRecord{}}
}

// read takes in what is new.
func (a *auditTrail) read(t testing.TB) {
	t.Helper()
	for r, err := range audit.Read(a.dir, a.next) {
		if err != nil {
			t.Fatalf("reading the audit log: %v", err)
		}
		if r.Sequence != a.next {
			t.Fatalf("audit record %d follows %d", r.Sequence, a.next-1)
		}
		a.next++
		var rec auditRecord
		if err := json.Unmarshal(r.Event, &rec); err != nil {
			t.Fatalf("audit record %d is no JSON: %v", r.Sequence, err)
		}
		a.byAgent[rec.UserAgent] = append(a.byAgent[rec.UserAgent], rec)
	}
}

// upToDate reads until the records of all changes so far are in the log. They
// are drained into it in the order of the changes, so it makes one more.
func (a *auditTrail) upToDate(w *workload) {
	w.t.Helper()
	agent := fmt.Sprintf("system-test/marker-%d", w.serial.Add(1))
	answer, err := w.client.call(w.t.Context(), "CreateKey", agent, m{"Description": "marker"})
	if err != nil || answer.status != http.StatusOK {
		w.t.Fatalf("making a last change: %v %s", err, answer.body)
	}
	id := answer.object()["KeyMetadata"].(m)["KeyId"].(string)
	w.keys[id] = w.actual(id)
	for range 200 {
		if a.read(w.t); len(a.byAgent[agent]) > 0 {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	w.t.Fatal("the record of a change is not in the audit log after 10 seconds")
}

// check compares what the server has with what it acknowledged in the last run.
// It returns how many changes without an answer had happened, and had not.
func (w *workload) check(trail *auditTrail) (happened, not int) {
	w.t.Helper()
	trail.upToDate(w)
	w.adoptNewKeys()
	touched := map[*key]bool{}
	for _, ch := range w.changes {
		took := w.settle(ch, touched)
		if ch.outcome == unanswered && !ch.readOnly && ch.refused == "" {
			if took {
				happened++
			} else {
				not++
			}
		}
		w.checkRecords(ch, took, trail.byAgent[ch.agent])
	}
	for k := range touched {
		w.checkKey(k)
	}
	return happened, not
}

// checkAll compares every key that was ever made.
func (w *workload) checkAll() {
	w.t.Helper()
	w.adoptNewKeys()
	for _, k := range w.keys {
		w.checkKey(k)
	}
}

func (w *workload) checkKey(k *key) {
	w.t.Helper()
	if got := w.actual(k.id); !got.equal(k) {
		w.t.Errorf("the key is\n%+v\nbut what was acknowledged is\n%+v", got, k)
	}
}

// settle finds out whether a change took place, whole, and brings what is known
// of its keys up to date.
func (w *workload) settle(ch *change, touched map[*key]bool) bool {
	if ch.outcome == done {
		for _, k := range ch.touched {
			if k.unsettled == nil {
				touched[k] = true
			}
		}
		if ch.operation == "CreateKey" && ch.after[0].unsettled == nil {
			touched[ch.after[0]] = true
		}
		return true
	}
	if ch.readOnly || ch.refused != "" {
		return false
	}
	if ch.operation == "CreateKey" {
		return ch.after[0].id != "" // adoptNewKeys has seen it
	}
	before, after := true, true
	for i, k := range ch.touched {
		got := w.actual(k.id)
		before = before && got.equal(k)
		after = after && got.equal(ch.after[i])
	}
	if before == after {
		w.t.Errorf("%s %v, which had no answer, is half there", ch.operation, ch.request)
		return false
	}
	for i, k := range ch.touched {
		if after {
			*k = *ch.after[i]
		}
		k.unsettled = nil
	}
	return after
}

// adoptNewKeys lists the keys and looks for those that nobody was told of. Each
// must be whole and the work of a request that had no answer.
func (w *workload) adoptNewKeys() {
	w.t.Helper()
	created := map[string]*key{}
	for _, ch := range w.changes {
		if ch.operation == "CreateKey" && (ch.outcome == unanswered || ch.outcome == faulted) {
			created[ch.agent] = ch.after[0]
		}
	}
	missing := len(w.keys)
	for marker := ""; ; {
		in := m{"Limit": 1000}
		if marker != "" {
			in["Marker"] = marker
		}
		page := w.client.must(w.t, "ListKeys", in)
		for _, entry := range page["Keys"].([]any) {
			id := entry.(m)["KeyId"].(string)
			if w.keys[id] != nil {
				missing--
				continue
			}
			got := w.actual(id)
			k := created[got.description]
			if k == nil {
				w.t.Errorf("there is a key that nobody asked for: %+v", got)
				continue
			}
			if k.id = id; !got.equal(k) {
				w.t.Errorf("a key is half there: %+v, but asked for was %+v", got, k)
			}
			w.client.must(w.t, "GenerateDataKey", m{"KeyId": id, "KeySpec": "AES_256"}) // it has its material
			w.keys[id] = k
		}
		if marker, _ = page["NextMarker"].(string); marker == "" {
			break
		}
	}
	if missing != 0 {
		w.t.Errorf("%d acknowledged keys are lost", missing)
	}
}

// checkRecords holds that a change has its record, and a record its change.
func (w *workload) checkRecords(ch *change, took bool, records []auditRecord) {
	w.t.Helper()
	var succeeded, failed int
	for _, r := range records {
		if r.EventName != ch.operation || r.ReadOnly != ch.isRead() {
			w.t.Errorf("%s %s is recorded as %+v", ch.agent, ch.operation, r)
		}
		if ch.requestID != "" && r.RequestID != ch.requestID {
			w.t.Errorf("%s %s has the request id %s in the log, %s in the answer", ch.agent, ch.operation, r.RequestID, ch.requestID)
		}
		if r.ErrorCode == "" {
			succeeded++
		} else {
			failed++
		}
	}
	ok := false
	switch {
	case ch.outcome == done:
		ok = succeeded == 1 && failed == 0
	case ch.outcome == refusedAsExpected:
		ok = succeeded == 0 && failed == 1 && records[0].ErrorCode == ch.refused
	case ch.readOnly || ch.refused != "": // no answer: a record is no harm
		ok = succeeded+failed <= 1
	case took:
		// Where it was not clear whether the change was written, the fault is
		// recorded too.
		ok = succeeded == 1 && failed <= 1
	default:
		ok = succeeded == 0 && failed <= 1
	}
	if !ok {
		w.t.Errorf("%s %s, with outcome %d, took place: %v, has the records %+v", ch.agent, ch.operation, ch.outcome, took, records)
	}
}

// isRead tells whether the operation changes nothing.
func (ch *change) isRead() bool {
	return strings.HasPrefix(ch.operation, "Describe") || ch.operation == "Encrypt"
}

// checkUnknown fails where the log has a successful change that no client made.
func (w *workload) checkUnknown(trail *auditTrail) {
	w.t.Helper()
	for agent, records := range trail.byAgent {
		if strings.HasPrefix(agent, "system-test/") || agent == "must" {
			continue
		}
		for _, r := range records {
			if r.EventName != "CreateAccount" {
				w.t.Errorf("the audit log has a record of nobody's request: %+v", r)
			}
		}
	}
}

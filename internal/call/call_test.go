package call_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"github.com/keywright/keywright/internal/audit"
	"github.com/keywright/keywright/internal/awsapi"
	"github.com/keywright/keywright/internal/call"
	"github.com/keywright/keywright/internal/clock"
	"github.com/keywright/keywright/internal/record"
	"github.com/keywright/keywright/internal/seal"
	"github.com/keywright/keywright/internal/store"
	"github.com/keywright/keywright/internal/store/boltstore"
	"github.com/keywright/keywright/internal/store/faultstore"
)

type thing struct {
	N int `json:"n"`
}

type world struct {
	*testing.T
	path   *call.Path
	faults *faultstore.Store
	log    strings.Builder
	dir    string
}

type keys struct{ state *audit.State }

func (k *keys) Load(context.Context) (audit.State, bool, error) {
	if k.state == nil {
		return audit.State{}, false, nil
	}
	return *k.state, true, nil
}

func (k *keys) Save(_ context.Context, s audit.State) error {
	k.state = &s
	return nil
}

type sealer struct{ *seal.Keyring }

func (s sealer) Seal(path, b []byte) []byte          { return s.Keyring.Seal(string(path), b) }
func (s sealer) Open(path, b []byte) ([]byte, error) { return s.Keyring.Open(string(path), b) }

func newWorld(t *testing.T) *world {
	t.Helper()
	st, err := boltstore.OpenMemory(boltstore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { st.Close() })
	keyring, _, err := seal.Init(t.Context(), st, seal.NewMemoryRootKey())
	if err != nil {
		t.Fatal(err)
	}
	w := &world{T: t, faults: faultstore.New(st), dir: t.TempDir()}
	guarded := keyring.Guard(w.faults)
	log, err := audit.Open(t.Context(), audit.Config{Dir: w.dir, Keys: new(keys), ReserveBytes: -1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { log.Close() })
	w.path = &call.Path{
		DB: record.New(guarded, keyring, 1<<20), Audit: log, Outbox: audit.NewOutbox(guarded, sealer{keyring}, log),
		Clock: new(clock.Clock), Log: slog.New(slog.NewTextHandler(&w.log, nil)),
	}
	return w
}

func (w *world) record() *call.Record {
	return &call.Record{
		RequestID: call.NewRequestID(), Service: "kms", Source: "kms.amazonaws.com", Operation: "Op", Region: "us-east-1",
		FaultCode: "KMSInternalException", Caller: call.Root("aws", "111122223333", "AKIA"), Time: w.path.Clock.Now(),
	}
}

// events are the records so far: drained and read back.
func (w *world) events() (all []map[string]any) {
	w.Helper()
	if err := w.path.Outbox.Drain(context.Background()); err != nil {
		w.Fatal(err)
	}
	for r, err := range audit.Read(w.dir, 0) {
		if err != nil {
			w.Fatal(err)
		}
		var ev map[string]any
		if err := json.Unmarshal(r.Event, &ev); err != nil {
			w.Fatal(err)
		}
		all = append(all, ev)
	}
	return all
}

var path = []byte("thing/a")

// increment is an operation that changes one record.
func increment(c *call.Call) error {
	f, err := record.Get[thing](c.View, path)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	next := thing{1}
	if f.Value != nil {
		next.N = f.Value.N + 1
	}
	tx := c.Tx()
	record.Put(tx, path, f.Revision, &next)
	return c.Commit(tx, nil)
}

func (w *world) value() int {
	w.Helper()
	v, err := w.path.DB.View(context.Background())
	if err != nil {
		w.Fatal(err)
	}
	defer v.Close()
	f, err := record.Get[thing](v, path)
	if errors.Is(err, store.ErrNotFound) {
		return 0
	}
	if err != nil {
		w.Fatal(err)
	}
	return f.Value.N
}

// What Alloc gives out is apart from all else it gave, with memory and without.
func TestAlloc(t *testing.T) {
	rec := call.Record{Memory: make([]byte, 0, 10)}
	all := [][]byte{rec.Alloc(4), rec.Alloc(0), rec.Alloc(6), rec.Alloc(1), rec.Alloc(20)}
	for i, want := range []int{4, 0, 6, 1, 20} {
		if len(all[i]) != 0 || cap(all[i]) < want {
			t.Errorf("slice %d: length %d, room for %d, want %d", i, len(all[i]), cap(all[i]), want)
		}
		all[i] = append(all[i], bytes.Repeat([]byte{byte(i + 1)}, want+3)...) // more than was asked for
	}
	for i, b := range all {
		if len(bytes.Trim(b, string(rune(i+1)))) > 0 {
			t.Errorf("slice %d was overwritten: %v", i, b)
		}
	}
	if len(rec.Memory) != 10 {
		t.Errorf("%d bytes of the memory count as given out, want 10", len(rec.Memory))
	}
}

// A call that meets a conflict runs again and is recorded once.
func TestRunAgainOnConflict(t *testing.T) {
	w := newWorld(t)
	attempts := 0
	err := w.path.Run(t.Context(), w.record(), func(c *call.Call) error {
		if attempts++; attempts <= 3 { // someone else is faster
			if err := w.path.Run(t.Context(), w.record(), increment); err != nil {
				t.Fatal(err)
			}
		}
		return increment(c)
	})
	if err != nil || attempts != 4 || w.value() != 4 {
		t.Errorf("error %v after %d attempts, value %d", err, attempts, w.value())
	}
	if n := len(w.events()); n != 4 {
		t.Errorf("%d records of 4 calls", n)
	}
}

// A write that fails gives an error with nothing of its cause, and the record
// tells what is in the store: a change has a record of success, no change has none.
func TestFailedWrites(t *testing.T) {
	for name, plan := range faultstore.Plans(1) {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.faults.Fail(plan)
			rec := w.record()
			err := w.path.Run(t.Context(), rec, increment)
			w.faults.Fail(nil)
			if e, ok := errors.AsType[*awsapi.Error](err); !ok || e.Code != "KMSInternalException" || strings.Contains(e.Message, "fault") {
				t.Fatalf("got %v", err)
			}
			if !strings.Contains(w.log.String(), rec.RequestID) {
				t.Error("the operator's log does not name the request")
			}
			succeeded, failed := 0, 0
			for _, ev := range w.events() {
				if ev["errorCode"] == nil {
					succeeded++
				} else {
					failed++
				}
			}
			if succeeded != w.value() || failed != 1 {
				t.Errorf("value %d with %d records of success and %d of failure", w.value(), succeeded, failed)
			}
		})
	}
}

func TestNoAnswerWithoutRecord(t *testing.T) {
	w := newWorld(t)
	if err := w.path.Audit.Close(); err != nil {
		t.Fatal(err)
	}
	var observed error
	w.path.Observe = func(_ *call.Record, err error) { observed = err }
	err := w.path.Run(t.Context(), w.record(), func(*call.Call) error { return nil })
	if e, ok := errors.AsType[*awsapi.Error](err); !ok || e.Code != "KMSInternalException" {
		t.Errorf("a call that could not be recorded answered %v", err)
	}
	if observed != err {
		t.Errorf("it was observed as %v", observed)
	}
}

// Credentials that were revoked between their look-up and the call are refused.
func TestCredentialsAreCheckedInTheSnapshot(t *testing.T) {
	w := newWorld(t)
	rec := w.record()
	rec.Caller.StillValid = func(v *record.View) error {
		if v.Revision() == 0 {
			t.Error("the view has no revision")
		}
		return awsapi.Errorf(awsapi.CodeUnrecognizedClient, "gone")
	}
	err := w.path.Run(t.Context(), rec, func(*call.Call) error {
		t.Error("the operation ran")
		return nil
	})
	if e, ok := errors.AsType[*awsapi.Error](err); !ok || e.Code != awsapi.CodeUnrecognizedClient {
		t.Errorf("got %v", err)
	}
}

func TestRecordOfFailure(t *testing.T) {
	w := newWorld(t)
	for _, code := range []string{awsapi.CodeAccessDenied, "DisabledException"} {
		w.path.Run(t.Context(), w.record(), func(c *call.Call) error {
			c.Touch("arn:x", "111122223333")
			c.Touch("arn:x", "111122223333")
			return awsapi.Errorf(code, "the reason")
		})
	}
	events := w.events()
	if len(events) != 2 || events[0]["errorCode"] != "AccessDenied" || events[1]["errorCode"] != "DisabledException" || events[1]["errorMessage"] != "the reason" {
		t.Fatalf("records: %v", events)
	}
	if n := len(events[0]["resources"].([]any)); n != 1 {
		t.Errorf("%d resources, want 1", n)
	}
}

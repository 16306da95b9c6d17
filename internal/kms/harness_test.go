package kms_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/keywright/keywright/internal/audit"
	"github.com/keywright/keywright/internal/awsapi"
	"github.com/keywright/keywright/internal/call"
	"github.com/keywright/keywright/internal/clock"
	"github.com/keywright/keywright/internal/hsm/softhsm"
	"github.com/keywright/keywright/internal/kms"
	"github.com/keywright/keywright/internal/kmsapi"
	"github.com/keywright/keywright/internal/record"
	"github.com/keywright/keywright/internal/seal"
	"github.com/keywright/keywright/internal/store"
	"github.com/keywright/keywright/internal/store/boltstore"
)

const (
	account = "111122223333"
	other   = "444455556666"
	region  = "eu-central-1"
)

// world is a KMS over a store in memory, with everything real but the listener.
type world struct {
	t       testing.TB
	store   store.Store // the one beneath everything; tests may break it
	db      *record.DB
	path    *call.Path
	service *kms.Service
	module  *softhsm.Module
	clock   *clock.Clock
	log     strings.Builder
	dir     string

	keyring  *seal.Keyring
	keys     memoryKeys // of the audit log
	keyLimit int        // of an account in a Region
	closes   []func() error
}

// newWorld builds a world; wrap, where given, stands between the services and
// their store.
func newWorld(t testing.TB, wrap ...func(store.Store) store.Store) *world {
	t.Helper()
	w := &world{t: t, clock: new(clock.Clock), dir: t.TempDir(), keyLimit: 30}
	t.Cleanup(w.close)
	bolt, err := boltstore.OpenMemory(boltstore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	w.closes = append(w.closes, bolt.Close)
	w.keyring, _, err = seal.Init(t.Context(), bolt, seal.NewMemoryRootKey())
	if err != nil {
		t.Fatal(err)
	}
	w.store = bolt
	for _, f := range wrap {
		w.store = f(w.store)
	}
	w.module, err = softhsm.New(softhsm.DomainKeys{Keys: map[uint32][]byte{1: make([]byte, softhsm.DomainKeySize)}, Active: 1}, softhsm.Options{Keys: 64})
	if err != nil {
		t.Fatal(err)
	}
	w.closes = append(w.closes, w.module.Close)
	w.open()
	return w
}

// close ends a world before the test does, and leaves nothing of it: a soak
// makes a million.
func (w *world) close() {
	for _, f := range slices.Backward(w.closes) {
		if err := f(); err != nil {
			w.t.Error(err)
		}
	}
	os.RemoveAll(w.dir)
	*w = world{t: w.t}
}

// open builds what stands on the store; again, it does what a restart does.
func (w *world) open() {
	w.t.Helper()
	if w.path != nil {
		if err := w.path.Audit.Close(); err != nil {
			w.t.Fatal(err)
		}
	}
	log := slog.New(slog.NewTextHandler(&w.log, nil))
	guarded := w.keyring.Guard(w.store)
	w.db = record.New(guarded, w.keyring, 1<<20)
	auditLog, err := audit.Open(w.t.Context(), audit.Config{Dir: w.dir, Keys: &w.keys, Clock: w.clock, ReserveBytes: -1, RetainAge: 100 * 365 * day})
	if err != nil {
		w.t.Fatal(err)
	}
	w.closes = append(w.closes, auditLog.Close)
	w.path = &call.Path{
		DB: w.db, Audit: auditLog, Outbox: audit.NewOutbox(guarded, pathSealer{w.keyring}, auditLog), Clock: w.clock, Log: log,
	}
	w.service = kms.New(kms.Config{Path: w.path, Module: w.module, Names: w.keyring, Log: log, KeysPerRegion: w.keyLimit})
}

type memoryKeys struct {
	state audit.State
	saved bool
}

func (m *memoryKeys) Load(context.Context) (audit.State, bool, error) { return m.state, m.saved, nil }
func (m *memoryKeys) Save(_ context.Context, s audit.State) error {
	m.state, m.saved = s, true
	return nil
}

type pathSealer struct{ *seal.Keyring }

func (p pathSealer) Seal(path, plaintext []byte) []byte {
	return p.Keyring.Seal(string(path), plaintext)
}
func (p pathSealer) Open(path, sealed []byte) ([]byte, error) {
	return p.Keyring.Open(string(path), sealed)
}

// m is a JSON object.
type m = map[string]any

// as calls an operation as the root user of an account in a Region, with a
// request that goes through the API's own decoder.
func (w *world) as(account, region, operation string, request m) (m, error) {
	w.t.Helper()
	_, resp, err := w.call(account, region, operation, request)
	return resp, err
}

// call is as, and returns the request's id too.
func (w *world) call(account, region, operation string, request m) (string, m, error) {
	w.t.Helper()
	op, ok := kmsapi.OperationByName(operation)
	if !ok {
		w.t.Fatalf("no operation %s", operation)
	}
	body, err := json.Marshal(request)
	if err != nil {
		w.t.Fatal(err)
	}
	rec := &call.Record{
		RequestID: call.NewRequestID(), Region: region, Time: w.clock.Now(),
		Caller: call.Root("aws", account, "AKIATEST"), Client: call.Client{SourceIP: "192.0.2.7", UserAgent: "test"},
	}
	out, err := w.service.Call(context.Background(), rec, op, body, nil)
	if err != nil {
		if _, ok := errors.AsType[*awsapi.Error](err); !ok {
			w.t.Fatalf("%s: error of type %T: %v", operation, err, err)
		}
		return rec.RequestID, nil, err
	}
	var resp m
	if len(out) > 0 {
		if err := json.Unmarshal(out, &resp); err != nil {
			w.t.Fatalf("%s: response %q: %v", operation, out, err)
		}
	}
	return rec.RequestID, resp, nil
}

// check looks whether the store is consistent.
func (w *world) check() {
	w.t.Helper()
	v, err := w.db.View(context.Background())
	if err != nil {
		w.t.Fatal(err)
	}
	defer v.Close()
	if err := w.service.Check(context.Background(), v, func(problem string) { w.t.Error(problem) }); err != nil {
		w.t.Fatal(err)
	}
}

// must calls an operation that has to succeed.
func (w *world) must(operation string, request m) m {
	w.t.Helper()
	resp, err := w.as(account, region, operation, request)
	if err != nil {
		w.t.Fatalf("%s %v: %v", operation, request, err)
	}
	return resp
}

// fails calls an operation that has to fail with this code and message. Where
// the message ends in "..." its beginning counts.
func (w *world) fails(code, message, operation string, request m) {
	w.t.Helper()
	resp, err := w.as(account, region, operation, request)
	w.wants(code, message, operation, resp, err)
}

func (w *world) wants(code, message, operation string, resp m, err error) {
	w.t.Helper()
	e, ok := errors.AsType[*awsapi.Error](err)
	if !ok {
		w.t.Fatalf("%s succeeded with %v, want %s", operation, resp, code)
	}
	same := e.Message == message
	if start, cut := strings.CutSuffix(message, "..."); cut {
		same = strings.HasPrefix(e.Message, start)
	}
	if e.Code != code || !same {
		w.t.Fatalf("%s: got %s: %s\nwant %s: %s", operation, e.Code, e.Message, code, message)
	}
}

// newKey makes a key and returns its id and ARN.
func (w *world) newKey(request ...m) (id, arn string) {
	w.t.Helper()
	r := m{}
	if len(request) > 0 {
		r = request[0]
	}
	meta := w.must("CreateKey", r)["KeyMetadata"].(m)
	return meta["KeyId"].(string), meta["Arn"].(string)
}

func (w *world) metadata(id string) m {
	w.t.Helper()
	return w.must("DescribeKey", m{"KeyId": id})["KeyMetadata"].(m)
}

// events drains the outbox and returns the audit records so far.
func (w *world) events() []m {
	w.t.Helper()
	if err := w.path.Outbox.Drain(context.Background()); err != nil {
		w.t.Fatal(err)
	}
	var all []m
	for r, err := range audit.Read(w.dir, 0) {
		if err != nil {
			w.t.Fatal(err)
		}
		var ev m
		if err := json.Unmarshal(r.Event, &ev); err != nil {
			w.t.Fatalf("audit record %q: %v", r.Event, err)
		}
		all = append(all, ev)
	}
	return all
}

func b64(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }

func unb64(t testing.TB, v any) []byte {
	t.Helper()
	b, err := base64.StdEncoding.DecodeString(fmt.Sprint(v))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

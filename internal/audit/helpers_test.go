package audit_test

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/keywright/keywright/internal/audit"
	"github.com/keywright/keywright/internal/store"
	"github.com/keywright/keywright/internal/store/boltstore"
)

// memoryKeys is a KeyStore that keeps every State it was given.
type memoryKeys struct {
	mu     sync.Mutex
	states []audit.State
	fail   error // what Save returns
}

func (k *memoryKeys) Load(context.Context) (audit.State, bool, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.states) == 0 {
		return audit.State{}, false, nil
	}
	return k.states[len(k.states)-1], true, nil
}

func (k *memoryKeys) Save(_ context.Context, s audit.State) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.fail != nil {
		return k.fail
	}
	k.states = append(k.states, s)
	return nil
}

func (k *memoryKeys) setFail(err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.fail = err
}

func (k *memoryKeys) state(i int) *audit.State {
	k.mu.Lock()
	defer k.mu.Unlock()
	if i < 0 {
		i += len(k.states)
	}
	s := k.states[i]
	return &s
}

// mustOpen opens a log; the fields that every test needs are filled in where
// they are not set.
func mustOpen(t testing.TB, cfg audit.Config) *audit.Log {
	t.Helper()
	if cfg.Keys == nil {
		cfg.Keys = new(memoryKeys)
	}
	if cfg.ReserveBytes == 0 {
		cfg.ReserveBytes = -1
	}
	l, err := audit.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return l
}

func mustAppend(t testing.TB, l *audit.Log, events ...string) {
	t.Helper()
	for _, e := range events {
		if err := l.Append(context.Background(), []byte(e)); err != nil {
			t.Fatalf("Append: %v", err)
		}
	}
}

func mustClose(t testing.TB, l *audit.Log) {
	t.Helper()
	if err := l.Close(); err != nil {
		t.Fatalf("Close: %v", err)
	}
}

// readAll returns the events in dir and checks that the sequence has no gaps.
func readAll(t testing.TB, dir string) []string {
	t.Helper()
	var events []string
	var last uint64
	for r, err := range audit.Read(dir, 0) {
		if err != nil {
			t.Fatalf("Read: %v", err)
		}
		if last != 0 && r.Sequence != last+1 {
			t.Fatalf("record %d follows on %d", r.Sequence, last)
		}
		last = r.Sequence
		events = append(events, string(r.Event))
	}
	return events
}

func mustVerify(t testing.TB, dir string, start *audit.State) audit.Report {
	t.Helper()
	r, err := audit.Verify(t.Context(), dir, start)
	if err != nil {
		t.Fatalf("Verify: %v", err)
	}
	return r
}

func segments(t testing.TB, dir, pattern string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, pattern))
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func memoryStore(t testing.TB) store.Store {
	t.Helper()
	st, err := boltstore.OpenMemory(boltstore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { st.Close() })
	return st
}

func revisionOf(st store.Store) func(context.Context) (store.Revision, error) {
	return func(ctx context.Context) (store.Revision, error) {
		v, err := st.Snapshot(ctx)
		if err != nil {
			return 0, err
		}
		defer v.Close()
		return v.Revision(), nil
	}
}

// plainSealer seals by naming the path, which is all that the outbox asks of it.
type plainSealer struct{}

func (plainSealer) Seal(path, plaintext []byte) []byte {
	return fmt.Appendf(nil, "%s|%s", path, plaintext)
}

func (plainSealer) Open(path, sealed []byte) ([]byte, error) {
	n := len(path) + 1
	if len(sealed) < n || string(sealed[:n]) != string(path)+"|" {
		return nil, fmt.Errorf("not sealed under %s", path)
	}
	return sealed[n:], nil
}

// eventually waits for what a worker of the log does by itself.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within 20 s: %s", what)
		}
	}
}

// randomText does not compress.
func randomText(n int) string {
	b := make([]byte, n/2)
	rand.Read(b)
	return hex.EncodeToString(b)
}

package audit_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/keywright/keywright/internal/audit"
	"github.com/keywright/keywright/internal/store"
	"github.com/keywright/keywright/internal/store/boltstore"
)

// The child process of TestKill is this test binary with crashDir set.
const crashDir = "KEYWRIGHT_AUDIT_CRASH_DIR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(crashDir); dir != "" {
		crashChild(dir, os.Getenv("KEYWRIGHT_AUDIT_CRASH_RUN"))
	}
	os.Exit(m.Run())
}

// storeKeys keeps the State in the store, as the server does.
type storeKeys struct{ store store.Store }

func (k storeKeys) Load(ctx context.Context) (s audit.State, ok bool, err error) {
	v, err := k.store.Snapshot(ctx)
	if err != nil {
		return s, false, err
	}
	defer v.Close()
	for e, err := range v.Scan([]byte("state/"), []byte("state0")) {
		if err != nil {
			return s, false, err
		}
		copy(s.ChainID[:], e.Value)
		copy(s.SegmentStartKey[:], e.Value[16:])
		s.SegmentFirstSeq, err = strconv.ParseUint(string(e.Value[48:]), 10, 64)
		if err != nil {
			return s, false, err
		}
		ok = true
		if string(e.Key) == "state/now" {
			return s, true, nil
		}
	}
	return s, ok, nil
}

func (k storeKeys) Save(ctx context.Context, s audit.State) error {
	value := append(append(s.ChainID[:], s.SegmentStartKey[:]...), strconv.FormatUint(s.SegmentFirstSeq, 10)...)
	b := store.Batch{Ops: []store.Op{{Key: []byte("state/now"), Value: value}}}
	if s.SegmentFirstSeq == 1 {
		b.Ops = append(b.Ops, store.Op{Key: []byte("state/zero"), Value: value})
	}
	_, err := k.store.Write(ctx, b)
	return err
}

func crashChild(dir, run string) {
	fail := func(err error) {
		if err != nil {
			fmt.Fprintln(os.Stderr, "child:", err)
			os.Exit(3)
		}
	}
	ctx := context.Background()
	st, err := boltstore.Open(filepath.Join(dir, "store.db"), boltstore.Options{})
	fail(err)
	l, err := audit.Open(ctx, audit.Config{
		Dir: filepath.Join(dir, "audit"), Keys: storeKeys{st}, StoreRevision: revisionOf(st), ReserveBytes: -1,
		SegmentBytes: 20_000, SyncInterval: 5 * time.Millisecond, // so that every kind of work is under way
	})
	fail(err)
	o := audit.NewOutbox(st, plainSealer{}, l)
	go o.Run(ctx)

	var mu sync.Mutex
	acknowledge := func(id string) {
		mu.Lock()
		defer mu.Unlock()
		fmt.Println(id)
	}
	var wg sync.WaitGroup
	for c := range 4 {
		wg.Go(func() {
			for i := 0; ; i++ {
				id := fmt.Sprintf("append-%s-%d-%d", run, c, i)
				fail(l.Append(ctx, fmt.Appendf(nil, `{"id":%q}`, id)))
				acknowledge(id)
			}
		})
		wg.Go(func() {
			for i := 0; ; i++ {
				id := fmt.Sprintf("change-%s-%d-%d", run, c, i)
				_, err := st.Write(ctx, store.Batch{Ops: []store.Op{
					{Key: fmt.Appendf(nil, "changed/%s", id)}, o.Op(fmt.Appendf(nil, `{"id":%q}`, id))}})
				fail(err)
				acknowledge(id)
			}
		})
	}
	wg.Wait()
}

// TestKill kills a process in the middle of its work, again and again on the
// same folder. Whatever it acknowledged is recorded, once; every change that
// is in the store is recorded, once, acknowledged or not.
func TestKill(t *testing.T) {
	dir := t.TempDir()
	acknowledged := make(map[string]bool)
	rounds := 12
	if testing.Short() {
		rounds = 3
	}
	for run := range rounds {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), crashDir+"="+dir, "KEYWRIGHT_AUDIT_CRASH_RUN="+strconv.Itoa(run))
		var stderr strings.Builder
		cmd.Stderr = &stderr
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewReader(out)
		before := len(acknowledged)
		var killed bool
		for {
			line, err := lines.ReadString('\n')
			if err != nil {
				break // a line cut short was not acknowledged to anybody
			}
			acknowledged[strings.TrimSuffix(line, "\n")] = true
			// Later in each round, so that the rounds do not all die alike.
			if !killed && len(acknowledged)-before > 40+157*run {
				killed = true
				cmd.Process.Kill()
			}
		}
		io.Copy(io.Discard, out)
		cmd.Wait()
		if !killed {
			t.Fatalf("round %d: the child ended by itself: %s", run, stderr.String())
		}
	}

	st, err := boltstore.Open(filepath.Join(dir, "store.db"), boltstore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	audits := filepath.Join(dir, "audit")
	l := mustOpen(t, audit.Config{Dir: audits, Keys: storeKeys{st}, StoreRevision: revisionOf(st)})
	if err := audit.NewOutbox(st, plainSealer{}, l).Drain(t.Context()); err != nil {
		t.Fatal(err)
	}
	mustClose(t, l)

	recorded := make(map[string]int)
	for _, ev := range readAll(t, audits) {
		recorded[strings.TrimSuffix(strings.TrimPrefix(ev, `{"id":"`), `"}`)]++
	}
	for id := range acknowledged {
		if recorded[id] == 0 {
			t.Errorf("%s was acknowledged and is not recorded", id)
		}
	}
	for id, n := range recorded {
		if n != 1 {
			t.Errorf("%s is recorded %d times", id, n)
		}
	}
	v, err := st.Snapshot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	changes := 0
	for e, err := range v.Scan([]byte("changed/"), []byte("changed0")) {
		if err != nil {
			t.Fatal(err)
		}
		changes++
		if id := strings.TrimPrefix(string(e.Key), "changed/"); recorded[id] != 1 {
			t.Errorf("%s was made and is recorded %d times", id, recorded[id])
		}
	}
	for id := range recorded {
		if strings.HasPrefix(id, "change-") {
			changes--
		}
	}
	if changes != 0 {
		t.Errorf("%d changes more than records of changes", changes)
	}
	zero := audit.State{SegmentFirstSeq: 1}
	if e, err := v.Get([]byte("state/zero")); err != nil {
		t.Fatal(err)
	} else {
		copy(zero.ChainID[:], e.Value)
		copy(zero.SegmentStartKey[:], e.Value[16:])
	}
	r := mustVerify(t, audits, &zero)
	t.Logf("%d acknowledged, %d recorded, %d segments", len(acknowledged), r.Records, r.Segments)
	// How many segments a short run fills depends on how the calls share frames.
	if r.Segments < 3 && !testing.Short() || len(acknowledged) < 40*rounds {
		t.Errorf("too little happened: %d acknowledged, report %+v", len(acknowledged), r)
	}
}

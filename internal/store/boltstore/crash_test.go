package boltstore_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/keywright/keywright/internal/store"
	"github.com/keywright/keywright/internal/store/boltstore"
)

const (
	crashChildEnv = "KEYWRIGHT_CRASH_CHILD" // path of the store that this process is to write to
	soakEnv       = "KEYWRIGHT_SOAK"

	crashWriters = 8
	crashWindow  = 20 // batches of a writer whose entries are kept
)

func TestMain(m *testing.M) {
	if path := os.Getenv(crashChildEnv); path != "" {
		crashChild(path)
	}
	os.Exit(m.Run())
}

// TestKill kills processes that write, with SIGKILL, and checks each time what
// they leave: every acknowledged batch, no part of a batch, and a revision that
// counts the batches. It says nothing of a loss of power, which would need a
// disk that forgets.
func TestKill(t *testing.T) {
	rounds := 8
	if os.Getenv(soakEnv) != "" {
		rounds = 500
	}
	if testing.Short() {
		rounds = 2
	}
	path := filepath.Join(t.TempDir(), "store.db")
	acknowledged := 0
	for round := range rounds {
		acked := runAndKill(t, path)
		checkKilled(t, path, acked)
		acknowledged += acked.count
		if t.Failed() {
			t.Fatalf("in round %d", round)
		}
	}
	if acknowledged == 0 {
		t.Error("no child got a batch acknowledged: nothing was tested")
	}
	t.Logf("%d rounds, %d batches acknowledged", rounds, acknowledged)
}

// acked is what a child had acknowledged to it: how many batches, the newest
// revision, and the last batch of each writer.
type acked struct {
	count  int
	newest store.Revision
	last   [crashWriters]struct {
		n        int
		revision store.Revision
	}
}

// runAndKill lets a child write for a moment and kills it.
func runAndKill(t *testing.T, path string) acked {
	t.Helper()
	var a acked
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), crashChildEnv+"="+path)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	// Some die while they open the store.
	delay := time.Duration(rand.IntN(300)) * time.Millisecond
	timer := time.AfterFunc(delay, func() { _ = cmd.Process.Kill() })
	defer timer.Stop()
	for r := bufio.NewReader(out); ; {
		line, err := r.ReadString('\n')
		if err != nil {
			break // a line cut short was not acknowledged
		}
		var w, n int
		var revision store.Revision
		if _, err := fmt.Sscan(line, &w, &n, &revision); err != nil {
			t.Fatalf("child says %q", line)
		}
		a.count++
		a.newest = max(a.newest, revision)
		a.last[w].n, a.last[w].revision = n, revision
	}
	_ = cmd.Wait()
	if stderr.Len() > 0 {
		t.Errorf("child: %s", stderr.Bytes())
	}
	return a
}

// crashChild writes until it is killed. Each batch of a writer puts two entries
// and the number of the batch, and deletes two older entries.
func crashChild(path string) {
	st, err := boltstore.Open(path, boltstore.Options{})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	for w := range crashWriters {
		go func() {
			for n := lastBatch(st, w) + 1; ; n++ {
				r, err := st.Write(context.Background(), crashBatch(w, n))
				if err != nil {
					fmt.Fprintln(os.Stderr, err)
					os.Exit(1)
				}
				// One write to the pipe: it is whole or not there.
				fmt.Fprintf(os.Stdout, "%d %d %d\n", w, n, r)
			}
		}()
	}
	select {}
}

func lastBatch(st store.Store, w int) int {
	v, err := st.Snapshot(context.Background())
	if err != nil {
		return 0
	}
	defer v.Close()
	e, err := v.Get(fmt.Appendf(nil, "%d/last", w))
	if err != nil {
		return 0
	}
	n, _ := strconv.Atoi(string(e.Value))
	return n
}

func crashBatch(w, n int) store.Batch {
	key := func(side string, n int) []byte { return fmt.Appendf(nil, "%d/%s/%09d", w, side, n) }
	value := bytes.Repeat(fmt.Appendf(nil, "%d.%d;", w, n), 1+n%400)
	return store.Batch{Ops: []store.Op{
		{Key: key("a", n), Value: value},
		{Key: fmt.Appendf(nil, "%d/last", w), Value: fmt.Append(nil, n)},
		{Key: key("b", n), Value: value},
		{Key: key("a", n-crashWindow), Delete: true},
		{Key: key("b", n-crashWindow), Delete: true},
	}}
}

// checkKilled opens what a child left.
func checkKilled(t *testing.T, path string, acked acked) {
	t.Helper()
	st, err := boltstore.Open(path, boltstore.Options{LockTimeout: 10 * time.Second})
	if err != nil {
		t.Fatalf("Open after the kill: %v", err)
	}
	defer mustClose(t, st)
	if found := st.Check(); len(found) > 0 {
		t.Errorf("check: %v", found)
	}
	v := mustSnapshot(t, st)
	defer v.Close()
	if v.Revision() < acked.newest {
		t.Errorf("store is at %d, %d was acknowledged", v.Revision(), acked.newest)
	}
	batches, entries := 0, 0
	for w := range crashWriters {
		last := lastBatch(st, w)
		batches += last
		if last > 0 {
			entries += 1 + 2*min(last, crashWindow)
		}
		if last < acked.last[w].n {
			t.Errorf("writer %d: batch %d was acknowledged, the newest is %d", w, acked.last[w].n, last)
		}
		for n := max(1, last-crashWindow+1); n <= last; n++ {
			checkBatch(t, v, w, n, acked)
		}
	}
	// Every revision is one batch, so this finds those used twice or skipped.
	if v.Revision() != store.Revision(batches) {
		t.Errorf("store is at %d after %d batches", v.Revision(), batches)
	}
	for _, err := range v.Scan(nil, nil) {
		if err != nil {
			t.Fatal(err)
		}
		entries--
	}
	if entries != 0 {
		t.Errorf("%d entries more or less than the batches left", entries)
	}
}

func checkBatch(t *testing.T, v store.View, w, n int, acked acked) {
	t.Helper()
	var revision store.Revision
	for _, op := range crashBatch(w, n).Ops {
		if op.Delete || !bytes.Contains(op.Key, fmt.Appendf(nil, "/%09d", n)) {
			continue
		}
		e, err := v.Get(op.Key)
		if err != nil || !bytes.Equal(e.Value, op.Value) {
			t.Errorf("%s holds %d bytes, %v, want the %d written", op.Key, len(e.Value), err, len(op.Value))
		}
		if revision != 0 && e.Revision != revision {
			t.Errorf("batch %d of writer %d has entries of revisions %d and %d", n, w, revision, e.Revision)
		}
		revision = e.Revision
	}
	if n == acked.last[w].n && revision != acked.last[w].revision {
		t.Errorf("batch %d of writer %d is revision %d, acknowledged as %d", n, w, revision, acked.last[w].revision)
	}
	if _, err := v.Get(fmt.Appendf(nil, "%d/a/%09d", w, n-crashWindow)); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("batch %d of writer %d has not deleted its older entry: %v", n, w, err)
	}
}

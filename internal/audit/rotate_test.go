package audit_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/keywright/keywright/internal/audit"
	"github.com/keywright/keywright/internal/clock"
)

const day = 24 * time.Hour

func TestRotationBySize(t *testing.T) {
	dir, keys := t.TempDir(), new(memoryKeys)
	l := mustOpen(t, audit.Config{Dir: dir, Keys: keys, SegmentBytes: 4 << 10})
	var want []string
	for i := range 100 {
		want = append(want, fmt.Sprintf(`{"n":%d,"x":"%s"}`, i, strings.Repeat("x", 200)))
		mustAppend(t, l, want[i])
	}
	eventually(t, "closed segments are compressed", func() bool {
		return len(segments(t, dir, "*.log")) == 1 && len(segments(t, dir, "*.gz")) > 3
	})
	for _, path := range segments(t, dir, "*.gz") {
		if n := len(gunzip(t, path)); n > 5<<10 {
			t.Errorf("%s has %d bytes", path, n)
		}
	}
	var status audit.Status
	eventually(t, "the status counts what is on disk", func() bool {
		var size int64
		for _, path := range segments(t, dir, "*.log*") {
			info, err := os.Stat(path)
			if err != nil {
				t.Fatal(err)
			}
			size += info.Size()
		}
		status = l.Status()
		return status.Segments == len(segments(t, dir, "*.log*")) && status.Bytes == size
	})
	if status.LastSequence != 100 || status.Err != nil {
		t.Errorf("status %+v", status)
	}
	if got := readAll(t, dir); !slices.Equal(got, want) { // while it is open
		t.Errorf("got %q, want %q", got, want)
	}
	mustClose(t, l)
	// The State names the open segment, so that the keys of the others are gone.
	if got, want := fmt.Sprintf("%020d.log", keys.state(-1).SegmentFirstSeq), filepath.Base(newest(t, dir)); got != want {
		t.Errorf("the state names %s, the open segment is %s", got, want)
	}
	l = mustOpen(t, audit.Config{Dir: dir, Keys: keys})
	if s := l.Status(); s.Segments != status.Segments || !s.OldestTime.Equal(status.OldestTime) || s.LastSequence != 100 {
		t.Errorf("after opening again: %+v, before: %+v", s, status)
	}
	mustClose(t, l)
	mustVerify(t, dir, keys.state(0))
}

// While the KeyStore does not take the new State, closed segments stay as they
// are, and a restart finds its way through them.
func TestRotationWithoutKeyStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir, keys := t.TempDir(), new(memoryKeys)
		cfg := audit.Config{Dir: dir, Keys: keys, SegmentBytes: 1000, ReserveBytes: -1}
		l, err := audit.Open(t.Context(), cfg)
		if err != nil {
			t.Fatal(err)
		}
		keys.setFail(errors.New("the store is away"))
		for i := range 30 {
			mustAppend(t, l, fmt.Sprintf(`{"n":%d}`, i))
		}
		time.Sleep(5 * time.Second) // for the workers
		synctest.Wait()
		if err := l.Close(); !errors.Is(err, keys.fail) {
			t.Errorf("Close: got %v", err)
		}
		if n := len(segments(t, dir, "*.log")); n < 3 || len(segments(t, dir, "*.gz")) != 0 {
			t.Fatalf("%d plain segments, %d compressed", n, len(segments(t, dir, "*.gz")))
		}
		keys.setFail(nil)
		l = mustOpen(t, cfg)
		time.Sleep(5 * time.Second)
		synctest.Wait()
		if n := len(segments(t, dir, "*.log")); n != 1 {
			t.Errorf("%d plain segments, want 1", n)
		}
		mustAppend(t, l, `{"n":30}`)
		mustClose(t, l)
		if got := readAll(t, dir); len(got) != 31 {
			t.Errorf("%d records, want 31", len(got))
		}
		mustVerify(t, dir, keys.state(0))
	})
}

func TestRetentionByAge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir, keys, clk := t.TempDir(), new(memoryKeys), new(clock.Clock)
		l := mustOpen(t, audit.Config{Dir: dir, Keys: keys, Clock: clk, RetainAge: 10*day + time.Hour})
		for i := range 30 {
			mustAppend(t, l, fmt.Sprintf(`{"day":%d}`, i))
			clk.Advance(day)
			time.Sleep(2 * time.Second) // for the workers
			synctest.Wait()
		}
		got := readAll(t, dir)
		// The segment of day n is closed a day later, and deleted when that is
		// more than ten days (and an hour) ago: day 30 begins now.
		if got[0] != `{"day":19}` || got[len(got)-1] != `{"day":29}` {
			t.Errorf("from %s to %s", got[0], got[len(got)-1])
		}
		if s := l.Status(); s.Segments != len(got)+1 && s.Segments != len(got) {
			t.Errorf("status %+v with %d records", s, len(got))
		}
		// What is open is never deleted, however old.
		clk.Advance(365 * day)
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if n := len(segments(t, dir, "*.log")); n != 1 {
			t.Errorf("%d plain segments", n)
		}
		mustAppend(t, l, `{"day":400}`)
		mustClose(t, l)
		got = readAll(t, dir)
		if got[len(got)-1] != `{"day":400}` {
			t.Errorf("got %q", got)
		}
		mustVerify(t, dir, keys.state(0))
	})
}

func TestRetentionBySizeAndDelivery(t *testing.T) {
	dir, keys := t.TempDir(), new(memoryKeys)
	var delivered atomic.Uint64
	l := mustOpen(t, audit.Config{
		Dir: dir, Keys: keys, SegmentBytes: 2000, RetainBytes: 1, SyncInterval: 10 * time.Millisecond,
		Delivered: delivered.Load,
	})
	for i := range 60 {
		mustAppend(t, l, fmt.Sprintf(`{"n":%d}`, i))
	}
	eventually(t, "closed segments are compressed", func() bool { return len(segments(t, dir, "*.log")) == 1 })
	if got := len(readAll(t, dir)); got != 60 {
		t.Fatalf("%d records: something undelivered was deleted", got)
	}
	delivered.Store(30)
	first := func() (seq uint64) {
		for r, err := range audit.Read(dir, 0) {
			if err != nil {
				return 0 // deleted under our eyes
			}
			return r.Sequence
		}
		return 0
	}
	eventually(t, "what was delivered is deleted", func() bool { return first() > 1 })
	if seq := first(); seq > 31 {
		t.Errorf("record 31 was deleted; the first is %d", seq)
	}
	delivered.Store(60)
	eventually(t, "only the open segment is left", func() bool { return len(segments(t, dir, "*.gz")) == 0 })
	mustClose(t, l)
	mustVerify(t, dir, keys.state(0))
}

// A store restored from a backup has an older State. The log finds its way from
// there through all later segments, compressed ones too.
func TestOpenWithOlderState(t *testing.T) {
	dir, keys := filledFolder(t, 40)
	restored := &memoryKeys{states: []audit.State{*keys.state(0)}}
	l := mustOpen(t, audit.Config{Dir: dir, Keys: restored})
	mustAppend(t, l, `{"n":40}`)
	mustClose(t, l)
	if *restored.state(-1) != *keys.state(-1) {
		t.Error("the state of the open segment was not saved")
	}
	if r := mustVerify(t, dir, keys.state(0)); r.Records != 41 {
		t.Errorf("report %+v", r)
	}
	if err := os.Remove(newest(t, dir)); err != nil {
		t.Fatal(err)
	}
	if _, err := audit.Open(t.Context(), audit.Config{Dir: dir, Keys: &memoryKeys{states: []audit.State{*keys.state(0)}}}); err == nil || !strings.Contains(err.Error(), "compressed already") {
		t.Errorf("without the open segment: got %v", err)
	}
}

// What a crash leaves around a compression is cleaned up.
func TestCrashWhileCompressing(t *testing.T) {
	dir, keys := filledFolder(t, 40)
	gz := segments(t, dir, "*.gz")[1]
	if err := os.WriteFile(strings.TrimSuffix(gz, ".gz"), gunzip(t, gz), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "123.tmp"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	mustVerify(t, dir, keys.state(0))
	mustClose(t, mustOpen(t, audit.Config{Dir: dir, Keys: keys}))
	if len(segments(t, dir, "*.tmp")) != 0 || len(segments(t, dir, "*.log")) != 1 {
		t.Errorf("left: %q", segments(t, dir, "*"))
	}
	mustVerify(t, dir, keys.state(0))
}

// Everything recorded is durable within the interval, without anybody asking.
func TestSyncInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := mustOpen(t, audit.Config{Dir: t.TempDir(), SyncInterval: 3 * time.Second})
		defer mustClose(t, l)
		mustAppend(t, l, `{}`)
		if audit.Synced(l) {
			t.Error("synced at once: calls pay for it")
		}
		time.Sleep(4 * time.Second)
		synctest.Wait()
		if !audit.Synced(l) {
			t.Error("not synced after the interval")
		}
	})
}

func TestCheckpointEveryMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir, keys, st := t.TempDir(), new(memoryKeys), memoryStore(t)
		l := mustOpen(t, audit.Config{Dir: dir, Keys: keys, StoreRevision: revisionOf(st)})
		mustWrite(t, st, "x", "y")
		want, err := revisionOf(st)(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		if r := mustVerify(t, dir, keys.state(0)); r.StoreRevision != want || r.Frames != 2 {
			t.Errorf("report %+v, want revision %d in frame 2", r, want)
		}
		mustClose(t, l)
		st.Close()
	})
}

package audit_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/keywright/keywright/internal/audit"
)

// smallDisk is a file system of so many bytes.
func smallDisk(t *testing.T, size int) string {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("a small file system can only be mounted by root: what happens on a full disk is not tested")
	}
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprintf("size=%d", size)); err != nil {
		t.Skipf("a small file system cannot be mounted (%v): what happens on a full disk is not tested", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Errorf("unmounting: %v", err)
		}
	})
	return dir
}

// fillUp makes a file longer until the disk is full.
func fillUp(t *testing.T, path string) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for err == nil {
		_, err = f.Write(make([]byte, 4<<10))
	}
	if !errors.Is(err, syscall.ENOSPC) {
		t.Fatal(err)
	}
}

func TestFullDisk(t *testing.T) {
	disk := smallDisk(t, 4<<20)
	dir, keys, st := filepath.Join(disk, "audit"), new(memoryKeys), memoryStore(t)
	ballast := filepath.Join(disk, "ballast")
	if err := os.WriteFile(ballast, make([]byte, 2<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	var logged lockedBuilder
	l := mustOpen(t, audit.Config{
		Dir: dir, Keys: keys, StoreRevision: revisionOf(st), ReserveBytes: 512 << 10, LowSpaceBytes: 1 << 20,
		SegmentBytes: 256 << 10, SyncInterval: 10 * time.Millisecond,
		Logger: slog.New(slog.NewTextHandler(&logged, nil)),
	})
	if s := l.Status(); !s.ReserveHeld || s.BytesFree == 0 {
		t.Fatalf("status %+v", s)
	}
	// Records that do not compress, from several callers, until there is no room.
	var wg sync.WaitGroup
	var mu sync.Mutex
	acknowledged := make(map[string]bool)
	for c := range 4 {
		wg.Go(func() {
			for i := 0; ; i++ {
				ev := fmt.Sprintf(`{"id":"%d-%d-%s"}`, c, i, randomText(3000))
				err := l.Append(context.Background(), []byte(ev))
				if errors.Is(err, audit.ErrNoSpace) {
					return
				}
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				acknowledged[ev] = true
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if r := mustVerify(t, dir, keys.state(0)); r.TornBytes != 0 || r.Records != uint64(len(acknowledged)) {
		t.Errorf("what could not be written was left, or more: %d acknowledged, report %+v", len(acknowledged), r)
	}
	if s := l.Status(); s.Err != nil {
		t.Fatalf("status %+v", s)
	}
	eventually(t, "the status says that space is low", func() bool { return l.Status().LowSpace })

	// The outbox still gets through, on the reserve.
	o := audit.NewOutbox(st, plainSealer{}, l)
	changed := make(map[string]bool)
	for i := 0; i < 40 || l.Status().ReserveHeld; i++ {
		if i == 80 {
			t.Fatal("the reserve was not needed: the disk was not full")
		}
		if l.Status().ReserveHeld {
			fillUp(t, ballast) // compression of a segment may just have made room
		}
		ev := fmt.Sprintf(`{"change":%d,"x":"%s"}`, i, randomText(6000))
		changed[ev] = true
		mustWrite(t, st, "k", "", o.Op([]byte(ev)))
		if err := o.Drain(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Append(t.Context(), []byte(`{"small":true}`)); !errors.Is(err, audit.ErrNoSpace) {
		t.Errorf("a call took space held for the outbox: %v", err)
	}

	// Space returns, and with it everything.
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the reserve is made again", func() bool { return l.Status().ReserveHeld })
	mustAppend(t, l, `{"after":true}`)
	mustClose(t, l)

	for _, ev := range readAll(t, dir) {
		switch {
		case acknowledged[ev]:
			delete(acknowledged, ev)
		case changed[ev]:
			delete(changed, ev)
		case ev != `{"after":true}`:
			t.Errorf("recorded twice, or refused and recorded: %.40s", ev)
		}
	}
	if len(acknowledged) != 0 || len(changed) != 0 {
		t.Errorf("%d acknowledged records and %d of changes are missing", len(acknowledged), len(changed))
	}
	mustVerify(t, dir, keys.state(0))
	for _, want := range []string{"filling up", "is full", "has space again"} {
		n := strings.Count(logged.String(), want)
		if want == "filling up" {
			n = min(n, 1) // again, if compression made room for a while
		}
		if n != 1 {
			t.Errorf("the log says %q %d times, want once", want, n)
		}
	}
	t.Logf("operator's log:\n%s", logged.String())
}

type lockedBuilder struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *lockedBuilder) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuilder) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

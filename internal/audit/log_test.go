package audit_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/keywright/keywright/internal/audit"
	"github.com/keywright/keywright/internal/store"
)

func TestAppendReadVerify(t *testing.T) {
	dir, keys := t.TempDir(), new(memoryKeys)
	var want []string
	for run := range 3 {
		l := mustOpen(t, audit.Config{Dir: dir, Keys: keys})
		for i := range 5 {
			want = append(want, fmt.Sprintf(`{"run":%d,"i":%d}`, run, i))
			mustAppend(t, l, want[len(want)-1])
		}
		mustClose(t, l)
	}
	if got := readAll(t, dir); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	r := mustVerify(t, dir, keys.state(0))
	if r.Records != 15 || r.FirstSequence != 1 || r.LastSequence != 15 || r.Segments != 1 || r.AuthenticatedFrom != 1 || r.TornBytes != 0 {
		t.Errorf("report %+v", r)
	}
	var from []string
	for rec, err := range audit.Read(dir, 14) {
		if err != nil {
			t.Fatal(err)
		}
		from = append(from, string(rec.Event))
	}
	if !slices.Equal(from, want[13:]) {
		t.Errorf("from 14: got %q, want %q", from, want[13:])
	}
}

func TestAppendConcurrently(t *testing.T) {
	dir, keys := t.TempDir(), new(memoryKeys)
	// Segments so small that many are closed meanwhile.
	l := mustOpen(t, audit.Config{Dir: dir, Keys: keys, SegmentBytes: 32 << 10})
	const callers, each = 16, 400
	var wg sync.WaitGroup
	for c := range callers {
		wg.Go(func() {
			for i := range each {
				mustAppend(t, l, fmt.Sprintf(`{"caller":%d,"i":%d}`, c, i))
			}
		})
	}
	wg.Wait()
	mustClose(t, l)
	next := make(map[int]int)
	for _, ev := range readAll(t, dir) {
		var c, i int
		if _, err := fmt.Sscanf(ev, `{"caller":%d,"i":%d}`, &c, &i); err != nil {
			t.Fatal(err)
		}
		if next[c] != i {
			t.Fatalf("caller %d: record %d follows on %d", c, i, next[c]-1)
		}
		next[c]++
	}
	for c := range callers {
		if next[c] != each {
			t.Errorf("caller %d: %d records, want %d", c, next[c], each)
		}
	}
	r := mustVerify(t, dir, keys.state(0))
	if r.Records != callers*each || r.Segments < 5 {
		t.Errorf("report %+v", r)
	}
}

// Records that arrive while a frame is written share the next one.
func TestAppendShares(t *testing.T) {
	dir, keys := t.TempDir(), new(memoryKeys)
	l := mustOpen(t, audit.Config{Dir: dir, Keys: keys})
	release := audit.Hold(l)
	var wg sync.WaitGroup
	for range 10 {
		wg.Go(func() { mustAppend(t, l, `{}`) })
	}
	eventually(t, "all ten have come", func() bool { return audit.Waiting(l) == 10 })
	release()
	wg.Wait()
	mustClose(t, l)
	if r := mustVerify(t, dir, keys.state(0)); r.Records != 10 || r.Frames != 2 { // the first is a checkpoint
		t.Errorf("report %+v", r)
	}
}

// After a failed sync nobody knows what is on the disk: the log says so and
// takes nothing more.
func TestFailedSync(t *testing.T) {
	dir, keys := t.TempDir(), new(memoryKeys)
	l, err := audit.Open(t.Context(), audit.Config{Dir: dir, Keys: keys, ReserveBytes: -1, SyncInterval: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	mustAppend(t, l, `{"n":1}`)
	r, w, err := os.Pipe() // which cannot be synced
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	segment := audit.SwapFile(l, w)
	defer segment.Close()
	if err := l.Sync(); err == nil {
		t.Error("Sync: no error")
	}
	if err := l.Append(t.Context(), []byte(`{"n":2}`)); err == nil || !strings.Contains(err.Error(), "restart the server") {
		t.Errorf("Append: got %v", err)
	}
	if l.Status().Err == nil {
		t.Error("Status has no error")
	}
	if err := l.Close(); err == nil {
		t.Error("Close: no error")
	}
	l = mustOpen(t, audit.Config{Dir: dir, Keys: keys})
	mustAppend(t, l, `{"n":3}`)
	if got, want := readAll(t, dir), []string{`{"n":1}`, `{"n":3}`}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// Records beyond what one frame takes wait for the next.
func TestAppendLarge(t *testing.T) {
	dir := t.TempDir()
	l := mustOpen(t, audit.Config{Dir: dir})
	large := `"` + strings.Repeat("x", audit.MaxEventBytes-2) + `"`
	var wg sync.WaitGroup
	for range 24 {
		wg.Go(func() { mustAppend(t, l, large) })
	}
	wg.Wait()
	mustClose(t, l)
	if got := len(readAll(t, dir)); got != 24 {
		t.Errorf("%d records, want 24", got)
	}
}

func TestAppendRefuses(t *testing.T) {
	dir := t.TempDir()
	l := mustOpen(t, audit.Config{Dir: dir})
	if err := l.Append(t.Context(), nil); err == nil {
		t.Error("an empty event was accepted")
	}
	if err := l.Append(t.Context(), make([]byte, audit.MaxEventBytes+1)); err == nil {
		t.Error("an event too large was accepted")
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := l.Append(ended, []byte("{}")); !errors.Is(err, context.Canceled) {
		t.Errorf("ended context: got %v", err)
	}
	mustClose(t, l)
	if err := l.Append(t.Context(), []byte("{}")); !errors.Is(err, audit.ErrClosed) {
		t.Errorf("after Close: got %v", err)
	}
	if got := readAll(t, dir); len(got) != 0 {
		t.Errorf("recorded %q", got)
	}
}

func newest(t testing.TB, dir string) string {
	t.Helper()
	files := segments(t, dir, "*.log")
	if len(files) == 0 {
		t.Fatal("no segment")
	}
	return files[len(files)-1]
}

// A crash may leave any part of the last frame. It is cut off, what was before
// stays, and the log goes on.
func TestTornTail(t *testing.T) {
	dir, keys := t.TempDir(), new(memoryKeys)
	l := mustOpen(t, audit.Config{Dir: dir, Keys: keys})
	mustAppend(t, l, `{"n":1}`, `{"n":2}`)
	mustClose(t, l)
	path := newest(t, dir)
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	l = mustOpen(t, audit.Config{Dir: dir, Keys: keys})
	mustAppend(t, l, `{"n":3}`)
	mustClose(t, l)
	after, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	torn := after[len(before):]

	check := func(t *testing.T, tail []byte) {
		t.Helper()
		if err := os.WriteFile(path, slices.Concat(before, tail), 0o600); err != nil {
			t.Fatal(err)
		}
		if r := mustVerify(t, dir, keys.state(0)); r.TornBytes != int64(len(tail)) || r.Records != 2 {
			t.Fatalf("report %+v", r)
		}
		l, err := audit.Open(t.Context(), audit.Config{Dir: dir, Keys: keys, ReserveBytes: -1})
		if err != nil {
			t.Fatal(err)
		}
		mustAppend(t, l, `{"n":4}`)
		mustClose(t, l)
		if got, want := readAll(t, dir), []string{`{"n":1}`, `{"n":2}`, `{"n":4}`}; !slices.Equal(got, want) {
			t.Fatalf("got %q, want %q", got, want)
		}
		mustVerify(t, dir, keys.state(0))
	}
	for n := 1; n < len(torn); n++ {
		check(t, torn[:n])
	}
	// The file had grown before its bytes were on the disk.
	for _, n := range []int{0, 1, 40, 79, 80, 90, len(torn) - 32} {
		check(t, append(slices.Clone(torn[:n]), make([]byte, len(torn)-n)...))
		check(t, append(slices.Clone(torn[:n]), make([]byte, 10000)...))
	}

	// A changed frame is not torn because zeros follow: what stands behind it
	// would be lost with it.
	zeros := make([]byte, 5000)
	for _, c := range []struct {
		at   int
		file []byte
	}{
		{len(before) - 40, slices.Concat(after, zeros)},
		{len(before) + 85, slices.Concat(after, zeros)},
		{len(after) - 1, slices.Concat(after, zeros)},
		{len(before) + 20, after[:len(before)+80]},
		{len(before) + 20, slices.Concat(after[:len(before)+80], zeros[:31])},
	} {
		at, bad := c.at, slices.Clone(c.file)
		bad[at] ^= 1
		if err := os.WriteFile(path, bad, 0o600); err != nil {
			t.Fatal(err)
		}
		var corrupt *audit.CorruptError
		if _, err := audit.Open(t.Context(), audit.Config{Dir: dir, Keys: keys}); !errors.As(err, &corrupt) {
			t.Errorf("byte %d of %d changed: got %v", at, len(bad), err)
		}
	}
}

// What a crash cannot have done is not repaired.
func TestOpenRefusesChanges(t *testing.T) {
	dir, keys := t.TempDir(), new(memoryKeys)
	l := mustOpen(t, audit.Config{Dir: dir, Keys: keys})
	mustAppend(t, l, `{"n":1}`, `{"n":2}`)
	mustClose(t, l)
	path := newest(t, dir)
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for i := range good {
		bad := slices.Clone(good)
		bad[i] ^= 0x10
		if err := os.WriteFile(path, bad, 0o600); err != nil {
			t.Fatal(err)
		}
		l, err := audit.Open(t.Context(), audit.Config{Dir: dir, Keys: keys, ReserveBytes: -1})
		if err == nil {
			l.Close()
			t.Fatalf("byte %d changed: opened", i)
		}
		if now, _ := os.ReadFile(path); !bytes.Equal(now, bad) {
			t.Fatalf("byte %d changed: the file was touched", i)
		}
	}
}

func TestOpenRefusesStrangeFolders(t *testing.T) {
	fill := func(t *testing.T, keys *memoryKeys) string {
		dir := t.TempDir()
		l := mustOpen(t, audit.Config{Dir: dir, Keys: keys})
		mustAppend(t, l, `{}`)
		mustClose(t, l)
		return dir
	}
	open := func(dir string, keys *memoryKeys) error {
		l, err := audit.Open(t.Context(), audit.Config{Dir: dir, Keys: keys, ReserveBytes: -1})
		if err == nil {
			l.Close()
		}
		return err
	}
	t.Run("segments of a store that knows none", func(t *testing.T) {
		dir := fill(t, new(memoryKeys))
		if err := open(dir, new(memoryKeys)); err == nil || !strings.Contains(err.Error(), "the store knows no audit log") {
			t.Errorf("got %v", err)
		}
	})
	t.Run("no segments", func(t *testing.T) {
		keys := new(memoryKeys)
		fill(t, keys)
		if err := open(t.TempDir(), keys); err == nil || !strings.Contains(err.Error(), "is missing") {
			t.Errorf("got %v", err)
		}
	})
	t.Run("segments of another store", func(t *testing.T) {
		mine := new(memoryKeys)
		fill(t, mine)
		other := fill(t, new(memoryKeys))
		var corrupt *audit.CorruptError
		if err := open(other, mine); !errors.As(err, &corrupt) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("a first segment that nothing was recorded in", func(t *testing.T) {
		// A crash between making the segment and saving the State.
		dir := t.TempDir()
		keys := &memoryKeys{fail: errors.New("the store is away")}
		if err := open(dir, keys); !errors.Is(err, keys.fail) {
			t.Fatalf("got %v", err)
		}
		if len(segments(t, dir, "*.log")) != 1 {
			t.Fatal("no segment was left")
		}
		if err := open(dir, new(memoryKeys)); err != nil {
			t.Errorf("got %v", err)
		}
	})
}

// A crash while a segment is begun leaves a file without a complete frame.
func TestOpenAfterCrashInRotation(t *testing.T) {
	for _, left := range []int{0, 1, 79, 80, 81, 150, 191} {
		dir, keys := t.TempDir(), new(memoryKeys)
		l := mustOpen(t, audit.Config{Dir: dir, Keys: keys})
		mustAppend(t, l, `{"n":1}`)
		mustClose(t, l)
		first, err := os.ReadFile(newest(t, dir))
		if err != nil {
			t.Fatal(err)
		}
		// Any bytes do as the beginning of a frame, but a header must be good up
		// to where it ends: take the one that the log itself writes.
		sizes := t.TempDir()
		if err := os.CopyFS(sizes, os.DirFS(dir)); err != nil {
			t.Fatal(err)
		}
		copyKeys := &memoryKeys{states: []audit.State{*keys.state(0)}}
		l = mustOpen(t, audit.Config{Dir: sizes, Keys: copyKeys, SegmentBytes: int64(len(first))})
		mustAppend(t, l, `{"n":2}`)
		second, err := os.ReadFile(newest(t, sizes))
		if err != nil {
			t.Fatal(err)
		}
		mustClose(t, l)
		if err := os.WriteFile(filepath.Join(dir, "00000000000000000002.log"), second[:left], 0o600); err != nil {
			t.Fatal(err)
		}
		l = mustOpen(t, audit.Config{Dir: dir, Keys: keys})
		mustAppend(t, l, `{"n":3}`)
		mustClose(t, l)
		if got, want := readAll(t, dir), []string{`{"n":1}`, `{"n":3}`}; !slices.Equal(got, want) {
			t.Fatalf("%d bytes left: got %q, want %q", left, got, want)
		}
		mustVerify(t, dir, keys.state(0))
	}
}

func TestRollbackIsNoticed(t *testing.T) {
	dir, keys := t.TempDir(), new(memoryKeys)
	revision := store.Revision(41)
	cfg := audit.Config{Dir: dir, Keys: keys, StoreRevision: func(context.Context) (store.Revision, error) { return revision, nil }}
	l := mustOpen(t, cfg)
	revision = 42
	mustClose(t, l)
	if r := mustVerify(t, dir, keys.state(0)); r.StoreRevision != 42 {
		t.Errorf("the last checkpoint says %d, want 42", r.StoreRevision)
	}
	mustClose(t, mustOpen(t, cfg))
	revision = 41
	if _, err := audit.Open(t.Context(), cfg); !errors.Is(err, audit.ErrRolledBack) {
		t.Fatalf("got %v, want ErrRolledBack", err)
	}
	cfg.AcceptRollback = true
	l = mustOpen(t, cfg)
	mustAppend(t, l, `{}`)
	mustClose(t, l)
	cfg.AcceptRollback = false
	mustClose(t, mustOpen(t, cfg))
	if r := mustVerify(t, dir, keys.state(0)); r.StoreRevision != 41 || r.Resets != 1 {
		t.Errorf("report %+v", r)
	}
}

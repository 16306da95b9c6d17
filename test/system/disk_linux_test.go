package system_test

import (
	"context"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// TestFullDisk fills the disk under the load, by a file of somebody else's and
// by the calls themselves. Nothing is acknowledged without its record, reads
// included; what fails, fails as an internal error; and once there is room the
// service resumes by itself.
func TestFullDisk(t *testing.T) {
	disk := t.TempDir()
	if err := syscall.Mount("tmpfs", disk, "tmpfs", 0, "size=48m,mode=0700"); err != nil {
		t.Skipf("a small disk cannot be mounted: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(disk, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	data := filepath.Join(disk, "data")
	flags := []string{"--audit-segment-bytes", "1048576", "--audit-reserve-bytes", "2097152"}
	p := start(t, data, flags...)
	w := newWorkload(t, p.client())
	w.faults = true
	trail := newAuditTrail(p.audit())
	w.run(t.Context(), 500, func(int) {})
	w.check(trail)

	sizes := []int64{0, 100 << 10, 1 << 20, 3 << 20}
	if testing.Short() {
		sizes = sizes[:2]
	}
	for _, left := range sizes {
		remove := fill(t, disk, left)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		w.run(ctx, 3000+int(left/300), func(int) {})
		cancel()
		faults := 0
		for _, ch := range w.changes {
			switch ch.outcome {
			case faulted:
				faults++
			case unanswered:
				t.Errorf("%s had no answer", ch.operation)
			}
		}
		if faults == 0 {
			t.Errorf("with %d bytes left, the disk never was full", left)
		}
		acknowledged := w.acknowledged()
		remove()
		begin := time.Now()
		w.resumes()
		t.Logf("with %d bytes left: %d acknowledged, %d failed; resumed after %v", left, acknowledged, faults, time.Since(begin))
		w.check(trail)
		if t.Failed() {
			t.FailNow()
		}
	}
	w.checkAll()
	// The log may be on the disk that is full.
	if n := p.log.Len(); n > 256<<10 {
		t.Errorf("the operator's log has %d bytes", n)
	}
	if err := p.stop(); err != nil {
		t.Errorf("SIGTERM: %v\n%s", err, p.log)
	}
	p = start(t, data, flags...)
	w.client = p.client()
	w.checkAll()
}

// resumes waits until changes and reads succeed again.
func (w *workload) resumes() {
	w.t.Helper()
	for range 300 {
		a, err := w.client.call(w.t.Context(), "ListKeys", "must", m{})
		if err == nil && a.status == http.StatusOK {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	w.t.Fatal("30 seconds after there is room, calls still fail")
}

// fill writes a file that leaves so much of the disk free, and returns what
// removes it.
func fill(t *testing.T, disk string, left int64) (remove func()) {
	t.Helper()
	path := filepath.Join(disk, "ballast")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var st syscall.Statfs_t
	if err := syscall.Statfs(disk, &st); err != nil {
		t.Fatal(err)
	}
	free := int64(st.Bavail) * st.Bsize
	if free < left {
		t.Fatalf("only %d bytes are free, to leave %d", free, left)
	}
	if err := syscall.Fallocate(int(f.Fd()), 0, 0, free-left); err != nil && !errors.Is(err, syscall.ENOSPC) {
		t.Fatal(err)
	}
	return func() {
		if err := os.Remove(path); err != nil {
			t.Error(err)
		}
	}
}

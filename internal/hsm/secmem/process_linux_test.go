package secmem_test

import (
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/keywright/keywright/internal/hsm/secmem"
)

// In the child processes that tests start, this variable says what to do.
const childEnv = "SECMEM_TEST_CHILD"

func TestMain(m *testing.M) {
	switch os.Getenv(childEnv) {
	case "":
		os.Exit(m.Run())
	case "arena":
		childArena()
	case "coredumps":
		childCoreDumps()
	}
}

// child runs this test binary again, as attr says, and returns its output.
func child(t *testing.T, what string, limits string, attr *syscall.SysProcAttr) string {
	t.Helper()
	// The shell sets the limit, which Go cannot do for a child alone. The open
	// file stands in for a path, which another user may not be able to reach.
	exe, err := os.Open("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	defer exe.Close()
	cmd := exec.Command("/bin/sh", "-c", limits+" exec /proc/self/fd/3")
	cmd.ExtraFiles = []*os.File{exe}
	cmd.Env = append(os.Environ(), childEnv+"="+what)
	cmd.Dir = "/"
	cmd.SysProcAttr = attr
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("running as a child: %v: %s", err, out)
	}
	return strings.TrimSpace(string(out))
}

// unprivileged makes a child a user without rights, also when the test is root.
func unprivileged() *syscall.SysProcAttr {
	if os.Getuid() != 0 {
		return nil
	}
	return &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
}

func childArena() {
	arena := secmem.NewArena(32, 1000)
	s := arena.New([]byte(marker))
	fmt.Printf("uid %d\nsecret %v\nwarning %s\n", os.Getuid(), string(s.Bytes()) == marker, arena.Warning())
	s.Release()
	arena.Close()
}

var childLines = regexp.MustCompile(`^uid (\d+)\nsecret true\nwarning ?(.*)$`)

// TestUnprivileged: a user who may lock no memory gets one line of warning and
// an arena that works.
func TestUnprivileged(t *testing.T) {
	out := child(t, "arena", "ulimit -l 0 &&", unprivileged())
	m := childLines.FindStringSubmatch(out)
	if m == nil || m[1] == "0" {
		t.Fatalf("child printed %q", out)
	}
	if !strings.Contains(m[2], "locking 32 KiB of memory") || !strings.Contains(m[2], "ulimit -l") {
		t.Errorf("warning is %q; want one that says what was refused and what to do", m[2])
	}
}

// TestUnprivilegedWithLimit: a user who may lock enough memory gets no warning.
func TestUnprivilegedWithLimit(t *testing.T) {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_MEMLOCK, &limit); err != nil {
		t.Fatal(err)
	}
	if limit.Max < 64<<10 {
		t.Skipf("this machine lets nobody lock more than %d bytes", limit.Max)
	}
	out := child(t, "arena", "ulimit -l 64 &&", unprivileged())
	m := childLines.FindStringSubmatch(out)
	if m == nil || m[1] == "0" || m[2] != "" {
		t.Errorf("child printed %q; want no warning", out)
	}
}

// TestSmaps asks the kernel how it treats the memory: locked (lo), left out of
// core files (dd), and guarded on both sides.
func TestSmaps(t *testing.T) {
	arena := newArena(t, 32, 1000)
	if w := arena.Warning(); w != "" {
		t.Skipf("the system does not permit it: %s", w)
	}
	s := newSecret(t, arena, marker)
	defer s.Release()
	at := uintptr(unsafe.Pointer(unsafe.SliceData(s.Bytes())))

	maps := smaps(t)
	for i, m := range maps {
		if at < m.start || at >= m.end {
			continue
		}
		if !strings.Contains(m.flags, " lo") || !strings.Contains(m.flags, " dd") {
			t.Errorf("flags of the memory are%q; want lo and dd among them", m.flags)
		}
		if i == 0 || i == len(maps)-1 {
			t.Fatal("the memory has no neighbours")
		}
		if before := maps[i-1]; before.end != m.start || before.perm != "---p" {
			t.Errorf("below the memory lies %+v, not a guard", before)
		}
		if after := maps[i+1]; after.start != m.end || after.perm != "---p" {
			t.Errorf("above the memory lies %+v, not a guard", after)
		}
		return
	}
	t.Fatal("the secret is in no mapping")
}

// mapping is an entry of /proc/self/smaps.
type mapping struct {
	start, end uintptr
	perm       string
	flags      string
}

func smaps(t *testing.T) []mapping {
	t.Helper()
	text, err := os.ReadFile("/proc/self/smaps")
	if err != nil {
		t.Fatal(err)
	}
	var maps []mapping
	for line := range strings.Lines(string(text)) {
		var m mapping
		if n, _ := fmt.Sscanf(line, "%x-%x %s", &m.start, &m.end, &m.perm); n == 3 {
			maps = append(maps, m)
		} else if flags, ok := strings.CutPrefix(line, "VmFlags:"); ok {
			maps[len(maps)-1].flags = flags
		}
	}
	return maps
}

// TestArenaUnmaps: the memory is the system's again once an arena is closed and
// its last secret released, not sooner.
func TestArenaUnmaps(t *testing.T) {
	arena := secmem.NewArena(32, 1000)
	s := newSecret(t, arena, marker)
	at := uintptr(unsafe.Pointer(unsafe.SliceData(s.Bytes())))
	mapped := func() bool { // as the arena's: another mapping may come to lie there
		for _, m := range smaps(t) {
			if at >= m.start && at < m.end {
				return strings.Contains(m.flags, " dd")
			}
		}
		return false
	}
	if !mapped() {
		t.Skip("the system does not keep memory out of core files, by which the test knows it")
	}
	arena.Close()
	if !mapped() {
		t.Error("Close unmapped a secret in use")
	}
	s.Release()
	if mapped() {
		t.Error("the memory is still mapped after the last Release")
	}
}

func childCoreDumps() {
	if err := secmem.DisableCoreDumps(); err != nil {
		fmt.Println(err)
	}
	dumpable, err := unix.PrctlRetInt(unix.PR_GET_DUMPABLE, 0, 0, 0, 0)
	if err != nil {
		fmt.Println(err)
	}
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_CORE, &limit); err != nil {
		fmt.Println(err)
	}
	fmt.Printf("dumpable %d, limit %d %d\n", dumpable, limit.Cur, limit.Max)
}

func TestDisableCoreDumps(t *testing.T) {
	for name, attr := range map[string]*syscall.SysProcAttr{"as it is": nil, "unprivileged": unprivileged()} {
		if got, want := child(t, "coredumps", "", attr), "dumpable 0, limit 0 0"; got != want {
			t.Errorf("%s: child printed %q, want %q", name, got, want)
		}
	}
}

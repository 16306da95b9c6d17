//go:build unix

package cli_test

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/keywright/keywright/esdk"
	"github.com/keywright/keywright/esdk/keyring"
)

// rawKeyFlag makes a raw key of bytes b and returns the value of its flag.
func rawKeyFlag(t *testing.T, name string, b byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, bytes.Repeat([]byte{b}, 32), 0o600); err != nil {
		t.Fatal(err)
	}
	return path + ",namespace=test,name=" + name
}

// opens returns the plaintext of a message under such a key.
func opens(t *testing.T, message []byte, name string, b byte) ([]byte, error) {
	t.Helper()
	ring, err := keyring.NewRawAES("test", name, bytes.Repeat([]byte{b}, 32))
	if err != nil {
		t.Fatal(err)
	}
	plaintext, _, err := esdk.New(esdk.Config{}).Decrypt(t.Context(), esdk.Using(ring), message, esdk.DecryptOptions{})
	return plaintext, err
}

// memoryDir returns a directory in memory if the system has room for one, which
// does for tests that kill processes, and not the machine: there, waiting for the
// disk takes no time.
func memoryDir(t *testing.T) string {
	t.Helper()
	const parent, room = "/dev/shm", 256 << 20
	var disk unix.Statfs_t
	if err := unix.Statfs(parent, &disk); err != nil || uint64(disk.Bavail)*uint64(disk.Bsize) < room {
		return t.TempDir()
	}
	dir, err := os.MkdirTemp(parent, "keywright-test-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// smallTree makes a tree of n files with a text of their own each.
func smallTree(t *testing.T, n int) (root string, texts map[string]string) {
	t.Helper()
	root, texts = memoryDir(t), map[string]string{}
	for i := range n {
		dir := fmt.Sprintf("%02d", i%50)
		if i < 50 {
			if err := os.Mkdir(filepath.Join(root, dir), 0o755); err != nil {
				t.Fatal(err)
			}
		}
		name := filepath.Join(dir, fmt.Sprint(i))
		texts[name] = strings.Repeat(name+" ", 1+i%7)
		if err := os.WriteFile(filepath.Join(root, name), []byte(texts[name]), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return root, texts
}

// files returns the names of the files of a tree, without the leavings of killed
// processes, and how many those are.
func files(t *testing.T, root string) (names []string, left int) {
	t.Helper()
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		if strings.HasPrefix(d.Name(), ".keywright-") {
			left++
			return nil
		}
		name, err := filepath.Rel(root, path)
		names = append(names, name)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(names)
	return names, left
}

// statuses runs keywright with --json and counts what became of the files. With
// kill it is killed as soon as that returns true, which is asked after each file
// with how many there were.
func statuses(t *testing.T, kill func(files int) bool, args ...string) map[string]int {
	t.Helper()
	cmd := exec.Command("keywright", append(args, "--json", "--jobs", "4")...)
	cmd.Stderr = t.Output()
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	counts, total := map[string]int{}, 0
	killed := false
	for lines := bufio.NewScanner(stdout); lines.Scan(); {
		var r struct{ Status, Reason string }
		if err := json.Unmarshal(lines.Bytes(), &r); err != nil && !killed {
			t.Errorf("%s: %v", lines.Text(), err)
		}
		counts[r.Status]++
		if total++; kill != nil && !killed && kill(total) {
			killed = true
			if err := cmd.Process.Kill(); err != nil {
				t.Error(err)
			}
		}
	}
	err = cmd.Wait()
	if kill != nil && cmd.ProcessState.Exited() {
		t.Fatalf("it ended before it was killed: %v, %v", err, counts)
	}
	if kill == nil && err != nil {
		t.Errorf("%v: %v", err, counts)
	}
	return counts
}

// A tree whose encryption is killed half-way has whole messages and nothing else
// under their names; resumed, the others are done, and only those.
func TestResumeAfterKill(t *testing.T) {
	skipProcesses(t)
	const n = 10_000
	in, texts := smallTree(t, n)
	out := memoryDir(t)
	args := []string{"encrypt", "-r", "-i", in, "-o", out, "--suffix=", "--aes-key", rawKeyFlag(t, "old", 1), "--algorithm", "AES_256_GCM_HKDF_SHA512_COMMIT_KEY"}
	statuses(t, func(files int) bool { return files == n/2 }, args...)
	before, left := files(t, out)
	if len(before) < n/2 || len(before) == n {
		t.Fatalf("%d of %d were done when it was killed", len(before), n)
	}
	if left > 4 {
		t.Errorf("%d files were left behind by 4 jobs", left)
	}
	counts := statuses(t, nil, append(args, "--resume")...)
	if counts["skipped"] != len(before) || counts["done"] != n-len(before) || len(counts) != 2 {
		t.Errorf("of %d files, %d were there; then: %v", n, len(before), counts)
	}
	after, _ := files(t, out)
	if len(after) != n {
		t.Errorf("there are %d of %d", len(after), n)
	}
	for _, name := range after {
		message, err := os.ReadFile(filepath.Join(out, name))
		if err != nil {
			t.Fatal(err)
		}
		if text, err := opens(t, message, "old", 1); err != nil || string(text) != texts[name] {
			t.Fatalf("%s: %q, %v", name, text, err)
		}
	}
}

// A tree that is killed while it is rekeyed in place has in each file the old
// message or the new one, whole; resumed, the old ones are done, and only those.
func TestRekeyAfterKill(t *testing.T) {
	skipProcesses(t)
	const n = 2000
	in, texts := smallTree(t, n)
	tree := memoryDir(t)
	oldKey, newKey := rawKeyFlag(t, "old", 1), rawKeyFlag(t, "new", 2)
	if counts := statuses(t, nil, "encrypt", "-r", "-i", in, "-o", tree, "--suffix=", "--aes-key", oldKey, "--algorithm", "AES_256_GCM_HKDF_SHA512_COMMIT_KEY"); counts["done"] != n {
		t.Fatal(counts)
	}
	rekeyed := func() (done int) {
		names, _ := files(t, tree)
		if len(names) != n {
			t.Fatalf("there are %d of %d", len(names), n)
		}
		for _, name := range names {
			message, err := os.ReadFile(filepath.Join(tree, name))
			if err != nil {
				t.Fatal(err)
			}
			text, err := opens(t, message, "new", 2)
			if err == nil {
				done++
			} else if text, err = opens(t, message, "old", 1); err != nil {
				t.Fatalf("%s: neither the old message nor the new one: %v", name, err)
			}
			if string(text) != texts[name] {
				t.Fatalf("%s: %q", name, text)
			}
		}
		return done
	}
	args := []string{"rekey", "-r", "-i", tree, "--in-place", "--aes-key", oldKey, "--to-aes-key", newKey, "--resume"}
	before := 0
	for range 3 {
		statuses(t, func(files int) bool { return files == before+n/5 }, args...)
		done := rekeyed()
		if done < before+n/5 || done == n {
			t.Fatalf("%d of %d were done when it was killed", done, n)
		}
		before = done
	}
	counts := statuses(t, nil, args...)
	if counts["skipped"] != before || counts["done"] != n-before || len(counts) != 2 {
		t.Errorf("of %d files, %d were done; then: %v", n, before, counts)
	}
	if done := rekeyed(); done != n {
		t.Errorf("%d of %d are done", done, n)
	}
}

// The same with large files, of which one is always under way when the process
// is killed. It takes minutes and 21 GiB, and runs with KEYWRIGHT_SOAK=1.
func TestResumeAfterKillSoak(t *testing.T) {
	if os.Getenv("KEYWRIGHT_SOAK") != "1" {
		t.Skip("KEYWRIGHT_SOAK is not 1")
	}
	const n, size = 10, 1 << 30
	in, out := t.TempDir(), t.TempDir()
	var disk unix.Statfs_t
	if err := unix.Statfs(out, &disk); err != nil {
		t.Fatal(err)
	}
	// The messages, what four jobs leave behind, and what is not sparse of the
	// inputs.
	if free := uint64(disk.Bavail) * uint64(disk.Bsize); free < (n+4+2)*size {
		t.Skipf("%d GiB are free, %d are needed", free>>30, n+4+2)
	}
	for i := range n {
		if err := largeFile(filepath.Join(in, fmt.Sprint(i)), size, uint64(i)); err != nil {
			t.Fatal(err)
		}
	}
	key := rawKeyFlag(t, "old", 1)
	args := []string{"encrypt", "-r", "-i", in, "-o", out, "--suffix=", "--aes-key", key}
	statuses(t, func(files int) bool { return files == n/2 }, args...)
	before, left := files(t, out)
	if left == 0 || len(before) == n {
		t.Fatalf("%d were done and %d under way when it was killed", len(before), left)
	}
	counts := statuses(t, nil, append(args, "--resume")...)
	if counts["skipped"] != len(before) || counts["done"] != n-len(before) {
		t.Errorf("of %d files, %d were there; then: %v", n, len(before), counts)
	}
	for i := range n {
		plain, err := os.Open(filepath.Join(in, fmt.Sprint(i)))
		if err != nil {
			t.Fatal(err)
		}
		want, err := sum(plain)
		if err = errors.Join(err, plain.Close()); err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command("keywright", "decrypt", "-i", filepath.Join(out, fmt.Sprint(i)), "-o", "-", "--aes-key", key)
		cmd.Stderr = t.Output()
		stdout, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		got, err := sum(stdout)
		if err = errors.Join(err, cmd.Wait()); err != nil || got != want {
			t.Errorf("file %d: another plaintext, or %v", i, err)
		}
	}
}

// largeFile makes a sparse file with some noise in it.
func largeFile(path string, size int64, seed uint64) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := f.Truncate(size); err != nil {
		return err
	}
	noise := make([]byte, 1<<20)
	rand.NewChaCha8([32]byte{byte(seed)}).Read(noise)
	for at := int64(seed) * 4099; at+int64(len(noise)) < size; at += size / 16 {
		if _, err := f.WriteAt(noise, at); err != nil {
			return err
		}
	}
	return nil
}

func sum(r io.Reader) (digest [sha256.Size]byte, err error) {
	h := sha256.New()
	_, err = io.Copy(h, r)
	return [sha256.Size]byte(h.Sum(nil)), err
}

package system_test

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// process is a running keywright.
type process struct {
	t        testing.TB
	cmd      *exec.Cmd
	data     string
	endpoint string
	log      *lockedBuffer // its stderr
	out      *lockedBuffer // its stdout
	took     time.Duration // from exec to the endpoint line
}

// start runs `keywright server` on the data folder until the test ends.
func start(t testing.TB, data string, flags ...string) *process {
	t.Helper()
	p, err := tryStart(t, data, flags...)
	if err != nil {
		t.Fatalf("%v\n%s", err, p.log)
	}
	return p
}

// tryStart is start for a server that may refuse to.
func tryStart(t testing.TB, data string, flags ...string) (*process, error) {
	t.Helper()
	p := &process{t: t, data: data, log: new(lockedBuffer), out: new(lockedBuffer)}
	args := append([]string{"server", "--data", data, "--listen", "127.0.0.1:0", "--operator-listen", "off"}, flags...)
	p.cmd = exec.Command(binary, args...)
	p.cmd.Stderr = p.log
	stdout, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	begin := time.Now()
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		p.kill()
		if strings.Contains(p.log.String(), "DATA RACE") {
			t.Errorf("the server has a data race:\n%s", p.log)
		}
	})
	lines := bufio.NewReader(io.TeeReader(stdout, p.out))
	for {
		line, err := lines.ReadString('\n')
		if endpoint, ok := strings.CutPrefix(strings.TrimSpace(line), "endpoint: "); ok {
			p.endpoint, p.took = endpoint, time.Since(begin)
			go io.Copy(io.Discard, lines)
			return p, nil
		}
		if err != nil {
			return p, errors.Join(errors.New("keywright ended at its start"), p.cmd.Wait())
		}
	}
}

// kill ends the process as kill -9 does.
func (p *process) kill() {
	if p.cmd.ProcessState == nil {
		p.cmd.Process.Kill()
		p.cmd.Wait()
	}
}

// stop asks the process to end, and returns how it did.
func (p *process) stop() error {
	p.cmd.Process.Signal(syscall.SIGTERM)
	done := make(chan error, 1)
	go func() { done <- p.cmd.Wait() }()
	select {
	case err := <-done:
		return err
	case <-time.After(30 * time.Second):
		p.cmd.Process.Kill()
		<-done
		return errors.New("still running 30 seconds after SIGTERM")
	}
}

// logs tells whether the process has written the text to its log. What it wrote
// before an answer may take a moment to get here.
func (p *process) logs(text string) bool {
	for range 100 {
		if strings.Contains(p.log.String(), text) {
			return true
		}
		time.Sleep(20 * time.Millisecond)
	}
	return false
}

// audit is where its audit log is.
func (p *process) audit() string { return filepath.Join(p.data, "audit") }

// descriptors is how many files and connections it has open; -1 where that
// cannot be told.
func (p *process) descriptors() int {
	entries, err := os.ReadDir(filepath.Join("/proc", strconv.Itoa(p.cmd.Process.Pid), "fd"))
	if err != nil {
		return -1
	}
	return len(entries)
}

// lockedBuffer is written by a process and read by the test.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func (l *lockedBuffer) Len() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Len()
}

package main

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"time"
)

// startRuns is of how many starts the median is taken.
const startRuns = 5

// startTimeout is after how long a server that does not answer is given up.
const startTimeout = time.Minute

func measureStart(o *options, r *report) error {
	binary, err := o.keywright()
	if err != nil {
		return err
	}
	progress("start: in memory")
	// A development server takes any access key, and a key has to be made first.
	anyone := accessKey{"AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"}
	took, err := medianStart(binary, []string{"--dev"}, func(addr string) error {
		keyID, err := createKey(addr, anyone)
		if err != nil {
			return err
		}
		return encryptOnce(addr, anyone, keyID)
	})
	if err != nil {
		return err
	}
	r.Start = append(r.Start, startRow{"--dev, in memory, with CreateKey", took})

	progress("start: on data")
	data := filepath.Join(o.dir, "start")
	key, err := newData(data)
	if err != nil {
		return err
	}
	keyID, err := createOne(data, key)
	if err != nil {
		return err
	}
	took, err = medianStart(binary, []string{"--data", data}, func(addr string) error { return encryptOnce(addr, key, keyID) })
	if err != nil {
		return err
	}
	r.Start = append(r.Start, startRow{"on a data folder", took})
	return nil
}

// keywright returns the binary to measure, which it builds on the first call
// unless the command line named one.
func (o *options) keywright() (string, error) {
	if o.binary == "" {
		path := filepath.Join(o.dir, "keywright")
		progress("building keywright")
		build := exec.Command("go", "build", "-o", path, "github.com/keywright/keywright/cmd/keywright")
		build.Stderr = os.Stderr
		if err := build.Run(); err != nil {
			return "", fmt.Errorf("building keywright: %w", err)
		}
		o.binary = path
	}
	return o.binary, nil
}

// createOne makes a key in a data folder.
func createOne(data string, key accessKey) (string, error) {
	s, err := startChild("keywright", data)
	if err != nil {
		return "", err
	}
	defer s.stop()
	return createKey(s.addr, key)
}

func encryptOnce(addr string, key accessKey, keyID string) error {
	var out wire
	_, err := call(addr, key, "Encrypt", wire{KeyId: keyID, Plaintext: make([]byte, 32)}, &out)
	return err
}

// medianStart runs `keywright server` some times and returns the median, in
// milliseconds, of how long it took until use succeeded.
func medianStart(binary string, args []string, use func(addr string) error) (float64, error) {
	var l latencyRecorder
	for range startRuns {
		took, err := startOnce(binary, args, use)
		if err != nil {
			return 0, err
		}
		l.all = append(l.all, took)
	}
	return micros(l.quantile(0.5)) / 1000, nil
}

func startOnce(binary string, args []string, use func(addr string) error) (time.Duration, error) {
	addr, err := freeAddr()
	if err != nil {
		return 0, err
	}
	cmd := exec.Command(binary, slices.Concat([]string{"server", "--listen", addr, "--operator-listen", "off"}, args)...)
	start := time.Now()
	if err := cmd.Start(); err != nil {
		return 0, fmt.Errorf("starting %s: %w", binary, err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	defer func() {
		if err := cmd.Process.Signal(os.Interrupt); err != nil {
			cmd.Process.Kill()
		}
		select {
		case <-ended:
		case <-time.After(30 * time.Second):
			cmd.Process.Kill()
			<-ended
		}
	}()
	for {
		c, err := net.Dial("tcp", addr)
		if err == nil {
			c.Close()
			break
		}
		select {
		case err := <-ended:
			ended <- err
			return 0, fmt.Errorf("%s ended before it served: %w", cmd, err)
		default:
		}
		if time.Since(start) > startTimeout {
			return 0, fmt.Errorf("%s does not listen after %v: %w", cmd, startTimeout, err)
		}
		time.Sleep(200 * time.Microsecond)
	}
	err = use(addr)
	return time.Since(start), err
}

// freeAddr finds a port that nobody listens on.
func freeAddr() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

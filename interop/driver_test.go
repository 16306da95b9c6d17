package interop_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"testing"
)

// javascript is the official Encryption SDK for JavaScript, in a process that
// js/driver.mjs describes. Its managers are descriptions.
type javascript struct {
	mu  sync.Mutex
	in  io.Writer
	out *bufio.Reader
}

// A description is a manager as js/driver.mjs understands it.
type description map[string]any

// startJavaScript starts the process for the time of a test, or skips the test
// where there is no Node.js or its modules are not installed.
func startJavaScript(t *testing.T) *javascript {
	t.Helper()
	node, err := exec.LookPath("node")
	if err == nil {
		_, err = os.Stat("js/node_modules/@aws-crypto/client-node")
	}
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skipf("%v: scripts/interop.sh installs the modules, Node.js must be there", err)
	}
	args := []string{"driver.mjs"}
	// Some versions of Node.js refuse to decrypt RSA with PKCS #1 v1.5 unless told
	// so. Those that do not know the word do not refuse.
	const allowPKCS1 = "--security-revert=CVE-2023-46809"
	if exec.Command(node, allowPKCS1, "--version").Run() == nil {
		args = append([]string{allowPKCS1}, args...)
	}
	cmd := exec.Command(node, args...)
	cmd.Dir = "js"
	cmd.Stdout, cmd.Stderr = t.Output(), t.Output()
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, answers, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.ExtraFiles = []*os.File{answers} // its descriptor 3
	err = cmd.Start()
	answers.Close()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		defer out.Close()
		in.Close()
		if err := cmd.Wait(); err != nil {
			t.Errorf("the driver ended with: %v", err)
		}
	})
	return &javascript{in: in, out: bufio.NewReader(out)}
}

// call sends a request and decodes the answer into v.
func (j *javascript) call(request map[string]any, v any) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if err := json.NewEncoder(j.in).Encode(request); err != nil {
		return fmt.Errorf("sending to the driver: %w", err)
	}
	line, err := j.out.ReadBytes('\n')
	if err != nil {
		return fmt.Errorf("reading from the driver: %w", err)
	}
	var failure struct{ Error string }
	if err := json.Unmarshal(line, &failure); err != nil {
		return fmt.Errorf("reading from the driver: %w", err)
	}
	if failure.Error != "" {
		return errors.New(failure.Error)
	}
	return json.Unmarshal(line, v)
}

func (j *javascript) encrypt(_ context.Context, manager description, m message) ([]byte, error) {
	var answer struct{ Message []byte }
	err := j.call(map[string]any{
		"op": "encrypt", "manager": manager, "policy": m.policy().String(), "suite": m.suite.ID,
		"frameLength": m.frameLength, "context": m.context, "plaintext": m.plaintext,
	}, &answer)
	return answer.Message, err
}

func (j *javascript) decrypt(_ context.Context, manager description, m message, ciphertext []byte) ([]byte, map[string]string, error) {
	var answer struct {
		Plaintext   []byte
		Context     map[string]string
		Suite       uint16
		FrameLength uint32
	}
	err := j.call(map[string]any{"op": "decrypt", "manager": manager, "policy": m.policy().String(), "message": ciphertext}, &answer)
	if err == nil && (answer.Suite != uint16(m.suite.ID) || answer.FrameLength != m.frameLength) {
		err = fmt.Errorf("found suite %04x and frame length %d", answer.Suite, answer.FrameLength)
	}
	return answer.Plaintext, answer.Context, err
}

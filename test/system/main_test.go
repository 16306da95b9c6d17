// Package system tests the keywright binary from outside: it runs it as a child
// process, kills it, fills its disk and sends it what no client should. Where a
// test needs no process of its own it runs the server in the test's.
//
// The full length of the long tests is run with KEYWRIGHT_SOAK=1.
package system_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// binary is the keywright that the tests run.
var binary string

// soak asks for the full length of long tests.
var soak = os.Getenv("KEYWRIGHT_SOAK") != ""

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "keywright-system-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	binary = filepath.Join(dir, "keywright")
	args := append([]string{"build", "-o", binary}, buildFlags...)
	build := exec.Command("go", append(args, "github.com/keywright/keywright/cmd/keywright")...)
	build.Stdout, build.Stderr = os.Stderr, os.Stderr
	if err := build.Run(); err != nil {
		fmt.Fprintln(os.Stderr, "building keywright:", err)
		os.Exit(1)
	}
	code := m.Run()
	os.RemoveAll(dir)
	os.Exit(code)
}

//go:build unix

package cli

import (
	"os/exec"
	"os/signal"
	"syscall"
)

// runInPlace runs a command in the place of this process, with its id and
// standard streams: signals and the exit code are the command's own, and no
// second process holds its environment. It returns only if that fails.
func runInPlace(s *streams, command, environ []string) error {
	path, err := exec.LookPath(command[0])
	if err != nil {
		return notStarted(s, command, err)
	}
	signal.Reset() // what was ignored when this process started is so again
	return notStarted(s, command, syscall.Exec(path, command, environ))
}

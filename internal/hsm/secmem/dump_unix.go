//go:build unix && !linux

package secmem

import (
	"fmt"

	"golang.org/x/sys/unix"
)

func dontDump([]byte) error { return nil }

// DisableCoreDumps keeps this process, and the programs it starts, from writing
// a core file. A server calls it once, at its start, before it holds secrets;
// an error is worth a warning and nothing more.
func DisableCoreDumps() error {
	if err := unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}); err != nil {
		return fmt.Errorf("setting the core file limit to zero: %w", err)
	}
	return nil
}

package secmem

import (
	"fmt"

	"golang.org/x/sys/unix"
)

func dontDump(b []byte) error { return unix.Madvise(b, unix.MADV_DONTDUMP) }

// DisableCoreDumps keeps this process from writing a core file, and other
// processes of the same user from attaching to it: debuggers need root then,
// and its files in /proc are root's. The limit on core files is inherited by
// the programs it starts. A server calls it once, at its start,
// before it holds secrets; an error is worth a warning and nothing more.
func DisableCoreDumps() error {
	if err := unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}); err != nil {
		return fmt.Errorf("setting the core file limit to zero: %w", err)
	}
	// With a pipe in /proc/sys/kernel/core_pattern the limit does not hold;
	// this does.
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return fmt.Errorf("marking the process as not dumpable: %w", err)
	}
	return nil
}

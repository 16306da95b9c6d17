package server

import (
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// readClocks reads wall time and CLOCK_BOOTTIME, which counts suspended time and
// cannot be set.
func readClocks() reading {
	r := reading{wall: time.Now()}
	if id, err := os.ReadFile("/proc/sys/kernel/random/boot_id"); err == nil {
		r.boot = strings.TrimSpace(string(id))
	}
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts); err == nil {
		r.elapsed = time.Duration(ts.Nano())
	}
	return r
}

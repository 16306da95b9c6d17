//go:build !linux

package server

import (
	"strconv"
	"time"
)

var processStart = time.Now()

// readClocks reads wall time and the monotonic time of this process: where the
// kernel tells no boot time, each start of the server counts as one.
func readClocks() reading {
	now := time.Now()
	return reading{
		wall:    now.Round(0),
		boot:    strconv.FormatInt(processStart.UnixNano(), 36),
		elapsed: now.Sub(processStart),
	}
}

//go:build unix

package main

import (
	"os"
	"runtime"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// ownUsage is what this process has used.
func ownUsage() usage {
	var ru unix.Rusage
	var u usage
	if unix.Getrusage(unix.RUSAGE_SELF, &ru) == nil {
		u.CPUMicros = ru.Utime.Nano()/1000 + ru.Stime.Nano()/1000
	}
	var mem runtime.MemStats
	runtime.ReadMemStats(&mem)
	u.Mallocs = mem.Mallocs
	u.RSS, u.Anonymous = resident()
	return u
}

// resident reads the process's memory from where Linux shows it.
func resident() (rss, anonymous int64) {
	text, _ := os.ReadFile("/proc/self/status")
	for line := range strings.Lines(string(text)) {
		name, value, _ := strings.Cut(line, ":")
		kib, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 10, 64)
		switch {
		case err != nil:
		case name == "VmRSS":
			rss = kib << 10
		case name == "RssAnon":
			anonymous = kib << 10
		}
	}
	return rss, anonymous
}

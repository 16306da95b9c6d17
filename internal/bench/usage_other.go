//go:build !unix

package main

import "runtime"

// ownUsage is what this process has used; here, its allocations alone.
func ownUsage() usage {
	var mem runtime.MemStats
	runtime.ReadMemStats(&mem)
	return usage{Mallocs: mem.Mallocs}
}

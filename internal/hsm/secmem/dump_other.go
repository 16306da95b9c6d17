//go:build !unix

package secmem

// DisableCoreDumps does nothing on this system.
func DisableCoreDumps() error { return nil }

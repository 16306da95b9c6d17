//go:build !linux

package boltstore

import (
	"fmt"
	"os"
)

// openMemoryFile has the form of os.OpenFile. Its file has no name, so it goes
// with the process; where the system cannot remove an open file (Windows), it
// stays in the folder of temporary files.
func openMemoryFile(string, int, os.FileMode) (*os.File, error) {
	f, err := os.CreateTemp("", "keywright-*.db")
	if err != nil {
		return nil, fmt.Errorf("making a file in memory: %w", err)
	}
	_ = os.Remove(f.Name())
	return f, nil
}

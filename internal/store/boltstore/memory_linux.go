package boltstore

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// openMemoryFile has the form of os.OpenFile.
func openMemoryFile(name string, _ int, _ os.FileMode) (*os.File, error) {
	fd, err := unix.MemfdCreate("keywright", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("making a file in memory: %w", err)
	}
	return os.NewFile(uintptr(fd), name), nil
}

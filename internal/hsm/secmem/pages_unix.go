//go:build unix

package secmem

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// pages returns size bytes of memory between two guard pages, and what gives it
// back. An error says which protection the memory is without; it is usable all
// the same.
func pages(size, page int) (usable []byte, unmap func(), err error) {
	region, err := unix.Mmap(-1, 0, page+size+page, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		return make([]byte, size), func() {}, fmt.Errorf("mapping memory: %w", err)
	}
	usable = region[page : page+size]
	unmap = func() { _ = unix.Munmap(region) }
	// The guards are a net below Go's own bounds checks; without them the
	// memory is as secret as with them.
	_ = unix.Mprotect(region[:page], unix.PROT_NONE)
	_ = unix.Mprotect(region[page+size:], unix.PROT_NONE)
	dumpErr := dontDump(usable)
	if err := unix.Mlock(usable); err != nil {
		kib := (size + 1023) / 1024
		return usable, unmap, fmt.Errorf("locking %d KiB of memory: %w; raise the limit on locked memory (ulimit -l, LimitMEMLOCK=)", kib, err)
	}
	if dumpErr != nil {
		return usable, unmap, fmt.Errorf("keeping memory out of core files: %w", dumpErr)
	}
	return usable, unmap, nil
}

//go:build !unix

package audit

import (
	"errors"
	"math"
	"syscall"
)

// freeBytes is not known here: the warning comes with the full disk.
func freeBytes(string) (uint64, error) { return math.MaxUint64, nil }

func isNoSpace(err error) bool { return errors.Is(err, syscall.ENOSPC) }

// syncDir does nothing: names are durable with their files.
func syncDir(string) error { return nil }

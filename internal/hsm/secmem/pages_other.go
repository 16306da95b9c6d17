//go:build !unix

package secmem

import "errors"

// pages: no system calls for it here, so the memory is Go's.
func pages(size, page int) (usable []byte, unmap func(), err error) {
	return make([]byte, size), func() {}, errors.New("locked memory is not supported on this system")
}

//go:build unix

package esdk_test

import (
	"errors"
	"syscall"
	"testing"

	"github.com/keywright/keywright/esdk"
	"github.com/keywright/keywright/esdk/suite"
)

// TestFailedDecryptLetsGo: when Decrypt has failed, the message is the caller's
// again. Here it is gone from memory, as that of a mapped file would be, and to go
// on hashing it would end the process.
func TestFailedDecryptLetsGo(t *testing.T) {
	m, c := static(), clientFor(suite.AES256GCMCommitP384, 4096, 2)
	msg := encrypt(t, c, m, random(1<<20))
	msg[len(msg)/2] ^= 1
	for range 10 {
		mapped, err := syscall.Mmap(-1, 0, len(msg), syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
		if err != nil {
			t.Fatal(err)
		}
		copy(mapped, msg)
		_, _, err = c.Decrypt(t.Context(), m, mapped, esdk.DecryptOptions{})
		if unmap := syscall.Munmap(mapped); unmap != nil || !errors.Is(err, esdk.ErrAuthentication) {
			t.Fatal(err, unmap)
		}
	}
}

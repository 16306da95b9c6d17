//go:build unix

package envelope_test

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/keywright/keywright/esdk/suite"
	"github.com/keywright/keywright/internal/envelope"
)

// A file that root rekeys in place stays its owner's.
func TestRekeyKeepsOwner(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can give files away")
	}
	path := filepath.Join(t.TempDir(), "m")
	oldMessage(t, path, suiteOf(t, suite.AES256GCMHKDF), "x")
	if err := os.Chown(path, 12345, 23456); err != nil {
		t.Fatal(err)
	}
	w := newRekey(t)
	w.DecryptOptions.EncryptionContext = someContext
	if r := w.Do(t.Context(), envelope.File{Input: path, Output: path}); r.Err != nil {
		t.Fatal(r.Err)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if s := info.Sys().(*syscall.Stat_t); s.Uid != 12345 || s.Gid != 23456 {
		t.Errorf("it belongs to %d:%d", s.Uid, s.Gid)
	}
}

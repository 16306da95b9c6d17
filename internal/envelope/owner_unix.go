//go:build unix

package envelope

import (
	"io/fs"
	"os"
	"syscall"
)

// keepOwner gives a file the owner and group that another has.
func keepOwner(f *os.File, like fs.FileInfo) error {
	have, err := f.Stat()
	if err != nil {
		return err
	}
	is, ok1 := have.Sys().(*syscall.Stat_t)
	want, ok2 := like.Sys().(*syscall.Stat_t)
	if !ok1 || !ok2 || is.Uid == want.Uid && is.Gid == want.Gid {
		return nil
	}
	return f.Chown(int(want.Uid), int(want.Gid))
}

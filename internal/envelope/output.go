package envelope

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// The names of outputs that are not whole yet. One that is found later is of a
// process that was killed.
const tempPrefix, tempSuffix = ".keywright-", ".tmp"

func isTemp(name string) bool {
	return strings.HasPrefix(name, tempPrefix) && strings.HasSuffix(name, tempSuffix)
}

// output is a file being written. Until commit it has another name, in the same
// directory, so that what had its name before is there until the new one is
// whole.
type output struct {
	w      io.Writer
	temp   *os.File    // nil: w is written to directly
	device *os.File    // what is then to be closed, if anything
	path   string      // with no symbolic link at its end
	old    fs.FileInfo // what has the name; nil if nothing has
}

// outputWriter counts what is written.
type outputWriter struct {
	out *output
	r   *Result
}

func (o *outputWriter) Write(p []byte) (int, error) {
	n, err := o.out.w.Write(p)
	o.r.Written += int64(n)
	if err != nil {
		return n, fmt.Errorf("writing the output: %w", err)
	}
	return n, nil
}

func (w *Work) create(path string) (*output, error) {
	switch path {
	case "":
		return &output{w: io.Discard}, nil
	case Stdio:
		return &output{w: w.Stdout}, nil
	}
	old, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		old = nil
	case err != nil:
		return nil, err
	case !old.Mode().IsRegular(): // a device or a pipe cannot be replaced
		f, err := os.OpenFile(path, os.O_WRONLY, 0)
		if err != nil {
			return nil, err
		}
		return &output{w: f, device: f}, nil
	default:
		if path, err = filepath.EvalSymlinks(path); err != nil {
			return nil, err
		}
	}
	temp, err := os.CreateTemp(filepath.Dir(path), tempPrefix+"*"+tempSuffix) // mode 0600
	if err != nil {
		return nil, fmt.Errorf("writing beside %s: %w", path, err)
	}
	return &output{w: temp, temp: temp, path: path, old: old}, nil
}

// commit gives the output its name, and the mode and time of the input. With
// keep it does not replace what has the name.
func (o *output) commit(like fs.FileInfo, keep bool) error {
	if o.temp == nil {
		if o.device == nil {
			return nil
		}
		device := o.device
		o.device = nil
		return device.Close()
	}
	if like == nil {
		like = o.old
	}
	if like != nil {
		if err := o.temp.Chmod(like.Mode().Perm()); err != nil {
			return err
		}
	}
	if err := o.temp.Sync(); err != nil {
		return err
	}
	if err := o.temp.Close(); err != nil {
		return err
	}
	if like != nil && like != o.old {
		if err := os.Chtimes(o.temp.Name(), like.ModTime(), like.ModTime()); err != nil {
			return err
		}
	}
	if err := o.name(keep); err != nil {
		return err
	}
	o.temp = nil
	return syncDir(filepath.Dir(o.path))
}

func (o *output) name(keep bool) error {
	if keep {
		// Unlike a renaming, a link takes no name that is taken.
		err := os.Link(o.temp.Name(), o.path)
		if err == nil {
			return os.Remove(o.temp.Name())
		}
		if _, taken := os.Lstat(o.path); !errors.Is(taken, fs.ErrNotExist) {
			return err
		}
		// The file system knows no links.
	}
	return os.Rename(o.temp.Name(), o.path)
}

// abort removes an output that was not committed.
func (o *output) abort() {
	if o.temp != nil {
		o.temp.Close()
		os.Remove(o.temp.Name())
	}
	if o.device != nil {
		o.device.Close()
	}
}

func syncDir(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

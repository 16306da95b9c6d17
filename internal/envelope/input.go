package envelope

import (
	"io"
	"io/fs"
	"os"

	"github.com/keywright/keywright/esdk"
)

// input is what one file is read from.
type input struct {
	r        io.Reader
	f        *os.File    // nil for standard input
	info     fs.FileInfo // as it was opened; nil for standard input
	read     int64
	progress func(int)
}

func (w *Work) open(path string) (*input, error) {
	if path == Stdio {
		return &input{r: w.Stdin, progress: w.Progress}, nil
	}
	// Asked before opening: opening a pipe would wait for who writes to it.
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, &fs.PathError{Op: "open", Path: path, Err: errNotRegular}
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	if info, err = f.Stat(); err != nil {
		f.Close()
		return nil, err
	}
	return &input{r: f, f: f, info: info, progress: w.Progress}, nil
}

func (in *input) close() {
	if in.f != nil {
		in.f.Close()
	}
}

// reader returns what the input is read with; it can seek if the input can.
func (in *input) reader() io.Reader {
	if in.f != nil {
		return fileReader{in}
	}
	return streamReader{in}
}

// size is how long the plaintext in the input is, or 0 if that is not known.
func (in *input) size(decode bool) int64 {
	if in.info == nil || decode {
		return 0
	}
	return in.info.Size()
}

// unchanged tells, after all was read, whether the input is still what it was.
func (in *input) unchanged() error {
	if in.f == nil {
		return nil
	}
	now, err := in.f.Stat()
	if err != nil {
		return err
	}
	if now.Size() != in.info.Size() || !now.ModTime().Equal(in.info.ModTime()) {
		return ErrChanged
	}
	return nil
}

type streamReader struct{ in *input }

func (s streamReader) Read(p []byte) (int, error) {
	n, err := s.in.r.Read(p)
	s.in.read += int64(n)
	if s.in.progress != nil {
		s.in.progress(n)
	}
	return n, err
}

type fileReader struct{ in *input }

func (f fileReader) Read(p []byte) (int, error) { return streamReader(f).Read(p) }

func (f fileReader) Seek(offset int64, whence int) (int64, error) {
	at, err := f.in.f.Seek(offset, whence)
	f.in.read = at
	return at, err
}

// ReadAt is for looking at the header again; it does not count.
func (f fileReader) ReadAt(p []byte, off int64) (int, error) { return f.in.f.ReadAt(p, off) }

// maxHeader is how much of a message's beginning is kept.
const maxHeader = 1 << 20

// headerBytes reads the beginning of a message again: the header, if reader
// knows how long it is, and else what it may take.
func headerBytes(src io.ReadSeeker, reader *esdk.Reader) []byte {
	at, ok := src.(io.ReaderAt)
	if !ok {
		return nil
	}
	length := int64(maxHeader)
	if reader != nil {
		length = min(length, int64(reader.Header().Length))
	}
	start, err := io.ReadAll(io.NewSectionReader(at, 0, length))
	if err != nil {
		return nil
	}
	return start
}

// recorder keeps what is written to it, up to maxHeader, while it is on, and
// passes all on to w if there is one.
type recorder struct {
	w     io.Writer
	on    bool
	bytes []byte
}

func (r *recorder) Write(p []byte) (int, error) {
	if r.on {
		r.bytes = append(r.bytes, p[:min(len(p), maxHeader-len(r.bytes))]...)
	}
	if r.w == nil {
		return len(p), nil
	}
	return r.w.Write(p)
}

// Package envelope encrypts, decrypts, verifies and rekeys files and trees of
// files with an esdk.Client: it finds what is to be done, does several files at a time,
// gives an output its name only when it is whole and verified, and tells of each
// file what became of it.
//
// It parses no flags, prints nothing, knows no keys and no service. What a
// message is, esdk knows.
package envelope

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/keywright/keywright/esdk"
	"github.com/keywright/keywright/esdk/materials"
)

// Stdio as a File's Input is standard input, and as its Output standard output.
const Stdio = "-"

// Mode is what is done to files.
type Mode uint8

// The modes.
const (
	Encrypt Mode = iota
	Decrypt
	Verify // decrypt, and throw the plaintext away
	Rekey  // give a message other encrypted data keys
)

// Work says what is done to each file, and how. It may be used concurrently,
// if its functions may. It is not changed once it is used.
type Work struct {
	Mode   Mode
	Client *esdk.Client
	// Manager makes the data keys, or opens them. With Rekey it opens the old
	// ones.
	Manager materials.Manager
	// EncryptOptions are for Encrypt; PlaintextBound is set for each file whose
	// length is known.
	EncryptOptions esdk.EncryptOptions
	// DecryptOptions are for Decrypt, Verify and Rekey.
	DecryptOptions esdk.DecryptOptions
	// RekeyOptions are for Rekey.
	RekeyOptions RekeyOptions

	Decode bool // the input is base64; line ends in it are passed over
	Encode bool // the output is to be base64, on one line

	// KeepOutputs skips a file whose output exists.
	KeepOutputs bool
	// Resume skips a file whose output is there and has the input's time of
	// modification, as an output has that was made of it. In place it skips a
	// message of which RekeyOptions.Rekeyed says that it was done.
	Resume bool
	// Confirm, if set, is asked before an output that exists is replaced; if it
	// says no, the file is skipped.
	Confirm func(path string) (bool, error)

	// Progress, if set, is told how many more bytes of the inputs were read. A
	// message that is verified first is read twice.
	Progress func(bytes int)
	// KeepHeaders keeps the bytes of the messages' headers in the results, if
	// they are at most 1 MiB.
	KeepHeaders bool

	Stdin  io.Reader // what Stdio means
	Stdout io.Writer
}

// File is one input and where its result goes.
type File struct {
	Input  string // path, or Stdio
	Output string // path, or Stdio; "" with Verify
	Size   int64  // of the input in bytes, when it was found; 0 if not known
	err    error  // why it cannot be done
}

// Status is what became of a file.
type Status uint8

// What can become of a file.
const (
	Done Status = iota
	Skipped
	Failed
)

func (s Status) String() string { return [...]string{"done", "skipped", "failed"}[s] }

// Result is what became of a file.
type Result struct {
	File
	Status  Status
	Reason  string       // why it was skipped
	Err     error        // why it failed
	Method  Method       // how it was rekeyed; "" if it was not
	Header  *esdk.Header // of the message; nil if it is not known
	Raw     []byte       // the header's bytes, with Work.KeepHeaders
	Read    int64        // bytes of the input
	Written int64        // bytes of the output
}

// ErrChanged is an input that was written to while it was encrypted or rekeyed.
var ErrChanged = errors.New("the file was changed while it was read")

var errNotRegular = errors.New("it is not a regular file")

// Do does one file. An error is in the result. When ctx ends, so does Do, but
// for a read from standard input that waits.
func (w *Work) Do(ctx context.Context, f File) Result {
	r := Result{File: f}
	err := f.err
	if err == nil {
		err = context.Cause(ctx)
	}
	if err == nil {
		err = w.do(ctx, &r)
	}
	if err != nil {
		r.Status, r.Err, r.Method = Failed, err, ""
	}
	return r
}

func (w *Work) do(ctx context.Context, r *Result) error {
	in, err := w.open(r.Input)
	if err != nil {
		return err
	}
	defer in.close()
	if r.Reason, err = w.skip(r.File, in); err != nil || r.Reason != "" {
		r.Status = Skipped
		return err
	}
	out, err := w.create(r.Output)
	if err != nil {
		return err
	}
	defer out.abort()
	if err := w.transform(ctx, in, out, r); err != nil {
		return err
	}
	if w.Mode == Encrypt || w.Mode == Rekey {
		if err := in.unchanged(); err != nil {
			return err
		}
	}
	if w.inPlace(r.File) {
		if err := out.replaces(in.info); err != nil {
			return err
		}
	}
	if err := out.commit(in.info, w.KeepOutputs); err != nil {
		return fmt.Errorf("writing %s: %w", r.Output, err)
	}
	return nil
}

// transform reads the whole of in and writes the whole of out.
func (w *Work) transform(ctx context.Context, in *input, out *output, r *Result) (err error) {
	src := in.reader()
	if w.Decode {
		src = base64.NewDecoder(base64.StdEncoding, src)
	}
	dst := io.Writer(&outputWriter{out, r})
	var encoder io.WriteCloser
	if w.Encode {
		encoder = base64.NewEncoder(base64.StdEncoding, dst)
		dst = encoder
	}
	switch w.Mode {
	case Encrypt:
		err = w.encrypt(ctx, src, dst, in.size(w.Decode), r)
	case Rekey:
		err = w.rekey(ctx, src, dst, in.size(w.Decode), r)
	default:
		err = w.decrypt(ctx, src, dst, r)
	}
	if err == nil && encoder != nil {
		err = encoder.Close()
	}
	r.Read = in.read
	return err
}

func (w *Work) encrypt(ctx context.Context, src io.Reader, dst io.Writer, size int64, r *Result) error {
	opts := w.EncryptOptions
	opts.PlaintextBound = size
	header := &recorder{w: dst, on: w.KeepHeaders}
	writer, err := w.Client.NewWriter(ctx, header, w.Manager, opts)
	if err != nil {
		return err
	}
	r.Header, r.Raw = writer.Header(), header.bytes
	header.on = false
	if _, err := io.Copy(writer, src); err != nil {
		if errors.Is(err, esdk.ErrPlaintextBound) {
			return ErrChanged
		}
		return err
	}
	return writer.Close()
}

func (w *Work) decrypt(ctx context.Context, src io.Reader, dst io.Writer, r *Result) error {
	// A source that can seek is not wrapped, since it may be read twice.
	seeker, seeks := src.(io.ReadSeeker)
	record := &recorder{on: true}
	if !seeks {
		src = io.TeeReader(src, record)
	}
	reader, err := w.Client.NewReader(ctx, src, w.Manager, w.DecryptOptions)
	record.on = false
	if err == nil {
		r.Header = reader.Header()
	}
	if seeks && (err != nil || w.KeepHeaders) {
		record.bytes = headerBytes(seeker, reader)
	}
	w.keepHeader(r, record.bytes)
	if err != nil {
		return err
	}
	_, err = reader.WriteTo(dst)
	return err
}

// keepHeader fills in what the result says of the header, of which start is
// the beginning of the message. Where the message could not be read, the header
// is what it claims to be.
func (w *Work) keepHeader(r *Result, start []byte) {
	if r.Header == nil {
		r.Header, _ = w.Client.Inspect(bytes.NewReader(start))
	}
	if w.KeepHeaders && r.Header != nil && r.Header.Length <= len(start) {
		r.Raw = start[:r.Header.Length:r.Header.Length]
	}
}

// skip returns why a file is not to be done, or "".
func (w *Work) skip(f File, source *input) (reason string, err error) {
	in := source.info
	if f.Output == "" || f.Output == Stdio {
		return "", nil
	}
	out, err := os.Stat(f.Output)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	switch {
	case out.IsDir():
		return "", fmt.Errorf("the output %s is a directory", f.Output)
	case !out.Mode().IsRegular():
		return "", nil // a device or a pipe, of which nothing is lost
	case w.inPlace(f):
		if w.Resume && w.rekeyed(source) {
			return "done before", nil
		}
	case in != nil && os.SameFile(in, out):
		return "", fmt.Errorf("the output %s is the input", f.Output)
	case w.Resume && in != nil && in.ModTime().Equal(out.ModTime()):
		return "done before", nil
	}
	switch {
	case w.KeepOutputs:
		return "the output exists", nil
	case w.Confirm != nil:
		yes, err := w.Confirm(f.Output)
		if err != nil || yes {
			return "", err
		}
		return "the output is to be kept", nil
	}
	return "", nil
}

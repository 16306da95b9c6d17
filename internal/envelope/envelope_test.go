package envelope_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/keywright/keywright/esdk"
	"github.com/keywright/keywright/esdk/materials"
	"github.com/keywright/keywright/internal/envelope"
)

// Every single byte of a message that is changed, and every cut, fails and
// leaves what was there, with nothing beside it.
func TestDamageLeavesTheOldOutput(t *testing.T) {
	dir := t.TempDir()
	path := encrypted(t, dir, "some plaintext")
	message := []byte(read(t, path))
	out := filepath.Join(dir, "out")
	write(t, out, "old")
	w := newWork(t, envelope.Decrypt)
	before := names(t, dir)
	check := func(what string, at int, damaged []byte) {
		write(t, path, string(damaged))
		r := w.Do(t.Context(), envelope.File{Input: path, Output: out})
		if r.Status != envelope.Failed || r.Err == nil {
			t.Errorf("byte %d %s: %v", at, what, r.Status)
		}
	}
	for i := 0; i < len(message); i += 3 {
		damaged := bytes.Clone(message)
		damaged[i] ^= 0x10
		check("changed", i, damaged)
		check("cut off", i, message[:i])
	}
	if got := read(t, out); got != "old" {
		t.Errorf("the output is %q", got)
	}
	if after := names(t, dir); !slices.Equal(after, before) {
		t.Errorf("left behind: %q", after)
	}
	write(t, path, string(message))
	if r := w.Do(t.Context(), envelope.File{Input: path, Output: out}); r.Err != nil || read(t, out) != "some plaintext" {
		t.Errorf("whole: %v", r.Err)
	}
}

type failingWriter struct{ after int }

func (f *failingWriter) Write(p []byte) (int, error) {
	if f.after -= len(p); f.after < 0 {
		return 0, errDisk
	}
	return len(p), nil
}

var errDisk = errors.New("the disk is full")

func TestWriteErrorIsReported(t *testing.T) {
	dir := t.TempDir()
	path := encrypted(t, dir, strings.Repeat("x", 1<<20))
	w := newWork(t, envelope.Decrypt)
	w.Stdout = &failingWriter{after: 1 << 19}
	r := w.Do(t.Context(), envelope.File{Input: path, Output: envelope.Stdio})
	if !errors.Is(r.Err, errDisk) {
		t.Errorf("got %v", r.Err)
	}
}

// An input that grows while it is read, or is written over, is not encrypted.
func TestChangedInput(t *testing.T) {
	for name, change := range map[string]func(path string) error{
		"grown": func(path string) error {
			f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
			if err != nil {
				return err
			}
			_, err = f.Write([]byte("more"))
			return errors.Join(err, f.Close())
		},
		"touched": func(path string) error { return os.Chtimes(path, time.Time{}, time.Unix(1, 0)) },
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			in := filepath.Join(dir, "in")
			write(t, in, strings.Repeat("x", 1<<20))
			var done atomic.Bool
			w := newWork(t, envelope.Encrypt)
			w.Progress = func(int) {
				if !done.Swap(true) {
					if err := change(in); err != nil {
						t.Error(err)
					}
				}
			}
			r := w.Do(t.Context(), envelope.File{Input: in, Output: filepath.Join(dir, "out")})
			if !errors.Is(r.Err, envelope.ErrChanged) {
				t.Errorf("got %v", r.Err)
			}
			if got := names(t, dir); !slices.Equal(got, []string{"in"}) {
				t.Errorf("left behind: %q", got)
			}
		})
	}
}

// An output that appears while one is made is not replaced with KeepOutputs.
func TestKeepOutputsRace(t *testing.T) {
	dir := t.TempDir()
	path := encrypted(t, dir, "new")
	out := filepath.Join(dir, "out")
	w := newWork(t, envelope.Decrypt)
	w.KeepOutputs = true
	w.Progress = func(int) { write(t, out, "another's") }
	r := w.Do(t.Context(), envelope.File{Input: path, Output: out})
	if !errors.Is(r.Err, os.ErrExist) || read(t, out) != "another's" {
		t.Errorf("got %v, %q", r.Err, read(t, out))
	}
	if got := names(t, dir); len(got) != 3 {
		t.Errorf("left behind: %q", got)
	}
}

// When the context ends, files under way and those to come fail, and all are
// reported.
func TestInterrupted(t *testing.T) {
	dir := t.TempDir()
	in, out := filepath.Join(dir, "in"), filepath.Join(dir, "out")
	for _, d := range []string{in, out} {
		if err := os.Mkdir(d, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"a", "b", "c"} {
		write(t, filepath.Join(in, name), strings.Repeat("x", 1<<20))
	}
	plan, err := (&envelope.Selection{Inputs: []string{in}, Output: out, Recursive: true}).Plan()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	w := newWork(t, envelope.Encrypt)
	w.Progress = func(int) { cancel() }
	failed := 0
	if err := w.Run(ctx, plan, 1, func(r envelope.Result) {
		if errors.Is(r.Err, context.Canceled) {
			failed++
		}
	}); err != nil {
		t.Error(err)
	}
	if failed != 3 {
		t.Errorf("%d were cancelled", failed)
	}
	if got := names(t, out); len(got) != 0 {
		t.Errorf("left behind: %q", got)
	}
}

func TestExpecting(t *testing.T) {
	path := encrypted(t, t.TempDir(), "x")
	for _, c := range []struct {
		name string
		e    envelope.Expectation
		ok   bool
	}{
		{"nothing", envelope.Expectation{}, true},
		{"a pair", envelope.Expectation{Pairs: map[string]string{"a": "1"}}, true},
		{"another value", envelope.Expectation{Pairs: map[string]string{"a": "2"}}, false},
		{"a pair that is not stored", envelope.Expectation{Pairs: map[string]string{"c": "1"}}, false},
		{"a key", envelope.Expectation{Present: []string{"b"}}, true},
		{"a key that is not stored", envelope.Expectation{Present: []string{"c"}}, false},
		{"unstored, and stored after all", envelope.Expectation{Pairs: map[string]string{"a": "1"}, Unstored: []string{"a"}}, true},
		{"unstored, and stored otherwise", envelope.Expectation{Pairs: map[string]string{"a": "2"}, Unstored: []string{"a"}}, false},
	} {
		w := newWork(t, envelope.Verify)
		w.Manager = envelope.Expecting(c.e, w.Manager)
		r := w.Do(t.Context(), envelope.File{Input: path})
		if (r.Err == nil) != c.ok || !c.ok && !errors.Is(r.Err, materials.ErrContextMismatch) {
			t.Errorf("%s: %v", c.name, r.Err)
		}
	}
}

// A message of version 1, whose header ends otherwise, has its parts in the
// metadata, from a file as from a stream.
func TestMetadataVersion1(t *testing.T) {
	w := newWork(t, envelope.Encrypt)
	w.Client = esdk.New(esdk.Config{Policy: materials.ForbidEncryptAllowDecrypt})
	w.Stdin = strings.NewReader("x")
	message := new(bytes.Buffer)
	w.Stdout = message
	if r := w.Do(t.Context(), envelope.File{Input: envelope.Stdio, Output: envelope.Stdio}); r.Err != nil {
		t.Fatal(r.Err)
	}
	path := filepath.Join(t.TempDir(), "m")
	write(t, path, message.String())
	for _, in := range []string{path, envelope.Stdio} {
		d := newWork(t, envelope.Decrypt)
		d.Client, d.KeepHeaders = w.Client, true
		d.Stdin, d.Stdout = message, io.Discard
		r := d.Do(t.Context(), envelope.File{Input: in, Output: envelope.Stdio})
		if r.Err != nil {
			t.Fatal(r.Err)
		}
		if len(r.Raw) != r.Header.Length {
			t.Errorf("%d bytes of a header of %d", len(r.Raw), r.Header.Length)
		}
		record := new(bytes.Buffer)
		if err := d.Metadata(record, r); err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{`"commitment_key":null`, `"header_iv_length":12`, `"type":128`, `"version":"1.0"`, `"iv":"AAAAAAAAAAAAAAAA"`, `"output":"<stdout>"`} {
			if !strings.Contains(record.String(), want) {
				t.Errorf("%s: no %s in %s", in, want, record)
			}
		}
	}
}

func BenchmarkDo(b *testing.B) {
	const size = 16 << 20
	dir := b.TempDir()
	in, out := filepath.Join(dir, "in"), filepath.Join(dir, "out")
	write(b, in, strings.Repeat("x", size))
	w := newWork(b, envelope.Encrypt)
	b.ReportAllocs()
	b.SetBytes(size)
	for b.Loop() {
		if r := w.Do(b.Context(), envelope.File{Input: in, Output: out}); r.Err != nil {
			b.Fatal(r.Err)
		}
	}
}

package envelope_test

import (
	"bytes"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/keywright/keywright/esdk"
	"github.com/keywright/keywright/esdk/keyring"
	"github.com/keywright/keywright/esdk/materials"
	"github.com/keywright/keywright/esdk/suite"
	"github.com/keywright/keywright/internal/envelope"
)

func rawKey(t testing.TB, name string) materials.Keyring {
	t.Helper()
	ring, err := keyring.NewRawAES("test", name, bytes.Repeat([]byte(name[:1]), 32))
	if err != nil {
		t.Fatal(err)
	}
	return ring
}

// newRekey returns work in place from key "old" to key "new", with the weakest
// policy, so that all suites can be had.
func newRekey(t testing.TB) *envelope.Work {
	t.Helper()
	return &envelope.Work{
		Mode:    envelope.Rekey,
		Client:  esdk.New(esdk.Config{Policy: materials.RequireEncryptAllowDecrypt, FrameLength: 128}),
		Manager: esdk.Using(rawKey(t, "old")),
		RekeyOptions: envelope.RekeyOptions{
			InPlace: true,
			Wrapper: rawKey(t, "new"),
			Manager: esdk.Using(rawKey(t, "new")),
		},
	}
}

// clientOf returns a client whose policy lets the suite be written.
func clientOf(s suite.Suite, frameLength uint32) *esdk.Client {
	cfg := esdk.Config{FrameLength: frameLength}
	if !s.Committing {
		cfg.Policy = materials.ForbidEncryptAllowDecrypt
	}
	return esdk.New(cfg)
}

var someContext = map[string]string{"a": "1", "hidden": "2"}

// oldMessage writes a message under key "old" of which the context's key hidden
// is not stored.
func oldMessage(t testing.TB, path string, s suite.Suite, plaintext string) {
	t.Helper()
	m, err := materials.NewRequiredContextManager([]string{"hidden"}, esdk.Using(rawKey(t, "old")))
	if err != nil {
		t.Fatal(err)
	}
	message, _, err := clientOf(s, 64).Encrypt(t.Context(), m, []byte(plaintext), esdk.EncryptOptions{EncryptionContext: someContext, Suite: s.ID})
	if err != nil {
		t.Fatal(err)
	}
	write(t, path, string(message))
}

// Of every suite, the message opens with the new key and not with the old, and
// is what it was, but for what cannot stay.
func TestRekey(t *testing.T) {
	plaintext := strings.Repeat("some plaintext ", 20)
	for _, s := range suite.All() {
		t.Run(s.Name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "m")
			oldMessage(t, path, s, plaintext)
			if err := os.Chmod(path, 0o640); err != nil {
				t.Fatal(err)
			}
			if err := os.Chtimes(path, time.Time{}, time.Unix(1e9, 0)); err != nil {
				t.Fatal(err)
			}
			before := read(t, path)

			w := newRekey(t)
			w.Client = clientOf(s, 128)
			w.DecryptOptions.EncryptionContext = someContext
			r := w.Do(t.Context(), envelope.File{Input: path, Output: path})
			if r.Err != nil {
				t.Fatal(r.Err)
			}
			want := envelope.BodyMethod
			if !s.Committing && s.Signature == suite.Unsigned {
				want = envelope.HeaderMethod
			}
			if r.Method != want || r.Status != envelope.Done {
				t.Errorf("done by %q, %v", r.Method, r.Status)
			}
			after := read(t, path)
			if r.Read != int64(len(before)) || r.Written != int64(len(after)) {
				t.Errorf("%d read of %d, %d written of %d", r.Read, len(before), r.Written, len(after))
			}
			oldHeader, newHeader := inspect(t, before), inspect(t, after)
			if got := newHeader.Length; got != r.Header.Length || newHeader.Suite != s || newHeader.FrameLength != 64 {
				t.Errorf("the header is %+v, told of was %+v", newHeader, r.Header)
			}
			for _, h := range []*esdk.Header{oldHeader, newHeader} {
				delete(h.EncryptionContext, materials.PublicKeyField)
			}
			if !maps.Equal(newHeader.EncryptionContext, oldHeader.EncryptionContext) || newHeader.EncryptionContext["hidden"] != "" {
				t.Errorf("the context is %v", newHeader.EncryptionContext)
			}
			if same := after[newHeader.Length:] == before[oldHeader.Length:]; same != (want == envelope.HeaderMethod) {
				t.Errorf("the body is the same: %v", same)
			}

			opts := esdk.DecryptOptions{EncryptionContext: someContext}
			got, _, err := w.Client.Decrypt(t.Context(), esdk.Using(rawKey(t, "new")), []byte(after), opts)
			if string(got) != plaintext || err != nil {
				t.Errorf("with the new key: %q, %v", got, err)
			}
			_, _, err = w.Client.Decrypt(t.Context(), esdk.Using(rawKey(t, "old")), []byte(after), opts)
			if _, ok := errors.AsType[*materials.UnwrapError](err); !ok {
				t.Errorf("with the old key: %v", err)
			}
			info, err := os.Stat(path)
			if err != nil {
				t.Fatal(err)
			}
			if info.Mode().Perm() != 0o640 || !info.ModTime().Equal(time.Unix(1e9, 0)) {
				t.Errorf("mode %v, time %v", info.Mode(), info.ModTime())
			}
		})
	}
}

func inspect(t *testing.T, message string) *esdk.Header {
	t.Helper()
	h, err := esdk.New(esdk.Config{}).Inspect(strings.NewReader(message))
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func suiteOf(t testing.TB, id suite.ID) suite.Suite {
	t.Helper()
	s, ok := suite.Lookup(id)
	if !ok {
		t.Fatalf("no suite %v", id)
	}
	return s
}

// A message that was changed anywhere, or cut, stays as it is, with nothing
// beside it; but for a body that is copied, which is then as it was.
func TestRekeyDamage(t *testing.T) {
	for _, id := range []suite.ID{suite.AES256GCMCommitP384, suite.AES256GCMHKDF} {
		dir := t.TempDir()
		path := filepath.Join(dir, "m")
		oldMessage(t, path, suiteOf(t, id), strings.Repeat("x", 100))
		message := []byte(read(t, path))
		length := inspect(t, string(message)).Length
		w := newRekey(t)
		w.DecryptOptions.EncryptionContext = someContext
		check := func(at int, damaged []byte) {
			write(t, path, string(damaged))
			r := w.Do(t.Context(), envelope.File{Input: path, Output: path})
			after := read(t, path)
			switch {
			case id == suite.AES256GCMHKDF && at >= length:
				if r.Err != nil || after[inspect(t, after).Length:] != string(damaged[length:]) {
					t.Errorf("%v, byte %d: %v, or another body", id, at, r.Err)
				}
			case r.Err == nil || r.Method != "" || after != string(damaged):
				t.Errorf("%v, byte %d: %v, %q, or the file changed", id, at, r.Err, r.Method)
			}
		}
		for i := 0; i < len(message); i += 3 {
			damaged := bytes.Clone(message)
			damaged[i] ^= 0x10
			check(i, damaged)
			check(i, message[:i])
		}
		if got := names(t, dir); !slices.Equal(got, []string{"m"}) {
			t.Errorf("left behind: %q", got)
		}
	}
}

// What is asked for instead of the message's own makes it be encrypted anew.
func TestRekeyOptions(t *testing.T) {
	format1 := suiteOf(t, suite.AES256GCMHKDF)
	for _, c := range []struct {
		name  string
		set   func(*envelope.RekeyOptions)
		check func(*esdk.Header) bool
	}{
		{"suite", func(o *envelope.RekeyOptions) { o.Suite = suite.AES256GCMCommit }, func(h *esdk.Header) bool {
			return h.Suite.ID == suite.AES256GCMCommit && h.FrameLength == 64
		}},
		{"frame length", func(o *envelope.RekeyOptions) { o.FrameLength = 32 }, func(h *esdk.Header) bool {
			return h.FrameLength == 32 && h.Suite.ID == suite.AES256GCMHKDF
		}},
		{"all", func(o *envelope.RekeyOptions) {
			o.FrameLength, o.Suite, o.EncryptionContext = 32, suite.AES256GCMCommitP384, map[string]string{"b": "3"}
		}, func(h *esdk.Header) bool {
			return h.FrameLength == 32 && h.Suite.ID == suite.AES256GCMCommitP384 && h.EncryptionContext["b"] == "3" && h.EncryptionContext["a"] == ""
		}},
		{"context", func(o *envelope.RekeyOptions) {
			o.EncryptionContext, o.Suite = map[string]string{"b": "3", "hidden": "4"}, suite.AES256GCMCommit
		}, func(h *esdk.Header) bool {
			return h.EncryptionContext["b"] == "3" && h.EncryptionContext["hidden"] == "" && h.EncryptionContext["a"] == ""
		}},
	} {
		path := filepath.Join(t.TempDir(), "m")
		oldMessage(t, path, format1, "x")
		before := read(t, path)
		w := newRekey(t)
		w.DecryptOptions.EncryptionContext = someContext
		c.set(&w.RekeyOptions)
		if w.RekeyOptions.Suite == 0 {
			w.Client = clientOf(format1, 128)
		}
		w.RekeyOptions.HeaderOnly = true
		if r := w.Do(t.Context(), envelope.File{Input: path, Output: path}); !errors.Is(r.Err, esdk.ErrRewrap) || read(t, path) != before {
			t.Errorf("%s, header only: %v", c.name, r.Err)
		}
		w.RekeyOptions.HeaderOnly = false
		r := w.Do(t.Context(), envelope.File{Input: path, Output: path})
		if r.Err != nil || r.Method != envelope.BodyMethod || !c.check(inspect(t, read(t, path))) {
			t.Errorf("%s: %v, %q", c.name, r.Err, r.Method)
		}
	}
	// The same as it was is no reason.
	path := filepath.Join(t.TempDir(), "m")
	oldMessage(t, path, format1, "x")
	w := newRekey(t)
	w.DecryptOptions.EncryptionContext = someContext
	w.RekeyOptions.HeaderOnly, w.RekeyOptions.Suite, w.RekeyOptions.FrameLength = true, suite.AES256GCMHKDF, 64
	if r := w.Do(t.Context(), envelope.File{Input: path, Output: path}); r.Err != nil || r.Method != envelope.HeaderMethod {
		t.Errorf("nothing else: %v, %q", r.Err, r.Method)
	}
}

// A file that is changed while it is rekeyed, or that another takes the place
// of, is not replaced.
func TestRekeyChangedInput(t *testing.T) {
	for name, change := range map[string]func(path string) error{
		"replaced": func(path string) error {
			return errors.Join(os.WriteFile(path+".new", []byte("another's"), 0o600), os.Rename(path+".new", path))
		},
		"written over": func(path string) error { return os.WriteFile(path, []byte("another's"), 0o600) },
		"removed":      os.Remove,
	} {
		for _, id := range []suite.ID{suite.AES256GCMHKDF, suite.AES256GCMCommit} {
			dir := t.TempDir()
			path := filepath.Join(dir, "m")
			oldMessage(t, path, suiteOf(t, id), strings.Repeat("x", 1000))
			w := newRekey(t)
			w.DecryptOptions.EncryptionContext = someContext
			left, changed := len(read(t, path)), false
			w.Progress = func(n int) {
				if left -= n; left == 0 && !changed { // all was read
					changed = true
					if err := change(path); err != nil {
						t.Error(err)
					}
				}
			}
			if r := w.Do(t.Context(), envelope.File{Input: path, Output: path}); !errors.Is(r.Err, envelope.ErrChanged) || r.Method != "" {
				t.Errorf("%s, %v: %v", name, id, r.Err)
			}
			got := names(t, dir)
			if name == "removed" {
				if len(got) != 0 {
					t.Errorf("%s, %v: there is %q", name, id, got)
				}
			} else if !slices.Equal(got, []string{"m"}) || read(t, path) != "another's" {
				t.Errorf("%s, %v: there is %q", name, id, got)
			}
		}
	}
}

// In place, each file is done once, whatever its names, and directories are not
// touched.
func TestRekeyPlan(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := os.MkdirAll("tree/sub", 0o755); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"tree/a", "tree/sub/b", "beside", "tree/.keywright-1.tmp"} {
		oldMessage(t, path, suiteOf(t, suite.AES256GCMHKDF), path)
	}
	for link, target := range map[string]string{"tree/link": "a", "tree/sub/out": "../../beside", "tree/dir": "sub"} {
		if err := os.Symlink(target, link); err != nil {
			t.Fatal(err)
		}
	}
	s := envelope.Selection{Inputs: []string{"tree", "tree/sub", "tree/a", "./beside"}, Recursive: true, InPlace: true}
	plan, err := s.Plan()
	if err != nil {
		t.Fatal(err)
	}
	var inputs []string
	for _, f := range plan.Files {
		inputs = append(inputs, f.Input)
		if f.Output != f.Input {
			t.Errorf("%s becomes %s", f.Input, f.Output)
		}
	}
	if want := []string{"tree/a", "tree/sub/b", "tree/sub/out"}; !slices.Equal(inputs, want) {
		t.Errorf("got %q, want %q", inputs, want)
	}
	if want := []string{"tree/.keywright-1.tmp", "tree/dir", "tree/link", "tree/sub/b", "tree/sub/out", "tree/a", "./beside"}; !slices.Equal(plan.Passed, want) {
		t.Errorf("passed over %q, want %q", plan.Passed, want)
	}
	w := newRekey(t)
	w.DecryptOptions.EncryptionContext = someContext
	if err := w.Run(t.Context(), plan, 2, func(r envelope.Result) {
		if r.Err != nil {
			t.Errorf("%s: %v", r.Input, r.Err)
		}
	}); err != nil {
		t.Error(err)
	}
	if target, err := os.Readlink("tree/sub/out"); target != "../../beside" {
		t.Errorf("a link became %q, %v", target, err)
	}
	if _, err := (&envelope.Selection{Inputs: []string{envelope.Stdio}, InPlace: true}).Plan(); err == nil {
		t.Error("standard input in place was taken")
	}
}

// The manager of the new keys is told of a bound for the plaintext, without
// which caches cannot be used.
func TestRekeyBound(t *testing.T) {
	path := filepath.Join(t.TempDir(), "m")
	oldMessage(t, path, suiteOf(t, suite.AES256GCMCommit), "x")
	w := newRekey(t)
	w.DecryptOptions.EncryptionContext = someContext
	cache, err := materials.NewCachingManager(materials.CachingConfig{
		Cache: materials.NewLocalCache(2), MaxAge: time.Hour, MaxBytes: 1 << 20, Keyring: rawKey(t, "new"),
	})
	if err != nil {
		t.Fatal(err)
	}
	w.RekeyOptions.Manager = cache
	other := path + "2"
	oldMessage(t, other, suiteOf(t, suite.AES256GCMCommit), "y")
	var keys [][]byte
	for _, p := range []string{path, other} {
		r := w.Do(t.Context(), envelope.File{Input: p, Output: p})
		if r.Err != nil {
			t.Fatal(r.Err)
		}
		keys = append(keys, r.Header.EncryptedDataKeys[0].Ciphertext)
	}
	if !bytes.Equal(keys[0], keys[1]) {
		t.Error("the data key was not reused")
	}
}

func BenchmarkRekey(b *testing.B) {
	const size = 16 << 20
	for _, id := range []suite.ID{suite.AES256GCMHKDF, suite.AES256GCMCommit} {
		b.Run(id.String(), func(b *testing.B) {
			in := filepath.Join(b.TempDir(), "in")
			oldMessage(b, in, suiteOf(b, id), strings.Repeat("x", size))
			w := newRekey(b)
			w.DecryptOptions.EncryptionContext = someContext
			b.ReportAllocs()
			b.SetBytes(size)
			for b.Loop() {
				if r := w.Do(b.Context(), envelope.File{Input: in, Output: in + ".out"}); r.Err != nil {
					b.Fatal(r.Err)
				}
			}
		})
	}
}

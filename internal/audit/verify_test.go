package audit_test

import (
	"bytes"
	"compress/gzip"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/keywright/keywright/internal/audit"
)

// The State that testdata/segment.py begins its golden segments with.
func goldenState() *audit.State {
	s := &audit.State{SegmentFirstSeq: 1}
	for i := range s.ChainID {
		s.ChainID[i] = byte(i)
	}
	for i := range s.SegmentStartKey {
		s.SegmentStartKey[i] = byte(32 + i)
	}
	return s
}

const golden = "testdata/golden"

// Segments written by another program from the description of the format.
func TestGoldenSegments(t *testing.T) {
	r := mustVerify(t, golden, goldenState())
	want := audit.Report{Segments: 2, Frames: 6, Records: 4, FirstSequence: 1, LastSequence: 4, AuthenticatedFrom: 1, StoreRevision: 5, Resets: 1,
		Oldest: r.Oldest, Newest: r.Newest}
	if r != want || r.Oldest.UnixMilli() != 1_800_000_000_000 || r.Newest.UnixMilli() != 1_800_000_000_005 {
		t.Errorf("report %+v", r)
	}
	if got, want := readAll(t, golden), []string{`{"n":1}`, `{"n":2,"x":"é"}`, `{"n":3}`, `{"n":4}`}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	// The log goes on where the other program stopped.
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(golden)); err != nil {
		t.Fatal(err)
	}
	l := mustOpen(t, audit.Config{Dir: dir, Keys: &memoryKeys{states: []audit.State{*goldenState()}}})
	mustAppend(t, l, `{"n":5}`)
	mustClose(t, l)
	if got := readAll(t, dir); got[len(got)-1] != `{"n":5}` {
		t.Errorf("got %q", got)
	}
	runPython(t, dir, goldenState())
}

// runPython checks a folder with the independent program.
func runPython(t *testing.T, dir string, start *audit.State) string {
	t.Helper()
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("python3 is not installed: the independent check is left out")
	}
	out, err := exec.Command(python, "testdata/segment.py", "verify", dir, hex.EncodeToString(start.SegmentStartKey[:])).CombinedOutput()
	if err != nil {
		t.Fatalf("testdata/segment.py: %v\n%s", err, out)
	}
	return string(out)
}

func TestIndependentProgramReadsOurs(t *testing.T) {
	dir, keys := filledFolder(t, 40)
	out := runPython(t, dir, keys.state(0))
	var want strings.Builder
	for i, ev := range readAll(t, dir) {
		fmt.Fprintf(&want, "%d %s\n", i+1, ev)
	}
	if out != want.String() {
		t.Errorf("got\n%s\nwant\n%s", out, want.String())
	}
}

// filledFolder is a closed log of n records in several segments, the closed
// ones compressed.
func filledFolder(t testing.TB, n int) (string, *memoryKeys) {
	t.Helper()
	dir, keys := t.TempDir(), new(memoryKeys)
	l := mustOpen(t, audit.Config{Dir: dir, Keys: keys, SegmentBytes: 1500})
	for i := range n {
		mustAppend(t, l, fmt.Sprintf(`{"n":%d}`, i))
	}
	eventually(t, "all closed segments are compressed", func() bool { return len(segments(t, dir, "*.log")) == 1 })
	mustClose(t, l)
	return dir, keys
}

// TestEveryByteCounts changes each byte of a folder, plain and compressed.
func TestEveryByteCounts(t *testing.T) {
	src, keys := filledFolder(t, 12)
	files := segments(t, src, "*.log*")
	if len(files) < 2 {
		t.Fatalf("only %d segments", len(files))
	}
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(src)); err != nil {
		t.Fatal(err)
	}
	want := readAll(t, src)
	for _, name := range files {
		path := filepath.Join(dir, filepath.Base(name))
		good, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for i := range good {
			bad := slices.Clone(good)
			bad[i] ^= 1 << (i % 8)
			if err := os.WriteFile(path, bad, 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := audit.Verify(t.Context(), dir, keys.state(0))
			var corrupt *audit.CorruptError
			if err == nil && strings.HasSuffix(path, ".gz") && slices.Equal(want, readAll(t, dir)) && sameContent(t, bad, good) {
				continue // an unused bit at the end of the compressed stream
			}
			if !errors.As(err, &corrupt) {
				t.Fatalf("%s, byte %d of %d: got %v", filepath.Base(path), i, len(good), err)
			}
			if corrupt.Segment != filepath.Base(path) && corrupt.Segment != filepath.Base(files[min(len(files)-1, slices.Index(files, name)+1)]) {
				t.Errorf("%s, byte %d: the error names %s", filepath.Base(path), i, corrupt.Segment)
			}
		}
		if err := os.WriteFile(path, good, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func sameContent(t *testing.T, a, b []byte) bool {
	t.Helper()
	read := func(z []byte) []byte {
		r, err := gzip.NewReader(bytes.NewReader(z))
		if err != nil {
			t.Fatal(err)
		}
		out, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	return bytes.Equal(read(a), read(b))
}

func TestVerifyFindsWhatIsMissing(t *testing.T) {
	src, keys := filledFolder(t, 40)
	files := segments(t, src, "*.log*")
	if len(files) < 4 {
		t.Fatalf("only %d segments", len(files))
	}
	for _, c := range []struct {
		name string
		do   func(t *testing.T, dir string) error
		want string
	}{
		{"a segment in the middle", func(t *testing.T, dir string) error {
			return os.Remove(filepath.Join(dir, filepath.Base(files[1])))
		}, "a segment is missing before it"},
		{"the end of a segment in the middle", func(t *testing.T, dir string) error {
			path := filepath.Join(dir, filepath.Base(files[1]))
			plain := gunzip(t, path)
			return errors.Join(os.Remove(path), os.WriteFile(strings.TrimSuffix(path, ".gz"), plain[:len(plain)-40], 0o600))
		}, "the segment is cut off"},
		{"a frame at the end of a segment in the middle", func(t *testing.T, dir string) error {
			path := filepath.Join(dir, filepath.Base(files[1]))
			plain := gunzip(t, path)
			return errors.Join(os.Remove(path), os.WriteFile(strings.TrimSuffix(path, ".gz"), plain[:lastFrame(plain)], 0o600))
		}, "a segment is missing before it"},
		{"names exchanged", func(t *testing.T, dir string) error {
			a, b := filepath.Join(dir, filepath.Base(files[1])), filepath.Join(dir, filepath.Base(files[2]))
			return errors.Join(os.Rename(a, a+"x"), os.Rename(b, a), os.Rename(a+"x", b))
		}, "the file's name says"},
		{"something behind the compressed data", func(t *testing.T, dir string) error {
			path := filepath.Join(dir, filepath.Base(files[1]))
			b, err := os.ReadFile(path)
			return errors.Join(err, os.WriteFile(path, append(b, 0), 0o600))
		}, "something follows on the compressed data"},
		{"a compressed file cut off", func(t *testing.T, dir string) error {
			path := filepath.Join(dir, filepath.Base(files[1]))
			b, err := os.ReadFile(path)
			return errors.Join(err, os.WriteFile(path, b[:len(b)-1], 0o600))
		}, "the compressed file is damaged"},
		{"everything", func(t *testing.T, dir string) error {
			return errors.Join(os.RemoveAll(dir), os.Mkdir(dir, 0o700))
		}, "no segments"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "audit")
			if err := os.CopyFS(dir, os.DirFS(src)); err != nil {
				t.Fatal(err)
			}
			if err := c.do(t, dir); err != nil {
				t.Fatal(err)
			}
			if _, err := audit.Verify(t.Context(), dir, keys.state(0)); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

// Without the oldest segments, as retention leaves it, the rest still verifies;
// with a later state only what came after is authenticated.
func TestVerifyFromTheMiddle(t *testing.T) {
	dir, keys := filledFolder(t, 40)
	last := keys.state(-1)
	if r := mustVerify(t, dir, last); r.AuthenticatedFrom != last.SegmentFirstSeq || r.FirstSequence != 1 {
		t.Errorf("from the last state: %+v", r)
	}
	if err := os.Remove(segments(t, dir, "*.gz")[0]); err != nil {
		t.Fatal(err)
	}
	r := mustVerify(t, dir, keys.state(0))
	if r.FirstSequence == 1 || r.AuthenticatedFrom != r.FirstSequence || r.LastSequence != 40 {
		t.Errorf("without the first segment: %+v", r)
	}
	for _, number := range []uint64{0, last.SegmentNumber, 99} {
		if _, err := audit.Verify(t.Context(), dir, &audit.State{ChainID: last.ChainID, SegmentNumber: number, SegmentFirstSeq: 99}); err == nil && number > 0 {
			t.Errorf("a state of no segment, number %d: accepted", number)
		}
	}
	// The segment of the state may be gone too.
	second := keys.state(1)
	if err := os.Remove(segments(t, dir, "*.gz")[0]); err != nil {
		t.Fatal(err)
	}
	if r := mustVerify(t, dir, second); r.FirstSequence <= second.SegmentFirstSeq || r.AuthenticatedFrom != r.FirstSequence {
		t.Errorf("without the segment of the state: %+v", r)
	}
	if id, err := audit.ReadChainID(dir); err != nil || id != last.ChainID {
		t.Errorf("chain %x, %v, want %x", id, err, last.ChainID)
	}
	if _, err := audit.ReadChainID(t.TempDir()); err == nil {
		t.Error("a folder without segments has a chain id")
	}
	if _, err := audit.Verify(t.Context(), dir, goldenState()); err == nil {
		t.Error("a state of another chain: accepted")
	}
}

// Somebody who rewrites a record and every hash after it still lacks the keys of
// closed segments, even with the state of the open one, which is then all that
// is fooled.
func TestRewritingNeedsTheKeys(t *testing.T) {
	dir, keys := filledFolder(t, 40)
	var prev [32]byte
	files := segments(t, dir, "*.log*")
	for i, path := range files {
		b, err := os.ReadFile(path)
		if strings.HasSuffix(path, ".gz") {
			b, err = gunzip(t, path), os.Remove(path)
		}
		if err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			b = bytes.Replace(b, []byte(`{"n":3}`), []byte(`{"n":4}`), 1)
		}
		prev = rechain(b, prev)
		if i == len(files)-1 {
			remac(b, keys.state(-1).SegmentStartKey)
		}
		if err := os.WriteFile(strings.TrimSuffix(path, ".gz"), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if r := mustVerify(t, dir, nil); r.AuthenticatedFrom != 0 || r.Records != 40 {
		t.Errorf("the chain alone: %+v", r)
	}
	if r := mustVerify(t, dir, keys.state(-1)); r.AuthenticatedFrom == 0 || r.Records != 40 {
		t.Errorf("with the state that forged it: %+v", r)
	}
	var corrupt *audit.CorruptError
	_, err := audit.Verify(t.Context(), dir, keys.state(0))
	if !errors.As(err, &corrupt) || corrupt.Segment != filepath.Base(strings.TrimSuffix(files[0], ".gz")) || corrupt.Frame != 4 || !strings.Contains(corrupt.Problem, "MAC") {
		t.Errorf("with the keys: got %v", err)
	}
}

// rechain makes the hashes and checksums of a segment agree again.
func rechain(b []byte, prev [32]byte) [32]byte {
	if len(b) < 80 {
		return prev
	}
	copy(b[48:], prev[:])
	prev = sha256.Sum256(b[:80])
	for at := 80; at+112 <= len(b); {
		size := int(binary.LittleEndian.Uint32(b[at:]))
		if size < 112 || size > len(b)-at {
			break
		}
		frame := b[at : at+size]
		copy(frame[48:], prev[:])
		sum := crc32.New(crc32.MakeTable(crc32.Castagnoli))
		sum.Write(frame[:4])
		sum.Write(frame[8:80])
		binary.LittleEndian.PutUint32(frame[4:], sum.Sum32())
		prev = sha256.Sum256(frame[:len(frame)-32])
		at += len(frame)
	}
	return prev
}

// remac makes the MACs of a segment agree again, with its start key.
func remac(b []byte, start [32]byte) {
	sum := func(key []byte, parts ...[]byte) []byte {
		h := hmac.New(sha256.New, key)
		for _, p := range parts {
			h.Write(p)
		}
		return h.Sum(nil)
	}
	key := sum(start[:], []byte("keywright audit first frame"))
	for at := 80; at < len(b); {
		frame := b[at : at+int(binary.LittleEndian.Uint32(b[at:]))]
		hash := sha256.Sum256(frame[:len(frame)-32])
		copy(frame[len(frame)-32:], sum(key, []byte("keywright audit mac"), hash[:]))
		key = sum(key, []byte("keywright audit next frame"))
		at += len(frame)
	}
}

// Frames whose hashes and checksums are right are still held to the format.
func TestStrictFrames(t *testing.T) {
	// In the second golden segment, behind the header and a checkpoint.
	const record = 80 + 112
	for _, c := range []struct {
		name string
		at   int
		to   byte
		want string
	}{
		{"reserved byte", record + 9, 1, "reserved bytes"},
		{"kind", record + 8, 5, "unknown kind of frame 5"},
		{"records in a checkpoint", record + 8, 3, "a frame of kind 3 with 1 records"},
		{"no records", record + 12, 0, "a frame of kind 1 with 0 records"},
		{"more records", record + 12, 2, "a record's length is cut off"},
		{"sequence", record + 16, 5, "begins with record 5 instead of 4"},
		{"mark going back", record + 24, 8, "the store's revision goes back"},
		{"revision going back", record + 32, 8, "the store's revision goes back"},
		{"record too long", record + 80, 8, "record length 8 is out of bounds"},
		{"record too short", record + 80, 6, "after the last record"},
		{"empty record", record + 80, 0, "record length 0 is out of bounds"},
		{"version", 7, 2, "format version 2"},
		{"magic", 0, 'X', "wrong magic"},
		{"chain", 8, 99, "another chain"},
		{"number", 24, 2, "a segment is missing before it"},
		{"number too large", 24, 4, "cannot begin with record 4"},
		{"first record", 32, 5, "its header says 5"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.CopyFS(dir, os.DirFS(golden)); err != nil {
				t.Fatal(err)
			}
			path := filepath.Join(dir, "00000000000000000004.log")
			b, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if b[c.at] == c.to {
				t.Fatal("nothing is changed")
			}
			b[c.at] = c.to
			rechain(b, [32]byte(b[48:80]))
			if err := os.WriteFile(path, b, 0o600); err != nil {
				t.Fatal(err)
			}
			_, err = audit.Verify(t.Context(), dir, nil)
			var corrupt *audit.CorruptError
			if !errors.As(err, &corrupt) || !strings.Contains(corrupt.Problem, c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

func lastFrame(b []byte) int {
	at := 80
	for {
		next := at + int(binary.LittleEndian.Uint32(b[at:]))
		if next >= len(b) {
			return at
		}
		at = next
	}
}

func gunzip(t testing.TB, path string) []byte {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// FuzzSegment reads a segment of any bytes: it fails or yields records that are
// there, and what it accepts with the MACs is what was written.
func FuzzSegment(f *testing.F) {
	for _, path := range segments(f, golden, "*.log") {
		b, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b, false)
		f.Add(b, true)
		f.Add(b[:len(b)-5], false)
		f.Add(append(b[:len(b):len(b)], make([]byte, 100)...), false)
	}
	original, err := os.ReadFile(filepath.Join(golden, "00000000000000000001.log"))
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, b []byte, repair bool) {
		if repair { // so that what stands behind hashes and checksums is reached
			b = bytes.Clone(b)
			rechain(b, [32]byte{})
		}
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "00000000000000000001.log"), b, 0o600); err != nil {
			t.Fatal(err)
		}
		var read int
		var failed error
		for r, err := range audit.Read(dir, 0) {
			if failed = err; err != nil {
				break
			}
			if !bytes.Contains(b, r.Event) || len(r.Event) == 0 {
				t.Fatalf("record %d is not in the file: %q", r.Sequence, r.Event)
			}
			read++
		}
		r, err := audit.Verify(t.Context(), dir, nil)
		if (err == nil) != (failed == nil) || err == nil && r.Records != uint64(read) {
			t.Fatalf("Read: %d records, %v; Verify: %+v, %v", read, failed, r, err)
		}
		if r, err := audit.Verify(t.Context(), dir, goldenState()); err == nil && !bytes.HasPrefix(original, b[:len(b)-int(r.TornBytes)]) {
			t.Fatalf("accepted what was not written: %+v", r)
		}
	})
}

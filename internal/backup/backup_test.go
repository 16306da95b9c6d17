package backup_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/keywright/keywright/internal/backup"
	"github.com/keywright/keywright/internal/seal"
	"github.com/keywright/keywright/internal/store"
	"github.com/keywright/keywright/internal/store/boltstore"
)

func newStore(t testing.TB) store.Store {
	t.Helper()
	st, err := boltstore.OpenMemory(boltstore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { st.Close() })
	return st
}

// vault is a store with records in it.
type vault struct {
	st       store.Store
	kr       *seal.Keyring
	root     *seal.RootKeyFile
	recovery seal.Provider
	records  map[string]string
}

func newVault(t testing.TB, records int) *vault {
	t.Helper()
	v := &vault{st: newStore(t), root: &seal.RootKeyFile{Path: filepath.Join(t.TempDir(), "root.key")}, records: map[string]string{}}
	kr, recovery, err := seal.Init(t.Context(), v.st, v.root)
	if err != nil {
		t.Fatal(err)
	}
	v.kr = kr
	if v.recovery, err = seal.RecoveryKey(recovery); err != nil {
		t.Fatal(err)
	}
	for i := range records {
		v.put(t, fmt.Sprintf("record/%04d", i), fmt.Sprintf("the text of record %d", i))
	}
	return v
}

func (v *vault) put(t testing.TB, path, text string) {
	t.Helper()
	v.records[path] = text
	write(t, v.kr.Guard(v.st), store.Op{Key: []byte(path), Value: v.kr.Seal(path, []byte(text))})
}

func write(t testing.TB, st store.Store, ops ...store.Op) {
	t.Helper()
	if _, err := st.Write(t.Context(), store.Batch{Ops: ops}); err != nil {
		t.Fatal(err)
	}
}

func (v *vault) backup(t testing.TB) []byte {
	t.Helper()
	view, err := v.st.Snapshot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer view.Close()
	var b bytes.Buffer
	if _, err := backup.Write(t.Context(), &b, view, v.kr); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// check checks that st, opened with p, has the records of v and no others.
func (v *vault) check(t testing.TB, st store.Store, p seal.Provider) *seal.Keyring {
	t.Helper()
	kr, err := seal.Unlock(t.Context(), st, p)
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for path, value := range dump(t, st) {
		if !seal.IsSealed(path) {
			continue
		}
		found++
		if text, err := kr.Open(path, []byte(value)); err != nil || string(text) != v.records[path] {
			t.Errorf("%s = %q, %v; want %q", path, text, err, v.records[path])
		}
	}
	if found != len(v.records) {
		t.Errorf("%d records, want %d", found, len(v.records))
	}
	return kr
}

func dump(t testing.TB, st store.Store) map[string]string {
	t.Helper()
	view, err := st.Snapshot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer view.Close()
	all := map[string]string{}
	for e, err := range view.Scan(nil, nil) {
		if err != nil {
			t.Fatal(err)
		}
		all[string(e.Key)] = string(e.Value)
	}
	return all
}

func newRoot(t testing.TB) *seal.RootKeyFile {
	return &seal.RootKeyFile{Path: filepath.Join(t.TempDir(), "root.key")}
}

func TestRestore(t *testing.T) {
	v := newVault(t, 700)
	v.put(t, "large", strings.Repeat("x", seal.MaxRecordBytes-seal.Overhead-len("large")))
	for i := range 5 {
		v.put(t, fmt.Sprintf("middling/%d", i), strings.Repeat("y", 300<<10))
	}
	write(t, v.st, store.Op{Key: []byte("meta/clock"), Value: []byte("as it is")})
	phrase := &seal.Passphrase{Cost: seal.Argon2{Time: 1, Memory: 8, Threads: 1},
		Read: func(context.Context) ([]byte, error) { return []byte("correct horse battery"), nil }}
	if _, err := seal.AddSlot(t.Context(), v.st, v.kr, phrase, ""); err != nil {
		t.Fatal(err)
	}
	file := v.backup(t)
	for _, p := range []seal.Provider{v.recovery, phrase, v.root} {
		t.Run(p.Kind().String(), func(t *testing.T) {
			verified, err := backup.Verify(t.Context(), iotest.OneByteReader(bytes.NewReader(file)), nil, p)
			if err != nil {
				t.Fatal(err)
			}
			st, root := newStore(t), newRoot(t)
			var records int
			info, err := backup.Restore(t.Context(), bytes.NewReader(file), st, backup.Restoration{
				Providers: []seal.Provider{p}, RootKey: root,
				Progress: func(n int, _ int64) { records = n },
			})
			if err != nil {
				t.Fatal(err)
			}
			kr := v.check(t, st, root)
			if kr.Epoch() != 2 || info.Epoch != 2 || verified.Epoch != 1 {
				t.Errorf("epoch = %d, Restore says %d, Verify %d; want 2, 2, 1", kr.Epoch(), info.Epoch, verified.Epoch)
			}
			if info.Records != len(v.records)+1 || records != info.Records || verified.Records != info.Records || info.Slots != 3 ||
				info.StoreID != v.kr.StoreID() || time.Since(info.Time) > time.Hour || info.Revision == 0 {
				t.Errorf("restored %+v with progress to %d, verified %+v", info, records, verified)
			}
			if got := dump(t, st)["meta/clock"]; got != "as it is" {
				t.Errorf("plain value = %q", got)
			}
			if kr.Derive("x") != v.kr.Derive("x") || kr.Name("a", "b", "c") != v.kr.Name("a", "b", "c") {
				t.Error("derived keys or names changed")
			}
			v.check(t, st, v.recovery)
			v.check(t, st, phrase)
			// The original's root key is not that of the restored store.
			if _, err := seal.Unlock(t.Context(), st, v.root); !errors.Is(err, seal.ErrLocked) {
				t.Errorf("the original's root key: %v, want ErrLocked", err)
			}
		})
	}
}

// The root key file may be there already, even that of the original.
func TestRestoreOntoExistingRootKey(t *testing.T) {
	v := newVault(t, 3)
	st := newStore(t)
	if _, err := backup.Restore(t.Context(), bytes.NewReader(v.backup(t)), st, backup.Restoration{
		Providers: []seal.Provider{v.root}, RootKey: v.root,
	}); err != nil {
		t.Fatal(err)
	}
	v.check(t, st, v.root)
}

// A view is written as it was, whatever is written meanwhile, and the store key
// may be rotated meanwhile.
func TestBackupWhileServing(t *testing.T) {
	v := newVault(t, 300)
	view, err := v.st.Snapshot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	before := maps.Clone(v.records)
	var b bytes.Buffer
	disturb := writerFunc(func(p []byte) (int, error) {
		if b.Len() == 0 {
			for i := range 10 {
				v.put(t, fmt.Sprintf("record/%04d", i), "changed")
			}
			v.put(t, "record/new", "new")
			how := seal.StoreKeyRotation{Providers: []seal.Provider{v.root, v.recovery}, Drain: 1}
			if _, err := seal.RotateStoreKey(t.Context(), v.st, v.kr, how); err != nil {
				t.Fatal(err)
			}
		}
		return b.Write(p)
	})
	if _, err := backup.Write(t.Context(), disturb, view, v.kr); err != nil {
		t.Fatal(err)
	}
	if err := view.Close(); err != nil {
		t.Fatal(err)
	}
	st, root := newStore(t), newRoot(t)
	if _, err := backup.Restore(t.Context(), &b, st, backup.Restoration{Providers: []seal.Provider{v.recovery}, RootKey: root}); err != nil {
		t.Fatal(err)
	}
	v.records = before
	v.check(t, st, root)
}

type writerFunc func(p []byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

func TestNothingReadableInBackup(t *testing.T) {
	v := newVault(t, 20)
	file := string(v.backup(t))
	line, err := os.ReadFile(v.root.Path)
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"the text of", "record/", string(line[:40])} {
		if strings.Contains(file, text) {
			t.Errorf("the backup contains %q", text)
		}
	}
	if !strings.Contains(file, "first recovery key") {
		t.Error("the scan does not find the label of a slot, which is in the clear")
	}
}

// Every change of every bit, every truncation and anything appended is noticed.
func TestVerifyNoticesChanges(t *testing.T) {
	v := newVault(t, 2)
	file := v.backup(t)
	verify := func(b []byte) error {
		_, err := backup.Verify(t.Context(), bytes.NewReader(b), nil, v.recovery)
		return err
	}
	if err := verify(file); err != nil {
		t.Fatal(err)
	}
	for bit := range 8 * len(file) {
		changed := bytes.Clone(file)
		changed[bit/8] ^= 1 << (bit % 8)
		if verify(changed) == nil {
			t.Errorf("bit %d of byte %d changed, and nobody noticed", bit%8, bit/8)
		}
	}
	for n := range len(file) {
		if verify(file[:n]) == nil {
			t.Errorf("cut to %d of %d bytes, and nobody noticed", n, len(file))
		}
	}
	if err := verify(append(bytes.Clone(file), 0)); !errors.Is(err, backup.ErrDamaged) {
		t.Errorf("one byte more: %v, want ErrDamaged", err)
	}
	if err := verify(file[:len(file)-1]); !errors.Is(err, backup.ErrDamaged) {
		t.Errorf("one byte less: %v, want ErrDamaged", err)
	}
	other := newVault(t, 0)
	if _, err := backup.Verify(t.Context(), bytes.NewReader(file), nil, other.recovery); !errors.Is(err, seal.ErrLocked) {
		t.Errorf("another recovery key: %v, want ErrLocked", err)
	}
	if _, err := backup.Verify(t.Context(), iotest.TimeoutReader(bytes.NewReader(file)), nil, v.recovery); !errors.Is(err, iotest.ErrTimeout) {
		t.Errorf("a reader that fails: %v, want its error", err)
	}
}

// Frames of two backups of one store, or in another order, make no backup.
func TestVerifyNoticesOtherFrames(t *testing.T) {
	v := newVault(t, 0)
	for i := range 3 { // a frame each
		v.put(t, fmt.Sprint(i), strings.Repeat("x", 260<<10))
	}
	split := func(file []byte) (frames [][]byte) {
		const magic = len("keywright-backup-1\n")
		at := magic
		for at < len(file) {
			end := at + 4 + int(uint32(file[at])<<24|uint32(file[at+1])<<16|uint32(file[at+2])<<8|uint32(file[at+3]))
			start := at
			if at == magic {
				start = 0
			}
			frames = append(frames, file[start:end])
			at = end
		}
		return frames
	}
	a, b := split(v.backup(t)), split(v.backup(t))
	if len(a) != 5 {
		t.Fatalf("%d frames, want 5", len(a))
	}
	for name, frames := range map[string][][]byte{
		"exchanged":         {a[0], a[2], a[1], a[3], a[4]},
		"left out":          {a[0], a[1], a[3], a[4]},
		"the last left out": {a[0], a[1], a[2], a[4]},
		"twice":             {a[0], a[1], a[1], a[2], a[3], a[4]},
		"of another backup": {a[0], b[1], a[2], a[3], a[4]},
		"other header":      {b[0], a[1], a[2], a[3], a[4]},
		"no end":            {a[0], a[1], a[2], a[3]},
	} {
		if _, err := backup.Verify(t.Context(), bytes.NewReader(bytes.Join(frames, nil)), nil, v.recovery); !errors.Is(err, backup.ErrDamaged) {
			t.Errorf("%s: %v, want ErrDamaged", name, err)
		}
	}
}

// A record that was damaged or moved in the store before the backup is named.
func TestVerifyOpensEveryRecord(t *testing.T) {
	v := newVault(t, 10)
	write(t, v.st, store.Op{Key: []byte("record/0007"), Value: []byte(dump(t, v.st)["record/0003"])})
	file := v.backup(t)
	st, root := newStore(t), newRoot(t)
	_, verr := backup.Verify(t.Context(), bytes.NewReader(file), nil, v.recovery)
	_, rerr := backup.Restore(t.Context(), bytes.NewReader(file), st, backup.Restoration{Providers: []seal.Provider{v.recovery}, RootKey: root})
	for _, err := range []error{verr, rerr} {
		if re, ok := errors.AsType[*seal.RecordError](err); !ok || re.Path != "record/0007" {
			t.Errorf("%v, want a RecordError for record/0007", err)
		}
	}
	if _, err := seal.Unlock(t.Context(), st, root, v.recovery); !errors.Is(err, seal.ErrRestoring) {
		t.Errorf("Unlock after the failed restore: %v, want ErrRestoring", err)
	}
}

func TestRestoreRefuses(t *testing.T) {
	v := newVault(t, 2)
	file := v.backup(t)
	used := newVault(t, 1)
	before := dump(t, used.st)
	root := newRoot(t)
	how := backup.Restoration{Providers: []seal.Provider{v.recovery}, RootKey: root}
	if _, err := backup.Restore(t.Context(), bytes.NewReader(file), used.st, how); !errors.Is(err, backup.ErrNotEmpty) {
		t.Errorf("into a store in use: %v, want ErrNotEmpty", err)
	}
	if !maps.Equal(before, dump(t, used.st)) {
		t.Error("the store in use changed")
	}
	if _, err := os.Stat(root.Path); err == nil {
		t.Error("a root key was made")
	}

	st := newStore(t)
	how.Providers = []seal.Provider{used.recovery}
	if _, err := backup.Restore(t.Context(), bytes.NewReader(file), st, how); !errors.Is(err, seal.ErrLocked) {
		t.Errorf("with another recovery key: %v, want ErrLocked", err)
	}
	how = backup.Restoration{Providers: []seal.Provider{v.recovery}, RootKey: v.recovery}
	if _, err := backup.Restore(t.Context(), bytes.NewReader(file), st, how); err == nil {
		t.Error("restored without a root key")
	}
	if len(dump(t, st)) != 0 {
		t.Error("a refused restore wrote to the store")
	}

	write(t, v.st, store.Op{Key: []byte(seal.RestoringKey)})
	view, err := v.st.Snapshot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer view.Close()
	if _, err := backup.Write(t.Context(), io.Discard, view, v.kr); !errors.Is(err, seal.ErrRestoring) {
		t.Errorf("backing up a half restored store: %v, want ErrRestoring", err)
	}
}

// brokenStore fails one Write, before or after it took place.
type brokenStore struct {
	store.Store
	failAt  int
	written bool
	writes  int
}

var errBroken = errors.New("the disk is on fire")

func (b *brokenStore) Write(ctx context.Context, batch store.Batch) (store.Revision, error) {
	b.writes++
	if b.writes != b.failAt {
		return b.Store.Write(ctx, batch)
	}
	if b.written {
		if _, err := b.Store.Write(ctx, batch); err != nil {
			return 0, err
		}
	}
	return 0, errBroken
}

// Every write of a restore fails. The store then is empty, or refused by name,
// or complete (the last write took place), and takes the restore again.
func TestRestoreCrash(t *testing.T) {
	v := newVault(t, 300)
	file := v.backup(t)
	failed := 0
	for at := 1; ; at++ {
		finished := false
		for _, written := range []bool{false, true} {
			st, root := newStore(t), newRoot(t)
			how := backup.Restoration{Providers: []seal.Provider{v.recovery}, RootKey: root}
			_, err := backup.Restore(t.Context(), bytes.NewReader(file), &brokenStore{Store: st, failAt: at, written: written}, how)
			if err == nil {
				finished = true
				break
			}
			if !errors.Is(err, errBroken) {
				t.Fatalf("write %d: %v", at, err)
			}
			failed++
			_, err = seal.Unlock(t.Context(), st, root, v.recovery)
			switch {
			case at == 1 && !written:
				if !errors.Is(err, seal.ErrNotInitialized) {
					t.Errorf("before the first write: %v", err)
				}
			case at == 5 && written:
				if err != nil {
					t.Errorf("after the last write: %v", err)
				}
				continue
			default:
				if !errors.Is(err, seal.ErrRestoring) {
					t.Errorf("write %d: %v, want ErrRestoring", at, err)
				}
				if _, _, err := seal.Init(t.Context(), st, root); !errors.Is(err, seal.ErrInitialized) {
					t.Errorf("write %d: Init: %v, want ErrInitialized", at, err)
				}
			}
			if _, err := backup.Restore(t.Context(), bytes.NewReader(file), st, how); err != nil {
				t.Fatalf("write %d: again: %v", at, err)
			}
			v.check(t, st, root)
		}
		if finished {
			break
		}
	}
	// The mark, three batches of records, the end.
	if failed != 2*5 {
		t.Errorf("%d writes failed, want 10", failed)
	}
}

func TestCancelled(t *testing.T) {
	v := newVault(t, 3)
	file := v.backup(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	view, err := v.st.Snapshot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer view.Close()
	if _, err := backup.Write(ctx, io.Discard, view, v.kr); !errors.Is(err, context.Canceled) {
		t.Errorf("Write: %v, want context.Canceled", err)
	}
	if _, err := backup.Verify(ctx, bytes.NewReader(file), nil, v.recovery); !errors.Is(err, context.Canceled) {
		t.Errorf("Verify: %v, want context.Canceled", err)
	}
	full := errors.New("no space left")
	if _, err := backup.Write(t.Context(), writerFunc(func([]byte) (int, error) { return 0, full }), view, v.kr); !errors.Is(err, full) {
		t.Errorf("Write to a full disk: %v", err)
	}
}

func FuzzVerify(f *testing.F) {
	v := newVault(f, 3)
	file := v.backup(f)
	f.Add(file)
	f.Add(file[:100])
	f.Add([]byte("keywright-backup-1\n\x00\x00\x00\x30"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if _, err := backup.Verify(t.Context(), bytes.NewReader(b), nil, v.recovery); err == nil && !bytes.Equal(b, file) {
			t.Errorf("%d bytes that Write did not write are a backup", len(b))
		}
	})
}

func BenchmarkWrite(b *testing.B) {
	v := newVault(b, 1000)
	view, err := v.st.Snapshot(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	defer view.Close()
	b.ReportAllocs()
	b.SetBytes(int64(len(v.backup(b))))
	for b.Loop() {
		if _, err := backup.Write(b.Context(), io.Discard, view, v.kr); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkVerify(b *testing.B) {
	v := newVault(b, 1000)
	file := v.backup(b)
	b.ReportAllocs()
	b.SetBytes(int64(len(file)))
	for b.Loop() {
		if _, err := backup.Verify(b.Context(), bytes.NewReader(file), nil, v.recovery); err != nil {
			b.Fatal(err)
		}
	}
}

// racingStore runs another restore before the second Write.
type racingStore struct {
	store.Store
	writes int
	race   func()
}

func (r *racingStore) Write(ctx context.Context, b store.Batch) (store.Revision, error) {
	if r.writes++; r.writes == 2 {
		r.race()
	}
	return r.Store.Write(ctx, b)
}

// Of two restores into one store, the later one completes and the other stops.
func TestTwoRestores(t *testing.T) {
	v := newVault(t, 3)
	file := v.backup(t)
	st, root := newStore(t), newRoot(t)
	how := backup.Restoration{Providers: []seal.Provider{v.recovery}, RootKey: root}
	racing := &racingStore{Store: st, race: func() {
		if _, err := backup.Restore(t.Context(), bytes.NewReader(file), st, how); err != nil {
			t.Fatal(err)
		}
	}}
	if _, err := backup.Restore(t.Context(), bytes.NewReader(file), racing, how); err == nil || !strings.Contains(err.Error(), "another restore") {
		t.Errorf("the first restore: %v, want an error that another runs", err)
	}
	v.check(t, st, root)
}

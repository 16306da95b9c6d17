package boltstore_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/keywright/keywright/internal/store"
	"github.com/keywright/keywright/internal/store/boltstore"
)

const damageKeys = 1000 // some fifty leaves under one branch page

// FuzzDamage opens stores in which some bytes were overwritten. Each call must
// return, with an error or without.
func FuzzDamage(f *testing.F) {
	whole := damageBase(f)
	for page := range len(whole) / pageSize {
		// All kinds of pages are among the first; of the others a few will do.
		if page > 8 && page%16 > 0 && kind(whole, page) != branchPage {
			continue
		}
		for _, at := range []int{0, 8, 10, 12, 16, 20, 24, 300, 4000} {
			f.Add(uint32(page*pageSize+at), []byte{0xff})
			f.Add(uint32(page*pageSize+at), []byte{0, 0, 0, 0, 0, 0, 0, 0})
		}
		// The length of a leaf's first value: within the limits, beyond the file.
		f.Add(uint32(page*pageSize+28), []byte{0, 0, 0x0a, 0})
	}
	f.Fuzz(func(t *testing.T, at uint32, damage []byte) {
		start := int(at) % len(whole)
		damaged := bytes.Clone(whole)
		n := copy(damaged[start:], damage)
		if beyondCatching(whole, damaged, start, n) {
			t.Skip("bbolt may recurse without end: see the package's comment")
		}
		path := filepath.Join(t.TempDir(), "store.db")
		if err := os.WriteFile(path, damaged, 0o600); err != nil {
			t.Fatal(err)
		}
		useDamaged(t, path)
	})
}

// TestTruncated opens stores whose file ends early.
func TestTruncated(t *testing.T) {
	whole := damageBase(t)
	failed := 0
	for cut := 0; cut < len(whole); cut += pageSize/2 + len(whole)/40 {
		path := filepath.Join(t.TempDir(), "store.db")
		if err := os.WriteFile(path, whole[:cut], 0o600); err != nil {
			t.Fatal(err)
		}
		if useDamaged(t, path) && cut > 0 {
			failed++
		}
	}
	if failed < 5 {
		t.Errorf("%d of the files that end early gave an error, want more", failed)
	}
}

// useDamaged makes every kind of call, and reports whether one failed. The
// values are read to their ends, as a caller would.
func useDamaged(t *testing.T, path string) (failed bool) {
	t.Helper()
	st, err := boltstore.Open(path, boltstore.Options{})
	if err != nil {
		return true
	}
	note := func(err error) {
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			failed = true
		}
	}
	for round := range 2 { // the second after writing to it
		if v, err := st.Snapshot(context.Background()); err == nil {
			for i := range damageKeys {
				e, err := v.Get(damageKey(i))
				note(err)
				_ = bytes.Clone(e.Value)
			}
			scanned := 0
			for e, err := range v.Scan(nil, nil) {
				note(err)
				_, _ = bytes.Clone(e.Key), bytes.Clone(e.Value)
				scanned++
			}
			failed = failed || scanned != damageKeys+round
			note(v.Close())
		}
		_, err := st.Write(context.Background(), store.Batch{Ops: []store.Op{
			{Key: []byte("new"), Value: make([]byte, 5000)},
			{Key: damageKey(7), Value: []byte("changed")},
			{Key: damageKey(900), Value: nil},
		}})
		note(err)
	}
	note(st.Close())
	return failed
}

func damageKey(i int) []byte { return fmt.Appendf(nil, "key/%06d", i) }

// damageBase returns the bytes of a store of damageKeys entries.
func damageBase(tb testing.TB) []byte {
	tb.Helper()
	path := filepath.Join(tb.TempDir(), "store.db")
	st, err := boltstore.Open(path, boltstore.Options{})
	if err != nil {
		tb.Fatal(err)
	}
	for i := 0; i < damageKeys; {
		var b store.Batch
		for ; i < damageKeys && len(b.Ops) < store.MaxBatchOps; i++ {
			b.Ops = append(b.Ops, store.Op{Key: damageKey(i), Value: bytes.Repeat([]byte{byte(i)}, 40+i%100)})
		}
		mustWrite(tb, st, b)
	}
	mustClose(tb, st)
	whole, err := os.ReadFile(path)
	if err != nil {
		tb.Fatal(err)
	}
	return whole[:len(bytes.TrimRight(whole, "\x00"))/pageSize*pageSize+pageSize]
}

const (
	pageSize   = 4096
	branchPage = 1
)

// kind is the type of a page: bytes 8 and 9 of its header.
func kind(file []byte, page int) uint16 {
	return binary.NativeEndian.Uint16(file[page*pageSize+8:])
}

// beyondCatching reports whether the damage may have made a tree without an
// end: it made a branch page of another one, or changed where one's header
// (16 bytes) or elements (16 bytes each, the child's number in the last 8) say
// what its children are.
func beyondCatching(whole, damaged []byte, start, n int) bool {
	for page := start / pageSize; page*pageSize < start+n; page++ {
		if kind(damaged, page) != branchPage {
			continue
		}
		if kind(whole, page) != branchPage {
			return true
		}
		before, after := whole[page*pageSize:][:pageSize], damaged[page*pageSize:][:pageSize]
		count := int(binary.NativeEndian.Uint16(before[10:]))
		if !bytes.Equal(before[:16], after[:16]) {
			return true
		}
		for i := range count {
			at := 16 + 16*i + 8
			if !bytes.Equal(before[at:at+8], after[at:at+8]) {
				return true
			}
		}
	}
	return false
}

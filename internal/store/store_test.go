package store_test

import (
	"bytes"
	"testing"

	"github.com/keywright/keywright/internal/store"
)

func TestPrefixEnd(t *testing.T) {
	tests := []struct{ prefix, want string }{
		{"a", "b"},
		{"a/", "a0"},
		{"a\xff", "b"},
		{"a\xff\xff", "b"},
		{"\x00", "\x01"},
		{"\xfe\xff", "\xff"},
	}
	for _, test := range tests {
		prefix := []byte(test.prefix)
		if got := store.PrefixEnd(prefix); string(got) != test.want {
			t.Errorf("PrefixEnd(%q) = %q, want %q", test.prefix, got, test.want)
		}
		if string(prefix) != test.prefix {
			t.Errorf("PrefixEnd changed its argument %q to %q", test.prefix, prefix)
		}
	}
	for _, prefix := range []string{"", "\xff", "\xff\xff"} {
		if got := store.PrefixEnd([]byte(prefix)); got != nil {
			t.Errorf("PrefixEnd(%q) = %q, want nil", prefix, got)
		}
	}
}

// The end of a prefix bounds just the keys that have the prefix.
func FuzzPrefixEnd(f *testing.F) {
	f.Add([]byte("a/"), []byte("a/b"))
	f.Add([]byte("a\xff"), []byte("b"))
	f.Add([]byte("\xff"), []byte("\xff\xff"))
	f.Fuzz(func(t *testing.T, prefix, key []byte) {
		end := store.PrefixEnd(prefix)
		in := bytes.Compare(key, prefix) >= 0 && (end == nil || bytes.Compare(key, end) < 0)
		if want := bytes.HasPrefix(key, prefix); in != want {
			t.Errorf("key %q within [%q, %q): %v, has the prefix: %v", key, prefix, end, in, want)
		}
	})
}

func BenchmarkBatchCheck(b *testing.B) {
	for _, n := range []int{4, store.MaxBatchOps} {
		var batch store.Batch
		for i := range n {
			key := append(bytes.Repeat([]byte("k"), 60), byte(i))
			batch.Ops = append(batch.Ops, store.Op{Key: key, Value: key})
		}
		b.Run(map[bool]string{true: "4ops", false: "128ops"}[n == 4], func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := batch.Check(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

package ciphertext_test

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"strings"
	"testing"

	"github.com/keywright/keywright/internal/ciphertext"
)

func TestAppendContext(t *testing.T) {
	for _, test := range []struct {
		name string
		ec   map[string]string
		want string // hex, spaces aside
	}{
		{"none", nil, ""},
		{"empty", map[string]string{}, ""},
		{"empty key and value", map[string]string{"": ""}, "00000000 00000000"},
		{"one", map[string]string{"k": "v"}, "00000001 6b 00000001 76"},
		{"sorted, a prefix first", map[string]string{"b": "", "ab": "", "a": "1"}, "00000001 61 00000001 31  00000002 6162 00000000  00000001 62 00000000"},
		// By UTF-16 units, as Java and JavaScript compare, U+10000 is the smaller.
		{"by UTF-8 bytes", map[string]string{"\U00010000": "", "\uffff": ""}, "00000003 efbfbf 00000000  00000004 f0908080 00000000"},
		{"not normalised", map[string]string{"\u00e9": "", "e\u0301": ""}, "00000003 65cc81 00000000  00000002 c3a9 00000000"},
		{"case kept", map[string]string{"a": "", "A": ""}, "00000001 41 00000000  00000001 61 00000000"},
	} {
		want, err := hex.DecodeString(strings.ReplaceAll(test.want, " ", ""))
		if err != nil {
			t.Fatal(err)
		}
		got, err := ciphertext.AppendContext([]byte("before"), test.ec)
		if err != nil || !bytes.Equal(got, append([]byte("before"), want...)) {
			t.Errorf("%s: AppendContext returned %x, %v; want %x", test.name, got, err, want)
		}
	}
}

func TestContextLimits(t *testing.T) {
	many := map[string]string{}
	for i := range 100 {
		many[fmt.Sprintf("key %03d", i)] = strings.Repeat("v", 8192/100-4-7-4)
	}
	for _, test := range []struct {
		name string
		ec   map[string]string
		want error
	}{
		{"8192 bytes", map[string]string{"k": strings.Repeat("v", 8192-4-1-4)}, nil},
		{"8193 bytes", map[string]string{"k": strings.Repeat("v", 8192-4-1-4+1)}, ciphertext.ErrContextTooLarge},
		{"8193 bytes in the key", map[string]string{strings.Repeat("k", 8192-4-4+1): ""}, ciphertext.ErrContextTooLarge},
		{"8193 bytes in two", map[string]string{"k": strings.Repeat("v", 4096-9), "l": strings.Repeat("v", 4096-9+1)}, ciphertext.ErrContextTooLarge},
		{"100 pairs", many, nil},
		{"a key that is not UTF-8", map[string]string{"\xff": ""}, ciphertext.ErrContextInvalid},
		{"a value that is not UTF-8", map[string]string{"k": "a\xc3"}, ciphertext.ErrContextInvalid},
		{"a surrogate", map[string]string{"k": "\xed\xa0\x80"}, ciphertext.ErrContextInvalid},
		{"an overlong form", map[string]string{"k": "\xc0\x80"}, ciphertext.ErrContextInvalid},
	} {
		got, err := ciphertext.AppendContext(nil, test.ec)
		if !errors.Is(err, test.want) || (err != nil && got != nil) {
			t.Errorf("%s: AppendContext returned %d bytes and the error %v, want %v", test.name, len(got), err, test.want)
		}
		if _, err := ciphertext.AAD(nil, []byte("header"), test.ec); !errors.Is(err, test.want) {
			t.Errorf("%s: AAD returned the error %v, want %v", test.name, err, test.want)
		}
	}
}

func TestAAD(t *testing.T) {
	got, err := ciphertext.AAD([]byte("before"), []byte("header"), map[string]string{"k": "v"})
	if want := "before\x00\x00\x00\x06header\x00\x00\x00\x01k\x00\x00\x00\x01v"; err != nil || string(got) != want {
		t.Errorf("AAD returned %q, %v; want %q", got, err, want)
	}
	// What moves between header and context does not stay the same.
	a, err1 := ciphertext.AAD(nil, []byte("header"), map[string]string{"": ""})
	b, err2 := ciphertext.AAD(nil, []byte("header\x00\x00\x00\x00\x00\x00\x00\x00"), nil)
	if err1 != nil || err2 != nil || bytes.Equal(a, b) {
		t.Errorf("AAD returned %x, %v and %x, %v; want them different", a, err1, b, err2)
	}
}

// TestContextAllocations: a usual context costs none beside its bytes.
func TestContextAllocations(t *testing.T) {
	ec := map[string]string{"purpose": "test", "tenant": "42", "aws:s3:arn": "arn:aws:s3:::bucket/key"}
	raw, dst := appendHeader(t, single), make([]byte, 0, 512)
	if n := testing.AllocsPerRun(100, func() {
		if _, err := ciphertext.AAD(dst, raw, ec); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("AAD made %v allocations, want 0", n)
	}
}

// FuzzContext: the form can be read back, so no two contexts share one.
func FuzzContext(f *testing.F) {
	f.Add("a", "1", "b", "2")
	f.Add("", "", "é", "\xff")
	f.Add("a", "b\x00\x00\x00\x01", "", "a")
	f.Fuzz(func(t *testing.T, k1, v1, k2, v2 string) {
		ec := map[string]string{k1: v1, k2: v2}
		enc, err := ciphertext.AppendContext(nil, ec)
		if err != nil {
			return
		}
		back, last := map[string]string{}, ""
		read := func() string {
			n := binary.BigEndian.Uint32(enc)
			s := string(enc[4 : 4+n])
			enc = enc[4+n:]
			return s
		}
		for len(enc) > 0 {
			k := read()
			if len(back) > 0 && k <= last {
				t.Fatalf("key %q stands after %q", k, last)
			}
			back[k], last = read(), k
		}
		if !maps.Equal(back, ec) {
			t.Fatalf("%q is written as %q", ec, back)
		}
	})
}

func BenchmarkAAD(b *testing.B) {
	raw, dst := appendHeader(b, single), make([]byte, 0, 512)
	ec := map[string]string{"purpose": "test", "tenant": "42", "aws:s3:arn": "arn:aws:s3:::bucket/key"}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ciphertext.AAD(dst, raw, ec); err != nil {
			b.Fatal(err)
		}
	}
}

package materials_test

import (
	"bytes"
	"errors"
	"maps"
	"strings"
	"testing"

	"github.com/keywright/keywright/esdk/materials"
)

// The order is that of UTF-8: U+FFFD comes before U+1F512, while the first
// UTF-16 unit of the latter (D83D) comes before FFFD.
var contexts = []struct {
	name    string
	context map[string]string
	want    string
}{
	{"empty", map[string]string{}, ""},
	{"one", map[string]string{"k": "v"}, "\x00\x01\x00\x01k\x00\x01v"},
	{"sorted", map[string]string{"b": "1", "a": "22", "aa": ""},
		"\x00\x03\x00\x01a\x00\x0222\x00\x02aa\x00\x00\x00\x01b\x00\x011"},
	{"by UTF-8", map[string]string{"\U0001F512": "lock", "\uFFFD": "x"},
		"\x00\x02\x00\x03\uFFFD\x00\x01x\x00\x04\U0001F512\x00\x04lock"},
}

func TestContextSerialized(t *testing.T) {
	for _, tc := range contexts {
		t.Run(tc.name, func(t *testing.T) {
			got, err := materials.AppendContext([]byte("head"), tc.context)
			if err != nil || string(got) != "head"+tc.want {
				t.Errorf("AppendContext = %q, %v; want %q", got, err, "head"+tc.want)
			}
			back, err := materials.ParseContext([]byte(tc.want))
			if err != nil || back == nil || !maps.Equal(back, tc.context) {
				t.Errorf("ParseContext = %q, %v; want %q", back, err, tc.context)
			}
		})
	}
}

func TestContextLimits(t *testing.T) {
	// 2 for the number, 4 for the lengths, 1 for the key.
	fits := map[string]string{"k": strings.Repeat("v", 65535-7)}
	b, err := materials.AppendContext(nil, fits)
	if err != nil || len(b) != 65535 {
		t.Fatalf("AppendContext = %d bytes, %v; want 65535", len(b), err)
	}
	if got, err := materials.ParseContext(b); err != nil || !maps.Equal(got, fits) {
		t.Errorf("ParseContext of 65535 bytes: %v", err)
	}
	fits["k"] += "v"
	if _, err := materials.AppendContext(nil, fits); !errors.Is(err, materials.ErrContextTooLarge) {
		t.Errorf("one more byte: %v, want ErrContextTooLarge", err)
	}
	if _, err := materials.ParseContext(make([]byte, 65536)); !errors.Is(err, materials.ErrContextTooLarge) {
		t.Errorf("parsing 65536 bytes: %v, want ErrContextTooLarge", err)
	}
	for _, bad := range []map[string]string{{"\xff": "v"}, {"k": "\xff"}} {
		if _, err := materials.AppendContext(nil, bad); !errors.Is(err, materials.ErrContextInvalid) {
			t.Errorf("AppendContext(%q): %v, want ErrContextInvalid", bad, err)
		}
	}
}

func TestParseContextRefuses(t *testing.T) {
	for _, tc := range []struct {
		name, in string
		want     error
	}{
		{"half a number", "\x00", materials.ErrContextMalformed},
		{"no pairs", "\x00\x00", materials.ErrContextMalformed},
		{"no pairs, with bytes", "\x00\x00\x00\x00\x00\x00", materials.ErrContextMalformed},
		{"more pairs than fit", "\xff\xff\x00\x01k\x00\x01v", materials.ErrContextMalformed},
		{"no value", "\x00\x01\x00\x02kk", materials.ErrContextMalformed},
		{"key too long", "\x00\x01\x00\x09k\x00\x01v", materials.ErrContextMalformed},
		{"value too long", "\x00\x01\x00\x01k\x00\x02v", materials.ErrContextMalformed},
		{"half a length", "\x00\x01\x00\x03kkk\x00", materials.ErrContextMalformed},
		{"bytes after", "\x00\x01\x00\x01k\x00\x01v\x00", materials.ErrContextMalformed},
		{"twice", "\x00\x02\x00\x01k\x00\x01v\x00\x01k\x00\x01w", materials.ErrContextMalformed},
		{"twice of many", "\x00\x0a" + "\x00\x01a\x00\x00\x00\x01b\x00\x00\x00\x01c\x00\x00\x00\x01d\x00\x00\x00\x01e\x00\x00" +
			"\x00\x01f\x00\x00\x00\x01g\x00\x00\x00\x01h\x00\x00\x00\x01i\x00\x00\x00\x01a\x00\x00", materials.ErrContextMalformed},
		{"key not UTF-8", "\x00\x01\x00\x01\xff\x00\x01v", materials.ErrContextInvalid},
		{"value not UTF-8", "\x00\x01\x00\x01k\x00\x01\xff", materials.ErrContextInvalid},
	} {
		if got, err := materials.ParseContext([]byte(tc.in)); !errors.Is(err, tc.want) || got != nil {
			t.Errorf("%s: %q, %v; want %v", tc.name, got, err, tc.want)
		}
	}
}

func TestParseContextUnsorted(t *testing.T) {
	in := "\x00\x02\x00\x01b\x00\x011\x00\x01a\x00\x012"
	got, err := materials.ParseContext([]byte(in))
	if want := (map[string]string{"a": "2", "b": "1"}); err != nil || !maps.Equal(got, want) {
		t.Errorf("ParseContext = %q, %v; want %q", got, err, want)
	}
}

func FuzzParseContext(f *testing.F) {
	for _, tc := range contexts {
		f.Add([]byte(tc.want))
	}
	f.Add([]byte("\x00\x02\x00\x01b\x00\x011\x00\x01a\x00\x012"))
	f.Fuzz(func(t *testing.T, in []byte) {
		context, err := materials.ParseContext(in)
		if err != nil {
			return
		}
		out, err := materials.AppendContext(nil, context)
		if err != nil {
			t.Fatalf("parsed %q, and cannot write it: %v", context, err)
		}
		if len(out) != len(in) {
			t.Fatalf("%d bytes became %d", len(in), len(out))
		}
		back, err := materials.ParseContext(out)
		if err != nil || !maps.Equal(back, context) {
			t.Fatalf("%q became %q, %v", context, back, err)
		}
		if sorted(in) && !bytes.Equal(in, out) {
			t.Fatalf("%q became %q", in, out)
		}
	})
}

// sorted says whether the keys of a well-formed context ascend.
func sorted(b []byte) bool {
	last := ""
	for i := 2; i < len(b); {
		n := int(b[i])<<8 | int(b[i+1])
		key := string(b[i+2 : i+2+n])
		i += 2 + n
		i += 2 + (int(b[i])<<8 | int(b[i+1]))
		if key < last {
			return false
		}
		last = key
	}
	return true
}

func BenchmarkAppendContext(b *testing.B) {
	context := map[string]string{"tenant": "4711", "table": "orders", materials.PublicKeyField: strings.Repeat("A", 68)}
	buf, err := materials.AppendContext(nil, context)
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(buf)))
	b.ReportAllocs()
	for b.Loop() {
		buf, _ = materials.AppendContext(buf[:0], context)
	}
}

func BenchmarkParseContext(b *testing.B) {
	in := []byte(contexts[2].want)
	b.SetBytes(int64(len(in)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := materials.ParseContext(in); err != nil {
			b.Fatal(err)
		}
	}
}

package ciphertext_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"strings"
	"testing"

	"github.com/keywright/keywright/internal/ciphertext"
)

var (
	materialID = [32]byte(bytes.Repeat([]byte{0x4d}, 32))

	single = ciphertext.Header{
		Suite:      ciphertext.SuiteSoftware,
		Account:    "111122223333",
		Region:     "us-east-1",
		KeyID:      "1234abcd-12ab-34cd-56ef-1234567890ab",
		MaterialID: materialID,
	}
	multi = ciphertext.Header{
		Suite:      ciphertext.SuiteSoftware,
		Account:    "000000000000",
		KeyID:      "mrk-1234abcd12ab34cd56ef1234567890ab",
		MaterialID: materialID,
	}
)

func appendHeader(t testing.TB, h ciphertext.Header) []byte {
	t.Helper()
	raw, err := h.Append(nil)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// blobs are of every form, with a body of some bytes.
func blobs(t testing.TB) map[string]ciphertext.Header {
	t.Helper()
	with := func(change func(*ciphertext.Header)) ciphertext.Header {
		h := single
		change(&h)
		return h
	}
	out := map[string]ciphertext.Header{}
	for _, h := range []ciphertext.Header{
		single,
		multi,
		with(func(h *ciphertext.Header) { h.Account = "999999999999" }),
		with(func(h *ciphertext.Header) { h.Account = "000000000001" }),
		with(func(h *ciphertext.Header) { h.Region = "x" }),
		with(func(h *ciphertext.Header) { h.Region = strings.Repeat("a", 32) }),
		with(func(h *ciphertext.Header) { h.KeyID = "ffffffff-ffff-ffff-ffff-ffffffffffff" }),
	} {
		out[string(appendHeader(t, h))+"body"] = h
	}
	return out
}

func TestHeaderBytes(t *testing.T) {
	const id = "1234abcd12ab34cd56ef1234567890ab"
	for _, test := range []struct {
		h    ciphertext.Header
		want string
	}{
		// 111122223333 is 0x19df6690e5 (computed with Python).
		{single, "01" + "01" + "19df6690e5" + "09" + hex.EncodeToString([]byte("us-east-1")) + "01" + id + strings.Repeat("4d", 32)},
		{multi, "01" + "01" + "0000000000" + "00" + "02" + id + strings.Repeat("4d", 32)},
	} {
		if got := hex.EncodeToString(appendHeader(t, test.h)); got != test.want {
			t.Errorf("header of %s is %s, want %s", test.h.KeyID, got, test.want)
		}
	}
	if got, err := single.Append([]byte("before")); err != nil || !bytes.HasPrefix(got, []byte("before\x01\x01")) {
		t.Errorf("Append returned %x, %v; want it after what was there", got, err)
	}
	longest := single
	longest.Region = strings.Repeat("a", 32)
	if got := len(appendHeader(t, longest)); got != ciphertext.MaxHeaderSize {
		t.Errorf("the longest header has %d bytes, MaxHeaderSize is %d", got, ciphertext.MaxHeaderSize)
	}
}

func TestParse(t *testing.T) {
	for blob, want := range blobs(t) {
		h, raw, body, err := ciphertext.Parse([]byte(blob))
		if err != nil || h != want || string(body) != "body" || string(raw)+"body" != blob {
			t.Errorf("Parse of %x returned %+v, %x, %q, %v; want %+v", blob, h, raw, body, err, want)
		}
		if cap(raw) != len(raw) {
			t.Error("Parse returned a header with spare capacity: append would write into the body")
		}
	}
}

// TestParseMutations: no bit of a header is without meaning.
func TestParseMutations(t *testing.T) {
	for blob, want := range blobs(t) {
		size := len(blob) - len("body")
		for bit := range 8 * size {
			b := []byte(blob)
			b[bit/8] ^= 1 << (bit % 8)
			if h, _, body, err := ciphertext.Parse(b); err == nil && h == want && string(body) == "body" {
				t.Errorf("Parse of %x returned what it does with bit %d as it was", b, bit)
			}
		}
		for n := range size + 1 {
			if _, _, _, err := ciphertext.Parse([]byte(blob[:n])); !errors.Is(err, ciphertext.ErrMalformed) {
				t.Errorf("Parse of the first %d bytes of %x: error %v, want ErrMalformed", n, blob, err)
			}
		}
	}
}

func TestParseRefuses(t *testing.T) {
	const (
		account = 2
		region  = 7
		form    = 17 // of single
	)
	set := func(i int, b ...byte) []byte {
		blob := append(appendHeader(t, single), "body"...)
		copy(blob[i:], b)
		return blob
	}
	for name, blob := range map[string][]byte{
		"nothing":                    nil,
		"version 0":                  set(0, 0),
		"version 2":                  set(0, 2),
		"an AWS blob":                set(0, 1, 2, 2, 0),
		"suite 0":                    set(1, 0),
		"the reserved suite 2":       set(1, 2),
		"the reserved suite 3":       set(1, 3),
		"account 10^12":              set(account, 0xe8, 0xd4, 0xa5, 0x10, 0x00),
		"account 2^40-1":             set(account, 0xff, 0xff, 0xff, 0xff, 0xff),
		"an upper-case region":       set(region+1, 'U'),
		"a region with a zero":       set(region+1, 0),
		"a region with a slash":      set(region+1, '/'),
		"a region that is UTF-8":     set(region+1, 0xc3, 0xa9),
		"a region of 33 bytes":       append(append(append(append([]byte{1, 1, 0, 0, 0, 0, 0, 33}, bytes.Repeat([]byte{'a'}, 33)...), 1), make([]byte, 48)...), "body"...),
		"a region past the end":      set(region, 32),
		"a UUID without a region":    append([]byte{1, 1, 0, 0, 0, 0, 0, 0, 1}, make([]byte, 60)...),
		"a multi-Region key with it": set(form, 2),
		"form 0":                     set(form, 0),
		"form 3":                     set(form, 3),
	} {
		h, raw, body, err := ciphertext.Parse(blob)
		if err != ciphertext.ErrMalformed || h != (ciphertext.Header{}) || raw != nil || body != nil {
			t.Errorf("Parse of %s returned %+v, %x, %x, %v; want ErrMalformed", name, h, raw, body, err)
		}
	}
}

func TestAppendRefuses(t *testing.T) {
	for name, change := range map[string]func(*ciphertext.Header){
		"no suite":                  func(h *ciphertext.Header) { h.Suite = 0 },
		"a reserved suite":          func(h *ciphertext.Header) { h.Suite = ciphertext.SuiteXKS },
		"no account":                func(h *ciphertext.Header) { h.Account = "" },
		"a short account":           func(h *ciphertext.Header) { h.Account = "11112222333" },
		"a long account":            func(h *ciphertext.Header) { h.Account = "0111122223333" },
		"a letter in the account":   func(h *ciphertext.Header) { h.Account = "11112222333a" },
		"a sign in the account":     func(h *ciphertext.Header) { h.Account = "+11122223333" },
		"no region":                 func(h *ciphertext.Header) { h.Region = "" },
		"a long region":             func(h *ciphertext.Header) { h.Region = strings.Repeat("a", 33) },
		"an upper-case region":      func(h *ciphertext.Header) { h.Region = "US-EAST-1" },
		"no key id":                 func(h *ciphertext.Header) { h.KeyID = "" },
		"an upper-case UUID":        func(h *ciphertext.Header) { h.KeyID = "1234ABCD-12ab-34cd-56ef-1234567890ab" },
		"a UUID without hyphens":    func(h *ciphertext.Header) { h.KeyID = "1234abcd12ab34cd56ef1234567890ab" },
		"a UUID with others":        func(h *ciphertext.Header) { h.KeyID = "1234abcd-12ab-34cd-56ef_1234567890ab" },
		"a UUID that is not hex":    func(h *ciphertext.Header) { h.KeyID = "1234abcg-12ab-34cd-56ef-1234567890ab" },
		"hyphens in other places":   func(h *ciphertext.Header) { h.KeyID = "1234abc-d12ab-34cd-56ef-1234567890ab" },
		"a hyphen for a digit":      func(h *ciphertext.Header) { h.KeyID = "1234abcd-12ab-34cd-56ef--234567890ab" },
		"an alias":                  func(h *ciphertext.Header) { h.KeyID = "alias/name" },
		"a multi-Region region":     func(h *ciphertext.Header) { h.KeyID = multi.KeyID },
		"an upper-case multi id":    func(h *ciphertext.Header) { h.KeyID, h.Region = strings.ToUpper(multi.KeyID), "" },
		"upper-case multi digits":   func(h *ciphertext.Header) { h.KeyID, h.Region = "mrk-1234ABCD12ab34cd56ef1234567890ab", "" },
		"a short multi-Region id":   func(h *ciphertext.Header) { h.KeyID, h.Region = "mrk-1234abcd12ab34cd56ef1234567890", "" },
		"a multi id that's not hex": func(h *ciphertext.Header) { h.KeyID, h.Region = "mrk-g234abcd12ab34cd56ef1234567890ab", "" },
	} {
		h := single
		change(&h)
		if out, err := h.Append([]byte("before")); err == nil || out != nil {
			t.Errorf("Append with %s returned %x, %v; want an error", name, out, err)
		}
	}
}

// FuzzParse: what is accepted has one encoding, and it is this one.
func FuzzParse(f *testing.F) {
	for blob := range blobs(f) {
		f.Add([]byte(blob))
	}
	f.Fuzz(func(t *testing.T, blob []byte) {
		before := bytes.Clone(blob)
		h, raw, body, err := ciphertext.Parse(blob)
		if !bytes.Equal(blob, before) {
			t.Fatal("Parse changed the blob")
		}
		if err != nil {
			if err != ciphertext.ErrMalformed || raw != nil || body != nil {
				t.Fatalf("Parse of %x returned %x, %x, %v; want ErrMalformed alone", blob, raw, body, err)
			}
			return
		}
		again, err := h.Append(nil)
		if err != nil {
			t.Fatalf("Append of what Parse returned: %v", err)
		}
		if !bytes.Equal(again, raw) || !bytes.Equal(append(again, body...), blob) || len(body) == 0 {
			t.Fatalf("blob %x parses as %+v and %x, which is written %x", blob, h, body, again)
		}
	})
}

func BenchmarkParse(b *testing.B) {
	blob := append(appendHeader(b, single), make([]byte, 108)...)
	b.SetBytes(int64(len(blob)))
	b.ReportAllocs()
	for b.Loop() {
		if _, _, _, err := ciphertext.Parse(blob); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkAppend(b *testing.B) {
	dst := make([]byte, 0, ciphertext.MaxHeaderSize)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := single.Append(dst); err != nil {
			b.Fatal(err)
		}
	}
}

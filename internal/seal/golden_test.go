package seal_test

import (
	"encoding/base64"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/keywright/keywright/internal/seal"
	"github.com/keywright/keywright/internal/store"
)

// golden reads what testdata/golden.py wrote.
func golden(t *testing.T) (entries []store.Entry, values map[string][]byte) {
	t.Helper()
	text, err := os.ReadFile("testdata/golden.txt")
	if err != nil {
		t.Fatal(err)
	}
	values = map[string][]byte{}
	for line := range strings.Lines(string(text)) {
		name, digits, _ := strings.Cut(strings.TrimSpace(line), " ")
		value, err := hex.DecodeString(digits)
		if err != nil {
			t.Fatal(err)
		}
		values[name] = value
		if strings.HasPrefix(name, seal.Prefix) {
			entries = append(entries, store.Entry{Key: []byte(name), Value: value})
		}
	}
	if len(entries) != 3 || len(values) != 7 {
		t.Fatalf("golden.txt has %d entries and %d values, want 3 and 7", len(entries), len(values))
	}
	return entries, values
}

// The bytes come from another implementation of the formats.
func TestGolden(t *testing.T) {
	entries, values := golden(t)
	raw := make([]byte, 32)
	for i := range raw {
		raw[i] = byte(120 + i)
	}
	root := &seal.RootKeyFile{Path: filepath.Join(t.TempDir(), "root.key")}
	line := "keywright-root-key-1:" + base64.StdEncoding.EncodeToString(raw) + "\n"
	if err := os.WriteFile(root.Path, []byte(line), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, p := range []seal.Provider{root, passphrase("correct horse battery staple")} {
		kr, err := seal.UnlockEntries(t.Context(), entries, p)
		if err != nil {
			t.Errorf("%s: %v", p, err)
			continue
		}
		if got, err := kr.Open("a/path", values["record"]); err != nil || string(got) != "a record" {
			t.Errorf("%s: Open = %q, %v", p, got, err)
		}
		if got := kr.Derive("keywright/example"); string(got[:]) != string(values["derived"]) {
			t.Errorf("%s: Derive = %x, want %x", p, got, values["derived"])
		}
		if got := kr.Name("alias", "111122223333/eu-west-1", "orders"); string(got[:]) != string(values["name"]) {
			t.Errorf("%s: Name = %x, want %x", p, got, values["name"])
		}
		if kr.Epoch() != 7 {
			t.Errorf("%s: Epoch = %d, want 7", p, kr.Epoch())
		}
	}

	st := newStore(t)
	for _, e := range entries {
		write(t, st, store.Op{Key: e.Key, Value: e.Value})
	}
	created := time.UnixMilli(1700000000123).UTC()
	want := []seal.Slot{
		{ID: "0101010101010101", Kind: seal.KindRootKey, Label: "a file", Created: created, Replaces: "0202020202020202"},
		{ID: "0303030303030303", Kind: seal.KindPassphrase, Label: "Geheim ä", Created: created, Argon2: seal.Argon2{Time: 2, Memory: 64, Threads: 2}},
	}
	for i, got := range slotsOf(t, st) {
		if got != want[i] {
			t.Errorf("slot %d = %+v, want %+v", i, got, want[i])
		}
	}

	if got := seal.FormatRecoveryKey(raw); got != string(values["recovery"]) {
		t.Errorf("recovery key = %s, want %s", got, values["recovery"])
	}
}

// Every bit of a slot and of the state counts.
func TestChangedSlotsStayLocked(t *testing.T) {
	entries, _ := golden(t)
	phrase := passphrase("correct horse battery staple")
	for i, e := range entries {
		if string(e.Key) == "seal/slot/0101010101010101" {
			continue // of a root key; the passphrase's has all its fields
		}
		for bit := range 8 * len(e.Value) {
			changed := append([]byte(nil), e.Value...)
			changed[bit/8] ^= 1 << (bit % 8)
			// A greater cost, within the bounds, is just slow to refuse.
			if s := changed[8+1+1+32+8:]; string(e.Key) != "seal/state" && len(s) > 0 {
				params := s[1+int(s[0]):]
				if len(params) > 10 && params[0] == 9 && (params[6] > 0 || params[7] > 8) {
					continue
				}
			}
			with := append([]store.Entry(nil), entries...)
			with[i].Value = changed
			if _, err := seal.UnlockEntries(t.Context(), with, phrase); err == nil {
				t.Errorf("%s: opens with bit %d changed", e.Key, bit)
			}
		}
	}
	moved := append([]store.Entry(nil), entries...)
	moved[1].Key = []byte("seal/slot/0404040404040404")
	if _, err := seal.UnlockEntries(t.Context(), moved, phrase); !errors.Is(err, seal.ErrLocked) || !strings.Contains(err.Error(), "0404040404040404") {
		t.Errorf("a moved slot: %v, want ErrLocked naming it", err)
	}
}

// A slot that was changed to cost 1 TiB is refused before it is paid for.
func TestCostIsBounded(t *testing.T) {
	entries, _ := golden(t)
	at := 1 + 8 + 1 + 32 + 8 + 1 + len("Geheim ä") + 1
	for _, c := range []struct {
		name    string
		offset  int
		content string
	}{
		{"no passes", 0, "\x00\x00\x00\x00"},
		{"many passes", 0, "\x00\x00\x00\x21"},
		{"2^32-1 KiB", 4, "\xff\xff\xff\xff"},
		{"1 GiB and 1 KiB", 4, "\x00\x10\x00\x01"},
		{"too little memory", 4, "\x00\x00\x00\x0f"},
		{"no threads", 8, "\x00"},
		{"many threads", 8, "\x11"},
	} {
		value := append([]byte(nil), entries[1].Value...)
		copy(value[at+c.offset:], c.content)
		with := []store.Entry{{Key: entries[1].Key, Value: value}, entries[2]}
		asked := passphrase("correct horse battery staple")
		_, err := seal.UnlockEntries(t.Context(), with, asked)
		if !errors.Is(err, seal.ErrLocked) || !strings.Contains(err.Error(), "beyond what is allowed") {
			t.Errorf("%s: %v, want ErrLocked for its cost", c.name, err)
		}
	}
}

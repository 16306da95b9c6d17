package seal_test

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/keywright/keywright/internal/seal"
)

func TestRootKeyForm(t *testing.T) {
	line := string(seal.GenerateRootKey())
	key := strings.TrimSuffix(strings.TrimPrefix(line, "keywright-root-key-1:"), "\n")
	if len(key) != 44 {
		t.Fatalf("root key line %d characters long", len(line))
	}
	for _, good := range []string{line, strings.TrimSuffix(line, "\n"), strings.TrimSuffix(line, "\n") + "\r\n"} {
		if got, err := seal.ReadRootKey([]byte(good)); err != nil || string(got) != line {
			t.Errorf("%d bytes: %v", len(good), err)
		}
	}
	for _, bad := range []string{
		"", key, "keywright-root-key-2:" + key, " " + line, line + "\n", line + line,
		"keywright-root-key-1:" + key[:40] + "\n", "keywright-root-key-1: " + key,
		"keywright-root-key-1:" + key[:43] + "\n",
		"keywright-root-key-1:" + key[:20] + "\n\n" + key[22:],
		"keywright-root-key-1:" + key[:42] + "==", "keywright-root-key-1:" + strings.Repeat("A", 42) + "B=",
		"keywright-root-key-1:" + strings.Repeat("-", 43) + "=",
	} {
		if _, err := seal.ReadRootKey([]byte(bad)); err == nil {
			t.Errorf("read %q", bad)
		} else if strings.Contains(err.Error(), key) {
			t.Errorf("the error contains the key: %v", err)
		}
	}
}

func TestRecoveryKeyForms(t *testing.T) {
	raw := make([]byte, 32)
	rand.Read(raw)
	text := seal.FormatRecoveryKey(raw)
	for _, form := range []string{
		text, strings.ToLower(text), strings.ReplaceAll(text, "-", ""), strings.ReplaceAll(text, "-", " "),
		" " + text + "\n", strings.ReplaceAll(text, "0", "O"), strings.ReplaceAll(text, "1", "l"), strings.ReplaceAll(text, "1", "I"),
	} {
		if got, err := seal.ReadRecoveryKey(form); err != nil || !bytes.Equal(got, raw) {
			t.Errorf("%q: %v", form, err)
		}
	}
}

// Every wrong character, every two exchanged in a group, and every two exchanged
// groups are found, and the group is named.
func TestRecoveryKeyTypos(t *testing.T) {
	raw := make([]byte, 32)
	rand.Read(raw)
	text := seal.FormatRecoveryKey(raw)
	groups := strings.Split(text, "-")[1:]
	if len(groups) != 13 {
		t.Fatalf("%d groups, want 13", len(groups))
	}
	read := func(group int, change func([]string)) {
		t.Helper()
		g := append([]string(nil), groups...)
		change(g)
		typo := "KWRK-" + strings.Join(g, "-")
		_, err := seal.ReadRecoveryKey(typo)
		if err == nil {
			t.Errorf("%s read as %s", typo, text)
			return
		}
		if !strings.Contains(err.Error(), fmt.Sprintf("group %d ", group+1)) {
			t.Errorf("%v, want group %d named", err, group+1)
		}
		if strings.Contains(err.Error(), g[group]) {
			t.Errorf("the error contains the group: %v", err)
		}
	}
	const alphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZU?"
	for n := range groups {
		for i := range 5 {
			for _, c := range alphabet {
				if groups[n][i] != byte(c) {
					read(n, func(g []string) { g[n] = g[n][:i] + string(c) + g[n][i+1:] })
				}
			}
			for j := range i {
				if b := []byte(groups[n]); b[i] != b[j] {
					b[i], b[j] = b[j], b[i]
					read(n, func(g []string) { g[n] = string(b) })
				}
			}
		}
		read(n, func(g []string) { g[n] = g[n][1:] })
		read(n, func(g []string) { g[n] += "0" })
		for m := range n {
			read(m, func(g []string) { g[n], g[m] = g[m], g[n] })
		}
	}
	for _, bad := range []string{"", "-", "KWRK", text[5:], text[:len(text)-6], text + "-00000", "KWRX" + text[4:]} {
		if _, err := seal.RecoveryKey(bad); err == nil {
			t.Errorf("read %q", bad)
		}
	}
}

func FuzzSlot(f *testing.F) {
	text, err := os.ReadFile("testdata/golden.txt")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	v := newVault(f)
	for path, value := range dump(f, v.st) {
		f.Add([]byte(path))
		f.Add([]byte(value))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if again, err := seal.ReadSlot(b); err == nil && !bytes.Equal(again, b) {
			t.Errorf("%x encodes again as %x", b, again)
		}
		if again, err := seal.ReadKeyData(b); err == nil && !bytes.Equal(again, b) {
			t.Errorf("%x encodes again as %x", b, again)
		}
	})
}

func FuzzRootKey(f *testing.F) {
	f.Add(seal.GenerateRootKey())
	f.Add([]byte("keywright-root-key-1:"))
	f.Fuzz(func(t *testing.T, b []byte) {
		again, err := seal.ReadRootKey(b)
		if err != nil {
			return
		}
		line := bytes.TrimSuffix(again, []byte("\n"))
		if rest, ok := bytes.CutPrefix(b, line); !ok || len(bytes.Trim(rest, "\r\n")) > 0 || len(rest) > 2 {
			t.Errorf("%q reads as %q", b, again)
		}
	})
}

func FuzzRecoveryKey(f *testing.F) {
	f.Add(seal.FormatRecoveryKey(make([]byte, 32)))
	f.Add("KWRK-")
	f.Fuzz(func(t *testing.T, text string) {
		raw, err := seal.ReadRecoveryKey(text)
		if err != nil {
			return
		}
		again, err := seal.ReadRecoveryKey(seal.FormatRecoveryKey(raw))
		if err != nil || !bytes.Equal(raw, again) {
			t.Errorf("%q reads as %x, then %x, %v", text, raw, again, err)
		}
		plain := strings.NewReplacer("O", "0", "I", "1", "L", "1").Replace(strings.ToUpper(strings.Join(strings.FieldsFunc(text, notKey), "")))
		if plain != strings.ReplaceAll(seal.FormatRecoveryKey(raw), "-", "") {
			t.Errorf("%q has a second form", text)
		}
	})
}

func notKey(r rune) bool {
	return !('0' <= r && r <= '9' || 'A' <= r && r <= 'Z' || 'a' <= r && r <= 'z')
}

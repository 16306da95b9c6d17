package seal_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/keywright/keywright/internal/seal"
)

func TestBox(t *testing.T) {
	_, recovery, err := seal.Init(t.Context(), newStore(t), seal.NewMemoryRootKey())
	if err != nil {
		t.Fatal(err)
	}
	_, other, err := seal.Init(t.Context(), newStore(t), seal.NewMemoryRootKey())
	if err != nil {
		t.Fatal(err)
	}
	const label = "keywright/test"
	data, plaintext := []byte("what it is for"), []byte("what is in it")
	box, err := seal.CloseBox(recovery, label, data, plaintext)
	if err != nil || bytes.Contains(box, plaintext) {
		t.Fatalf("got %q, %v", box, err)
	}
	// As people type it.
	if got, err := seal.OpenBox(strings.ToLower(strings.ReplaceAll(recovery, "-", " ")), label, data, box); err != nil || !bytes.Equal(got, plaintext) {
		t.Errorf("got %q, %v", got, err)
	}
	changed := bytes.Clone(box)
	changed[len(changed)-1] ^= 1
	for name, open := range map[string]func() ([]byte, error){
		"another recovery key": func() ([]byte, error) { return seal.OpenBox(other, label, data, box) },
		"another label":        func() ([]byte, error) { return seal.OpenBox(recovery, "keywright/other", data, box) },
		"other data":           func() ([]byte, error) { return seal.OpenBox(recovery, label, []byte("else"), box) },
		"a changed box":        func() ([]byte, error) { return seal.OpenBox(recovery, label, data, changed) },
		"no box":               func() ([]byte, error) { return seal.OpenBox(recovery, label, data, nil) },
	} {
		if got, err := open(); !errors.Is(err, seal.ErrWrongRecoveryKey) || got != nil {
			t.Errorf("%s: got %q, %v", name, got, err)
		}
	}
	for _, text := range []string{"", "KWRK", recovery[:len(recovery)-1]} {
		if _, err := seal.CloseBox(text, label, data, plaintext); err == nil {
			t.Errorf("closed with %q", text)
		}
		if _, err := seal.OpenBox(text, label, data, box); err == nil || errors.Is(err, seal.ErrWrongRecoveryKey) {
			t.Errorf("opened with %q: %v", text, err)
		}
	}
}

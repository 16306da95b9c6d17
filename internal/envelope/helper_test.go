package envelope_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/keywright/keywright/esdk"
	"github.com/keywright/keywright/esdk/keyring"
	"github.com/keywright/keywright/internal/envelope"
)

// newWork returns work under a raw key that is the same each time.
func newWork(t testing.TB, mode envelope.Mode) *envelope.Work {
	t.Helper()
	ring, err := keyring.NewRawAES("test", "key", make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	return &envelope.Work{Mode: mode, Client: esdk.New(esdk.Config{}), Manager: esdk.Using(ring), Stdin: bytes.NewReader(nil)}
}

func write(t testing.TB, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func read(t testing.TB, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func names(t testing.TB, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, e := range entries {
		all = append(all, e.Name())
	}
	return all
}

func encrypted(t testing.TB, dir, text string) string {
	t.Helper()
	path := filepath.Join(dir, "message")
	write(t, filepath.Join(dir, "plain"), text)
	w := newWork(t, envelope.Encrypt)
	w.EncryptOptions.EncryptionContext = map[string]string{"a": "1", "b": "2"}
	if r := w.Do(t.Context(), envelope.File{Input: filepath.Join(dir, "plain"), Output: path}); r.Err != nil {
		t.Fatal(r.Err)
	}
	return path
}

package server_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/keywright/keywright/internal/audit"
	"github.com/keywright/keywright/internal/server"
)

// newFolder makes a data folder that a server has left, and returns it with the
// recovery key.
func newFolder(t *testing.T) (data, recovery string) {
	t.Helper()
	data = filepath.Join(shortTemp(t), "d")
	s, recovery := startNew(t, data)
	if err := s.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	return data, recovery
}

// shortTemp is a folder whose path leaves room for a socket's name.
func shortTemp(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "kw")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

func startOn(t *testing.T, data string) *server.Server {
	t.Helper()
	s, _ := startNew(t, data)
	return s
}

// startNew starts a server on a new data folder.
func startNew(t *testing.T, data string) (s *server.Server, recovery string) {
	t.Helper()
	s, err := server.Start(t.Context(), server.Config{
		Data: data, Listen: "127.0.0.1:0", OperatorListen: "off", ShowRecoveryKey: func(key string) { recovery = key },
	}, slog.New(slog.NewTextHandler(t.Output(), nil)))
	if err != nil {
		t.Fatal(err)
	}
	return s, recovery
}

func openOperator(t *testing.T, data string) *server.Operator {
	t.Helper()
	o, err := server.OpenOperator(t.Context(), server.Config{Data: data}, slog.New(slog.NewTextHandler(t.Output(), nil)))
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// TestRotationDrainsOutbox holds that a rotation of the store key leaves nothing
// in the audit outbox: an entry there must neither be sealed again nor stay under
// the key that is destroyed.
func TestRotationDrainsOutbox(t *testing.T) {
	data, recovery := newFolder(t)
	o := openOperator(t, data)
	account, err := o.CreateAccount(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	// No worker drains here, so its record waits.
	if n, err := server.OutboxLen(t.Context(), o); n != 1 || err != nil {
		t.Fatalf("%d entries in the outbox, want 1 (%v)", n, err)
	}
	rotated, err := o.RotateStoreKey(t.Context(), server.Unlockers{RecoveryKeys: []string{recovery}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if rotated.Version != 2 || len(rotated.Retired) != 1 {
		t.Errorf("rotated %+v, want version 2 with one key retired", rotated)
	}
	if n, err := server.OutboxLen(t.Context(), o); n != 0 || err != nil {
		t.Errorf("%d entries in the outbox after the rotation, want none (%v)", n, err)
	}
	if err := o.Close(); err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, ev := range events(t, data) {
		if ev["eventName"] == "CreateAccount" && strings.Contains(jsonText(t, ev), account.ID) {
			found++
		}
	}
	if found != 1 {
		t.Errorf("the new account is recorded %d times, want once", found)
	}
}

func events(t *testing.T, data string) []map[string]any {
	t.Helper()
	var all []map[string]any
	for r, err := range audit.Read(filepath.Join(data, "audit"), 1) {
		if err != nil {
			t.Fatal(err)
		}
		var ev map[string]any
		if err := json.Unmarshal(r.Event, &ev); err != nil {
			t.Fatal(err)
		}
		all = append(all, ev)
	}
	return all
}

func jsonText(t *testing.T, v any) string {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestOperatorIsRecorded gives commands through the socket and looks for what the
// audit log says of them, and that it says nothing secret.
func TestOperatorIsRecorded(t *testing.T) {
	data := filepath.Join(shortTemp(t), "d")
	s, recovery := startNew(t, data)
	o := openOperator(t, data)
	if !o.Running() {
		t.Fatal("the running server was not found")
	}
	const passphrase = "correct horse battery staple"
	if _, err := o.AddPassphrase(t.Context(), passphrase, "in the safe"); err != nil {
		t.Fatal(err)
	}
	made, err := o.ReplaceRecoveryKey(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := o.RemoveSlot(t.Context(), "0123456789abcdef", false); err == nil {
		t.Error("a slot that does not exist was removed")
	}
	var backup bytes.Buffer
	if _, err := o.Backup(t.Context(), &backup); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	type phase struct{ name, phase, code string }
	got := map[phase]int{}
	for _, ev := range events(t, data) {
		text := jsonText(t, ev)
		for _, secret := range []string{passphrase, recovery, made.RecoveryKey} {
			if strings.Contains(text, secret) {
				t.Errorf("a secret is in the audit log: %s", text)
			}
		}
		if ev["eventSource"] != "keywright.amazonaws.com" {
			continue
		}
		additional, _ := ev["additionalEventData"].(map[string]any)
		operator, _ := additional["operator"].(map[string]any)
		if uid, ok := operator["uid"].(float64); !ok || int(uid) != os.Getuid() {
			t.Errorf("the record does not say who did it: %s", text)
		}
		p, _ := additional["phase"].(string)
		code, _ := ev["errorCode"].(string)
		got[phase{ev["eventName"].(string), p, code}]++
	}
	for _, want := range []phase{
		{"AddKeySlot", "begin", ""}, {"AddKeySlot", "end", ""},
		{"ReplaceRecoveryKey", "begin", ""}, {"ReplaceRecoveryKey", "end", ""},
		{"RemoveKeySlot", "begin", ""}, {"RemoveKeySlot", "end", "OperationFailed"},
		{"BackUpStore", "begin", ""}, {"BackUpStore", "end", ""},
	} {
		if got[want] != 1 {
			t.Errorf("%v was recorded %d times, want once", want, got[want])
		}
	}
}

func TestOperatorNeedsAStore(t *testing.T) {
	data := filepath.Join(shortTemp(t), "d")
	if _, err := server.DialOperator(t.Context(), data); !errors.Is(err, server.ErrNotRunning) {
		t.Errorf("error %v, want ErrNotRunning", err)
	}
	if _, err := server.OpenOperator(t.Context(), server.Config{Data: data}, slog.New(slog.DiscardHandler)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("error %v, want fs.ErrNotExist", err)
	}
	if _, err := os.Stat(data); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a data folder was made (%v)", err)
	}
}

// TestSocketPlace holds that nothing but a socket is replaced by the operator's.
func TestSocketPlace(t *testing.T) {
	data, _ := newFolder(t)
	path := filepath.Join(data, "operator.sock")
	if err := os.WriteFile(path, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := server.Start(t.Context(), server.Config{Data: data, Listen: "127.0.0.1:0", OperatorListen: "off"}, nil)
	if err == nil || !strings.Contains(err.Error(), "is not a socket") {
		t.Errorf("error %v, want one about the file", err)
	}
	if text, err := os.ReadFile(path); string(text) != "mine" {
		t.Errorf("the file holds %q (%v)", text, err)
	}
}

func TestCredentialsFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "credentials")
	put := func(profile, id string) {
		t.Helper()
		if err := server.PutCredentials(path, profile, "111122223333", id, "secret-"+id); err != nil {
			t.Fatal(err)
		}
	}
	put("default", "A")
	put("other", "B")
	put("default", "C")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	const comment = "# Root access key of account 111122223333. Whoever has it can do everything in the account.\n"
	want := "[other]\n" + comment + "aws_access_key_id = B\naws_secret_access_key = secret-B\n\n" +
		"[default]\n" + comment + "aws_access_key_id = C\naws_secret_access_key = secret-C\n"
	if string(text) != want {
		t.Errorf("the file holds\n%s\nwant\n%s", text, want)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, want 0600 (%v)", info.Mode(), err)
	}
}

// TestCloseDuringCommand closes a server in the middle of a rotation of the store
// key: the command is cut off before the store is, and can be run again.
func TestCloseDuringCommand(t *testing.T) {
	data := filepath.Join(shortTemp(t), "d")
	var recovery string
	s, err := server.Start(t.Context(), server.Config{
		Data: data, Listen: "127.0.0.1:0", OperatorListen: "off", ShutdownTimeout: 50 * time.Millisecond,
		ShowRecoveryKey: func(key string) { recovery = key },
	}, slog.New(slog.NewTextHandler(t.Output(), nil)))
	if err != nil {
		t.Fatal(err)
	}
	secrets := server.Unlockers{RecoveryKeys: []string{recovery}}
	o := openOperator(t, data)
	done := make(chan error, 1)
	go func() {
		_, err := o.RotateStoreKey(t.Context(), secrets, nil) // waits 10 s for readers
		done <- err
	}()
	// It is under way once another operation on the slots is refused.
	for {
		_, err := o.RemoveSlot(t.Context(), "0123456789abcdef", false)
		if strings.Contains(err.Error(), "another operation on the key slots is running") {
			break
		}
		time.Sleep(time.Millisecond)
	}
	if err := s.Close(context.Background()); err != nil && !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
	if err := <-done; err == nil {
		t.Error("the rotation says it was done")
	}
	o = openOperator(t, data)
	if _, err := o.RotateStoreKey(t.Context(), secrets, nil); err != nil {
		t.Error(err)
	}
	check, err := o.CheckStore(t.Context(), nil)
	if err != nil || len(check.Problems) > 0 {
		t.Errorf("the store has problems: %+v (%v)", check, err)
	}
	if err := o.Close(); err != nil {
		t.Error(err)
	}
}

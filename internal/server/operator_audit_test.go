package server_test

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/keywright/keywright/internal/audit"
	"github.com/keywright/keywright/internal/server"
)

// fill has an operator leave records in a log of small segments, and restarts
// in between so that more than one segment is closed.
func fill(t *testing.T, data string) {
	t.Helper()
	for range 3 {
		o, err := server.OpenOperator(t.Context(), server.Config{Data: data, Audit: server.AuditConfig{SegmentBytes: 2000}}, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		for range 6 {
			if _, err := o.Accounts(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if err := o.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// verifyAudit verifies with the recovery key, or without where it is "".
func verifyAudit(t *testing.T, data, dir, recovery string) (*server.AuditReport, error) {
	t.Helper()
	o := openOperator(t, data)
	defer o.Close()
	if recovery == "" {
		return o.VerifyAudit(t.Context())
	}
	return o.VerifyAuditWithRecoveryKey(t.Context(), data, dir, recovery)
}

func mustVerifyAudit(t *testing.T, data, dir, recovery string) *server.AuditReport {
	t.Helper()
	r, err := verifyAudit(t, data, dir, recovery)
	if err != nil {
		t.Fatal(err)
	}
	if r.Damage != nil {
		t.Fatalf("damaged: %s", r.Damage)
	}
	return r
}

func TestVerifyAudit(t *testing.T) {
	data, recovery := newFolder(t)
	fill(t, data)
	own := mustVerifyAudit(t, data, "", "")
	if own.Segments < 3 || own.AuthenticatedFrom <= 1 || own.AuthenticatedWith != server.WithServerKey {
		t.Errorf("with the server's key: %+v", own)
	}
	all := mustVerifyAudit(t, data, "", recovery)
	if all.AuthenticatedFrom != 1 || all.AuthenticatedWith != server.WithRecoveryKey || all.FirstSequence != 1 || all.LastSequence != all.Records || len(all.Chain) != 32 {
		t.Errorf("with the recovery key: %+v", all)
	}
	// Beside a running server too.
	s := startOn(t, data)
	if r := mustVerifyAudit(t, data, "", recovery); r.AuthenticatedFrom != 1 || r.LastSequence <= all.LastSequence {
		t.Errorf("beside a server: %+v", r)
	}
	if r := mustVerifyAudit(t, data, "", ""); r.AuthenticatedFrom <= 1 {
		t.Errorf("by a server: %+v", r)
	}
	if _, err := server.BeginAudit(t.Context(), server.Config{Data: data}, recovery, slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), "stop it first") {
		t.Errorf("a new log beside a server: %v", err)
	}
	if err := s.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	_, other := newFolder(t)
	if _, err := verifyAudit(t, data, "", other); err == nil || !strings.Contains(err.Error(), "authenticates nothing") {
		t.Errorf("with another recovery key: %v", err)
	}
	if _, err := verifyAudit(t, data, "", recovery[:20]); err == nil || !strings.Contains(err.Error(), "reading the recovery key") {
		t.Errorf("with half of it: %v", err)
	}
}

// TestRecoveryKeyReplaced: the old recovery key goes on authenticating the whole
// log, the new one what follows.
func TestRecoveryKeyReplaced(t *testing.T) {
	data, old := newFolder(t)
	fill(t, data)
	o := openOperator(t, data)
	made, err := o.ReplaceRecoveryKey(t.Context(), "")
	if err != nil || o.Close() != nil {
		t.Fatal(err)
	}
	if made.AuditProblem != "" || made.AuditFrom <= 1 {
		t.Errorf("the new recovery key authenticates from %d on, problem %q", made.AuditFrom, made.AuditProblem)
	}
	fill(t, data)
	if r := mustVerifyAudit(t, data, "", made.RecoveryKey); r.AuthenticatedFrom != made.AuditFrom || r.AuthenticatedWith != server.WithRecoveryKey {
		t.Errorf("with the new one: %+v", r)
	}
	if r := mustVerifyAudit(t, data, "", old); r.AuthenticatedFrom != 1 {
		t.Errorf("with the old one: %+v", r)
	}
}

// TestReplacedLog: somebody who has the store can begin another log, and even
// move the recovery key's records of the old one to it. The recovery key tells.
func TestReplacedLog(t *testing.T) {
	data, recovery := newFolder(t)
	fill(t, data)
	before := mustVerifyAudit(t, data, "", recovery)
	made, err := server.BeginAudit(t.Context(), server.Config{Data: data}, "", slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	after := mustVerifyAudit(t, data, "", "")
	if after.Chain == before.Chain || after.AuthenticatedFrom != 1 {
		t.Errorf("the new log: %+v", after)
	}
	if _, err := verifyAudit(t, data, "", recovery); err == nil || !strings.Contains(err.Error(), "authenticates nothing") {
		t.Errorf("the new log, with the recovery key: %v", err)
	}
	o := openOperator(t, data)
	if err := server.CopyAuditBoxes(t.Context(), o, before.Chain, after.Chain); err != nil || o.Close() != nil {
		t.Fatal(err)
	}
	if _, err := verifyAudit(t, data, "", recovery); err == nil || !strings.Contains(err.Error(), "authenticates nothing") {
		t.Errorf("with the keys of the old log in the place of its own: %v", err)
	}
	// The old log is where it was put, and still verifies.
	if r := mustVerifyAudit(t, data, made.Aside, recovery); r.AuthenticatedFrom != 1 || r.Chain != before.Chain {
		t.Errorf("the old log: %+v", r)
	}
}

func TestLostAudit(t *testing.T) {
	data, recovery := newFolder(t)
	cfg := server.Config{Data: data, Listen: "127.0.0.1:0", OperatorListen: "off"}
	if err := os.RemoveAll(filepath.Join(data, "audit")); err != nil {
		t.Fatal(err)
	}
	_, err := server.Start(t.Context(), cfg, nil)
	var hint interface{ Hint() string }
	if !errors.Is(err, audit.ErrMissing) || !errors.As(err, &hint) || !strings.Contains(hint.Hint(), "keywright audit new-chain") {
		t.Fatalf("without its log the server says %v", err)
	}
	_, other := newFolder(t)
	for _, wrong := range []string{other, "KWRK"} {
		if _, err := server.BeginAudit(t.Context(), cfg, wrong, slog.New(slog.DiscardHandler)); err == nil {
			t.Error("a new log was begun with a recovery key that is none of the store's")
		}
	}
	made, err := server.BeginAudit(t.Context(), cfg, recovery, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if made.Aside != "" || !made.Covered {
		t.Errorf("made %+v", made)
	}
	if all := events(t, data); len(all) == 0 || all[0]["eventName"] != "BeginAuditLog" {
		t.Errorf("the new log begins with %v", all)
	}
	if r := mustVerifyAudit(t, data, "", recovery); r.AuthenticatedFrom != 1 {
		t.Errorf("the new log: %+v", r)
	}
	s := startOn(t, data)
	if err := s.Close(context.Background()); err != nil {
		t.Error(err)
	}
	if _, err := server.BeginAudit(t.Context(), server.Config{Data: shortTemp(t)}, "", slog.New(slog.DiscardHandler)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("on a folder that is none of ours: %v", err)
	}
}

// TestRestoredAudit: the log of a restored store is covered by the recovery key
// where that opened the backup; where it was not at hand, a new one covers it.
func TestRestoredAudit(t *testing.T) {
	data, recovery := newFolder(t)
	o := openOperator(t, data)
	var backup bytes.Buffer
	if _, err := o.Backup(t.Context(), &backup); err != nil || o.Close() != nil {
		t.Fatal(err)
	}
	restore := func(u server.Unlockers) string {
		t.Helper()
		to := filepath.Join(shortTemp(t), "r")
		if _, err := server.Restore(t.Context(), bytes.NewReader(backup.Bytes()), server.Restoration{Data: to, Unlock: u}, slog.New(slog.DiscardHandler)); err != nil {
			t.Fatal(err)
		}
		return to
	}
	with := restore(server.Unlockers{RecoveryKeys: []string{recovery}})
	if r := mustVerifyAudit(t, with, "", recovery); r.AuthenticatedFrom != 1 {
		t.Errorf("restored with the recovery key: %+v", r)
	}
	// The restored store verifies a copy of the log of the one it was made from.
	if r := mustVerifyAudit(t, with, filepath.Join(data, "audit"), recovery); r.AuthenticatedFrom != 1 {
		t.Errorf("the log of the first store: %+v", r)
	}
	without := restore(server.Unlockers{RootKeys: []string{filepath.Join(data, "root.key")}})
	if _, err := verifyAudit(t, without, "", recovery); err == nil || !strings.Contains(err.Error(), "authenticates nothing") {
		t.Errorf("restored with the root key: %v", err)
	}
	o = openOperator(t, without)
	made, err := o.ReplaceRecoveryKey(t.Context(), "")
	if err != nil || o.Close() != nil {
		t.Fatal(err)
	}
	if r := mustVerifyAudit(t, without, "", made.RecoveryKey); r.AuthenticatedFrom != 1 {
		t.Errorf("with the new recovery key: %+v", r)
	}
}

// TestDamagedAudit: a byte of a closed segment that is not as it was is found.
func TestDamagedAudit(t *testing.T) {
	data, recovery := newFolder(t)
	fill(t, data)
	dir := filepath.Join(data, "audit")
	segments, err := filepath.Glob(filepath.Join(dir, "*.log*"))
	if err != nil || len(segments) < 3 {
		t.Fatalf("segments %v, %v", segments, err)
	}
	good, err := os.ReadFile(segments[0])
	if err != nil {
		t.Fatal(err)
	}
	bad := bytes.Clone(good)
	bad[len(bad)/2] ^= 1
	if err := os.WriteFile(segments[0], bad, 0o600); err != nil {
		t.Fatal(err)
	}
	name := strings.TrimSuffix(filepath.Base(segments[0]), ".gz") // it may be compressed yet
	for _, key := range []string{"", recovery} {
		r, err := verifyAudit(t, data, "", key)
		if err != nil || r.Damage == nil || strings.TrimSuffix(r.Damage.Segment, ".gz") != name {
			t.Errorf("got %+v, %v", r, err)
		}
	}
	if r, err := server.VerifyAuditFolder(t.Context(), dir); err != nil || r.Damage == nil {
		t.Errorf("the folder alone: %+v, %v", r, err)
	}
}

func TestAccessKeysOfOperator(t *testing.T) {
	data, _ := newFolder(t)
	o := openOperator(t, data)
	defer o.Close()
	accounts, err := o.Accounts(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	account := accounts[0].ID
	for _, c := range []struct{ profile, want string }{
		{"", account}, {"", account + "-2"}, {"other", "other"}, {"", account + "-3"}, {account, account}, {"default", "default"},
	} {
		made, err := o.CreateAccessKey(t.Context(), account, c.profile)
		if err != nil || made.Profile != c.want {
			t.Errorf("profile %q: got %+v, %v", c.profile, made, err)
		}
	}
	for _, bad := range []string{"a b", "x]", "[x", "a\nb"} {
		if _, err := o.CreateAccessKey(t.Context(), account, bad); err == nil {
			t.Errorf("profile %q was taken", bad)
		}
	}
	text, err := os.ReadFile(filepath.Join(data, "credentials"))
	if err != nil || strings.Count(string(text), "[") != 5 {
		t.Errorf("the credentials file has %d profiles, want 5 (%v)", strings.Count(string(text), "["), err)
	}
	keys, err := o.AccessKeys(t.Context(), account)
	if err != nil || len(keys) != 7 {
		t.Errorf("%d access keys, want 7 (%v)", len(keys), err)
	}
}

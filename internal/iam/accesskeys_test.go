package iam_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/keywright/keywright/internal/awsapi"
	"github.com/keywright/keywright/internal/iam"
	"github.com/keywright/keywright/internal/sigv4"
	"github.com/keywright/keywright/internal/store"
)

// accessKeys lists the access keys of the account as "id", or "-id" where one is
// inactive, by what they were called in names.
func (w *world) accessKeys(names map[string]string) string {
	w.Helper()
	all, err := w.service.AccessKeys(w.Context(), account)
	if err != nil {
		w.Fatal(err)
	}
	have := map[string]bool{}
	for _, k := range all {
		name := names[k.ID]
		if k.Inactive {
			name = "-" + name
		}
		have[name] = true
		if _, err := w.find(k.ID); k.Inactive != errors.Is(err, store.ErrNotFound) {
			w.Errorf("access key %s: found with %v", name, err)
		}
	}
	var out []string
	for _, name := range []string{"first", "-first", "second", "-second"} {
		if have[name] {
			out = append(out, name)
		}
	}
	return strings.Join(out, " ")
}

func TestAccessKeys(t *testing.T) {
	w := newWorld(t)
	first := w.create(account)
	w.create("444455556666") // whose keys are none of the account's
	delivered := iam.Credentials{}
	second, err := w.service.CreateAccessKey(t.Context(), account, func(c iam.Credentials) error {
		delivered = c
		return nil
	})
	if err != nil || delivered != second || second.Account != account || second.AccessKeyID == first.AccessKeyID {
		t.Fatalf("got %v, delivered %v, %v", second, delivered, err)
	}
	k, err := w.find(second.AccessKeyID)
	if err != nil {
		t.Fatal(err)
	}
	got, err := w.service.SigningKey(t.Context(), k, "20260102", "eu-central-1", "kms")
	if want := sigv4.SigningKey(second.SecretAccessKey, "20260102", "eu-central-1", "kms"); err != nil || got != want {
		t.Errorf("the key signs with another secret than was delivered: %v", err)
	}
	names := map[string]string{first.AccessKeyID: "first", second.AccessKeyID: "second"}
	a, b := first.AccessKeyID, second.AccessKeyID
	set := func(id string, active, force bool) error {
		return w.service.SetAccessKeyActive(t.Context(), id, active, force)
	}
	remove := func(id string, force bool) error { return w.service.DeleteAccessKey(t.Context(), id, force) }
	for i, step := range []struct {
		do   func() error
		code string
		left string
	}{
		{func() error { return set(a, false, false) }, "", "-first second"},
		{func() error { return set(a, false, false) }, "", "-first second"},
		{func() error { return set(b, false, false) }, iam.CodeDeleteConflict, "-first second"},
		{func() error { return remove(b, false) }, iam.CodeDeleteConflict, "-first second"},
		{func() error { return set(a, true, false) }, "", "first second"},
		{func() error { return remove(b, false) }, "", "first"},
		{func() error { return remove(b, false) }, iam.CodeNoSuchEntity, "first"},
		{func() error { return set(b, true, false) }, iam.CodeNoSuchEntity, "first"},
		{func() error { return remove(a, false) }, iam.CodeDeleteConflict, "first"},
		{func() error { return set(a, false, true) }, "", "-first"},
		{func() error { return remove(a, false) }, "", ""},
	} {
		if err := step.do(); step.code == "" && err != nil || step.code != "" && !isCode(err, step.code) {
			t.Errorf("step %d: got %v, want %q", i, err, step.code)
		}
		if got := w.accessKeys(names); got != step.left {
			t.Errorf("step %d leaves %q, want %q", i, got, step.left)
		}
	}
	if _, err := w.service.CreateAccessKey(t.Context(), account, accept); err != nil {
		t.Errorf("an account without access keys gets none: %v", err)
	}
	text, _ := w.records()
	for _, want := range []string{`"CreateAccessKey"`, `"UpdateAccessKey"`, `"DeleteAccessKey"`, `"status":"Inactive"`, `"recipientAccountId":"` + account + `"`} {
		if !strings.Contains(text, want) {
			t.Errorf("the audit log has no %s", want)
		}
	}
	if strings.Contains(text, second.SecretAccessKey) {
		t.Error("the audit log has a secret")
	}
}

func TestAccessKeysRefuse(t *testing.T) {
	w := newWorld(t)
	creds := w.create(account)
	if _, err := w.service.CreateAccessKey(t.Context(), "999999999999", func(iam.Credentials) error {
		t.Error("credentials of no account were delivered")
		return nil
	}); !isCode(err, iam.CodeNoSuchEntity) {
		t.Errorf("a key for no account: %v", err)
	}
	if _, err := w.service.AccessKeys(t.Context(), "999999999999"); !isCode(err, iam.CodeNoSuchEntity) {
		t.Errorf("the keys of no account: %v", err)
	}
	full := errors.New("the disk is full")
	if got, err := w.service.CreateAccessKey(t.Context(), account, func(iam.Credentials) error { return full }); !errors.Is(err, full) || got != (iam.Credentials{}) {
		t.Errorf("got %v, %v", got, err)
	}
	if got := w.accessKeys(map[string]string{creds.AccessKeyID: "first"}); got != "first" {
		t.Errorf("after a key that could not be delivered there is %q", got)
	}
	for _, id := range []string{"", "x", strings.ToLower(creds.AccessKeyID), "../" + creds.AccessKeyID} {
		if err := w.service.DeleteAccessKey(t.Context(), id, true); !isCode(err, awsapi.CodeValidation) {
			t.Errorf("deleting %q: %v", id, err)
		}
		if err := w.service.SetAccessKeyActive(t.Context(), id, false, true); !isCode(err, awsapi.CodeValidation) {
			t.Errorf("deactivating %q: %v", id, err)
		}
	}
}

// Of two calls that each take away one of the last two keys, one is refused.
func TestConcurrentDeactivation(t *testing.T) {
	w := newWorld(t)
	first := w.create(account)
	second, err := w.service.CreateAccessKey(t.Context(), account, accept)
	if err != nil {
		t.Fatal(err)
	}
	results := make(chan error)
	for _, id := range []string{first.AccessKeyID, second.AccessKeyID} {
		go func() { results <- w.service.SetAccessKeyActive(t.Context(), id, false, false) }()
	}
	if a, b := <-results, <-results; (a == nil) == (b == nil) {
		t.Errorf("got %v and %v", a, b)
	}
}

package iam_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"strings"
	"testing"

	"github.com/keywright/keywright/internal/audit"
	"github.com/keywright/keywright/internal/awsapi"
	"github.com/keywright/keywright/internal/call"
	"github.com/keywright/keywright/internal/clock"
	"github.com/keywright/keywright/internal/hsm/softhsm"
	"github.com/keywright/keywright/internal/iam"
	"github.com/keywright/keywright/internal/record"
	"github.com/keywright/keywright/internal/seal"
	"github.com/keywright/keywright/internal/sigv4"
	"github.com/keywright/keywright/internal/store"
	"github.com/keywright/keywright/internal/store/boltstore"
	"github.com/keywright/keywright/internal/store/faultstore"
)

const account = "111122223333"

type world struct {
	testing.TB
	faults  *faultstore.Store
	path    *call.Path
	service *iam.Service
	log     strings.Builder
	dir     string
}

type auditKeys struct {
	state audit.State
	saved bool
}

func (k *auditKeys) Load(context.Context) (audit.State, bool, error) { return k.state, k.saved, nil }
func (k *auditKeys) Save(_ context.Context, s audit.State) error {
	k.state, k.saved = s, true
	return nil
}

type sealer struct{ *seal.Keyring }

func (s sealer) Seal(path, b []byte) []byte          { return s.Keyring.Seal(string(path), b) }
func (s sealer) Open(path, b []byte) ([]byte, error) { return s.Keyring.Open(string(path), b) }

func newWorld(t testing.TB) *world {
	t.Helper()
	st, err := boltstore.OpenMemory(boltstore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { st.Close() })
	keyring, _, err := seal.Init(t.Context(), st, seal.NewMemoryRootKey())
	if err != nil {
		t.Fatal(err)
	}
	module, err := softhsm.New(softhsm.DomainKeys{Keys: map[uint32][]byte{1: make([]byte, softhsm.DomainKeySize)}, Active: 1}, softhsm.Options{Keys: 8})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { module.Close() })
	w := &world{TB: t, faults: faultstore.New(st), dir: t.TempDir()}
	guarded := keyring.Guard(w.faults)
	log, err := audit.Open(t.Context(), audit.Config{Dir: w.dir, Keys: new(auditKeys), ReserveBytes: -1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { log.Close() })
	w.path = &call.Path{
		DB: record.New(guarded, keyring, 1<<20), Audit: log, Outbox: audit.NewOutbox(guarded, sealer{keyring}, log),
		Clock: new(clock.Clock), Log: slog.New(slog.NewTextHandler(&w.log, nil)),
	}
	w.service = iam.New(w.path, module)
	return w
}

// accept delivers credentials to nowhere.
func accept(iam.Credentials) error { return nil }

func (w *world) create(id string) iam.Credentials {
	w.Helper()
	creds, err := w.service.CreateAccount(w.Context(), id, accept)
	if err != nil {
		w.Fatal(err)
	}
	return creds
}

func (w *world) view() *record.View {
	w.Helper()
	v, err := w.path.DB.View(w.Context())
	if err != nil {
		w.Fatal(err)
	}
	w.Cleanup(v.Close)
	return v
}

func (w *world) find(id string) (*iam.AccessKey, error) { return w.service.FindAccessKey(w.view(), id) }

// records returns the audit log as text, and how many of it tell of a success.
func (w *world) records() (text string, successes int) {
	w.Helper()
	if err := w.path.Outbox.Drain(w.Context()); err != nil {
		w.Fatal(err)
	}
	for r, err := range audit.Read(w.dir, 0) {
		if err != nil {
			w.Fatal(err)
		}
		text += string(r.Event) + "\n"
		if !strings.Contains(string(r.Event), `"errorCode"`) {
			successes++
		}
	}
	return text, successes
}

func isCode(err error, code string) bool {
	e, ok := errors.AsType[*awsapi.Error](err)
	return ok && e.Code == code
}

func TestCreateAccount(t *testing.T) {
	w := newWorld(t)
	var delivered iam.Credentials
	creds, err := w.service.CreateAccount(t.Context(), account, func(c iam.Credentials) error {
		if all, err := w.service.Accounts(t.Context()); err != nil || len(all) != 0 {
			t.Errorf("before the credentials are delivered there is %v, %v", all, err)
		}
		delivered = c
		return nil
	})
	if err != nil || delivered != creds || creds.Account != account {
		t.Fatalf("got %v, delivered %v, %v", creds, delivered, err)
	}
	if !regexp.MustCompile(`^AKIA[A-Z2-7]{16}$`).MatchString(creds.AccessKeyID) || len(creds.SecretAccessKey) != 40 {
		t.Errorf("the access key is %s, its secret has %d characters", creds.AccessKeyID, len(creds.SecretAccessKey))
	}
	k, err := w.find(creds.AccessKeyID)
	if err != nil || k.Account != account || k.ID != creds.AccessKeyID {
		t.Fatalf("found %+v, %v", k, err)
	}
	got, err := w.service.SigningKey(t.Context(), k, "20260102", "eu-central-1", "kms")
	if want := sigv4.SigningKey(creds.SecretAccessKey, "20260102", "eu-central-1", "kms"); err != nil || got != want {
		t.Errorf("the key signs with another secret than was delivered: %v", err)
	}
	for region, want := range map[string]string{"eu-central-1": "arn:aws:iam::111122223333:root", "cn-north-1": "arn:aws-cn:iam::111122223333:root"} {
		if root := k.Root(region); root.ARN != want || !root.Root || root.Account != account || root.AccessKeyID != k.ID {
			t.Errorf("the root in %s is %+v", region, root)
		}
	}
	if has, err := w.service.HasAccount(w.view(), account); err != nil || !has {
		t.Errorf("the account is there: %v, %v", has, err)
	}
	text, successes := w.records()
	if successes != 1 || !strings.Contains(text, `"CreateAccount"`) || !strings.Contains(text, creds.AccessKeyID) || strings.Contains(text, creds.SecretAccessKey) {
		t.Errorf("the audit log has %s", text)
	}
}

func TestCreateAccountRefuses(t *testing.T) {
	w := newWorld(t)
	creds := w.create(account)
	_, err := w.service.CreateAccount(t.Context(), account, func(iam.Credentials) error {
		t.Error("credentials of an account that exists were delivered")
		return nil
	})
	if !isCode(err, iam.CodeEntityAlreadyExists) {
		t.Errorf("an account that exists: %v", err)
	}
	if _, err := w.find(creds.AccessKeyID); err != nil {
		t.Errorf("the first access key: %v", err)
	}
	for _, id := range []string{"1", "11112222333", "1111222233334", "11112222333x", "../../../etc"} {
		if _, err := w.service.CreateAccount(t.Context(), id, accept); !isCode(err, awsapi.CodeValidation) {
			t.Errorf("id %q: %v", id, err)
		}
	}
	if all, err := w.service.Accounts(t.Context()); err != nil || len(all) != 1 {
		t.Errorf("accounts: %v, %v", all, err)
	}
}

func TestRandomAccounts(t *testing.T) {
	w := newWorld(t)
	seen := map[string]bool{}
	for range 20 {
		creds := w.create("")
		if !regexp.MustCompile(`^[1-9][0-9]{11}$`).MatchString(creds.Account) || seen[creds.Account] || seen[creds.AccessKeyID] {
			t.Errorf("account %s with key %s", creds.Account, creds.AccessKeyID)
		}
		seen[creds.Account], seen[creds.AccessKeyID] = true, true
	}
	all, err := w.service.Accounts(t.Context())
	if err != nil || len(all) != 20 {
		t.Fatalf("%d accounts, %v", len(all), err)
	}
	for i, a := range all {
		if !seen[a.ID] || i > 0 && a.ID <= all[i-1].ID {
			t.Errorf("account %d is %s", i, a.ID)
		}
	}
}

func TestUndeliveredAccountIsNotMade(t *testing.T) {
	w := newWorld(t)
	full := errors.New("the disk is full")
	for _, id := range []string{account, ""} {
		creds, err := w.service.CreateAccount(t.Context(), id, func(iam.Credentials) error { return full })
		if !errors.Is(err, full) || creds != (iam.Credentials{}) {
			t.Errorf("got %v, %v", creds, err)
		}
	}
	if all, err := w.service.Accounts(t.Context()); err != nil || len(all) != 0 {
		t.Errorf("accounts: %v, %v", all, err)
	}
	if _, successes := w.records(); successes != 0 {
		t.Errorf("%d records of success", successes)
	}
	w.create(account)
}

// A write that fails leaves the account with its key, or neither, and the audit
// log says the same.
func TestFaultsOfCreateAccount(t *testing.T) {
	for name, plan := range faultstore.Plans(1) {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			var creds iam.Credentials
			w.faults.Fail(plan)
			_, err := w.service.CreateAccount(t.Context(), account, func(c iam.Credentials) error {
				creds = c
				return nil
			})
			if !isCode(err, awsapi.CodeInternalFailure) || w.faults.Failed() != 1 {
				t.Fatalf("got %v, %d writes failed", err, w.faults.Failed())
			}
			w.faults.Fail(nil)
			has, err := w.service.HasAccount(w.view(), account)
			if err != nil || has != (plan[1] == faultstore.Persisted) {
				t.Fatalf("the account is there: %v, %v", has, err)
			}
			if _, err := w.find(creds.AccessKeyID); (err == nil) != has {
				t.Errorf("the account is there: %v, and its key: %v", has, err)
			}
			if _, successes := w.records(); successes != map[bool]int{true: 1}[has] {
				t.Errorf("the account is there: %v, with %d records of success", has, successes)
			}
			if _, err := w.service.CreateAccount(t.Context(), account, accept); has != isCode(err, iam.CodeEntityAlreadyExists) || !has && err != nil {
				t.Errorf("once more: %v", err)
			}
		})
	}
}

// Of two calls for one account, only that which makes it delivers credentials.
func TestConcurrentCreateAccount(t *testing.T) {
	w := newWorld(t)
	delivered := make(chan string, 8)
	results := make(chan error)
	for range 8 {
		go func() {
			_, err := w.service.CreateAccount(t.Context(), account, func(c iam.Credentials) error {
				delivered <- c.AccessKeyID
				return nil
			})
			results <- err
		}()
	}
	made := 0
	for range 8 {
		if err := <-results; err == nil {
			made++
		} else if !isCode(err, iam.CodeEntityAlreadyExists) {
			t.Error(err)
		}
	}
	close(delivered)
	if made != 1 || len(delivered) != 1 {
		t.Fatalf("%d calls made the account, %d delivered credentials", made, len(delivered))
	}
	if _, err := w.find(<-delivered); err != nil {
		t.Errorf("the key that was delivered: %v", err)
	}
}

func TestFindAccessKey(t *testing.T) {
	w := newWorld(t)
	creds := w.create(account)
	for _, id := range []string{
		"", "AKIA", "AKIAAAAAAAAAAAAAAAAA", strings.ToLower(creds.AccessKeyID), creds.AccessKeyID + "A", creds.AccessKeyID[:19] + "/",
		strings.Repeat("A", 129), "../" + creds.AccessKeyID, account,
	} {
		if k, err := w.find(id); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("%q: %v, %v", id, k, err)
		}
	}
}

// put replaces a record.
func (w *world) put(path string, rec any) {
	w.Helper()
	plain, err := json.Marshal(rec)
	if err != nil {
		w.Fatal(err)
	}
	tx := w.path.DB.Tx()
	tx.Do(w.path.DB.SealOp([]byte(path), plain))
	if _, err := tx.Commit(w.Context()); err != nil {
		w.Fatal(err)
	}
}

func TestRecordsOfNewerProgramsAreRefused(t *testing.T) {
	w := newWorld(t)
	creds := w.create(account)
	k, err := w.find(creds.AccessKeyID)
	if err != nil {
		t.Fatal(err)
	}
	newer := *k
	newer.Version = 2
	more := struct {
		iam.AccessKey
		Until int `json:"until"`
	}{*k, 5}
	for name, rec := range map[string]any{"version": &newer, "field": &more} {
		w.put("accesskey/"+k.ID, rec)
		if _, err := w.find(k.ID); err == nil || errors.Is(err, store.ErrNotFound) || !strings.Contains(err.Error(), k.ID) {
			t.Errorf("an access key of a newer %s: %v", name, err)
		}
	}
	w.put("account/"+account, &iam.Account{Version: 2, ID: account})
	if _, err := w.service.Accounts(t.Context()); err == nil || !strings.Contains(err.Error(), "use a newer one") {
		t.Errorf("an account of a newer version: %v", err)
	}
}

func TestCredentialsAreNotPrinted(t *testing.T) {
	c := iam.Credentials{Account: account, AccessKeyID: "AKIAEXAMPLE", SecretAccessKey: "the-secret"}
	nested := struct{ C *iam.Credentials }{&c}
	all := []any{c, &c, []iam.Credentials{c}, nested, map[string]any{"c": c}}
	for _, v := range all {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
			if got := fmt.Sprintf(verb, v); strings.Contains(got, "the-secret") || strings.Contains(got, fmt.Sprintf("%x", "the-secret")) {
				t.Errorf("%s of %T prints %s", verb, v, got)
			}
		}
		text, err := json.Marshal(v)
		if err != nil || strings.Contains(string(text), "the-secret") {
			t.Errorf("JSON of %T: %s, %v", v, text, err)
		}
		var log strings.Builder
		for _, handler := range []slog.Handler{slog.NewTextHandler(&log, nil), slog.NewJSONHandler(&log, nil)} {
			slog.New(handler).Info("made", "credentials", v)
		}
		if strings.Contains(log.String(), "the-secret") {
			t.Errorf("the log of %T has %s", v, log.String())
		}
	}
	if got := fmt.Sprint(c); !strings.Contains(got, "AKIAEXAMPLE") || !strings.Contains(got, account) {
		t.Errorf("printed as %s", got)
	}
}

func TestPutAccessKey(t *testing.T) {
	w := newWorld(t)
	w.create(account)
	w.create("444455556666")
	const id, secret, second = "AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG", "another/secret/of/it"
	put := func(account, secret string) (string, error) {
		return w.service.PutAccessKey(t.Context(), account, id, secret)
	}
	for i, c := range []struct{ secret, did string }{{secret, "created"}, {secret, ""}, {second, "updated"}, {second, ""}} {
		if did, err := put(account, c.secret); err != nil || did != c.did {
			t.Fatalf("call %d did %q, %v", i, did, err)
		}
		k, err := w.find(id)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := w.service.SigningKey(t.Context(), k, "20260102", "us-east-1", "kms"); err != nil || got != sigv4.SigningKey(c.secret, "20260102", "us-east-1", "kms") {
			t.Errorf("call %d: the key has another secret: %v", i, err)
		}
	}
	if _, err := put("444455556666", secret); !isCode(err, iam.CodeEntityAlreadyExists) {
		t.Errorf("another account's access key: %v", err)
	}
	if _, err := w.service.PutAccessKey(t.Context(), "999999999999", "AKIAIOSFODNN7EXAMPLF", secret); !isCode(err, iam.CodeNoSuchEntity) {
		t.Errorf("an account that does not exist: %v", err)
	}
	for id, secret := range map[string]string{"short": secret, "akiaiosfodnn7example": secret, "AKIAIOSFODNN7EXAMPLG": "short", "AKIAIOSFODNN7EXAMPLH": strings.Repeat("s", 129)} {
		if _, err := w.service.PutAccessKey(t.Context(), account, id, secret); err == nil || strings.Contains(err.Error(), secret) {
			t.Errorf("access key %q with a secret of %d bytes: %v", id, len(secret), err)
		}
	}
	if text, successes := w.records(); successes != 4 || strings.Contains(text, secret) || strings.Contains(text, second) {
		t.Errorf("%d records of success in %s", successes, text)
	}
}

package secretenv_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/kms/types"

	"github.com/keywright/keywright/esdk"
	"github.com/keywright/keywright/esdk/keyring"
	"github.com/keywright/keywright/esdk/materials"
	"github.com/keywright/keywright/esdk/secretenv"
)

func TestEnviron(t *testing.T) {
	f := newFixture(t)
	folded := f.ciphertext(t, "folded", nil)
	folded = folded[:30] + "\n" + folded[30:] + "\n"
	environ := []string{
		"PATH=/bin",
		"DB_PASSWORD=" + f.ciphertext(t, "hunter2\n", nil),
		"EMPTY=",
		"no entry",
		"=C:=kms-ciphertext:",
		"TLS_KEY=" + f.message(t, "a=b, and more: ü\xff", nil),
		"DB_PASSWORD=" + f.ciphertext(t, "once more", nil),
		"NOTE=see kms-ciphertext:AQIC",
		"ARN=kms:Decrypt",
		"NOTHING=" + f.message(t, "", nil),
		"FOLDED=" + folded,
		"NESTED=" + f.message(t, "kms-ciphertext:AQIC", nil),
	}
	before := slices.Clone(environ)
	got, err := f.Environ(t.Context(), environ)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"PATH=/bin",
		"DB_PASSWORD=hunter2\n",
		"EMPTY=",
		"no entry",
		"=C:=kms-ciphertext:",
		"TLS_KEY=a=b, and more: ü\xff",
		"DB_PASSWORD=once more",
		"NOTE=see kms-ciphertext:AQIC",
		"ARN=kms:Decrypt",
		"NOTHING=",
		"FOLDED=folded",
		"NESTED=kms-ciphertext:AQIC", // the plaintext of something is not looked at again
	}
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	if !slices.Equal(environ, before) {
		t.Error("its argument was modified")
	}
}

// One that fails fails all, and each is named, without its value.
func TestEnvironErrors(t *testing.T) {
	f := newFixture(t)
	good := f.ciphertext(t, "hush-hush", nil)
	environ, err := f.Environ(t.Context(), []string{
		"GOOD=" + good,
		"SHORT=kms-ciphertext:",
		"WEIRD=esdk-message:s3cret!",
		"NUL=" + f.message(t, "s3cret\x00s3cret", nil),
		"NUL_AT_END=" + f.ciphertext(t, "s3cret\x00", nil),
		"FOREIGN=" + f.ciphertext(t, "x", map[string]string{"a": "1"}),
		"TAMPERED=" + f.message(t, "x", nil)[:13+40],
		"PLAIN=x",
	})
	if environ != nil {
		t.Errorf("with an error, the environment %q", environ)
	}
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		t.Fatalf("not joined: %v", err)
	}
	want := []struct {
		name  string
		cause error
	}{
		{"SHORT", secretenv.ErrMalformed}, {"WEIRD", secretenv.ErrMalformed}, {"NUL", secretenv.ErrNUL},
		{"NUL_AT_END", secretenv.ErrNUL}, {"FOREIGN", nil}, {"TAMPERED", esdk.ErrTruncated},
	}
	errs := joined.Unwrap()
	if len(errs) != len(want) {
		t.Fatalf("%d errors, want %d: %v", len(errs), len(want), err)
	}
	for i, w := range want {
		e, ok := errors.AsType[*secretenv.ValueError](errs[i])
		if !ok || e.Name != w.name || w.cause != nil && !errors.Is(e, w.cause) {
			t.Errorf("error %d is %v, want one of %s: %v", i, errs[i], w.name, w.cause)
		}
	}
	if _, ok := errors.AsType[*types.InvalidCiphertextException](errs[4]); !ok {
		t.Errorf("the service's error is not in %v", errs[4])
	}
	for _, part := range []string{"hush-hush", "s3cret", good[len(good)-20:]} {
		if strings.Contains(err.Error(), part) {
			t.Errorf("%q is in the error: %v", part, err)
		}
	}
}

// A value that was moved to another variable is refused, if it is bound.
func TestNameKey(t *testing.T) {
	f := newFixture(t)
	f.EncryptionContext = map[string]string{"stage": "prod"}
	f.NameKey = "variable"
	bound := map[string]string{"stage": "prod", "variable": "A"}
	for _, tt := range []struct {
		name, value string
		ok          bool
	}{
		{"A", f.ciphertext(t, "x", bound), true},
		{"A", f.message(t, "x", bound), true},
		{"A", f.message(t, "x", map[string]string{"stage": "prod", "variable": "A", "more": "1"}), true},
		{"B", f.ciphertext(t, "x", bound), false},
		{"B", f.message(t, "x", bound), false},
		{"A", f.ciphertext(t, "x", map[string]string{"stage": "prod"}), false},
		{"A", f.message(t, "x", map[string]string{"stage": "prod"}), false},
		{"A", f.ciphertext(t, "x", map[string]string{"stage": "test", "variable": "A"}), false},
		{"A", f.message(t, "x", map[string]string{"stage": "test", "variable": "A"}), false},
		{"A", f.ciphertext(t, "x", nil), false},
		{"A", f.message(t, "x", nil), false},
	} {
		got, err := f.Environ(t.Context(), []string{tt.name + "=" + tt.value})
		if tt.ok && (err != nil || got[0] != tt.name+"=x") {
			t.Errorf("%s=%.13s…: %q, %v", tt.name, tt.value, got, err)
		}
		if !tt.ok && err == nil {
			t.Errorf("%s=%.13s… was decrypted", tt.name, tt.value)
		}
	}

	f.EncryptionContext["variable"] = "A"
	if _, err := f.Open(t.Context(), "A", f.ciphertext(t, "x", bound)); !errors.Is(err, secretenv.ErrNameKey) {
		t.Errorf("with the NameKey in the context: %v", err)
	}
}

// Some keyrings, such as the raw RSA one, do not authenticate the encryption
// context. The header of the message does, so that binding holds with them too.
func TestNameKeyInHeader(t *testing.T) {
	ring, err := keyring.NewRawAES("test", "1", make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	f := &fixture{manager: esdk.Using(contextless{ring})}
	d := &secretenv.Decrypter{Messages: secretenv.Messages(esdk.New(esdk.Config{}), f.manager), NameKey: "variable"}
	if got, err := d.Open(t.Context(), "A", f.message(t, "x", map[string]string{"variable": "A"})); err != nil || string(got) != "x" {
		t.Errorf("%q, %v", got, err)
	}
	if _, err := d.Open(t.Context(), "A", f.message(t, "x", nil)); !errors.Is(err, esdk.ErrAuthentication) {
		t.Errorf("a message that is not bound: %v", err)
	}
}

// contextless keeps the encryption context from a keyring.
type contextless struct{ ring materials.Keyring }

func (c contextless) OnEncrypt(ctx context.Context, m *materials.EncryptionMaterials) error {
	whole := m.EncryptionContext
	m.EncryptionContext = nil
	defer func() { m.EncryptionContext = whole }()
	return c.ring.OnEncrypt(ctx, m)
}

func (c contextless) OnDecrypt(ctx context.Context, m *materials.DecryptionMaterials, keys []materials.EncryptedDataKey) error {
	whole := m.EncryptionContext
	m.EncryptionContext = nil
	defer func() { m.EncryptionContext = whole }()
	return c.ring.OnDecrypt(ctx, m, keys)
}

func TestLookup(t *testing.T) {
	f := newFixture(t)
	t.Setenv("SECRETENV_PLAIN", "as it is")
	t.Setenv("SECRETENV_SECRET", f.ciphertext(t, "hunter2", nil))
	t.Setenv("SECRETENV_BROKEN", "kms-ciphertext:?")
	for name, want := range map[string]string{"SECRETENV_PLAIN": "as it is", "SECRETENV_SECRET": "hunter2"} {
		if got, ok, err := f.Lookup(t.Context(), name); got != want || !ok || err != nil {
			t.Errorf("%s is %q, %v, %v", name, got, ok, err)
		}
	}
	if got, ok, err := f.Lookup(t.Context(), "SECRETENV_MISSING"); got != "" || ok || err != nil {
		t.Errorf("one that is not there is %q, %v, %v", got, ok, err)
	}
	got, ok, err := f.Lookup(t.Context(), "SECRETENV_BROKEN")
	if e, is := errors.AsType[*secretenv.ValueError](err); got != "" || !ok || !is || e.Name != "SECRETENV_BROKEN" {
		t.Errorf("a broken one is %q, %v, %v", got, ok, err)
	}
}

// What nothing is configured for is an error, and never passed on as it is.
func TestNoOpener(t *testing.T) {
	var d secretenv.Decrypter
	for _, value := range []string{"kms-ciphertext:AQIC", "esdk-message:AgV4"} {
		if got, err := d.Open(t.Context(), "A", value); got != nil || !errors.Is(err, secretenv.ErrNoOpener) {
			t.Errorf("%s is %q, %v", value, got, err)
		}
	}
	if got, err := d.Open(t.Context(), "A", "plain"); string(got) != "plain" || err != nil {
		t.Errorf("plain is %q, %v", got, err)
	}
}

// opener is one of the test's own.
type opener func(ciphertext []byte) ([]byte, error)

func (o opener) Open(_ context.Context, ciphertext []byte, _ map[string]string) ([]byte, error) {
	return o(ciphertext)
}

// Plaintext is wiped when it is in the environment, and when it cannot be.
func TestWiped(t *testing.T) {
	var plaintext []byte
	d := secretenv.Decrypter{KMS: opener(func(c []byte) ([]byte, error) {
		plaintext = []byte{'x', c[0]}
		return plaintext, nil
	})}
	t.Setenv("SECRETENV_A", "kms-ciphertext:QQ==")
	if got, _, err := d.Lookup(t.Context(), "SECRETENV_A"); got != "xA" || err != nil || string(plaintext) != "\x00\x00" {
		t.Errorf("Lookup is %q, %v and leaves %q", got, err, plaintext)
	}
	if got, err := d.Environ(t.Context(), []string{"A=kms-ciphertext:QQ=="}); got[0] != "A=xA" || err != nil || string(plaintext) != "\x00\x00" {
		t.Errorf("Environ is %q, %v and leaves %q", got, err, plaintext)
	}
	if _, err := d.Environ(t.Context(), []string{"A=kms-ciphertext:AA=="}); !errors.Is(err, secretenv.ErrNUL) || string(plaintext) != "\x00\x00" {
		t.Errorf("Environ of a zero byte is %v and leaves %q", err, plaintext)
	}
}

// As many at a time as there may be, and no more.
func TestParallel(t *testing.T) {
	for _, tt := range []struct{ parallel, want int }{{0, 8}, {-1, 8}, {3, 3}, {100, 20}} {
		synctest.Test(t, func(t *testing.T) {
			var mu sync.Mutex
			var now, most int
			count := func(by int) {
				mu.Lock()
				defer mu.Unlock()
				now += by
				most = max(most, now)
			}
			d := secretenv.Decrypter{Parallel: tt.parallel, Messages: opener(func([]byte) ([]byte, error) {
				count(1)
				time.Sleep(time.Second) // all that may are here then
				count(-1)
				return []byte("x"), nil
			})}
			var environ []string
			for i := range 20 {
				environ = append(environ, fmt.Sprintf("V%d=esdk-message:AgV4", i))
			}
			if _, err := d.Environ(t.Context(), environ); err != nil {
				t.Fatal(err)
			}
			if most != tt.want {
				t.Errorf("Parallel %d: %d at a time, want %d", tt.parallel, most, tt.want)
			}
		})
	}
}

func BenchmarkEnviron(b *testing.B) {
	d := secretenv.Decrypter{KMS: opener(func(c []byte) ([]byte, error) { return slices.Clone(c), nil })}
	var environ []string
	size := 0
	for i := range 60 {
		environ = append(environ, fmt.Sprintf("PLAIN_%d=%s", i, strings.Repeat("x", 60)))
	}
	for i := range 10 {
		environ = append(environ, fmt.Sprintf("SECRET_%d=kms-ciphertext:%s", i, strings.Repeat("QUJD", 64)))
	}
	for _, entry := range environ {
		size += len(entry)
	}
	b.SetBytes(int64(size))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := d.Environ(b.Context(), environ); err != nil {
			b.Fatal(err)
		}
	}
}

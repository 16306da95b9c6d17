package keyring_test

import (
	"bytes"
	"context"
	"errors"
	"reflect"
	"strings"
	"sync"
	"testing"

	"github.com/keywright/keywright/esdk/keyring"
	"github.com/keywright/keywright/esdk/materials"
)

// fake is a keyring made of functions.
type fake struct {
	encrypt func(context.Context, *materials.EncryptionMaterials) error
	decrypt func(context.Context, *materials.DecryptionMaterials) error
}

func (f fake) OnEncrypt(ctx context.Context, m *materials.EncryptionMaterials) error {
	return f.encrypt(ctx, m)
}

func (f fake) OnDecrypt(ctx context.Context, m *materials.DecryptionMaterials, _ []materials.EncryptedDataKey) error {
	return f.decrypt(ctx, m)
}

var errFake = errors.New("out of order")

func TestMultiConfig(t *testing.T) {
	if _, err := keyring.NewMulti(nil); err == nil {
		t.Error("no keyrings: accepted")
	}
	if _, err := keyring.NewMulti(newAES(t, "one", 32), nil); err == nil {
		t.Error("nil child: accepted")
	}
}

// Data keys stand in the order of generator and children, and each opens alone.
func TestMultiOrder(t *testing.T) {
	names := []string{"generator", "first", "second", "third"}
	var all []materials.Keyring
	for _, name := range names {
		all = append(all, newAES(t, name, 32))
	}
	inner := must(keyring.NewMulti(nil, all[2:]...))(t)
	k := must(keyring.NewMulti(all[0], all[1], inner))(t)
	m := &materials.EncryptionMaterials{Suite: testSuite}
	if err := k.OnEncrypt(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	if len(m.EncryptedDataKeys) != len(names) {
		t.Fatalf("got %d data keys, want %d", len(m.EncryptedDataKeys), len(names))
	}
	for i, edk := range m.EncryptedDataKeys {
		if !strings.HasPrefix(string(edk.ProviderInfo), names[i]) {
			t.Errorf("data key %d is of %q, want %q", i, edk.ProviderInfo, names[i])
		}
		for _, opener := range []materials.Keyring{all[i], k} {
			d := &materials.DecryptionMaterials{Suite: testSuite}
			err := opener.OnDecrypt(t.Context(), d, []materials.EncryptedDataKey{edk})
			if err != nil || !bytes.Equal(d.DataKey, m.DataKey) {
				t.Errorf("%s: %v", names[i], err)
			}
		}
	}
}

// Children wrap at the same time: each waits for all others.
func TestMultiParallel(t *testing.T) {
	const n = 5
	var meet sync.WaitGroup
	meet.Add(n)
	child := fake{encrypt: func(ctx context.Context, m *materials.EncryptionMaterials) error {
		meet.Done()
		meet.Wait()
		return newAES(t, "child", 32).OnEncrypt(ctx, m)
	}}
	k := must(keyring.NewMulti(newAES(t, "generator", 32), child, child, child, child, child))(t)
	m := &materials.EncryptionMaterials{Suite: testSuite}
	if err := k.OnEncrypt(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	if len(m.EncryptedDataKeys) != n+1 {
		t.Errorf("got %d data keys, want %d", len(m.EncryptedDataKeys), n+1)
	}
}

// One failure fails all, stops the others and leaves nothing behind.
func TestMultiEncryptFails(t *testing.T) {
	good := newAES(t, "good", 32)
	failing := fake{encrypt: func(context.Context, *materials.EncryptionMaterials) error { return errFake }}
	waiting := fake{encrypt: func(ctx context.Context, _ *materials.EncryptionMaterials) error {
		<-ctx.Done()
		return ctx.Err()
	}}
	lazy := fake{encrypt: func(context.Context, *materials.EncryptionMaterials) error { return nil }}
	// A keyring that breaks the rules, whose changes must not come through.
	vandal := fake{encrypt: func(_ context.Context, m *materials.EncryptionMaterials) error {
		m.EncryptionContext["more"] = "x"
		m.RequiredKeys[0] = "x"
		clear(m.DataKey)
		m.EncryptedDataKeys = append(m.EncryptedDataKeys, materials.EncryptedDataKey{ProviderID: "vandal"})
		return errFake
	}}
	short := fake{encrypt: func(_ context.Context, m *materials.EncryptionMaterials) error {
		m.DataKey = make([]byte, 5)
		m.EncryptedDataKeys = append(m.EncryptedDataKeys, materials.EncryptedDataKey{})
		return nil
	}}
	for name, c := range map[string]struct {
		generator materials.Keyring
		children  []materials.Keyring
		dataKey   []byte
		want      error // nil: any
	}{
		"generator fails":               {failing, []materials.Keyring{good}, nil, errFake},
		"generator does nothing":        {lazy, []materials.Keyring{good}, nil, nil},
		"generator makes a short key":   {short, []materials.Keyring{good}, nil, nil},
		"only a short key":              {short, nil, nil, nil},
		"generator finds a data key":    {good, nil, make([]byte, 32), keyring.ErrHasDataKey},
		"child fails, others wait":      {good, []materials.Keyring{waiting, failing, waiting}, nil, errFake},
		"child does nothing":            {good, []materials.Keyring{good, lazy}, nil, nil},
		"child changes what is not its": {good, []materials.Keyring{vandal}, nil, errFake},
		"child given a data key":        {nil, []materials.Keyring{vandal}, bytes.Repeat([]byte{3}, 32), errFake},
		"nobody makes a data key":       {nil, []materials.Keyring{good}, nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			k := must(keyring.NewMulti(c.generator, c.children...))(t)
			m := func() *materials.EncryptionMaterials {
				return &materials.EncryptionMaterials{
					Suite: testSuite, EncryptionContext: map[string]string{"a": "b"}, RequiredKeys: []string{"a"},
					DataKey: bytes.Clone(c.dataKey), EncryptedDataKeys: []materials.EncryptedDataKey{{ProviderID: "old"}},
				}
			}
			got := m()
			err := k.OnEncrypt(t.Context(), got)
			if err == nil || c.want != nil && !errors.Is(err, c.want) {
				t.Errorf("got %v, want %v", err, c.want)
			}
			if !reflect.DeepEqual(got, m()) {
				t.Errorf("the materials changed: %+v", got)
			}
		})
	}
}

// The generator comes first, then the children in order; the errors of all are
// kept, and the first that succeeds ends the search.
func TestMultiDecrypt(t *testing.T) {
	var called []string
	named := func(name string, err error) materials.Keyring {
		return fake{decrypt: func(_ context.Context, m *materials.DecryptionMaterials) error {
			called = append(called, name)
			m.EncryptionContext["seen by"] = name
			m.DataKey = bytes.Repeat([]byte{8}, m.Suite.KeyLen)
			return err
		}}
	}
	short := fake{decrypt: func(_ context.Context, m *materials.DecryptionMaterials) error {
		called = append(called, "short")
		m.DataKey = make([]byte, 3)
		return nil
	}}
	attempt := &materials.UnwrapError{Attempts: []materials.Attempt{{ProviderID: "p", ProviderInfo: "i", Err: keyring.ErrUnwrap}}}
	decrypt := func(ctx context.Context, generator materials.Keyring, children ...materials.Keyring) (*materials.DecryptionMaterials, error) {
		called = nil
		m := &materials.DecryptionMaterials{Suite: testSuite, EncryptionContext: map[string]string{"a": "b"}}
		err := must(keyring.NewMulti(generator, children...))(t).OnDecrypt(ctx, m, nil)
		if len(m.EncryptionContext) != 1 {
			t.Errorf("the context changed: %v", m.EncryptionContext)
		}
		return m, err
	}

	m, err := decrypt(t.Context(), named("generator", errFake), short, named("second", nil), named("third", nil))
	if err != nil || len(m.DataKey) != 32 || strings.Join(called, " ") != "generator short second" {
		t.Errorf("got %v after %q", err, called)
	}
	m, err = decrypt(t.Context(), named("generator", errFake), named("first", attempt), short)
	e, ok := errors.AsType[*materials.UnwrapError](err)
	if !ok || m.DataKey != nil || len(called) != 3 || !errors.Is(err, errFake) || !errors.Is(err, keyring.ErrUnwrap) {
		t.Fatalf("got %v after %q", err, called)
	}
	if len(e.Attempts) != 3 || e.Attempts[1] != attempt.Attempts[0] || e.Attempts[0].ProviderID != "keyring 1 of 3" {
		t.Errorf("got attempts %+v", e.Attempts)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err = decrypt(ctx, nil, named("first", ctx.Err()), named("second", nil)); !errors.Is(err, context.Canceled) || len(called) != 1 {
		t.Errorf("got %v after %q", err, called)
	}
}

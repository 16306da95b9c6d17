package materials_test

import (
	"bytes"
	"errors"
	"maps"
	"slices"
	"testing"

	"github.com/keywright/keywright/esdk/materials"
	"github.com/keywright/keywright/esdk/suite"
)

func TestRequiredContextManager(t *testing.T) {
	inner := materials.NewDefaultManager(&keyring{})
	keys := []string{"tenant", "secret", "tenant"}
	m, err := materials.NewRequiredContextManager(keys, inner)
	if err != nil {
		t.Fatal(err)
	}
	clear(keys) // it is the caller's
	given := map[string]string{"tenant": "4711", "secret": "s", "public": "p"}
	em, err := m.EncryptionMaterials(t.Context(), materials.EncryptionRequest{EncryptionContext: given, Suite: suite.AES256GCMCommit})
	if err != nil {
		t.Fatal(err)
	}
	required := []string{"secret", "tenant"}
	if !slices.Equal(em.RequiredKeys, required) || !maps.Equal(em.EncryptionContext, given) {
		t.Errorf("required %q of %q; want %q of all", em.RequiredKeys, em.EncryptionContext, required)
	}
	for name, r := range map[string]materials.Manager{"required": m, "default": inner} {
		dm, err := r.DecryptionMaterials(t.Context(), reading(em))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if !slices.Equal(dm.RequiredKeys, required) || !maps.Equal(dm.EncryptionContext, given) || !bytes.Equal(dm.DataKey, em.DataKey) {
			t.Errorf("%s: required %q of %q", name, dm.RequiredKeys, dm.EncryptionContext)
		}
	}

	// Twice around a keyring both keys count.
	outer, err := materials.NewRequiredContextManager([]string{"public"}, m)
	if err != nil {
		t.Fatal(err)
	}
	em, err = outer.EncryptionMaterials(t.Context(), materials.EncryptionRequest{EncryptionContext: given})
	if want := []string{"public", "secret", "tenant"}; err != nil || !slices.Equal(em.RequiredKeys, want) {
		t.Errorf("required %q, %v; want %q", em.RequiredKeys, err, want)
	}
}

func TestRequiredContextManagerRefuses(t *testing.T) {
	k := &keyring{}
	m, err := materials.NewRequiredContextManager([]string{"a", "b"}, materials.NewDefaultManager(k))
	if err != nil {
		t.Fatal(err)
	}
	encrypt := materials.EncryptionRequest{EncryptionContext: map[string]string{"a": "1"}}
	if _, err := m.EncryptionMaterials(t.Context(), encrypt); !errors.Is(err, materials.ErrMissingContext) {
		t.Errorf("encrypting without b: %v, want ErrMissingContext", err)
	}
	// What the message stores is no reproduction of the caller's.
	decrypt := materials.DecryptionRequest{
		Suite:             suite.AES256GCMCommit,
		EncryptionContext: map[string]string{"b": "2"},
		Reproduced:        map[string]string{"a": "1"},
	}
	if _, err := m.DecryptionMaterials(t.Context(), decrypt); !errors.Is(err, materials.ErrMissingContext) {
		t.Errorf("decrypting without b: %v, want ErrMissingContext", err)
	}
	if k.calls() != 0 {
		t.Error("the keyring was asked")
	}

	if _, err := materials.NewRequiredContextManager(nil, m); !errors.Is(err, materials.ErrMissingContext) {
		t.Errorf("no keys: %v, want ErrMissingContext", err)
	}
	if _, err := materials.NewRequiredContextManager([]string{materials.PublicKeyField}, m); !errors.Is(err, materials.ErrReservedKey) {
		t.Errorf("reserved key: %v, want ErrReservedKey", err)
	}
}

func TestRequiredContextManagerChecksUnderlying(t *testing.T) {
	em := &materials.EncryptionMaterials{DataKey: []byte("key")}
	dm := &materials.DecryptionMaterials{DataKey: []byte("key")}
	ek, dk := em.DataKey, dm.DataKey
	m, err := materials.NewRequiredContextManager([]string{"a"}, manager{
		encrypt: func(materials.EncryptionRequest) (*materials.EncryptionMaterials, error) { return em, nil },
		decrypt: func(materials.DecryptionRequest) (*materials.DecryptionMaterials, error) { return dm, nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	a := map[string]string{"a": "1"}
	if _, err := m.EncryptionMaterials(t.Context(), materials.EncryptionRequest{EncryptionContext: a}); !errors.Is(err, materials.ErrMaterials) || !zero(ek) {
		t.Errorf("a lost to encrypt: %v, want ErrMaterials and the key wiped", err)
	}
	if _, err := m.DecryptionMaterials(t.Context(), materials.DecryptionRequest{Reproduced: a}); !errors.Is(err, materials.ErrMaterials) || !zero(dk) {
		t.Errorf("a lost to decrypt: %v, want ErrMaterials and the key wiped", err)
	}
}

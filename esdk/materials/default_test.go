package materials_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"maps"
	"math/big"
	"slices"
	"strings"
	"testing"

	"github.com/keywright/keywright/esdk/materials"
	"github.com/keywright/keywright/esdk/suite"
)

// policyFor is one that lets the suite be written and read.
func policyFor(s suite.Suite) materials.CommitmentPolicy {
	if s.Committing {
		return materials.RequireEncryptRequireDecrypt
	}
	return materials.ForbidEncryptAllowDecrypt
}

func TestDefaultManagerEverySuite(t *testing.T) {
	for _, s := range suite.All() {
		t.Run(s.Name, func(t *testing.T) {
			m := materials.NewDefaultManager(&keyring{})
			given := map[string]string{"tenant": "4711"}
			em, err := m.EncryptionMaterials(t.Context(), materials.EncryptionRequest{
				Policy: policyFor(s), Suite: s.ID, EncryptionContext: given,
			})
			if err != nil {
				t.Fatal(err)
			}
			if em.Suite != s || len(em.DataKey) != s.KeyLen || len(em.EncryptedDataKeys) != 1 {
				t.Errorf("materials of %v, %d bytes, %d keys", em.Suite.ID, len(em.DataKey), len(em.EncryptedDataKeys))
			}
			if len(given) != 1 {
				t.Errorf("the caller's context became %q", given)
			}
			field, has := em.EncryptionContext[materials.PublicKeyField]
			if signs := strings.Contains(s.Name, "ECDSA"); has != signs || (em.SigningKey != nil) != signs {
				t.Fatalf("public key %v, signing key %v; want %v", has, em.SigningKey != nil, signs)
			}
			if has {
				c := map[int]elliptic.Curve{16: elliptic.P256(), 24: elliptic.P384(), 32: elliptic.P384()}[s.KeyLen]
				point, err := em.SigningKey.PublicKey.Bytes()
				if err != nil {
					t.Fatal(err)
				}
				n := (len(point) - 1) / 2
				x, y := new(big.Int).SetBytes(point[1:1+n]), new(big.Int).SetBytes(point[1+n:])
				want := base64.StdEncoding.EncodeToString(elliptic.MarshalCompressed(c, x, y))
				if field != want {
					t.Errorf("public key %q, want %q", field, want)
				}
			}
			req := reading(em)
			req.Policy = policyFor(s)
			dm, err := m.DecryptionMaterials(t.Context(), req)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(dm.DataKey, em.DataKey) || dm.Suite != s || len(dm.RequiredKeys) != 0 {
				t.Errorf("decryption materials of %v, required %q", dm.Suite.ID, dm.RequiredKeys)
			}
			if !maps.Equal(dm.EncryptionContext, em.EncryptionContext) {
				t.Errorf("context %q, want %q", dm.EncryptionContext, em.EncryptionContext)
			}
			if has && !dm.VerificationKey.Equal(&em.SigningKey.PublicKey) || !has && dm.VerificationKey != nil {
				t.Error("the verification key is not the signing key's")
			}
		})
	}
}

func TestDefaultManagerChoosesSuiteAndFreshKeys(t *testing.T) {
	m := materials.NewDefaultManager(&keyring{})
	for policy, want := range map[materials.CommitmentPolicy]suite.ID{
		materials.RequireEncryptRequireDecrypt: suite.AES256GCMCommitP384,
		materials.RequireEncryptAllowDecrypt:   suite.AES256GCMCommitP384,
		materials.ForbidEncryptAllowDecrypt:    suite.AES256GCMHKDFP384,
	} {
		req := materials.EncryptionRequest{Policy: policy}
		a, err := m.EncryptionMaterials(t.Context(), req)
		if err != nil {
			t.Fatal(err)
		}
		b, err := m.EncryptionMaterials(t.Context(), req)
		if err != nil {
			t.Fatal(err)
		}
		if a.Suite.ID != want {
			t.Errorf("%v: %v, want %v", policy, a.Suite.ID, want)
		}
		if a.SigningKey.Equal(b.SigningKey) || bytes.Equal(a.DataKey, b.DataKey) {
			t.Errorf("%v: two messages share a key", policy)
		}
	}
}

func TestDefaultManagerRefusesToEncrypt(t *testing.T) {
	for _, tc := range []struct {
		name string
		req  materials.EncryptionRequest
		want error
	}{
		{"unknown suite", materials.EncryptionRequest{Suite: 0x0579}, materials.ErrUnknownSuite},
		{"suite without commitment", materials.EncryptionRequest{Suite: suite.AES256GCMHKDF}, materials.ErrCommitmentPolicy},
		{"committing suite", materials.EncryptionRequest{
			Policy: materials.ForbidEncryptAllowDecrypt, Suite: suite.AES256GCMCommit}, materials.ErrCommitmentPolicy},
		{"unknown policy", materials.EncryptionRequest{Policy: 9}, materials.ErrCommitmentPolicy},
		{"public key given", materials.EncryptionRequest{
			EncryptionContext: map[string]string{materials.PublicKeyField: "x"}}, materials.ErrReservedKey},
		{"reserved key given", materials.EncryptionRequest{Suite: suite.AES256GCMCommit,
			EncryptionContext: map[string]string{"aws-crypto-x": "x"}}, materials.ErrReservedKey},
		{"no room for the public key", materials.EncryptionRequest{
			EncryptionContext: map[string]string{"k": strings.Repeat("v", 65535-7)}}, materials.ErrContextTooLarge},
		{"not UTF-8", materials.EncryptionRequest{
			EncryptionContext: map[string]string{"k": "\xff"}}, materials.ErrContextInvalid},
	} {
		k := &keyring{}
		m, err := materials.NewDefaultManager(k).EncryptionMaterials(t.Context(), tc.req)
		if !errors.Is(err, tc.want) || m != nil {
			t.Errorf("%s: %v, want %v", tc.name, err, tc.want)
		}
		if k.calls() != 0 {
			t.Errorf("%s: the keyring was asked", tc.name)
		}
	}
}

func TestDefaultManagerRefusesWhatKeyringsMade(t *testing.T) {
	other, _ := suite.Lookup(suite.AES256GCMHKDFP384)
	unsigned, _ := suite.Lookup(suite.AES256GCMCommit)
	for _, tc := range []struct {
		name  string
		spoil func(m *materials.EncryptionMaterials)
		want  error
	}{
		{"short data key", func(m *materials.EncryptionMaterials) { m.DataKey = m.DataKey[1:] }, materials.ErrMaterials},
		{"no data key", func(m *materials.EncryptionMaterials) { m.DataKey = nil }, materials.ErrMaterials},
		{"not encrypted", func(m *materials.EncryptionMaterials) { m.EncryptedDataKeys = nil }, materials.ErrMaterials},
		{"too often encrypted", func(m *materials.EncryptionMaterials) {
			m.EncryptedDataKeys = slices.Repeat(m.EncryptedDataKeys, 65536)
		}, materials.ErrMaterials},
		{"long provider info", func(m *materials.EncryptionMaterials) {
			m.EncryptedDataKeys[0].ProviderInfo = make([]byte, 65536)
		}, materials.ErrMaterials},
		{"suite against the policy", func(m *materials.EncryptionMaterials) { m.Suite = other }, materials.ErrCommitmentPolicy},
		{"another suite", func(m *materials.EncryptionMaterials) { m.Suite = unsigned }, materials.ErrMaterials},
		{"suite that is none", func(m *materials.EncryptionMaterials) { m.Suite.KDF = suite.HKDFSHA256 }, materials.ErrMaterials},
		{"public key of another", func(m *materials.EncryptionMaterials) {
			m.EncryptionContext[materials.PublicKeyField] = publicKeys[2].field
		}, materials.ErrMaterials},
		{"no signing key", func(m *materials.EncryptionMaterials) { m.SigningKey = nil }, materials.ErrMaterials},
		{"no public key", func(m *materials.EncryptionMaterials) {
			delete(m.EncryptionContext, materials.PublicKeyField)
		}, materials.ErrMaterials},
		{"required key not there", func(m *materials.EncryptionMaterials) { m.RequiredKeys = []string{"x"} }, materials.ErrMissingContext},
		{"context too large", func(m *materials.EncryptionMaterials) {
			m.EncryptionContext["x"] = strings.Repeat("x", 65535)
		}, materials.ErrContextTooLarge},
	} {
		var key []byte
		k := &keyring{onEncrypt: func(m *materials.EncryptionMaterials) { tc.spoil(m); key = m.DataKey }}
		m, err := materials.NewDefaultManager(k).EncryptionMaterials(t.Context(), materials.EncryptionRequest{Suite: suite.AES256GCMCommitP384})
		if !errors.Is(err, tc.want) || m != nil {
			t.Errorf("%s: %v, want %v", tc.name, err, tc.want)
		}
		if !zero(key) {
			t.Errorf("%s: the data key was not wiped", tc.name)
		}
	}

	k := &keyring{onEncrypt: func(m *materials.EncryptionMaterials) { m.EncryptionContext[materials.PublicKeyField] = "x" }}
	req := materials.EncryptionRequest{Suite: suite.AES256GCMCommit}
	if _, err := materials.NewDefaultManager(k).EncryptionMaterials(t.Context(), req); !errors.Is(err, materials.ErrMaterials) {
		t.Errorf("public key of an unsigned suite: %v, want ErrMaterials", err)
	}
	k.onEncrypt = func(m *materials.EncryptionMaterials) { m.SigningKey = new(ecdsa.PrivateKey) }
	if _, err := materials.NewDefaultManager(k).EncryptionMaterials(t.Context(), req); !errors.Is(err, materials.ErrMaterials) {
		t.Errorf("signing key of an unsigned suite: %v, want ErrMaterials", err)
	}

	k = &keyring{onDecrypt: func(m *materials.DecryptionMaterials) { m.DataKey = m.DataKey[1:] }}
	d := materials.NewDefaultManager(k)
	em, err := d.EncryptionMaterials(t.Context(), materials.EncryptionRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.DecryptionMaterials(t.Context(), reading(em)); !errors.Is(err, materials.ErrMaterials) {
		t.Errorf("short data key to decrypt: %v, want ErrMaterials", err)
	}
	k.onDecrypt = func(m *materials.DecryptionMaterials) { m.VerificationKey = nil }
	if _, err := d.DecryptionMaterials(t.Context(), reading(em)); !errors.Is(err, materials.ErrSignatureKey) {
		t.Errorf("verification key dropped: %v, want ErrSignatureKey", err)
	}
	k.onDecrypt = func(m *materials.DecryptionMaterials) { m.Suite = other }
	if _, err := d.DecryptionMaterials(t.Context(), reading(em)); !errors.Is(err, materials.ErrMaterials) {
		t.Errorf("another suite to decrypt: %v, want ErrMaterials", err)
	}
	strict := reading(em)
	strict.Policy = materials.RequireEncryptRequireDecrypt
	if _, err := d.DecryptionMaterials(t.Context(), strict); !errors.Is(err, materials.ErrCommitmentPolicy) {
		t.Errorf("suite against the policy to decrypt: %v, want ErrCommitmentPolicy", err)
	}
}

func TestDefaultManagerReturnsKeyringErrors(t *testing.T) {
	k := &keyring{}
	m := materials.NewDefaultManager(k)
	em, err := m.EncryptionMaterials(t.Context(), materials.EncryptionRequest{})
	if err != nil {
		t.Fatal(err)
	}
	k.keys = nil
	if _, err := m.DecryptionMaterials(t.Context(), reading(em)); !errors.As(err, new(*materials.UnwrapError)) {
		t.Errorf("lost keys: %v, want an UnwrapError", err)
	}
	failing := &failingKeyring{}
	m = materials.NewDefaultManager(failing)
	if _, err := m.EncryptionMaterials(t.Context(), materials.EncryptionRequest{}); !errors.Is(err, errKeyring) || !zero(failing.key) {
		t.Errorf("encrypting: %v and %x, want the keyring's error and its key wiped", err, failing.key)
	}
	if _, err := m.DecryptionMaterials(t.Context(), reading(em)); !errors.Is(err, errKeyring) || !zero(failing.key) {
		t.Errorf("decrypting: %v and %x, want the keyring's error and its key wiped", err, failing.key)
	}
}

func TestDefaultManagerReproducedContext(t *testing.T) {
	for _, tc := range []struct {
		name       string
		reproduced map[string]string
		whole      map[string]string
		required   []string
		want       error
	}{
		{"none", nil, map[string]string{"a": "1", "b": "2"}, nil, nil},
		{"a part", map[string]string{"a": "1"}, map[string]string{"a": "1", "b": "2"}, nil, nil},
		{"more", map[string]string{"d": "4", "a": "1", "c": "3"},
			map[string]string{"a": "1", "b": "2", "c": "3", "d": "4"}, []string{"c", "d"}, nil},
		{"another value", map[string]string{"a": "2"}, nil, nil, materials.ErrContextMismatch},
		{"an empty value", map[string]string{"a": ""}, nil, nil, materials.ErrContextMismatch},
		{"reserved", map[string]string{"aws-crypto-x": "1"}, nil, nil, materials.ErrReservedKey},
		{"too large", map[string]string{"x": strings.Repeat("x", 65535)}, nil, nil, materials.ErrContextTooLarge},
	} {
		t.Run(tc.name, func(t *testing.T) {
			m := materials.NewDefaultManager(&keyring{})
			em, err := m.EncryptionMaterials(t.Context(), materials.EncryptionRequest{
				Suite: suite.AES256GCMCommit, EncryptionContext: map[string]string{"a": "1", "b": "2"},
			})
			if err != nil {
				t.Fatal(err)
			}
			req := reading(em)
			req.Reproduced = tc.reproduced
			dm, err := m.DecryptionMaterials(t.Context(), req)
			if !errors.Is(err, tc.want) {
				t.Fatalf("%v, want %v", err, tc.want)
			}
			if tc.want != nil {
				return
			}
			if !maps.Equal(dm.EncryptionContext, tc.whole) || !slices.Equal(dm.RequiredKeys, tc.required) {
				t.Errorf("context %q, required %q; want %q, %q", dm.EncryptionContext, dm.RequiredKeys, tc.whole, tc.required)
			}
			if len(req.EncryptionContext) != 2 || len(req.Reproduced) != len(tc.reproduced) {
				t.Error("the request's maps were changed")
			}
		})
	}

	// A caller may reproduce the whole context, with the public key the message
	// stores, and may not stand in for a message that stores none.
	m := materials.NewDefaultManager(&keyring{})
	em, err := m.EncryptionMaterials(t.Context(), materials.EncryptionRequest{})
	if err != nil {
		t.Fatal(err)
	}
	req := reading(em)
	req.Reproduced = maps.Clone(req.EncryptionContext)
	if dm, err := m.DecryptionMaterials(t.Context(), req); err != nil || len(dm.RequiredKeys) != 0 {
		t.Errorf("the whole context reproduced: %v", err)
	}
	req.EncryptionContext = nil
	if _, err := m.DecryptionMaterials(t.Context(), req); !errors.Is(err, materials.ErrReservedKey) {
		t.Errorf("the public key reproduced only: %v, want ErrReservedKey", err)
	}
}

// Keys that Python's cryptography package encoded.
var publicKeys = []struct {
	suite  suite.ID
	curve  elliptic.Curve
	scalar string
	field  string
}{
	{suite.AES128GCMHKDFP256, elliptic.P256(), "c0ffee1234567890abcdef", "AoGFkRjZJc3yz5b9+xvflVbJtG9+meAVmcWKOlJQRGjB"},
	{suite.AES128GCMHKDFP256, elliptic.P256(), "c0ffee1234567890abcdf0", "AzaqR7soqsJ5nFjHcwoXSRMrr7V3so1p8kZAOHz2ICrL"},
	{suite.AES256GCMCommitP384, elliptic.P384(), "deadbeef42424242", "A4pXIUiK19a1TBptJFQDrpjh6EMnT2gUc2pz4rppdNW5okcTtL82jxIo9SGr+RYQ0g=="},
	{suite.AES256GCMCommitP384, elliptic.P384(), "deadbeef42424243", "Asw7A9ZnaCVfMsPblo7lJCJhJ3Bcq1Nl3nu0IAwrouhpULfX/kQKqXVB965BQ1arfQ=="},
}

func TestPublicKeyField(t *testing.T) {
	for _, tc := range publicKeys {
		scalar, err := hex.DecodeString(tc.scalar)
		if err != nil {
			t.Fatal(err)
		}
		n := (tc.curve.Params().BitSize + 7) / 8
		private, err := ecdsa.ParseRawPrivateKey(tc.curve, append(make([]byte, n-len(scalar)), scalar...))
		if err != nil {
			t.Fatal(err)
		}
		s, _ := suite.Lookup(tc.suite)
		em := &materials.EncryptionMaterials{
			Suite: s, DataKey: make([]byte, s.KeyLen), SigningKey: private,
			EncryptionContext: map[string]string{materials.PublicKeyField: tc.field},
			EncryptedDataKeys: make([]materials.EncryptedDataKey, 1),
		}
		if err := em.Validate(); err != nil {
			t.Errorf("%s: %v", tc.scalar, err)
		}
		wrong := *em
		wrong.Suite, _ = suite.Lookup(suite.AES192GCMHKDFP384)
		if tc.suite == suite.AES256GCMCommitP384 {
			wrong.Suite, _ = suite.Lookup(suite.AES128GCMHKDFP256)
		}
		wrong.DataKey = make([]byte, wrong.Suite.KeyLen)
		if err := wrong.Validate(); !errors.Is(err, materials.ErrMaterials) {
			t.Errorf("%s with a suite of another curve: %v, want ErrMaterials", tc.scalar, err)
		}
		k := &keyring{keys: map[string][]byte{"": em.DataKey}}
		dm, err := materials.NewDefaultManager(k).DecryptionMaterials(t.Context(), reading(em))
		if err != nil {
			t.Errorf("%s: %v", tc.scalar, err)
		} else if !dm.VerificationKey.Equal(&private.PublicKey) {
			t.Errorf("%s: read as another key", tc.scalar)
		}
	}
}

func TestDefaultManagerRefusesToDecrypt(t *testing.T) {
	p256, p384 := publicKeys[0].field, publicKeys[2].field
	raw, _ := base64.StdEncoding.DecodeString(p384)
	raw[48] = 2 // the x of no point
	offCurve := base64.StdEncoding.EncodeToString(raw)
	raw[0] = 4
	uncompressed := base64.StdEncoding.EncodeToString(raw)
	with := func(field string) map[string]string { return map[string]string{materials.PublicKeyField: field} }
	for _, tc := range []struct {
		name string
		req  materials.DecryptionRequest
		want error
	}{
		{"unknown suite", materials.DecryptionRequest{Suite: 0x0073}, materials.ErrUnknownSuite},
		{"no suite", materials.DecryptionRequest{}, materials.ErrUnknownSuite},
		{"no commitment", materials.DecryptionRequest{Suite: suite.AES256GCMHKDF}, materials.ErrCommitmentPolicy},
		{"signed without the key", materials.DecryptionRequest{Suite: suite.AES256GCMCommitP384}, materials.ErrSignatureKey},
		{"unsigned with a key", materials.DecryptionRequest{Suite: suite.AES256GCMCommit, EncryptionContext: with(p384)}, materials.ErrSignatureKey},
		{"key of another curve", materials.DecryptionRequest{Suite: suite.AES256GCMCommitP384, EncryptionContext: with(p256)}, materials.ErrSignatureKey},
		{"key not on the curve", materials.DecryptionRequest{Suite: suite.AES256GCMCommitP384, EncryptionContext: with(offCurve)}, materials.ErrSignatureKey},
		{"key not compressed", materials.DecryptionRequest{Suite: suite.AES256GCMCommitP384, EncryptionContext: with(uncompressed)}, materials.ErrSignatureKey},
		{"key not base64", materials.DecryptionRequest{Suite: suite.AES256GCMCommitP384, EncryptionContext: with("*")}, materials.ErrSignatureKey},
	} {
		k := &keyring{}
		m, err := materials.NewDefaultManager(k).DecryptionMaterials(t.Context(), tc.req)
		if !errors.Is(err, tc.want) || m != nil {
			t.Errorf("%s: %v, want %v", tc.name, err, tc.want)
		}
		if k.calls() != 0 {
			t.Errorf("%s: the keyring was asked", tc.name)
		}
	}
}

func zero(b []byte) bool { return bytes.Count(b, []byte{0}) == len(b) }

// Package keyringtest tests that a keyring does what [materials.Keyring]
// promises. It is for the tests of keyrings, also of those made elsewhere, and
// knows nothing of how a keyring wraps.
package keyringtest

import (
	"bytes"
	"errors"
	"maps"
	"reflect"
	"slices"
	"sync"
	"testing"

	"github.com/keywright/keywright/esdk/materials"
	"github.com/keywright/keywright/esdk/suite"
)

// Options say what is to be expected of a keyring, beyond what all must do.
type Options struct {
	// Reader decrypts what the keyring wrote. Nil: the keyring itself.
	Reader materials.Keyring
	// Suites are those to test with. Nil: one for each length of data keys.
	Suites []suite.ID
	// NoGenerate says that the keyring makes no data keys, as a multi-keyring
	// without a generator does not.
	NoGenerate bool
	// AlwaysGenerate says that the keyring refuses a data key that it did not
	// make itself, as a multi-keyring with a generator does.
	AlwaysGenerate bool
	// ContextUnbound says that data keys open with any encryption context, as
	// those of raw RSA do.
	ContextUnbound bool
	// Implicit says that a data key which does not open gives a random one
	// instead of an error, as PKCS #1 v1.5 has to.
	Implicit bool
	// FlipEvery limits the changed data keys that are tried to one for every so
	// many bits. Zero: one for every bit. For slow keyrings.
	FlipEvery int
	// ConcurrentCalls is how many goroutines use the keyring at once. Zero: 8.
	ConcurrentCalls int
}

var contextOfTest = map[string]string{"tenant": "blue", "Zweck": "Prüfung"}

type tester struct {
	writer, reader materials.Keyring
	Options
}

// Run tests the keyring.
func Run(t *testing.T, keyring materials.Keyring, o Options) {
	k := tester{keyring, o.Reader, o}
	if k.reader == nil {
		k.reader = keyring
	}
	if k.Suites == nil {
		k.Suites = []suite.ID{suite.AES128GCMHKDF, suite.AES192GCMHKDF, suite.AES256GCMCommit}
	}
	k.FlipEvery = max(k.FlipEvery, 1)
	if k.ConcurrentCalls == 0 {
		k.ConcurrentCalls = 8
	}
	for _, id := range k.Suites {
		s, ok := suite.Lookup(id)
		if !ok {
			t.Fatalf("no suite %v", id)
		}
		t.Run(s.Name, func(t *testing.T) {
			t.Run("generate", func(t *testing.T) { k.generate(t, s) })
			t.Run("wrap", func(t *testing.T) { k.wrap(t, s) })
			t.Run("refuse to encrypt", func(t *testing.T) { k.refuseEncrypt(t, s) })
			t.Run("refuse to decrypt", func(t *testing.T) { k.refuseDecrypt(t, s) })
			t.Run("order", func(t *testing.T) { k.order(t, s) })
		})
	}
	s, _ := suite.Lookup(k.Suites[len(k.Suites)-1])
	t.Run("context", func(t *testing.T) { k.context(t, s) })
	t.Run("changed", func(t *testing.T) { k.changed(t, s) })
	t.Run("concurrent", func(t *testing.T) { k.concurrent(t, s) })
}

// encrypt returns materials as the keyring leaves them, having checked that it
// added to them and changed nothing.
func (k tester) encrypt(t *testing.T, m *materials.EncryptionMaterials) *materials.EncryptionMaterials {
	t.Helper()
	before := copyEncryption(m)
	if err := k.writer.OnEncrypt(t.Context(), m); err != nil {
		t.Fatalf("OnEncrypt: %v", err)
	}
	if len(m.DataKey) != m.Suite.KeyLen {
		t.Fatalf("got a data key of %d bytes, want %d", len(m.DataKey), m.Suite.KeyLen)
	}
	n := len(before.EncryptedDataKeys)
	if len(m.EncryptedDataKeys) <= n {
		t.Fatalf("got %d encrypted data keys, had %d", len(m.EncryptedDataKeys), n)
	}
	for _, edk := range m.EncryptedDataKeys[n:] {
		if bytes.Contains(edk.Ciphertext, m.DataKey) || bytes.Contains(edk.ProviderInfo, m.DataKey) {
			t.Fatal("the encrypted data key holds the data key in the clear")
		}
	}
	after := copyEncryption(m)
	after.EncryptedDataKeys = after.EncryptedDataKeys[:n:n]
	if n == 0 {
		after.EncryptedDataKeys = before.EncryptedDataKeys // nil and empty are the same
	}
	if before.DataKey == nil {
		after.DataKey = nil
	}
	if !reflect.DeepEqual(after, before) {
		t.Fatal("OnEncrypt changed more than the data key and its encryptions")
	}
	return m
}

// sealed returns materials with a data key that the keyring wrapped.
func (k tester) sealed(t *testing.T, s suite.Suite) *materials.EncryptionMaterials {
	t.Helper()
	m := &materials.EncryptionMaterials{Suite: s, EncryptionContext: maps.Clone(contextOfTest)}
	if k.NoGenerate {
		m.DataKey = bytes.Repeat([]byte{0xa5}, s.KeyLen)
	}
	return k.encrypt(t, m)
}

func (k tester) open(t *testing.T, s suite.Suite, context map[string]string, keys []materials.EncryptedDataKey) ([]byte, error) {
	t.Helper()
	m := &materials.DecryptionMaterials{Suite: s, EncryptionContext: maps.Clone(context)}
	before, keysBefore := copyDecryption(m), copyKeys(keys)
	err := k.reader.OnDecrypt(t.Context(), m, keys)
	if err == nil && len(m.DataKey) != s.KeyLen {
		t.Fatalf("got a data key of %d bytes, want %d", len(m.DataKey), s.KeyLen)
	}
	after := copyDecryption(m)
	if err == nil {
		after.DataKey = nil
	}
	if !reflect.DeepEqual(after, before) {
		t.Fatalf("OnDecrypt changed the materials and returned %v", err)
	}
	if !reflect.DeepEqual(keys, keysBefore) {
		t.Fatal("OnDecrypt changed the encrypted data keys")
	}
	return m.DataKey, err
}

func (k tester) mustOpen(t *testing.T, s suite.Suite, keys []materials.EncryptedDataKey, want []byte) {
	t.Helper()
	got, err := k.open(t, s, contextOfTest, keys)
	if err != nil {
		t.Fatalf("OnDecrypt: %v", err)
	}
	if !bytes.Equal(got, want) {
		t.Fatal("OnDecrypt gave another data key")
	}
}

// mustRefuse checks that the keys give no data key, or not the one of m.
func (k tester) mustRefuse(t *testing.T, what string, m *materials.EncryptionMaterials, context map[string]string, keys ...materials.EncryptedDataKey) {
	t.Helper()
	got, err := k.open(t, m.Suite, context, keys)
	if err == nil && k.Implicit && !bytes.Equal(got, m.DataKey) {
		return
	}
	if _, ok := errors.AsType[*materials.UnwrapError](err); !ok {
		t.Errorf("%s: got %v, want an UnwrapError", what, err)
	}
}

func (k tester) generate(t *testing.T, s suite.Suite) {
	if k.NoGenerate {
		m := &materials.EncryptionMaterials{Suite: s, EncryptionContext: maps.Clone(contextOfTest)}
		k.mustNotEncrypt(t, "a keyring that makes no data keys", m)
		return
	}
	one, two := k.sealed(t, s), k.sealed(t, s)
	if bytes.Equal(one.DataKey, two.DataKey) {
		t.Fatal("two data keys are the same")
	}
	k.mustOpen(t, s, one.EncryptedDataKeys, one.DataKey)
	k.mustOpen(t, s, two.EncryptedDataKeys, two.DataKey)
}

func (k tester) wrap(t *testing.T, s suite.Suite) {
	m := &materials.EncryptionMaterials{
		Suite: s, EncryptionContext: maps.Clone(contextOfTest), RequiredKeys: []string{"tenant"},
	}
	m.EncryptedDataKeys = append(make([]materials.EncryptedDataKey, 0, 8), foreign)
	if k.AlwaysGenerate {
		with := copyEncryption(m)
		with.DataKey = make([]byte, s.KeyLen)
		k.mustNotEncrypt(t, "a data key from elsewhere", &with)
	} else {
		m.DataKey = bytes.Repeat([]byte{0x5a}, s.KeyLen)
	}
	shared := m.EncryptedDataKeys[:2]
	k.encrypt(t, m)
	if !reflect.DeepEqual(shared[1], materials.EncryptedDataKey{}) {
		t.Error("OnEncrypt wrote into the array of the encrypted data keys, which a copy may share")
	}
	k.mustOpen(t, s, m.EncryptedDataKeys, m.DataKey)
}

func (k tester) mustNotEncrypt(t *testing.T, what string, m *materials.EncryptionMaterials) {
	t.Helper()
	before := copyEncryption(m)
	if err := k.writer.OnEncrypt(t.Context(), m); err == nil {
		t.Errorf("%s: OnEncrypt succeeded", what)
	} else if !reflect.DeepEqual(copyEncryption(m), before) {
		t.Errorf("%s: OnEncrypt failed and changed the materials", what)
	}
}

func (k tester) refuseEncrypt(t *testing.T, s suite.Suite) {
	for _, n := range []int{0, s.KeyLen - 1, s.KeyLen + 1} {
		m := &materials.EncryptionMaterials{Suite: s, DataKey: make([]byte, n)}
		k.mustNotEncrypt(t, "a data key of another length", m)
	}
	m := &materials.EncryptionMaterials{EncryptionContext: maps.Clone(contextOfTest)}
	k.mustNotEncrypt(t, "no suite", m)
	if !k.ContextUnbound {
		m = &materials.EncryptionMaterials{Suite: s, EncryptionContext: map[string]string{"key": "\xff"}}
		if k.NoGenerate {
			m.DataKey = make([]byte, s.KeyLen)
		}
		k.mustNotEncrypt(t, "an encryption context that is not UTF-8", m)
	}
}

// foreign is a data key that is for no keyring.
var foreign = materials.EncryptedDataKey{
	ProviderID: "keyringtest", ProviderInfo: []byte("somebody else"), Ciphertext: []byte("closed"),
}

func (k tester) refuseDecrypt(t *testing.T, s suite.Suite) {
	sealed := k.sealed(t, s)
	m := &materials.DecryptionMaterials{
		Suite: s, EncryptionContext: maps.Clone(contextOfTest), DataKey: bytes.Repeat([]byte{7}, s.KeyLen),
	}
	before := copyDecryption(m)
	if err := k.reader.OnDecrypt(t.Context(), m, sealed.EncryptedDataKeys); err == nil {
		t.Error("OnDecrypt succeeded where there was a data key")
	}
	if !reflect.DeepEqual(copyDecryption(m), before) {
		t.Error("OnDecrypt changed materials that had a data key")
	}
	for _, keys := range [][]materials.EncryptedDataKey{nil, {foreign}, {{}}, {foreign, foreign}} {
		_, err := k.open(t, s, contextOfTest, keys)
		if e, ok := errors.AsType[*materials.UnwrapError](err); !ok || len(e.Attempts) != 0 {
			t.Errorf("%d foreign data keys: got %v, want an UnwrapError without attempts", len(keys), err)
		}
	}
	// A data key that opens, and is not of the suite's length.
	for _, other := range suite.All() {
		if other.KeyLen == s.KeyLen {
			continue
		}
		got, err := k.open(t, other, contextOfTest, sealed.EncryptedDataKeys)
		if err == nil && (!k.Implicit || bytes.HasPrefix(got, sealed.DataKey) || bytes.HasPrefix(sealed.DataKey, got)) {
			t.Errorf("a data key of %d bytes opened for %v", s.KeyLen, other.ID)
		}
		if errors.Is(err, materials.ErrUnknownSuite) {
			t.Errorf("%v: %v", other.ID, err)
		}
	}
}

// order checks that what cannot be opened does not keep the rest from opening.
func (k tester) order(t *testing.T, s suite.Suite) {
	m := k.sealed(t, s)
	keys := append([]materials.EncryptedDataKey{foreign}, m.EncryptedDataKeys...)
	k.mustOpen(t, s, append(keys, foreign), m.DataKey)
	if k.Implicit {
		return
	}
	broken := copyKeys(m.EncryptedDataKeys)
	for i := range broken {
		last := len(broken[i].Ciphertext) - 1
		broken[i].Ciphertext[last] ^= 1
	}
	k.mustOpen(t, s, append(broken, m.EncryptedDataKeys...), m.DataKey)
	_, err := k.open(t, s, contextOfTest, broken)
	if e, ok := errors.AsType[*materials.UnwrapError](err); !ok || len(e.Attempts) == 0 {
		t.Errorf("broken data keys: got %v, want an UnwrapError with attempts", err)
	}
}

func (k tester) context(t *testing.T, s suite.Suite) {
	m := k.sealed(t, s)
	for name, change := range map[string]func(map[string]string){
		"without a pair":    func(c map[string]string) { delete(c, "tenant") },
		"with another pair": func(c map[string]string) { c["more"] = "" },
		"another value":     func(c map[string]string) { c["tenant"] = "blve" },
		"empty":             func(c map[string]string) { clear(c) },
		"shifted": func(c map[string]string) {
			delete(c, "tenant")
			c["tenantb"] = "lue"
		},
	} {
		changed := maps.Clone(contextOfTest)
		change(changed)
		if !k.ContextUnbound {
			k.mustRefuse(t, name, m, changed, m.EncryptedDataKeys...)
		} else if got, err := k.open(t, s, changed, m.EncryptedDataKeys); err != nil || !bytes.Equal(got, m.DataKey) {
			t.Errorf("%s: does not open, though the context is not bound: %v", name, err)
		}
	}
}

// changed changes each data key bit by bit and in its length.
func (k tester) changed(t *testing.T, s suite.Suite) {
	m := k.sealed(t, s)
	for _, edk := range m.EncryptedDataKeys {
		// Bytes must not be able to move from one field to the other.
		n := len(edk.ProviderInfo)
		whole := slices.Concat(edk.ProviderInfo, edk.Ciphertext)
		for _, cut := range []int{n - 1, n + 1} {
			k.mustRefuse(t, "a moved byte", m, contextOfTest, materials.EncryptedDataKey{
				ProviderID: edk.ProviderID, ProviderInfo: whole[:cut:cut], Ciphertext: whole[cut:],
			})
		}
		for _, field := range []string{"provider id", "provider info", "ciphertext"} {
			get := func(e *materials.EncryptedDataKey) []byte {
				switch field {
				case "provider id":
					return []byte(e.ProviderID)
				case "provider info":
					return e.ProviderInfo
				}
				return e.Ciphertext
			}
			refuse := func(what string, b []byte) {
				t.Helper()
				e := copyKeys([]materials.EncryptedDataKey{edk})[0]
				switch field {
				case "provider id":
					e.ProviderID = string(b)
				case "provider info":
					e.ProviderInfo = b
				default:
					e.Ciphertext = b
				}
				k.mustRefuse(t, field+" "+what, m, contextOfTest, e)
			}
			value := get(&edk)
			for bit := 0; bit < 8*len(value); bit += k.FlipEvery {
				b := slices.Clone(value)
				b[bit/8] ^= 1 << (bit % 8)
				refuse("with a flipped bit", b)
			}
			refuse("without its end", value[:len(value)-1])
			refuse("with a byte more", append(slices.Clone(value), 0))
			refuse("empty", nil)
		}
	}
}

func (k tester) concurrent(t *testing.T, s suite.Suite) {
	var wg sync.WaitGroup
	for range k.ConcurrentCalls {
		wg.Go(func() {
			m := &materials.EncryptionMaterials{Suite: s, EncryptionContext: maps.Clone(contextOfTest)}
			if k.NoGenerate {
				m.DataKey = bytes.Repeat([]byte{1}, s.KeyLen)
			}
			if err := k.writer.OnEncrypt(t.Context(), m); err != nil {
				t.Errorf("OnEncrypt: %v", err)
				return
			}
			d := &materials.DecryptionMaterials{Suite: s, EncryptionContext: maps.Clone(contextOfTest)}
			if err := k.reader.OnDecrypt(t.Context(), d, m.EncryptedDataKeys); err != nil {
				t.Errorf("OnDecrypt: %v", err)
			} else if !bytes.Equal(d.DataKey, m.DataKey) {
				t.Error("OnDecrypt gave another data key")
			}
		})
	}
	wg.Wait()
}

package esdk_test

import (
	"bytes"
	"context"
	"errors"
	"testing"

	"github.com/keywright/keywright/esdk"
	"github.com/keywright/keywright/esdk/materials"
	"github.com/keywright/keywright/esdk/suite"
)

// TestRewrap hands a message from key a to key b: b opens it, a does not any
// more, and the body is the same.
func TestRewrap(t *testing.T) {
	a, b := rawAES(t, "a"), rawAES(t, "b")
	for _, id := range []suite.ID{suite.AES256GCM, suite.AES128GCMHKDF} {
		c := clientFor(id, 16, 1)
		plaintext := random(100)
		msg := encrypt(t, c, esdk.Using(a), plaintext)
		old, err := c.Inspect(bytes.NewReader(msg))
		if err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		header, err := c.Rewrap(t.Context(), &out, bytes.NewReader(msg), esdk.Using(a), b, esdk.DecryptOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(out.Bytes()[header.Length:], msg[old.Length:]) || !bytes.Equal(header.MessageID, old.MessageID) {
			t.Errorf("%v: the body or the message id changed", id)
		}
		iv := out.Bytes()[header.Length-28 : header.Length-16]
		if bytes.HasPrefix(iv, make([]byte, 8)) {
			t.Errorf("%v: the header's IV is %x, as if it were the old one's or a frame's", id, iv)
		}
		got, _, err := c.Decrypt(t.Context(), esdk.Using(b), out.Bytes(), esdk.DecryptOptions{})
		if err != nil || !bytes.Equal(got, plaintext) {
			t.Errorf("%v: %v", id, err)
		}
		_, _, err = c.Decrypt(t.Context(), esdk.Using(a), out.Bytes(), esdk.DecryptOptions{})
		if _, ok := errors.AsType[*materials.UnwrapError](err); !ok {
			t.Errorf("%v: under the old key: %v", id, err)
		}
	}
}

// otherKey is a keyring that does not wrap the key it is given.
type otherKey struct{ materials.Keyring }

func (k otherKey) OnEncrypt(ctx context.Context, m *materials.EncryptionMaterials) error {
	m.DataKey[0] ^= 1
	return k.Keyring.OnEncrypt(ctx, m)
}

// TestRewrapRefused: what cannot be rewrapped, and what must not.
func TestRewrapRefused(t *testing.T) {
	a := rawAES(t, "a")
	for _, id := range []suite.ID{suite.AES256GCMCommit, suite.AES256GCMCommitP384, suite.AES256GCMHKDFP384} {
		k := &staticKeyring{key: counting(32)}
		c := clientFor(id, 16, 1)
		msg := encrypt(t, c, esdk.Using(k), nil)
		k.calls = 0
		var out bytes.Buffer
		_, err := c.Rewrap(t.Context(), &out, bytes.NewReader(msg), esdk.Using(k), a, esdk.DecryptOptions{})
		if !errors.Is(err, esdk.ErrRewrap) || out.Len() > 0 || k.calls > 0 {
			t.Errorf("%v: %v, %d bytes written, %d calls", id, err, out.Len(), k.calls)
		}
	}
	c := clientFor(suite.AES256GCMHKDF, 16, 1)
	msg := encrypt(t, c, esdk.Using(a), random(10))
	var out bytes.Buffer
	if _, err := c.Rewrap(t.Context(), &out, bytes.NewReader(msg), esdk.Using(a), otherKey{a}, esdk.DecryptOptions{}); !errors.Is(err, materials.ErrMaterials) || out.Len() > 0 {
		t.Errorf("keyring of another data key: %v", err)
	}
	msg[60] ^= 1
	if _, err := c.Rewrap(t.Context(), &out, bytes.NewReader(msg), esdk.Using(a), a, esdk.DecryptOptions{}); err == nil || out.Len() > 0 {
		t.Errorf("changed header: %v", err)
	}
}

package softhsm

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"

	"github.com/keywright/keywright/internal/aead"
	"github.com/keywright/keywright/internal/hsm"
	"github.com/keywright/keywright/internal/hsm/secmem"
)

const (
	blobLabel        = "keywright/blob"
	blobKeyLabel     = "keywright/blob-key"
	blobContextLabel = "keywright/blob-context"
)

// kdfContext is what the key derivation of a body is bound to beside its key.
type kdfContext [sha256.Size]byte

// Encrypt implements hsm.Module.
func (m *Module) Encrypt(_ context.Context, dst []byte, t hsm.Token, aad, plaintext []byte) (out []byte, err error) {
	key, kctx, err := m.blobKey(t)
	if err != nil {
		return nil, err
	}
	defer key.Release()
	secmem.Do(func() {
		out = aead.Seal(dst, key.Bytes(), blobLabel, kctx[:], aad, plaintext)
	})
	return out, nil
}

// Decrypt implements hsm.Module.
func (m *Module) Decrypt(_ context.Context, dst []byte, t hsm.Token, aad, body []byte) (out []byte, err error) {
	key, kctx, err := m.blobKey(t)
	if err != nil {
		return nil, err
	}
	defer key.Release()
	secmem.Do(func() {
		out, err = aead.Open(dst, key.Bytes(), blobLabel, kctx[:], aad, body)
	})
	if err != nil {
		return nil, hsm.ErrInvalidCiphertext
	}
	return out, nil
}

// blobKey returns the key of a token's bodies and the context they are bound
// to; the caller releases the key. The cache is asked by the bytes of the whole
// token, and only tokens that opened, for this operation, are put in it: a hit
// says as much as opening the token again.
func (m *Module) blobKey(t hsm.Token) (key secmem.Secret, kctx kdfContext, err error) {
	if m.closed.Load() {
		return key, kctx, hsm.ErrClosed
	}
	if key, kctx, ok := m.keys.Get(t); ok {
		return key, kctx, nil
	}
	secmem.Do(func() {
		var o *opened
		if o, err = m.open(t); err != nil {
			return
		}
		defer o.wipe()
		if o.attrs.Spec != hsm.SpecSymmetricDefault || o.attrs.Usage != hsm.UsageEncryptDecrypt {
			err = hsm.ErrWrongUsage
			return
		}
		k := deriveBlobKey(o.attrs, o.binding, o.material)
		defer clear(k[:])
		kctx = blobContext(o.attrs.KeyID, o.id)
		key = m.keys.Put(t, k[:], kctx)
	})
	return key, kctx, err
}

// deriveBlobKey binds the material to the one key, spec and usage it is for, so
// that the same bytes as another key, or for another use, open nothing.
func deriveBlobKey(attrs hsm.Attributes, binding, material []byte) (k [sha256.Size]byte) {
	h := hmac.New(sha256.New, binding)
	writeFields(h, blobKeyLabel, attrs.Account, attrs.KeyID, string(attrs.Spec), string(attrs.Usage))
	h.Write(material)
	h.Sum(k[:0])
	return k
}

// blobContext has a fixed length, as aead wants of a label's context.
func blobContext(keyID string, id hsm.MaterialID) kdfContext {
	h := sha256.New()
	writeFields(h, blobContextLabel, keyID)
	h.Write(id[:])
	return kdfContext(h.Sum(nil))
}

package softhsm

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/keywright/keywright/internal/aead"
	"github.com/keywright/keywright/internal/hsm"
	"github.com/keywright/keywright/internal/hsm/secmem"
)

// A token is, with all numbers big-endian:
//
//	1      format, 1
//	4      version of the domain key
//	1 + n  account, key id, spec, usage, origin: each with its length before it
//	32     material id
//	n      aead under the domain key and tokenLabel, without context, with all
//	       the bytes before it as additional data: binding secret || material
const (
	tokenFormat = 1

	tokenLabel      = "keywright/token"
	materialIDLabel = "keywright/material-id"

	bindingSize   = 32
	symmetricSize = 32
	minSecret     = 16 // "AWS4" and 10 bytes are the shortest HMAC key that FIPS 140 permits
	maxSecret     = 128
	maxKeyID      = 128
)

// opened is what a token holds.
type opened struct {
	attrs    hsm.Attributes
	id       hsm.MaterialID
	binding  []byte // the secret that all materials of one key share
	material []byte
	plain    []byte // the memory of both
}

func (o *opened) wipe() { clear(o.plain) }

// open opens a token and checks that the material is the one it names. The
// caller wipes what it returns.
func (m *Module) open(t hsm.Token) (*opened, error) {
	if m.closed.Load() {
		return nil, hsm.ErrClosed
	}
	attrs, id, version, header, sealed, ok := parseToken(t)
	if !ok {
		return nil, hsm.ErrInvalidToken
	}
	domain, ok := m.domain[version]
	if !ok {
		return nil, hsm.ErrInvalidToken
	}
	if !domain.Retain() {
		return nil, hsm.ErrClosed
	}
	defer domain.Release()
	plain, err := aead.Open(nil, domain.Bytes(), tokenLabel, nil, header, sealed)
	if err != nil {
		return nil, hsm.ErrInvalidToken
	}
	if !validSize(attrs.Spec, len(plain)-bindingSize) {
		clear(plain)
		return nil, hsm.ErrInvalidToken
	}
	o := &opened{attrs: attrs, id: id, binding: plain[:bindingSize], material: plain[bindingSize:], plain: plain}
	want := materialID(attrs, o.binding, o.material)
	if subtle.ConstantTimeCompare(want[:], id[:]) != 1 {
		o.wipe()
		return nil, hsm.ErrInvalidToken
	}
	return o, nil
}

// seal makes a token under the active domain key.
func (m *Module) seal(attrs hsm.Attributes, binding, material []byte) (hsm.Material, error) {
	domain := m.domain[m.active]
	if m.closed.Load() || !domain.Retain() {
		return hsm.Material{}, hsm.ErrClosed
	}
	defer domain.Release()
	id := materialID(attrs, binding, material)
	header := appendTokenHeader(make([]byte, 0, 512), m.active, attrs, id)
	plain := make([]byte, 0, bindingSize+maxSecret)
	plain = append(append(plain, binding...), material...)
	defer clear(plain)
	t := aead.Seal(header, domain.Bytes(), tokenLabel, nil, header, plain)
	return hsm.Material{ID: id, Token: t}, nil
}

func appendTokenHeader(dst []byte, version uint32, attrs hsm.Attributes, id hsm.MaterialID) []byte {
	dst = append(dst, tokenFormat)
	dst = binary.BigEndian.AppendUint32(dst, version)
	for _, s := range [...]string{attrs.Account, attrs.KeyID, string(attrs.Spec), string(attrs.Usage), string(attrs.Origin)} {
		dst = append(append(dst, byte(len(s))), s...)
	}
	return append(dst, id[:]...)
}

// parseToken splits a token; nothing it returns is authenticated yet.
func parseToken(t hsm.Token) (attrs hsm.Attributes, id hsm.MaterialID, version uint32, header, sealed []byte, ok bool) {
	b := []byte(t)
	if len(b) < 5 || b[0] != tokenFormat {
		return
	}
	version = binary.BigEndian.Uint32(b[1:])
	b = b[5:]
	var fields [5]string
	for i := range fields {
		if len(b) == 0 {
			return
		}
		end := 1 + int(b[0])
		if len(b) < end {
			return
		}
		fields[i], b = string(b[1:end]), b[end:]
	}
	if len(b) < len(id) {
		return
	}
	id, sealed = hsm.MaterialID(b), b[len(id):]
	attrs = hsm.Attributes{
		Account: fields[0],
		KeyID:   fields[1],
		Spec:    hsm.Spec(fields[2]),
		Usage:   hsm.Usage(fields[3]),
		Origin:  hsm.Origin(fields[4]),
	}
	return attrs, id, version, t[:len(t)-len(sealed)], sealed, true
}

// materialID is the MAC that hsm.MaterialID describes.
func materialID(attrs hsm.Attributes, binding, material []byte) (id hsm.MaterialID) {
	h := hmac.New(sha256.New, binding)
	writeFields(h, materialIDLabel, attrs.KeyID)
	h.Write(material)
	h.Sum(id[:0])
	return id
}

// writeFields writes each field and a zero byte, which none of them contains.
func writeFields(w interface{ Write([]byte) (int, error) }, fields ...string) {
	b := make([]byte, 0, 256) // at once: each Write costs an allocation
	for _, f := range fields {
		b = append(b, f...)
		b = append(b, 0)
	}
	w.Write(b)
}

// validSize tells whether material of spec can have n bytes.
func validSize(spec hsm.Spec, n int) bool {
	switch spec {
	case hsm.SpecSymmetricDefault:
		return n == symmetricSize
	case hsm.SpecSigV4Secret:
		return n >= minSecret && n <= maxSecret
	}
	return false
}

func validOwner(account, keyID string) error {
	if len(account) != 12 {
		return errors.New("softhsm: account is not 12 digits")
	}
	for i := range len(account) {
		if account[i] < '0' || account[i] > '9' {
			return errors.New("softhsm: account is not 12 digits")
		}
	}
	if len(keyID) < 1 || len(keyID) > maxKeyID {
		return fmt.Errorf("softhsm: key id has %d bytes, not 1 to %d", len(keyID), maxKeyID)
	}
	for i := range len(keyID) {
		if keyID[i] <= ' ' || keyID[i] > '~' {
			return errors.New("softhsm: key id is not printable ASCII without spaces")
		}
	}
	return nil
}

// Generate implements hsm.Module.
func (m *Module) Generate(_ context.Context, attrs hsm.Attributes, sibling hsm.Token) (mat hsm.Material, err error) {
	if m.closed.Load() {
		return hsm.Material{}, hsm.ErrClosed
	}
	if err := validOwner(attrs.Account, attrs.KeyID); err != nil {
		return hsm.Material{}, err
	}
	if attrs.Spec != hsm.SpecSymmetricDefault || attrs.Usage != hsm.UsageEncryptDecrypt || attrs.Origin != hsm.OriginAWSKMS {
		return hsm.Material{}, hsm.ErrUnsupported
	}
	secmem.Do(func() { mat, err = m.generate(attrs, sibling) })
	return mat, err
}

func (m *Module) generate(attrs hsm.Attributes, sibling hsm.Token) (hsm.Material, error) {
	buf := make([]byte, bindingSize+symmetricSize)
	defer clear(buf)
	binding, material := buf[:bindingSize], buf[bindingSize:]
	rand.Read(material)
	if sibling == nil {
		rand.Read(binding)
		return m.seal(attrs, binding, material)
	}
	o, err := m.open(sibling)
	if err != nil {
		return hsm.Material{}, err
	}
	defer o.wipe()
	if o.attrs != attrs {
		return hsm.Material{}, hsm.ErrWrongUsage
	}
	copy(binding, o.binding)
	return m.seal(attrs, binding, material)
}

const fixedBindingLabel = "keywright/fixed-binding"

// Fixed makes a token of symmetric material that the caller has, of 32 bytes,
// for development servers whose ciphertexts are to outlive them: the same
// material under the same attributes opens them in every Module. So the binding
// secret follows from the material, too, and keeps nothing from who knows that;
// a key that protects anything is made by Generate.
func (m *Module) Fixed(_ context.Context, attrs hsm.Attributes, material []byte) (mat hsm.Material, err error) {
	if err := validOwner(attrs.Account, attrs.KeyID); err != nil {
		return hsm.Material{}, err
	}
	if attrs.Spec != hsm.SpecSymmetricDefault || attrs.Usage != hsm.UsageEncryptDecrypt || attrs.Origin != hsm.OriginAWSKMS || len(material) != symmetricSize {
		return hsm.Material{}, hsm.ErrUnsupported
	}
	secmem.Do(func() {
		h := hmac.New(sha256.New, material)
		writeFields(h, fixedBindingLabel, attrs.Account, attrs.KeyID)
		binding := h.Sum(nil)
		defer clear(binding)
		mat, err = m.seal(attrs, binding, material)
	})
	return mat, err
}

// Inspect implements hsm.Module.
func (m *Module) Inspect(_ context.Context, t hsm.Token) (attrs hsm.Attributes, id hsm.MaterialID, err error) {
	secmem.Do(func() {
		var o *opened
		if o, err = m.open(t); err == nil {
			attrs, id = o.attrs, o.id
			o.wipe()
		}
	})
	return attrs, id, err
}

// Rewrap implements hsm.Module.
func (m *Module) Rewrap(_ context.Context, t hsm.Token) (token hsm.Token, err error) {
	secmem.Do(func() {
		var o *opened
		if o, err = m.open(t); err != nil {
			return
		}
		defer o.wipe()
		var mat hsm.Material
		mat, err = m.seal(o.attrs, o.binding, o.material)
		token = mat.Token
	})
	return token, err
}

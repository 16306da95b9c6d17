package softhsm

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"

	"github.com/keywright/keywright/internal/hsm"
	"github.com/keywright/keywright/internal/hsm/secmem"
)

// NewSecret implements hsm.Module.
func (m *Module) NewSecret(_ context.Context, account, accessKeyID string) (t hsm.Token, secret string, err error) {
	secmem.Do(func() {
		var random [30]byte // 40 characters of base64
		rand.Read(random[:])
		defer clear(random[:])
		secret = base64.StdEncoding.EncodeToString(random[:])
		t, err = m.wrapSecret(account, accessKeyID, secret, hsm.OriginAWSKMS)
	})
	if err != nil {
		return nil, "", err
	}
	return t, secret, nil
}

// WrapSecret implements hsm.Module.
func (m *Module) WrapSecret(_ context.Context, account, accessKeyID, secret string) (t hsm.Token, err error) {
	secmem.Do(func() { t, err = m.wrapSecret(account, accessKeyID, secret, hsm.OriginExternal) })
	return t, err
}

func (m *Module) wrapSecret(account, accessKeyID, secret string, origin hsm.Origin) (hsm.Token, error) {
	if m.closed.Load() {
		return nil, hsm.ErrClosed
	}
	if err := validOwner(account, accessKeyID); err != nil {
		return nil, err
	}
	if !validSize(hsm.SpecSigV4Secret, len(secret)) {
		return nil, fmt.Errorf("softhsm: secret has %d bytes, not %d to %d", len(secret), minSecret, maxSecret)
	}
	var binding [bindingSize]byte
	rand.Read(binding[:])
	defer clear(binding[:])
	material := []byte(secret)
	defer clear(material)
	mat, err := m.seal(hsm.Attributes{
		Account: account,
		KeyID:   accessKeyID,
		Spec:    hsm.SpecSigV4Secret,
		Usage:   hsm.UsageSignRequests,
		Origin:  origin,
	}, binding[:], material)
	return mat.Token, err
}

// SigningKey implements hsm.Module.
func (m *Module) SigningKey(_ context.Context, t hsm.Token, date, region, service string) (key [32]byte, err error) {
	if m.closed.Load() {
		return key, hsm.ErrClosed
	}
	if !validDate(date) || len(region) > 255 || len(service) > 255 {
		return key, errors.New("softhsm: malformed credential scope")
	}
	var buf [768]byte
	name := appendSigningName(buf[:0], t, date, region, service)
	if s, _, ok := m.signing.Get(name); ok {
		key = [32]byte(s.Bytes())
		s.Release()
		return key, nil
	}
	secmem.Do(func() {
		var o *opened
		if o, err = m.open(t); err != nil {
			return
		}
		defer o.wipe()
		if o.attrs.Spec != hsm.SpecSigV4Secret || o.attrs.Usage != hsm.UsageSignRequests {
			err = hsm.ErrWrongUsage
			return
		}
		key = deriveSigningKey(o.material, date, region, service)
		m.signing.Put(name, key[:], struct{}{}).Release()
	})
	return key, err
}

// appendSigningName makes the name of a cached signing key: the scope and the
// whole token, joined so that no two differ in meaning and not in bytes.
func appendSigningName(dst []byte, t hsm.Token, date, region, service string) []byte {
	dst = append(dst, date...)
	dst = append(append(dst, byte(len(region))), region...)
	dst = append(append(dst, byte(len(service))), service...)
	return append(dst, t...)
}

func validDate(date string) bool {
	for i := range len(date) {
		if date[i] < '0' || date[i] > '9' {
			return false
		}
	}
	return len(date) == 8
}

// deriveSigningKey is the derivation of AWS Signature Version 4.
func deriveSigningKey(secret []byte, date, region, service string) [32]byte {
	k := append([]byte("AWS4"), secret...)
	for _, part := range [...]string{date, region, service, "aws4_request"} {
		h := hmac.New(sha256.New, k)
		h.Write([]byte(part))
		clear(k)
		k = h.Sum(k[:0])
	}
	key := [32]byte(k)
	clear(k)
	return key
}

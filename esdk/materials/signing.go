package materials

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"fmt"

	"github.com/keywright/keywright/esdk/suite"
)

// curve returns the curve of a suite's signature, nil for none.
func curve(s suite.Suite) elliptic.Curve {
	switch s.Signature {
	case suite.P256:
		return elliptic.P256()
	case suite.P384:
		return elliptic.P384()
	}
	return nil
}

// newSigningKey makes the key that signs one message, or the messages of one
// cache entry.
func newSigningKey(s suite.Suite) (*ecdsa.PrivateKey, error) {
	key, err := ecdsa.GenerateKey(curve(s), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("esdk: making the signing key: %w", err)
	}
	return key, nil
}

// encodePublicKey writes a key as the value of PublicKeyField: the base64 of
// the compressed point (SEC 1, section 2.3.3).
func encodePublicKey(key *ecdsa.PublicKey) (string, error) {
	point, err := key.Bytes() // 4, x, y
	if err != nil {
		return "", fmt.Errorf("esdk: encoding the verification key: %w", err)
	}
	n := (len(point) - 1) / 2
	point[0] = 2 | point[2*n]&1
	return base64.StdEncoding.EncodeToString(point[:1+n]), nil
}

// decodePublicKey reads the value of PublicKeyField for a suite that signs.
func decodePublicKey(s suite.Suite, field string) (*ecdsa.PublicKey, error) {
	c := curve(s)
	compressed, err := base64.StdEncoding.Strict().DecodeString(field)
	if err != nil {
		return nil, fmt.Errorf("%w: %s is not base64", ErrSignatureKey, PublicKeyField)
	}
	x, y := elliptic.UnmarshalCompressed(c, compressed) // checks the length, and that it is on the curve
	if x == nil {
		return nil, fmt.Errorf("%w: %s is not a compressed point of %s", ErrSignatureKey, PublicKeyField, c.Params().Name)
	}
	n := (c.Params().BitSize + 7) / 8
	point := make([]byte, 1+2*n)
	point[0] = 4
	x.FillBytes(point[1 : 1+n])
	y.FillBytes(point[1+n:])
	key, err := ecdsa.ParseUncompressedPublicKey(c, point)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrSignatureKey, err)
	}
	return key, nil
}

package ecdhwrap

import (
	"crypto/ecdh"
	"crypto/elliptic"
	"errors"
	"math/big"
)

// ErrPoint says that bytes are no compressed point of their curve.
var ErrPoint = errors.New("esdk: a public key is not a point of its curve")

// Curve returns the name of c as Wrap and Unwrap want it, and whether it is one
// of theirs.
func Curve(c ecdh.Curve) (name string, ok bool) {
	switch c {
	case ecdh.P256():
		return P256, true
	case ecdh.P384():
		return P384, true
	case ecdh.P521():
		return P521, true
	}
	return "", false
}

// Compress returns the key as a compressed point: 33, 49 or 67 bytes. It panics
// if the key's curve is none of P-256, P-384 and P-521.
func Compress(key *ecdh.PublicKey) []byte {
	curve := params(key.Curve())
	b := key.Bytes() // 0x04 | x | y
	n := (len(b) - 1) / 2
	return elliptic.MarshalCompressed(curve, new(big.Int).SetBytes(b[1:1+n]), new(big.Int).SetBytes(b[1+n:]))
}

// Decompress returns the key of a compressed point of c, or ErrPoint. It panics
// if c is none of P-256, P-384 and P-521.
func Decompress(c ecdh.Curve, point []byte) (*ecdh.PublicKey, error) {
	curve := params(c)
	x, y := elliptic.UnmarshalCompressed(curve, point)
	if x == nil {
		return nil, ErrPoint
	}
	n := (curve.Params().BitSize + 7) / 8
	b := make([]byte, 1+2*n)
	b[0] = 4
	x.FillBytes(b[1 : 1+n])
	y.FillBytes(b[1+n:])
	key, err := c.NewPublicKey(b)
	if err != nil {
		return nil, ErrPoint
	}
	return key, nil
}

func params(c ecdh.Curve) elliptic.Curve {
	switch c {
	case ecdh.P256():
		return elliptic.P256()
	case ecdh.P384():
		return elliptic.P384()
	case ecdh.P521():
		return elliptic.P521()
	}
	panic("ecdhwrap: not a NIST curve")
}

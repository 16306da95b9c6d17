package keyring

import (
	"bytes"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
)

// The types of PEM blocks that are read, as the specification has them.
const (
	publicBlock  = "PUBLIC KEY"
	privateBlock = "PRIVATE KEY"
)

// ParseRSAPublicKeyPEM returns the RSA key of a PEM block "PUBLIC KEY" (X.509
// SubjectPublicKeyInfo).
func ParseRSAPublicKeyPEM(data []byte) (*rsa.PublicKey, error) {
	der, err := decodePEM(data, publicBlock)
	if err != nil {
		return nil, err
	}
	return parsePublic[*rsa.PublicKey](der, "an RSA")
}

// ParseRSAPrivateKeyPEM returns the RSA key of a PEM block "PRIVATE KEY" (PKCS #8,
// not encrypted).
func ParseRSAPrivateKeyPEM(data []byte) (*rsa.PrivateKey, error) {
	der, err := decodePEM(data, privateBlock)
	if err != nil {
		return nil, err
	}
	defer clear(der)
	return parsePrivate[*rsa.PrivateKey](der, "an RSA")
}

// ParseECDHPublicKey returns the elliptic curve key of an X.509
// SubjectPublicKeyInfo, in DER or as a PEM block "PUBLIC KEY". It refuses points
// that are not on their curve, and the point at infinity.
func ParseECDHPublicKey(data []byte) (*ecdh.PublicKey, error) {
	der := data
	// DER begins with 0x30, which is "0" and begins no PEM.
	if len(data) == 0 || data[0] != 0x30 {
		var err error
		if der, err = decodePEM(data, publicBlock); err != nil {
			return nil, err
		}
	}
	key, err := parsePublic[*ecdsa.PublicKey](der, "an elliptic curve")
	if err != nil {
		return nil, err
	}
	public, err := key.ECDH()
	if err != nil {
		return nil, fmt.Errorf("esdk: reading the public key: %w", err)
	}
	return public, nil
}

// ParseECDHPrivateKeyPEM returns the elliptic curve key of a PEM block "PRIVATE
// KEY" (PKCS #8, not encrypted).
func ParseECDHPrivateKeyPEM(data []byte) (*ecdh.PrivateKey, error) {
	der, err := decodePEM(data, privateBlock)
	if err != nil {
		return nil, err
	}
	defer clear(der)
	key, err := parsePrivate[*ecdsa.PrivateKey](der, "an elliptic curve")
	if err != nil {
		return nil, err
	}
	private, err := key.ECDH()
	if err != nil {
		return nil, fmt.Errorf("esdk: reading the private key: %w", err)
	}
	return private, nil
}

func parsePublic[T any](der []byte, kind string) (key T, err error) {
	parsed, err := x509.ParsePKIXPublicKey(der)
	if err != nil {
		return key, fmt.Errorf("esdk: reading the public key: %w", err)
	}
	key, ok := parsed.(T)
	if !ok {
		return key, fmt.Errorf("esdk: not %s public key but a %T", kind, parsed)
	}
	return key, nil
}

func parsePrivate[T any](der []byte, kind string) (key T, err error) {
	parsed, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return key, fmt.Errorf("esdk: reading the private key: %w", err)
	}
	key, ok := parsed.(T)
	if !ok {
		return key, fmt.Errorf("esdk: not %s private key but a %T", kind, parsed)
	}
	return key, nil
}

// decodePEM returns the contents of the one block that data consists of.
func decodePEM(data []byte, want string) ([]byte, error) {
	block, rest := pem.Decode(data)
	switch {
	case block == nil:
		return nil, fmt.Errorf("esdk: no PEM block %q found", want)
	case block.Type != want && want == privateBlock:
		return nil, fmt.Errorf("esdk: the PEM block is %q, not %q: convert it with openssl pkcs8 -topk8 -nocrypt",
			block.Type, want)
	case block.Type != want:
		return nil, fmt.Errorf("esdk: the PEM block is %q, not %q: make it with openssl pkey -pubout",
			block.Type, want)
	case len(bytes.TrimSpace(rest)) != 0:
		return nil, errors.New("esdk: there is more after the PEM block: give just one key")
	}
	return block.Bytes, nil
}

package message

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/binary"
	"fmt"

	"github.com/keywright/keywright/esdk/suite"
)

// MaxFooter is the longest footer that is written: P-384 in DER takes 104 bytes
// at most, behind two of its length.
const MaxFooter = 2 + 104

// Curve returns the curve of a signature of that kind, nil for none.
func Curve(s suite.Signature) elliptic.Curve {
	switch s {
	case suite.P256:
		return elliptic.P256()
	case suite.P384:
		return elliptic.P384()
	}
	return nil
}

// AppendFooter signs the digest of header and body, and appends the footer.
func AppendFooter(dst []byte, key *ecdsa.PrivateKey, digest []byte) ([]byte, error) {
	sig, err := ecdsa.SignASN1(rand.Reader, key, digest)
	if err != nil {
		return nil, fmt.Errorf("signing the message: %w", err)
	}
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(sig)))
	return append(dst, sig...), nil
}

// FooterLen returns how many bytes the footer takes that b begins with, or, like
// Scanner.Next, how many are needed to tell.
func FooterLen(b []byte) int {
	if len(b) < 2 {
		return 2
	}
	return 2 + int(binary.BigEndian.Uint16(b))
}

// VerifyFooter checks a whole footer against the digest of header and body.
func VerifyFooter(footer []byte, key *ecdsa.PublicKey, digest []byte) error {
	if !ecdsa.VerifyASN1(key, digest, footer[2:]) {
		return ErrSignature
	}
	return nil
}

package materials

import (
	"fmt"

	"github.com/keywright/keywright/esdk/suite"
)

// AllowsEncrypt reports whether messages of the suite may be written. An
// unknown policy allows nothing.
func (p CommitmentPolicy) AllowsEncrypt(s suite.Suite) bool {
	switch p {
	case RequireEncryptRequireDecrypt, RequireEncryptAllowDecrypt:
		return s.Committing
	case ForbidEncryptAllowDecrypt:
		return !s.Committing
	}
	return false
}

// AllowsDecrypt reports whether messages of the suite may be read. An unknown
// policy allows nothing.
func (p CommitmentPolicy) AllowsDecrypt(s suite.Suite) bool {
	switch p {
	case RequireEncryptRequireDecrypt:
		return s.Committing
	case RequireEncryptAllowDecrypt, ForbidEncryptAllowDecrypt:
		return true
	}
	return false
}

// DefaultSuite is what messages are written with when nobody chose a suite: one
// that signs. Where commitment is forbidden it is that of the other
// implementations, AES-256 with HKDF and ECDSA P-384; the specification's text
// names one without either.
func (p CommitmentPolicy) DefaultSuite() suite.ID {
	if p == ForbidEncryptAllowDecrypt {
		return suite.AES256GCMHKDFP384
	}
	return suite.AES256GCMCommitP384
}

// String returns the policy's name as the specification writes it.
func (p CommitmentPolicy) String() string {
	switch p {
	case RequireEncryptRequireDecrypt:
		return "REQUIRE_ENCRYPT_REQUIRE_DECRYPT"
	case RequireEncryptAllowDecrypt:
		return "REQUIRE_ENCRYPT_ALLOW_DECRYPT"
	case ForbidEncryptAllowDecrypt:
		return "FORBID_ENCRYPT_ALLOW_DECRYPT"
	}
	return fmt.Sprintf("CommitmentPolicy(%d)", uint8(p))
}

// encryptSuite is the suite a request to encrypt is for, if its policy allows
// it.
func encryptSuite(req EncryptionRequest) (suite.Suite, error) {
	id := req.Suite
	if id == 0 {
		id = req.Policy.DefaultSuite()
	}
	s, ok := suite.Lookup(id)
	if !ok {
		return suite.Suite{}, fmt.Errorf("%w: %v", ErrUnknownSuite, id)
	}
	if !req.Policy.AllowsEncrypt(s) {
		return suite.Suite{}, fmt.Errorf("%w: %v does not let %v be written", ErrCommitmentPolicy, req.Policy, id)
	}
	return s, nil
}

// decryptSuite is the suite a request to decrypt is for, if its policy allows
// it.
func decryptSuite(req DecryptionRequest) (suite.Suite, error) {
	s, ok := suite.Lookup(req.Suite)
	if !ok {
		return suite.Suite{}, fmt.Errorf("%w: %v", ErrUnknownSuite, req.Suite)
	}
	if !req.Policy.AllowsDecrypt(s) {
		return suite.Suite{}, fmt.Errorf("%w: %v does not let %v be read", ErrCommitmentPolicy, req.Policy, req.Suite)
	}
	return s, nil
}

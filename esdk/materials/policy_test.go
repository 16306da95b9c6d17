package materials_test

import (
	"testing"

	"github.com/keywright/keywright/esdk/materials"
	"github.com/keywright/keywright/esdk/suite"
)

func TestCommitmentPolicy(t *testing.T) {
	for _, tc := range []struct {
		policy                         materials.CommitmentPolicy
		name                           string
		encryptPlain, encryptCommitted bool
		decryptPlain, decryptCommitted bool
		suite                          suite.ID
	}{
		{materials.RequireEncryptRequireDecrypt, "REQUIRE_ENCRYPT_REQUIRE_DECRYPT", false, true, false, true, 0x0578},
		{materials.RequireEncryptAllowDecrypt, "REQUIRE_ENCRYPT_ALLOW_DECRYPT", false, true, true, true, 0x0578},
		{materials.ForbidEncryptAllowDecrypt, "FORBID_ENCRYPT_ALLOW_DECRYPT", true, false, true, true, 0x0378},
		{materials.CommitmentPolicy(9), "CommitmentPolicy(9)", false, false, false, false, 0x0578},
	} {
		if got := tc.policy.String(); got != tc.name {
			t.Errorf("String = %q, want %q", got, tc.name)
		}
		if got := tc.policy.DefaultSuite(); got != tc.suite {
			t.Errorf("%v: DefaultSuite = %v, want %v", tc.policy, got, tc.suite)
		}
		for _, s := range suite.All() {
			encrypt, decrypt := tc.encryptPlain, tc.decryptPlain
			if s.ID == 0x0478 || s.ID == 0x0578 {
				encrypt, decrypt = tc.encryptCommitted, tc.decryptCommitted
			}
			if got := tc.policy.AllowsEncrypt(s); got != encrypt {
				t.Errorf("%v: AllowsEncrypt(%v) = %v", tc.policy, s.ID, got)
			}
			if got := tc.policy.AllowsDecrypt(s); got != decrypt {
				t.Errorf("%v: AllowsDecrypt(%v) = %v", tc.policy, s.ID, got)
			}
		}
	}
}

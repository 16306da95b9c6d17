package softhsm

import (
	"github.com/keywright/keywright/internal/hsm"
	"github.com/keywright/keywright/internal/hsm/secmem"
)

// Seams for the tests against vectors.
var (
	DeriveBlobKey = deriveBlobKey
	BlobContext   = blobContext
	SelfTest      = selfTest
)

// HeldBlobKey, HeldSigningKey and HeldDomainKey return what the Module holds,
// for tests of when it is wiped; the caller releases it.

func HeldBlobKey(m *Module, t hsm.Token) (secmem.Secret, bool) {
	s, _, ok := m.keys.Get(t)
	return s, ok
}

func HeldSigningKey(m *Module, t hsm.Token, date, region, service string) (secmem.Secret, bool) {
	s, _, ok := m.signing.Get(appendSigningName(nil, t, date, region, service))
	return s, ok
}

func HeldDomainKey(m *Module, version uint32) (secmem.Secret, bool) {
	s := m.domain[version]
	return s, s.Retain()
}

// Package softhsm is the hsm.Module in software. Its keys are derived from
// versioned domain keys, which it is given when it is made; tokens are sealed
// under them, and bodies are made by internal/aead under a key derived from the
// material and its binding secret.
//
// Domain keys and derived keys live in locked memory outside Go's heap (see
// secmem); a token's material is opened only to derive from it, and wiped
// again. The package does no I/O but for the system's random source, and does
// not know where tokens are stored or who may use them.
package softhsm

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/keywright/keywright/internal/hsm"
	"github.com/keywright/keywright/internal/hsm/secmem"
)

// DomainKeySize is the length of a domain key in bytes.
const DomainKeySize = 32

// DomainKeys are the keys under which a Module seals its tokens, by version.
// New tokens are sealed under the active version; tokens of the others open
// until they are rewrapped and the version is left out.
type DomainKeys struct {
	Keys   map[uint32][]byte // DomainKeySize uniformly random bytes each
	Active uint32
}

// Options tune a Module. The zero value is right for most.
type Options struct {
	// Keys is how many opened KMS keys stay in memory: 50,000 if zero. More
	// than that, and the one least recently used is opened again when needed.
	Keys int
	// SigningKeys is the same for SigV4 signing keys, one per access key, day,
	// Region and service: 2,000 if zero.
	SigningKeys int
}

const (
	defaultKeys        = 50_000
	defaultSigningKeys = 2_000

	derivedSize = 32 // of every secret in the arena
)

// Module is a software hsm.Module.
type Module struct {
	domain map[uint32]secmem.Secret
	active uint32

	arena   *secmem.Arena
	keys    *secmem.Cache[kdfContext]
	signing *secmem.Cache[struct{}]
	closed  atomic.Bool
}

var _ hsm.Module = (*Module)(nil)

// New makes a Module over copies of the domain keys; the caller wipes its own.
// It first checks the algorithms against known answers, and fails if one is
// wrong.
func New(domain DomainKeys, opts Options) (*Module, error) {
	if err := selfTest(); err != nil {
		return nil, err
	}
	if _, ok := domain.Keys[domain.Active]; !ok {
		return nil, fmt.Errorf("softhsm: no domain key of the active version %d", domain.Active)
	}
	for v, k := range domain.Keys {
		if len(k) != DomainKeySize {
			return nil, fmt.Errorf("softhsm: domain key %d has %d bytes, not %d", v, len(k), DomainKeySize)
		}
	}
	if opts.Keys < 0 || opts.SigningKeys < 0 {
		return nil, errors.New("softhsm: negative cache size")
	}
	if opts.Keys == 0 {
		opts.Keys = defaultKeys
	}
	if opts.SigningKeys == 0 {
		opts.SigningKeys = defaultSigningKeys
	}
	arena := secmem.NewArena(derivedSize, len(domain.Keys)+opts.Keys+opts.SigningKeys)
	m := &Module{
		domain:  make(map[uint32]secmem.Secret, len(domain.Keys)),
		active:  domain.Active,
		arena:   arena,
		keys:    secmem.NewCache[kdfContext](arena, opts.Keys*derivedSize),
		signing: secmem.NewCache[struct{}](arena, opts.SigningKeys*derivedSize),
	}
	for v, k := range domain.Keys {
		m.domain[v] = arena.New(k)
	}
	return m, nil
}

// Warning is one line for the operator's log that says what protection of
// memory the system refused, or empty. The Module works all the same.
func (m *Module) Warning() string { return m.arena.Warning() }

// Random implements hsm.Module.
func (m *Module) Random(_ context.Context, buf []byte) error {
	if m.closed.Load() {
		return hsm.ErrClosed
	}
	rand.Read(buf) // never fails; see crypto/rand
	return nil
}

// Close implements hsm.Module.
func (m *Module) Close() error {
	if m.closed.Swap(true) {
		return nil
	}
	m.keys.Close()
	m.signing.Close()
	for _, k := range m.domain {
		k.Release()
	}
	m.arena.Close()
	return nil
}

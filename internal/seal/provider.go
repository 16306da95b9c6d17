package seal

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"

	"golang.org/x/crypto/argon2"
)

// Provider is where the secret of a slot comes from: RootKeyFile, Credential,
// NewMemoryRootKey, Passphrase or RecoveryKey.
type Provider interface {
	// Kind is that of the slots it may open.
	Kind() Kind
	// String names the source for people, without the secret.
	String() string

	// open returns the secret for an existing slot of its Kind.
	open(ctx context.Context, s *slot) (secret, error)
	// enroll returns the secret for a new slot, into which it puts its
	// parameters. It makes the secret where there is none yet.
	enroll(ctx context.Context, s *slot) (secret, error)
}

// NewMemoryRootKey returns a root key that exists in this process only, for
// stores that live no longer.
func NewMemoryRootKey() Provider { return memoryRootKey{newSecret()} }

type memoryRootKey struct{ key secret }

func (memoryRootKey) Kind() Kind     { return KindRootKey }
func (memoryRootKey) String() string { return "root key in memory" }

func (p memoryRootKey) open(context.Context, *slot) (secret, error) {
	return secretFrom(p.key.bytes()), nil
}

func (p memoryRootKey) enroll(ctx context.Context, s *slot) (secret, error) { return p.open(ctx, s) }

// MinPassphrase is the least length of a new passphrase in bytes. It is what
// NIST SP 800-63B-4 asks of a password that protects something alone.
const MinPassphrase = 15

// Passphrase is a Provider that asks for a passphrase, at most once, when it is
// needed. The passphrase is the bytes that Read returns; a Read that takes it
// from a line removes the line's end.
type Passphrase struct {
	// Read returns the passphrase: it asks at the terminal, or reads a file or
	// the environment.
	Read func(ctx context.Context) ([]byte, error)
	// Cost is that of a new slot; zero means DefaultArgon2.
	Cost Argon2

	mu   sync.Mutex
	text []byte
}

// Kind implements Provider.
func (p *Passphrase) Kind() Kind { return KindPassphrase }

func (p *Passphrase) String() string { return "passphrase" }

// Format implements fmt.Formatter: a Passphrase prints without the passphrase.
func (p *Passphrase) Format(f fmt.State, _ rune) { io.WriteString(f, p.String()) }

// PassphraseFile returns a Passphrase that is the content of a file, less one
// line end. The file must be readable by its owner only.
func PassphraseFile(path string) *Passphrase {
	return &Passphrase{Read: func(context.Context) ([]byte, error) {
		b, err := readPrivateFile(path, true)
		if err != nil {
			return nil, err
		}
		return trimLineEnd(b), nil
	}}
}

func (p *Passphrase) read(ctx context.Context) ([]byte, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.text == nil {
		text, err := p.Read(ctx)
		if err != nil {
			return nil, fmt.Errorf("reading the passphrase: %w", err)
		}
		if len(text) == 0 {
			return nil, errors.New("the passphrase is empty")
		}
		p.text = text
	}
	return p.text, nil
}

func (p *Passphrase) open(ctx context.Context, s *slot) (secret, error) {
	text, err := p.read(ctx)
	if err != nil {
		return secret{}, err
	}
	// The slot's bounds were checked when it was parsed.
	key := argon2.IDKey(text, s.salt[:], s.argon2.Time, s.argon2.Memory, s.argon2.Threads, secretSize)
	defer clear(key)
	return secretFrom(key), nil
}

func (p *Passphrase) enroll(ctx context.Context, s *slot) (secret, error) {
	s.argon2 = p.Cost
	if s.argon2 == (Argon2{}) {
		s.argon2 = DefaultArgon2
	}
	if err := s.argon2.check(); err != nil {
		return secret{}, err
	}
	text, err := p.read(ctx)
	if err != nil {
		return secret{}, err
	}
	if len(text) < MinPassphrase {
		return secret{}, fmt.Errorf("the passphrase is too short: it needs %d characters at least", MinPassphrase)
	}
	return p.open(ctx, s)
}

// Close forgets the passphrase. The next use reads it again.
func (p *Passphrase) Close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	clear(p.text)
	p.text = nil
	return nil
}

// maxSecretFile bounds what is read of a file that holds a secret, in bytes.
const maxSecretFile = 4096

// readPrivateFile reads a small regular file. Where private is set it refuses
// one that others than its owner may read or write.
func readPrivateFile(path string, private bool) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a regular file", path)
	}
	if perm := info.Mode().Perm(); private && hasPermissions && perm&0o077 != 0 {
		return nil, fmt.Errorf("%s may be read or written by others (mode %04o): run chmod 600 on it, and replace the secret if others could log in here", path, perm)
	}
	b, err := io.ReadAll(io.LimitReader(f, maxSecretFile+1))
	if err != nil {
		return nil, err
	}
	if len(b) > maxSecretFile {
		return nil, fmt.Errorf("%s is longer than %d bytes", path, maxSecretFile)
	}
	return b, nil
}

// trimLineEnd removes one "\n" or "\r\n" from the end.
func trimLineEnd(b []byte) []byte {
	if line, ok := bytes.CutSuffix(b, []byte("\n")); ok {
		return bytes.TrimSuffix(line, []byte("\r"))
	}
	return b
}

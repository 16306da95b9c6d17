package materials

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

type requiredManager struct {
	keys       []string
	underlying Manager
}

// NewRequiredContextManager returns a manager whose messages authenticate the
// pairs of those keys and do not store them: whoever reads a message must
// reproduce them. To encrypt, each key must be in the context, and to decrypt
// in the reproduced context (ErrMissingContext). Readers need the values; they
// need no such manager unless they, too, are to insist on the keys.
//
// There must be at least one key and none with ReservedPrefix (ErrReservedKey).
// A key given twice counts once. It panics if underlying is nil.
//
// Source: the specification, "Required Encryption Context Cryptographic
// Materials Manager".
func NewRequiredContextManager(keys []string, underlying Manager) (Manager, error) {
	if len(keys) == 0 {
		return nil, fmt.Errorf("%w: name at least one key", ErrMissingContext)
	}
	for _, k := range keys {
		if strings.HasPrefix(k, ReservedPrefix) {
			return nil, fmt.Errorf("%w: %q", ErrReservedKey, k)
		}
	}
	if underlying == nil {
		panic("materials: NewRequiredContextManager without a manager")
	}
	return &requiredManager{slices.Clone(keys), underlying}, nil
}

func (r *requiredManager) EncryptionMaterials(ctx context.Context, req EncryptionRequest) (*EncryptionMaterials, error) {
	if err := r.check(req.EncryptionContext); err != nil {
		return nil, err
	}
	m, err := r.underlying.EncryptionMaterials(ctx, req)
	if err != nil {
		return nil, err
	}
	if err := r.check(m.EncryptionContext); err != nil {
		m.Wipe()
		return nil, fmt.Errorf("%w: %w", ErrMaterials, err)
	}
	m.RequiredKeys = sortedSet(append(slices.Clip(m.RequiredKeys), r.keys...))
	return m, nil
}

func (r *requiredManager) DecryptionMaterials(ctx context.Context, req DecryptionRequest) (*DecryptionMaterials, error) {
	if err := r.check(req.Reproduced); err != nil {
		return nil, err
	}
	m, err := r.underlying.DecryptionMaterials(ctx, req)
	if err != nil {
		return nil, err
	}
	if err := r.check(m.EncryptionContext); err != nil {
		m.Wipe()
		return nil, fmt.Errorf("%w: %w", ErrMaterials, err)
	}
	return m, nil
}

func (r *requiredManager) check(context map[string]string) error {
	for _, k := range r.keys {
		if _, ok := context[k]; !ok {
			return fmt.Errorf("%w: %q", ErrMissingContext, k)
		}
	}
	return nil
}

func sortedSet(keys []string) []string {
	keys = slices.Clone(keys)
	slices.Sort(keys)
	return slices.Compact(keys)
}

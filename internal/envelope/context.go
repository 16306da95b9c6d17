package envelope

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/keywright/keywright/esdk/materials"
)

// Expectation is what the encryption context of a message must be like to be
// decrypted. The zero value expects nothing.
type Expectation struct {
	Pairs   map[string]string // must be stored in the message
	Present []string          // keys that must be stored, with any value
	// Unstored are keys of Pairs that the message authenticates and does not
	// store. If it stores them after all, the values must agree.
	Unstored []string
}

// ContextError says in what a message's encryption context is not the expected
// one. It is a materials.ErrContextMismatch.
type ContextError struct {
	Keys  []string          // that the message does not store
	Pairs map[string]string // that it stores otherwise, or not at all
}

func (e *ContextError) Error() string {
	keys := slices.Concat(e.Keys, slices.Sorted(maps.Keys(e.Pairs)))
	return fmt.Sprintf("%v: %s", e.Unwrap(), strings.Join(keys, ", "))
}

// Unwrap returns materials.ErrContextMismatch.
func (e *ContextError) Unwrap() error { return materials.ErrContextMismatch }

// Expecting returns a manager that decrypts only messages whose encryption
// context is as expected, and asks the underlying one for nothing else. It adds
// nothing to the context of messages that it encrypts.
func Expecting(e Expectation, underlying materials.Manager) materials.Manager {
	return &expecting{Manager: underlying, e: e}
}

type expecting struct {
	materials.Manager
	e Expectation
}

// DecryptionMaterials implements materials.Manager.
func (m *expecting) DecryptionMaterials(ctx context.Context, req materials.DecryptionRequest) (*materials.DecryptionMaterials, error) {
	mismatch := &ContextError{Pairs: map[string]string{}}
	for k, want := range m.e.Pairs {
		got, ok := req.EncryptionContext[k]
		if ok && got != want || !ok && !slices.Contains(m.e.Unstored, k) {
			mismatch.Pairs[k] = want
		}
	}
	for _, k := range m.e.Present {
		if _, ok := req.EncryptionContext[k]; !ok {
			mismatch.Keys = append(mismatch.Keys, k)
		}
	}
	if len(mismatch.Pairs)+len(mismatch.Keys) > 0 {
		return nil, mismatch
	}
	return m.Manager.DecryptionMaterials(ctx, req)
}

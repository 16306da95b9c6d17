package materials

import (
	"errors"
	"fmt"
	"strings"
)

// The errors callers branch on. More about them is in the text.
var (
	ErrCommitmentPolicy = errors.New("esdk: the commitment policy does not allow this algorithm suite")
	ErrUnknownSuite     = errors.New("esdk: unknown algorithm suite")
	ErrReservedKey      = errors.New("esdk: keys of an encryption context may not begin with aws-crypto-")
	ErrContextMismatch  = errors.New("esdk: the encryption context is not that of the message")
	ErrMissingContext   = errors.New("esdk: a required key is missing from the encryption context")
	ErrSignatureKey     = errors.New("esdk: the verification key does not fit the algorithm suite")
	// ErrMaterials says that a keyring or a manager broke its contract: what it
	// returned cannot be a message's.
	ErrMaterials = errors.New("esdk: the materials cannot be used")
)

// UnwrapError says that no key could unwrap the data key, and why for each that
// was tried.
type UnwrapError struct {
	Attempts []Attempt
}

// Attempt is one encrypted data key that a keyring tried, or passed over.
type Attempt struct {
	ProviderID   string
	ProviderInfo string // as text where it is text
	Err          error
}

func (e *UnwrapError) Error() string {
	if len(e.Attempts) == 0 {
		return "esdk: no encrypted data key of the message is for these keys"
	}
	var b strings.Builder
	b.WriteString("esdk: no key could decrypt the data key")
	for _, a := range e.Attempts {
		fmt.Fprintf(&b, "; %s %q: %v", a.ProviderID, a.ProviderInfo, a.Err)
	}
	return b.String()
}

// Unwrap returns the causes.
func (e *UnwrapError) Unwrap() []error {
	errs := make([]error, len(e.Attempts))
	for i, a := range e.Attempts {
		errs[i] = a.Err
	}
	return errs
}

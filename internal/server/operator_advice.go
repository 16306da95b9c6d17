package server

import (
	"errors"
	"fmt"
	"strings"

	"github.com/keywright/keywright/internal/awsapi"
	"github.com/keywright/keywright/internal/iam"
	"github.com/keywright/keywright/internal/seal"
)

// advised is an error with what to do about it.
type advised struct {
	error
	hint string
}

func (e advised) Unwrap() error { return e.error }

// Hint says what to do about the error.
func (e advised) Hint() string { return e.hint }

// advise adds to the errors that operators meet what can be done about them.
func advise(err error) error {
	if e, ok := errors.AsType[*awsapi.Error](err); ok && e.Message != "" {
		// The text of an API error is a sentence; here it is a part of one.
		err = errors.New(strings.TrimSuffix(strings.ToLower(e.Message[:1])+e.Message[1:], "."))
		if e.Code == iam.CodeDeleteConflict {
			return advised{err, "make another first with `keywright account create-access-key`, or repeat the command with --force"}
		}
	}
	if e, ok := errors.AsType[*seal.LastOfKindError](err); ok {
		return advised{err, fmt.Sprintf("add another %s first, or repeat the command with --last-of-kind", e.Kind)}
	}
	if e, ok := errors.AsType[*seal.MissingSecretsError](err); ok {
		var kinds []string
		for _, s := range e.Slots {
			kinds = append(kinds, fmt.Sprintf("%s (slot %s)", s.Kind, s.ID))
		}
		return advised{err, "give the secrets with --passphrase-file, --recovery-key-file or --with-root-key, replace a lost recovery key with `keywright seal add recovery`, or remove the slots: " + strings.Join(kinds, ", ")}
	}
	switch {
	case errors.Is(err, errNotCovered):
		return advised{err, "try the recovery key that was in force when the log began; `keywright audit verify` without a recovery key checks what the server can"}
	case errors.Is(err, seal.ErrNoSlot):
		return advised{err, "`keywright seal list` shows the slots"}
	case errors.Is(err, seal.ErrLastSlot):
		return advised{err, "add another slot first"}
	case errors.Is(err, errNotAFile):
		return advised{err, "add a new one with `keywright seal add root-key FILE`, put it where the server reads its own from, restart the server, and remove the old slot"}
	}
	return err
}

package server

import (
	"context"

	"github.com/keywright/keywright/internal/audit"
	"github.com/keywright/keywright/internal/iam"
	"github.com/keywright/keywright/internal/store"
)

// ParseSeed tells whether a seed file can be read, and what it holds: its
// accounts and its keys.
func ParseSeed(text []byte) (accounts, keys int, err error) {
	f, err := parseSeed(text)
	if err != nil {
		return 0, 0, err
	}
	for _, k := range f.keys {
		k.Check() // must not panic
	}
	return len(f.accounts), len(f.keys), nil
}

// OutboxLen counts what is in the audit outbox of an Operator's own store.
func OutboxLen(ctx context.Context, o *Operator) (n int, err error) {
	v, err := o.core.store.Snapshot(ctx)
	if err != nil {
		return 0, err
	}
	defer v.Close()
	prefix := []byte(audit.OutboxPrefix)
	for _, err := range v.Scan(prefix, store.PrefixEnd(prefix)) {
		if err != nil {
			return 0, err
		}
		n++
	}
	return n, nil
}

// PutCredentials puts a profile into a credentials file.
func PutCredentials(path, profile, account, id, secret string) error {
	return putCredentials(path, profile, iam.Credentials{Account: account, AccessKeyID: id, SecretAccessKey: secret})
}

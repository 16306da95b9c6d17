package server

import (
	"context"
	"encoding/hex"

	"github.com/keywright/keywright/internal/audit"
	"github.com/keywright/keywright/internal/iam"
	"github.com/keywright/keywright/internal/record"
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

// CopyAuditBoxes puts the keys that the recovery key opens of one chain at the
// place of another's, as somebody might who can write the store. The chains are
// in hexadecimal.
func CopyAuditBoxes(ctx context.Context, o *Operator, from, to string) error {
	boxes, err := o.core.auditBoxes(ctx, chainInput{from}, nil)
	if err != nil {
		return err
	}
	chain, err := hex.DecodeString(to)
	if err != nil {
		return err
	}
	tx := o.core.db.Tx()
	record.Put(tx, auditChainPath(chain), 0, &auditChain{Version: 1, Boxes: boxes.Boxes})
	_, err = tx.Commit(ctx)
	return err
}

// PutCredentials puts a profile into a credentials file.
func PutCredentials(path, profile, account, id, secret string) error {
	return putCredentials(path, profile, iam.Credentials{Account: account, AccessKeyID: id, SecretAccessKey: secret})
}

package seal

import (
	"context"
	"fmt"
	"slices"

	"github.com/keywright/keywright/internal/store"
)

// MaxRecordBytes bounds the key and the value of a sealed record together, so
// that it fits a batch with a condition on its key.
const MaxRecordBytes = store.MaxBatchBytes - store.MaxKeyBytes

// Guard returns st with a Write that holds two promises. A value that is not a
// sealed record is refused, unless it goes under Prefix or PlainPrefix, so
// nothing reaches the store in the clear by mistake. And once a rotation has
// switched to a new store key, no record under an older one is written any more:
// one that was sealed just before is sealed again on its way. The second is what
// makes it safe to destroy the older key, so every writer of sealed records
// must use a guarded store.
func (kr *Keyring) Guard(st store.Store) store.Store {
	return &guard{Store: st, kr: kr}
}

type guard struct {
	store.Store
	kr *Keyring
}

// Write implements store.Store.
func (g *guard) Write(ctx context.Context, b store.Batch) (store.Revision, error) {
	// Held until the write is done, so that setKeys waits for it.
	g.kr.writes.RLock()
	defer g.kr.writes.RUnlock()
	active := g.kr.activeVersion()
	copied := false
	for i, op := range b.Ops {
		path := string(op.Key)
		if op.Delete || !IsSealed(path) {
			continue
		}
		version, ok := recordVersion(op.Value)
		if !ok {
			return 0, fmt.Errorf("writing %q: the value is not a sealed record", path)
		}
		if len(op.Key)+len(op.Value) > MaxRecordBytes {
			return 0, fmt.Errorf("writing %q: the record is longer than %d bytes", path, MaxRecordBytes)
		}
		if version == active {
			continue
		}
		plaintext, err := g.kr.Open(path, op.Value)
		if err != nil {
			return 0, fmt.Errorf("sealing %q again: %w", path, err)
		}
		if !copied {
			b.Ops, copied = slices.Clone(b.Ops), true
		}
		b.Ops[i].Value = g.kr.Seal(path, plaintext)
		clear(plaintext)
	}
	return g.Store.Write(ctx, b)
}

func (kr *Keyring) activeVersion() uint32 {
	kr.mu.RLock()
	defer kr.mu.RUnlock()
	return kr.active
}

package server

import (
	"context"
	"fmt"

	"github.com/keywright/keywright/internal/seal"
)

// checkStore opens every record, and then looks whether those of keys fit
// together.
func (c *core) checkStore(ctx context.Context, _ nothing, progress Progress) (*StoreCheck, error) {
	v, err := c.db.View(ctx)
	if err != nil {
		return nil, err
	}
	defer v.Close()
	entries, err := c.store.Snapshot(ctx)
	if err != nil {
		return nil, err
	}
	defer entries.Close()
	out := &StoreCheck{Revision: uint64(v.Revision()), Problems: []string{}}
	found := func(problem string) { out.Problems = append(out.Problems, problem) }
	total, err := c.countRecords(ctx)
	if err != nil {
		return nil, err
	}
	for e, err := range entries.Scan(nil, nil) {
		if err != nil {
			return nil, err
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if !seal.IsSealed(string(e.Key)) {
			continue
		}
		plaintext, err := c.keyring.Open(string(e.Key), e.Value)
		if err != nil {
			found(fmt.Sprintf("%s: %v", e.Key, err))
		}
		clear(plaintext)
		out.Records++
		progress(out.Records, max(total, out.Records))
	}
	return out, c.kms.Check(ctx, v, found)
}

func (c *core) countRecords(ctx context.Context) (n int, err error) {
	v, err := c.db.View(ctx)
	if err != nil {
		return 0, err
	}
	defer v.Close()
	for path, err := range v.Paths(nil, nil) {
		if err != nil {
			return 0, err
		}
		if seal.IsSealed(string(path)) {
			n++
		}
	}
	return n, nil
}

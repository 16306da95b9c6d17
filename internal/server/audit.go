package server

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/keywright/keywright/internal/audit"
	"github.com/keywright/keywright/internal/seal"
	"github.com/keywright/keywright/internal/store"
)

// openAudit opens the audit log and the outbox that feeds it. The recovery key,
// where it was at hand, is forgotten.
func (c *core) openAudit(ctx context.Context) (err error) {
	keys, err := c.auditKeys(ctx)
	if err != nil {
		return err
	}
	if c.cfg.anewAudit {
		if c.auditAside, err = setAuditAside(c.auditDir, time.Now()); err != nil {
			return err
		}
	}
	reserve := c.cfg.Audit.ReserveBytes
	if c.cfg.Data == "" {
		reserve = -1 // changes in memory outlive no full disk
	}
	c.audit, err = audit.Open(ctx, audit.Config{
		Dir:          c.auditDir,
		Keys:         keys,
		Clock:        c.clock,
		Logger:       c.log,
		SegmentBytes: c.cfg.Audit.SegmentBytes,
		RetainAge:    time.Duration(c.cfg.Audit.RetainDays) * 24 * time.Hour,
		RetainBytes:  c.cfg.Audit.RetainBytes,
		ReserveBytes: reserve,
		StoreRevision: func(ctx context.Context) (store.Revision, error) {
			v, err := c.store.Snapshot(ctx)
			if err != nil {
				return 0, err
			}
			defer v.Close()
			return v.Revision(), nil
		},
	})
	keys.recovery, c.cfg.recoveryKey = "", ""
	if err != nil {
		return adviseAudit(c.cfg.Data, err)
	}
	c.outbox = audit.NewOutbox(c.guarded, pathSealer{c.keyring}, c.audit)
	return nil
}

// auditKeys is where this start's log keeps its state. The recovery key is at
// hand where it was just made, or was given to a command that begins a log.
func (c *core) auditKeys(ctx context.Context) (*auditKeys, error) {
	k := &auditKeys{db: c.db, storeID: c.keyring.StoreID(), anew: c.cfg.anewAudit}
	if c.cfg.recoveryKey != "" {
		p, err := seal.RecoveryKey(c.cfg.recoveryKey)
		if err != nil {
			return nil, fmt.Errorf("reading the recovery key: %w", err)
		}
		opened, err := seal.Unlock(ctx, c.store, p)
		if err != nil {
			return nil, err
		}
		opened.Close() // wipes keys in memory; it cannot fail
		k.recovery = c.cfg.recoveryKey
	}
	if c.cfg.Data != "" {
		k.uncovered = func() {
			c.log.Warn("an audit log begins while the recovery key is not at hand, so that it cannot be verified with it from its beginning; `keywright seal add recovery` makes a new recovery key, which authenticates what follows")
		}
	}
	return k, nil
}

// adviseAudit adds to why the audit log does not open what can be done about it.
func adviseAudit(data string, err error) error {
	_, damaged := errors.AsType[*audit.CorruptError](err)
	if damaged || errors.Is(err, audit.ErrMissing) {
		return advised{err, "bring the folder " + auditName + " back as it was; where it is lost, begin a new log with `keywright audit new-chain --data " + data + "`, which keeps what is left of the old one beside it"}
	}
	return err
}

// pathSealer seals outbox entries.
type pathSealer struct{ keyring *seal.Keyring }

func (p pathSealer) Seal(path, plaintext []byte) []byte {
	return p.keyring.Seal(string(path), plaintext)
}
func (p pathSealer) Open(path, sealed []byte) ([]byte, error) {
	return p.keyring.Open(string(path), sealed)
}

// setAuditAside moves what is left of an audit log out of the way of a new one,
// and returns where it is now; "" where nothing was left.
func setAuditAside(dir string, now time.Time) (string, error) {
	left, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("looking for the old audit log: %w", err)
	}
	segments := false
	for _, e := range left {
		segments = segments || strings.Contains(e.Name(), ".log")
	}
	if !segments {
		return "", nil
	}
	aside := dir + "-until-" + now.UTC().Format("20060102T150405Z")
	if err := os.Rename(dir, aside); err != nil {
		return "", fmt.Errorf("putting the old audit log aside: %w", err)
	}
	if err := audit.DropReserve(aside); err != nil {
		return "", err
	}
	return aside, syncFolder(filepath.Dir(dir))
}

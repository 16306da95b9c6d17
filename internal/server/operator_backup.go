package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/keywright/keywright/internal/backup"
	"github.com/keywright/keywright/internal/seal"
	"github.com/keywright/keywright/internal/store/boltstore"
)

// backup writes a backup of the store as it is now. That it begins is recorded
// before a byte leaves.
func (c *core) backup(ctx context.Context, w io.Writer) (*backup.Info, error) {
	if err := c.recordOperator(ctx, operatorEvent{name: "BackUpStore", readOnly: true, phase: "begin"}); err != nil {
		return nil, err
	}
	info, err := c.writeBackup(ctx, w)
	end := operatorEvent{name: "BackUpStore", readOnly: true, phase: "end", err: err}
	if err == nil {
		end.output = backupView{info}
	}
	return info, c.recordOperator(context.WithoutCancel(ctx), end)
}

type backupView struct{ info *backup.Info }

func (b backupView) auditView() any {
	return map[string]any{"storeRevision": b.info.Revision, "records": b.info.Records, "bytes": b.info.Bytes}
}

func (c *core) writeBackup(ctx context.Context, w io.Writer) (*backup.Info, error) {
	// What is in the outbox goes into this server's log, not into another's.
	if err := c.outbox.Drain(ctx); err != nil {
		return nil, fmt.Errorf("draining the audit outbox: %w", err)
	}
	v, err := c.store.Snapshot(ctx)
	if err != nil {
		return nil, err
	}
	defer v.Close()
	info, err := backup.Write(ctx, w, v, c.keyring)
	return &info, err
}

// Restoration says how to restore a backup.
type Restoration struct {
	// Data is the new data folder; it must not have a store.
	Data string
	// RootKey is the file of the restored store's root key, default root.key in
	// Data. It is made where it does not exist.
	RootKey string
	// Unlock opens the backup.
	Unlock Unlockers
	// Progress, where set, is told how many records and bytes were restored.
	Progress func(records int, bytes int64)
}

// Restore makes a data folder from a backup. Where it fails before the whole
// store is there, a server refuses the folder, and Restore takes it again.
func Restore(ctx context.Context, r io.Reader, how Restoration, log *slog.Logger) (*backup.Info, error) {
	cfg := Config{Data: how.Data, RootKey: how.RootKey, OperatorListen: listenOff, anewAudit: true}
	if err := cfg.prepare(); err != nil {
		return nil, &ConfigError{err}
	}
	hardenProcess(log)
	providers, err := how.Unlock.providers()
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(cfg.Data, 0o700); err != nil {
		return nil, fmt.Errorf("making the data folder: %w", err)
	}
	if err := checkRestorable(cfg.Data); err != nil {
		return nil, err
	}
	info, err := restoreStore(ctx, r, &cfg, backup.Restoration{
		Providers: providers, RootKey: &seal.RootKeyFile{Path: cfg.rootKeyPath()}, Progress: how.Progress,
	})
	if err != nil {
		return nil, advise(err)
	}
	// Opened once, so that the new audit log begins with what happened here and a
	// store that would not start is noticed now.
	if keys := how.Unlock.RecoveryKeys; len(keys) > 0 {
		cfg.recoveryKey = keys[0]
	}
	c, err := openCore(ctx, cfg, log)
	if err != nil {
		return nil, fmt.Errorf("opening the restored store: %w", err)
	}
	err = c.recordOperator(ctx, operatorEvent{name: "RestoreStore", output: backupView{&info}})
	return &info, errors.Join(err, c.outbox.Drain(ctx), c.close())
}

// checkRestorable refuses a folder that has an audit log: it belongs to another
// store, and the restored one begins its own.
func checkRestorable(data string) error {
	_, err := os.Stat(filepath.Join(data, auditName))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return fmt.Errorf("%s has an audit log already: restore into a new folder, and keep the old log beside it", data)
}

func restoreStore(ctx context.Context, r io.Reader, cfg *Config, how backup.Restoration) (info backup.Info, err error) {
	st, err := boltstore.Open(filepath.Join(cfg.Data, storeName), boltstore.Options{})
	if err != nil {
		return info, err
	}
	defer func() { err = errors.Join(err, st.Close()) }()
	return backup.Restore(ctx, r, st, how)
}

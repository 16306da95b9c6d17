package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"

	"golang.org/x/term"

	"github.com/keywright/keywright/internal/backup"
	"github.com/keywright/keywright/internal/seal"
	"github.com/keywright/keywright/internal/server"
)

type backupCmd struct {
	dataFlags
	File  string `arg:"" help:"File to write, or - for stdout."`
	Force bool   `help:"Replace a file that exists."`
	JSON  bool   `help:"Print JSON."`
}

// Help implements kong.HelpProvider.
func (c *backupCmd) Help() string {
	return `A backup is made while the server serves. It opens with the recovery key, a passphrase or the root key of this store, and holds none of them. The audit log is not in it: copy the folder audit beside it.

Examples:

    keywright backup /backup/keywright-$(date +%F).kwb
    keywright backup - | ssh vault 'cat > keywright.kwb'`
}

// Run makes a backup.
func (c *backupCmd) Run(ctx context.Context, s *streams) error {
	if c.File != "-" {
		return c.toFile(ctx, s)
	}
	if term.IsTerminal(int(s.outFile.Fd())) {
		return &usageError{err: errors.New("a backup is not for a terminal"), hint: "name a file, or send it through a pipe"}
	}
	return c.with(ctx, s, func(o *server.Operator) error {
		_, err := o.Backup(ctx, s.out)
		return err
	})
}

// toFile writes the backup beside its place, reads it back, and only then gives
// it its name.
func (c *backupCmd) toFile(ctx context.Context, s *streams) (err error) {
	if err := c.checkFree(); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(c.File), "."+filepath.Base(c.File)+"-") // mode 0600
	if err != nil {
		return err
	}
	defer func() {
		f.Close()
		if err != nil {
			os.Remove(f.Name())
		}
	}()
	bar := newBar(s, "backing up", "bytes")
	defer bar.end()
	var info *backup.Info
	err = c.with(ctx, s, func(o *server.Operator) (err error) {
		info, err = o.Backup(ctx, io.MultiWriter(f, bar))
		return err
	})
	if err == nil {
		err = f.Sync()
	}
	if err != nil {
		return fmt.Errorf("writing the backup: %w", err)
	}
	bar.end()
	if err := c.verify(ctx, s, f, info); err != nil {
		return fmt.Errorf("verifying the backup: %w", err)
	}
	if err := c.publish(f.Name()); err != nil {
		return err
	}
	if c.JSON {
		return printJSON(s.out, map[string]any{"file": c.File, "storeRevision": info.Revision, "records": info.Records, "bytes": info.Bytes, "time": info.Time})
	}
	_, err = fmt.Fprintf(s.out, "%s: %d records at revision %d\n", c.File, info.Records, info.Revision)
	return err
}

var errFileExists = errors.New("it exists already")

func (c *backupCmd) checkFree() error {
	if c.Force {
		return nil
	}
	_, err := os.Lstat(c.File)
	if err == nil {
		return hinted{fmt.Errorf("writing %s: %w", c.File, errFileExists), "choose another name, or replace it with --force"}
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// publish gives the backup its name, without --force only where nothing has it.
func (c *backupCmd) publish(made string) error {
	if c.Force {
		if err := os.Rename(made, c.File); err != nil {
			return err
		}
	} else {
		if err := os.Link(made, c.File); err != nil {
			return fmt.Errorf("naming the backup: %w", err)
		}
		if err := os.Remove(made); err != nil {
			return err
		}
	}
	dir, err := os.Open(filepath.Dir(c.File))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// verify reads the backup again from the disk. It is opened with the store's own
// root key where this command can read that; else only its end is known to have
// been reached.
func (c *backupCmd) verify(ctx context.Context, s *streams, f *os.File, want *backup.Info) error {
	provider, ok := c.verifier()
	if !ok {
		fmt.Fprintln(s.err, "keywright: the backup was not verified, because the root key cannot be read here")
		fmt.Fprintln(s.err, "hint: give --root-key, --root-key-credential or --unlock-file")
		return nil
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return err
	}
	bar := newBar(s, "verifying", "records")
	defer bar.end()
	got, err := backup.Verify(ctx, f, bar.restored, provider)
	if err != nil {
		return err
	}
	if got.Records != want.Records || got.Revision != want.Revision {
		return fmt.Errorf("it has %d records of revision %d, not the %d of %d that were written", got.Records, got.Revision, want.Records, want.Revision)
	}
	return nil
}

func (c *backupCmd) verifier() (seal.Provider, bool) {
	switch {
	case c.UnlockFile != "":
		return seal.PassphraseFile(c.UnlockFile), true
	case c.RootKeyCredential != "":
		return seal.Credential(c.RootKeyCredential), true
	}
	path := c.RootKey
	if path == "" {
		path = filepath.Join(c.folder(), "root.key")
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, false
	}
	f.Close()
	return &seal.RootKeyFile{Path: path}, true
}

type restoreCmd struct {
	From            string `required:"" help:"The backup." placeholder:"FILE"`
	Data            string `required:"" help:"The new data folder." placeholder:"DIR"`
	RecoveryKeyFile string `help:"File of the recovery key that opens the backup. Else it is asked for." placeholder:"FILE" xor:"unlock"`
	PassphraseFile  string `help:"File of a passphrase that opens the backup." placeholder:"FILE" xor:"unlock"`
	RootKey         string `help:"File of the root key that opens the backup." placeholder:"FILE" xor:"unlock"`
	NewRootKey      string `help:"File of the restored store's root key; made where it does not exist. Default root.key in the data folder." placeholder:"FILE"`
	JSON            bool   `help:"Print JSON."`
}

// Help implements kong.HelpProvider.
func (c *restoreCmd) Help() string {
	return `The restored store gets a root key of its own. Its passphrases and recovery key are those of the backup, and access keys go on working: their secrets are not in the backup, so keep the credentials file of the old data folder. The audit log begins anew.

Examples:

    keywright restore --from keywright.kwb --data ./restored
    keywright restore --from keywright.kwb --data ./restored --recovery-key-file recovery.txt`
}

// Run restores a backup.
func (c *restoreCmd) Run(ctx context.Context, s *streams) error {
	f, err := os.Open(c.From)
	if err != nil {
		return err
	}
	defer f.Close()
	how := server.Restoration{Data: c.Data, RootKey: c.NewRootKey}
	switch {
	case c.RootKey != "":
		how.Unlock.RootKeys = []string{c.RootKey}
	case c.PassphraseFile != "":
		text, err := secretFile(c.PassphraseFile)
		if err != nil {
			return err
		}
		how.Unlock.Passphrases = []string{text}
	default:
		text, err := s.secret(c.RecoveryKeyFile, "recovery key", "--recovery-key-file")
		if err != nil {
			return err
		}
		how.Unlock.RecoveryKeys = []string{text}
	}
	bar := newBar(s, "restoring", "records")
	how.Progress = bar.restored
	log := slog.New(slog.NewTextHandler(s.err, &slog.HandlerOptions{Level: slog.LevelWarn}))
	info, err := server.Restore(ctx, f, how, log)
	bar.end()
	if err != nil {
		return startError(err)
	}
	if c.JSON {
		return printJSON(s.out, map[string]any{"data": c.Data, "storeRevision": info.Revision, "records": info.Records, "time": info.Time})
	}
	_, err = fmt.Fprintf(s.out, "%s: %d records, as they were at %s\nstart it with: keywright server --data %s\n", c.Data, info.Records, info.Time.UTC().Format(timeForm), quote(c.Data))
	return err
}

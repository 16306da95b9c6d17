package cli

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"text/tabwriter"

	"github.com/keywright/keywright/internal/server"
)

// sealCmd are the commands about what opens the store.
type sealCmd struct {
	List           sealListCmd    `cmd:"" help:"List the key slots: what opens the store."`
	Add            sealAddCmd     `cmd:"" help:"Add a key slot."`
	Remove         sealRemoveCmd  `cmd:"" help:"Remove a key slot."`
	RotateRoot     rotateRootCmd  `cmd:"" help:"Replace the root key in its file."`
	RotateStoreKey rotateStoreCmd `cmd:"" help:"Seal every record under a new store key and destroy the old one."`
}

type sealListCmd struct {
	dataFlags
	JSON bool `help:"Print JSON."`
}

// Help implements kong.HelpProvider.
func (c *sealListCmd) Help() string { return "Example:\n\n    keywright seal list" }

// Run lists the slots.
func (c *sealListCmd) Run(ctx context.Context, s *streams) error {
	return c.with(ctx, s, func(o *server.Operator) error {
		slots, err := o.Slots(ctx)
		if err != nil {
			return err
		}
		if c.JSON {
			return printJSON(s.out, slots)
		}
		w := tabwriter.NewWriter(s.out, 0, 0, 2, ' ', 0)
		fmt.Fprintln(w, "ID\tKIND\tCREATED\tLABEL")
		for _, slot := range slots {
			if slot.Problem != "" {
				fmt.Fprintf(w, "%s\tunreadable\t\t%s\n", slot.ID, slot.Problem)
				continue
			}
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", slot.ID, slot.Kind, slot.Created.UTC().Format(timeForm), slot.Label)
		}
		return w.Flush()
	})
}

type sealAddCmd struct {
	Passphrase sealAddPassphraseCmd `cmd:"" help:"Add a passphrase."`
	Recovery   sealAddRecoveryCmd   `cmd:"" help:"Make a new recovery key, in place of the old ones."`
	RootKey    sealAddRootKeyCmd    `cmd:"" help:"Add the root key in a file."`
}

type slotFlags struct {
	dataFlags
	Label string `help:"Words to know the slot by." placeholder:"TEXT"`
	JSON  bool   `help:"Print JSON."`
}

func (f *slotFlags) printAdded(s *streams, slot *server.Slot) error {
	if f.JSON {
		return printJSON(s.out, slot)
	}
	_, err := fmt.Fprintf(s.out, "added slot %s, %s\n", slot.ID, slot.Kind)
	return err
}

type sealAddPassphraseCmd struct {
	slotFlags
	PassphraseFile string `help:"File of the passphrase. Else it is asked for, twice." placeholder:"FILE"`
}

// Help implements kong.HelpProvider.
func (c *sealAddPassphraseCmd) Help() string {
	return "Examples:\n\n    keywright seal add passphrase --label \"in the safe\"\n    keywright seal add passphrase --passphrase-file /run/secrets/passphrase"
}

// Run adds a passphrase.
func (c *sealAddPassphraseCmd) Run(ctx context.Context, s *streams) error {
	text, err := s.newSecret(c.PassphraseFile, "new passphrase", "--passphrase-file")
	if err != nil {
		return err
	}
	return c.with(ctx, s, func(o *server.Operator) error {
		slot, err := o.AddPassphrase(ctx, text, c.Label)
		if err != nil {
			return err
		}
		return c.printAdded(s, slot)
	})
}

type sealAddRecoveryCmd struct{ slotFlags }

// Help implements kong.HelpProvider.
func (c *sealAddRecoveryCmd) Help() string {
	return "The recovery keys from before open nothing any more but backups from before. The new one authenticates what the audit log holds from its open segment on; keep the old one, marked so, to verify what is before.\n\nExample:\n\n    keywright seal add recovery"
}

// Run makes a recovery key.
func (c *sealAddRecoveryCmd) Run(ctx context.Context, s *streams) error {
	return c.with(ctx, s, func(o *server.Operator) error {
		made, err := o.ReplaceRecoveryKey(ctx, c.Label)
		if err != nil {
			return err
		}
		if c.JSON {
			return printJSON(s.out, made)
		}
		fmt.Fprintf(s.out, "added slot %s, %s\n", made.Slot.ID, made.Slot.Kind)
		for _, id := range made.Removed {
			fmt.Fprintf(s.out, "removed slot %s\n", id)
		}
		if made.AuditProblem == "" {
			fmt.Fprintf(s.out, "it authenticates the audit log from record %d on; keep the old one, marked so, to verify what is before\n", made.AuditFrom)
		}
		if _, err = fmt.Fprintf(s.out, "recovery key, shown this once and kept nowhere:\n  %s\n", made.RecoveryKey); err != nil {
			return err
		}
		if made.AuditProblem != "" {
			return hinted{errors.New("the new recovery key is in force, but the audit log's key was not closed with it: " + made.AuditProblem), "repeat the command once that is mended"}
		}
		return nil
	})
}

type sealAddRootKeyCmd struct {
	slotFlags
	File string `arg:"" help:"File of the root key. It is made where it does not exist."`
}

// Help implements kong.HelpProvider.
func (c *sealAddRootKeyCmd) Help() string {
	return "Example:\n\n    keywright seal add root-key /mnt/other/root.key --label \"second site\""
}

// Run adds a root key.
func (c *sealAddRootKeyCmd) Run(ctx context.Context, s *streams) error {
	path, err := filepath.Abs(c.File) // the server's folder may be another
	if err != nil {
		return err
	}
	return c.with(ctx, s, func(o *server.Operator) error {
		slot, err := o.AddRootKey(ctx, path, c.Label)
		if err != nil {
			return err
		}
		return c.printAdded(s, slot)
	})
}

type sealRemoveCmd struct {
	dataFlags
	ID         string `arg:"" help:"Id of the slot, as seal list shows it."`
	LastOfKind bool   `help:"Remove it though it is the last root key or the last recovery key."`
	JSON       bool   `help:"Print JSON."`
}

// Help implements kong.HelpProvider.
func (c *sealRemoveCmd) Help() string {
	return "Backups from before still open with what the slot was for.\n\nExample:\n\n    keywright seal remove 0123456789abcdef"
}

// Run removes a slot.
func (c *sealRemoveCmd) Run(ctx context.Context, s *streams) error {
	return c.with(ctx, s, func(o *server.Operator) error {
		slot, err := o.RemoveSlot(ctx, c.ID, c.LastOfKind)
		if err != nil {
			return err
		}
		if c.JSON {
			return printJSON(s.out, slot)
		}
		_, err = fmt.Fprintf(s.out, "removed slot %s\n", slot.ID)
		return err
	})
}

type rotateRootCmd struct {
	dataFlags
	JSON bool `help:"Print JSON."`
}

// Help implements kong.HelpProvider.
func (c *rotateRootCmd) Help() string {
	return "The old root key still opens copies of the store from before. To make them worthless too, rotate the store key afterwards.\n\nExample:\n\n    keywright seal rotate-root"
}

// Run rotates the root key.
func (c *rotateRootCmd) Run(ctx context.Context, s *streams) error {
	return c.with(ctx, s, func(o *server.Operator) error {
		r, err := o.RotateRoot(ctx)
		if err != nil {
			return err
		}
		if c.JSON {
			return printJSON(s.out, r)
		}
		_, err = fmt.Fprintf(s.out, "new root key in %s, slot %s\n", r.File, r.Added)
		return err
	})
}

type rotateStoreCmd struct {
	dataFlags
	PassphraseFile  []string `help:"File of a slot's passphrase. May be repeated." placeholder:"FILE"`
	RecoveryKeyFile string   `help:"File of the recovery key. Else it is asked for." placeholder:"FILE"`
	WithRootKey     []string `help:"File of a slot's root key other than the server's own. May be repeated." placeholder:"FILE"`
	JSON            bool     `help:"Print JSON."`
}

// Help implements kong.HelpProvider.
func (c *rotateStoreCmd) Help() string {
	return `Every slot wraps the new store key, so the secret of each is needed: those that are not given are asked for. The server goes on serving meanwhile. If it is interrupted, run it again.

Example:

    keywright seal rotate-store-key --recovery-key-file recovery.txt`
}

// Run rotates the store key.
func (c *rotateStoreCmd) Run(ctx context.Context, s *streams) error {
	return c.with(ctx, s, func(o *server.Operator) error {
		secrets, err := c.secrets(ctx, s, o)
		if err != nil {
			return err
		}
		bar := newBar(s, "sealing", "records")
		r, err := o.RotateStoreKey(ctx, secrets, bar.records)
		bar.end()
		if err != nil {
			return err
		}
		if c.JSON {
			return printJSON(s.out, r)
		}
		_, err = fmt.Fprintf(s.out, "store key version %d seals; %d records were sealed again\n", r.Version, r.Resealed)
		return err
	})
}

// secrets gathers what opens the slots.
func (c *rotateStoreCmd) secrets(ctx context.Context, s *streams, o *server.Operator) (server.Unlockers, error) {
	var u server.Unlockers
	for _, path := range c.WithRootKey {
		abs, err := filepath.Abs(path)
		if err != nil {
			return u, err
		}
		u.RootKeys = append(u.RootKeys, abs)
	}
	for _, path := range c.PassphraseFile {
		text, err := secretFile(path)
		if err != nil {
			return u, err
		}
		u.Passphrases = append(u.Passphrases, text)
	}
	slots, err := o.Slots(ctx)
	if err != nil {
		return u, err
	}
	for _, slot := range slots {
		switch slot.Kind {
		case "recovery key":
			text, err := s.secret(c.RecoveryKeyFile, "recovery key", "--recovery-key-file")
			if err != nil {
				return u, err
			}
			u.RecoveryKeys = append(u.RecoveryKeys, text)
		case "passphrase":
			if len(c.PassphraseFile) > 0 {
				continue
			}
			text, err := s.ask("passphrase of slot "+slot.ID, "--passphrase-file FILE")
			if err != nil {
				return u, err
			}
			u.Passphrases = append(u.Passphrases, text)
		}
	}
	return u, nil
}

package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/keywright/keywright/internal/server"
)

// dataFlags say which store an operator's command is for, and what opens it
// where no server runs on it.
type dataFlags struct {
	Data              string `help:"Data folder. Default ./keywright-data." placeholder:"DIR" env:"KEYWRIGHT_DATA"`
	RootKey           string `help:"File of the root key, where no server runs. Default root.key in the data folder." placeholder:"FILE" env:"KEYWRIGHT_ROOT_KEY"`
	RootKeyCredential string `help:"Name of the systemd credential that holds the root key, where no server runs." placeholder:"NAME" env:"KEYWRIGHT_ROOT_KEY_CREDENTIAL"`
	UnlockFile        string `help:"File of a passphrase that opens the store, where no server runs." placeholder:"FILE"`
}

func (d *dataFlags) folder() string {
	if d.Data == "" {
		return defaultData
	}
	return d.Data
}

func (d *dataFlags) config() server.Config {
	return server.Config{Data: d.folder(), RootKey: d.RootKey, RootKeyCredential: d.RootKeyCredential, PassphraseFile: d.UnlockFile}
}

// with opens the store, through the server that runs on it if one does, and does
// something with it.
func (d *dataFlags) with(ctx context.Context, s *streams, do func(*server.Operator) error) error {
	log := slog.New(slog.NewTextHandler(s.err, &slog.HandlerOptions{Level: slog.LevelWarn}))
	o, err := server.OpenOperator(ctx, d.config(), log)
	if err != nil {
		return startError(err)
	}
	return errors.Join(do(o), o.Close())
}

type statusCmd struct {
	dataFlags
	JSON bool `help:"Print JSON."`
}

// Help implements kong.HelpProvider.
func (c *statusCmd) Help() string {
	return "Example:\n\n    keywright status --data /var/lib/keywright --json"
}

// Run prints how a server is.
func (c *statusCmd) Run(ctx context.Context, s *streams) error {
	return c.with(ctx, s, func(o *server.Operator) error {
		status, err := o.Status(ctx)
		if err != nil {
			return err
		}
		if c.JSON {
			return printJSON(s.out, status)
		}
		if status.Running {
			fmt.Fprintf(s.out, "running: yes\nendpoint: %s\n", status.Endpoint)
		} else {
			fmt.Fprintln(s.out, "running: no")
		}
		fmt.Fprintf(s.out, "account: %s\nstore: revision %d, %d bytes, restored %d times\naudit log: %d records, %d bytes\nready: %s\n",
			status.Account, status.StoreRevision, status.StoreBytes, status.Epoch-1, status.AuditRecords, status.AuditBytes, yesNo(status.Ready.Ready))
		if status.Ready.Error != "" {
			fmt.Fprintf(s.out, "error: %s\n", status.Ready.Error)
		}
		for _, w := range status.Ready.Warnings {
			fmt.Fprintf(s.out, "warning: %s\n", w)
		}
		return nil
	})
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

type accountCmd struct {
	Create accountCreateCmd `cmd:"" help:"Create an account."`
	List   accountListCmd   `cmd:"" help:"List the accounts."`

	CreateAccessKey     createAccessKeyCmd     `cmd:"" help:"Make another root access key of an account."`
	ListAccessKeys      listAccessKeysCmd      `cmd:"" help:"List the access keys of an account."`
	DeactivateAccessKey deactivateAccessKeyCmd `cmd:"" help:"Let an access key authenticate no more."`
	ActivateAccessKey   activateAccessKeyCmd   `cmd:"" help:"Let an access key authenticate again."`
	DeleteAccessKey     deleteAccessKeyCmd     `cmd:"" help:"Delete an access key."`
}

type accountCreateCmd struct {
	dataFlags
	ID   string `arg:"" optional:"" help:"Id of 12 digits. Default random."`
	JSON bool   `help:"Print JSON."`
}

// Help implements kong.HelpProvider.
func (c *accountCreateCmd) Help() string {
	return `The account's root access key is added to the credentials file in the data folder, as a profile named by the account's id.

Examples:

    keywright account create
    keywright account create 111122223333 --data /var/lib/keywright`
}

// Run creates an account.
func (c *accountCreateCmd) Run(ctx context.Context, s *streams) error {
	return c.with(ctx, s, func(o *server.Operator) error {
		a, err := o.CreateAccount(ctx, c.ID)
		if err != nil {
			return err
		}
		if c.JSON {
			return printJSON(s.out, a)
		}
		return printCreated(s, a)
	})
}

func printCreated(s *streams, a *server.CreatedAccount) error {
	_, err := fmt.Fprintf(s.out, "account: %s\naccess key: %s\ncredentials: %s, profile %s\n", a.ID, a.AccessKeyID, a.CredentialsFile, a.Profile)
	return err
}

type accountListCmd struct {
	dataFlags
	JSON bool `help:"Print JSON."`
}

// Help implements kong.HelpProvider.
func (c *accountListCmd) Help() string {
	return "Example:\n\n    keywright account list --json"
}

// Run lists the accounts.
func (c *accountListCmd) Run(ctx context.Context, s *streams) error {
	return c.with(ctx, s, func(o *server.Operator) error {
		accounts, err := o.Accounts(ctx)
		if err != nil {
			return err
		}
		if c.JSON {
			return printJSON(s.out, accounts)
		}
		for _, a := range accounts {
			fmt.Fprintf(s.out, "%s  created %s\n", a.ID, a.Created.Format(timeForm))
		}
		return nil
	})
}

// timeForm is how times are shown to people.
const timeForm = "2006-01-02 15:04:05 MST"

type clockCmd struct {
	Status  clockStatusCmd  `cmd:"" help:"Tell whether the machine's clock is believed."`
	Confirm clockConfirmCmd `cmd:"" help:"Take the machine's clock for right."`
}

type clockStatusCmd struct {
	dataFlags
	JSON bool `help:"Print JSON."`
}

// Help implements kong.HelpProvider.
func (c *clockStatusCmd) Help() string {
	return "While the clock is not believed no key is deleted.\n\nExample:\n\n    keywright clock status"
}

// Run tells whether the clock is believed; where it is not, the exit code is 1.
func (c *clockStatusCmd) Run(ctx context.Context, s *streams) error {
	return c.with(ctx, s, func(o *server.Operator) error {
		status, err := o.Clock(ctx)
		if err != nil {
			return err
		}
		if err := printClock(s, status, c.JSON); err != nil || status.Trusted {
			return err
		}
		return hinted{errors.New(status.Problem), "set the clock right, or if it is right, `keywright clock confirm`"}
	})
}

func printClock(s *streams, status *server.ClockStatus, asJSON bool) error {
	if asJSON {
		return printJSON(s.out, status)
	}
	_, err := fmt.Fprintf(s.out, "now: %s\ntrusted: %s\n", status.Now.Format(timeForm), yesNo(status.Trusted))
	return err
}

type clockConfirmCmd struct {
	dataFlags
	JSON bool `help:"Print JSON."`
}

// Help implements kong.HelpProvider.
func (c *clockConfirmCmd) Help() string {
	return "Keys whose waiting period is over by this clock are deleted at once. Look at the time first.\n\nExample:\n\n    date && keywright clock confirm"
}

// Run confirms the clock.
func (c *clockConfirmCmd) Run(ctx context.Context, s *streams) error {
	return c.with(ctx, s, func(o *server.Operator) error {
		status, err := o.ConfirmClock(ctx)
		if err != nil {
			return err
		}
		return printClock(s, status, c.JSON)
	})
}

type storeCmd struct {
	Check storeCheckCmd `cmd:"" help:"Open every record and look whether they fit together."`
}

type storeCheckCmd struct {
	dataFlags
	JSON bool `help:"Print JSON."`
}

// Help implements kong.HelpProvider.
func (c *storeCheckCmd) Help() string {
	return "Nothing is changed. The exit code is 1 where something was found.\n\nExample:\n\n    keywright store check --data /var/lib/keywright"
}

// Run checks the store.
func (c *storeCheckCmd) Run(ctx context.Context, s *streams) error {
	return c.with(ctx, s, func(o *server.Operator) error {
		bar := newBar(s, "checking", "records")
		check, err := o.CheckStore(ctx, bar.records)
		bar.end()
		if err != nil {
			return err
		}
		if c.JSON {
			if err := printJSON(s.out, check); err != nil {
				return err
			}
		} else {
			for _, p := range check.Problems {
				fmt.Fprintln(s.out, p)
			}
			fmt.Fprintf(s.out, "%d records at revision %d, %d problems\n", check.Records, check.Revision, len(check.Problems))
		}
		if n := len(check.Problems); n > 0 {
			return hinted{fmt.Errorf("the store has %d problems", n), "keep the data folder as it is, and restore the newest backup that verifies into another one"}
		}
		return nil
	})
}

package cli

import (
	"context"
	"fmt"

	"github.com/keywright/keywright/internal/server"
)

type createAccessKeyCmd struct {
	dataFlags
	Account string `arg:"" help:"Id of the account."`
	Profile string `help:"Profile of the credentials file to write, in place of one of that name. Default the account's id, with a number where that is taken." placeholder:"NAME"`
	JSON    bool   `help:"Print JSON."`
}

// Help implements kong.HelpProvider.
func (c *createAccessKeyCmd) Help() string {
	return `The access key is added to the credentials file in the data folder. The commands exec and env use the profile default.

Examples:

    keywright account create-access-key 111122223333
    keywright account create-access-key 111122223333 --profile default`
}

// Run makes an access key.
func (c *createAccessKeyCmd) Run(ctx context.Context, s *streams) error {
	return c.with(ctx, s, func(o *server.Operator) error {
		made, err := o.CreateAccessKey(ctx, c.Account, c.Profile)
		if err != nil {
			return err
		}
		if c.JSON {
			return printJSON(s.out, made)
		}
		return printCreated(s, made)
	})
}

type listAccessKeysCmd struct {
	dataFlags
	Account string `arg:"" help:"Id of the account."`
	JSON    bool   `help:"Print JSON."`
}

// Help implements kong.HelpProvider.
func (c *listAccessKeysCmd) Help() string {
	return "Example:\n\n    keywright account list-access-keys 111122223333"
}

// Run lists the access keys of an account.
func (c *listAccessKeysCmd) Run(ctx context.Context, s *streams) error {
	return c.with(ctx, s, func(o *server.Operator) error {
		keys, err := o.AccessKeys(ctx, c.Account)
		if err != nil {
			return err
		}
		if c.JSON {
			return printJSON(s.out, keys)
		}
		for _, k := range keys {
			state := "active"
			if !k.Active {
				state = "inactive"
			}
			fmt.Fprintf(s.out, "%s  created %s  %s\n", k.ID, k.Created.Format(timeForm), state)
		}
		return nil
	})
}

// takingFlags are those of a command that takes an access key away.
type takingFlags struct {
	dataFlags
	ID    string `arg:"" help:"Id of the access key."`
	Force bool   `help:"Do it though it is the account's last active access key."`
}

type deactivateAccessKeyCmd struct{ takingFlags }

// Help implements kong.HelpProvider.
func (c *deactivateAccessKeyCmd) Help() string {
	return "It is refused from the next request on.\n\nExample:\n\n    keywright account deactivate-access-key AKIAIOSFODNN7EXAMPLE"
}

// Run deactivates an access key.
func (c *deactivateAccessKeyCmd) Run(ctx context.Context, s *streams) error {
	return c.with(ctx, s, func(o *server.Operator) error {
		return done(s, "deactivated", c.ID, o.SetAccessKeyActive(ctx, c.ID, false, c.Force))
	})
}

type activateAccessKeyCmd struct {
	dataFlags
	ID string `arg:"" help:"Id of the access key."`
}

// Help implements kong.HelpProvider.
func (c *activateAccessKeyCmd) Help() string {
	return "Example:\n\n    keywright account activate-access-key AKIAIOSFODNN7EXAMPLE"
}

// Run activates an access key.
func (c *activateAccessKeyCmd) Run(ctx context.Context, s *streams) error {
	return c.with(ctx, s, func(o *server.Operator) error {
		return done(s, "activated", c.ID, o.SetAccessKeyActive(ctx, c.ID, true, false))
	})
}

type deleteAccessKeyCmd struct{ takingFlags }

// Help implements kong.HelpProvider.
func (c *deleteAccessKeyCmd) Help() string {
	return "It is refused from the next request on. The credentials file is left as it is.\n\nExample:\n\n    keywright account delete-access-key AKIAIOSFODNN7EXAMPLE"
}

// Run deletes an access key.
func (c *deleteAccessKeyCmd) Run(ctx context.Context, s *streams) error {
	return c.with(ctx, s, func(o *server.Operator) error {
		return done(s, "deleted", c.ID, o.DeleteAccessKey(ctx, c.ID, c.Force))
	})
}

// done says what was done to an access key, unless it failed.
func done(s *streams, what, id string, err error) error {
	if err == nil {
		_, err = fmt.Fprintf(s.out, "%s access key %s\n", what, id)
	}
	return err
}

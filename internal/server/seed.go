package server

import (
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/keywright/keywright/internal/hsm"
	"github.com/keywright/keywright/internal/iam"
)

// seed creates and updates what a seed file describes, and deletes nothing. The
// file is checked whole before anything is written. What was done is kept for
// Seeded, a line for each account, access key and key.
func (c *core) seed(ctx context.Context, path string) error {
	text, err := os.ReadFile(path)
	if err == nil {
		err = c.applySeed(ctx, text)
	}
	if err != nil {
		return fmt.Errorf("seed file %s: %w", path, err)
	}
	return nil
}

func (c *core) applySeed(ctx context.Context, text []byte) error {
	file, err := parseSeed(text)
	if err != nil {
		return err
	}
	if err := c.checkSeed(ctx, file); err != nil {
		return err
	}
	for _, a := range file.accounts {
		if err := c.seedAccount(ctx, a); err != nil {
			return fmt.Errorf("%s: %w", a.path, err)
		}
	}
	for _, k := range file.keys {
		if k.material != nil {
			k.Material = func(ctx context.Context, attrs hsm.Attributes) (hsm.Material, error) {
				return c.module.Fixed(ctx, attrs, k.material)
			}
		}
		done, err := c.kms.Apply(ctx, &k.Seed)
		if err != nil {
			return fmt.Errorf("%s: %w", k.path, advise(err))
		}
		c.seededLine("key "+k.ID+" in "+k.Account+" "+k.Region, strings.Join(done, ", "))
	}
	return nil
}

func (c *core) seededLine(what, did string) {
	if did == "" {
		did = "unchanged"
	}
	c.seeded = append(c.seeded, what+": "+did)
}

// checkSeed refuses what can be known to be wrong, and fills in the account and
// Region of keys that name none.
func (c *core) checkSeed(ctx context.Context, file *seedFile) error {
	known := map[string]bool{}
	accounts, err := c.iam.Accounts(ctx)
	if err != nil {
		return err
	}
	for _, a := range accounts {
		known[a.ID] = true
	}
	for _, a := range file.accounts {
		if known[a.id] = true; len(a.accessKeys) > 0 && !c.cfg.Dev {
			return fmt.Errorf("%s/accessKeys: secrets are for development servers and kmstest only: leave it out", a.path)
		}
	}
	first, err := c.defaultAccount(ctx)
	if err != nil {
		return err
	}
	for _, k := range file.keys {
		if k.material != nil && !c.cfg.Dev {
			return fmt.Errorf("%s/material: key material is for development servers and kmstest only: leave it out, and the key gets material of its own", k.path)
		}
		if k.Account == "" {
			k.Account = first
		}
		if k.Region == "" {
			k.Region = c.cfg.region()
		}
		if !known[k.Account] {
			return fmt.Errorf("%s/account: there is no account %s: list it under accounts", k.path, k.Account)
		}
		if !c.cfg.hosts(k.Region) {
			return fmt.Errorf("%s/region: the server does not answer for the Region %q", k.path, k.Region)
		}
		if err := k.Check(); err != nil {
			return fmt.Errorf("%s: %w", k.path, advise(err))
		}
	}
	return nil
}

func (c *core) seedAccount(ctx context.Context, a *seedAccount) error {
	did, err := c.seedAccountItself(ctx, a.id)
	if err != nil {
		return advise(err)
	}
	c.seededLine("account "+a.id, did)
	for _, k := range a.accessKeys {
		did, err := c.iam.PutAccessKey(ctx, a.id, k.id, k.secret)
		if err != nil {
			return advise(err)
		}
		c.seededLine("access key "+k.id+" of "+a.id, did)
	}
	return nil
}

func (c *core) seedAccountItself(ctx context.Context, id string) (string, error) {
	v, err := c.db.View(ctx)
	if err != nil {
		return "", err
	}
	exists, err := c.iam.HasAccount(v, id)
	v.Close()
	if err != nil || exists {
		return "", err
	}
	if c.cfg.Data != "" {
		created, err := c.createAccount(ctx, accountInput{id}, nil)
		if err != nil {
			return "", err
		}
		return "created, credentials in " + created.CredentialsFile + ", profile " + created.Profile, nil
	}
	// In memory an access key is nobody's but that of who seeds it, and the
	// account's own id is one too.
	_, err = c.iam.CreateAccount(ctx, id, func(iam.Credentials) error { return nil })
	return "created", err
}

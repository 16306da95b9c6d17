package server

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/keywright/keywright/internal/iam"
)

// AccessKey is an access key of an account.
type AccessKey struct {
	ID      string    `json:"id"`
	Created time.Time `json:"created"`
	Active  bool      `json:"active"`
}

// CreateAccessKey makes another root access key of an account. It is added to
// the credentials file in the data folder as the profile of that name, in place
// of one that is there; "" is the account's id, with a number where that is
// taken.
func (o *Operator) CreateAccessKey(ctx context.Context, account, profile string) (*CreatedAccount, error) {
	return do[*CreatedAccount](ctx, o, "access-key/create", accessKeyInput{Account: account, Profile: profile}, nil)
}

// AccessKeys lists the access keys of an account in order of their ids.
func (o *Operator) AccessKeys(ctx context.Context, account string) ([]AccessKey, error) {
	return do[[]AccessKey](ctx, o, "access-key/list", accessKeyInput{Account: account}, nil)
}

// SetAccessKeyActive lets an access key authenticate, or not any more, from the
// next request on. The last active one of an account is deactivated only with
// lastOfAccount.
func (o *Operator) SetAccessKeyActive(ctx context.Context, id string, active, lastOfAccount bool) error {
	_, err := do[nothing](ctx, o, "access-key/set-active", accessKeyInput{ID: id, Active: active, LastOfAccount: lastOfAccount}, nil)
	return err
}

// DeleteAccessKey deletes an access key; the last active one of an account only
// with lastOfAccount. The credentials file is left as it is.
func (o *Operator) DeleteAccessKey(ctx context.Context, id string, lastOfAccount bool) error {
	_, err := do[nothing](ctx, o, "access-key/delete", accessKeyInput{ID: id, LastOfAccount: lastOfAccount}, nil)
	return err
}

type accessKeyInput struct {
	Account       string `json:"account,omitempty"`
	Profile       string `json:"profile,omitempty"`
	ID            string `json:"id,omitempty"`
	Active        bool   `json:"active,omitempty"`
	LastOfAccount bool   `json:"lastOfAccount,omitempty"`
}

func (in accessKeyInput) auditView() any { return in }

var errProfileName = errors.New("a profile's name is one line of letters, digits and signs without brackets or space")

func (c *core) createAccessKey(ctx context.Context, in accessKeyInput, _ Progress) (*CreatedAccount, error) {
	if strings.ContainsFunc(in.Profile, func(r rune) bool { return r <= ' ' || r == '[' || r == ']' || r == 0x7f }) {
		return nil, fmt.Errorf("profile %q: %w", in.Profile, errProfileName)
	}
	path, err := filepath.Abs(filepath.Join(c.cfg.Data, credentialsName))
	if err != nil {
		return nil, err
	}
	profile := in.Profile
	creds, err := c.iam.CreateAccessKey(ctx, in.Account, func(creds iam.Credentials) (err error) {
		profile, err = addCredentials(path, in.Profile, creds)
		return err
	})
	if err != nil {
		return nil, err
	}
	return &CreatedAccount{ID: creds.Account, AccessKeyID: creds.AccessKeyID, CredentialsFile: path, Profile: profile}, nil
}

func (c *core) listAccessKeys(ctx context.Context, in accessKeyInput, _ Progress) ([]AccessKey, error) {
	found, err := c.iam.AccessKeys(ctx, in.Account)
	all := make([]AccessKey, len(found))
	for i, k := range found {
		all[i] = AccessKey{ID: k.ID, Created: time.UnixMilli(k.Created).UTC(), Active: !k.Inactive}
	}
	return all, err
}

func (c *core) setAccessKeyActive(ctx context.Context, in accessKeyInput, _ Progress) (nothing, error) {
	return nothing{}, c.iam.SetAccessKeyActive(ctx, in.ID, in.Active, in.LastOfAccount)
}

func (c *core) deleteAccessKey(ctx context.Context, in accessKeyInput, _ Progress) (nothing, error) {
	return nothing{}, c.iam.DeleteAccessKey(ctx, in.ID, in.LastOfAccount)
}

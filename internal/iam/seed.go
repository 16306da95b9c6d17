package iam

import (
	"context"
	"errors"
	"fmt"

	"github.com/keywright/keywright/internal/awsapi"
	"github.com/keywright/keywright/internal/call"
	"github.com/keywright/keywright/internal/record"
	"github.com/keywright/keywright/internal/store"
)

// CheckAccessKey looks whether an access key from outside could be kept. The
// error does not show the secret.
func CheckAccessKey(id, secret string) error {
	if !isAccessKeyID(id) {
		return fmt.Errorf("the access key id %q is not 16 to 128 capital letters and digits", id)
	}
	if len(secret) < 16 || len(secret) > 128 {
		return errors.New("the secret is not of 16 to 128 bytes")
	}
	return nil
}

// PutAccessKey makes a root access key of the account from an id and a secret
// that are known outside, or gives the access key of that id a new secret. It
// returns what it did: "created", "updated", or "" where all was so already.
// For development servers and tests: a secret that stands in a file is none.
func (s *Service) PutAccessKey(ctx context.Context, account, id, secret string) (did string, err error) {
	if err := CheckAccessKey(id, secret); err != nil {
		return "", err
	}
	same, err := s.hasAccessKey(ctx, account, id, secret)
	if err != nil || same {
		return "", err
	}
	rec := s.operatorRecord("CreateAccessKey")
	rec.Caller.Account = account
	err = s.path.Run(ctx, rec, func(c *call.Call) error {
		if exists, err := c.View.Has(accountPath(account)); err != nil {
			return err
		} else if !exists {
			return awsapi.Errorf(CodeNoSuchEntity, "The account %s does not exist.", account)
		}
		found, err := record.Get[AccessKey](c.View, accessKeyPath(id))
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return err
		}
		did = "created"
		if err == nil {
			if did = "updated"; found.Value.Account != account {
				return awsapi.Errorf(CodeEntityAlreadyExists, "The access key %s exists already, in another account.", id)
			}
		}
		token, err := s.module.WrapSecret(ctx, account, id, secret)
		if err != nil {
			return fmt.Errorf("keeping an access key: %w", err)
		}
		tx := c.Tx()
		record.Put(tx, accessKeyPath(id), found.Revision, &AccessKey{
			Version: recordVersion, ID: id, Account: account, Created: c.Now().UnixMilli(), Secret: token,
		})
		return c.Commit(tx, createdAccount{account, id})
	})
	if err != nil {
		return "", err
	}
	return did, nil
}

// hasAccessKey tells whether there is such an access key with this secret. The
// secrets are compared by what they sign with: the Module gives none out.
func (s *Service) hasAccessKey(ctx context.Context, account, id, secret string) (bool, error) {
	v, err := s.path.DB.View(ctx)
	if err != nil {
		return false, err
	}
	defer v.Close()
	k, err := s.FindAccessKey(v, id)
	if errors.Is(err, store.ErrNotFound) {
		return false, nil
	}
	if err != nil || k.Account != account {
		return false, err
	}
	token, err := s.module.WrapSecret(ctx, account, id, secret)
	if err != nil {
		return false, err
	}
	have, err := s.module.SigningKey(ctx, k.Secret, "20000101", "us-east-1", "iam")
	if err != nil {
		return false, err
	}
	want, err := s.module.SigningKey(ctx, token, "20000101", "us-east-1", "iam")
	return have == want, err
}

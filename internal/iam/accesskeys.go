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

// CreateAccessKey makes another root access key of an account. The credentials
// are given to deliver before the key is stored: where they cannot be delivered
// there is no key, and the error is that of deliver. An account that does not
// exist is a NoSuchEntity error.
func (s *Service) CreateAccessKey(ctx context.Context, account string, deliver func(Credentials) error) (Credentials, error) {
	s.changing.Lock()
	defer s.changing.Unlock()
	creds := Credentials{Account: account, AccessKeyID: newAccessKeyID()}
	var undelivered error
	rec := s.operatorRecord("CreateAccessKey")
	rec.Caller.Account = account
	err := s.path.Run(ctx, rec, func(c *call.Call) error {
		if err := s.checkAccount(c, account); err != nil {
			return err
		}
		token, secret, err := s.module.NewSecret(ctx, account, creds.AccessKeyID)
		if err != nil {
			return fmt.Errorf("making an access key: %w", err)
		}
		creds.SecretAccessKey = secret
		if err := deliver(creds); err != nil {
			undelivered = fmt.Errorf("delivering the new access key of account %s: %w", account, err)
			return undelivered
		}
		tx := c.Tx()
		record.Put(tx, accessKeyPath(creds.AccessKeyID), 0, &AccessKey{
			Version: recordVersion, ID: creds.AccessKeyID, Account: account, Created: c.Now().UnixMilli(), Secret: token,
		})
		return c.Commit(tx, createdAccount{account, creds.AccessKeyID})
	})
	if undelivered != nil {
		return Credentials{}, undelivered
	}
	if err != nil {
		return Credentials{}, err
	}
	return creds, nil
}

// checkAccount refuses an account that the server does not host.
func (s *Service) checkAccount(c *call.Call, account string) error {
	exists, err := s.HasAccount(c.View, account)
	if err == nil && !exists {
		err = awsapi.Errorf(CodeNoSuchEntity, "The account %s does not exist.", account)
	}
	return err
}

// AccessKeys lists the access keys of an account in order of their ids, the
// inactive ones too. An account that does not exist is a NoSuchEntity error.
func (s *Service) AccessKeys(ctx context.Context, account string) ([]AccessKey, error) {
	v, err := s.path.DB.View(ctx)
	if err != nil {
		return nil, err
	}
	defer v.Close()
	exists, err := s.HasAccount(v, account)
	if err != nil {
		return nil, err
	}
	if !exists {
		return nil, awsapi.Errorf(CodeNoSuchEntity, "The account %s does not exist.", account)
	}
	return accessKeysOf(v, account)
}

func accessKeysOf(v *record.View, account string) ([]AccessKey, error) {
	var all []AccessKey
	prefix := accessKeyPath("")
	for k, err := range record.Scan[AccessKey](v, prefix, store.PrefixEnd(prefix)) {
		if err != nil {
			return nil, err
		}
		if k.Value.Account == account {
			all = append(all, *k.Value)
		}
	}
	return all, nil
}

// SetAccessKeyActive lets an access key authenticate, or not any more, from the
// next request on. The last active one of its account is deactivated only with
// lastOfAccount, and is else a DeleteConflict error.
func (s *Service) SetAccessKeyActive(ctx context.Context, id string, active, lastOfAccount bool) error {
	return s.changeAccessKey(ctx, "UpdateAccessKey", id, accessKeyStatus(active), !active && !lastOfAccount,
		func(tx *record.Tx, found record.Found[AccessKey]) {
			next := *found.Value
			next.Inactive = !active
			record.Put(tx, accessKeyPath(id), found.Revision, &next)
		})
}

// DeleteAccessKey deletes an access key. The last active one of its account is
// deleted only with lastOfAccount, and is else a DeleteConflict error.
func (s *Service) DeleteAccessKey(ctx context.Context, id string, lastOfAccount bool) error {
	return s.changeAccessKey(ctx, "DeleteAccessKey", id, "", !lastOfAccount,
		func(tx *record.Tx, found record.Found[AccessKey]) { tx.Delete(accessKeyPath(id), found.Revision) })
}

func accessKeyStatus(active bool) string {
	if active {
		return "Active"
	}
	return "Inactive"
}

func (s *Service) changeAccessKey(ctx context.Context, operation, id, status string, keepLast bool, change func(*record.Tx, record.Found[AccessKey])) error {
	if !isAccessKeyID(id) {
		return awsapi.Errorf(awsapi.CodeValidation, "%q is not an access key id: it has 16 to 128 capital letters and digits", id)
	}
	s.changing.Lock()
	defer s.changing.Unlock()
	rec := s.operatorRecord(operation)
	rec.Parameters = changedAccessKey{id, status}
	return s.path.Run(ctx, rec, func(c *call.Call) error {
		found, err := record.Get[AccessKey](c.View, accessKeyPath(id))
		if errors.Is(err, store.ErrNotFound) {
			return awsapi.Errorf(CodeNoSuchEntity, "The access key %s does not exist.", id)
		}
		if err != nil {
			return err
		}
		c.Caller.Account = found.Value.Account
		if keepLast && !found.Value.Inactive {
			if err := checkNotLast(c.View, found.Value); err != nil {
				return err
			}
		}
		tx := c.Tx()
		change(tx, found)
		return c.Commit(tx, nil)
	})
}

// checkNotLast refuses to leave an account without an active access key.
func checkNotLast(v *record.View, key *AccessKey) error {
	all, err := accessKeysOf(v, key.Account)
	if err != nil {
		return err
	}
	for _, k := range all {
		if k.ID != key.ID && !k.Inactive {
			return nil
		}
	}
	return awsapi.Errorf(CodeDeleteConflict, "The access key %s is the last active one of account %s.", key.ID, key.Account)
}

// changedAccessKey is what the audit record shows of a change of an access key.
type changedAccessKey struct{ id, status string }

func (k changedAccessKey) AppendAudit(dst []byte) []byte {
	dst = fmt.Appendf(dst, `{"accessKeyId":%q`, k.id)
	if k.status != "" {
		dst = fmt.Appendf(dst, `,"status":%q`, k.status)
	}
	return append(dst, '}')
}

// Package iam keeps accounts and the access keys that sign for them, and finds
// who a signed request is from. Today an account has one principal, its root
// user; users, roles and their policies are not built.
//
// It verifies no signatures (sigv4 does) and decides nothing (authz does).
package iam

import (
	"context"
	"crypto/rand"
	"encoding/base32"
	"encoding/json"
	"fmt"
	"math/big"
	"sync"

	"github.com/keywright/keywright/internal/arn"
	"github.com/keywright/keywright/internal/awsapi"
	"github.com/keywright/keywright/internal/call"
	"github.com/keywright/keywright/internal/hsm"
	"github.com/keywright/keywright/internal/record"
	"github.com/keywright/keywright/internal/store"
)

// Paths of the records:
//
//	account/<account id>        Account
//	accesskey/<access key id>   AccessKey

const accountPrefix = "account/"

func accountPath(id string) []byte   { return []byte(accountPrefix + id) }
func accessKeyPath(id string) []byte { return []byte("accesskey/" + id) }

// Account is an account that the server hosts.
type Account struct {
	Version int    `json:"v"`
	ID      string `json:"id"`
	Created int64  `json:"created"` // milliseconds since 1970
}

// Prepare checks the version.
func (a *Account) Prepare() error { return checkVersion("account", a.Version) }

// AccessKey is a long-term credential. Its secret is known to the Module alone.
type AccessKey struct {
	Version int    `json:"v"`
	ID      string `json:"id"`
	Account string `json:"account"`
	Created int64  `json:"created"`
	Secret  []byte `json:"secret"` // a token of the Module
	// Inactive keys authenticate nobody.
	Inactive bool `json:"inactive,omitempty"`
}

// Prepare checks the version.
func (k *AccessKey) Prepare() error { return checkVersion("access key", k.Version) }

const recordVersion = 1

func checkVersion(what string, v int) error {
	if v != recordVersion {
		return fmt.Errorf("%s record of version %d; this keywright knows version %d: use a newer one", what, v, recordVersion)
	}
	return nil
}

// Credentials are an access key with its secret, which is shown only when it is
// made.
type Credentials struct {
	Account         string
	AccessKeyID     string
	SecretAccessKey string
}

// Format keeps the secret out of logs and error texts.
func (c Credentials) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "access key %s of account %s", c.AccessKeyID, c.Account)
}

// MarshalJSON keeps the secret out of structured logs: it writes what Format does.
func (c Credentials) MarshalJSON() ([]byte, error) { return json.Marshal(fmt.Sprint(c)) }

// Service keeps accounts and access keys.
type Service struct {
	path   *call.Path
	module hsm.Module

	// changing lets one account or access key be changed at a time: of two calls
	// that make an account, the later may not deliver credentials over those of
	// the earlier; of two that take away access keys, one sees what the other did.
	changing sync.Mutex
}

// New returns a Service.
func New(path *call.Path, module hsm.Module) *Service {
	return &Service{path: path, module: module}
}

// CreateAccount makes an account with a root access key. With an empty id it
// gets a random one. The credentials are given to deliver before anything is
// stored: where they cannot be delivered there is no account that nobody can
// use, and the error is that of deliver. An account that exists is an
// EntityAlreadyExists error and is not changed.
func (s *Service) CreateAccount(ctx context.Context, id string, deliver func(Credentials) error) (Credentials, error) {
	if id != "" && !arn.IsAccount(id) {
		return Credentials{}, awsapi.Errorf(awsapi.CodeValidation, "%q is not an account id: it has 12 digits", id)
	}
	s.changing.Lock()
	defer s.changing.Unlock()
	var creds Credentials
	var undelivered error
	rec := s.operatorRecord("CreateAccount")
	err := s.path.Run(ctx, rec, func(c *call.Call) (err error) {
		account := id
		if account == "" {
			if account, err = newAccountID(); err != nil {
				return err
			}
		}
		creds = Credentials{Account: account, AccessKeyID: newAccessKeyID()}
		c.Caller.Account = account
		if exists, err := c.View.Has(accountPath(account)); err != nil {
			return err
		} else if exists {
			return awsapi.Errorf(CodeEntityAlreadyExists, "The account %s exists already.", account)
		}
		token, secret, err := s.module.NewSecret(ctx, account, creds.AccessKeyID)
		if err != nil {
			return fmt.Errorf("making an access key: %w", err)
		}
		creds.SecretAccessKey = secret
		if err := deliver(creds); err != nil {
			undelivered = fmt.Errorf("delivering the access key of the new account %s: %w", account, err)
			return undelivered
		}
		now := c.Now().UnixMilli()
		tx := c.Tx()
		record.Put(tx, accountPath(account), 0, &Account{Version: recordVersion, ID: account, Created: now})
		record.Put(tx, accessKeyPath(creds.AccessKeyID), 0, &AccessKey{
			Version: recordVersion, ID: creds.AccessKeyID, Account: account, Created: now, Secret: token,
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

// IAM's error codes.
const (
	CodeEntityAlreadyExists = "EntityAlreadyExists" // the name is taken
	CodeNoSuchEntity        = "NoSuchEntity"
	CodeDeleteConflict      = "DeleteConflict" // something else needs it
)

// createdAccount is what the audit record shows of a new account.
type createdAccount struct{ account, accessKeyID string }

func (a createdAccount) AppendAudit(dst []byte) []byte {
	return fmt.Appendf(dst, `{"accountId":%q,"accessKeyId":%q}`, a.account, a.accessKeyID)
}

func (s *Service) operatorRecord(operation string) *call.Record {
	return &call.Record{
		RequestID: call.NewRequestID(),
		Service:   "iam", Source: "iam.amazonaws.com",
		Operation: operation, Region: "us-east-1", // where AWS records IAM
		FaultCode: awsapi.CodeInternalFailure,
		Caller:    call.Caller{Type: call.TypeInternal},
		Time:      s.path.Clock.Now(),
	}
}

// Accounts lists the accounts in order of their ids.
func (s *Service) Accounts(ctx context.Context) ([]Account, error) {
	v, err := s.path.DB.View(ctx)
	if err != nil {
		return nil, err
	}
	defer v.Close()
	var all []Account
	for a, err := range record.Scan[Account](v, []byte(accountPrefix), store.PrefixEnd([]byte(accountPrefix))) {
		if err != nil {
			return nil, err
		}
		all = append(all, *a.Value)
	}
	return all, nil
}

// HasAccount tells whether the server hosts the account.
func (s *Service) HasAccount(v *record.View, id string) (bool, error) {
	return v.Has(accountPath(id))
}

// FindAccessKey returns an active access key, or store.ErrNotFound.
func (s *Service) FindAccessKey(v *record.View, id string) (*AccessKey, error) {
	if !isAccessKeyID(id) {
		return nil, store.ErrNotFound
	}
	k, err := record.Get[AccessKey](v, accessKeyPath(id))
	if err != nil {
		return nil, err
	}
	if k.Value.Inactive {
		return nil, store.ErrNotFound
	}
	return k.Value, nil
}

// SigningKey derives the key that signatures of this access key are made with.
func (s *Service) SigningKey(ctx context.Context, k *AccessKey, date, region, service string) ([32]byte, error) {
	return s.module.SigningKey(ctx, k.Secret, date, region, service)
}

// Root returns the root user of the access key's account as a caller in Region.
func (k *AccessKey) Root(region string) call.Caller {
	return call.Root(arn.Partition(region), k.Account, k.ID)
}

// isAccessKeyID bounds what is looked up in the store.
func isAccessKeyID(id string) bool {
	if len(id) < 16 || len(id) > 128 {
		return false
	}
	for _, c := range []byte(id) {
		if (c < 'A' || c > 'Z') && (c < '0' || c > '9') {
			return false
		}
	}
	return true
}

// newAccessKeyID makes an id in the form of AWS's long-term access keys.
func newAccessKeyID() string {
	var b [10]byte
	rand.Read(b[:])
	return "AKIA" + base32.StdEncoding.EncodeToString(b[:])
}

// newAccountID makes a random id of 12 digits that does not begin with a zero,
// which spreadsheets and shells like to drop.
func newAccountID() (string, error) {
	const first, count = 100_000_000_000, 900_000_000_000
	n, err := rand.Int(rand.Reader, big.NewInt(count))
	if err != nil {
		return "", err
	}
	return fmt.Sprint(first + n.Int64()), nil
}

package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/keywright/keywright/internal/backup"
)

// Operator carries out an operator's commands on a data folder: through the
// socket of the server that runs on it, or, where none does, on the store
// itself, whose lock it then holds until Close. The commands do the same either
// way, and are recorded in the audit log. Each of them is in operations.
type Operator struct {
	socket string // of the running server; "" where core is open
	core   *core
}

// ErrNotRunning: no server runs on the data folder.
var ErrNotRunning = errors.New("no server is running on the data folder")

// Progress is told now and then how far a long command has come. The total may
// grow.
type Progress func(done, total int)

// DialOperator returns an Operator of the server that runs on a data folder, or
// ErrNotRunning.
func DialOperator(ctx context.Context, data string) (*Operator, error) {
	path := filepath.Join(data, socketName)
	if err := checkSocketPath(path); err != nil {
		return nil, err
	}
	conn, err := new(net.Dialer).DialContext(ctx, "unix", path)
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ECONNREFUSED):
		return nil, fmt.Errorf("%w %s", ErrNotRunning, data)
	case err != nil:
		return nil, fmt.Errorf("reaching the running server: %w", err)
	}
	conn.Close()
	return &Operator{socket: path}, nil
}

// OpenOperator returns an Operator of the server that runs on cfg.Data or, where
// none does, of the data folder itself, which must hold a store that cfg unlocks.
func OpenOperator(ctx context.Context, cfg Config, log *slog.Logger) (*Operator, error) {
	o, err := DialOperator(ctx, cfg.Data)
	if !errors.Is(err, ErrNotRunning) {
		return o, err
	}
	if _, err := os.Stat(filepath.Join(cfg.Data, storeName)); err != nil {
		return nil, fmt.Errorf("%s is not the data folder of a keywright: %w", cfg.Data, err)
	}
	cfg.OperatorListen = listenOff
	if err := cfg.prepare(); err != nil {
		return nil, &ConfigError{err}
	}
	hardenProcess(log)
	c, err := openCore(ctx, cfg, log)
	if err != nil {
		return nil, err
	}
	return &Operator{core: c}, nil
}

// Running tells whether the commands go to a running server.
func (o *Operator) Running() bool { return o.core == nil }

// Close ends the use of the data folder.
func (o *Operator) Close() error {
	if o.core == nil {
		return nil
	}
	// No worker runs that would take the records of what was done to the log.
	err := o.core.outbox.Drain(context.Background())
	return errors.Join(err, o.core.close())
}

// Status describes a server, or a store on which none runs.
type Status struct {
	Running         bool      `json:"running"`
	Endpoint        string    `json:"endpoint,omitempty"`
	Region          string    `json:"region,omitempty"` // the first of those configured
	Account         string    `json:"account"`          // the first account
	CredentialsFile string    `json:"credentialsFile,omitempty"`
	CABundle        string    `json:"caBundle,omitempty"`
	Ready           readiness `json:"readiness"`
	StoreID         string    `json:"storeId"`
	Epoch           uint64    `json:"epoch"` // counts the restores of the store
	StoreRevision   uint64    `json:"storeRevision"`
	StoreBytes      int64     `json:"storeBytes"`
	AuditRecords    uint64    `json:"auditRecords"`
	AuditBytes      int64     `json:"auditBytes"`
}

// Status tells how the server is.
func (o *Operator) Status(ctx context.Context) (*Status, error) {
	return do[*Status](ctx, o, "status", nothing{}, nil)
}

// Account is one of the server's accounts.
type Account struct {
	ID      string    `json:"id"`
	Created time.Time `json:"created"`
}

// Accounts lists the accounts in order of their ids.
func (o *Operator) Accounts(ctx context.Context) ([]Account, error) {
	return do[[]Account](ctx, o, "account/list", nothing{}, nil)
}

// CreatedAccount is a new account and where its root access key was written.
type CreatedAccount struct {
	ID              string `json:"id"`
	AccessKeyID     string `json:"accessKeyId"`
	CredentialsFile string `json:"credentialsFile"`
	Profile         string `json:"profile"`
}

// CreateAccount makes an account with the id, or a random one where it is empty.
// Its root access key is added to the credentials file in the data folder, as
// the profile of that name.
func (o *Operator) CreateAccount(ctx context.Context, id string) (*CreatedAccount, error) {
	return do[*CreatedAccount](ctx, o, "account/create", accountInput{id}, nil)
}

// ClockStatus tells whether the machine's clock is believed.
type ClockStatus struct {
	Now     time.Time `json:"now"`
	Trusted bool      `json:"trusted"`
	Problem string    `json:"problem,omitempty"`
}

// Clock compares the machine's clock with the time that is written down.
func (o *Operator) Clock(ctx context.Context) (*ClockStatus, error) {
	return do[*ClockStatus](ctx, o, "clock/status", nothing{}, nil)
}

// ConfirmClock takes the machine's clock for right from now on.
func (o *Operator) ConfirmClock(ctx context.Context) (*ClockStatus, error) {
	return do[*ClockStatus](ctx, o, "clock/confirm", nothing{}, nil)
}

// StoreCheck is what a check of the store found.
type StoreCheck struct {
	Revision uint64   `json:"revision"`
	Records  int      `json:"records"`
	Problems []string `json:"problems"`
}

// CheckStore opens every record and looks whether they fit together. It changes
// nothing.
func (o *Operator) CheckStore(ctx context.Context, progress Progress) (*StoreCheck, error) {
	return do[*StoreCheck](ctx, o, "store/check", nothing{}, progress)
}

// Backup writes a backup of the store to w while it serves. Where it fails, what
// was written is no backup and is refused as one.
func (o *Operator) Backup(ctx context.Context, w io.Writer) (*backup.Info, error) {
	if o.core != nil {
		return o.core.backup(ctx, w)
	}
	return o.fetchBackup(ctx, w)
}

// Unlockers are what opens the store or one of its slots, besides the server's
// own root key.
type Unlockers struct {
	Passphrases  []string `json:"passphrases,omitempty"`
	RecoveryKeys []string `json:"recoveryKeys,omitempty"`
	RootKeys     []string `json:"rootKeys,omitempty"` // files
}

// Slot is one of the store's key slots.
type Slot struct {
	ID      string    `json:"id"`
	Kind    string    `json:"kind"`
	Label   string    `json:"label,omitempty"`
	Created time.Time `json:"created,omitzero"`
	Problem string    `json:"problem,omitempty"` // why it cannot be read
}

// Slots lists the key slots, oldest first.
func (o *Operator) Slots(ctx context.Context) ([]Slot, error) {
	return do[[]Slot](ctx, o, "seal/list", nothing{}, nil)
}

// AddPassphrase adds a key slot for a passphrase.
func (o *Operator) AddPassphrase(ctx context.Context, passphrase, label string) (*Slot, error) {
	return do[*Slot](ctx, o, "seal/add-passphrase", slotInput{Secret: passphrase, Label: label}, nil)
}

// AddRootKey adds a key slot for the root key in a file, which is made where it
// does not exist.
func (o *Operator) AddRootKey(ctx context.Context, path, label string) (*Slot, error) {
	return do[*Slot](ctx, o, "seal/add-root-key", slotInput{Path: path, Label: label}, nil)
}

// NewRecovery is a recovery key that replaced others.
type NewRecovery struct {
	RecoveryKey string   `json:"recoveryKey"` // to be shown once
	Slot        Slot     `json:"slot"`
	Removed     []string `json:"removed"` // ids of the slots of the old ones
	// AuditFrom is the number of the audit record from which on the new key
	// authenticates the log. What is before takes the old one.
	AuditFrom uint64 `json:"auditFrom,omitempty"`
	// AuditProblem says why the new key authenticates nothing of the audit log.
	AuditProblem string `json:"auditProblem,omitempty"`
}

// ReplaceRecoveryKey makes a new recovery key; the old ones open nothing any
// more but copies of the store from before.
func (o *Operator) ReplaceRecoveryKey(ctx context.Context, label string) (*NewRecovery, error) {
	return do[*NewRecovery](ctx, o, "seal/add-recovery", slotInput{Label: label}, nil)
}

// RemoveSlot removes a key slot. The last root key and the last recovery key
// are removed only with lastOfKind.
func (o *Operator) RemoveSlot(ctx context.Context, id string, lastOfKind bool) (*Slot, error) {
	return do[*Slot](ctx, o, "seal/remove", slotInput{ID: id, LastOfKind: lastOfKind}, nil)
}

// RotatedRoot tells what a rotation of the root key did.
type RotatedRoot struct {
	File    string   `json:"file"`
	Added   string   `json:"added"`
	Removed []string `json:"removed"`
}

// RotateRoot replaces the root key in its file, and its slot.
func (o *Operator) RotateRoot(ctx context.Context) (*RotatedRoot, error) {
	return do[*RotatedRoot](ctx, o, "seal/rotate-root", nothing{}, nil)
}

// RotatedStore tells what a rotation of the store key did.
type RotatedStore struct {
	Version  uint32   `json:"version"`
	Retired  []uint32 `json:"retired"`
	Resealed int      `json:"resealed"`
	Resumed  bool     `json:"resumed"`
}

// RotateStoreKey makes a new store key, seals every record under it and destroys
// the old one. It needs the secret of every slot.
func (o *Operator) RotateStoreKey(ctx context.Context, secrets Unlockers, progress Progress) (*RotatedStore, error) {
	return do[*RotatedStore](ctx, o, "seal/rotate-store-key", secrets, progress)
}

type nothing struct{}

// do carries out one of the operations, here or in the running server. What goes
// in and comes out passes through JSON both ways, so that they cannot differ.
func do[Out any](ctx context.Context, o *Operator, name string, in any, progress Progress) (out Out, err error) {
	body, err := json.Marshal(in)
	if err != nil {
		return out, err
	}
	if progress == nil {
		progress = func(int, int) {}
	}
	var raw json.RawMessage
	if o.core != nil {
		raw, err = operations[name].run(ctx, o.core, body, progress)
	} else {
		raw, err = o.post(ctx, name, body, progress)
	}
	if err != nil {
		return out, err
	}
	return out, json.Unmarshal(raw, &out)
}

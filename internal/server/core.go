package server

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"

	"github.com/keywright/keywright/internal/audit"
	"github.com/keywright/keywright/internal/awsapi"
	"github.com/keywright/keywright/internal/call"
	"github.com/keywright/keywright/internal/clock"
	"github.com/keywright/keywright/internal/hsm/secmem"
	"github.com/keywright/keywright/internal/hsm/softhsm"
	"github.com/keywright/keywright/internal/iam"
	"github.com/keywright/keywright/internal/kms"
	"github.com/keywright/keywright/internal/record"
	"github.com/keywright/keywright/internal/seal"
	"github.com/keywright/keywright/internal/store"
	"github.com/keywright/keywright/internal/store/boltstore"
)

// Names in the data folder. None but the root key's says root or seal.
const (
	rootKeyName     = "root.key"
	storeName       = "store.db"
	auditName       = "audit"
	credentialsName = "credentials"
	socketName      = "operator.sock"
)

// core is a keywright without its listeners: the opened store and all that
// stands on it. Commands that work on a stopped server use it too.
type core struct {
	cfg   Config
	log   *slog.Logger
	clock *clock.Clock

	store   *boltstore.Store
	keyring *seal.Keyring
	guarded store.Store
	db      *record.DB
	module  *softhsm.Module
	audit   *audit.Log
	outbox  *audit.Outbox
	path    *call.Path
	iam     *iam.Service
	kms     *kms.Service
	guard   *timeGuard
	metrics *metrics

	seeded []string // what the seed file did
	// ballast is never touched, so it takes address space and no memory. It makes
	// Go's collector see a larger heap: what a server keeps is so little that
	// the collector would otherwise run all the time under load.
	ballast []byte

	auditDir   string
	auditAside string // where an audit log was put that a new one replaced; "" for none
	endpoint   string // URL of the API once it is served; "" where it is not
	tempDir    string // removed at close; "" where nothing is temporary

	// first tells what the first start made, to be shown once.
	first *FirstStart
}

// ballastBytes is the size of a server's ballast: the heap grows by at least as
// much between two runs of the collector.
const ballastBytes = 64 << 20

// FirstStart is what a server made in an empty data folder.
type FirstStart struct {
	Account string
	// Credentials are the account's root access key, of a server in memory
	// alone: any other has a file of them.
	Credentials iam.Credentials
}

// openCore opens the store and everything on it. On an empty data folder it
// makes them; on any other it refuses what it cannot open, and changes nothing.
func openCore(ctx context.Context, cfg Config, log *slog.Logger) (_ *core, err error) {
	c := &core{cfg: cfg, log: log, clock: cfg.Clock, metrics: newMetrics()}
	if c.clock == nil {
		c.clock = new(clock.Clock)
	}
	if !cfg.Dev {
		c.ballast = make([]byte, ballastBytes)
	}
	defer func() {
		if err != nil {
			c.close()
		}
	}()
	if err := c.openStore(); err != nil {
		return nil, err
	}
	if err := c.unlock(ctx); err != nil {
		return nil, err
	}
	c.guarded = c.keyring.Guard(c.store)
	c.db = record.New(c.guarded, c.keyring, cfg.cacheBytes())
	if err := c.openModule(ctx); err != nil {
		return nil, err
	}
	if err := c.openAudit(ctx); err != nil {
		return nil, err
	}
	c.path = &call.Path{DB: c.db, Audit: c.audit, Outbox: c.outbox, Clock: c.clock, Log: log, Observe: denials(cfg.Denied)}
	c.iam = iam.New(c.path, c.module)
	c.kms = kms.New(kms.Config{Path: c.path, Module: c.module, Names: c.keyring, Log: log, KeysPerRegion: cfg.KeysPerRegion})
	c.guard = newTimeGuard(c.db, log)
	if err := c.ensureAccount(ctx); err != nil {
		return nil, err
	}
	return c, nil
}

// openStore opens the database, in memory for a development server without a
// data folder.
func (c *core) openStore() (err error) {
	opts := boltstore.Options{OnCommit: c.metrics.storeCommit}
	if c.cfg.Data == "" {
		if c.tempDir, err = os.MkdirTemp("", "keywright-dev-"); err != nil {
			return fmt.Errorf("making a folder for the audit log: %w", err)
		}
		c.auditDir = filepath.Join(c.tempDir, auditName)
		c.store, err = boltstore.OpenMemory(opts)
		return err
	}
	c.auditDir = filepath.Join(c.cfg.Data, auditName)
	if err := os.MkdirAll(c.cfg.Data, 0o700); err != nil {
		return fmt.Errorf("making the data folder: %w", err)
	}
	path := filepath.Join(c.cfg.Data, storeName)
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		if err := c.checkFresh(); err != nil {
			return err
		}
	}
	c.store, err = boltstore.Open(path, opts)
	return err
}

// checkFresh refuses to make a store in a folder that had one: whatever took it
// away, a new and empty one is not what its owner wants.
func (c *core) checkFresh() error {
	for _, name := range []string{auditName, credentialsName} {
		if _, err := os.Stat(filepath.Join(c.cfg.Data, name)); err == nil {
			return fmt.Errorf("%s has no %s but has %s: its store is missing. Put it back, restore a backup into an empty folder, or start with another --data", c.cfg.Data, storeName, name)
		}
	}
	return nil
}

// rootKeyPath is where the root key is kept.
func (cfg *Config) rootKeyPath() string {
	if cfg.RootKey != "" {
		return cfg.RootKey
	}
	return filepath.Join(cfg.Data, rootKeyName)
}

// providers are the secrets that may unlock the store, in the order tried.
func (cfg *Config) providers() []seal.Provider {
	var all []seal.Provider
	if cfg.PassphraseFile != "" {
		all = append(all, seal.PassphraseFile(cfg.PassphraseFile))
	}
	if cfg.RootKeyCredential != "" {
		return append(all, seal.Credential(cfg.RootKeyCredential))
	}
	return append(all, &seal.RootKeyFile{Path: cfg.rootKeyPath()})
}

// unlock opens the seal, or makes it where the store is empty.
func (c *core) unlock(ctx context.Context) (err error) {
	if c.cfg.Data == "" {
		c.keyring, _, err = seal.Init(ctx, c.store, seal.NewMemoryRootKey())
		return err
	}
	providers := append(c.cfg.unlockWith, c.cfg.providers()...)
	root := providers[len(providers)-1]
	c.keyring, err = seal.Unlock(ctx, c.store, providers...)
	if err == nil {
		return c.finishRootRotation(ctx, root)
	}
	if !errors.Is(err, seal.ErrNotInitialized) {
		return err
	}
	keyring, recovery, err := seal.Init(ctx, c.store, root)
	if err != nil {
		return err
	}
	c.keyring, c.cfg.recoveryKey = keyring, recovery
	if c.cfg.ShowRecoveryKey != nil {
		c.cfg.ShowRecoveryKey(recovery)
	}
	return nil
}

// finishRootRotation takes up a rotation of the root key that a crash cut off.
func (c *core) finishRootRotation(ctx context.Context, root seal.Provider) error {
	file, ok := root.(*seal.RootKeyFile)
	if !ok {
		return nil
	}
	removed, err := seal.FinishRootRotation(ctx, c.store, c.keyring, file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // opened with a passphrase; there is no root key file
	}
	if len(removed) > 0 {
		c.log.Info("an unfinished rotation of the root key was completed", "removed_slots", removed)
	}
	return err
}

// domainKeys is the record of the Module's domain keys, under which it seals its
// tokens.
type domainKeys struct {
	Version int               `json:"v"`
	Active  uint32            `json:"active"`
	Keys    map[uint32][]byte `json:"keys"`
}

func (d *domainKeys) Prepare() error {
	if d.Version != 1 {
		return fmt.Errorf("domain key record of version %d; this keywright knows version 1: use a newer one", d.Version)
	}
	return nil
}

var domainKeyPath = []byte("hsm/domain")

func (c *core) openModule(ctx context.Context) error {
	v, err := c.db.View(ctx)
	if err != nil {
		return err
	}
	defer v.Close()
	found, err := record.Get[domainKeys](v, domainKeyPath)
	keys := found.Value
	if errors.Is(err, store.ErrNotFound) {
		keys, err = c.newDomainKeys(ctx)
	}
	if err != nil {
		return err
	}
	c.module, err = softhsm.New(softhsm.DomainKeys{Keys: keys.Keys, Active: keys.Active}, softhsm.Options{Keys: c.cfg.OpenKeys})
	if err != nil {
		return err
	}
	if w := c.module.Warning(); w != "" {
		c.log.Warn(w)
	}
	return nil
}

func (c *core) newDomainKeys(ctx context.Context) (*domainKeys, error) {
	key := make([]byte, softhsm.DomainKeySize)
	rand.Read(key)
	keys := &domainKeys{Version: 1, Active: 1, Keys: map[uint32][]byte{1: key}}
	tx := c.db.Tx()
	record.Put(tx, domainKeyPath, 0, keys)
	_, err := tx.Commit(ctx)
	return keys, err
}

// devAccount is the account of a development server that names no other.
const devAccount = "000000000000"

// ensureAccount makes the first account and writes down its access key.
func (c *core) ensureAccount(ctx context.Context) error {
	accounts, err := c.iam.Accounts(ctx)
	if err != nil {
		return err
	}
	if len(accounts) > 0 {
		return nil
	}
	id := c.cfg.Account
	if id == "" && c.cfg.Dev {
		id = devAccount
	}
	creds, err := c.iam.CreateAccount(ctx, id, func(creds iam.Credentials) error {
		if c.cfg.Data == "" {
			return nil
		}
		return putCredentials(filepath.Join(c.cfg.Data, credentialsName), "default", creds)
	})
	if err != nil {
		return fmt.Errorf("making the first account: %w", err)
	}
	if c.first == nil {
		c.first = &FirstStart{}
	}
	c.first.Account = creds.Account
	if c.cfg.Data == "" {
		c.first.Credentials = creds
	}
	return nil
}

// defaultAccount is the account that was made first: the one that the start's
// message names and that operators' events are recorded for.
func (c *core) defaultAccount(ctx context.Context) (string, error) {
	accounts, err := c.iam.Accounts(ctx)
	if err != nil || len(accounts) == 0 {
		return "", err
	}
	return slices.MinFunc(accounts, func(a, b iam.Account) int { return cmp.Compare(a.Created, b.Created) }).ID, nil
}

// denials tells report of the calls that were not authorized.
func denials(report func(Denial)) func(*call.Record, error) {
	if report == nil {
		return nil
	}
	return func(rec *call.Record, err error) {
		if e, ok := errors.AsType[*awsapi.Error](err); ok && e.Code == awsapi.CodeAccessDenied {
			report(Denial{Service: rec.Service, Operation: rec.Operation, Reason: e.Message})
		}
	}
}

// close stops what openCore started, in the reverse order. It may be called on
// a core that was opened in part.
func (c *core) close() error {
	var errs []error
	if c.audit != nil {
		errs = append(errs, c.audit.Close())
	}
	if c.module != nil {
		errs = append(errs, c.module.Close())
	}
	if c.store != nil {
		errs = append(errs, c.store.Close())
	}
	if c.keyring != nil {
		errs = append(errs, c.keyring.Close())
	}
	if c.tempDir != "" {
		errs = append(errs, os.RemoveAll(c.tempDir))
	}
	return errors.Join(errs...)
}

// hardenProcess keeps secrets out of core dumps, and debuggers out of the
// process.
func hardenProcess(log *slog.Logger) {
	if err := secmem.DisableCoreDumps(); err != nil {
		log.Warn("core dumps cannot be switched off; one could hold key material", "error", err)
	}
}

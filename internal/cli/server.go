package cli

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/keywright/keywright/internal/server"
)

// defaultData is the data folder where none is named.
const defaultData = "./keywright-data"

// serverCmd has a flag for each field of server.Config. The flags are grouped
// as people look for them.
type serverCmd struct {
	Config string `help:"JSON file of settings, named as these flags." placeholder:"FILE" env:"KEYWRIGHT_CONFIG"`

	Data              string `help:"Data folder. Default ./keywright-data; with --dev nothing: all is in memory." placeholder:"DIR" env:"KEYWRIGHT_DATA"`
	RootKey           string `help:"File of the root key. Default root.key in the data folder; elsewhere is safer." placeholder:"FILE" env:"KEYWRIGHT_ROOT_KEY"`
	RootKeyCredential string `help:"Name of the systemd credential that holds the root key." placeholder:"NAME" env:"KEYWRIGHT_ROOT_KEY_CREDENTIAL"`
	PassphraseFile    string `help:"File of a passphrase that opens the store." placeholder:"FILE" env:"KEYWRIGHT_PASSPHRASE_FILE"`

	Account string   `help:"Id of the first account, on the first start. Default random; with --dev 000000000000." placeholder:"ID" env:"KEYWRIGHT_ACCOUNT"`
	Regions []string `help:"Regions to answer for, separated by commas. Default all." placeholder:"REGION" env:"KEYWRIGHT_REGIONS"`
	Seed    string   `help:"JSON file of accounts, keys and aliases to create or update at start." placeholder:"FILE" env:"KEYWRIGHT_SEED"`

	Listen         string   `help:"Address of the API. Port 0 takes any free one. Default ${default_listen}." placeholder:"ADDR" env:"KEYWRIGHT_LISTEN"`
	OperatorListen string   `help:"Address of readiness and metrics, or off. Default ${default_operator_listen}; with --dev off." placeholder:"ADDR" env:"KEYWRIGHT_OPERATOR_LISTEN"`
	Hostname       []string `help:"A further name of this server that clients use. May be repeated." placeholder:"NAME" env:"KEYWRIGHT_HOSTNAME"`

	TLSCert           string `name:"tls-cert" help:"PEM file of the TLS certificate chain; read again when it changes." placeholder:"FILE" env:"KEYWRIGHT_TLS_CERT"`
	TLSKey            string `name:"tls-key" help:"PEM file of its private key." placeholder:"FILE" env:"KEYWRIGHT_TLS_KEY"`
	TLSAuto           bool   `name:"tls-auto" help:"Make a local certificate authority and a certificate from it." env:"KEYWRIGHT_TLS_AUTO"`
	InsecurePlainHTTP bool   `name:"insecure-plain-http" help:"Speak plain HTTP beyond loopback. Everyone on the way reads plaintexts and data keys." env:"KEYWRIGHT_INSECURE_PLAIN_HTTP"`

	Dev                bool `help:"Be a development server: any access key is the account's root. Never with real data." env:"KEYWRIGHT_DEV"`
	DevInsecureNetwork bool `help:"Let a development server listen beyond loopback, as in a container." env:"KEYWRIGHT_DEV_INSECURE_NETWORK"`

	KeysPerRegion   int           `help:"Most keys of an account in a Region. Default 100000." placeholder:"N" env:"KEYWRIGHT_KEYS_PER_REGION"`
	OpenKeys        int           `help:"Keys whose opened material is kept in locked memory. Default 50000." placeholder:"N" env:"KEYWRIGHT_OPEN_KEYS"`
	CacheBytes      int           `help:"Memory for decoded records. Default 67108864." placeholder:"BYTES" env:"KEYWRIGHT_CACHE_BYTES"`
	DeletionGrace   time.Duration `help:"How long the material of a deleted key is kept before it is erased. Default 24h." placeholder:"TIME" env:"KEYWRIGHT_DELETION_GRACE"`
	ShutdownTimeout time.Duration `help:"How long requests under way may take after SIGTERM. Default 15s." placeholder:"TIME" env:"KEYWRIGHT_SHUTDOWN_TIMEOUT"`

	AuditSegmentBytes int64 `help:"Size at which an audit segment is closed. Default 67108864." placeholder:"BYTES" env:"KEYWRIGHT_AUDIT_SEGMENT_BYTES"`
	AuditRetainDays   int   `help:"Days that audit records are kept. Default 90." placeholder:"N" env:"KEYWRIGHT_AUDIT_RETAIN_DAYS"`
	AuditRetainBytes  int64 `help:"Most bytes of all audit segments. Default no bound." placeholder:"BYTES" env:"KEYWRIGHT_AUDIT_RETAIN_BYTES"`
	AuditReserveBytes int64 `help:"Disk space held back for the records of changes; negative for none. Default 16777216." placeholder:"BYTES" env:"KEYWRIGHT_AUDIT_RESERVE_BYTES"`

	LogFormat string `help:"Form of the operator's log on stderr: text or json." enum:"text,json" default:"text" placeholder:"FORMAT" env:"KEYWRIGHT_LOG_FORMAT"`
	LogLevel  string `help:"Least level that is logged: debug, info, warn or error." enum:"debug,info,warn,error" default:"info" placeholder:"LEVEL" env:"KEYWRIGHT_LOG_LEVEL"`
}

// Help implements kong.HelpProvider.
func (c *serverCmd) Help() string {
	return `An empty data folder is initialised: a root key, a recovery key that is shown once, an account and its root access key.

A setting is taken from its flag, else from its environment variable, else from the --config file, else its default.

Examples:

    keywright server --dev
    keywright server --data /var/lib/keywright --root-key /run/secrets/keywright-root
    keywright server --config /etc/keywright.json --listen 0.0.0.0:4599 --tls-cert cert.pem --tls-key key.pem`
}

// config is what the flags say.
func (c *serverCmd) config() server.Config {
	cfg := server.Config{
		Data: c.Data, RootKey: c.RootKey, RootKeyCredential: c.RootKeyCredential, PassphraseFile: c.PassphraseFile,
		Account: c.Account, Regions: c.Regions, Seed: c.Seed,
		Listen: c.Listen, OperatorListen: c.OperatorListen, Hostnames: c.Hostname,
		TLSCert: c.TLSCert, TLSKey: c.TLSKey, TLSAuto: c.TLSAuto, InsecurePlainHTTP: c.InsecurePlainHTTP,
		Dev: c.Dev, DevInsecureNetwork: c.DevInsecureNetwork,
		KeysPerRegion: c.KeysPerRegion, OpenKeys: c.OpenKeys, CacheBytes: c.CacheBytes,
		DeletionGrace: c.DeletionGrace, ShutdownTimeout: c.ShutdownTimeout,
		Audit: server.AuditConfig{
			SegmentBytes: c.AuditSegmentBytes, RetainDays: c.AuditRetainDays,
			RetainBytes: c.AuditRetainBytes, ReserveBytes: c.AuditReserveBytes,
		},
	}
	if cfg.Data == "" && !cfg.Dev {
		cfg.Data = defaultData
	}
	return cfg
}

func (c *serverCmd) logger(s *streams) *slog.Logger {
	var level slog.Level
	level.UnmarshalText([]byte(c.LogLevel)) // kong let nothing else pass
	opts := &slog.HandlerOptions{Level: level}
	if c.LogFormat == "json" {
		return slog.New(slog.NewJSONHandler(s.err, opts))
	}
	return slog.New(slog.NewTextHandler(s.err, opts))
}

// Run serves until a signal comes, and then lets requests under way end.
func (c *serverCmd) Run(ctx context.Context, s *streams) (err error) {
	log := c.logger(s)
	cfg := c.config()
	cfg.ShowRecoveryKey = func(key string) { showRecoveryKey(s.out, key) }
	srv, err := server.Start(ctx, cfg, log)
	if err != nil {
		if ctx.Err() != nil {
			log.Info("told to stop before the start was done")
			return nil
		}
		return startError(err)
	}
	defer func() {
		if closeErr := srv.Close(context.WithoutCancel(ctx)); err == nil && closeErr != nil {
			err = fmt.Errorf("shutting down: %w", closeErr)
		}
	}()
	if err := c.greet(context.WithoutCancel(ctx), s, srv); err != nil {
		return err
	}
	select {
	case err := <-srv.Failed():
		return err
	case <-ctx.Done():
		log.Info("shutting down", "timeout", srv.ShutdownTimeout())
		return nil
	}
}

// rootKeyBesideData tells whether whoever takes the data folder has its root key
// too.
func rootKeyBesideData(cfg server.Config) bool {
	if cfg.Data == "" || cfg.Dev || cfg.RootKeyCredential != "" {
		return false
	}
	path := cfg.RootKey
	if path == "" {
		path = filepath.Join(cfg.Data, "root.key")
	}
	if _, err := os.Stat(path); err != nil {
		return false // it is opened with something else
	}
	return sameFolder(filepath.Dir(path), cfg.Data)
}

func sameFolder(a, b string) bool {
	x, errX := os.Stat(a)
	y, errY := os.Stat(b)
	return errX == nil && errY == nil && os.SameFile(x, y)
}

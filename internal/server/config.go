package server

import (
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/keywright/keywright/internal/arn"
	"github.com/keywright/keywright/internal/clock"
	"github.com/keywright/keywright/internal/seal"
)

// DefaultListen is where the API listens unless told otherwise.
const DefaultListen = "127.0.0.1:4599"

// DefaultOperatorListen is where readiness and metrics are served unless told
// otherwise. Development servers serve none unless told to: several of them
// often run beside each other.
const DefaultOperatorListen = "127.0.0.1:4600"

// listenOff is the OperatorListen of a server without that listener.
const listenOff = "off"

// ConfigError is a Config that cannot be meant. Nothing was opened.
type ConfigError struct{ Problem error }

func (e *ConfigError) Error() string { return e.Problem.Error() }
func (e *ConfigError) Unwrap() error { return e.Problem }

// Config is everything a server can be told. The zero value of a field means
// its default, so a configuration written for an older keywright goes on
// working.
type Config struct {
	// Data is the data folder. It is made, readable by its owner only, where it
	// does not exist. Empty keeps everything in memory, which only Dev allows.
	Data string
	// RootKey is the file of the root key; default root.key in Data. A root key
	// beside the data protects against a stolen disk image of the store alone:
	// keep it on another volume, or use RootKeyCredential.
	RootKey string
	// RootKeyCredential is the name of a systemd credential that holds the root
	// key. Only one of RootKey and RootKeyCredential can be set.
	RootKeyCredential string
	// PassphraseFile holds a passphrase that opens one of the store's key slots;
	// it is tried before the root key.
	PassphraseFile string

	// Account is the id of the first account, 12 digits; default a random one,
	// on a development server 000000000000. It matters on the first start only.
	Account string
	// Regions are those the server answers for; default every Region name that
	// AWS could have.
	Regions []string
	// Seed is a file of accounts, keys and aliases to create or update at start;
	// see docs/operations.md.
	Seed string

	// Listen is the address of the API, default 127.0.0.1:4599; port 0 takes any
	// free one.
	Listen string
	// OperatorListen is the address of readiness and metrics, default
	// 127.0.0.1:4600, on a development server "off"; "off" opens none. It has no
	// authentication.
	OperatorListen string
	// Hostnames are the names, besides loopback and the addresses listened on,
	// under which clients reach the API. A request for another Host is refused.
	Hostnames []string

	// TLSCert and TLSKey are PEM files; they are read again when they change.
	TLSCert, TLSKey string
	// TLSAuto makes a local authority and a certificate from it. Clients need
	// the authority's certificate, ca.pem in Data, as AWS_CA_BUNDLE.
	TLSAuto bool
	// InsecurePlainHTTP allows plain HTTP on an address that is not loopback.
	// Everyone on the way then reads the plaintexts and data keys that are sent.
	InsecurePlainHTTP bool

	// Dev makes a development server: access keys that it did not issue are
	// taken for the root user of Account, or of the account they name where they
	// are 12 digits, and the clock can be moved. Policies, states and limits are
	// enforced as always.
	Dev bool
	// DevInsecureNetwork lets a development server listen beyond loopback, as
	// inside a container. Whoever reaches it can use every key.
	DevInsecureNetwork bool

	// KeysPerRegion is the most keys of an account in a Region; default 100,000.
	KeysPerRegion int
	// OpenKeys is how many keys' opened material stays in locked memory; default
	// 50,000, which takes 2 MiB.
	OpenKeys int
	// CacheBytes bounds the memory for decoded records; default 128 MiB,
	// the records of some 40,000 keys.
	CacheBytes int
	// DeletionGrace is how long the material of a deleted key is kept before it
	// is erased; default 24 hours.
	DeletionGrace time.Duration
	// ShutdownTimeout is how long requests under way may take after SIGTERM;
	// default 15 seconds.
	ShutdownTimeout time.Duration

	Audit AuditConfig

	// ShowRecoveryKey, where set, is told the recovery key of a store that was
	// just made: once, and at once, because a start that fails after that has made
	// the store all the same.
	ShowRecoveryKey func(key string)

	// Denied, where set, is told of every call that was not authorized. It is
	// called by the goroutines of requests and must be quick.
	Denied func(Denial)

	// Clock is the service's clock; nil for one of its own. For kmstest.
	Clock *clock.Clock

	unlockWith []seal.Provider
	// anewAudit begins a new audit log, whatever the store knows of another:
	// the store was just made from a backup, or its log was lost.
	anewAudit bool
	// recoveryKey, where set, is what the key of the log that begins is closed with.
	recoveryKey string
}

// Denial is a call that was not authorized.
type Denial struct {
	Service   string // "kms"
	Operation string // "Encrypt"
	Reason    string // as the caller was told it
}

// AuditConfig is how the audit log is kept.
type AuditConfig struct {
	// SegmentBytes is when a segment is closed; default 64 MiB.
	SegmentBytes int64
	// RetainDays is how long records are kept at least; default 90.
	RetainDays int
	// RetainBytes bounds the size of all segments; default no bound.
	RetainBytes int64
	// ReserveBytes is the disk space held back for the records of changes;
	// default 16 MiB, negative for none.
	ReserveBytes int64
}

// isRegion tells whether AWS could have a Region of that name:
// ([a-z]+-){2,3}[0-9]{1,2}, in at most 32 bytes.
func isRegion(name string) bool {
	words := 0
	word := 0 // letters of the current one
	for i := range len(name) {
		switch c := name[i]; {
		case 'a' <= c && c <= 'z':
			word++
		case c == '-' && word > 0:
			words, word = words+1, 0
		default:
			number := name[i:]
			return word == 0 && (words == 2 || words == 3) && len(number) <= 2 && len(name) <= 32 &&
				strings.Trim(number, "0123456789") == ""
		}
	}
	return false
}

// prepare fills in defaults and refuses what cannot be meant.
func (cfg *Config) prepare() error {
	if cfg.Listen == "" {
		cfg.Listen = DefaultListen
	}
	if cfg.OperatorListen == "" {
		cfg.OperatorListen = DefaultOperatorListen
		if cfg.Dev {
			cfg.OperatorListen = listenOff
		}
	}
	if cfg.DeletionGrace == 0 {
		cfg.DeletionGrace = 24 * time.Hour
	}
	if cfg.ShutdownTimeout == 0 {
		cfg.ShutdownTimeout = 15 * time.Second
	}
	if cfg.Audit.RetainDays == 0 {
		cfg.Audit.RetainDays = 90
	}
	switch {
	case cfg.Data == "" && !cfg.Dev:
		return errors.New("no data folder: give --data, or --dev for a server in memory")
	case cfg.Account != "" && !arn.IsAccount(cfg.Account):
		return fmt.Errorf("account %q is not 12 digits", cfg.Account)
	case cfg.RootKey != "" && cfg.RootKeyCredential != "":
		return errors.New("give either a root key file or a systemd credential, not both")
	case (cfg.TLSCert == "") != (cfg.TLSKey == ""):
		return errors.New("--tls-cert and --tls-key go together")
	case cfg.TLSAuto && cfg.TLSCert != "":
		return errors.New("give either --tls-auto or --tls-cert, not both")
	case cfg.DevInsecureNetwork && !cfg.Dev:
		return errors.New("--dev-insecure-network goes with --dev only")
	case cfg.KeysPerRegion < 0 || cfg.OpenKeys < 0 || cfg.CacheBytes < 0 || cfg.DeletionGrace < 0 || cfg.Audit.RetainDays < 0:
		return errors.New("limits and times cannot be negative")
	}
	if cfg.Data != "" {
		if err := checkSocketPath(filepath.Join(cfg.Data, socketName)); err != nil {
			return err
		}
	}
	for _, r := range cfg.Regions {
		if !isRegion(r) {
			return fmt.Errorf("%q is not the name of a Region, as us-east-1 is", r)
		}
	}
	return cfg.checkListen()
}

// checkListen holds the rule that nothing leaves the machine in the clear unless
// someone said so.
func (cfg *Config) checkListen() error {
	host, _, err := net.SplitHostPort(cfg.Listen)
	if err != nil {
		return fmt.Errorf("listen address %q: %w", cfg.Listen, err)
	}
	if isLoopback(host) {
		return nil
	}
	if cfg.Dev && !cfg.DevInsecureNetwork {
		return fmt.Errorf("a development server takes anyone's word: it listens on %s only with --dev-insecure-network", cfg.Listen)
	}
	if !cfg.Dev && !cfg.usesTLS() && !cfg.InsecurePlainHTTP {
		return fmt.Errorf("plain HTTP on %s would show keys to the network: give --tls-cert and --tls-key, or --tls-auto (or --insecure-plain-http, if something in front speaks TLS)", cfg.Listen)
	}
	return nil
}

func (cfg *Config) usesTLS() bool { return cfg.TLSAuto || cfg.TLSCert != "" }

func (cfg *Config) cacheBytes() int {
	if cfg.CacheBytes == 0 {
		return 128 << 20
	}
	return cfg.CacheBytes
}

// hosts tells whether the server answers for a Region.
func (cfg *Config) hosts(region string) bool {
	if len(cfg.Regions) == 0 {
		return isRegion(region)
	}
	return slices.Contains(cfg.Regions, region)
}

func isLoopback(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

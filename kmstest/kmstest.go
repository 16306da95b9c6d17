// Package kmstest runs a Keywright inside a Go test: a key management service
// that speaks the AWS KMS API, with real cryptography, signatures that are
// verified, key policies that are enforced, and a clock that the test can move.
//
//	func TestEnvelope(t *testing.T) {
//		srv := kmstest.NewServer(t)
//		client := kms.New(kms.Options{
//			BaseEndpoint: &srv.Endpoint,
//			Region:       srv.Region,
//			Credentials:  credentials.NewStaticCredentialsProvider(srv.AccessKeyID, srv.SecretAccessKey, ""),
//		})
//		// ... use client as if it were AWS's ...
//		srv.Advance(8 * 24 * time.Hour) // a deletion's waiting period is over
//	}
//
// Where the code under test makes its own client from the environment, SetEnv
// points it at the server, and Env does so for a child process. In TestMain,
// where there is no testing.TB, Start makes a server for all tests of a package.
//
// A server listens on a loopback port of its own, keeps everything in memory and
// starts in milliseconds, so that every test can have one and tests can run in
// parallel. Nothing of it is left when the test ends. It hosts any Region, and
// the accounts that AddAccount makes besides its first.
//
// It is not for production data: run `keywright server` for that.
package kmstest

import (
	"context"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/keywright/keywright/internal/clock"
	"github.com/keywright/keywright/internal/iam"
	"github.com/keywright/keywright/internal/server"
)

// Config is what a server can be told. The zero value is ready for use.
type Config struct {
	// Account is the id of the server's account, 12 digits; default
	// 111122223333, the one in AWS's examples.
	Account string
	// Region is the one that Server.Region and the environment name; default
	// us-east-1. Requests for any other are answered too.
	Region string
	// Seed is a JSON file of accounts, keys and aliases that the server begins
	// with; docs/operations.md describes it. A key whose material it has opens
	// the ciphertexts of every other such key, so that they can be test data.
	// A key that names no Region is in us-east-1.
	Seed string
	// Log gets what an operator would read, such as why a ciphertext was
	// refused. By default NewServer writes it to the test's log, and Start
	// nowhere.
	Log *slog.Logger
}

// Credentials are an access key of the root user of an account. The server
// issued the key, and verifies every signature made with it.
type Credentials struct {
	Account         string // 12 digits
	AccessKeyID     string
	SecretAccessKey string
}

// Server is a Keywright in this process. Its methods may be called concurrently.
type Server struct {
	// Endpoint is the URL to give to clients: "http://127.0.0.1:40123".
	Endpoint string
	// Region is the one of the Config.
	Region string
	// Credentials are those of the server's account.
	Credentials

	server *server.Server
	clock  *clock.Clock
}

// NewServer starts a server that is stopped when the test, with all its
// subtests, has ended. Where it cannot start, the test fails.
func NewServer(t testing.TB) *Server {
	t.Helper()
	return NewServerConfig(t, Config{})
}

// NewServerConfig is NewServer with a configuration.
func NewServerConfig(t testing.TB, cfg Config) *Server {
	t.Helper()
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.NewTextHandler(t.Output(), nil))
	}
	s, err := Start(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// Start starts a server that the caller closes. It is for TestMain; a test has
// NewServer.
func Start(cfg Config) (*Server, error) {
	if cfg.Account == "" {
		cfg.Account = "111122223333"
	}
	if cfg.Region == "" {
		cfg.Region = "us-east-1"
	}
	c := new(clock.Clock)
	s, err := server.Start(context.Background(), server.Config{
		Dev:            true,
		Account:        cfg.Account,
		Seed:           cfg.Seed,
		Listen:         "127.0.0.1:0",
		OperatorListen: "off",
		// A client that keeps a connection busy does not hold up the end of a test.
		ShutdownTimeout: time.Second,
		Clock:           c,
	}, cfg.Log)
	if err != nil {
		return nil, fmt.Errorf("kmstest: starting the server: %w", err)
	}
	return &Server{
		Endpoint:    s.Endpoint(),
		Region:      cfg.Region,
		Credentials: exported(s.First().Credentials),
		server:      s,
		clock:       c,
	}, nil
}

// Close stops the server, and all that it held is gone.
func (s *Server) Close() error {
	if err := s.server.Close(context.Background()); err != nil {
		return fmt.Errorf("kmstest: stopping the server: %w", err)
	}
	return nil
}

// AddAccount makes a further account on the server, with an access key of its
// root user. The id has 12 digits; where the account exists already, the test
// fails.
func (s *Server) AddAccount(t testing.TB, id string) Credentials {
	t.Helper()
	creds, err := s.server.CreateAccount(t.Context(), id)
	if err != nil {
		t.Fatalf("kmstest: making account %s: %v", id, err)
	}
	return exported(creds)
}

func exported(c iam.Credentials) Credentials {
	return Credentials{Account: c.Account, AccessKeyID: c.AccessKeyID, SecretAccessKey: c.SecretAccessKey}
}

// Now is the server's time, which its dates (creation, deletion, rotation, audit
// records) follow. Signatures are checked against the machine's time, so that
// clients need not know of it.
func (s *Server) Now() time.Time { return s.clock.Now() }

// advanceTimeout bounds how long Advance waits for the server's work.
const advanceTimeout = 10 * time.Second

// Advance moves the server's clock ahead by d, and returns when what falls due
// by it is done: a key whose waiting period is over is gone. It panics where d
// is negative, since time does not run backwards, and where the work does not
// get done.
func (s *Server) Advance(d time.Duration) {
	ctx, cancel := context.WithTimeout(context.Background(), advanceTimeout)
	defer cancel()
	if err := s.server.Advance(ctx, d); err != nil {
		panic("kmstest: moving the clock: " + err.Error())
	}
}

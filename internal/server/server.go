// Package server puts a keywright together from its parts and a Config, runs its
// listeners and workers, and takes it down again in order.
//
// It holds no logic of the API: what a request means is decided below it.
package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/keywright/keywright/internal/awsjson"
	"github.com/keywright/keywright/internal/call"
	"github.com/keywright/keywright/internal/httpd"
	"github.com/keywright/keywright/internal/kms"
	"github.com/keywright/keywright/internal/kmsapi"
)

// Server is a keywright that serves.
type Server struct {
	core       *core
	log        *slog.Logger
	open       []listening  // in the order in which they are closed
	listener   net.Listener // the API's
	commands   commands
	socketPath string // "" where there is no operator's socket
	scheme     string

	stopWorkers context.CancelFunc
	workers     sync.WaitGroup
	served      chan error // the first failure of a listener
}

// Start opens everything and begins to serve. The context bounds the start
// alone; Close ends the server.
func Start(ctx context.Context, cfg Config, log *slog.Logger) (_ *Server, err error) {
	if err := cfg.prepare(); err != nil {
		return nil, &ConfigError{err}
	}
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	if !cfg.Dev { // whose process may be somebody's test, under a debugger
		hardenProcess(log)
	}
	c, err := openCore(ctx, cfg, log)
	if err != nil {
		return nil, err
	}
	s := &Server{core: c, log: log, served: make(chan error, 3)}
	defer func() {
		if err != nil {
			s.Close(context.WithoutCancel(ctx))
		}
	}()
	c.metrics.observeCore(c)
	s.startWorkers(context.WithoutCancel(ctx))
	if cfg.Seed != "" {
		if err := c.seed(ctx, cfg.Seed); err != nil {
			return nil, err
		}
	}
	failures := new(awsjson.Failures)
	if err := s.listenAPI(ctx, failures); err != nil {
		return nil, err
	}
	if err := s.listenOperator(failures); err != nil {
		return nil, err
	}
	c.endpoint = s.Endpoint()
	return s, s.listenSocket()
}

// startWorkers runs what works beside the requests until Close.
func (s *Server) startWorkers(ctx context.Context) {
	ctx, s.stopWorkers = context.WithCancel(ctx)
	c := s.core
	worker := kms.Worker{Service: c.kms, Grace: c.cfg.DeletionGrace, Guard: c.guard.check}
	s.workers.Go(func() { c.outbox.Run(ctx) })
	s.workers.Go(func() { worker.Run(ctx) })
	s.workers.Go(func() { c.guard.run(ctx) })
}

func (s *Server) listenAPI(ctx context.Context, failures *awsjson.Failures) error {
	cfg := &s.core.cfg
	host, _, _ := net.SplitHostPort(cfg.Listen)
	tlsConfig, err := s.core.tlsConfig(ctx, host)
	if err != nil {
		return err
	}
	handler := refuseBrowsers(append(cfg.Hostnames, host), withHealth(s.core.apiHandler(failures)))
	api := newHTTPServer(handler, s.log)
	s.scheme = "http"
	if tlsConfig != nil {
		api.TLSConfig, s.scheme = tlsConfig, "https"
	}
	s.listener, err = net.Listen("tcp", cfg.Listen)
	if err != nil {
		return &ListenError{Flag: "--listen", Address: cfg.Listen, Err: err}
	}
	s.serve("API", httpd.New(api), s.listener)
	return nil
}

// withHealth answers the one reserved path of the API port.
func withHealth(api http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/healthz" && (r.Method == http.MethodGet || r.Method == http.MethodHead) {
			healthz(w, r)
			return
		}
		api.ServeHTTP(w, r)
	})
}

// apiHandler is the AWS JSON protocol with the services behind it.
func (c *core) apiHandler(failures *awsjson.Failures) http.Handler {
	dev := ""
	services := []awsjson.Service{{
		Name:         "kms",
		TargetPrefix: kmsapi.TargetPrefix,
		Operation: func(name string) (int, int64, bool) {
			op, ok := kmsapi.OperationByName(name)
			return int(op), kms.BodyLimit(op), ok
		},
		Call: func(ctx context.Context, rec *call.Record, op int, body, dst []byte) ([]byte, error) {
			return c.kms.Call(ctx, rec, kmsapi.OpID(op), body, dst)
		},
	}}
	if c.cfg.Dev {
		if dev = c.cfg.Account; dev == "" {
			dev = devAccount
		}
		services = append(services, c.devService())
	}
	return awsjson.New(awsjson.Config{
		Services: services,
		Authenticate: &awsjson.Authenticator{
			DB: c.db, IAM: c.iam, Log: c.log, Regions: c.cfg.hosts, DevAccount: dev, Failures: failures,
		},
		Clock:   c.clock,
		Log:     c.log,
		Observe: c.metrics.request,
	})
}

func (s *Server) listenOperator(failures *awsjson.Failures) error {
	addr := s.core.cfg.OperatorListen
	if addr == listenOff {
		return nil
	}
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return &ListenError{Flag: "--operator-listen", Address: addr, Err: err}
	}
	s.serve("operator", newHTTPServer(refuseBrowsers(nil, operatorHandler(s.core, failures)), s.log), l)
	return nil
}

// ListenError is a listener that could not be opened.
type ListenError struct {
	Flag    string // of the address: "--listen" or "--operator-listen"
	Address string
	Err     error
}

func (e *ListenError) Error() string {
	return fmt.Sprintf("opening the listener of %s: %v", e.Flag, e.Err)
}
func (e *ListenError) Unwrap() error { return e.Err }

// listening is what serves a listener: an http.Server or one like it.
type listening interface {
	Serve(net.Listener) error
	Shutdown(context.Context) error
	Close() error
}

func (s *Server) serve(what string, h listening, l net.Listener) {
	s.open = append(s.open, h)
	go func() {
		if err := h.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			s.served <- fmt.Errorf("%s listener: %w", what, err)
		}
	}()
}

// newHTTPServer has limits on everything a client can make last or grow.
func newHTTPServer(h http.Handler, log *slog.Logger) *http.Server {
	return &http.Server{
		Handler:           h,
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       30 * time.Second,
		WriteTimeout:      60 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    32 << 10,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug),
		// net/http would answer "OPTIONS *" itself, past our handlers.
		DisableGeneralOptionsHandler: true,
	}
}

// Endpoint is the URL of the API.
func (s *Server) Endpoint() string {
	host, port, _ := net.SplitHostPort(s.listener.Addr().String())
	if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return s.scheme + "://" + net.JoinHostPort(host, port)
}

// First tells what the first start in an empty data folder made; nil on any
// other start.
func (s *Server) First() *FirstStart { return s.core.first }

// Seeded tells what the seed file did at this start, a line for each thing.
func (s *Server) Seeded() []string { return s.core.seeded }

// Account is the id of the server's first account.
func (s *Server) Account(ctx context.Context) (string, error) { return s.core.defaultAccount(ctx) }

// CABundle is the file that clients need as AWS_CA_BUNDLE; "" without TLSAuto.
func (s *Server) CABundle() string {
	if !s.core.cfg.TLSAuto {
		return ""
	}
	dir := s.core.cfg.Data
	if dir == "" {
		dir = s.core.tempDir
	}
	return filepath.Join(dir, caName)
}

// CredentialsFile is where the first account's access key was written; "" for a
// server in memory.
func (s *Server) CredentialsFile() string {
	if s.core.cfg.Data == "" {
		return ""
	}
	return filepath.Join(s.core.cfg.Data, credentialsName)
}

// ShutdownTimeout is how long Close waits for requests under way.
func (s *Server) ShutdownTimeout() time.Duration { return s.core.cfg.ShutdownTimeout }

// Failed returns the channel on which the failure of a listener is reported.
func (s *Server) Failed() <-chan error { return s.served }

// Close ends the server: no new requests, then an end to those under way, at
// most for ShutdownTimeout, then the workers, then the store.
func (s *Server) Close(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, s.core.cfg.ShutdownTimeout)
	defer cancel()
	var errs []error
	for _, h := range s.open {
		if err := h.Shutdown(ctx); err != nil {
			errs = append(errs, h.Close())
		}
	}
	s.commands.close()
	if s.socketPath != "" {
		os.Remove(s.socketPath) // while the store's lock is held; one that stays is replaced at the next start
	}
	if s.stopWorkers != nil {
		s.stopWorkers()
		s.workers.Wait()
	}
	return errors.Join(append(errs, s.core.close())...)
}

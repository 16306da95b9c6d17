// Package httpd serves HTTP as net/http does, and requests of the one form that
// AWS SDKs send (a POST of "/" with a length, small enough for one buffer) in
// half of the time.
//
// A connection begins here. Each of its requests that is plainly of that form is
// parsed and answered here; the first that is not is given, unread, to net/http,
// with its connection: other methods and paths, chunks, Expect, large bodies,
// doubtful bytes, HTTP/2. So this package never has to say what an odd request
// means, and refuses none: what it does not know is not its business.
//
// It knows nothing of AWS, of signatures and of what a handler does.
package httpd

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// Server serves what its http.Server would, with the same handler, timeouts and
// logger. A handler is a plain http.Handler, with these limits where the request
// was parsed here: nothing of the request but its strings may be kept when it
// has returned, and its header must stay as it is; the answer is sent as a whole
// when it has returned; it is not told, by the request's context, of a client that
// hangs up; and the response writer implements no other interface. The request's
// body has a method Rest, which returns it without a copy.
type Server struct {
	net     *http.Server
	handler http.Handler
	tls     *tls.Config // nil without TLS; net makes itself one in any case
	odd     *handoff
	base    context.Context // of every request
	cancel  context.CancelFunc

	closing  atomic.Bool
	mu       sync.Mutex // guards what follows, and that no conn is added when closing
	listener net.Listener
	conns    map[*conn]struct{}
	done     sync.WaitGroup // of conns, and of net
}

// New returns a server like s, which must not be used any more. Of its fields
// Handler, TLSConfig, ErrorLog and the timeouts count.
func New(s *http.Server) *Server {
	srv := &Server{net: s, handler: s.Handler, tls: s.TLSConfig, odd: newHandoff(), conns: make(map[*conn]struct{})}
	srv.base, srv.cancel = context.WithCancel(context.Background())
	// net/http only knows connections as TLS that it has seen the beginning of.
	s.ConnContext = func(ctx context.Context, c net.Conn) context.Context {
		if replay, ok := c.(*replayConn); ok && replay.tls != nil {
			return context.WithValue(ctx, tlsKey{}, replay.tls)
		}
		return ctx
	}
	s.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if state, ok := r.Context().Value(tlsKey{}).(*tls.ConnectionState); ok {
			r.TLS = state
		}
		srv.handler.ServeHTTP(w, r)
	})
	return srv
}

type tlsKey struct{}

// Serve answers the requests on the connections of l, which it closes, over TLS
// where the http.Server has a TLSConfig. It returns http.ErrServerClosed after
// Shutdown or Close, another error where l fails for good.
func (s *Server) Serve(l net.Listener) error {
	s.mu.Lock()
	if s.closing.Load() {
		s.mu.Unlock()
		l.Close()
		return http.ErrServerClosed
	}
	s.listener = l
	s.done.Go(func() { s.net.Serve(s.odd) })
	s.mu.Unlock()
	defer l.Close()
	for wait := time.Duration(0); ; {
		rwc, err := l.Accept()
		switch {
		case err == nil:
			wait = 0
			s.start(rwc)
		case s.closing.Load():
			return http.ErrServerClosed
		case !temporary(err):
			return err
		default:
			// Out of file descriptors, most likely: some will be free soon.
			wait = min(max(2*wait, 5*time.Millisecond), time.Second)
			s.logf("accepting a connection: %v; trying again in %v", err, wait)
			time.Sleep(wait)
		}
	}
}

func temporary(err error) bool {
	// Deprecated for being vague, and what net/http goes by for Accept.
	t, ok := errors.AsType[interface {
		error
		Temporary() bool
	}](err)
	return ok && t.Temporary()
}

func (s *Server) logf(format string, args ...any) {
	if s.net.ErrorLog != nil {
		s.net.ErrorLog.Printf("httpd: "+format, args...)
	}
}

// start serves a connection, on a goroutine of its own.
func (s *Server) start(rwc net.Conn) {
	c := newConn(s, rwc)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing.Load() {
		rwc.Close()
		return
	}
	s.conns[c] = struct{}{}
	s.done.Go(func() {
		c.serve()
		s.mu.Lock()
		delete(s.conns, c)
		s.mu.Unlock()
	})
}

// Shutdown ends the server: no new connections, an end to those that are idle,
// and to the others when what they asked was answered. It returns when all are,
// or the context's error when that ends earlier; then Close ends the rest.
func (s *Server) Shutdown(ctx context.Context) error {
	s.stopListening()
	s.net.SetKeepAlivesEnabled(false)
	for {
		// Whoever waits for a request wakes up, sees that the server is closing,
		// and ends; one that has read a part of it gives that to net/http.
		if s.each(func(c *conn) { c.raw.SetReadDeadline(time.Unix(1, 0)) }) == 0 {
			break
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(2 * time.Millisecond):
		}
	}
	err := s.net.Shutdown(ctx)
	s.odd.Close()
	if err == nil {
		s.done.Wait()
	}
	return err
}

// Close ends the server and all connections at once.
func (s *Server) Close() error {
	s.stopListening()
	s.cancel()
	s.each(func(c *conn) { c.raw.Close() })
	s.odd.Close()
	return s.net.Close()
}

func (s *Server) stopListening() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closing.Store(true)
	if s.listener != nil {
		s.listener.Close()
	}
}

// each calls f for the connections that are not being given away, and returns
// the number of all.
func (s *Server) each(f func(*conn)) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		if !c.given {
			f(c)
		}
	}
	return len(s.conns)
}

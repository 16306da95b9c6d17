package httpd

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"runtime/debug"
	"time"
)

// conn is one connection, for as long as its requests are answered here.
type conn struct {
	srv   *Server
	raw   net.Conn             // as it was accepted
	rwc   net.Conn             // raw, or TLS over it
	tls   *tls.ConnectionState // nil without TLS
	given bool                 // to net/http; guarded by srv.mu

	buf []byte // what was read and not answered
	p   *parser
	w   response

	date          dateCache
	readDeadline  time.Time // that rwc has now; zero where it has to be set
	writeDeadline time.Time
	waiting       bool // for the rest of a request
}

// startBuffer is the room that a connection begins with: net/http's own.
const startBuffer = 4 << 10

// patience is how long the rest of a request is waited for here. Then net/http
// waits on, and finds what to say to a client that does not go on.
const patience = time.Second

func newConn(s *Server, rwc net.Conn) *conn {
	return &conn{srv: s, raw: rwc, rwc: rwc, w: response{header: make(http.Header)}}
}

// serve answers requests until the connection ends or is given away.
func (c *conn) serve() {
	if c.srv.tls != nil && !c.handshake() {
		return
	}
	ctx := context.WithValue(c.srv.base, http.LocalAddrContextKey, c.rwc.LocalAddr())
	template := &http.Request{
		Method: http.MethodPost, RequestURI: "/",
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		RemoteAddr: c.rwc.RemoteAddr().String(), TLS: c.tls,
	}
	c.p = newParser(template.WithContext(ctx))
	c.buf = make([]byte, 0, startBuffer)
	idle := c.srv.net.ReadHeaderTimeout // for the first request
	for {
		size, v := c.p.parse(c.buf)
		for v == partial {
			if !c.read(idle) {
				if len(c.buf) == 0 {
					c.rwc.Close()
					return
				}
				v = odd
				break
			}
			size, v = c.p.parse(c.buf)
		}
		if v == odd {
			c.giveAway()
			return
		}
		if !c.answer() {
			clear(c.buf)
			c.rwc.Close()
			return
		}
		// The request may hold plaintext.
		n := copy(c.buf, c.buf[size:])
		clear(c.buf[n:])
		c.buf, c.waiting = c.buf[:n], false
		idle = c.srv.net.IdleTimeout
	}
}

// handshake tells whether this package is to serve the connection.
func (c *conn) handshake() bool {
	secure := tls.Server(c.rwc, c.srv.tls)
	c.rwc.SetDeadline(deadline(time.Now(), c.srv.net.ReadHeaderTimeout))
	err := secure.HandshakeContext(c.srv.base)
	c.rwc = secure
	state := secure.ConnectionState()
	if err != nil || (state.NegotiatedProtocol != "" && state.NegotiatedProtocol != "http/1.1") {
		// net/http gets the same error, and knows what to say and to log.
		c.give(secure)
		return false
	}
	c.tls = &state
	return true
}

// read reads more of a request, after waiting for its beginning for idle at
// most. It tells whether there is more.
func (c *conn) read(idle time.Duration) bool {
	if len(c.buf) == cap(c.buf) {
		grown := make([]byte, len(c.buf), min(4*cap(c.buf), maxRequest))
		copy(grown, c.buf)
		clear(c.buf)
		c.buf = grown
	}
	now := time.Now()
	switch {
	case len(c.buf) > 0:
		if !c.waiting {
			c.waiting = true
			c.rwc.SetReadDeadline(now.Add(patience))
			c.readDeadline = time.Time{}
		}
	case c.readDeadline.Sub(now) < idle/2 || c.readDeadline.Sub(now) > idle:
		// A deadline costs a timer, so one serves as long as half of it is left.
		c.readDeadline = deadline(now, idle)
		c.rwc.SetReadDeadline(c.readDeadline)
	}
	// After the deadline was set: Shutdown may just have set another.
	if len(c.buf) == 0 && c.srv.closing.Load() {
		return false
	}
	n, err := c.rwc.Read(c.buf[len(c.buf):cap(c.buf)])
	c.buf = c.buf[:len(c.buf)+n]
	return n > 0 || err == nil
}

// deadline is d after now; none where d is 0, as in net/http.
func deadline(now time.Time, d time.Duration) time.Time {
	if d <= 0 {
		return time.Time{}
	}
	return now.Add(d)
}

// giveAway gives the connection to net/http, with what was read of it.
func (c *conn) giveAway() {
	c.give(&replayConn{Conn: c.rwc, read: c.buf, tls: c.tls})
}

// give gives net/http a connection that is this one or reads from it.
func (c *conn) give(to net.Conn) {
	c.srv.mu.Lock()
	c.given = true
	c.srv.mu.Unlock()
	c.raw.SetDeadline(time.Time{})
	c.srv.odd.give(to)
}

// answer has the handler answer the request that was parsed, and tells whether
// the connection goes on.
func (c *conn) answer() bool {
	defer c.w.reset()
	if !c.handle() {
		return false
	}
	now := time.Now()
	last := c.w.wantsClose() || c.srv.closing.Load()
	if left, limit := c.writeDeadline.Sub(now), c.srv.net.WriteTimeout; left < limit/2 {
		c.writeDeadline = deadline(now, limit)
		c.rwc.SetWriteDeadline(c.writeDeadline)
	}
	_, err := c.rwc.Write(c.w.wire(c.date.at(now), last))
	return err == nil && !last
}

// keptBuffer bounds what a connection keeps of its memory for the next answer.
const keptBuffer = 16 << 10

// handle calls the handler, and tells whether there is an answer: as in
// net/http, a handler that panics leaves none.
func (c *conn) handle() (ok bool) {
	defer func() {
		if ok {
			return
		}
		if p := recover(); p != nil && p != http.ErrAbortHandler {
			c.srv.logf("panic serving %v: %v\n%s", c.rwc.RemoteAddr(), p, debug.Stack())
		}
	}()
	c.srv.handler.ServeHTTP(&c.w, c.p.request)
	return true
}

package httpd_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/keywright/keywright/internal/httpd"
)

// endpoint is a server on a real listener.
type endpoint struct {
	*httpd.Server
	addr   string
	served chan error
}

func start(t testing.TB, s *http.Server) *endpoint {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	e := &endpoint{Server: httpd.New(s), addr: l.Addr().String(), served: make(chan error, 1)}
	go func() { e.served <- e.Serve(l) }()
	t.Cleanup(func() {
		e.Close()
		if err := <-e.served; err != http.ErrServerClosed {
			t.Errorf("Serve returned %v", err)
		}
	})
	return e
}

// lockedBuffer is a log that the server writes and the test reads.
type lockedBuffer struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// conn is a client that sees the bytes.
type conn struct {
	testing.TB
	net.Conn
	r *bufio.Reader
}

func (e *endpoint) dial(t testing.TB) *conn {
	t.Helper()
	c, err := net.Dial("tcp", e.addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(20 * time.Second))
	return &conn{t, c, bufio.NewReader(c)}
}

func (c *conn) send(text string) {
	c.Helper()
	if _, err := io.WriteString(c, text); err != nil {
		c.Fatal(err)
	}
}

// answer reads one answer, with its body.
func (c *conn) answer() (*http.Response, string) {
	c.Helper()
	resp, err := http.ReadResponse(c.r, nil)
	if err != nil {
		c.Fatal(err)
	}
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		c.Fatal(err)
	}
	return resp, string(b)
}

func (c *conn) ended() bool {
	_, err := c.r.ReadByte()
	return err == io.EOF
}

const host = "kms.example.com"

func request(body string, fields ...string) string {
	return fmt.Sprintf("POST / HTTP/1.1\r\nHost: %s\r\nContent-Length: %d\r\n%s\r\n%s", host, len(body), strings.Join(append(fields, ""), "\r\n"), body)
}

// echo tells what it was asked, and by whom: this package's own requests have a
// response writer that cannot flush.
func echo(w http.ResponseWriter, r *http.Request) {
	b, err := io.ReadAll(r.Body)
	_, lane := w.(http.Flusher)
	w.Header().Set("X-Net-Http", fmt.Sprint(lane))
	w.Header().Set("X-Error", fmt.Sprint(err))
	fmt.Fprintf(w, "%s %s %s %v %s", r.Method, r.RequestURI, r.Host, r.Header["X-A"], b)
}

func TestLanes(t *testing.T) {
	e := start(t, &http.Server{Handler: http.HandlerFunc(echo)})
	for _, tt := range []struct {
		name, request string
		netHTTP       string
		want          string
	}{
		{"plain", request("hello", "x-a: 1", "X-A:  2\t"), "false", "POST / " + host + " [1 2] hello"},
		{"empty", request(""), "false", "POST / " + host + " [] "},
		{"keep-alive", request("hello", "connection: Keep-Alive"), "false", "POST / " + host + " [] hello"},
		{"large", request(strings.Repeat("x", 15<<10)), "false", "POST / " + host + " [] " + strings.Repeat("x", 15<<10)},
		{"too large", request(strings.Repeat("x", 16<<10)), "true", "POST / " + host + " [] " + strings.Repeat("x", 16<<10)},
		{"long header", request("a", "X-Long: "+strings.Repeat("x", 17<<10)), "true", "POST / " + host + " [] a"},
		{"other method", strings.Replace(request("hello"), "POST", "PUT", 1), "true", "PUT / " + host + " [] hello"},
		{"other path", strings.Replace(request("hello"), "/", "/x", 1), "true", "POST /x " + host + " [] hello"},
		{"chunks", "POST / HTTP/1.1\r\nHost: " + host + "\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", "true", "POST / " + host + " [] hello"},
		{"folded", request("hello", "X-A: 1\r\n 2"), "true", "POST / " + host + " [1 2] hello"},
		{"not ASCII", request("hello", "X-A: \xe9"), "true", "POST / " + host + " [\xe9] hello"},
		{"HTTP/1.0", strings.Replace(request("hello"), "1.1", "1.0", 1), "true", "POST / " + host + " [] hello"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := e.dial(t)
			for range 2 {
				c.send(tt.request)
				resp, body := c.answer()
				if body != tt.want || resp.Header.Get("X-Error") != "<nil>" {
					t.Errorf("got %.200q (%v), want %.200q", body, resp.Header["X-Error"], tt.want)
				}
				if got := resp.Header.Get("X-Net-Http"); got != tt.netHTTP {
					t.Errorf("answered by net/http: %s, want %s", got, tt.netHTTP)
				}
				if resp.Close {
					return // HTTP/1.0
				}
			}
		})
	}
}

// A connection goes on in the other lane without losing a byte.
func TestPipelined(t *testing.T) {
	e := start(t, &http.Server{Handler: http.HandlerFunc(echo)})
	c := e.dial(t)
	odd := strings.Replace(request("odd"), "/ HTTP", "/odd HTTP", 1)
	c.send(request("one") + request("two") + odd + request("three"))
	for _, want := range []string{"POST / ", "POST / ", "POST /odd ", "POST / "} {
		if _, body := c.answer(); !strings.HasPrefix(body, want) {
			t.Errorf("got %q, want %q", body, want)
		}
	}
}

// A request may come in any pieces.
func TestPieces(t *testing.T) {
	e := start(t, &http.Server{Handler: http.HandlerFunc(echo)})
	c := e.dial(t)
	whole := request("hello", "X-A: 1")
	for i := 1; i < len(whole); i += 7 {
		c.send(whole[:i])
		time.Sleep(time.Millisecond)
		c.send(whole[i:])
		resp, body := c.answer()
		if body != "POST / "+host+" [1] hello" || resp.Header.Get("X-Net-Http") != "false" {
			t.Fatalf("cut at %d: %q by net/http: %s", i, body, resp.Header.Get("X-Net-Http"))
		}
	}
}

// net/http takes over from a client that does not go on, and from one that ends
// within a request.
func TestUnfinished(t *testing.T) {
	e := start(t, &http.Server{Handler: http.HandlerFunc(echo), ReadTimeout: 200 * time.Millisecond})
	whole := request("hello")
	for name, closes := range map[string]bool{"waits": false, "closes": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := e.dial(t)
			c.send(whole[:len(whole)-2])
			if closes {
				c.Conn.(*net.TCPConn).CloseWrite()
			}
			if resp, body := c.answer(); resp.Header.Get("X-Error") == "<nil>" || !strings.HasSuffix(body, " hel") {
				t.Errorf("got %q, %v", body, resp.Header)
			}
		})
	}
	t.Run("slowly", func(t *testing.T) {
		t.Parallel()
		c := e.dial(t)
		began := time.Now()
		for i := 0; !time.Now().After(began.Add(10 * time.Second)); i++ {
			if _, err := c.Write([]byte{whole[i%30]}); err != nil {
				return // given up on
			}
			time.Sleep(50 * time.Millisecond)
		}
		t.Error("a client that sends a byte now and then is served for ever")
	})
}

// The answer says what net/http's would.
func TestAnswer(t *testing.T) {
	handlers := map[string]http.HandlerFunc{
		"nothing": func(http.ResponseWriter, *http.Request) {},
		"typed": func(w http.ResponseWriter, r *http.Request) {
			h := w.Header()
			h.Set("Content-Type", "application/x-amz-json-1.1")
			h["X-Two"] = []string{"a", "b\r\nX-Injected: c"}
			h.Set("Content-Length", "2")
			w.WriteHeader(400)
			w.WriteHeader(200)
			io.WriteString(w, "{}")
		},
		"sniffed": func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "<html>") },
		"error":   func(w http.ResponseWriter, r *http.Request) { http.Error(w, "no", http.StatusMisdirectedRequest) },
		"empty":   func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusNoContent) },
		"closing": func(w http.ResponseWriter, r *http.Request) { w.Header().Set("Connection", "close") },
	}
	for name, handler := range handlers {
		t.Run(name, func(t *testing.T) {
			quiet := log.New(io.Discard, "", 0)
			ours := start(t, &http.Server{Handler: handler, ErrorLog: quiet})
			theirs := httptest.NewUnstartedServer(handler)
			theirs.Config.ErrorLog = quiet
			theirs.Start()
			defer theirs.Close()
			var got [2]string
			for i, addr := range []string{ours.addr, theirs.Listener.Addr().String()} {
				c := (&endpoint{addr: addr}).dial(t)
				c.send(request("hello"))
				resp, body := c.answer()
				resp.Header.Del("Date")
				got[i] = fmt.Sprintln(resp.Status, resp.Header, resp.ContentLength, resp.Close, body)
				if resp.Close && !c.ended() {
					t.Error("the connection goes on")
				}
			}
			if got[0] != got[1] {
				t.Errorf("got  %s want %s", got[0], got[1])
			}
		})
	}
}

// A panic ends the connection without an answer, and no other.
func TestPanic(t *testing.T) {
	var out lockedBuffer
	e := start(t, &http.Server{ErrorLog: log.New(&out, "", 0), Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "a beginning")
		if r.Header["X-Quiet"] != nil {
			panic(http.ErrAbortHandler)
		}
		panic("a mistake")
	})})
	for _, fields := range [][]string{{"X-Quiet: 1"}, nil} {
		c := e.dial(t)
		c.send(request("hello", fields...))
		if !c.ended() {
			t.Error("there is an answer")
		}
		if got, want := strings.Contains(out.String(), "a mistake"), fields == nil; got != want {
			t.Errorf("logged: %v, want %v: %s", got, want, out.String())
		}
	}
}

func TestIdle(t *testing.T) {
	e := start(t, &http.Server{Handler: http.HandlerFunc(echo), ReadHeaderTimeout: time.Hour, IdleTimeout: 100 * time.Millisecond})
	c := e.dial(t)
	time.Sleep(200 * time.Millisecond) // the first request may take its time
	c.send(request("hello"))
	c.answer()
	if !c.ended() {
		t.Error("the idle connection goes on")
	}
}

// Shutdown waits for requests under way and ends what is idle.
func TestShutdown(t *testing.T) {
	entered, leave := make(chan bool, 2), make(chan bool)
	e := start(t, &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header["X-Wait"] != nil {
			entered <- true
			<-leave
		}
		echo(w, r)
	})})
	idle, idleOdd, busy, busyOdd, half := e.dial(t), e.dial(t), e.dial(t), e.dial(t), e.dial(t)
	idle.send(request("hello"))
	idle.answer()
	idleOdd.send(strings.Replace(request("hello"), "/", "/odd", 1))
	idleOdd.answer()
	busy.send(request("hello", "X-Wait: 1"))
	busyOdd.send(strings.Replace(request("hello", "X-Wait: 1"), "/", "/odd", 1))
	<-entered
	<-entered
	half.send(request("first") + request("hello")[:40])
	half.answer() // so the beginning behind it was read

	var finished atomic.Bool
	done := make(chan error, 1)
	go func() {
		err := e.Shutdown(context.Background())
		finished.Store(true)
		done <- err
	}()
	if !idle.ended() {
		t.Error("the idle connection goes on")
	}
	if conn, err := net.Dial("tcp", e.addr); err == nil {
		conn.Close()
		t.Error("there are new connections")
	}
	half.send(request("hello")[40:])
	if _, body := half.answer(); !strings.HasSuffix(body, " hello") {
		t.Errorf("the request that had begun: %q", body)
	}
	if finished.Load() {
		t.Error("Shutdown did not wait")
	}
	close(leave)
	for _, c := range []*conn{busy, busyOdd} {
		if resp, body := c.answer(); !strings.HasSuffix(body, " hello") || !resp.Close {
			t.Errorf("got %q, closing %v", body, resp.Close)
		}
	}
	if !idleOdd.ended() {
		t.Error("the idle connection of net/http goes on")
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestShutdownGivesUp(t *testing.T) {
	entered, leave := make(chan bool), make(chan bool)
	e := start(t, &http.Server{Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		entered <- true
		<-leave
	})})
	defer close(leave)
	c := e.dial(t)
	c.send(request("hello"))
	<-entered
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := e.Shutdown(ctx); err != context.DeadlineExceeded {
		t.Errorf("got %v", err)
	}
	e.Close()
	if !c.ended() {
		t.Error("Close left a connection")
	}
}

// Over TLS a handler sees the connection's state in either lane, and HTTP/2 is
// net/http's.
func TestTLS(t *testing.T) {
	cert := httptest.NewTLSServer(nil)
	cert.Close()
	e := start(t, &http.Server{
		TLSConfig: &tls.Config{Certificates: cert.TLS.Certificates, NextProtos: []string{"h2", "http/1.1"}},
		ErrorLog:  log.New(io.Discard, "", 0),
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, lane := w.(http.Flusher)
			fmt.Fprintf(w, "%s %v %v", r.Proto, r.TLS != nil && r.TLS.HandshakeComplete, lane)
		}),
	})
	for _, tt := range []struct {
		path string
		h2   bool
		want string
	}{
		{"/", false, "HTTP/1.1 true false"},
		{"/odd", false, "HTTP/1.1 true true"},
		{"/", true, "HTTP/2.0 true true"},
	} {
		client := cert.Client()
		transport := client.Transport.(*http.Transport).Clone()
		transport.ForceAttemptHTTP2 = tt.h2
		if !tt.h2 {
			transport.TLSClientConfig.NextProtos = []string{"http/1.1"}
		}
		client.Transport = transport
		for range 2 {
			resp, err := client.Post("https://"+e.addr+tt.path, "text/plain", strings.NewReader("hello"))
			if err != nil {
				t.Fatal(err)
			}
			b, _ := io.ReadAll(resp.Body)
			resp.Body.Close()
			if string(b) != tt.want {
				t.Errorf("%s, HTTP/2 %v: %s, want %s", tt.path, tt.h2, b, tt.want)
			}
		}
		transport.CloseIdleConnections()
	}
	c := e.dial(t)
	c.send(request("hello"))
	if _, body := c.answer(); !strings.Contains(body, "HTTP request to an HTTPS server") {
		t.Errorf("without TLS: %q", body)
	}
}

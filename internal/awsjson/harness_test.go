package awsjson_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/keywright/keywright/internal/audit"
	"github.com/keywright/keywright/internal/awsapi"
	"github.com/keywright/keywright/internal/awsjson"
	"github.com/keywright/keywright/internal/call"
	"github.com/keywright/keywright/internal/clock"
	"github.com/keywright/keywright/internal/hsm/softhsm"
	"github.com/keywright/keywright/internal/httpd"
	"github.com/keywright/keywright/internal/iam"
	"github.com/keywright/keywright/internal/record"
	"github.com/keywright/keywright/internal/seal"
	"github.com/keywright/keywright/internal/sigv4"
	"github.com/keywright/keywright/internal/store/boltstore"
)

const (
	region    = "eu-central-1"
	bodyLimit = 4 << 10
	jsonType  = "application/x-amz-json-1.1"
)

// The operations of the service behind the protocol in these tests.
const (
	opEcho   = iota // answers with its body
	opRefuse        // a client's fault
	opFault         // an error that is not of the API
	opPanic
)

// world is a Handler on a real listener, as the server has it, over a store in memory.
type world struct {
	t        testing.TB
	handler  http.Handler
	addr     string
	signer   sigv4.Signer
	creds    iam.Credentials
	db       *record.DB
	failures *awsjson.Failures
	log      lockedBuffer

	mu       sync.Mutex
	calls    []call.Record // that reached the service
	memories map[*byte]int // how often each memory was given to a call
	left     []byte        // what was in them
	observed []string      // service/operation/code of every answer
}

type options struct{ devAccount string }

func newWorld(t testing.TB, opts ...options) *world {
	t.Helper()
	w := &world{t: t, failures: new(awsjson.Failures), memories: make(map[*byte]int)}
	log := slog.New(slog.NewTextHandler(&w.log, nil))
	bolt, err := boltstore.OpenMemory(boltstore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { bolt.Close() })
	keyring, _, err := seal.Init(t.Context(), bolt, seal.NewMemoryRootKey())
	if err != nil {
		t.Fatal(err)
	}
	guarded := keyring.Guard(bolt)
	w.db = record.New(guarded, keyring, 1<<20)
	clk := new(clock.Clock)
	auditLog, err := audit.Open(t.Context(), audit.Config{Dir: t.TempDir(), Keys: new(memoryKeys), Clock: clk, Logger: log, ReserveBytes: -1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { auditLog.Close() })
	module, err := softhsm.New(softhsm.DomainKeys{Keys: map[uint32][]byte{1: make([]byte, softhsm.DomainKeySize)}, Active: 1}, softhsm.Options{Keys: 8})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { module.Close() })
	path := &call.Path{DB: w.db, Audit: auditLog, Outbox: audit.NewOutbox(guarded, pathSealer{keyring}, auditLog), Clock: clk, Log: log}
	service := iam.New(path, module)
	w.creds, err = service.CreateAccount(t.Context(), "111122223333", func(iam.Credentials) error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	w.signer = sigv4.NewSigner(w.creds.AccessKeyID, w.creds.SecretAccessKey, "")
	auth := &awsjson.Authenticator{
		DB: w.db, IAM: service, Log: log, Failures: w.failures,
		Regions: func(r string) bool { return r == region },
	}
	if len(opts) > 0 {
		auth.DevAccount = opts[0].devAccount
	}
	w.handler = awsjson.New(awsjson.Config{
		Services:     []awsjson.Service{{Name: "kms", TargetPrefix: "TrentService", Operation: operation, Call: w.call}},
		Authenticate: auth, Clock: clk, Log: log, Observe: w.observe,
	})
	server := httpd.New(&http.Server{
		Handler: w.handler, ReadTimeout: 300 * time.Millisecond, MaxHeaderBytes: 32 << 10,
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go server.Serve(l)
	t.Cleanup(func() { server.Close() })
	w.addr = l.Addr().String()
	return w
}

func operation(name string) (op int, limit int64, ok bool) {
	op = slices.Index([]string{"Echo", "Refuse", "Fault", "Panic"}, name)
	return op, bodyLimit, op >= 0
}

func (w *world) call(_ context.Context, rec *call.Record, op int, body, dst []byte) ([]byte, error) {
	rec.Service, rec.Operation = "kms", fmt.Sprint("op", op)
	w.mu.Lock()
	w.calls = append(w.calls, *rec)
	memory := rec.Alloc(len(body) + 1)[:len(body)+1]
	w.memories[&memory[0]]++
	w.left = append(w.left, memory...)
	w.mu.Unlock()
	switch op {
	case opEcho:
		return append(dst, memory[:copy(memory, body)]...), nil
	case opRefuse:
		return append(dst, "not to be seen"...), awsapi.Errorf("NotFoundException", "no \"such\" key")
	case opFault:
		return dst, errors.New("the inside of the server")
	default:
		panic("the inside of the server")
	}
}

func (w *world) observe(service, operation, code string, _ time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.observed = append(w.observed, service+"/"+operation+"/"+code)
}

// reached is how many calls the service got.
func (w *world) reached() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.calls)
}

// request is a request to be signed, and then perhaps spoilt.
type request struct {
	method, target, host string
	header               http.Header
	body                 string
	service, region      string
	at                   time.Time
}

// echo is a request that succeeds as it is.
func (w *world) echo() *request {
	return &request{
		method: "POST", target: "/", host: w.addr, body: `{"a":1}`, service: "kms", region: region, at: time.Now(),
		header: http.Header{"Content-Type": {jsonType}, "X-Amz-Target": {"TrentService.Echo"}},
	}
}

// sign signs the request as it stands.
func (w *world) sign(r *request) *request {
	w.t.Helper()
	path, query, _ := strings.Cut(r.target, "?")
	s := sigv4.Request{Method: r.method, Path: path, RawQuery: query, Host: r.host, Header: r.header}
	if err := w.signer.Sign(&s, r.region, r.service, r.at, sha256.Sum256([]byte(r.body))); err != nil {
		w.t.Fatal(err)
	}
	return r
}

// bytes is the request as it goes over the wire.
func (r *request) bytes() []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\nHost: %s\r\n", r.method, r.target, r.host)
	r.header.Write(&b)
	if _, chunked := r.header["Transfer-Encoding"]; !chunked {
		fmt.Fprintf(&b, "Content-Length: %d\r\n", len(r.body))
	}
	b.WriteString("\r\n" + r.body)
	return b.Bytes()
}

// response is an answer with its body read.
type response struct {
	*http.Response
	body string
}

// code is the error code of the answer, "" for none.
func (r response) code() string {
	var e struct {
		Type string `json:"__type"`
	}
	json.Unmarshal([]byte(r.body), &e) // an answer of net/http itself is no JSON
	return e.Type
}

func (r response) message() string {
	var e struct{ Message string }
	json.Unmarshal([]byte(r.body), &e)
	return e.Message
}

func (w *world) dial() net.Conn {
	w.t.Helper()
	conn, err := net.Dial("tcp", w.addr)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(10 * time.Second))
	return conn
}

// raw sends bytes on a connection of their own and reads the answers to it
// until the server closes, or has answered as often as wanted.
func (w *world) raw(message []byte, answers int) []response {
	w.t.Helper()
	conn := w.dial()
	go conn.Write(message) // the server may answer, and close, before it has all
	return w.read(conn, answers)
}

func (w *world) read(conn net.Conn, answers int) []response {
	w.t.Helper()
	var all []response
	for br := bufio.NewReader(conn); len(all) < answers; {
		resp, err := http.ReadResponse(br, nil)
		if err != nil {
			break
		}
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			w.t.Fatalf("reading an answer: %v", err)
		}
		all = append(all, response{resp, string(body)})
	}
	return all
}

// send sends the request and returns the one answer to it.
func (w *world) send(r *request) response {
	w.t.Helper()
	all := w.raw(r.bytes(), 1)
	if len(all) != 1 {
		w.t.Fatalf("no answer to %q", r.bytes())
	}
	return all[0]
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

type memoryKeys struct {
	state audit.State
	saved bool
}

func (m *memoryKeys) Load(context.Context) (audit.State, bool, error) { return m.state, m.saved, nil }
func (m *memoryKeys) Save(_ context.Context, s audit.State) error {
	m.state, m.saved = s, true
	return nil
}

type pathSealer struct{ *seal.Keyring }

func (p pathSealer) Seal(path, plaintext []byte) []byte {
	return p.Keyring.Seal(string(path), plaintext)
}
func (p pathSealer) Open(path, sealed []byte) ([]byte, error) {
	return p.Keyring.Open(string(path), sealed)
}

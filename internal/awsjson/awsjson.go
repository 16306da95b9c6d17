// Package awsjson is the listener's side of the AWS JSON 1.1 protocol: it takes
// an HTTP request apart, finds out who signed it, hands its body to the service
// that it is for, and turns the answer or the error into a response.
//
// It decides nothing about what a caller may do, and knows no operation of any
// service. What a request says is not believed before its signature is verified.
package awsjson

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/keywright/keywright/internal/awsapi"
	"github.com/keywright/keywright/internal/call"
	"github.com/keywright/keywright/internal/clock"
	"github.com/keywright/keywright/internal/sigv4"
)

// Service is one service behind the protocol.
type Service struct {
	// Name is the service in the credential scope: "kms".
	Name string
	// TargetPrefix is what stands before the dot in X-Amz-Target.
	TargetPrefix string
	// Operation finds an operation by its name, and returns the most bytes its
	// request body may have.
	Operation func(name string) (op int, limit int64, ok bool)
	// Call carries an operation out and appends the body of the response to dst.
	Call func(ctx context.Context, rec *call.Record, op int, body, dst []byte) ([]byte, error)
}

// Config is what a Handler is made of.
type Config struct {
	Services     []Service
	Authenticate *Authenticator
	Clock        *clock.Clock
	Log          *slog.Logger
	// Observe is told of every answered request, for metrics. operation is ""
	// where none was found, code is "" on success.
	Observe func(service, operation, code string, took time.Duration)
}

// Handler answers requests. It is an http.Handler.
type Handler struct {
	cfg    Config
	faults call.Faults
}

// New returns a Handler.
func New(cfg Config) *Handler {
	// The log gets the first failures and then one a second; each line has the
	// count, and Failures the details of the newest.
	cfg.Authenticate.logged = rate.Sometimes{First: 10, Interval: time.Second}
	return &Handler{cfg: cfg}
}

const contentType = "application/x-amz-json-1.1"

// unknownOperationLimit bounds the body of a request for an operation that does
// not exist: it is read all the same, because the signature covers it.
const unknownOperationLimit = 64 << 10

// ServeHTTP implements http.Handler.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	start := time.Now()
	buf := buffers.Get().(*buffer)
	defer buf.release()
	rec := &buf.record
	*rec = call.Record{RequestID: call.NewRequestID(), Time: h.cfg.Clock.Now(), Client: clientOf(r), Memory: buf.memory}
	defer h.abortOnPanic(rec)

	err := h.serve(r, rec, buf)
	code := ""
	status := http.StatusOK
	if err != nil {
		e, ok := errors.AsType[*awsapi.Error](err)
		if !ok {
			// A client that hangs up is no fault of ours, and anybody can do it:
			// it must not fill the log.
			if r.Context().Err() == nil {
				h.faults.Log(h.cfg.Log, rec, "internal failure", err)
			}
			e = awsapi.Errorf(awsapi.CodeInternalFailure, "The request processing has failed because of an unknown error, exception or failure.")
		}
		code, status = e.Code, e.Status()
		buf.response = e.AppendJSON(buf.response[:0])
	}
	writeResponse(w, rec.RequestID, status, buf.response)
	h.cfg.Observe(rec.Service, rec.Operation, code, time.Since(start))
}

// abortOnPanic shows a panic to the operator and ends the connection without an
// answer: nobody knows whether there is a record of the call. net/http would
// show it too, but in the log that the noise of broken connections goes to.
func (h *Handler) abortOnPanic(rec *call.Record) {
	p := recover()
	if p == nil {
		return
	}
	h.cfg.Log.Error("a call panicked: please report this bug", "request_id", rec.RequestID, "operation", rec.Operation, "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
	panic(http.ErrAbortHandler)
}

// serve leaves the body of a successful answer in buf.response.
func (h *Handler) serve(r *http.Request, rec *call.Record, buf *buffer) error {
	if r.Method != http.MethodPost || r.URL.Path != "/" {
		return awsapi.Errorf(awsapi.CodeUnknownOperation, "")
	}
	claim, err := h.cfg.Authenticate.claim(r)
	if err != nil {
		return err
	}
	service := h.service(claim.signed.Service)
	if service == nil {
		return h.cfg.Authenticate.refuse(r, claim.signed.AccessKeyID, sigv4.ServiceError("kms"))
	}
	op, limit, known := -1, int64(unknownOperationLimit), false
	if prefix, name, ok := strings.Cut(r.Header.Get("X-Amz-Target"), "."); ok && prefix == service.TargetPrefix {
		if op, limit, known = service.Operation(name); !known {
			limit = unknownOperationLimit
		}
	}
	body, err := buf.readBody(r, limit)
	if err != nil {
		return err
	}
	if rec.Caller, err = h.cfg.Authenticate.verify(r, &claim, sha256.Sum256(body)); err != nil {
		return err
	}
	rec.Region = claim.signed.Region
	if !known || !isJSON(r.Header.Get("Content-Type")) {
		return awsapi.Errorf(awsapi.CodeUnknownOperation, "")
	}
	buf.response, err = service.Call(r.Context(), rec, op, body, buf.response[:0])
	return err
}

func (h *Handler) service(name string) *Service {
	for i := range h.cfg.Services {
		if h.cfg.Services[i].Name == name {
			return &h.cfg.Services[i]
		}
	}
	return nil
}

// isJSON accepts the protocol's content type with or without parameters.
func isJSON(header string) bool {
	media, _, _ := strings.Cut(header, ";")
	return strings.EqualFold(strings.TrimSpace(media), contentType)
}

// readBody reads a body of at most limit bytes. It may be changed, until the
// request was answered.
func (b *buffer) readBody(r *http.Request, limit int64) (body []byte, err error) {
	if r.ContentLength > limit {
		return nil, tooLarge(limit)
	}
	// A body of internal/httpd is in memory, and is wiped there.
	if whole, ok := r.Body.(interface{ Rest() []byte }); ok {
		return whole.Rest(), nil
	}
	b.request, err = appendBody(b.request[:0], r, limit)
	return b.request, err
}

func appendBody(dst []byte, r *http.Request, limit int64) ([]byte, error) {
	if n := int(r.ContentLength); n > cap(dst) {
		dst = make([]byte, 0, n)
	}
	for {
		if len(dst) == cap(dst) {
			if int64(len(dst)) > limit {
				return dst, tooLarge(limit)
			}
			dst = append(dst, 0)[:len(dst)]
		}
		n, err := r.Body.Read(dst[len(dst):cap(dst)])
		dst = dst[:len(dst)+n]
		switch {
		case int64(len(dst)) > limit:
			return dst, tooLarge(limit)
		case err == io.EOF:
			return dst, nil
		case err != nil:
			// The client broke off, sent nonsense, or was too slow.
			return dst, awsapi.Errorf(awsapi.CodeSerialization, "The request body could not be read.")
		case int64(len(dst)) == r.ContentLength:
			return dst, nil
		}
	}
}

func tooLarge(limit int64) error {
	return awsapi.Errorf(awsapi.CodeRequestEntityTooLarge, "The request body is larger than %d bytes.", limit)
}

// The values of headers that are the same in every response. Nothing changes
// them: net/http copies what it is given.
var (
	cacheControl = []string{"no-cache, no-store, must-revalidate, private"}
	expires      = []string{"0"}
	pragma       = []string{"no-cache"}
	jsonContent  = []string{contentType}
)

func writeResponse(w http.ResponseWriter, requestID string, status int, body []byte) {
	header := w.Header()
	own := [...]string{requestID, strconv.Itoa(len(body))}
	// Assigned, not Set: the names are in canonical form already.
	header["X-Amzn-Requestid"] = own[0:1:1]
	header["Content-Length"] = own[1:2:2]
	header["Cache-Control"] = cacheControl
	header["Expires"] = expires
	header["Pragma"] = pragma
	header["Content-Type"] = jsonContent
	w.WriteHeader(status)
	w.Write(body) // an error means that the client has gone
}

// clientOf is where a request came from.
func clientOf(r *http.Request) call.Client {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		host = r.RemoteAddr
	}
	c := call.Client{SourceIP: host, UserAgent: r.UserAgent(), Host: r.Host}
	if r.TLS != nil {
		// tls says "TLS 1.3", CloudTrail "TLSv1.3".
		c.TLSVersion = "TLSv" + strings.TrimPrefix(tls.VersionName(r.TLS.Version), "TLS ")
		c.CipherSuite = tls.CipherSuiteName(r.TLS.CipherSuite)
	}
	return c
}

// buffer holds what one request needs. The bodies may hold plaintext, and so may
// the memory for calls, so they are wiped before another request gets them.
type buffer struct {
	request, response, memory []byte
	record                    call.Record
}

const (
	// keptBuffer bounds what a pooled buffer keeps between requests.
	keptBuffer = 16 << 10
	// callMemory is enough for ReEncrypt of 4096 bytes: a plaintext, a ciphertext
	// and its additional data.
	callMemory = 10 << 10
)

var buffers = sync.Pool{New: func() any {
	return &buffer{
		request: make([]byte, 0, keptBuffer/2), response: make([]byte, 0, keptBuffer/2),
		memory: make([]byte, 0, callMemory),
	}
}}

func (b *buffer) release() {
	clear(b.request)
	clear(b.response)
	clear(b.record.Memory)
	if cap(b.request) > keptBuffer || cap(b.response) > keptBuffer {
		return
	}
	b.request, b.response, b.record = b.request[:0], b.response[:0], call.Record{}
	buffers.Put(b)
}

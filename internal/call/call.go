// Package call is the one path around every operation of every service, however
// it came in (AWS JSON, the operator's socket, a worker of our own): it opens
// one snapshot, lets the operation decide and act on it, and sees to it that
// what happened is recorded. A change and its audit record are one batch in the
// store; every other call is in the audit log before its answer leaves. Where
// the record cannot be written there is no answer but an error.
//
// It knows nothing of keys or of any wire protocol.
package call

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/keywright/keywright/internal/audit"
	"github.com/keywright/keywright/internal/authz"
	"github.com/keywright/keywright/internal/awsapi"
	"github.com/keywright/keywright/internal/clock"
	"github.com/keywright/keywright/internal/record"
	"github.com/keywright/keywright/internal/store"
)

// Caller is who makes a call, as authentication found it.
type Caller struct {
	authz.Principal
	Type        CallerType
	PrincipalID string // the account id for the root, else the unique id
	AccessKeyID string
	// StillValid checks that the credentials that authenticated the caller are
	// good in the very snapshot the call is decided on: they were looked up in
	// an earlier one. Nil where there are none to check.
	StillValid func(*record.View) error
}

// CallerType is CloudTrail's userIdentity.type.
type CallerType string

const (
	// TypeRoot is the root user of an account.
	TypeRoot CallerType = "Root"
	// TypeInternal is Keywright itself: workers and operator commands. Such a
	// call is recorded as a service event with invokedBy instead of a principal.
	TypeInternal CallerType = "Internal"
)

// Root returns the root user of an account.
func Root(partition, account, accessKeyID string) Caller {
	return Caller{
		Principal:   authz.Principal{Account: account, ARN: "arn:" + partition + ":iam::" + account + ":root", Root: true},
		Type:        TypeRoot,
		PrincipalID: account,
		AccessKeyID: accessKeyID,
	}
}

// Client is where a call came from, as the listener saw it.
type Client struct {
	SourceIP    string
	UserAgent   string
	Host        string
	TLSVersion  string // "TLSv1.3"; empty over plain HTTP
	CipherSuite string
}

// AuditAppender appends a JSON value for the audit log: what of a request or a
// response may be shown, never a secret.
type AuditAppender interface{ AppendAudit(dst []byte) []byte }

// Resource is something a call acted on, for the audit record.
type Resource struct {
	ARN     string
	Account string
}

// Record is what is known of one call. It is filled on the call's way and
// feeds audit and metrics.
type Record struct {
	RequestID string // also the x-amzn-RequestId header
	Service   string // "kms"
	Source    string // CloudTrail's eventSource: "kms.amazonaws.com"
	Operation string
	Region    string
	ReadOnly  bool
	FaultCode string // the error code of a fault of ours: "KMSInternalException"
	Caller    Caller
	Client    Client
	Time      time.Time

	Parameters AuditAppender // nil where the request could not be decoded
	Resources  []Resource
	Additional []byte // additionalEventData, a JSON object; nil for none

	// Memory is what Alloc gives out: its length is what was given. Whoever made
	// the Record wipes it once the answer was written. Nil is none.
	Memory []byte
}

// Alloc returns an empty slice with room for n bytes, for a plaintext or a
// ciphertext of the answer. It is good until the answer was written.
func (r *Record) Alloc(n int) []byte {
	start := len(r.Memory)
	if cap(r.Memory)-start < n {
		return make([]byte, 0, n)
	}
	r.Memory = r.Memory[:start+n]
	return r.Memory[start:start:len(r.Memory)]
}

// Path holds what every call passes. Its fields do not change once calls run.
type Path struct {
	DB     *record.DB
	Audit  *audit.Log
	Outbox *audit.Outbox
	Clock  *clock.Clock
	Log    *slog.Logger
	// Observe, where set, is told of every call with its outcome, before the
	// answer leaves. It must be quick, and must not keep the Record.
	Observe func(rec *Record, err error)

	faults Faults
}

// Call is one call under way, at one snapshot.
type Call struct {
	*Record
	Context context.Context
	View    *record.View

	path      *Path
	committed bool
	touched   [2]Resource // room for Record.Resources: few calls touch more
}

// maxAttempts bounds how often a call is run again because a record it read
// was changed by another before it could write. Each attempt that fails means
// that another call has succeeded.
const maxAttempts = 64

// Run runs do under one snapshot, again where its change met a conflict, and
// records the outcome. The error is always an *awsapi.Error: any other kind is
// logged with the request id and answered as the service's internal failure.
func (p *Path) Run(ctx context.Context, rec *Record, do func(*Call) error) error {
	var err error
	c := &Call{Record: rec, Context: ctx, path: p}
	for range maxAttempts {
		rec.Resources, rec.Additional = c.touched[:0], nil
		if err = c.attempt(do); !errors.Is(err, store.ErrConflict) {
			break
		}
	}
	if err != nil {
		err = p.wire(ctx, rec, err)
	}
	if !c.committed {
		if appendErr := p.append(rec, err); appendErr != nil {
			p.faults.Log(p.Log, rec, "the audit log cannot be written; the call is refused", appendErr)
			err = internalError(rec)
		}
	}
	if p.Observe != nil {
		p.Observe(rec, err)
	}
	return err
}

func (c *Call) attempt(do func(*Call) error) error {
	view, err := c.path.DB.View(c.Context)
	if err != nil {
		return err
	}
	defer view.Close()
	c.View = view
	if valid := c.Caller.StillValid; valid != nil {
		if err := valid(view); err != nil {
			return err
		}
	}
	return do(c)
}

// Commit writes the change and the record of it in one batch. response is what
// the record shows as responseElements; nil for null. After it, the operation
// only returns.
func (c *Call) Commit(tx *record.Tx, response AuditAppender) error {
	b := eventBuffers.Get().(*eventBuffer)
	defer b.release()
	for _, ev := range b.events(c.Record, nil, response) {
		tx.Do(c.path.Outbox.Op(ev))
	}
	if _, err := tx.Commit(c.Context); err != nil {
		return err
	}
	c.committed = true
	return nil
}

// Tx starts a change to be given to Commit.
func (c *Call) Tx() *record.Tx { return c.path.DB.Tx() }

// Touch notes a resource the call acts on. A resource is noted once.
func (c *Call) Touch(arn, account string) {
	for _, r := range c.Resources {
		if r.ARN == arn {
			return
		}
	}
	c.Resources = append(c.Resources, Resource{arn, account})
}

// Now is the time of the service's clock.
func (c *Call) Now() time.Time { return c.path.Clock.Now() }

// wire turns an error into one that may be shown.
func (p *Path) wire(ctx context.Context, rec *Record, err error) error {
	if e, ok := errors.AsType[*awsapi.Error](err); ok {
		return e
	}
	if errors.Is(err, store.ErrConflict) {
		return awsapi.Errorf(awsapi.CodeThrottling, "Rate exceeded")
	}
	if !errors.Is(err, context.Canceled) || ctx.Err() == nil { // else the client has gone, which is no fault
		p.faults.Log(p.Log, rec, "internal failure", err)
	}
	return internalError(rec)
}

// internalError is what a caller sees of a fault of ours: nothing of its cause.
func internalError(rec *Record) error {
	return awsapi.Errorf(rec.FaultCode, "The request was rejected because an internal exception occurred. The request can be retried.")
}

// append puts the record of a call that changed nothing into the audit log.
func (p *Path) append(rec *Record, err error) error {
	b := eventBuffers.Get().(*eventBuffer)
	defer b.release()
	for _, ev := range b.events(rec, err, nil) {
		// Not the call's context: what was done is recorded even where the client
		// has gone.
		if err := p.Audit.Append(context.Background(), ev); err != nil {
			return fmt.Errorf("appending to the audit log: %w", err)
		}
	}
	return nil
}

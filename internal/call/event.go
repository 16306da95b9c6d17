package call

import (
	"errors"
	"slices"
	"sync"

	"github.com/keywright/keywright/internal/audit"
	"github.com/keywright/keywright/internal/awsapi"
)

// NewRequestID returns a fresh id for a call.
func NewRequestID() string { return audit.NewEventID() }

// eventBuffer is where the audit records of a call are made. It is used again:
// they are most of what a call would leave to the garbage collector.
type eventBuffer struct {
	parameters, event, owners []byte
	all                       [2][]byte
}

// keptEventBuffer bounds what a buffer keeps between calls.
const keptEventBuffer = 16 << 10

var eventBuffers = sync.Pool{New: func() any {
	return &eventBuffer{parameters: make([]byte, 0, 1024), event: make([]byte, 0, 2048)}
}}

func (b *eventBuffer) release() {
	b.owners = b.owners[:0]
	if cap(b.parameters)+cap(b.event)+cap(b.owners) <= keptEventBuffer {
		eventBuffers.Put(b)
	}
}

// events are the audit records of a call: one for the caller's account, and one
// for each other account that owns a resource of it. They share an id and show
// the owner no more of the caller than who it is. They are valid until b is
// released.
func (b *eventBuffer) events(rec *Record, err error, response AuditAppender) [][]byte {
	ev := audit.Event{
		Time:                rec.Time,
		Source:              rec.Source,
		Name:                rec.Operation,
		Region:              rec.Region,
		SourceIP:            rec.Client.SourceIP,
		UserAgent:           rec.Client.UserAgent,
		AdditionalEventData: rec.Additional,
		RequestID:           rec.RequestID,
		EventID:             audit.NewEventID(),
		ReadOnly:            rec.ReadOnly,
		Resources:           make([]audit.Resource, 0, 2),
		Type:                audit.APICall,
		RecipientAccountID:  rec.Caller.Account,
	}
	switch rec.Caller.Type {
	case TypeInternal:
		ev.Type = audit.ServiceEvent
		ev.Identity = audit.UserIdentity{AccountID: rec.Caller.Account, InvokedBy: "AWS Internal"}
		ev.SourceIP, ev.UserAgent = "AWS Internal", "AWS Internal"
		if len(rec.Resources) > 0 {
			ev.Identity.AccountID = rec.Resources[0].Account
			ev.RecipientAccountID = rec.Resources[0].Account
		}
	default:
		ev.Identity = audit.UserIdentity{
			Type: string(rec.Caller.Type), PrincipalID: rec.Caller.PrincipalID, ARN: rec.Caller.ARN,
			AccountID: rec.Caller.Account, AccessKeyID: rec.Caller.AccessKeyID,
		}
	}
	if rec.Client.TLSVersion != "" {
		ev.TLS = &audit.TLSDetails{Version: rec.Client.TLSVersion, CipherSuite: rec.Client.CipherSuite, Host: rec.Client.Host}
	}
	if rec.Parameters != nil {
		b.parameters = rec.Parameters.AppendAudit(b.parameters[:0])
		ev.RequestParameters = b.parameters
	}
	if response != nil {
		ev.ResponseElements = response.AppendAudit(nil)
	}
	if e, ok := errors.AsType[*awsapi.Error](err); ok {
		ev.ErrorCode, ev.ErrorMessage = e.Code, e.Message
		if e.Code == awsapi.CodeAccessDenied {
			ev.ErrorCode = codeDenied
		}
	}
	var owners []string // other accounts; a call that was denied is the caller's affair alone
	for _, r := range rec.Resources {
		ev.Resources = append(ev.Resources, audit.Resource{AccountID: r.Account, Type: "AWS::KMS::Key", ARN: r.ARN})
		if r.Account != ev.RecipientAccountID && ev.ErrorCode != codeDenied && !slices.Contains(owners, r.Account) {
			owners = append(owners, r.Account)
		}
	}
	if len(owners) > 0 {
		ev.SharedEventID = audit.NewEventID()
	}
	b.event = ev.AppendJSON(b.event[:0])
	events := append(b.all[:0], b.event)
	ev.Identity = audit.UserIdentity{Type: "AWSAccount", PrincipalID: rec.Caller.PrincipalID, AccountID: rec.Caller.Account}
	for _, account := range owners { // one, but for ReEncrypt between two of them
		ev.EventID, ev.RecipientAccountID = audit.NewEventID(), account
		start := len(b.owners)
		b.owners = ev.AppendJSON(b.owners)
		events = append(events, b.owners[start:])
	}
	return events
}

// codeDenied is how KMS records AccessDeniedException.
const codeDenied = "AccessDenied"

package call

import (
	"errors"

	"github.com/keywright/keywright/internal/audit"
	"github.com/keywright/keywright/internal/awsapi"
)

// NewRequestID returns a fresh id for a call.
func NewRequestID() string { return audit.NewEventID() }

// events are the audit records of a call: one for the caller's account, and one
// for each other account that owns a resource of it. They share an id and show
// the owner no more of the caller than who it is.
func (p *Path) events(rec *Record, err error, response AuditAppender) [][]byte {
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
	var scratch [1024]byte
	if rec.Parameters != nil {
		ev.RequestParameters = rec.Parameters.AppendAudit(scratch[:0])
	}
	if response != nil {
		ev.ResponseElements = response.AppendAudit(nil)
	}
	if e, ok := errors.AsType[*awsapi.Error](err); ok {
		ev.ErrorCode, ev.ErrorMessage = e.Code, e.Message
		if e.Code == awsapi.CodeAccessDenied {
			ev.ErrorCode = "AccessDenied" // as KMS records it
		}
	}
	foreign := ""
	for _, r := range rec.Resources {
		ev.Resources = append(ev.Resources, audit.Resource{AccountID: r.Account, Type: "AWS::KMS::Key", ARN: r.ARN})
		if r.Account != ev.RecipientAccountID && err == nil {
			foreign = r.Account
		}
	}
	if foreign == "" {
		return [][]byte{ev.AppendJSON(make([]byte, 0, 1024))}
	}
	ev.SharedEventID = audit.NewEventID()
	events := [][]byte{ev.AppendJSON(nil)}
	owner := ev
	owner.EventID = audit.NewEventID()
	owner.RecipientAccountID = foreign
	owner.Identity = audit.UserIdentity{Type: "AWSAccount", PrincipalID: rec.Caller.PrincipalID, AccountID: rec.Caller.Account}
	return append(events, owner.AppendJSON(nil))
}

package audit

import (
	"bytes"
	"strconv"
	"time"
)

// EventVersion is the version of CloudTrail's record format that events follow.
const EventVersion = "1.11"

// Bounds of an event, CloudTrail's own where it names one. What is longer is
// cut or left out, so that no client can make a record that cannot be written.
const (
	MaxEventBytes      = 256 << 10 // one encoded event
	MaxParametersBytes = 100 << 10 // requestParameters, responseElements, serviceEventDetails
	MaxAdditionalBytes = 28 << 10  // additionalEventData
	MaxTextBytes       = 1 << 10   // any string, counted as it stands in the JSON text
	MaxResources       = 64
)

// EventType tells an API call from something the service did by itself.
type EventType string

// The types of events.
const (
	APICall      EventType = "AwsApiCall" // also the meaning of the empty EventType
	ServiceEvent EventType = "AwsServiceEvent"
)

// Event is one record of the audit log, in CloudTrail's terms. An empty string
// leaves its field out, save the fields that every CloudTrail record has
// (source, name, Region, address, agent, request and event id).
//
// The raw fields hold one valid JSON value each. What must not be recorded
// (plaintext, keys, tokens) may not be put into them: nothing here filters.
type Event struct {
	Identity UserIdentity
	Time     time.Time // written in UTC, in whole seconds
	Source   string    // "kms.amazonaws.com"
	Name     string    // "Encrypt"
	Region   string
	SourceIP string
	// UserAgent, as ErrorMessage and TLS.Host, may come from a client as it is.
	UserAgent    string
	ErrorCode    string // left out, with ErrorMessage, where the call succeeded
	ErrorMessage string

	RequestParameters   []byte // nil: null
	ResponseElements    []byte // nil: null
	AdditionalEventData []byte // nil: left out
	ServiceEventDetails []byte // nil: left out

	RequestID string
	EventID   string // see NewEventID
	ReadOnly  bool
	Resources []Resource // nil: left out; empty: []
	Type      EventType

	RecipientAccountID string
	SharedEventID      string // set where one call is recorded for several accounts
	TLS                *TLSDetails
}

// UserIdentity is who made the call.
type UserIdentity struct {
	Type        string // "Root", "IAMUser", "AssumedRole", "AWSService", ...
	PrincipalID string
	ARN         string
	AccountID   string
	AccessKeyID string
	UserName    string
	Session     *SessionContext // of an AssumedRole or FederatedUser
	InvokedBy   string          // a service, or "AWS Internal"
}

// SessionContext is where the temporary credentials of a call came from.
type SessionContext struct {
	IssuerType        string // "Role"
	IssuerPrincipalID string
	IssuerARN         string
	IssuerAccountID   string
	IssuerUserName    string
	Created           time.Time
	MFA               bool
}

// Resource is something the call acted on.
type Resource struct {
	AccountID string
	Type      string // "AWS::KMS::Key"
	ARN       string
}

// TLSDetails is what is known of the connection; nil over plain HTTP.
type TLSDetails struct {
	Version     string // "TLSv1.3"
	CipherSuite string
	Host        string // the host name as the client sent it
}

// AppendJSON appends the event as one JSON object on one line, without a
// newline at the end, and returns the extended slice. What it appends is at
// most MaxEventBytes and always valid JSON, whatever the strings hold: invalid
// UTF-8 becomes U+FFFD, overlong strings are cut, and raw fields beyond their
// bound are replaced by a note of their size, as CloudTrail does.
func (e *Event) AppendJSON(dst []byte) []byte {
	start := len(dst)
	dst = e.append(dst)
	if len(dst)-start <= MaxEventBytes {
		return dst
	}
	// Each part kept its own bound and the sum is still too large. Without the
	// raw fields the rest cannot be: it is strings of bounded number and length.
	slim := *e
	slim.RequestParameters = bound("requestParameters", e.RequestParameters, 0)
	slim.ResponseElements = bound("responseElements", e.ResponseElements, 0)
	slim.AdditionalEventData = bound("additionalEventData", e.AdditionalEventData, 0)
	slim.ServiceEventDetails = bound("serviceEventDetails", e.ServiceEventDetails, 0)
	return slim.append(dst[:start])
}

func (e *Event) append(dst []byte) []byte {
	dst = append(dst, `{"eventVersion":"`+EventVersion+`","userIdentity":`...)
	dst = e.Identity.append(dst)
	dst = append(dst, `,"eventTime":"`...)
	dst = appendTime(dst, e.Time)
	dst = append(dst, '"')
	dst = appendField(dst, `,"eventSource":`, e.Source)
	dst = appendField(dst, `,"eventName":`, e.Name)
	dst = appendField(dst, `,"awsRegion":`, e.Region)
	dst = appendField(dst, `,"sourceIPAddress":`, e.SourceIP)
	dst = appendField(dst, `,"userAgent":`, e.UserAgent)
	dst = appendOptional(dst, `,"errorCode":`, e.ErrorCode)
	dst = appendOptional(dst, `,"errorMessage":`, e.ErrorMessage)
	dst = append(dst, `,"requestParameters":`...)
	dst = appendRaw(dst, bound("requestParameters", e.RequestParameters, MaxParametersBytes))
	dst = append(dst, `,"responseElements":`...)
	dst = appendRaw(dst, bound("responseElements", e.ResponseElements, MaxParametersBytes))
	if e.AdditionalEventData != nil {
		dst = append(dst, `,"additionalEventData":`...)
		dst = appendRaw(dst, bound("additionalEventData", e.AdditionalEventData, MaxAdditionalBytes))
	}
	dst = appendField(dst, `,"requestID":`, e.RequestID)
	dst = appendField(dst, `,"eventID":`, e.EventID)
	dst = append(dst, `,"readOnly":`...)
	dst = strconv.AppendBool(dst, e.ReadOnly)
	if e.Resources != nil {
		dst = appendResources(dst, e.Resources)
	}
	dst = appendField(dst, `,"eventType":`, string(e.Type))
	if e.Type == "" {
		dst = append(dst[:len(dst)-1], string(APICall)+`"`...)
	}
	dst = append(dst, `,"managementEvent":true`...)
	dst = appendOptional(dst, `,"recipientAccountId":`, e.RecipientAccountID)
	dst = appendOptional(dst, `,"sharedEventID":`, e.SharedEventID)
	if e.ServiceEventDetails != nil {
		dst = append(dst, `,"serviceEventDetails":`...)
		dst = appendRaw(dst, bound("serviceEventDetails", e.ServiceEventDetails, MaxParametersBytes))
	}
	dst = append(dst, `,"eventCategory":"Management"`...)
	if e.TLS != nil {
		o := object{append(dst, `,"tlsDetails":`...), '{'}
		o.optional(`"tlsVersion":`, e.TLS.Version)
		o.optional(`"cipherSuite":`, e.TLS.CipherSuite)
		o.optional(`"clientProvidedHostHeader":`, e.TLS.Host)
		dst = o.end()
	}
	return append(dst, '}')
}

func (u *UserIdentity) append(dst []byte) []byte {
	o := object{dst, '{'}
	o.optional(`"type":`, u.Type)
	o.optional(`"principalId":`, u.PrincipalID)
	o.optional(`"arn":`, u.ARN)
	o.optional(`"accountId":`, u.AccountID)
	o.optional(`"accessKeyId":`, u.AccessKeyID)
	o.optional(`"userName":`, u.UserName)
	if s := u.Session; s != nil {
		issuer := object{append(o.separated(), `"sessionContext":{"sessionIssuer":`...), '{'}
		issuer.optional(`"type":`, s.IssuerType)
		issuer.optional(`"principalId":`, s.IssuerPrincipalID)
		issuer.optional(`"arn":`, s.IssuerARN)
		issuer.optional(`"accountId":`, s.IssuerAccountID)
		issuer.optional(`"userName":`, s.IssuerUserName)
		o.dst = append(issuer.end(), `,"attributes":{"creationDate":"`...)
		o.dst = appendTime(o.dst, s.Created)
		// CloudTrail writes this one boolean as a string.
		o.dst = append(o.dst, `","mfaAuthenticated":"`...)
		o.dst = strconv.AppendBool(o.dst, s.MFA)
		o.dst = append(o.dst, `"}}`...)
	}
	o.optional(`"invokedBy":`, u.InvokedBy)
	return o.end()
}

func appendResources(dst []byte, resources []Resource) []byte {
	dst = append(dst, `,"resources":[`...)
	for i, r := range resources[:min(len(resources), MaxResources)] {
		if i > 0 {
			dst = append(dst, ',')
		}
		o := object{dst, '{'}
		o.optional(`"accountId":`, r.AccountID)
		o.optional(`"type":`, r.Type)
		o.optional(`"ARN":`, r.ARN)
		dst = o.end()
	}
	return append(dst, ']')
}

// bound replaces a raw field longer than limit by a note of its size.
func bound(name string, raw []byte, limit int) []byte {
	if raw == nil || len(raw) <= limit {
		return raw
	}
	return []byte(`{"omitted":true,"originalSize":` + strconv.Itoa(len(raw)) + `,"reason":"` + name + ` too large"}`)
}

// appendRaw appends a JSON value. A line break in valid JSON can only be space
// between tokens, so replacing it keeps the value and the promise of one line.
func appendRaw(dst, raw []byte) []byte {
	if len(raw) == 0 {
		return append(dst, `null`...)
	}
	start := len(dst)
	dst = append(dst, raw...)
	if bytes.IndexByte(raw, '\n') >= 0 || bytes.IndexByte(raw, '\r') >= 0 {
		for i, c := range dst[start:] {
			if c == '\n' || c == '\r' {
				dst[start+i] = ' '
			}
		}
	}
	return dst
}

func appendTime(dst []byte, t time.Time) []byte {
	// For this very layout package time has a way of its own, thrice as fast.
	return t.UTC().AppendFormat(dst, time.RFC3339)
}

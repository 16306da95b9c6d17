package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/keywright/keywright/internal/awsapi"
	"github.com/keywright/keywright/internal/call"
	"github.com/keywright/keywright/internal/iam"
)

// operation is one of the operator's commands where the store is.
type operation struct {
	run func(ctx context.Context, c *core, in json.RawMessage, progress Progress) (json.RawMessage, error)
}

// operations are the commands by their path under /v1/.
var operations = map[string]operation{
	"status":                read("GetStatus", (*core).status),
	"account/list":          read("ListAccounts", (*core).listAccounts),
	"account/create":        quiet((*core).createAccount), // recorded by iam, in the batch that makes it
	"access-key/create":     quiet((*core).createAccessKey),
	"access-key/list":       read("ListAccessKeys", (*core).listAccessKeys),
	"access-key/set-active": quiet((*core).setAccessKeyActive),
	"access-key/delete":     quiet((*core).deleteAccessKey),
	"clock/status":          read("GetClockStatus", (*core).clockStatus),
	"clock/confirm":         change("ConfirmClock", (*core).confirmClock),
	"store/check":           read("CheckStore", (*core).checkStore),
	"audit/verify":          read("VerifyAuditLog", (*core).verifyAudit),
	"audit/boxes":           read("VerifyAuditLog", (*core).auditBoxes),
	"seal/list":             read("ListKeySlots", (*core).listSlots),
	"seal/add-passphrase":   change("AddKeySlot", (*core).addPassphrase),
	"seal/add-root-key":     change("AddKeySlot", (*core).addRootKey),
	"seal/add-recovery":     change("ReplaceRecoveryKey", (*core).replaceRecovery),
	"seal/remove":           change("RemoveKeySlot", (*core).removeSlot),
	"seal/rotate-root":      change("RotateRootKey", (*core).rotateRoot),
	"seal/rotate-store-key": change("RotateStoreKey", (*core).rotateStoreKey),
}

type method[In, Out any] func(c *core, ctx context.Context, in In, progress Progress) (Out, error)

func quiet[In, Out any](do method[In, Out]) operation {
	return operation{func(ctx context.Context, c *core, raw json.RawMessage, progress Progress) (json.RawMessage, error) {
		var in In
		if err := json.Unmarshal(raw, &in); err != nil {
			return nil, fmt.Errorf("reading the command's input: %w", err)
		}
		out, err := do(c, ctx, in, progress)
		if err != nil {
			return nil, advise(err)
		}
		return json.Marshal(out)
	}}
}

// read is an operation that changes nothing. It is recorded before its answer
// leaves.
func read[In, Out any](event string, do method[In, Out]) operation {
	return quiet(func(c *core, ctx context.Context, in In, progress Progress) (Out, error) {
		out, err := do(c, ctx, in, progress)
		return out, c.recordOperator(ctx, operatorEvent{name: event, readOnly: true, input: in, err: err})
	})
}

// change is an operation that changes the store or a file. Its record cannot be
// in one batch with the change, which takes several: that it begins is recorded
// first, and nothing is done if that fails; how it ended is recorded after it.
func change[In, Out any](event string, do method[In, Out]) operation {
	return quiet(func(c *core, ctx context.Context, in In, progress Progress) (out Out, err error) {
		if err := c.recordOperator(ctx, operatorEvent{name: event, phase: "begin", input: in}); err != nil {
			return out, err
		}
		out, err = do(c, ctx, in, progress)
		end := operatorEvent{name: event, phase: "end", input: in, err: err}
		if err == nil {
			end.output = out
		}
		return out, c.recordOperator(context.WithoutCancel(ctx), end)
	})
}

// The source of operator's events in the audit log. It has the form of AWS's
// own, which tools that read CloudTrail records expect.
const operatorSource = "keywright.amazonaws.com"

type operatorEvent struct {
	name     string
	readOnly bool
	phase    string // "begin" or "end" of a change
	input    any    // shown by its auditable form
	output   any
	err      error
}

// auditable is an input or output that has something to show in the audit log.
// What has no such method is not shown: it may hold secrets.
type auditable interface{ auditView() any }

// recordOperator writes an event of the operator's to the audit log. It returns
// the event's own error or, without one, that of the writing.
func (c *core) recordOperator(ctx context.Context, ev operatorEvent) error {
	account, err := c.defaultAccount(ctx)
	if err != nil {
		return errors.Join(ev.err, err)
	}
	rec := &call.Record{
		RequestID: call.NewRequestID(),
		Service:   "keywright", Source: operatorSource,
		Operation: ev.name, Region: c.cfg.region(), ReadOnly: ev.readOnly,
		FaultCode: awsapi.CodeInternalFailure,
		Caller:    call.Caller{Type: call.TypeInternal},
		Time:      c.clock.Now(),
	}
	rec.Caller.Account = account
	if in, ok := ev.input.(auditable); ok {
		rec.Parameters = auditJSON{in.auditView()}
	}
	additional := map[string]any{"operator": peerFrom(ctx)}
	if ev.phase != "" {
		additional["phase"] = ev.phase
	}
	if out, ok := ev.output.(auditable); ok {
		additional["result"] = out.auditView()
	}
	recorded := c.path.Run(ctx, rec, func(call *call.Call) (err error) {
		if call.Additional, err = json.Marshal(additional); err != nil {
			return err
		}
		if ev.err != nil {
			return awsapi.Errorf("OperationFailed", "%s", ev.err)
		}
		return nil
	})
	if ev.err != nil {
		return ev.err
	}
	if recorded != nil {
		return fmt.Errorf("recording it in the audit log: %w", recorded)
	}
	return nil
}

type auditJSON struct{ value any }

func (a auditJSON) AppendAudit(dst []byte) []byte {
	text, err := json.Marshal(a.value)
	if err != nil {
		return append(dst, "null"...)
	}
	return append(dst, text...)
}

// peer is who gave a command: a user of this machine.
type peer struct {
	UID *int `json:"uid,omitempty"`
	PID *int `json:"pid,omitempty"`
}

type peerKey struct{}

func withPeer(ctx context.Context, p peer) context.Context {
	return context.WithValue(ctx, peerKey{}, p)
}

// peerFrom is who stands behind ctx; without a socket it is this process.
func peerFrom(ctx context.Context) peer {
	if p, ok := ctx.Value(peerKey{}).(peer); ok {
		return p
	}
	return peer{UID: new(os.Getuid()), PID: new(os.Getpid())}
}

// region is the Region that things without one are shown in.
func (cfg *Config) region() string {
	if len(cfg.Regions) > 0 {
		return cfg.Regions[0]
	}
	return "us-east-1"
}

func (c *core) status(ctx context.Context, _ nothing, _ Progress) (*Status, error) {
	account, err := c.defaultAccount(ctx)
	if err != nil {
		return nil, err
	}
	store, log, id := c.store.Stats(), c.audit.Status(), c.keyring.StoreID()
	s := &Status{
		Running: c.endpoint != "", Endpoint: c.endpoint, Region: c.cfg.region(), Account: account,
		Ready:   c.ready(ctx),
		StoreID: fmt.Sprintf("%x", id), Epoch: c.keyring.Epoch(),
		StoreRevision: uint64(store.Revision), StoreBytes: store.FileBytes,
		AuditRecords: log.LastSequence, AuditBytes: log.Bytes,
	}
	if s.CredentialsFile, err = filepath.Abs(filepath.Join(c.cfg.Data, credentialsName)); err != nil {
		return nil, err
	}
	if c.cfg.TLSAuto {
		s.CABundle, err = filepath.Abs(filepath.Join(c.cfg.Data, caName))
	}
	return s, err
}

func (c *core) listAccounts(ctx context.Context, _ nothing, _ Progress) ([]Account, error) {
	found, err := c.iam.Accounts(ctx)
	all := make([]Account, len(found))
	for i, a := range found {
		all[i] = Account{ID: a.ID, Created: time.UnixMilli(a.Created).UTC()}
	}
	return all, err
}

type accountInput struct {
	ID string `json:"id,omitempty"`
}

func (c *core) createAccount(ctx context.Context, in accountInput, _ Progress) (*CreatedAccount, error) {
	path, err := filepath.Abs(filepath.Join(c.cfg.Data, credentialsName))
	if err != nil {
		return nil, err
	}
	creds, err := c.iam.CreateAccount(ctx, in.ID, func(creds iam.Credentials) error {
		return putCredentials(path, creds.Account, creds)
	})
	if err != nil {
		return nil, err
	}
	return &CreatedAccount{ID: creds.Account, AccessKeyID: creds.AccessKeyID, CredentialsFile: path, Profile: creds.Account}, nil
}

func (c *core) clockStatus(ctx context.Context, _ nothing, _ Progress) (*ClockStatus, error) {
	now, err := c.guard.read().wall, c.guard.check(ctx)
	s := &ClockStatus{Now: now.UTC(), Trusted: err == nil}
	if err != nil {
		if !errors.Is(err, errTime) {
			return nil, err
		}
		s.Problem = err.Error()
	}
	return s, nil
}

func (c *core) confirmClock(ctx context.Context, _ nothing, _ Progress) (*ClockStatus, error) {
	now, err := c.guard.confirm(ctx)
	return &ClockStatus{Now: now.UTC(), Trusted: err == nil}, err
}

func (s *ClockStatus) auditView() any { return s }

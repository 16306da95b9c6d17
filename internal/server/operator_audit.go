package server

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/keywright/keywright/internal/audit"
	"github.com/keywright/keywright/internal/record"
	"github.com/keywright/keywright/internal/store"
)

// AuditReport is what a verification of an audit log found.
type AuditReport struct {
	Folder        string    `json:"folder"`
	Chain         string    `json:"chain,omitempty"`
	Segments      int       `json:"segments"`
	Frames        int       `json:"frames"`
	Records       uint64    `json:"records"`
	FirstSequence uint64    `json:"firstSequence,omitempty"`
	LastSequence  uint64    `json:"lastSequence,omitempty"`
	Oldest        time.Time `json:"oldest,omitzero"`
	Newest        time.Time `json:"newest,omitzero"`
	// AuthenticatedFrom is the number of the record from which on the MACs were
	// checked; 0 where only the chain of hashes was.
	AuthenticatedFrom uint64 `json:"authenticatedFrom,omitempty"`
	AuthenticatedWith string `json:"authenticatedWith,omitempty"` // one of the two below
	// StoreRevision is the newest revision of the store that the log knows.
	StoreRevision uint64 `json:"storeRevision"`
	// Resets counts how often it was accepted that the store was put back.
	Resets int `json:"resets"`
	// IncompleteBytes is the size of a frame at the end that is just being
	// written, or that a crash cut off.
	IncompleteBytes int64 `json:"incompleteBytes,omitempty"`
	// Damage is where the log is not as it was written; what stands above covers
	// what comes before it.
	Damage *AuditDamage `json:"damage,omitempty"`
}

// What authenticated an audit log.
const (
	WithRecoveryKey = "recovery key"
	WithServerKey   = "server's key" // which is that of the open segment
)

// AuditDamage is a place in an audit log that is not as it was written.
type AuditDamage struct {
	Segment string `json:"segment"`
	Frame   int    `json:"frame"`  // counted from 0; -1 is the segment's header
	Offset  int64  `json:"offset"` // of the frame in the uncompressed segment
	Problem string `json:"problem"`
}

func (d *AuditDamage) String() string {
	return (&audit.CorruptError{Segment: d.Segment, Frame: d.Frame, Offset: d.Offset, Problem: d.Problem}).Error()
}

// VerifyAudit verifies the store's own audit log: all hashes, and the MACs of
// the open segment, whose key the server has.
func (o *Operator) VerifyAudit(ctx context.Context) (*AuditReport, error) {
	return do[*AuditReport](ctx, o, "audit/verify", nothing{}, nil)
}

// VerifyAuditWithRecoveryKey verifies an audit log of the store from where the
// recovery key authenticates it: from its beginning, or from when that key
// replaced another. The key stays in this process. Dir is the folder of the
// log's segments; "" is the store's own.
func (o *Operator) VerifyAuditWithRecoveryKey(ctx context.Context, data, dir, recovery string) (*AuditReport, error) {
	if dir == "" {
		dir = filepath.Join(data, auditName)
	}
	chain, err := audit.ReadChainID(dir)
	if err != nil {
		return auditReport(dir, audit.Report{}, err)
	}
	found, err := do[*chainBoxes](ctx, o, "audit/boxes", chainInput{hex.EncodeToString(chain[:])}, nil)
	if err != nil {
		return nil, err
	}
	start, err := openAuditBoxes(recovery, found.StoreID, chain, found.Boxes)
	if err != nil {
		return nil, advise(err)
	}
	defer clear(start.SegmentStartKey[:])
	return verifyAuditFolder(ctx, dir, start, WithRecoveryKey)
}

// VerifyAuditFolder checks the chain of hashes of the audit log in a folder,
// which anybody can who has a copy of it.
func VerifyAuditFolder(ctx context.Context, dir string) (*AuditReport, error) {
	return verifyAuditFolder(ctx, dir, nil, "")
}

func verifyAuditFolder(ctx context.Context, dir string, start *audit.State, with string) (*AuditReport, error) {
	r, err := audit.Verify(ctx, dir, start)
	out, err := auditReport(dir, r, err)
	if err == nil && out.AuthenticatedFrom > 0 {
		out.AuthenticatedWith = with
	}
	return out, err
}

// auditReport makes damage a finding; any other error stays one.
func auditReport(dir string, r audit.Report, err error) (*AuditReport, error) {
	out := &AuditReport{
		Folder: dir, Segments: r.Segments, Frames: r.Frames, Records: r.Records,
		FirstSequence: r.FirstSequence, LastSequence: r.LastSequence, Oldest: r.Oldest, Newest: r.Newest,
		AuthenticatedFrom: r.AuthenticatedFrom, StoreRevision: uint64(r.StoreRevision), Resets: r.Resets, IncompleteBytes: r.TornBytes,
	}
	if chain, err := audit.ReadChainID(dir); err == nil {
		out.Chain = hex.EncodeToString(chain[:])
	}
	if damage, ok := errors.AsType[*audit.CorruptError](err); ok {
		out.Damage = &AuditDamage{Segment: damage.Segment, Frame: damage.Frame, Offset: damage.Offset, Problem: damage.Problem}
		return out, nil
	}
	if err != nil {
		return nil, err
	}
	return out, nil
}

func (c *core) verifyAudit(ctx context.Context, _ nothing, _ Progress) (*AuditReport, error) {
	found, err := (&auditKeys{db: c.db}).load(ctx)
	if err != nil {
		return nil, err
	}
	state := found.Value.state()
	defer clear(state.SegmentStartKey[:])
	return verifyAuditFolder(ctx, c.auditDir, &state, WithServerKey)
}

type chainInput struct {
	Chain string `json:"chain"` // hexadecimal
}

func (in chainInput) auditView() any { return in }

// chainBoxes are the keys of a chain that the recovery keys open.
type chainBoxes struct {
	StoreID [16]byte   `json:"storeId"`
	Boxes   []auditBox `json:"boxes"`
}

func (c *core) auditBoxes(ctx context.Context, in chainInput, _ Progress) (*chainBoxes, error) {
	chain, err := hex.DecodeString(in.Chain)
	if err != nil || len(chain) != 16 {
		return nil, fmt.Errorf("%q is not the id of an audit log", in.Chain)
	}
	v, err := c.db.View(ctx)
	if err != nil {
		return nil, err
	}
	defer v.Close()
	out := &chainBoxes{StoreID: c.keyring.StoreID()}
	found, err := record.Get[auditChain](v, auditChainPath(chain))
	if errors.Is(err, store.ErrNotFound) {
		return out, nil
	}
	if err != nil {
		return nil, err
	}
	out.Boxes = found.Value.Boxes
	return out, nil
}

// NewAudit tells of an audit log that was begun on purpose.
type NewAudit struct {
	Folder string `json:"folder"`
	// Aside is where the old log is now; "" where nothing of it was left.
	Aside string `json:"aside,omitempty"`
	// Covered tells whether the recovery key authenticates the new log.
	Covered bool `json:"coveredByRecoveryKey"`
}

func (n *NewAudit) auditView() any { return n }

// errServerRuns refuses what cannot be done beside a server.
var errServerRuns = errors.New("a server runs on the data folder: stop it first")

// BeginAudit begins a new audit log on the data folder of a server that does not
// run, because the old one was lost or is damaged. What is left of that is put
// aside. Who did it is the first record of the new one. The recovery key closes
// the new log's key, so that VerifyAuditWithRecoveryKey can be had; "" does
// without.
func BeginAudit(ctx context.Context, cfg Config, recovery string, log *slog.Logger) (*NewAudit, error) {
	if _, err := DialOperator(ctx, cfg.Data); !errors.Is(err, ErrNotRunning) {
		if err == nil {
			err = errServerRuns
		}
		return nil, err
	}
	if _, err := os.Stat(filepath.Join(cfg.Data, storeName)); err != nil {
		return nil, fmt.Errorf("%s is not the data folder of a keywright: %w", cfg.Data, err)
	}
	cfg.OperatorListen, cfg.anewAudit, cfg.recoveryKey = listenOff, true, recovery
	if err := cfg.prepare(); err != nil {
		return nil, &ConfigError{err}
	}
	hardenProcess(log)
	c, err := openCore(ctx, cfg, log)
	if err != nil {
		return nil, err
	}
	made := &NewAudit{Folder: c.auditDir, Aside: c.auditAside, Covered: recovery != ""}
	err = c.recordOperator(ctx, operatorEvent{name: "BeginAuditLog", output: made})
	err = errors.Join(err, c.outbox.Drain(ctx), c.close())
	if err != nil {
		return nil, err
	}
	return made, nil
}

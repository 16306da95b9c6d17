package server

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/keywright/keywright/internal/audit"
	"github.com/keywright/keywright/internal/record"
	"github.com/keywright/keywright/internal/seal"
	"github.com/keywright/keywright/internal/store"
)

// Paths of the audit log's records:
//
//	audit/state              auditState: where the log goes on, with the key of
//	                         the open segment alone
//	audit/chain/<chain id>   auditChain: keys to verify the chain with, which
//	                         nothing opens but the recovery key
var auditStatePath = []byte("audit/state")

func auditChainPath(chain []byte) []byte { return fmt.Appendf(nil, "audit/chain/%x", chain) }

// auditState is the record of audit.State.
type auditState struct {
	Version  int    `json:"v"`
	Chain    []byte `json:"chain"`
	Number   uint64 `json:"number"`
	First    uint64 `json:"first"`
	StartKey []byte `json:"startKey"`
}

func (s *auditState) Prepare() error {
	if s.Version != 1 || len(s.Chain) != 16 || len(s.StartKey) != 32 {
		return fmt.Errorf("audit state record of version %d is not of a form this keywright knows: use a newer one", s.Version)
	}
	return nil
}

// auditChain is what the recovery keys of a store verify a chain with.
type auditChain struct {
	Version int        `json:"v"`
	Boxes   []auditBox `json:"boxes"`
}

// auditBox is the start key of a segment, closed with a recovery key. The one of
// segment 0 authenticates the whole chain.
type auditBox struct {
	Number uint64 `json:"number"`
	First  uint64 `json:"first"`
	Sealed []byte `json:"sealed"`
}

func (a *auditChain) Prepare() error {
	if a.Version != 1 {
		return fmt.Errorf("audit chain record of version %d; this keywright knows version 1: use a newer one", a.Version)
	}
	return nil
}

const auditBoxLabel = "keywright/audit-chain"

// auditBoxData binds a box to its store, chain and segment.
func auditBoxData(storeID [16]byte, chain []byte, number, first uint64) []byte {
	b := append(storeID[:], chain...)
	b = binary.BigEndian.AppendUint64(b, number)
	return binary.BigEndian.AppendUint64(b, first)
}

func closeAuditBox(recovery string, storeID [16]byte, s *auditState) (auditBox, error) {
	sealed, err := seal.CloseBox(recovery, auditBoxLabel, auditBoxData(storeID, s.Chain, s.Number, s.First), s.StartKey)
	return auditBox{s.Number, s.First, sealed}, err
}

// openAuditBoxes returns the earliest state of a chain that the recovery key
// opens.
func openAuditBoxes(recovery string, storeID [16]byte, chain [16]byte, boxes []auditBox) (*audit.State, error) {
	boxes = slices.SortedFunc(slices.Values(boxes), func(a, b auditBox) int { return cmp.Compare(a.Number, b.Number) })
	for _, b := range boxes {
		key, err := seal.OpenBox(recovery, auditBoxLabel, auditBoxData(storeID, chain[:], b.Number, b.First), b.Sealed)
		if errors.Is(err, seal.ErrWrongRecoveryKey) {
			continue // of the recovery key before, or after
		}
		if err != nil {
			return nil, fmt.Errorf("reading the recovery key: %w", err)
		}
		if len(key) != 32 {
			return nil, fmt.Errorf("the key of audit segment %d has %d bytes", b.Number, len(key))
		}
		return &audit.State{ChainID: chain, SegmentNumber: b.Number, SegmentFirstSeq: b.First, SegmentStartKey: [32]byte(key)}, nil
	}
	return nil, errNotCovered
}

// errNotCovered: no key of a chain was closed with that recovery key.
var errNotCovered = errors.New("this recovery key authenticates nothing of this audit log: " +
	"it is another one, the log began while it was not at hand, or somebody has put another log in its place")

// auditKeys keeps the audit log's state in the store.
type auditKeys struct {
	db       *record.DB
	storeID  [16]byte
	recovery string // "" where it is not at hand
	// anew hides the state that is there, so that a new chain begins. What is
	// hidden is replaced only once there is a segment of the new one.
	anew bool
	// uncovered, where set, is told of a chain that begins without the recovery
	// key.
	uncovered func()
}

// Load implements audit.KeyStore.
func (k *auditKeys) Load(ctx context.Context) (audit.State, bool, error) {
	found, err := k.load(ctx)
	if k.anew || errors.Is(err, store.ErrNotFound) {
		return audit.State{}, false, nil
	}
	if err != nil {
		return audit.State{}, false, err
	}
	return found.Value.state(), true, nil
}

func (s *auditState) state() audit.State {
	return audit.State{ChainID: [16]byte(s.Chain), SegmentNumber: s.Number, SegmentFirstSeq: s.First, SegmentStartKey: [32]byte(s.StartKey)}
}

func (k *auditKeys) load(ctx context.Context) (record.Found[auditState], error) {
	v, err := k.db.View(ctx)
	if err != nil {
		return record.Found[auditState]{}, err
	}
	defer v.Close()
	return record.Get[auditState](v, auditStatePath)
}

// Save implements audit.KeyStore. The key of a whole chain is closed with the
// recovery key in the same write.
func (k *auditKeys) Save(ctx context.Context, s audit.State) error {
	found, err := k.load(ctx)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	if err == nil && found.Value.state() == s {
		return nil // a write before went well, though it said that it had not
	}
	next := &auditState{Version: 1, Chain: s.ChainID[:], Number: s.SegmentNumber, First: s.SegmentFirstSeq, StartKey: s.SegmentStartKey[:]}
	tx := k.db.Tx()
	record.Put(tx, auditStatePath, found.Revision, next)
	if s.SegmentNumber == 0 {
		if err := k.cover(tx, next); err != nil {
			return err
		}
	}
	_, err = tx.Commit(ctx)
	return err
}

func (k *auditKeys) cover(tx *record.Tx, s *auditState) error {
	if k.recovery == "" {
		if k.uncovered != nil {
			k.uncovered()
		}
		return nil
	}
	box, err := closeAuditBox(k.recovery, k.storeID, s)
	if err != nil {
		return fmt.Errorf("closing the audit log's key with the recovery key: %w", err)
	}
	record.Put(tx, auditChainPath(s.Chain), 0, &auditChain{Version: 1, Boxes: []auditBox{box}})
	return nil
}

// coverAudit closes the key of the open segment with a new recovery key, and
// returns from which record on that authenticates the log.
func (c *core) coverAudit(ctx context.Context, recovery string) (uint64, error) {
	for {
		from, err := c.tryCoverAudit(ctx, recovery)
		if !errors.Is(err, store.ErrConflict) { // else a segment was closed meanwhile
			return from, err
		}
	}
}

func (c *core) tryCoverAudit(ctx context.Context, recovery string) (uint64, error) {
	v, err := c.db.View(ctx)
	if err != nil {
		return 0, err
	}
	defer v.Close()
	state, err := record.Get[auditState](v, auditStatePath)
	if err != nil {
		return 0, err
	}
	path := auditChainPath(state.Value.Chain)
	chain, err := record.Get[auditChain](v, path)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return 0, err
	}
	box, err := closeAuditBox(recovery, c.keyring.StoreID(), state.Value)
	if err != nil {
		return 0, err
	}
	next := &auditChain{Version: 1, Boxes: []auditBox{box}}
	if chain.Value != nil {
		next.Boxes = append(slices.Clone(chain.Value.Boxes), box)
	}
	tx := c.db.Tx()
	tx.Expect(auditStatePath, state.Revision)
	record.Put(tx, path, chain.Revision, next)
	_, err = tx.Commit(ctx)
	return state.Value.First, err
}

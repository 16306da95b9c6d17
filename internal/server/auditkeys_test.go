package server

import (
	"testing"

	"github.com/keywright/keywright/internal/audit"
	"github.com/keywright/keywright/internal/seal"
)

// TestAuditKeysSaveAgain: a state whose write failed only by what it said is
// saved again, with what the recovery key opens; and a key opens for its own
// store, chain and segment alone.
func TestAuditKeysSaveAgain(t *testing.T) {
	e := newEndpoint(t)
	recovery, _, _, err := seal.ReplaceRecoveryKey(t.Context(), e.core.store, e.core.keyring, "")
	if err != nil {
		t.Fatal(err)
	}
	k := &auditKeys{db: e.core.db, storeID: e.core.keyring.StoreID(), recovery: recovery}
	first := audit.State{ChainID: [16]byte{1}, SegmentFirstSeq: 1, SegmentStartKey: [32]byte{2}}
	second := audit.State{ChainID: [16]byte{1}, SegmentNumber: 1, SegmentFirstSeq: 9, SegmentStartKey: [32]byte{3}}
	for i, s := range []audit.State{first, first, second} {
		if err := k.Save(t.Context(), s); err != nil {
			t.Fatalf("save %d: %v", i, err)
		}
		if got, known, err := k.Load(t.Context()); err != nil || !known || got != s {
			t.Errorf("save %d: loaded %v, %v", i, known, err)
		}
	}
	found, err := e.core.auditBoxes(t.Context(), chainInput{"01000000000000000000000000000000"}, nil)
	if err != nil || len(found.Boxes) != 1 {
		t.Fatalf("%d keys are kept for the recovery key, %v", len(found.Boxes), err)
	}
	if got, err := openAuditBoxes(recovery, found.StoreID, first.ChainID, found.Boxes); err != nil || *got != first {
		t.Errorf("the recovery key does not open the chain's first state: %v", err)
	}
	moved := found.Boxes[0]
	moved.Number = 1
	for name, open := range map[string]func() (*audit.State, error){
		"store": func() (*audit.State, error) { return openAuditBoxes(recovery, [16]byte{9}, first.ChainID, found.Boxes) },
		"chain": func() (*audit.State, error) { return openAuditBoxes(recovery, found.StoreID, [16]byte{9}, found.Boxes) },
		"segment": func() (*audit.State, error) {
			return openAuditBoxes(recovery, found.StoreID, first.ChainID, []auditBox{moved})
		},
	} {
		if _, err := open(); err != errNotCovered {
			t.Errorf("for another %s: %v", name, err)
		}
	}
}

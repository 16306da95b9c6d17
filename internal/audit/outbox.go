package audit

import (
	"cmp"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/keywright/keywright/internal/store"
)

// OutboxPrefix is where in the store the outbox is: under it stand the events of
// changes, each written by the same batch as its change, until they are in the
// log.
//
// Whoever re-seals the store may write an entry again, on condition that it is
// still there and unchanged, but after a start only once Drain has returned:
// that is when what a crash left, in the log and in the store at once, is told
// by its revision.
const OutboxPrefix = "outbox/"

// Sealer encrypts values under their path in the store.
type Sealer interface {
	Seal(path, plaintext []byte) []byte
	Open(path, sealed []byte) ([]byte, error)
}

// Outbox takes the records of changes from the store to the log, exactly once:
// a frame of the log says up to which revision of the store it contains the
// outbox, so entries that a crash left in the store are known when they are met
// again. There may be one Outbox to a store.
type Outbox struct {
	store  store.Store
	sealer Sealer
	log    *Log

	mu sync.Mutex // one drain at a time
	// recorded holds the keys of entries that are in the log and, as far as is
	// known, still in the store. Their revision would tell, unless they are
	// written again.
	recorded map[string]bool
}

// NewOutbox returns the outbox of st, drained to log by Run and Drain.
func NewOutbox(st store.Store, sealer Sealer, log *Log) *Outbox {
	return &Outbox{store: st, sealer: sealer, log: log, recorded: make(map[string]bool)}
}

// Op returns the write that puts the event into the outbox, for the batch of
// the change that it records. An event outside the bounds of Append is misuse
// and panics: in the outbox it would hold up every event after it.
func (o *Outbox) Op(event []byte) store.Op {
	if len(event) == 0 || len(event) > MaxEventBytes {
		panic(fmt.Sprintf("audit: outbox event of %d bytes", len(event)))
	}
	id := randomID()
	path := make([]byte, len(OutboxPrefix)+hex.EncodedLen(len(id)))
	hex.Encode(path[copy(path, OutboxPrefix):], id[:])
	return store.Op{Key: path, Value: o.sealer.Seal(path, event)}
}

// Pause between attempts when draining fails; it doubles up to the second.
const (
	retryMin = 50 * time.Millisecond
	retryMax = 5 * time.Second
)

// Run drains the outbox whenever something is put into it, until ctx ends; then
// it drains what is there and returns. Failures are logged and tried again: what
// is in the outbox is not lost by waiting.
func (o *Outbox) Run(ctx context.Context) {
	retry := retryMin
	pause := func(doing string, err error) {
		o.log.cfg.Logger.Error(doing+" failed; trying again", "error", err, "pause", retry)
		select {
		case <-ctx.Done():
		case <-time.After(retry):
		}
		retry = min(2*retry, retryMax)
	}
	for ctx.Err() == nil {
		seen, err := o.drain(ctx)
		if err != nil {
			if ctx.Err() == nil {
				pause("draining the audit outbox", err)
			}
			continue
		}
		retry = retryMin
		if err := o.await(ctx, seen); err != nil && ctx.Err() == nil {
			pause("watching the audit outbox", err)
		}
	}
	// The entries stay in the store if this fails and are drained at the next start.
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	if _, err := o.drain(last); err != nil && !errors.Is(err, ErrClosed) && !errors.Is(err, store.ErrClosed) {
		o.log.cfg.Logger.Error("draining the audit outbox at the end failed; it goes on at the next start", "error", err)
	}
}

// await returns when an entry was written after the revision seen.
func (o *Outbox) await(ctx context.Context, seen store.Revision) error {
	for ev, err := range o.store.Watch(ctx, []byte(OutboxPrefix), seen) {
		if errors.Is(err, store.ErrCompacted) {
			return nil // look again
		}
		if err != nil {
			return err
		}
		if !ev.Deleted {
			return nil
		}
	}
	return nil
}

// Drain moves everything that is in the outbox to the log, durably, and returns
// when it is out of the store.
func (o *Outbox) Drain(ctx context.Context) error {
	_, err := o.drain(ctx)
	return err
}

// drain returns the revision up to which it has looked.
func (o *Outbox) drain(ctx context.Context) (store.Revision, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	entries, revision, err := o.entries(ctx)
	if err != nil {
		return 0, err
	}
	if len(entries) == 0 {
		clear(o.recorded) // also of what a failed write did delete
		return revision, nil
	}
	if err := o.record(entries, revision); err != nil {
		return 0, err
	}
	// Nothing leaves the store before it is on the disk of the log.
	if err := o.log.Sync(); err != nil {
		return 0, err
	}
	for chunk := range slices.Chunk(entries, store.MaxBatchOps) {
		ops := make([]store.Op, len(chunk))
		for i, e := range chunk {
			ops[i] = store.Op{Key: e.Key, Delete: true}
		}
		if _, err := o.store.Write(ctx, store.Batch{Ops: ops}); err != nil {
			return 0, fmt.Errorf("deleting drained entries: %w", err)
		}
		for _, e := range chunk {
			delete(o.recorded, string(e.Key))
		}
	}
	return revision, nil
}

// entries returns the outbox at one revision, in order of the changes.
func (o *Outbox) entries(ctx context.Context) ([]store.Entry, store.Revision, error) {
	view, err := o.store.Snapshot(ctx)
	if err != nil {
		return nil, 0, fmt.Errorf("opening a snapshot of the outbox: %w", err)
	}
	defer view.Close()
	prefix := []byte(OutboxPrefix)
	var entries []store.Entry
	for e, err := range view.Scan(prefix, store.PrefixEnd(prefix)) {
		if err != nil {
			return nil, 0, fmt.Errorf("reading the outbox: %w", err)
		}
		entries = append(entries, store.Entry{Key: slices.Clone(e.Key), Value: slices.Clone(e.Value), Revision: e.Revision})
	}
	slices.SortStableFunc(entries, func(a, b store.Entry) int { return cmp.Compare(a.Revision, b.Revision) })
	return entries, view.Revision(), nil
}

// record appends the entries that the log does not contain yet, as few frames
// as will hold them. A frame's mark promises all of the outbox up to a revision,
// so entries of one revision are never parted.
func (o *Outbox) record(entries []store.Entry, revision store.Revision) error {
	mark := o.log.outboxMark()
	entries = slices.DeleteFunc(slices.Clone(entries), func(e store.Entry) bool {
		return e.Revision <= mark || o.recorded[string(e.Key)]
	})
	for len(entries) > 0 {
		var events [][]byte
		size := 0
		for i, e := range entries {
			if size >= groupBytes && e.Revision > entries[i-1].Revision {
				break
			}
			event, err := o.sealer.Open(e.Key, e.Value)
			if err != nil {
				return fmt.Errorf("opening an outbox entry: %w", err)
			}
			events, size = append(events, event), size+len(event)
		}
		n := len(events)
		upTo := revision
		if n < len(entries) {
			upTo = entries[n-1].Revision
		}
		if err := o.log.appendOutbox(events, upTo); err != nil {
			return err
		}
		for _, e := range entries[:n] {
			o.recorded[string(e.Key)] = true
		}
		entries = entries[n:]
	}
	return nil
}

package kms

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/keywright/keywright/internal/awsapi"
	"github.com/keywright/keywright/internal/call"
	"github.com/keywright/keywright/internal/kmsapi"
	"github.com/keywright/keywright/internal/record"
	"github.com/keywright/keywright/internal/store"
)

const (
	day = 24 * time.Hour

	// The waiting period that ScheduleKeyDeletion allows, in days.
	minPendingWindow, maxPendingWindow, defaultPendingWindow = 7, 30, 30
)

func (s *Service) scheduleKeyDeletion(c *call.Call, req *kmsapi.ScheduleKeyDeletionRequest) (*kmsapi.ScheduleKeyDeletionResponse, error) {
	window := int32(defaultPendingWindow)
	if req.PendingWindowInDays != nil {
		window = *req.PendingWindowInDays
	}
	switch { // the model allows 1 to 365, the service less
	case window < minPendingWindow:
		return nil, awsapi.Errorf(awsapi.CodeValidation, "1 validation error detected: Value '%d' at 'pendingWindowInDays' failed to satisfy constraint: Member must have value greater than or equal to %d", window, minPendingWindow)
	case window > maxPendingWindow:
		return nil, awsapi.Errorf(awsapi.CodeValidation, "1 validation error detected: Value '%d' at 'pendingWindowInDays' failed to satisfy constraint: Member must have value less than or equal to %d", window, maxPendingWindow)
	}
	cond := conditions{values: map[string]string{"kms:schedulekeydeletionpendingwindowindays": itoa(int64(window))}}
	t, err := s.changeable(c, req.KeyId, "kms:ScheduleKeyDeletion", cond)
	if err != nil {
		return nil, err
	}
	if err := checkNotPending(t.Key); err != nil {
		return nil, err
	}
	k := *t.Key
	k.Deletion = millis(c.Now().Add(time.Duration(window) * day))
	resp := &kmsapi.ScheduleKeyDeletionResponse{
		KeyId:               k.arn,
		DeletionDate:        new(fromMillis(k.Deletion)),
		KeyState:            kmsapi.KeyStatePendingDeletion,
		PendingWindowInDays: new(window),
	}
	tx := c.Tx()
	record.Put(tx, t.path, t.revision, &k)
	record.Put(tx, duePath(deletions, k.Deletion, &k), 0, &due{Version: dueVersion})
	return resp, c.Commit(tx, resp)
}

func (s *Service) cancelKeyDeletion(c *call.Call, req *kmsapi.CancelKeyDeletionRequest) (*kmsapi.CancelKeyDeletionResponse, error) {
	t, err := s.changeable(c, req.KeyId, "kms:CancelKeyDeletion", conditions{})
	if err != nil {
		return nil, err
	}
	if t.Deletion == 0 {
		return nil, notPendingDeletion(t.Key)
	}
	k := *t.Key
	k.Deletion = 0
	k.Disabled = true // never back to Enabled by itself
	tx := c.Tx()
	record.Put(tx, t.path, t.revision, &k)
	tx.Do(store.Op{Key: duePath(deletions, t.Deletion, t.Key), Delete: true})
	resp := &kmsapi.CancelKeyDeletionResponse{KeyId: k.arn}
	return resp, c.Commit(tx, resp)
}

// The worker's two indexes: keys by the date they go, and tombstones by the
// date their material does.
const (
	deletions = "deletion/"
	erasures  = "erasure/"
)

// dueDigits makes dates sort as text until the year 5138.
const dueDigits = 14

func duePath(index string, ms int64, k *Key) []byte {
	return join(index, fmt.Sprintf("%0*d", dueDigits, ms), "/", k.Account, "/", k.Region, "/", k.ID)
}

// Worker deletes keys whose waiting period is over, in two phases: first the
// key goes, with its aliases, and a tombstone stays; after Grace the tombstone
// and the key material are erased. Only the second cannot be undone.
type Worker struct {
	Service *Service
	// Grace is how long the material outlives the key.
	Grace time.Duration
	// Guard says whether the clock can be trusted to do what cannot be undone.
	// While it answers an error nothing is deleted or erased.
	Guard func(context.Context) error
}

// idle is how long a worker sleeps at most: it bounds how late work is done
// after another node scheduled it.
const idle = time.Minute

// Run works until ctx ends.
func (w *Worker) Run(ctx context.Context) {
	for {
		moved := w.Service.path.Clock.Moved() // before the work, so that no move is missed
		next, err := w.Work(ctx)
		wait := idle
		if err != nil && ctx.Err() == nil {
			w.Service.log.Error("deleting keys whose waiting period is over; it is tried again", "error", err)
		} else if !next.IsZero() {
			wait = min(max(next.Sub(w.Service.path.Clock.Now()), 0), idle)
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-moved:
		case <-timer.C:
		}
		timer.Stop()
	}
}

// Work does all that is due and returns when the next work is, zero if none is.
// What fails does not hold up the rest; it stays due.
func (w *Worker) Work(ctx context.Context) (next time.Time, err error) {
	for _, index := range []string{deletions, erasures} {
		n, workErr := w.work(ctx, index)
		err = errors.Join(err, workErr)
		if next.IsZero() || !n.IsZero() && n.Before(next) {
			next = n
		}
	}
	return next, err
}

// maxWorkErrors is after how many failures a run gives up: then it is not the
// keys that are at fault.
const maxWorkErrors = 10

// work does what is due in one index.
func (w *Worker) work(ctx context.Context, index string) (next time.Time, err error) {
	var failed []error
	for from := []byte(index); len(failed) < maxWorkErrors; {
		it, ok, err := w.first(ctx, index, from)
		if err == nil && (!ok || it.at.After(w.Service.path.Clock.Now())) {
			return it.at, errors.Join(failed...)
		}
		if err == nil {
			if err := w.Guard(ctx); err != nil {
				return time.Time{}, errors.Join(append(failed, err)...)
			}
			if index == deletions {
				err = w.delete(ctx, it)
			} else {
				err = w.erase(ctx, it)
			}
		}
		if err != nil {
			failed = append(failed, err)
		}
		if it.path == nil {
			break // the index itself cannot be read
		}
		from = append(it.path, 0)
	}
	return time.Time{}, errors.Join(failed...)
}

// item is an entry of one of the worker's indexes.
type item struct {
	path                []byte
	at                  time.Time
	account, region, id string
}

// first reads the first entry of an index from a path on; false if there is none.
// A malformed entry is an error with the path alone.
func (w *Worker) first(ctx context.Context, index string, from []byte) (item, bool, error) {
	v, err := w.Service.path.DB.View(ctx)
	if err != nil {
		return item{}, false, err
	}
	defer v.Close()
	for path, err := range v.Paths(from, store.PrefixEnd([]byte(index))) {
		if err != nil {
			return item{}, false, fmt.Errorf("reading the work index: %w", err)
		}
		it := item{path: bytes.Clone(path)}
		parts := bytes.Split(it.path[len(index):], []byte("/"))
		ms, err := strconv.ParseInt(string(parts[0]), 10, 64)
		if err != nil || len(parts) != 4 {
			return it, false, fmt.Errorf("work index entry %q is malformed", path)
		}
		it.at, it.account, it.region, it.id = fromMillis(ms), string(parts[1]), string(parts[2]), string(parts[3])
		return it, true, nil
	}
	return item{}, false, nil
}

// delete takes the key and its aliases away and leaves a tombstone.
func (w *Worker) delete(ctx context.Context, it item) error {
	s := w.Service
	err := s.path.Run(ctx, s.internalEvent("DeleteKey", it.region), func(c *call.Call) error {
		k, err := record.Get[Key](c.View, keyPath(it.account, it.region, it.id))
		if err != nil {
			return fmt.Errorf("reading key %s, which is due for deletion: %w", it.id, err)
		}
		c.Touch(k.Value.arn, k.Value.Account)
		if due, err := c.View.Has(it.path); err != nil {
			return err
		} else if !due { // cancelled at the last moment
			return notPendingDeletion(k.Value)
		}
		if millis(it.at) != k.Value.Deletion {
			return fmt.Errorf("work index entry %q does not fit its key", it.path)
		}
		tx := c.Tx()
		tx.Delete(k.Path, k.Revision)
		tx.Do(store.Op{Key: it.path, Delete: true})
		prefix := keyAliasPrefix(it.account, it.region, it.id)
		for path, err := range c.View.Paths(prefix, store.PrefixEnd(prefix)) {
			if err != nil {
				return err
			}
			tx.Do(store.Op{Key: bytes.Clone(path), Delete: true})
			tx.Do(store.Op{Key: append(aliasPrefix(it.account, it.region), path[len(prefix):]...), Delete: true})
		}
		now := c.Now()
		record.Put(tx, tombstonePath(it.account, it.region, it.id), 0, &Tombstone{Version: tombstoneVersion, Key: *k.Value, Deleted: millis(now)})
		record.Put(tx, duePath(erasures, millis(now.Add(w.Grace)), k.Value), 0, &due{Version: dueVersion})
		done := s.keyCount.delete(it.account, it.region)
		err = c.Commit(tx, nil)
		done(err)
		if err == nil {
			s.log.Info("a key was deleted", "key", k.Value.arn, "erased_after", w.Grace)
		}
		return err
	})
	if isCode(err, kmsapi.CodeKMSInvalidStateException) {
		return nil // there is nothing to do any more
	}
	return err
}

// eraseBatch bounds the materials that are erased in one batch.
const eraseBatch = 64

// erase destroys the material of a key that is gone. A key of many materials
// takes several batches; the tombstone goes with the last.
func (w *Worker) erase(ctx context.Context, it item) error {
	for {
		last, err := w.eraseSome(ctx, it)
		if last || err != nil && !errors.Is(err, store.ErrConflict) {
			return err
		}
	}
}

func (w *Worker) eraseSome(ctx context.Context, it item) (last bool, err error) {
	s := w.Service
	v, err := s.path.DB.View(ctx)
	if err != nil {
		return false, err
	}
	defer v.Close()
	tomb, err := record.Get[Tombstone](v, tombstonePath(it.account, it.region, it.id))
	if err != nil {
		return false, fmt.Errorf("reading the tombstone of key %s: %w", it.id, err)
	}
	inUse, err := materialsElsewhere(v, it)
	if err != nil {
		return false, fmt.Errorf("looking for key %s in other Regions: %w", it.id, err)
	}
	tx := s.path.DB.Tx()
	last = true
	n := 0
	prefix := materialPrefix(it.account, it.id)
	for path, err := range v.Paths(prefix, store.PrefixEnd(prefix)) {
		if err != nil {
			return false, err
		}
		if inUse[string(path)] {
			continue
		}
		if n++; n > eraseBatch {
			last = false
			break
		}
		tx.Do(store.Op{Key: bytes.Clone(path), Delete: true})
	}
	if last {
		tx.Delete(tomb.Path, tomb.Revision)
		tx.Do(store.Op{Key: it.path, Delete: true})
	}
	if _, err := tx.Commit(ctx); err != nil {
		return false, fmt.Errorf("erasing the material of key %s: %w", it.id, err)
	}
	if last {
		s.log.Info("the material of a deleted key was erased", "key", tomb.Value.Key.arn)
	}
	return last, nil
}

// materialsElsewhere returns the paths of the material that the account's keys of
// the same id in other Regions have, deleted ones that wait for their own
// erasure included: material is stored without a Region.
func materialsElsewhere(v *record.View, it item) (map[string]bool, error) {
	inUse := make(map[string]bool)
	note := func(k *Key) { inUse[string(materialPath(k.Account, k.ID, k.Material))] = true }
	for region, err := range regionsOf(v, "key/", it.account) {
		if err != nil {
			return nil, err
		}
		switch k, err := record.Get[Key](v, keyPath(it.account, region, it.id)); {
		case err == nil:
			note(k.Value)
		case !errors.Is(err, store.ErrNotFound):
			return nil, err
		}
	}
	for region, err := range regionsOf(v, "tombstone/", it.account) {
		if err != nil {
			return nil, err
		}
		switch t, err := record.Get[Tombstone](v, tombstonePath(it.account, region, it.id)); {
		case region == it.region:
		case err == nil:
			note(&t.Value.Key)
		case !errors.Is(err, store.ErrNotFound):
			return nil, err
		}
	}
	return inUse, nil
}

// internalEvent is the record of work that the service does by itself.
func (s *Service) internalEvent(name, region string) *call.Record {
	return &call.Record{
		RequestID: call.NewRequestID(),
		Service:   "kms", Source: "kms.amazonaws.com",
		Operation: name, Region: region,
		FaultCode: kmsapi.CodeKMSInternalException,
		Caller:    call.Caller{Type: call.TypeInternal},
		Time:      s.path.Clock.Now(),
	}
}

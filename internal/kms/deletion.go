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
		return nil, awsapi.Errorf(kmsapi.CodeKMSInvalidStateException, "%s is not pending deletion.", t.arn)
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
func (w *Worker) Work(ctx context.Context) (next time.Time, err error) {
	for _, index := range []string{deletions, erasures} {
		n, err := w.work(ctx, index)
		if err != nil {
			return next, err
		}
		if next.IsZero() || !n.IsZero() && n.Before(next) {
			next = n
		}
	}
	return next, nil
}

func (w *Worker) work(ctx context.Context, index string) (next time.Time, err error) {
	for {
		item, ok, err := w.first(ctx, index)
		if err != nil || !ok {
			return time.Time{}, err
		}
		if item.at.After(w.Service.path.Clock.Now()) {
			return item.at, nil
		}
		if err := w.Guard(ctx); err != nil {
			return time.Time{}, err
		}
		if index == deletions {
			err = w.delete(ctx, item)
		} else {
			err = w.erase(ctx, item)
		}
		if err != nil {
			return time.Time{}, err
		}
	}
}

// item is an entry of one of the worker's indexes.
type item struct {
	path                []byte
	at                  time.Time
	account, region, id string
}

func (w *Worker) first(ctx context.Context, index string) (item, bool, error) {
	v, err := w.Service.path.DB.View(ctx)
	if err != nil {
		return item{}, false, err
	}
	defer v.Close()
	for path, err := range v.Paths([]byte(index), store.PrefixEnd([]byte(index))) {
		if err != nil {
			return item{}, false, err
		}
		parts := bytes.Split(path[len(index):], []byte("/"))
		if len(parts) != 4 {
			return item{}, false, fmt.Errorf("work index entry %q is malformed", path)
		}
		ms, err := strconv.ParseInt(string(parts[0]), 10, 64)
		if err != nil {
			return item{}, false, fmt.Errorf("work index entry %q is malformed", path)
		}
		return item{bytes.Clone(path), fromMillis(ms), string(parts[1]), string(parts[2]), string(parts[3])}, true, nil
	}
	return item{}, false, nil
}

// delete takes the key and its aliases away and leaves a tombstone.
func (w *Worker) delete(ctx context.Context, it item) error {
	s := w.Service
	return s.path.Run(ctx, s.internalEvent("DeleteKey", it.region), func(c *call.Call) error {
		k, err := record.Get[Key](c.View, keyPath(it.account, it.region, it.id))
		if err != nil {
			return fmt.Errorf("reading key %s, which is due for deletion: %w", it.id, err)
		}
		if millis(it.at) != k.Value.Deletion {
			return fmt.Errorf("work index entry %q does not fit its key", it.path)
		}
		c.Touch(k.Value.arn, k.Value.Account)
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
		if err := c.Commit(tx, nil); err != nil {
			return err
		}
		s.keyCount.add(it.account, it.region, -1)
		s.log.Info("a key was deleted", "key", k.Value.arn, "erased_after", w.Grace)
		return nil
	})
}

// eraseBatch bounds the materials that are erased in one batch.
const eraseBatch = 64

// erase destroys the material of a key that is gone. A key of many materials
// takes several batches; the tombstone goes with the last.
func (w *Worker) erase(ctx context.Context, it item) error {
	s := w.Service
	for {
		v, err := s.path.DB.View(ctx)
		if err != nil {
			return err
		}
		tomb, err := record.Get[Tombstone](v, tombstonePath(it.account, it.region, it.id))
		if err != nil {
			v.Close()
			return fmt.Errorf("reading the tombstone of key %s: %w", it.id, err)
		}
		tx := s.path.DB.Tx()
		last := true
		prefix := materialPrefix(it.account, it.id)
		n := 0
		for path, err := range v.Paths(prefix, store.PrefixEnd(prefix)) {
			if err != nil {
				v.Close()
				return err
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
		v.Close()
		if _, err := tx.Commit(ctx); err != nil && !errors.Is(err, store.ErrConflict) {
			return fmt.Errorf("erasing the material of key %s: %w", it.id, err)
		} else if err == nil && last {
			s.log.Info("the material of a deleted key was erased", "key", tomb.Value.Key.arn)
			return nil
		}
	}
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

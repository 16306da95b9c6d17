package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/keywright/keywright/internal/record"
	"github.com/keywright/keywright/internal/store"
)

// timeGuard keeps a wrong clock from destroying keys. It writes down, every
// minute, the wall time together with the time since the machine started, which
// nobody can set. Work that cannot be undone asks check first: wall time must
// have moved as far as the other one did.
type timeGuard struct {
	db   *record.DB
	log  *slog.Logger
	read func() reading // the machine's two clocks; tests replace it

	mu   sync.Mutex
	last error // of the last check, for readiness
}

// reading is one look at the machine's clocks.
type reading struct {
	wall    time.Time
	boot    string // changes when the machine restarts
	elapsed time.Duration
}

// highWater is the record of the newest reading that was believed.
type highWater struct {
	Version int    `json:"v"`
	Wall    int64  `json:"wall"` // milliseconds since 1970
	Boot    string `json:"boot"`
	Elapsed int64  `json:"elapsed"` // milliseconds since the machine started
}

func (h *highWater) Prepare() error {
	if h.Version != 1 {
		return fmt.Errorf("clock record of version %d; this keywright knows version 1: use a newer one", h.Version)
	}
	return nil
}

var highWaterPath = []byte("clock/highwater")

const (
	// guardTick is how often the reading is written down.
	guardTick = time.Minute
	// guardSlack is how far the clocks may part: NTP corrects small errors, and
	// a thousandth is more than any oscillator is off.
	guardSlack = 5 * time.Minute
	// guardOff is how long a machine may have been switched off before a person
	// has to say that the time is right. Shorter than the shortest waiting
	// period of a deletion.
	guardOff = 6 * 24 * time.Hour
)

func newTimeGuard(db *record.DB, log *slog.Logger) *timeGuard {
	return &timeGuard{db: db, log: log, read: readClocks}
}

// errTime is what the guard says of a clock it does not believe.
var errTime = errors.New("the clock cannot be trusted, so no key is deleted")

// check compares the clocks with the record, and where they agree moves the
// record on.
func (g *timeGuard) check(ctx context.Context) error {
	err := g.compare(ctx)
	g.mu.Lock()
	defer g.mu.Unlock()
	if errors.Is(err, errTime) && !errors.Is(g.last, errTime) {
		g.log.Error("work that cannot be undone has stopped", "error", err, "hint", "set the clock right, or confirm the time with `keywright clock confirm`")
	}
	g.last = err
	return err
}

// status is the result of the last check.
func (g *timeGuard) status() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.last
}

func (g *timeGuard) compare(ctx context.Context) error {
	v, err := g.db.View(ctx)
	if err != nil {
		return err
	}
	defer v.Close()
	now := g.read()
	found, err := record.Get[highWater](v, highWaterPath)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	if err == nil {
		if err := agrees(found.Value, now); err != nil {
			return err
		}
	}
	return g.put(ctx, found.Revision, now)
}

// agrees compares a reading with the one written down.
func agrees(h *highWater, now reading) error {
	then := time.UnixMilli(h.Wall)
	earliest, latest := then, then.Add(now.elapsed+guardOff)
	if h.Boot == now.boot {
		passed := now.elapsed - time.Duration(h.Elapsed)*time.Millisecond
		earliest, latest = then.Add(passed-passed/1000), then.Add(passed+passed/1000)
	}
	switch {
	case now.wall.Before(earliest.Add(-guardSlack)):
		return fmt.Errorf("%w: it shows %s, but it was %s or later already", errTime, now.wall.UTC().Format(time.RFC3339), earliest.UTC().Format(time.RFC3339))
	case now.wall.After(latest.Add(guardSlack)):
		return fmt.Errorf("%w: it shows %s, but by the time since the machine started it is %s at the latest", errTime, now.wall.UTC().Format(time.RFC3339), latest.UTC().Format(time.RFC3339))
	}
	return nil
}

func (g *timeGuard) put(ctx context.Context, rev store.Revision, now reading) error {
	tx := g.db.Tx()
	record.Put(tx, highWaterPath, rev, &highWater{
		Version: 1, Wall: now.wall.UnixMilli(), Boot: now.boot, Elapsed: now.elapsed.Milliseconds(),
	})
	_, err := tx.Commit(ctx)
	if errors.Is(err, store.ErrConflict) {
		return nil // another check was quicker
	}
	return err
}

// confirm takes the clock as it stands, on the word of an operator.
func (g *timeGuard) confirm(ctx context.Context) (time.Time, error) {
	v, err := g.db.View(ctx)
	if err != nil {
		return time.Time{}, err
	}
	defer v.Close()
	found, err := record.Get[highWater](v, highWaterPath)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return time.Time{}, err
	}
	now := g.read()
	if err := g.put(ctx, found.Revision, now); err != nil {
		return time.Time{}, err
	}
	return now.wall, g.check(ctx)
}

// run checks until ctx ends.
func (g *timeGuard) run(ctx context.Context) {
	ticker := time.NewTicker(guardTick)
	defer ticker.Stop()
	for {
		if err := g.check(ctx); err != nil && !errors.Is(err, errTime) && ctx.Err() == nil {
			g.log.Error("writing down the time", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

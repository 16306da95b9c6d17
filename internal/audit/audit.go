// Package audit keeps Keywright's record of what was asked of it and by whom:
// events in CloudTrail's form, in a log on disk that can be checked.
//
// The log is a chain of segments. Every frame in it carries the hash of the one
// before and a MAC under a key that exists only for that frame, so a changed,
// missing or added record is found by Verify, and somebody who takes over the
// machine cannot rewrite segments that were closed before. What no chain can
// show by itself is the loss of its newest end: frames cut off the last segment
// of a folder that somebody else can write to.
//
// A call that changes nothing is recorded by Log.Append before its answer
// leaves. A change is recorded through the store: its event is put into the
// Outbox by the same batch as the change, and drained to the log exactly once.
//
// The package does not decide what is recorded (internal/call does), does not
// search (internal/trail does), and never sees the keys that seal the store. It
// is not for operator's logs, which are log/slog's.
package audit

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/keywright/keywright/internal/clock"
	"github.com/keywright/keywright/internal/store"
)

// The errors callers branch on.
var (
	// ErrNoSpace: the disk is full, or what is left of it is held for the
	// outbox. Nothing was recorded; a later call may succeed.
	ErrNoSpace = errors.New("audit: no space left for the audit log")
	// ErrClosed: the log was closed.
	ErrClosed = errors.New("audit: log closed")
	// ErrRolledBack: the log knows a newer state of the store than the store
	// itself. Either the store was put back to an old copy, or the audit folder
	// belongs to another store.
	ErrRolledBack = errors.New("audit: the store is older than the audit log says; " +
		"if it was restored on purpose, restore it with the restore command, else find out who put it back")
	// ErrMissing: the segments that the KeyStore's State names are not in the
	// folder, or others are there.
	ErrMissing = errors.New("audit: the log that the store knows is missing")
)

// State is what a log needs to go on with its chain after a restart. It must be
// kept where only the server can read it.
type State struct {
	ChainID         [16]byte
	SegmentNumber   uint64 // of the segment in its chain, from 0
	SegmentFirstSeq uint64 // sequence number of its first record, which names it
	// SegmentStartKey is the secret that the MACs of that segment and of all
	// later ones come from.
	SegmentStartKey [keySize]byte
}

// KeyStore keeps the State, sealed. The log calls it at Open and after each
// rotation, from one goroutine at a time and never while it holds a lock that
// Append or the Outbox needs.
type KeyStore interface {
	// Load returns the State last saved; false where none ever was.
	Load(ctx context.Context) (State, bool, error)
	// Save replaces the State; it is durable when Save returns. The state
	// replaced must not be readable afterwards: that is what keeps closed
	// segments from being forged.
	//
	// The first State of a chain has SegmentNumber 0. Its SegmentStartKey is
	// the key of the whole chain: an implementation wraps it, in the same
	// write, so that only the recovery key opens it, for Verify.
	Save(ctx context.Context, s State) error
}

// Config is how a Log is kept. Zero values mean the default named.
type Config struct {
	// Dir is the folder of the segments. It is made where it does not exist.
	// Only one Log may have it open; the lock of the store beside it sees to that.
	Dir string

	Keys   KeyStore
	Clock  *clock.Clock // default: the machine's time
	Logger *slog.Logger // default: none

	// SegmentBytes and SegmentAge are when a segment is closed and the next one
	// begun, whichever comes first. Default 64 MiB and one day.
	SegmentBytes int64
	SegmentAge   time.Duration

	// RetainAge and RetainBytes are how long and how much is kept: closed
	// segments are deleted, oldest first, once their newest record is older, or
	// while all segments together are larger. Default 90 days, and no bound on
	// the size.
	RetainAge   time.Duration
	RetainBytes int64

	// Delivered returns the sequence number up to which all records were
	// delivered elsewhere; what was not is never deleted. Nil: nothing is
	// delivered anywhere, and only age and size count.
	Delivered func() uint64

	// SyncInterval bounds how long a record of a call that changed nothing may
	// be in the kernel's hands only. The death of the process does not lose it,
	// a loss of power may. Default one second.
	SyncInterval time.Duration

	// StoreRevision returns the store's newest revision. It is called at Open,
	// about once a minute, and at Close, and stands in the log's checkpoints.
	// Nil: a store that was put back is not noticed.
	StoreRevision func(ctx context.Context) (store.Revision, error)
	// AcceptRollback lets Open go on where it would return ErrRolledBack. For
	// the restore command. Outbox entries that the restored store still has are
	// recorded again where they were drained since: twice rather than never.
	AcceptRollback bool

	// ReserveBytes is the size of a file that holds space for the outbox. When
	// the disk is full it is given up, calls are refused that would only be
	// recorded, and changes already made are still drained to the log. Default
	// 16 MiB; negative: none.
	ReserveBytes int64

	// LowSpaceBytes is the free space below which Status and one warning say
	// so. Default 1 GiB.
	LowSpaceBytes uint64
}

func (c *Config) setDefaults() {
	if c.Clock == nil {
		c.Clock = new(clock.Clock)
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	for v, def := range map[*time.Duration]time.Duration{
		&c.SegmentAge:   24 * time.Hour,
		&c.RetainAge:    90 * 24 * time.Hour,
		&c.SyncInterval: time.Second,
	} {
		if *v <= 0 {
			*v = def
		}
	}
	if c.SegmentBytes <= 0 {
		c.SegmentBytes = 64 << 20
	}
	if c.ReserveBytes == 0 {
		c.ReserveBytes = 16 << 20
	}
	if c.LowSpaceBytes == 0 {
		c.LowSpaceBytes = 1 << 30
	}
}

// Status is the log's state, for metrics and readiness.
type Status struct {
	BytesFree    uint64    // free space of the disk, as last looked at
	LowSpace     bool      // less than Config.LowSpaceBytes
	ReserveHeld  bool      // the reserve is in place, or none is configured
	Segments     int       // number of segments, the open one included
	Bytes        int64     // their size on disk
	OldestTime   time.Time // when the oldest segment was begun
	LastSequence uint64    // of the newest record; 0 where there is none
	OutboxMark   store.Revision
	Err          error // not nil: the log refuses every record until it is opened anew
}

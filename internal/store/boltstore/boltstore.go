// Package boltstore keeps a store.Store in one bbolt file: the store of a
// Keywright that runs on one machine. It adds to bbolt what the contract asks
// for and bbolt lacks: a group commit that gives each batch a revision of its
// own, a feed of commits, snapshots that cost next to nothing, and a format
// version that an older binary refuses.
//
// It is not a cache: nothing but the most recent commits is held in memory,
// the rest is read from the mapped file.
//
// # File
//
// The bucket "meta" holds four records, numbers as 8 bytes big-endian: format
// (this package writes 1), created (Unix time in milliseconds), id (16 random
// bytes) and revision (of the newest commit). The bucket "data" maps each key
// to the revision that last wrote it (8 bytes big-endian) followed by the
// value.
//
// # Damage
//
// bbolt checksums its two root pages and nothing else. What a disk does to the
// values is noticed above, where they are sealed; what it does to the tree
// makes bbolt panic, or touch memory that is not there. Open, Write, Get and
// Scan turn both into errors, or answer wrongly where the damage still reads as
// a tree. They cannot catch what the Go runtime does not let them catch: a page
// that names one of its own ancestors as a child makes bbolt recurse until the
// process ends.
package boltstore

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"

	"github.com/keywright/keywright/internal/store"
)

// Options are settings of a Store. The zero value is ready for use.
type Options struct {
	// LockTimeout is how long Open waits for another process to let go of the
	// file. Zero means one second.
	LockTimeout time.Duration

	// OnCommit, where set, is called after each commit to the disk, by the one
	// goroutine that commits: it must be quick.
	OnCommit func(Commit)
}

// Commit describes one commit to the disk, for metrics.
type Commit struct {
	Batches  int           // batches that shared it
	Duration time.Duration // writing and syncing
	Err      error         // nil where it succeeded
}

// Stats is the state of a Store, for metrics.
type Stats struct {
	Revision     store.Revision
	Commits      uint64 // commits to the disk since Open; each holds one batch or more
	FileBytes    int64  // length of the file; parts never written may take no space
	FreeBytes    int64  // within the file, ready for reuse
	PendingBytes int64  // within the file, free once the views that see them are closed
}

// Store is a store.Store in a bbolt file.
type Store struct {
	path   string
	memory bool
	opts   Options

	// commitTx is (*bbolt.Tx).Commit; tests make it fail.
	commitTx func(*bbolt.Tx) error

	queue   chan *request // unbuffered: a request received is a request answered
	closing chan struct{}
	stopped chan struct{} // closed when the committing goroutine has ended
	closed  sync.Once
	err     error // of Close

	// db belongs to the committing goroutine: it alone replaces it. Others
	// read through current, or for figures.
	db      atomic.Pointer[bbolt.DB]
	current atomic.Pointer[snapshot] // nil while there is none: closed, or being reopened
	recent  recent
	commits atomic.Uint64
	id      [16]byte
	created time.Time
}

var _ store.Store = (*Store)(nil)

// Open opens the store in the file at path, and creates the file, readable by
// its owner only, where there is none. One process at a time can have it open.
// A file of a newer format, or one that is no store of Keywright, is refused
// and left as it is.
func Open(path string, opts Options) (*Store, error) {
	return open(&Store{path: path, opts: opts})
}

func open(s *Store) (*Store, error) {
	s.commitTx = (*bbolt.Tx).Commit
	s.queue = make(chan *request)
	s.closing = make(chan struct{})
	s.stopped = make(chan struct{})
	if err := s.load(); err != nil {
		return nil, err
	}
	go s.run()
	return s, nil
}

// load opens the file and publishes its newest state. It serves Open and the
// recovery from a failed commit.
func (s *Store) load() (err error) {
	var db *bbolt.DB
	defer func() {
		if err != nil && db != nil {
			err = errors.Join(err, guard(db.Close))
		}
		if err != nil {
			err = fmt.Errorf("opening store %s: %w", s.path, err)
		}
	}()
	return guard(func() error {
		var file *os.File
		db, file, err = s.openFile()
		if err != nil {
			return err
		}
		head, err := readHeader(db)
		if errors.Is(err, errNew) {
			head, err = writeHeader(db)
		}
		if err != nil {
			return err
		}
		if !s.memory {
			if err := settle(db, file, s.path); err != nil {
				return err
			}
		}
		snap, err := newSnapshot(db)
		if err != nil {
			return err
		}
		s.id, s.created = head.id, head.created
		s.db.Store(db)
		s.current.Store(snap)
		s.recent.reset(snap.revision)
		return nil
	})
}

// mapBytes is how much address space the file is mapped to from the start. As
// long as the file is smaller, bbolt need not map it anew when it grows, for
// which it would wait until all views are closed and let none be opened
// meanwhile. Address space that no file stands behind costs nothing, but on
// Windows the file would get that size, and 32 bits have no room for it.
func mapBytes() int {
	if strconv.IntSize < 64 || runtime.GOOS == "windows" {
		return 0
	}
	return 64 << 30
}

// growBytes is by how much the file is made longer when it is full. Each time
// costs one more sync.
const growBytes = 1 << 20

func (s *Store) openFile() (*bbolt.DB, *os.File, error) {
	var file *os.File
	openFile := os.OpenFile
	if s.memory {
		openFile = openMemoryFile
	}
	o := &bbolt.Options{
		Timeout:         s.opts.LockTimeout,
		FreelistType:    bbolt.FreelistMapType,
		InitialMmapSize: mapBytes(),
		NoSync:          s.memory,
		NoGrowSync:      s.memory,
		OpenFile: func(name string, flag int, mode os.FileMode) (f *os.File, err error) {
			f, err = openFile(name, flag, mode)
			file = f
			return f, err
		},
	}
	if o.Timeout <= 0 {
		o.Timeout = time.Second
	}
	db, err := bbolt.Open(s.path, 0o600, o)
	switch {
	case errors.Is(err, bolterrors.ErrTimeout):
		return nil, nil, errors.New("another keywright has it open: stop it, or use another data folder")
	case errors.Is(err, bolterrors.ErrInvalid), errors.Is(err, bolterrors.ErrVersionMismatch), errors.Is(err, bolterrors.ErrChecksum):
		return nil, nil, fmt.Errorf("%w, if it is one of keywright's: %w", errDamaged, err)
	case err != nil && o.InitialMmapSize > 0:
		// Less address space may be had (ulimit -v); the price stands at mapBytes.
		o.InitialMmapSize = 0
		db, err = bbolt.Open(s.path, 0o600, o)
	}
	if err != nil {
		return nil, nil, err
	}
	db.AllocSize = growBytes
	return db, file, nil
}

// settle makes durable what load has read. A process that died between writing
// a root page and syncing it, or whose sync failed, left pages that are in the
// system's cache and perhaps not on the disk; after a failed sync, syncing
// again would not write them. So both root pages are written once more as they
// are, and synced, as is the folder, which knows the file's name. The pages
// below a root page were synced before it was written.
func settle(db *bbolt.DB, file *os.File, path string) error {
	roots := make([]byte, 2*db.Info().PageSize)
	if _, err := file.ReadAt(roots, 0); err != nil {
		return fmt.Errorf("reading file: %w", err)
	}
	if _, err := file.WriteAt(roots, 0); err != nil {
		return fmt.Errorf("writing file: %w", err)
	}
	if err := file.Sync(); err != nil {
		return fmt.Errorf("syncing file: %w", err)
	}
	if runtime.GOOS == "windows" {
		return nil // folders cannot be synced
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return fmt.Errorf("syncing its folder: %w", err)
	}
	err = dir.Sync()
	if err := errors.Join(err, dir.Close()); err != nil {
		return fmt.Errorf("syncing its folder: %w", err)
	}
	return nil
}

// ID is the random identity the store was given when it was created. A copy of
// the file has the same.
func (s *Store) ID() [16]byte { return s.id }

// Created is when the store was created, by the clock of the machine.
func (s *Store) Created() time.Time { return s.created }

// Stats returns figures of the store. Of a closed store they are zero but for
// Commits.
func (s *Store) Stats() Stats {
	st := Stats{Commits: s.commits.Load()}
	snap := s.acquire()
	if snap == nil {
		return st
	}
	defer snap.release()
	st.Revision = snap.revision
	st.FileBytes = snap.tx.Size()
	if info, err := os.Stat(s.path); err == nil && !s.memory {
		st.FileBytes = info.Size()
	}
	page := int64(snap.db.Info().PageSize)
	figures := snap.db.Stats()
	st.FreeBytes = int64(figures.FreePageN) * page
	st.PendingBytes = int64(figures.PendingPageN) * page
	return st
}

// Close implements store.Store.
func (s *Store) Close() error {
	s.closed.Do(func() {
		close(s.closing)
		<-s.stopped
		s.recent.close()
		s.err = s.unload()
	})
	return s.err
}

// unload closes the file once no view is open.
func (s *Store) unload() error {
	if snap := s.current.Swap(nil); snap != nil {
		snap.release()
	}
	db := s.db.Swap(nil)
	if db == nil {
		return nil
	}
	if err := guard(db.Close); err != nil {
		return fmt.Errorf("closing store: %w", err)
	}
	return nil
}

package audit

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/keywright/keywright/internal/store"
)

// Open opens the log in cfg.Dir, or begins it where there is none. It checks
// the segments written since the KeyStore's State was saved, normally the open
// one; Verify checks all. A frame at the end that a crash left incomplete, whose
// record therefore nobody was promised, is cut off. Anything else that is not as
// it was written is a CorruptError, and the log does not open.
//
// The caller closes the log.
func Open(ctx context.Context, cfg Config) (*Log, error) {
	cfg.setDefaults()
	if cfg.Keys == nil {
		return nil, errors.New("opening the audit log: no key store configured")
	}
	if err := os.MkdirAll(cfg.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("making the audit folder: %w", err)
	}
	l := &Log{cfg: cfg, wake: make(chan struct{}, 1)}
	if err := l.recover(ctx); err != nil {
		l.closeFile()
		return nil, err
	}
	l.mu.Lock()
	l.current = l.newGroup()
	l.mu.Unlock()
	l.look()
	l.holdReserve()

	work, stop := context.WithCancel(context.WithoutCancel(ctx))
	l.stop = stop
	l.workers.Go(func() { l.maintain(work) })
	l.workers.Go(func() { l.tidy(work) })
	return l, nil
}

func (l *Log) closeFile() {
	if l.w.file != nil {
		l.w.file.Close() // what is lost with it is cut off at the next Open
	}
}

// recover brings l to the end of its chain.
func (l *Log) recover(ctx context.Context) error {
	state, known, err := l.cfg.Keys.Load(ctx)
	if err != nil {
		return fmt.Errorf("loading the audit log's state: %w", err)
	}
	if err := l.sweep(); err != nil {
		return err
	}
	files, err := listSegments(l.cfg.Dir)
	if err != nil {
		return err
	}
	var revision store.Revision
	if l.cfg.StoreRevision != nil {
		if revision, err = l.cfg.StoreRevision(ctx); err != nil {
			return fmt.Errorf("reading the store's revision for the audit log: %w", err)
		}
	}
	if !known {
		return l.create(ctx, files, revision)
	}
	if err := l.walk(state, files); err != nil {
		return err
	}
	if err := l.listOlder(files); err != nil {
		return err
	}
	if l.cfg.StoreRevision == nil || revision >= max(l.w.pos.mark, l.w.pos.revision) {
		return l.finishOpen(ctx)
	}
	if !l.cfg.AcceptRollback {
		return fmt.Errorf("%w (store at revision %d, log at %d)", ErrRolledBack, revision, max(l.w.pos.mark, l.w.pos.revision))
	}
	l.cfg.Logger.Warn("the audit log accepts an older store", "store", revision, "log", l.w.pos.revision)
	l.writeMu.Lock()
	_, err = l.write(frameReset, make([]byte, headSize), 0, 0, revision)
	l.writeMu.Unlock()
	if err != nil {
		return err
	}
	return l.finishOpen(ctx)
}

func (l *Log) finishOpen(ctx context.Context) error {
	if err := l.Sync(); err != nil {
		return err
	}
	return l.saveState(ctx)
}

// create begins a new chain.
func (l *Log) create(ctx context.Context, files []segmentFile, revision store.Revision) error {
	// A crash before the State was saved leaves a first segment with nothing in
	// it. No record can be in it, since Open had not returned.
	if len(files) == 1 && files[0].first == 1 && !files[0].compressed {
		empty, err := isEmpty(l.cfg.Dir, files[0])
		if err != nil {
			return err
		}
		if empty {
			if err := os.Remove(filepath.Join(l.cfg.Dir, files[0].name())); err != nil {
				return fmt.Errorf("removing an empty audit segment: %w", err)
			}
			files = nil
		}
	}
	if len(files) > 0 {
		return fmt.Errorf("opening the audit log: %s holds segments, but the store knows no audit log; "+
			"if the store is new, move the segments to another folder, else bring back the store that belongs to them", l.cfg.Dir)
	}
	var start key
	var h header
	rand.Read(start[:])
	rand.Read(h.chain[:])
	h.first, h.created = 1, l.cfg.Clock.Now()
	w, err := l.begin(start, h, position{revision: revision}, frameCheckpoint)
	start.wipe()
	if err != nil {
		return err
	}
	l.w = w
	return l.finishOpen(ctx)
}

func isEmpty(dir string, f segmentFile) (bool, error) {
	for _, err := range scanAll(dir, []segmentFile{f}, 0) {
		return false, err
	}
	return true, nil
}

// walk follows the chain from the segment of the state to its end and leaves
// l.w there.
func (l *Log) walk(state State, files []segmentFile) error {
	for len(files) > 0 && files[0].first < state.SegmentFirstSeq {
		files = files[1:]
	}
	if len(files) == 0 || files[0].first != state.SegmentFirstSeq {
		return fmt.Errorf("%w: segment %s is not in %s", ErrMissing, segmentName(state.SegmentFirstSeq, false), l.cfg.Dir)
	}
	start := key(state.SegmentStartKey)
	defer start.wipe()
	var pos position
	for i, f := range files {
		newest := i == len(files)-1
		before := pos
		w, err := l.walkSegment(f, start, &pos, newest)
		if errors.Is(err, errTorn) && i > 0 {
			// The newest segment was begun and its first frame not written: go on
			// in the one before.
			l.cfg.Logger.Warn("removing an audit segment that a crash left without content", "segment", f.name())
			if err := os.Remove(filepath.Join(l.cfg.Dir, f.name())); err != nil {
				return fmt.Errorf("removing an empty audit segment: %w", err)
			}
			pos = before
			break
		}
		if err != nil {
			return fmt.Errorf("opening the audit log: %w", err)
		}
		if w.header.chain != chainID(state.ChainID) {
			return fmt.Errorf("%w: segment %s in %s belongs to another chain than the store's", ErrMissing, f.name(), l.cfg.Dir)
		}
		if i > 0 {
			w.unsaved = &State{ChainID: w.header.chain, SegmentNumber: w.header.number, SegmentFirstSeq: w.header.first, SegmentStartKey: start}
		}
		l.w = w
		start.step(labelNextSegment)
	}
	return l.reopen(files)
}

// walkSegment checks one segment and returns a writer at its end, without a
// file. It fails with errTorn where the newest segment has no complete frame.
func (l *Log) walkSegment(f segmentFile, start key, pos *position, newest bool) (writer, error) {
	w := writer{keys: start.derive(labelFirstFrame), nextKey: start.derive(labelNextSegment)}
	s, err := openSegment(l.cfg.Dir, f, pos, newest)
	if err != nil {
		return writer{}, err
	}
	defer s.close()
	s.keys = &w.keys
	for err == nil {
		_, err = s.next()
	}
	switch {
	case errors.Is(err, errTorn) && s.frame > 0:
		l.cfg.Logger.Warn("cutting off an audit frame that a crash left incomplete", "segment", f.name(), "bytes", f.size-s.offset)
		w.ragged = true
	case err != io.EOF:
		return writer{}, err
	}
	w.header, w.pos, w.size = s.header, *pos, s.offset
	return w, nil
}

// reopen opens the file of the segment at the end of the walk.
func (l *Log) reopen(files []segmentFile) error {
	w := &l.w
	for _, f := range files {
		if f.first == w.header.first && f.compressed {
			return fmt.Errorf("opening the audit log: the newest segment, %s, is compressed already: the one after it is missing; bring it back", f.name())
		}
	}
	file, err := os.OpenFile(filepath.Join(l.cfg.Dir, segmentName(w.header.first, false)), os.O_RDWR, 0)
	if err != nil {
		return fmt.Errorf("opening the audit segment: %w", err)
	}
	w.file, w.dirSync = file, true
	return w.trim()
}

// sweep removes what a crash may leave: temporary files, and plain segments
// whose compressed form is complete.
func (l *Log) sweep() error {
	entries, err := os.ReadDir(l.cfg.Dir)
	if err != nil {
		return fmt.Errorf("listing the audit folder: %w", err)
	}
	for _, e := range entries {
		name := e.Name()
		if plain, ok := strings.CutSuffix(name, ".gz"); ok {
			name = plain
		} else if !strings.HasSuffix(name, ".tmp") {
			continue
		}
		if err := os.Remove(filepath.Join(l.cfg.Dir, name)); err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("cleaning the audit folder: %w", err)
		}
	}
	return nil
}

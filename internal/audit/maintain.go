package audit

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/klauspost/compress/gzip"
)

// checkpointEvery is how often the store's revision is noted while it moves.
const checkpointEvery = time.Minute

// maintain does what time demands: syncing, checkpoints, closing the segment
// that is old enough, looking after the disk.
func (l *Log) maintain(ctx context.Context) {
	ticker := time.NewTicker(l.cfg.SyncInterval)
	defer ticker.Stop()
	noted := time.Now()
	var noting, syncing failure
	for {
		moved := l.cfg.Clock.Moved()
		select {
		case <-ctx.Done():
			return
		case <-moved:
		case <-ticker.C:
		}
		l.look()
		l.holdReserve()
		if time.Since(noted) >= checkpointEvery {
			noted = time.Now()
			l.report(ctx, &noting, "noting the store's revision in the audit log", l.noteRevision(ctx))
		}
		l.rotateByAge()
		l.report(ctx, &syncing, "syncing the audit log", l.Sync())
	}
}

// failure remembers that something recurring failed, so that it is reported
// once and not every second.
type failure bool

func (l *Log) report(ctx context.Context, f *failure, doing string, err error) {
	if err != nil && !bool(*f) && ctx.Err() == nil {
		l.cfg.Logger.Error(doing+" failed; trying again", "error", err)
	}
	*f = failure(err != nil)
}

// noteRevision writes a checkpoint with the store's newest revision.
func (l *Log) noteRevision(ctx context.Context) error {
	if l.cfg.StoreRevision == nil {
		return nil
	}
	revision, err := l.cfg.StoreRevision(ctx)
	if err != nil {
		return fmt.Errorf("reading the store's revision for the audit log: %w", err)
	}
	return l.checkpoint(revision)
}

func (l *Log) rotateByAge() {
	l.writeMu.Lock()
	defer l.writeMu.Unlock()
	now := l.cfg.Clock.Now()
	w := &l.w
	if w.err == nil && w.pos.next > w.header.first && now.Sub(w.header.created) >= l.cfg.SegmentAge {
		l.rotate(now)
	}
}

// saveState gives the KeyStore the start key of the open segment, so that the
// one it replaces, and with it the keys of closed segments, is gone. The segment
// is durable before: the State must never name one that a crash can take away.
func (l *Log) saveState(ctx context.Context) error {
	l.stateMu.Lock()
	defer l.stateMu.Unlock()
	for {
		l.writeMu.Lock()
		unsaved := l.w.unsaved
		l.writeMu.Unlock()
		if unsaved == nil {
			return nil
		}
		if err := l.Sync(); err != nil {
			return err
		}
		if err := l.cfg.Keys.Save(ctx, *unsaved); err != nil {
			return fmt.Errorf("saving the audit log's state: %w", err)
		}
		l.writeMu.Lock()
		if l.w.unsaved == unsaved {
			l.w.unsaved = nil
		}
		l.writeMu.Unlock()
		clear(unsaved.SegmentStartKey[:])
	}
}

// closedSegment is a segment that no more is written to.
type closedSegment struct {
	segmentFile
	last         uint64 // sequence number of its last record
	begun, ended time.Time
}

// listOlder fills l.older from the files before the open segment.
func (l *Log) listOlder(files []segmentFile) error {
	for i, f := range files {
		if f.first > l.w.header.first {
			break
		}
		s, err := openSegment(l.cfg.Dir, f, new(position), false)
		if err != nil {
			return fmt.Errorf("opening the audit log: %w", err)
		}
		s.close()
		if i > 0 {
			l.older[i-1].last, l.older[i-1].ended = f.first-1, s.header.created
		}
		if f.first < l.w.header.first {
			l.older = append(l.older, closedSegment{segmentFile: f, begun: s.header.created})
		}
	}
	return nil
}

// tidy saves the state, compresses segments and deletes old ones, apart from
// maintain because compressing takes its time.
func (l *Log) tidy(ctx context.Context) {
	ticker := time.NewTicker(max(l.cfg.SyncInterval, time.Second))
	defer ticker.Stop()
	var saving, compressing, deleting failure
	for {
		err := l.saveState(ctx)
		l.report(ctx, &saving, "saving the audit log's state", err)
		// Only now may closed segments change their form: until the State names
		// a later one, Open may have to go on in them. And not while the space
		// that it takes is held for the outbox.
		if err == nil && !l.reserveReleased() {
			l.report(ctx, &compressing, "compressing audit segments", l.compress(ctx))
		}
		l.report(ctx, &deleting, "deleting old audit segments", l.retain())
		moved := l.cfg.Clock.Moved()
		select {
		case <-ctx.Done():
			return
		case <-moved:
		case <-ticker.C:
		case <-l.wake:
		}
	}
}

// compress compresses the closed segments that are not yet.
func (l *Log) compress(ctx context.Context) error {
	for {
		l.closedMu.Lock()
		index := -1
		var f segmentFile
		for i, c := range l.older {
			if !c.compressed {
				index, f = i, c.segmentFile
				break
			}
		}
		l.closedMu.Unlock()
		if index < 0 || ctx.Err() != nil {
			return nil
		}
		size, err := compressSegment(ctx, l.cfg.Dir, f)
		if err != nil {
			return err
		}
		l.closedMu.Lock()
		l.older[index].compressed, l.older[index].size = true, size
		l.closedMu.Unlock()
	}
}

// compressSegment replaces a segment by its compressed form. The plain file
// goes last, so that at every moment one complete form is there.
func compressSegment(ctx context.Context, dir string, f segmentFile) (size int64, err error) {
	plain := filepath.Join(dir, segmentName(f.first, false))
	in, err := os.Open(plain)
	if err != nil {
		return 0, fmt.Errorf("compressing an audit segment: %w", err)
	}
	defer in.Close()
	out, err := os.CreateTemp(dir, "*.tmp")
	if err != nil {
		return 0, fmt.Errorf("compressing an audit segment: %w", err)
	}
	defer os.Remove(out.Name()) // gone by its name once it is in place
	// The fastest level: the better ones cost more for a record than the call it
	// is of, and win a tenth. This writer takes half the time of the standard
	// library's, which reads what it writes.
	z, err := gzip.NewWriterLevel(out, gzip.BestSpeed)
	if err != nil {
		return 0, fmt.Errorf("compressing an audit segment: %w", err)
	}
	z.ModTime = time.Unix(0, 0) // none: see gzipPrefix
	if _, err = io.Copy(z, contextReader{ctx, in}); err == nil {
		err = z.Close()
	}
	if err == nil {
		size, err = out.Seek(0, io.SeekCurrent)
	}
	if err == nil {
		err = out.Sync()
	}
	if err = errors.Join(err, out.Close()); err != nil {
		return 0, fmt.Errorf("compressing an audit segment: %w", err)
	}
	for _, step := range []func() error{
		func() error { return os.Rename(out.Name(), filepath.Join(dir, segmentName(f.first, true))) },
		func() error { return syncDir(dir) },
		func() error { return os.Remove(plain) },
	} {
		if err := step(); err != nil {
			return 0, fmt.Errorf("compressing an audit segment: %w", err)
		}
	}
	return size, nil
}

// contextReader ends a long copy when the log is closed.
type contextReader struct {
	ctx context.Context
	r   io.Reader
}

func (c contextReader) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.r.Read(p)
}

// retain deletes the closed segments that need not be kept.
func (l *Log) retain() error {
	l.writeMu.Lock()
	size := l.w.size
	l.writeMu.Unlock()
	delivered := ^uint64(0)
	if l.cfg.Delivered != nil {
		delivered = l.cfg.Delivered()
	}
	now := l.cfg.Clock.Now()

	l.closedMu.Lock()
	defer l.closedMu.Unlock()
	for _, c := range l.older {
		size += c.size
	}
	for len(l.older) > 0 {
		c := l.older[0]
		tooOld := now.Sub(c.ended) > l.cfg.RetainAge
		tooMuch := l.cfg.RetainBytes > 0 && size > l.cfg.RetainBytes
		if !tooOld && !tooMuch || c.last > delivered {
			return nil
		}
		if err := os.Remove(filepath.Join(l.cfg.Dir, c.name())); err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("deleting an audit segment: %w", err)
		}
		l.cfg.Logger.Info("deleted an audit segment that is no longer kept", "segment", c.name(), "begun", c.begun, "ended", c.ended)
		size -= c.size
		l.older = l.older[1:]
	}
	return nil
}

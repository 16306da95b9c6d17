package audit

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"time"

	"github.com/keywright/keywright/internal/store"
)

// Log is the audit log of one server. Its methods may be called concurrently.
//
// Records of concurrent calls share frames: while one frame is written, those
// that arrive collect in the next, and the first of them writes it for all.
type Log struct {
	cfg Config

	mu      sync.Mutex // collects records; held for a copy only
	current *group
	spare   []byte // buffer of a group that is done
	closed  bool

	writeMu sync.Mutex // held while a frame is written; taken before mu
	w       writer

	syncMu   sync.Mutex // one sync at a time; taken before writeMu
	stateMu  sync.Mutex // one KeyStore.Save at a time; taken before syncMu
	spaceMu  sync.Mutex
	space    space
	closedMu sync.Mutex
	older    []closedSegment // oldest first

	stop    context.CancelFunc
	wake    chan struct{} // a segment was closed
	workers sync.WaitGroup
}

// group is the records that go into one frame together.
type group struct {
	buf   []byte // room for the head, then the records
	count uint32
	done  chan struct{} // made by the first who waits
	err   error
}

// writer is the open segment and the place in the chain. It is guarded by
// Log.writeMu.
type writer struct {
	file    *os.File
	size    int64 // of complete frames; nothing beyond it counts
	ragged  bool  // the file may be longer than size
	header  header
	pos     position
	keys    key // of the next frame
	nextKey key // of the next segment
	synced  int64
	dirSync bool // the segment's name is not yet durable
	err     error

	unsaved   *State // of the open segment, while the KeyStore does not have it
	rotateErr error  // why the segment could not be closed when it was due
}

// newGroup is called with mu held.
func (l *Log) newGroup() *group {
	buf := l.spare
	l.spare = nil
	if buf == nil {
		buf = make([]byte, 0, 16<<10)
	}
	return &group{buf: buf[:headSize]}
}

// wait returns the channel that is closed when the group is written. It is
// called with mu held.
func (g *group) wait() chan struct{} {
	if g.done == nil {
		g.done = make(chan struct{})
	}
	return g.done
}

// Append writes one event, a JSON object of at most MaxEventBytes, and returns
// when it is in the log: the death of the process cannot lose it any more. The
// bytes are copied. On an error nothing of it was recorded; ErrNoSpace and
// ErrClosed may be told apart.
//
// The context is looked at once, at the beginning: a record that is on its way
// cannot be called back.
func (l *Log) Append(ctx context.Context, event []byte) error {
	if len(event) == 0 || len(event) > MaxEventBytes {
		return fmt.Errorf("appending an audit event of %d bytes: the size must be between 1 and %d", len(event), MaxEventBytes)
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	l.mu.Lock()
	for len(l.current.buf) >= groupBytes {
		full := l.current.wait()
		l.mu.Unlock()
		<-full
		l.mu.Lock()
	}
	if l.closed {
		l.mu.Unlock()
		return ErrClosed
	}
	g := l.current
	g.buf = appendRecord(g.buf, event)
	g.count++
	if g.count > 1 {
		done := g.wait()
		l.mu.Unlock()
		<-done
		return g.err
	}
	l.mu.Unlock()

	// Calls that are about to append get the chance to join this frame.
	runtime.Gosched()
	l.writeMu.Lock()
	l.mu.Lock()
	l.current = l.newGroup() // from here on nobody else touches g
	l.mu.Unlock()
	var buf []byte
	buf, g.err = l.write(frameRecords, g.buf, g.count, l.w.pos.mark, l.w.pos.revision)
	l.writeMu.Unlock()

	if g.done != nil {
		close(g.done)
	}
	l.mu.Lock()
	l.spare = buf
	l.mu.Unlock()
	return g.err
}

// appendOutbox writes events drained from the outbox as one frame: with it, all
// of the outbox up to the revision mark is in the log. They are not yet durable.
func (l *Log) appendOutbox(events [][]byte, mark store.Revision) error {
	buf := make([]byte, headSize)
	for _, e := range events {
		if len(e) == 0 || len(e) > MaxEventBytes {
			return fmt.Errorf("draining an audit event of %d bytes: the size must be between 1 and %d", len(e), MaxEventBytes)
		}
		buf = appendRecord(buf, e)
	}
	l.writeMu.Lock()
	defer l.writeMu.Unlock()
	revision := max(l.w.pos.revision, mark)
	_, err := l.write(frameOutbox, buf, uint32(len(events)), mark, revision)
	if errors.Is(err, ErrNoSpace) && l.releaseReserve() {
		_, err = l.write(frameOutbox, buf, uint32(len(events)), mark, revision)
	}
	return err
}

// outboxMark is the store revision up to which the log contains the outbox.
func (l *Log) outboxMark() store.Revision {
	l.writeMu.Lock()
	defer l.writeMu.Unlock()
	return l.w.pos.mark
}

// checkpoint notes the store's revision, where it is news.
func (l *Log) checkpoint(revision store.Revision) error {
	l.writeMu.Lock()
	defer l.writeMu.Unlock()
	if revision <= l.w.pos.revision {
		return nil
	}
	_, err := l.write(frameCheckpoint, make([]byte, headSize), 0, l.w.pos.mark, revision)
	return err
}

// write completes a frame, whose records stand in buf behind room for the head,
// and writes it. It returns buf for use again. It is called with writeMu held.
func (l *Log) write(kind byte, buf []byte, count uint32, mark, revision store.Revision) ([]byte, error) {
	w := &l.w
	switch {
	case w.err != nil:
		return buf, w.err
	case w.file == nil:
		return buf, ErrClosed
	case kind == frameRecords && l.reserveReleased():
		return buf, fmt.Errorf("%w: what is left is for changes already made", ErrNoSpace)
	}
	now := l.cfg.Clock.Now()
	if w.size >= l.cfg.SegmentBytes && w.pos.next > w.header.first {
		l.rotate(now)
	}
	if w.err != nil {
		return buf, w.err
	}
	if err := w.trim(); err != nil {
		return buf, err
	}
	pos, keys := w.pos, w.keys
	defer keys.wipe()
	buf = appendFrame(&pos, &keys, kind, buf, count, mark, revision, now)
	if len(buf) > maxFrameBytes {
		return buf, fmt.Errorf("writing an audit frame of %d bytes: more than %d", len(buf), maxFrameBytes)
	}
	if _, err := w.file.WriteAt(buf, w.size); err != nil {
		w.ragged = true
		if trimErr := w.trim(); trimErr != nil {
			err = errors.Join(err, trimErr)
		}
		return buf, writeError(err)
	}
	w.size += int64(len(buf))
	w.pos, w.keys = pos, keys
	return buf, nil
}

// trim cuts off what a failed write left, so that the file ends with a whole
// frame.
func (w *writer) trim() error {
	if !w.ragged {
		return nil
	}
	if err := w.file.Truncate(w.size); err != nil {
		return fmt.Errorf("cutting an incomplete audit frame off: %w", err)
	}
	w.ragged = false
	return nil
}

func writeError(err error) error {
	if isNoSpace(err) {
		return fmt.Errorf("%w: %w", ErrNoSpace, err)
	}
	return fmt.Errorf("writing an audit frame: %w", err)
}

// appendFrame completes the frame in buf and moves the position and the key to
// behind it.
func appendFrame(pos *position, keys *key, kind byte, buf []byte, count uint32, mark, revision store.Revision, now time.Time) []byte {
	h := head{
		length:   uint32(len(buf) + macSize),
		kind:     kind,
		count:    count,
		first:    pos.next,
		mark:     mark,
		revision: revision,
		time:     now,
		prev:     pos.hash,
	}
	h.put(buf[:headSize])
	pos.hash = sha256.Sum256(buf)
	pos.next += uint64(count)
	pos.mark, pos.revision = mark, revision
	var tag [macSize]byte
	keys.mac(&tag, &pos.hash)
	keys.step(labelNextFrame)
	return append(buf, tag[:]...)
}

// rotate closes the open segment and begins the next. Where that fails, the
// open one goes on, and it is tried again with the next frame. It is called
// with writeMu held.
func (l *Log) rotate(now time.Time) {
	w := &l.w
	// The next segment says that this one is complete, so it has to be. There is
	// little left to sync: maintain does so all the time.
	if err := w.sync(); err != nil {
		w.err = err
		l.cfg.Logger.Error("the audit log cannot go on", "error", err)
		return
	}
	next, err := l.begin(w.nextKey, header{chain: w.header.chain, number: w.header.number + 1, first: w.pos.next, created: now, prev: w.pos.hash}, w.pos, frameCheckpoint)
	if err != nil {
		if w.rotateErr == nil {
			l.cfg.Logger.Warn("the audit segment cannot be closed; it goes on growing", "segment", segmentName(w.header.first, false), "error", err)
		}
		w.rotateErr = err
		return
	}
	closedSize := w.size
	w.file.Close() // synced above
	l.closedMu.Lock()
	l.older = append(l.older, closedSegment{
		segmentFile: segmentFile{first: w.header.first, size: closedSize},
		last:        w.pos.next - 1,
		begun:       w.header.created,
		ended:       now,
	})
	l.closedMu.Unlock()
	w.keys.wipe()
	w.nextKey.wipe()
	*w = next
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// begin writes a new segment: its header, and a checkpoint in its first frame.
func (l *Log) begin(start key, h header, pos position, kind byte) (writer, error) {
	w := writer{
		header:  h,
		pos:     pos,
		keys:    start.derive(labelFirstFrame),
		nextKey: start.derive(labelNextSegment),
		dirSync: true,
		unsaved: &State{ChainID: h.chain, SegmentNumber: h.number, SegmentFirstSeq: h.first, SegmentStartKey: start},
	}
	head := h.encode()
	w.pos.known, w.pos.chain, w.pos.number, w.pos.next, w.pos.hash = true, h.chain, h.number, h.first, sha256.Sum256(head)
	b := append(head, appendFrame(&w.pos, &w.keys, kind, make([]byte, headSize), 0, pos.mark, pos.revision, h.created)...)
	path := filepath.Join(l.cfg.Dir, segmentName(h.first, false))
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return writer{}, fmt.Errorf("beginning an audit segment: %w", err)
	}
	if _, err := file.WriteAt(b, 0); err != nil {
		file.Close()
		os.Remove(path) // nothing is in it yet
		return writer{}, fmt.Errorf("beginning an audit segment: %w", err)
	}
	w.file, w.size = file, int64(len(b))
	return w, nil
}

// sync makes the segment durable. After a failure nobody knows which pages are
// on the disk, and asking again would answer wrongly, so the caller gives up.
func (w *writer) sync() error {
	if w.synced < w.size {
		if err := w.file.Sync(); err != nil {
			return fmt.Errorf("syncing the audit segment; restart the server, which checks what is on the disk: %w", err)
		}
		w.synced = w.size
	}
	return nil
}

// Sync makes everything recorded so far durable.
func (l *Log) Sync() error {
	l.syncMu.Lock()
	defer l.syncMu.Unlock()
	for {
		l.writeMu.Lock()
		file, size, synced, dir, err := l.w.file, l.w.size, l.w.synced, l.w.dirSync, l.w.err
		l.writeMu.Unlock()
		switch {
		case err != nil:
			return err
		case file == nil:
			return nil // Close synced
		case synced >= size && !dir:
			return nil
		}
		// Frames are written meanwhile. Where the segment is closed meanwhile,
		// rotate has synced it, and the next one is looked at.
		err = file.Sync()
		if errors.Is(err, os.ErrClosed) {
			continue
		}
		if err == nil && dir {
			err = syncDir(l.cfg.Dir)
		}
		l.writeMu.Lock()
		if l.w.file != file {
			l.writeMu.Unlock()
			continue
		}
		if err != nil {
			l.w.err = fmt.Errorf("syncing the audit segment; restart the server, which checks what is on the disk: %w", err)
			l.cfg.Logger.Error("the audit log cannot go on", "error", l.w.err)
		} else {
			l.w.synced, l.w.dirSync = max(l.w.synced, size), false
		}
		err = l.w.err
		l.writeMu.Unlock()
		return err
	}
}

// Close records a last checkpoint, makes everything durable and closes the log.
// Appends under way are written; later ones get ErrClosed. Close the log before
// the store that its State is in.
func (l *Log) Close() error {
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return nil
	}
	l.closed = true
	l.mu.Unlock()
	l.stop()
	l.workers.Wait()

	err := l.noteRevision(context.Background())
	err = errors.Join(err, l.Sync(), l.saveState(context.Background()))
	l.writeMu.Lock()
	defer l.writeMu.Unlock()
	err = errors.Join(err, l.w.sync(), l.w.file.Close())
	l.w.file = nil
	l.w.keys.wipe()
	l.w.nextKey.wipe()
	return err
}

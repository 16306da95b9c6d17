package audit

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
)

// reserveName is the file that holds space for the outbox.
const reserveName = "reserve"

// space is what is known of the disk.
type space struct {
	free     uint64
	low      bool
	released atomic.Bool // the reserve was given up: calls are refused
}

func (l *Log) reserveReleased() bool { return l.space.released.Load() }

// releaseReserve gives the reserve up and says whether there was one.
func (l *Log) releaseReserve() bool {
	if l.cfg.ReserveBytes < 0 || os.Remove(filepath.Join(l.cfg.Dir, reserveName)) != nil {
		return false
	}
	l.space.released.Store(true)
	l.cfg.Logger.Error("the disk of the audit log is full; calls are refused until there is space")
	return true
}

// holdReserve makes the reserve where it is missing and there is room for it
// and as much again, so that it is not made and given up in turns.
func (l *Log) holdReserve() {
	if l.cfg.ReserveBytes < 0 {
		return
	}
	path := filepath.Join(l.cfg.Dir, reserveName)
	if info, err := os.Stat(path); err == nil && info.Size() == l.cfg.ReserveBytes {
		return
	}
	free, err := freeBytes(l.cfg.Dir)
	if err == nil && free < 2*uint64(l.cfg.ReserveBytes) {
		err = fmt.Errorf("only %d bytes are free", free)
	}
	if err == nil {
		err = writeReserve(path, l.cfg.ReserveBytes)
	}
	if err != nil {
		if !l.space.released.Swap(true) {
			l.cfg.Logger.Error("there is no space for the audit log's reserve; calls are refused until there is", "bytes", l.cfg.ReserveBytes, "error", err)
		}
		return
	}
	if l.space.released.Swap(false) {
		l.cfg.Logger.Info("the disk of the audit log has space again")
	}
}

// writeReserve writes the file out, since a file that was only made longer
// holds no space.
func writeReserve(path string, size int64) error {
	f, err := os.CreateTemp(filepath.Dir(path), "*.tmp")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // gone by its name once it is in place
	zeros := make([]byte, 1<<20)
	for left := size; left > 0 && err == nil; left -= int64(len(zeros)) {
		_, err = f.Write(zeros[:min(left, int64(len(zeros)))])
	}
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

// DropReserve gives back the space that a log, which no longer writes to the
// folder, held there.
func DropReserve(dir string) error {
	if err := os.Remove(filepath.Join(dir, reserveName)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("giving back the audit log's reserve: %w", err)
	}
	return nil
}

// look reads how much space is free and warns once when it becomes little.
func (l *Log) look() {
	free, err := freeBytes(l.cfg.Dir)
	if err != nil {
		return // the disk will answer for itself
	}
	l.spaceMu.Lock()
	defer l.spaceMu.Unlock()
	low := free < l.cfg.LowSpaceBytes
	if low && !l.space.low {
		l.cfg.Logger.Warn("the disk of the audit log is filling up", "free_bytes", free)
	}
	l.space.free, l.space.low = free, low
}

// Status returns the log's state.
func (l *Log) Status() Status {
	var s Status
	l.writeMu.Lock()
	s.LastSequence = l.w.pos.next - 1
	s.OutboxMark = l.w.pos.mark
	s.Err = l.w.err
	s.Segments, s.Bytes, s.OldestTime = 1, l.w.size, l.w.header.created
	l.writeMu.Unlock()

	l.closedMu.Lock()
	for i, c := range l.older {
		if i == 0 {
			s.OldestTime = c.begun
		}
		s.Segments++
		s.Bytes += c.size
	}
	l.closedMu.Unlock()

	l.spaceMu.Lock()
	s.BytesFree, s.LowSpace = l.space.free, l.space.low
	l.spaceMu.Unlock()
	s.ReserveHeld = !l.reserveReleased()
	return s
}

package call

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// Faults writes faults of ours to the operator's log, a bounded number a second:
// on a full disk every call has one, and the log may be on that disk. Its zero
// value is ready, and its method may be called concurrently.
type Faults struct {
	mu      sync.Mutex
	second  int64
	logged  int
	dropped int // since the last line that was logged
}

// faultsPerSecond is enough to see different faults at once.
const faultsPerSecond = 10

// Log writes a line about the fault that a call met, or counts it with those that
// the next line stands for.
func (f *Faults) Log(log *slog.Logger, rec *Record, msg string, err error) {
	f.mu.Lock()
	if now := time.Now().Unix(); now != f.second {
		f.second, f.logged = now, 0
	}
	if f.logged == faultsPerSecond {
		f.dropped++
		f.mu.Unlock()
		return
	}
	f.logged++
	dropped := f.dropped
	f.dropped = 0
	f.mu.Unlock()
	attrs := []slog.Attr{
		slog.String("request_id", rec.RequestID), slog.String("service", rec.Service),
		slog.String("operation", rec.Operation), slog.Any("error", err),
	}
	if dropped > 0 {
		attrs = append(attrs, slog.Int("not_logged_before", dropped))
	}
	log.LogAttrs(context.Background(), slog.LevelError, msg, attrs...)
}

package system_test

import (
	"context"
	"sync/atomic"
	"testing"
)

// TestShutdown ends the server with SIGTERM in the middle of the load. What it
// acknowledged is kept and recorded, and it exits with 0.
func TestShutdown(t *testing.T) {
	data := t.TempDir()
	p := start(t, data)
	w := newWorkload(t, p.client())
	trail := newAuditTrail(p.audit())
	for range 3 {
		ctx, cancel := context.WithCancel(t.Context())
		var stopped atomic.Bool
		ended := make(chan error, 1)
		w.run(ctx, 100_000, func(n int) {
			if n >= 300 && !stopped.Swap(true) {
				go func() { ended <- p.stop() }()
			}
		})
		cancel()
		if err := <-ended; err != nil {
			t.Fatalf("SIGTERM under load: %v\n%s", err, p.log)
		}
		acknowledged := w.acknowledged()
		// The outbox was drained before the end: all stands in the log already.
		trail.read(t)
		for _, ch := range w.changes {
			if ch.outcome == done && len(trail.byAgent[ch.agent]) != 1 {
				t.Errorf("%s %s was acknowledged, and has %d records after the server's end", ch.agent, ch.operation, len(trail.byAgent[ch.agent]))
			}
		}
		p = start(t, data)
		w.client = p.client()
		happened, not := w.check(trail)
		t.Logf("%d changes acknowledged; without an answer %d had happened and %d had not", acknowledged, happened, not)
		if t.Failed() {
			return
		}
	}
}

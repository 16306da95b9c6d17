package call_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/keywright/keywright/internal/call"
)

// TestFaultsAreBounded: a fault in every call, as on a full disk, does not fill
// the operator's log.
func TestFaultsAreBounded(t *testing.T) {
	w := newWorld(t)
	for range 300 {
		if err := w.path.Run(t.Context(), w.record(), func(*call.Call) error { return errors.New("no space") }); err == nil {
			t.Fatal("a call that failed succeeded")
		}
	}
	// Ten lines in a second, and the loop may take several.
	if n := strings.Count(w.log.String(), "\n"); n < 10 || n > 100 {
		t.Errorf("300 faults left %d lines in the log", n)
	}
}

// TestHangUpIsNoFault: a client that hangs up is not put down as a fault of ours.
func TestHangUpIsNoFault(t *testing.T) {
	w := newWorld(t)
	ctx, hangUp := context.WithCancel(t.Context())
	err := w.path.Run(ctx, w.record(), func(c *call.Call) error {
		hangUp()
		return c.Context.Err()
	})
	if err == nil || w.log.String() != "" {
		t.Errorf("got %v, and the log has %q", err, w.log.String())
	}
	if all := w.events(); len(all) != 1 || all[0]["errorCode"] != "KMSInternalException" {
		t.Errorf("recorded is %v", all)
	}
}

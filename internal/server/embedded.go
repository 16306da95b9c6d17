package server

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/keywright/keywright/internal/hsm/softhsm"
	"github.com/keywright/keywright/internal/iam"
	"github.com/keywright/keywright/internal/kms"
	"github.com/keywright/keywright/internal/record"
)

// What a program that runs a server within itself needs of it; kmstest does.

// CreateAccount makes an account with a root access key, which is returned and
// kept nowhere. An account that exists is an error.
func (s *Server) CreateAccount(ctx context.Context, id string) (iam.Credentials, error) {
	return s.core.iam.CreateAccount(ctx, id, func(iam.Credentials) error { return nil })
}

// Advance moves the clock ahead and returns when the work has been done that has
// become due by it, such as deleting keys.
func (s *Server) Advance(ctx context.Context, d time.Duration) error { return s.core.advance(ctx, d) }

// errWorkDue stands for work that the deletion worker has not come to yet.
var errWorkDue = errors.New("deletions are due that are not done yet")

func (c *core) advance(ctx context.Context, d time.Duration) error {
	c.clock.Advance(d)
	// This worker does nothing: it asks its guard first whenever there is
	// something to do. The one that works was woken by the clock.
	idle := kms.Worker{Service: c.kms, Guard: func(context.Context) error { return errWorkDue }}
	for {
		_, err := idle.Work(ctx)
		if !errors.Is(err, errWorkDue) {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting for the clock's move to take effect: %w: %w", errWorkDue, ctx.Err())
		case <-time.After(time.Millisecond):
		}
	}
}

// Records gives access to the records and the Module beneath the services, for
// tools that fill a store faster than the API does. What is written there is
// neither checked nor audited.
func (s *Server) Records() (*record.DB, *softhsm.Module) { return s.core.db, s.core.module }

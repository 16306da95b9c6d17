package server

import (
	"context"
	"encoding/json"
	"time"

	"github.com/keywright/keywright/internal/awsapi"
	"github.com/keywright/keywright/internal/awsjson"
	"github.com/keywright/keywright/internal/call"
)

// The operations of the development service, which only a development server
// has. They are signed like any other request, for the service "keywright", with
// the target KeywrightDev.<operation>.
const (
	devGetClock     = iota // {} -> {"Now": epoch seconds, "Offset": seconds}
	devAdvanceClock        // {"Seconds": n} -> the same
)

var devOperations = map[string]int{"GetClock": devGetClock, "AdvanceClock": devAdvanceClock}

// maxAdvance bounds how far the clock can be moved, in seconds, in one move and
// in all: a hundred years are enough for any test, and the sum stays within what
// a time.Duration can hold.
const maxAdvance = 100 * 365 * 24 * 60 * 60

func (c *core) devService() awsjson.Service {
	return awsjson.Service{
		Name:         "keywright",
		TargetPrefix: "KeywrightDev",
		Operation: func(name string) (int, int64, bool) {
			op, ok := devOperations[name]
			return op, 1 << 10, ok
		},
		Call: c.devCall,
	}
}

// devCall carries out a development operation. It is not part of any API that is
// audited: nothing of it touches a key.
func (c *core) devCall(ctx context.Context, rec *call.Record, op int, body, dst []byte) ([]byte, error) {
	rec.Service = "keywright"
	if op == devAdvanceClock {
		var in struct{ Seconds int64 }
		if err := json.Unmarshal(body, &in); err != nil {
			return dst, awsapi.Errorf(awsapi.CodeSerialization, "")
		}
		if left := maxAdvance - int64(c.clock.Offset()/time.Second); in.Seconds < 0 || in.Seconds > left {
			return dst, awsapi.Errorf(awsapi.CodeValidation, "Seconds must be between 0 and %d: the clock only moves ahead, by %d at most in all.", left, maxAdvance)
		}
		if err := c.advance(ctx, time.Duration(in.Seconds)*time.Second); err != nil {
			return dst, err
		}
		c.log.Info("the clock was moved ahead", "seconds", in.Seconds, "now", c.clock.Now())
	}
	out, err := json.Marshal(map[string]any{
		"Now":    float64(c.clock.Now().UnixMilli()) / 1000,
		"Offset": int64(c.clock.Offset() / time.Second),
	})
	return append(dst, out...), err
}

package clock_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/keywright/keywright/internal/clock"
)

func TestClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c clock.Clock
		start := c.Now()
		if !start.Equal(time.Now()) || start.Location() != time.UTC {
			t.Errorf("Now is %v, the machine's time %v", start, time.Now())
		}
		moved := c.Moved()
		woken := time.Time{}
		go func() {
			<-moved
			woken = c.Now()
		}()
		time.Sleep(time.Second)
		c.Advance(30 * 24 * time.Hour)
		synctest.Wait()
		if want := start.Add(30*24*time.Hour + time.Second); !c.Now().Equal(want) || !woken.Equal(want) {
			t.Errorf("Now is %v and was %v when the waiter woke, want %v", c.Now(), woken, want)
		}
		if c.Offset() != 30*24*time.Hour {
			t.Errorf("Offset is %v", c.Offset())
		}
		select {
		case <-c.Moved():
			t.Error("a new waiter is woken by an old move")
		default:
		}
		time.Sleep(1500 * time.Microsecond)
		if c.Now().Nanosecond()%int(time.Millisecond) != 0 {
			t.Errorf("Now is %v, finer than a millisecond", c.Now())
		}
	})
}

func TestClockDoesNotGoBack(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("the clock went back")
		}
	}()
	new(clock.Clock).Advance(-1)
}

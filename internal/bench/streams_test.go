package main

import (
	"bytes"
	"strings"
	"testing"
	"time"
)

// Every row of the tables is there, and every stream came out whole: one that
// does not is an error. The children are this program in a role.
func TestStreams(t *testing.T) {
	o := options{seconds: 2 * time.Millisecond, dir: t.TempDir()}
	r := newReport(o.dir, o.seconds)
	if err := measureStreams(&o, r); err != nil {
		t.Fatal(err)
	}
	if len(r.Streams) != 17 || len(r.Calls) != 5 || len(r.Memory) != 2 {
		t.Errorf("%d streams, %d calls, %d of memory", len(r.Streams), len(r.Calls), len(r.Memory))
	}
	ceilings := 0
	for _, s := range r.Streams {
		if s.MBSec <= 0 || s.Ratio <= 0 {
			t.Errorf("implausible: %+v", s)
		}
		if s.What == s.Ceiling && s.Ratio == 1 {
			ceilings++
		}
	}
	if ceilings != 3 {
		t.Errorf("%d ceilings", ceilings)
	}
	for _, c := range r.Calls {
		if c.Micros <= 0 || c.Ratio <= 0 {
			t.Errorf("implausible: %+v", c)
		}
	}
	for _, m := range r.Memory {
		if m.HeapMiB <= 0 || m.PeakMiB != 0 && m.PeakMiB < 1 {
			t.Errorf("implausible: %+v", m)
		}
	}
	var table bytes.Buffer
	if err := r.print(&table); err != nil {
		t.Fatal(err)
	}
	if got := strings.Count(table.String(), "crypt, 1 core"); got != 4 {
		t.Errorf("the table has %d rows of one core:\n%s", got, &table)
	}
}

// A child that fails is an error.
func TestStreamChildFails(t *testing.T) {
	if _, err := startStream(-1, "unsigned"); err == nil {
		t.Error("a stream of -1 bytes")
	}
}

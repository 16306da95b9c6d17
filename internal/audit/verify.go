package audit

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"time"

	"github.com/keywright/keywright/internal/store"
)

// Report is what Verify found.
type Report struct {
	Segments      int
	Frames        int
	Records       uint64
	FirstSequence uint64 // of the first record there is; more than 1 where segments were deleted by age or size
	LastSequence  uint64
	Oldest        time.Time // of the first and the last frame
	Newest        time.Time

	// AuthenticatedFrom is the sequence number from which the MACs were checked.
	// Before it, and where it is zero everywhere, only the chain of hashes was,
	// which somebody who rewrites everything can make afresh.
	AuthenticatedFrom uint64

	// StoreRevision is the newest revision of the store that the log knows. A
	// store that is older than this was put back.
	StoreRevision store.Revision
	// Resets counts how often an operator accepted a store that was put back.
	Resets int

	// TornBytes is the size of an incomplete frame at the end: one that is just
	// being written, or that a crash left and the next Open cuts off.
	TornBytes int64
}

// Verify checks all segments in dir: every byte, the chain of hashes from each
// frame to the next and each segment to the next, and, from the segment that
// start names on, the MACs. The start is the first State of the chain, from
// what the recovery key opens; with a later one, or nil, less is checked, which
// the Report says. Segments may have been deleted since, that of start too.
// It may be used while a Log writes there. Chain, sequence and MAC cannot show that the newest frames
// were cut off, nor that the oldest segments were deleted: compare the Report
// with what you know, such as the last record that was delivered elsewhere.
//
// The error names the segment and frame where it is a CorruptError; the Report
// then covers what came before. A folder without segments is an error.
func Verify(ctx context.Context, dir string, start *State) (Report, error) {
	var r Report
	files, err := listSegments(dir)
	if err != nil {
		return r, err
	}
	if len(files) == 0 {
		return r, fmt.Errorf("verifying the audit log: no segments in %s", dir)
	}
	v := verifier{ctx: ctx, report: &r, start: start}
	if start != nil {
		v.key = key(start.SegmentStartKey)
		defer v.key.wipe()
	}
	for i, f := range files {
		s, err := reopenSegment(dir, f, &v.pos, i == len(files)-1)
		if errors.Is(err, fs.ErrNotExist) && !v.pos.known {
			continue // deleted since the folder was listed
		}
		if errors.Is(err, errTorn) {
			r.TornBytes = f.size
			break
		}
		if err != nil {
			return r, err
		}
		err = v.segment(s, f)
		s.close()
		if err != nil {
			return r, err
		}
	}
	if start != nil && r.AuthenticatedFrom == 0 {
		return r, fmt.Errorf("verifying the audit log: no segment in %s belongs to the state given", dir)
	}
	return r, nil
}

// ReadChainID returns the id of the chain that the segments in dir are of. It
// reads the oldest segment's header and checks nothing else.
func ReadChainID(dir string) ([16]byte, error) {
	files, err := listSegments(dir)
	if err != nil {
		return chainID{}, err
	}
	if len(files) == 0 {
		return chainID{}, fmt.Errorf("looking for the audit log: no segments in %s", dir)
	}
	s, err := reopenSegment(dir, files[0], new(position), false)
	if err != nil {
		return chainID{}, err
	}
	defer s.close()
	return s.header.chain, nil
}

type verifier struct {
	ctx    context.Context
	report *Report
	pos    position

	start    *State
	key      key    // start key of the segment with the number below
	keyAt    uint64 // known once started
	started  bool
	frameKey key
}

// authenticate gives the scanner its keys where the state allows that.
func (v *verifier) authenticate(s *scanner) error {
	if v.start == nil {
		return nil
	}
	if s.header.chain != chainID(v.start.ChainID) {
		return s.headerCorrupt("belongs to another chain than the state given")
	}
	if !v.started {
		if s.header.number < v.start.SegmentNumber {
			return nil
		}
		if s.header.number == v.start.SegmentNumber && s.header.first != v.start.SegmentFirstSeq {
			return s.headerCorrupt(fmt.Sprintf("begins with record %d, the state given says %d", s.header.first, v.start.SegmentFirstSeq))
		}
		v.keyAt, v.started = v.start.SegmentNumber, true
	}
	for ; v.keyAt < s.header.number; v.keyAt++ {
		if err := v.ctx.Err(); err != nil {
			return err
		}
		v.key.step(labelNextSegment)
	}
	v.frameKey = v.key.derive(labelFirstFrame)
	s.keys = &v.frameKey
	return nil
}

func (s *scanner) headerCorrupt(problem string) error {
	return &CorruptError{Segment: s.name, Frame: -1, Problem: problem}
}

func (v *verifier) segment(s *scanner, file segmentFile) error {
	if err := v.authenticate(s); err != nil {
		return err
	}
	r := v.report
	for {
		if err := v.ctx.Err(); err != nil {
			return err
		}
		f, err := s.next()
		if errors.Is(err, errTorn) {
			r.TornBytes = max(file.size-s.offset, 0) // it may have grown since it was listed
			if s.frame == 0 {                        // nothing vouches for the header
				r.TornBytes = file.size
			}
			return nil
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if s.frame == 1 { // the segment's first, which carries the header's hash
			r.Segments++
			if s.keys != nil && r.AuthenticatedFrom == 0 {
				r.AuthenticatedFrom = s.header.first
			}
		}
		if r.Frames == 0 {
			r.FirstSequence, r.Oldest = s.header.first, f.time
		}
		if f.kind == frameReset {
			r.Resets++
		}
		r.Frames++
		r.Records += uint64(f.count)
		r.Newest = f.time
		r.LastSequence = v.pos.next - 1
		r.StoreRevision = max(f.mark, f.revision)
	}
}

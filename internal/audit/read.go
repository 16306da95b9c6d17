package audit

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"time"
)

// Record is one event of the log.
type Record struct {
	Sequence uint64    // counts the records of a chain from 1, without gaps
	Time     time.Time // when it was written to the log
	Segment  string    // the file it stands in
	Event    []byte    // JSON, valid until the next record is asked for
}

// Read yields the records in dir whose sequence number is at least from, oldest
// first, and checks the chain of hashes on the way; the MACs are Verify's. It
// ends with the record that was the last when it got there, or with an error,
// which it yields with a zero Record. It may be used while a Log writes there.
func Read(dir string, from uint64) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		files, err := listSegments(dir)
		if err != nil {
			yield(Record{}, err)
			return
		}
		// The segment that holds from is the last that does not begin after it.
		for len(files) > 1 && files[1].first <= from {
			files = files[1:]
		}
		for r, err := range scanAll(dir, files, from) {
			if !yield(r, err) {
				return
			}
		}
	}
}

// scanAll yields the records of the segments, the last of which is the newest.
func scanAll(dir string, files []segmentFile, from uint64) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		var pos position
		for i, f := range files {
			s, err := reopenSegment(dir, f, &pos, i == len(files)-1)
			if errors.Is(err, fs.ErrNotExist) && !pos.known {
				continue // deleted since the folder was listed
			}
			if err != nil {
				if !errors.Is(err, errTorn) {
					yield(Record{}, err)
				}
				return
			}
			if !s.yield(from, yield) {
				return
			}
		}
	}
}

// reopenSegment opens a segment that may have been compressed since it was
// listed.
func reopenSegment(dir string, f segmentFile, pos *position, newest bool) (*scanner, error) {
	s, err := openSegment(dir, f, pos, newest)
	if errors.Is(err, fs.ErrNotExist) && !f.compressed {
		f.compressed = true
		s, err = openSegment(dir, f, pos, newest)
	}
	return s, err
}

// yield passes the segment's records on and says whether to go on with the next.
func (s *scanner) yield(from uint64, yield func(Record, error) bool) bool {
	defer s.close()
	for {
		f, err := s.next()
		if err == io.EOF {
			return true
		}
		if err != nil {
			if !errors.Is(err, errTorn) {
				yield(Record{}, err)
			}
			return false
		}
		r := Record{Sequence: f.first, Time: f.time, Segment: s.name}
		more := true
		err = records(f.body, f.count, func(event []byte) bool {
			if r.Event = event; r.Sequence >= from {
				more = yield(r, nil)
			}
			r.Sequence++
			return more
		})
		if err != nil {
			yield(Record{}, fmt.Errorf("reading audit segment %s: %w", s.name, err))
			return false
		}
		if !more {
			return false
		}
	}
}

package audit

import (
	"bufio"
	"bytes"
	"cmp"
	"compress/gzip"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/keywright/keywright/internal/store"
)

// segmentFile is one segment on disk: the first sequence number in 20 digits,
// with .log, or .log.gz once it is closed and compressed.
type segmentFile struct {
	first      uint64
	compressed bool
	size       int64
}

func (f segmentFile) name() string { return segmentName(f.first, f.compressed) }

func segmentName(first uint64, compressed bool) string {
	name := fmt.Sprintf("%020d.log", first)
	if compressed {
		name += ".gz"
	}
	return name
}

// listSegments returns the segments in dir, oldest first. Where a crash left a
// segment both plain and compressed, it is the compressed one, which got its
// name only when it was complete.
//
// A listing is no snapshot: a segment that is compressed meanwhile may be met
// under neither of its names. So it is taken until two agree.
func listSegments(dir string) ([]segmentFile, error) {
	const attempts = 100
	var last []segmentFile
	for i := range attempts {
		files, err := listOnce(dir)
		if err != nil {
			return nil, err
		}
		same := func(a, b segmentFile) bool { return a.first == b.first }
		if i > 0 && slices.EqualFunc(files, last, same) {
			return files, nil
		}
		last = files
	}
	return nil, errors.New("listing the audit folder: it does not stop changing")
}

func listOnce(dir string) ([]segmentFile, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("listing the audit folder: %w", err)
	}
	var files []segmentFile
	for _, e := range entries {
		digits, compressed := strings.CutSuffix(e.Name(), ".log.gz")
		if !compressed {
			digits = strings.TrimSuffix(e.Name(), ".log")
		}
		first, err := strconv.ParseUint(digits, 10, 64)
		if err != nil || first == 0 || segmentName(first, compressed) != e.Name() {
			continue // not ours, or a temporary or reserve file
		}
		info, err := e.Info()
		if errors.Is(err, fs.ErrNotExist) {
			continue // compressed or deleted since
		}
		if err != nil {
			return nil, fmt.Errorf("listing the audit folder: %w", err)
		}
		files = append(files, segmentFile{first, compressed, info.Size()})
	}
	slices.SortFunc(files, func(a, b segmentFile) int {
		if a.first == b.first && a.compressed {
			return -1
		}
		return cmp.Compare(a.first, b.first)
	})
	return slices.CompactFunc(files, func(a, b segmentFile) bool { return a.first == b.first }), nil
}

// CorruptError says where the audit segments are not what was written.
type CorruptError struct {
	Segment string // the file's name
	Frame   int    // counted from 0; -1 is the segment's header
	Offset  int64  // where the frame begins, in the uncompressed segment
	Problem string
}

func (e *CorruptError) Error() string {
	if e.Frame < 0 {
		return fmt.Sprintf("audit segment %s, header: %s", e.Segment, e.Problem)
	}
	return fmt.Sprintf("audit segment %s, frame %d at byte %d: %s", e.Segment, e.Frame, e.Offset, e.Problem)
}

// errTorn: the newest segment ends in a frame that was not completely written.
var errTorn = errors.New("the last frame was not completely written")

// position is where in the chain a walk over the segments stands: what the next
// frame, or the next segment's header, must say.
type position struct {
	known    bool
	chain    chainID
	number   uint64 // of the segment last opened
	next     uint64 // sequence number of the next record
	hash     [hashSize]byte
	mark     store.Revision
	revision store.Revision
}

// frame is a frame as read; its body is valid until the next one is read.
type frame struct {
	head
	body []byte // the records
}

// scanner reads one segment and checks it against the chain.
type scanner struct {
	name   string
	newest bool // only the newest segment may end in a torn frame
	header header
	keys   *key // key of the next frame; nil where only the chain is checked

	pos    *position
	frame  int
	offset int64 // of the next frame
	buf    []byte

	r          *bufio.Reader
	compressed *bufio.Reader // beneath r, where the segment is compressed
	closer     []io.Closer
}

// gzipPrefix is how every compressed segment begins. Go's reader does not look
// at all of it, and nothing in a segment may change unnoticed.
var gzipPrefix = []byte{0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 4, 255}

// openSegment opens a segment and reads its header. Where pos is known, the
// header must follow on it; then pos stands before the segment's first frame.
// An error that is errTorn means the newest segment has no complete header.
func openSegment(dir string, f segmentFile, pos *position, newest bool) (*scanner, error) {
	file, err := os.Open(filepath.Join(dir, f.name()))
	if err != nil {
		return nil, fmt.Errorf("opening an audit segment: %w", err)
	}
	s := &scanner{name: f.name(), newest: newest && !f.compressed, pos: pos, closer: []io.Closer{file}}
	s.r = bufio.NewReaderSize(file, 64<<10)
	if f.compressed {
		if err := s.decompress(); err != nil {
			s.close()
			return nil, err
		}
	}
	if err := s.readHeader(f.first); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

func (s *scanner) decompress() error {
	s.frame = -1
	prefix, err := s.r.Peek(len(gzipPrefix))
	if err != nil && err != io.EOF {
		return fmt.Errorf("reading audit segment %s: %w", s.name, err)
	}
	if !bytes.Equal(prefix, gzipPrefix) {
		return s.corrupt("not compressed as this program compresses")
	}
	z, err := gzip.NewReader(s.r)
	if err != nil {
		return s.corrupt("the compressed file is damaged: " + err.Error())
	}
	z.Multistream(false)
	s.compressed = s.r
	s.closer = append(s.closer, z)
	s.r = bufio.NewReaderSize(z, 64<<10)
	return nil
}

func (s *scanner) close() {
	for _, c := range s.closer {
		c.Close() // read only
	}
}

func (s *scanner) corrupt(problem string) error {
	return &CorruptError{Segment: s.name, Frame: s.frame, Offset: s.offset, Problem: problem}
}

// read reads len(b) bytes and says how many there were before the end.
func (s *scanner) read(b []byte) (int, error) {
	n, err := io.ReadFull(s.r, b)
	if err == nil {
		return n, nil
	}
	// ErrUnexpectedEOF may be ReadFull's word for the end or gzip's for a file
	// that is cut off. What the reader says next is the reader's own.
	if err == io.ErrUnexpectedEOF {
		_, err = s.r.ReadByte()
	}
	if s.compressed != nil {
		if err != io.EOF {
			return n, s.corrupt("the compressed file is damaged: " + err.Error())
		}
		if _, err = s.compressed.ReadByte(); err == nil {
			return n, s.corrupt("something follows on the compressed data")
		}
	}
	if err != io.EOF {
		return n, fmt.Errorf("reading audit segment %s: %w", s.name, err)
	}
	return n, nil
}

func (s *scanner) readHeader(first uint64) error {
	s.frame = -1
	b := make([]byte, headerSize)
	n, err := s.read(b)
	if err != nil {
		return err
	}
	if n < headerSize || (s.newest && allZero(b)) {
		if s.newest {
			return errTorn
		}
		return s.corrupt("the header is cut off")
	}
	h, err := decodeHeader(b)
	if err != nil {
		return s.corrupt(err.Error())
	}
	p := s.pos
	switch {
	case h.first != first:
		return s.corrupt(fmt.Sprintf("the file's name says that it begins with record %d, its header says %d", first, h.first))
	case (h.number == 0) != (h.first == 1) || h.number >= h.first:
		return s.corrupt(fmt.Sprintf("segment number %d cannot begin with record %d: each before it has one at least", h.number, h.first))
	case h.number == 0 && h.prev != [hashSize]byte{}:
		return s.corrupt("the first segment of a chain carries the hash of one before")
	case !p.known:
	case h.chain != p.chain:
		return s.corrupt("belongs to another chain than the segment before")
	case h.number != p.number+1 || h.first != p.next:
		return s.corrupt(fmt.Sprintf("a segment is missing before it: found number %d from record %d, expected number %d from record %d", h.number, h.first, p.number+1, p.next))
	case h.prev != p.hash:
		return s.corrupt("does not carry the hash of the segment before: one of the two was changed")
	}
	s.header = h
	p.chain, p.number, p.next, p.known = h.chain, h.number, h.first, true
	p.hash = sha256.Sum256(b)
	s.frame, s.offset = 0, headerSize
	return nil
}

// next reads the next frame and checks it. At the end it returns io.EOF, or
// errTorn where the newest segment ends in an incomplete frame, whose beginning
// is then at s.offset.
func (s *scanner) next() (frame, error) {
	s.buf = slices.Grow(s.buf[:0], headSize)[:headSize]
	n, err := s.read(s.buf)
	if err != nil {
		return frame{}, err
	}
	if n == 0 && s.frame > 0 {
		return frame{}, io.EOF
	}
	if n < headSize {
		s.buf = s.buf[:n]
		return frame{}, s.cutOff()
	}
	h, err := decodeHead(s.buf)
	if err != nil {
		return frame{}, s.bad(err.Error())
	}
	s.buf = slices.Grow(s.buf, int(h.length)-headSize)[:h.length]
	if n, err = s.read(s.buf[headSize:]); err != nil {
		return frame{}, err
	}
	if headSize+n < int(h.length) {
		s.buf = s.buf[:headSize+n]
		return frame{}, s.cutOff()
	}
	hashed, tag := s.buf[:h.length-macSize], s.buf[h.length-macSize:]
	p := s.pos
	switch {
	case h.prev != p.hash:
		return frame{}, s.bad("does not carry the hash of the frame before: one of the two was changed")
	case h.first != p.next:
		return frame{}, s.bad(fmt.Sprintf("begins with record %d instead of %d", h.first, p.next))
	case h.kind != frameReset && (h.mark < p.mark || h.revision < p.revision):
		return frame{}, s.bad("the store's revision goes back")
	}
	if allZero(tag) {
		return frame{}, s.bad("there is no MAC")
	}
	hash := sha256.Sum256(hashed)
	if s.keys != nil {
		var want [macSize]byte
		s.keys.mac(&want, &hash)
		if !hmac.Equal(tag, want[:]) {
			return frame{}, s.bad("the MAC does not match: the frame was changed")
		}
		s.keys.step(labelNextFrame)
	}
	body := hashed[headSize:]
	if err := records(body, h.count, func([]byte) bool { return true }); err != nil {
		return frame{}, s.bad(err.Error())
	}
	p.hash, p.next, p.mark, p.revision = hash, h.first+uint64(h.count), h.mark, h.revision
	s.frame++
	s.offset += int64(h.length)
	return frame{head: h, body: body}, nil
}

func (s *scanner) cutOff() error {
	if s.newest {
		return errTorn
	}
	return s.corrupt("the segment is cut off")
}

// bad is what is wrong with the frame in s.buf: its head, or all of it.
//
// A crash may leave a file longer than what was written to it, with zeros for
// the rest. Such a frame is torn as one that is too short is. It is told by
// zeros that reach from within the frame to the end of the file: over all that
// follows its MAC and the MAC itself, or, where even the head is incomplete,
// over all that follows the head. Good frames behind a bad one are never cut off.
func (s *scanner) bad(problem string) error {
	if !s.newest {
		return s.corrupt(problem)
	}
	zeros := 0
	if len(s.buf) > headSize {
		if !allZero(s.buf[len(s.buf)-macSize:]) {
			return s.corrupt(problem)
		}
		zeros = macSize
	}
	var chunk [4096]byte
	for n := len(chunk); n == len(chunk); zeros += n {
		var err error
		if n, err = s.read(chunk[:]); err != nil {
			return err
		}
		if !allZero(chunk[:n]) {
			return s.corrupt(problem)
		}
	}
	if zeros < macSize { // a whole frame ends in as many
		return s.corrupt(problem)
	}
	return errTorn
}

func allZero(b []byte) bool {
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}

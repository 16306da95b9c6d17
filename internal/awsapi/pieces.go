package awsapi

import (
	"bytes"
	"io"
)

// longString is the length from which a string is worth a way of its own, and
// longBody that of a body which may hold one.
const (
	longString = 512
	longBody   = 1024
)

// pieces is a long body, read in pieces. A piece ends behind the opening quote
// of each long string. If the string turns out to be a blob, it is taken from
// here, and the JSON decoder, which would look at each of its bytes once more,
// sees an empty string in its place. That changes nothing of what the decoder
// says: base64 has no quotes, no escapes and nothing but ASCII.
type pieces struct {
	body []byte
	at   int // what is before it was read
	end  int // of the piece
	room int // of the last Read
}

// Read implements io.Reader. At the end it wipes p.
func (r *pieces) Read(p []byte) (int, error) {
	r.room = len(p)
	if r.at == len(r.body) {
		clear(p)
		return 0, io.EOF
	}
	if r.at == r.end {
		r.end += beforeLongString(r.body[r.at:])
	}
	n := copy(p, r.body[r.at:r.end])
	r.at += n
	return n, nil
}

// beforeLongString is the length of b up to the first long string in it. It
// does not tell closing quotes from opening ones: where it errs, a piece is
// short for nothing.
func beforeLongString(b []byte) int {
	for at := 0; ; {
		quote := bytes.IndexByte(b[at:], '"')
		if quote < 0 {
			return len(b)
		}
		at += quote + 1
		if bytes.IndexByte(b[at:], '"') >= longString {
			return at
		}
	}
}

// last is where the last n bytes that a decoder has used lie in the body;
// unread is how much it has read and not used.
func (r *pieces) last(n, unread int) []byte {
	return r.body[r.at-unread-n : r.at-unread]
}

// blob takes the blob that comes next, if it does so behind the quote to which
// a decoder has just come: unread is what that has read and not used. The blob
// is decoded into its own place, by way of scratch.
func (r *pieces) blob(unread, scratch []byte) (blob, newScratch []byte, ok bool) {
	if r.at != r.end || len(unread) == 0 || bytes.IndexByte(unread, '"') != len(unread)-1 {
		return nil, scratch, false
	}
	rest := r.body[r.at:]
	length := bytes.IndexByte(rest, '"')
	if length < 0 {
		return nil, scratch, false
	}
	if scratch, ok = appendDecoded(scratch[:0], rest[:length]); !ok {
		return nil, scratch, false
	}
	r.at += length
	r.end = r.at
	n := copy(rest, scratch)
	return rest[:n:n], scratch, true
}

package awsapi

import (
	"bytes"
	"errors"
	"io"
	"sync"
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// maxDepth is how deep arrays and objects may nest in a request, members that
// nobody knows included.
const maxDepth = 32

// maxScratch is how many bytes of scratch a Decoder keeps for the next request.
const maxScratch = 64 << 10

// Decoder reads one request body. It is strict where JSON leaves room: exact
// member names, no duplicates, no invalid UTF-8, no more than 32 levels, nothing
// after the object. Members it does not know are skipped, and null means absent.
//
// It stops at the first thing that is not the JSON the API wants and reports it
// as a SerializationException. What is well-formed but against the model's
// limits it notes and goes on, so that one ValidationException names it all.
//
// Generated code drives it: NewDecoder, the request's fields, Finish. After an
// error all its methods return zero values, so that nobody needs to check
// before the end.
type Decoder struct {
	json *jsontext.Decoder // one of the next two
	err  *Error
	// Most bodies are read where they lie.
	whole struct {
		json jsontext.Decoder
		body bytes.Buffer
	}
	inPieces struct {
		json jsontext.Decoder
		body pieces
	}
	// path leads to the value that is being read.
	path []step
	// scratch holds the last string that had escapes in it, or the last blob.
	scratch    []byte
	violations violations
}

// step is one part of the path to a value: a member of a structure, an element
// of a list, or an entry of a map.
type step struct {
	kind  stepKind
	name  string // of a member or entry
	index int    // in the model, in the list, in the order of reading
}

type stepKind uint8

const (
	memberStep stepKind = iota
	elementStep
	entryStep
)

var decoders = sync.Pool{New: func() any { return new(Decoder) }}

// NewDecoder returns a Decoder on body, which must not change until Finish. The
// Decoder itself changes it: blobs are decoded into their own place. No body at
// all stands for an empty object.
func NewDecoder(body []byte) *Decoder {
	if len(body) == 0 {
		body = []byte("{}")
	}
	d := decoders.Get().(*Decoder)
	if len(body) < longBody {
		d.json = &d.whole.json
		d.whole.body = *bytes.NewBuffer(body)
		d.json.Reset(&d.whole.body)
	} else {
		d.json = &d.inPieces.json
		d.inPieces.body = pieces{body: body}
		d.json.Reset(&d.inPieces.body)
	}
	return d
}

// Finish ends decoding, and returns nil or an *Error: SerializationException or
// ValidationException. The Decoder must not be used after it.
func (d *Decoder) Finish() error {
	if d.err == nil {
		if _, err := d.json.ReadToken(); err != io.EOF {
			d.fail("")
		}
	}
	err := d.err
	if err == nil {
		err = d.violations.err()
	}
	d.reset()
	decoders.Put(d)
	if err == nil {
		return nil
	}
	return err
}

// reset leaves nothing of the request behind, and nothing large.
func (d *Decoder) reset() {
	if d.json == &d.whole.json {
		d.whole.body = bytes.Buffer{}
		d.json.Reset(&d.whole.body)
	} else {
		d.inPieces.body = pieces{}
		d.json.Reset(&d.inPieces.body)
		d.json.PeekKind() // has its own buffer wiped
		if d.inPieces.body.room > maxScratch {
			d.inPieces.json = jsontext.Decoder{}
		}
	}
	if len(d.scratch) > 0 {
		clear(d.scratch[:cap(d.scratch)])
	}
	if cap(d.scratch) > maxScratch {
		d.scratch = nil
	}
	d.json, d.err, d.path, d.scratch, d.violations = nil, nil, d.path[:0], d.scratch[:0], violations{}
}

// fail records a SerializationException, unless there was an error before.
func (d *Decoder) fail(message string) {
	if d.err == nil {
		d.err = &Error{Code: CodeSerialization, Message: message}
	}
}

// failJSON records that the body is not the JSON it should be. AWS says nothing
// of malformed JSON; for what only a strict parser refuses, the message tells.
func (d *Decoder) failJSON(err error) {
	if errors.Is(err, jsontext.ErrDuplicateName) {
		d.fail("Duplicate member name.")
		return
	}
	d.fail("")
}

// failType records that the next value is of the wrong kind for want, a type in
// the words of AWS's parser.
func (d *Decoder) failType(kind jsontext.Kind, want string) {
	switch kind {
	case '{':
		d.fail("Start of structure or map found where not expected.")
	case '[':
		d.fail("Start of list found where not expected.")
	case '"':
		d.fail("STRING_VALUE can not be converted to " + want)
	case '0':
		d.fail("NUMBER_VALUE can not be converted to " + want)
	case 't':
		d.fail("TRUE_VALUE can not be converted to " + want)
	case 'f':
		d.fail("FALSE_VALUE can not be converted to " + want)
	default:
		d.readInvalid()
	}
}

// readInvalid reads what PeekKind found to be no value at all, for its error.
func (d *Decoder) readInvalid() {
	_, err := d.json.ReadToken()
	d.failJSON(err)
}

// delim reads a bracket, brace or null that PeekKind has announced.
func (d *Decoder) delim() {
	if _, err := d.json.ReadToken(); err != nil {
		d.failJSON(err)
	}
}

// value reads the next string or number.
func (d *Decoder) value() []byte {
	raw, err := d.json.ReadValue()
	if err != nil {
		d.failJSON(err)
		return nil
	}
	return raw
}

// quoted reads the next value, which must be a string, as it stands in the body.
func (d *Decoder) quoted(want string) []byte {
	if kind := d.json.PeekKind(); kind != '"' {
		d.failType(kind, want)
		return nil
	}
	return d.value()
}

// unquote returns what a valid JSON string stands for.
func (d *Decoder) unquote(raw []byte) []byte {
	if bytes.IndexByte(raw, '\\') < 0 {
		return raw[1 : len(raw)-1]
	}
	var err error
	d.scratch, err = jsontext.AppendUnquote(d.scratch[:0], raw)
	if err != nil {
		d.failJSON(err)
	}
	return d.scratch
}

// skip reads over a value token by token, because ReadValue would follow
// thousands of levels.
func (d *Decoder) skip() {
	depth := d.json.StackDepth()
	for {
		if _, err := d.json.ReadToken(); err != nil {
			d.failJSON(err)
			return
		}
		switch now := d.json.StackDepth(); {
		case now <= depth:
			return
		case now > maxDepth:
			d.fail("Nesting is deeper than 32 levels.")
			return
		}
	}
}

// text reads the next value, which must be a string, and returns what it
// stands for. The bytes are valid until the next call.
func (d *Decoder) text(want string) []byte {
	raw := d.quoted(want)
	if d.err != nil {
		return nil
	}
	return d.unquote(raw)
}

// String reads a string or an enum's value.
func (d *Decoder) String(s *StringShape) string {
	b := d.text("String")
	if d.err != nil {
		return ""
	}
	v, ok := s.intern(b)
	if !ok {
		s.validate(d, v)
	}
	return v
}

// Blob reads binary data in base64: standard alphabet, with padding, and with
// no set bits left over at the end. What it returns lies in the body, so that
// no copy of a plaintext is left when the body's owner wipes it.
func (d *Decoder) Blob(s *BlobShape) []byte {
	b, ok := d.longBlob()
	if !ok {
		b = d.blob()
	}
	if d.err != nil {
		return nil
	}
	s.validate(d, b)
	return b
}

// longBlob reads a blob without having the JSON decoder read it. It is not ok,
// and nothing is read, where there is no valid one, or none that is long.
func (d *Decoder) longBlob() (b []byte, ok bool) {
	if d.json != &d.inPieces.json || d.json.PeekKind() != '"' {
		return nil, false
	}
	if b, d.scratch, ok = d.inPieces.body.blob(d.json.UnreadBuffer(), d.scratch); ok {
		d.value() // the empty string that stands there now
	}
	return b, ok
}

// blob reads any blob.
func (d *Decoder) blob() []byte {
	raw := d.quoted("Blob")
	if d.err != nil {
		return nil
	}
	d.scratch = d.scratch[:0]
	src := d.unquote(raw)
	if d.err != nil {
		return nil
	}
	// Nobody promises that decoding works in place, so it goes by the scratch,
	// behind what unquote may have put there.
	start := len(d.scratch)
	var ok bool
	if d.scratch, ok = appendDecoded(d.scratch, src); !ok {
		d.fail("Invalid base64.")
		return nil
	}
	place := raw
	if d.json == &d.inPieces.json {
		place = d.inPieces.body.last(len(raw), len(d.json.UnreadBuffer()))
	}
	n := copy(place, d.scratch[start:])
	return place[:n:n]
}

// Int32 reads an integer.
func (d *Decoder) Int32(s *IntShape) int32 {
	return int32(d.integer(s, 32, "Integer"))
}

// Int64 reads an integer.
func (d *Decoder) Int64(s *IntShape) int64 {
	return d.integer(s, 64, "Long")
}

func (d *Decoder) integer(s *IntShape, bits int, want string) int64 {
	if kind := d.json.PeekKind(); kind != '0' {
		d.failType(kind, want)
		return 0
	}
	raw := d.value()
	if d.err != nil {
		return 0
	}
	n, ok := parseInt(raw, bits)
	if !ok {
		d.fail("NUMBER_VALUE can not be converted to " + want)
		return 0
	}
	s.validate(d, n)
	return n
}

// Bool reads true or false.
func (d *Decoder) Bool() bool {
	kind := d.json.PeekKind()
	if kind != 't' && kind != 'f' {
		d.failType(kind, "Boolean")
		return false
	}
	d.delim()
	return kind == 't'
}

// Time reads seconds since the epoch, which may have a fraction and an exponent;
// what is finer than a millisecond is rounded away. The year must be 1 to 9999.
func (d *Decoder) Time() time.Time {
	const want = "milliseconds since epoch"
	if kind := d.json.PeekKind(); kind != '0' {
		d.failType(kind, want)
		return time.Time{}
	}
	raw := d.value()
	if d.err != nil {
		return time.Time{}
	}
	t, ok := parseTime(raw)
	if !ok {
		d.fail("NUMBER_VALUE can not be converted to " + want)
	}
	return t
}

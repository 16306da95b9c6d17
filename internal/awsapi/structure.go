package awsapi

import (
	"math/bits"

	"github.com/go-json-experiment/json/jsontext"
)

// Structure describes a structure to the Decoder.
type Structure struct {
	Members  []string // names in the model's order, at most 64
	Required uint64   // bit i: Members[i] must be there
}

// Members walks through the members of a structure in a request, as
//
//	for m := d.Structure(&structure); m.Next(); {
//		switch m.Index {
//		case 0:
//			r.KeyId = d.String(&keyIdType)
//		}
//	}
//
// Each pass must read exactly one value.
type Members struct {
	// Index is the number of the present member in Structure.Members.
	Index int

	d      *Decoder
	s      *Structure
	seen   uint64
	inside bool // a step of the path is ours
}

// Structure begins to read a structure.
func (d *Decoder) Structure(s *Structure) Members {
	if d.err == nil {
		if kind := d.json.PeekKind(); kind != '{' {
			d.failCollection(kind)
		} else {
			d.delim()
		}
	}
	return Members{d: d, s: s, Index: -1}
}

// failCollection records that a structure, map or list should stand where
// something else does.
func (d *Decoder) failCollection(kind jsontext.Kind) {
	switch kind {
	case '"', '0', 't', 'f', 'n':
		d.fail("Unexpected field type")
	default:
		d.failType(kind, "")
	}
}

// Next goes to the next member that the structure has and that is not null. At
// the end it notes which required members are missing, and returns false.
func (m *Members) Next() bool {
	d := m.d
	if m.inside {
		d.path = d.path[:len(d.path)-1]
		m.inside = false
	}
	for d.err == nil {
		switch d.json.PeekKind() {
		case '}':
			d.delim()
			m.checkRequired()
			return false
		case '"':
		default:
			d.readInvalid()
			return false
		}
		raw := d.value()
		if d.err != nil {
			return false
		}
		i := m.find(d.unquote(raw))
		if i < 0 {
			d.skip()
			continue
		}
		if d.json.PeekKind() == 'n' {
			d.delim()
			continue
		}
		m.Index, m.inside = i, true
		m.seen |= 1 << i
		d.path = append(d.path, step{kind: memberStep, name: m.s.Members[i], index: i})
		return true
	}
	return false
}

// find returns the number of the member with the name, or -1. Clients mostly
// send members in some fixed order, so it looks behind the last one first.
func (m *Members) find(name []byte) int {
	names := m.s.Members
	for n, i := 0, m.Index+1; n < len(names); n, i = n+1, i+1 {
		if i >= len(names) {
			i = 0
		}
		if names[i] == string(name) {
			return i
		}
	}
	return -1
}

func (m *Members) checkRequired() {
	for missing := m.s.Required &^ m.seen; missing != 0; missing &= missing - 1 {
		i := bits.TrailingZeros64(missing)
		m.d.path = append(m.d.path, step{kind: memberStep, name: m.s.Members[i], index: i})
		m.d.violate(nullValue, ruleNotNull)
		m.d.path = m.d.path[:len(m.d.path)-1]
	}
}

// list walks through a list's elements, calling read for each that is not null;
// null elements are noted. It reports whether there was a list at all.
func (d *Decoder) list(read func()) bool {
	if d.err != nil {
		return false
	}
	if kind := d.json.PeekKind(); kind != '[' {
		d.failCollection(kind)
		return false
	}
	d.delim()
	for i := 0; d.err == nil; i++ {
		kind := d.json.PeekKind()
		if kind == ']' {
			d.delim()
			break
		}
		d.path = append(d.path, step{kind: elementStep, index: i})
		if kind == 'n' {
			d.delim()
			d.violate(nullValue, ruleNotNull)
		} else {
			read()
		}
		d.path = d.path[:len(d.path)-1]
	}
	return d.err == nil
}

// DecodeStrings reads a list of strings or enum values. An empty list is empty,
// not nil.
func DecodeStrings[S ~string](d *Decoder, list *ListShape, element *StringShape) []S {
	out, valid := []S{}, true
	ok := d.list(func() {
		v, ok := element.intern(d.text("String"))
		out = append(out, S(v))
		valid = valid && (ok || element.valid(v))
	})
	if !ok {
		return nil
	}
	if !valid {
		// AWS reports such a list as a whole, with all the rules of its elements.
		d.violate(listValue(out, element.Sensitive), "satisfy constraint: ["+element.rules()+"]")
	}
	if rule := list.broken(len(out)); rule != "" {
		d.violate(listValue(out, element.Sensitive), rule)
	}
	return out
}

// DecodeList reads a list of structures, each with the function given. An empty
// list is empty, not nil.
func DecodeList[T any](d *Decoder, list *ListShape, decode func(*T, *Decoder)) []T {
	out := []T{}
	ok := d.list(func() {
		var v T
		decode(&v, d)
		out = append(out, v)
	})
	if !ok {
		return nil
	}
	if rule := list.broken(len(out)); rule != "" {
		d.violate(quoted("[...]"), rule)
	}
	return out
}

// StringMap reads a map of strings. An empty map is empty, not nil.
func (d *Decoder) StringMap() map[string]string {
	if d.err != nil {
		return nil
	}
	if kind := d.json.PeekKind(); kind != '{' {
		d.failCollection(kind)
		return nil
	}
	d.delim()
	out := make(map[string]string)
	for i := 0; d.err == nil; i++ {
		if d.json.PeekKind() == '}' {
			d.delim()
			break
		}
		raw := d.value()
		if d.err != nil {
			break
		}
		name := string(d.unquote(raw))
		if d.json.PeekKind() == 'n' {
			// Dropping the entry would change what an encryption context says.
			d.delim()
			d.path = append(d.path, step{kind: entryStep, name: name, index: i})
			d.violate(nullValue, ruleNotNull)
			d.path = d.path[:len(d.path)-1]
			continue
		}
		v := d.text("String")
		if d.err != nil {
			break
		}
		out[name] = string(v)
	}
	return out
}

package audit

import "unicode/utf8"

// object writes the members of one JSON object that are there.
type object struct {
	dst []byte
	sep byte // what comes before the next member: '{', then ','
}

// separated returns the text so far, ready for another member.
func (o *object) separated() []byte {
	dst := append(o.dst, o.sep)
	o.sep = ','
	return dst
}

// optional writes a member, given as `"name":`, unless its value is empty.
func (o *object) optional(name, value string) {
	if value != "" {
		o.dst = appendField(o.separated(), name, value)
	}
}

func (o *object) end() []byte {
	if o.sep == '{' {
		o.dst = append(o.dst, '{')
	}
	return append(o.dst, '}')
}

func appendOptional(dst []byte, name, value string) []byte {
	if value == "" {
		return dst
	}
	return appendField(dst, name, value)
}

// appendField appends name, which ends in a colon, and the value as a string.
func appendField(dst []byte, name, value string) []byte {
	return appendString(append(dst, name...), value, MaxTextBytes)
}

// plain marks the ASCII bytes that stand for themselves in a JSON string.
var plain = func() (t [256]bool) {
	for c := byte(' '); c < utf8.RuneSelf; c++ {
		t[c] = c != '"' && c != '\\' && c != 0x7f
	}
	return t
}()

const hexDigits = "0123456789abcdef"

// appendString appends s as a JSON string. Where the text between the quotes
// would be longer than limit bytes it ends early, between two characters.
// Besides what JSON demands, it escapes DEL and the two Unicode line separators,
// so that a record is one line to every tool.
func appendString(dst []byte, s string, limit int) []byte {
	dst = append(dst, '"')
	end := len(dst) + limit
	run := 0 // s[run:i] stands for itself and is not yet appended
	flush := func(i int) bool {
		if room := end - len(dst); i-run > room {
			// Cut in front of the character that does not fit. The run is valid
			// UTF-8, so stepping back over continuation bytes finds its start.
			i = run + max(room, 0)
			for i > run && !utf8.RuneStart(s[i]) {
				i--
			}
			dst = append(dst, s[run:i]...)
			return false
		}
		dst = append(dst, s[run:i]...)
		return true
	}
	for i := 0; i < len(s); {
		c := s[i]
		if plain[c] {
			i++
			continue
		}
		var escape string
		size := 1
		switch {
		case c == '"':
			escape = `\"`
		case c == '\\':
			escape = `\\`
		case c == '\n':
			escape = `\n`
		case c == '\r':
			escape = `\r`
		case c == '\t':
			escape = `\t`
		case c < utf8.RuneSelf:
			escape = string([]byte{'\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15]})
		default:
			var r rune
			r, size = utf8.DecodeRuneInString(s[i:])
			switch {
			case r == utf8.RuneError && size == 1:
				escape = `\ufffd`
			case r == '\u2028':
				escape = `\u2028`
			case r == '\u2029':
				escape = `\u2029`
			default:
				i += size
				continue
			}
		}
		if !flush(i) || len(dst)+len(escape) > end {
			return append(dst, '"')
		}
		dst = append(dst, escape...)
		i += size
		run = i
	}
	flush(len(s))
	return append(dst, '"')
}

package materials

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"unicode/utf8"
)

// Errors of an encryption context.
var (
	ErrContextTooLarge  = errors.New("esdk: the encryption context takes more than 65535 bytes")
	ErrContextInvalid   = errors.New("esdk: the encryption context holds a string that is not UTF-8")
	ErrContextMalformed = errors.New("esdk: the serialized encryption context is malformed")
)

const maxContextSize = 1<<16 - 1

// AppendContext appends the serialized encryption context: nothing for an empty
// one, else the number of pairs and then each key and value with its length in
// 16 bits, sorted by the bytes of the keys. It returns ErrContextTooLarge or
// ErrContextInvalid.
//
// Source: the specification, "Structures", encryption context.
func AppendContext(dst []byte, context map[string]string) ([]byte, error) {
	size, err := contextSize(context)
	if err != nil || size == 0 {
		return dst, err
	}
	dst = slices.Grow(dst, size)
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(context)))
	var array [8]string // most contexts are small, and this is on every message's way
	keys := array[:0]
	for k := range context {
		keys = append(keys, k)
	}
	slices.Sort(keys) // by their bytes, which is the order the format wants
	for _, k := range keys {
		dst = appendString(dst, k)
		dst = appendString(dst, context[k])
	}
	return dst, nil
}

// ParseContext reads a serialized encryption context, which must fill b: no
// bytes are the empty context, and anything else holds at least one pair. It
// refuses duplicate keys, lengths that do not add up (ErrContextMalformed),
// text that is not UTF-8 (ErrContextInvalid) and more than 65535 bytes
// (ErrContextTooLarge).
//
// Pairs may come in any order: writers are to sort them by the bytes of their
// keys, but readers are not told to check it, and there are writers that sort
// by UTF-16 units. A header is therefore authenticated by its bytes as they
// were read, not by those AppendContext makes of the result.
func ParseContext(b []byte) (map[string]string, error) {
	pairs, err := ParsePairs(b)
	if err != nil {
		return nil, err
	}
	context := make(map[string]string, len(pairs))
	for _, p := range pairs {
		context[p.Key] = p.Value
	}
	return context, nil
}

// Pair is one entry of an encryption context.
type Pair struct{ Key, Value string }

// ParsePairs is ParseContext for those who must know the order in which the
// pairs stand.
func ParsePairs(b []byte) ([]Pair, error) {
	if len(b) > maxContextSize {
		return nil, ErrContextTooLarge
	}
	if len(b) == 0 {
		return nil, nil
	}
	if len(b) < 2 {
		return nil, fmt.Errorf("%w: it ends within the number of pairs", ErrContextMalformed)
	}
	n, rest := int(binary.BigEndian.Uint16(b)), b[2:]
	// A pair takes at least the lengths of its two parts: nothing is allocated
	// on the word of the number alone.
	if n == 0 || n > len(rest)/4 {
		return nil, fmt.Errorf("%w: it cannot hold %d pairs", ErrContextMalformed, n)
	}
	pairs := make([]Pair, n)
	for i := range pairs {
		p := &pairs[i]
		for _, dst := range []*string{&p.Key, &p.Value} {
			s, after, ok := cutString(rest)
			if !ok {
				return nil, fmt.Errorf("%w: it ends within a pair", ErrContextMalformed)
			}
			if !utf8.Valid(s) {
				return nil, ErrContextInvalid
			}
			*dst, rest = string(s), after
		}
	}
	if len(rest) != 0 {
		return nil, fmt.Errorf("%w: %d bytes follow its last pair", ErrContextMalformed, len(rest))
	}
	if k, twice := repeatedKey(pairs); twice {
		return nil, fmt.Errorf("%w: the key %q occurs twice", ErrContextMalformed, k)
	}
	return pairs, nil
}

func repeatedKey(pairs []Pair) (key string, found bool) {
	if len(pairs) > 8 { // with fewer, a map costs more
		seen := make(map[string]bool, len(pairs))
		for _, p := range pairs {
			if seen[p.Key] {
				return p.Key, true
			}
			seen[p.Key] = true
		}
		return "", false
	}
	for i, p := range pairs {
		for _, q := range pairs[:i] {
			if p.Key == q.Key {
				return p.Key, true
			}
		}
	}
	return "", false
}

// contextSize is how many bytes AppendContext would append.
func contextSize(context map[string]string) (int, error) {
	if len(context) == 0 {
		return 0, nil
	}
	size := 2
	for k, v := range context {
		if !utf8.ValidString(k) || !utf8.ValidString(v) {
			return 0, ErrContextInvalid
		}
		if size += 4 + len(k) + len(v); size > maxContextSize {
			return 0, ErrContextTooLarge
		}
	}
	return size, nil
}

func appendString[S ~string | ~[]byte](dst []byte, s S) []byte {
	return append(binary.BigEndian.AppendUint16(dst, uint16(len(s))), s...)
}

// cutString splits b after its first string, which is preceded by its length.
func cutString(b []byte) (s, rest []byte, ok bool) {
	if len(b) < 2 {
		return nil, nil, false
	}
	n := int(binary.BigEndian.Uint16(b))
	if b = b[2:]; len(b) < n {
		return nil, nil, false
	}
	return b[:n], b[n:], true
}

package awsapi

import (
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// auditTime is how CloudTrail writes a time inside requestParameters and
// responseElements.
const auditTime = "Jan 2, 2006, 3:04:05 PM"

// AppendString appends s as a JSON string. Bytes that are no UTF-8 become
// U+FFFD.
func AppendString[S ~string](dst []byte, s S) []byte {
	if plain(s) {
		dst = append(dst, '"')
		dst = append(dst, s...)
		return append(dst, '"')
	}
	// Its only error is invalid UTF-8, which it has replaced by then.
	dst, _ = jsontext.AppendQuote(dst, s)
	return dst
}

// plain reports whether s can stand in a JSON string as it is.
func plain[S ~string](s S) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c == '"' || c == '\\' || c >= 0x7f {
			return false
		}
	}
	return true
}

// AppendBlob appends b in base64, as AWS writes binary members.
func AppendBlob(dst, b []byte) []byte {
	dst = append(dst, '"')
	dst = appendEncoded(dst, b)
	return append(dst, '"')
}

// AppendInt appends the number n.
func AppendInt[I ~int32 | ~int64](dst []byte, n I) []byte {
	return strconv.AppendInt(dst, int64(n), 10)
}

// AppendTime appends t in seconds since the epoch, rounded down to
// milliseconds, without zeros at the end: 1593622000.191, 1568565290.
func AppendTime(dst []byte, t time.Time) []byte {
	ms := t.UnixMilli()
	if ms < 0 {
		dst = append(dst, '-')
		ms = -ms
	}
	dst = strconv.AppendInt(dst, ms/1000, 10)
	if frac := ms % 1000; frac != 0 {
		dst = append(dst, '.', byte('0'+frac/100), byte('0'+frac/10%10), byte('0'+frac%10))
		for dst[len(dst)-1] == '0' {
			dst = dst[:len(dst)-1]
		}
	}
	return dst
}

// AppendAuditTime appends t as CloudTrail writes it inside parameters: a string
// such as "Aug 10, 2022, 10:38:27 PM", in UTC.
func AppendAuditTime(dst []byte, t time.Time) []byte {
	dst = append(dst, '"')
	dst = t.UTC().AppendFormat(dst, auditTime)
	return append(dst, '"')
}

// AppendStrings appends a list of strings or enum values.
func AppendStrings[S ~string](dst []byte, list []S) []byte {
	dst = append(dst, '[')
	for i, s := range list {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = AppendString(dst, s)
	}
	return append(dst, ']')
}

// AppendStringMap appends a map as an object, sorted by name, so that the same
// map always gives the same bytes.
func AppendStringMap(dst []byte, m map[string]string) []byte {
	dst = append(dst, '{')
	for i, k := range slices.Sorted(maps.Keys(m)) {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = AppendString(dst, k)
		dst = append(dst, ':')
		dst = AppendString(dst, m[k])
	}
	return append(dst, '}')
}

// CloseObject ends an object whose members were appended each with a comma
// behind it, or not at all: the last comma becomes the closing brace.
func CloseObject(dst []byte) []byte {
	if last := len(dst) - 1; dst[last] == ',' {
		dst[last] = '}'
		return dst
	}
	return append(dst, '}')
}

// CloseAudit is CloseObject for audit parameters that start at start: an object
// without members becomes null, as CloudTrail has it.
func CloseAudit(dst []byte, start int) []byte {
	if len(dst) == start+1 {
		return append(dst[:start], "null"...)
	}
	return CloseObject(dst)
}

// AppendList appends a list of structures, each with the function given.
func AppendList[T any](dst []byte, list []T, appendTo func(*T, []byte) []byte) []byte {
	dst = append(dst, '[')
	for i := range list {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendTo(&list[i], dst)
	}
	return append(dst, ']')
}

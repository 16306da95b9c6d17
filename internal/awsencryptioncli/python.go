package awsencryptioncli

import (
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

var (
	wholeNumber  = regexp.MustCompile(`^[+-]?\d+(_\d+)*$`)
	floatNumber  = regexp.MustCompile(`^[+-]?(\d+(_\d+)*\.?(\d+(_\d+)*)?|\.\d+(_\d+)*)([eE][+-]?\d+(_\d+)*)?$`)
	infiniteText = regexp.MustCompile(`(?i)^[+-]?(inf|infinity|nan)$`)
)

// parseInt reads a number as Python's int does, but for other digits than ASCII's.
// What an int64 cannot hold becomes the next that it can.
func parseInt(text string) (n int64, ok bool) {
	text = strings.TrimSpace(text)
	if !wholeNumber.MatchString(text) {
		return 0, false
	}
	n, _ = strconv.ParseInt(strings.ReplaceAll(text, "_", ""), 10, 64) // the error is that of the range, for which n is right
	return n, true
}

// parseFloat reads a number as Python's float does, but for other digits than
// ASCII's.
func parseFloat(text string) (f float64, ok bool) {
	text = strings.TrimSpace(text)
	if !floatNumber.MatchString(text) && !infiniteText.MatchString(text) {
		return 0, false
	}
	f, _ = strconv.ParseFloat(strings.ReplaceAll(text, "_", ""), 64) // out of range is infinite, there as here
	return f, !math.IsNaN(f)
}

// isSpace tells what Python's str.isspace does.
func isSpace(r rune) bool { return unicode.IsSpace(r) || 0x1c <= r && r <= 0x1f }

// quote returns text as Python's repr shows it.
func quote(text string) string {
	mark := byte('\'')
	if strings.Contains(text, "'") && !strings.Contains(text, `"`) {
		mark = '"'
	}
	b := []byte{mark}
	for len(text) > 0 {
		r, size := utf8.DecodeRuneInString(text)
		switch {
		case r == utf8.RuneError && size == 1:
			b = fmt.Appendf(b, `\udc%02x`, text[0]) // how Python keeps what is not UTF-8
		case r == '\n':
			b = append(b, `\n`...)
		case r == '\r':
			b = append(b, `\r`...)
		case r == '\t':
			b = append(b, `\t`...)
		case r == '\\' || r == rune(mark):
			b = append(b, '\\', byte(r))
		case r == ' ' || unicode.IsPrint(r):
			b = append(b, text[:size]...)
		case r < 0x100:
			b = fmt.Appendf(b, `\x%02x`, r)
		case r < 0x10000:
			b = fmt.Appendf(b, `\u%04x`, r)
		default:
			b = fmt.Appendf(b, `\U%08x`, r)
		}
		text = text[size:]
	}
	return string(append(b, mark))
}

func quoteAll(texts []string) string {
	quoted := make([]string, len(texts))
	for i, text := range texts {
		quoted[i] = quote(text)
	}
	return strings.Join(quoted, ", ")
}

// splitLines splits as Python's str.splitlines does a text whose line ends were
// made one another's equal.
func splitLines(text string) []string {
	text = strings.ReplaceAll(text, "\r\n", "\n")
	lines := strings.FieldsFunc(text, func(r rune) bool {
		switch r {
		case '\n', '\r', '\v', '\f', 0x1c, 0x1d, 0x1e, 0x85, 0x2028, 0x2029:
			return true
		}
		return false
	})
	return lines
}

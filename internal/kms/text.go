package kms

import (
	"bytes"
	"encoding/hex"
	"strconv"
	"strings"
	"unicode/utf8"
)

// clip bounds what of a caller's text goes into an error message.
func clip(s string) string {
	const most = 512
	if len(s) <= most {
		return s
	}
	cut := most
	for cut > 0 && !utf8.RuneStart(s[cut]) {
		cut--
	}
	return s[:cut] + "..."
}

func appendHex(dst, src []byte) []byte { return hex.AppendEncode(dst, src) }

func upTo(b []byte, sep byte) string {
	if i := bytes.IndexByte(b, sep); i >= 0 {
		b = b[:i]
	}
	return string(b)
}

func itoa(n int64) string { return strconv.FormatInt(n, 10) }

func hasPrefixFold(s, prefix string) bool {
	return len(s) >= len(prefix) && strings.EqualFold(s[:len(prefix)], prefix)
}

func lower(s string) string { return strings.ToLower(s) }

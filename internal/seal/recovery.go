package seal

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"unicode"
)

// A recovery key is 32 random bytes, written for people:
//
//	KWRK-XXXXC-XXXXC-...   13 groups of four characters and a check character
//
// in Crockford's base32. The 52 characters are the bytes from the highest bit
// down, and four zero bits. With the four of group g (from 0) as elements d of
// GF(2^5) modulo x^5+x^2+1 and a = x, the check is
//
//	a*d[0] + a^2*d[1] + a^3*d[2] + a^4*d[3] + g
//
// which tells every single wrong character, every two exchanged in a group, and
// every two exchanged groups, and in which group it is.
const (
	recoveryPrefix = "KWRK"
	recoveryGroups = 13
	groupChars     = 5

	crockford = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
)

// RecoveryKey returns a Provider of the recovery key that text writes out. Small
// letters, spaces or no separators, O for 0, and I or L for 1 are understood. An
// error names the group that is mistyped, never what stands in it.
func RecoveryKey(text string) (Provider, error) {
	key, err := parseRecoveryKey(text)
	if err != nil {
		return nil, err
	}
	return recoveryKey{key}, nil
}

type recoveryKey struct{ key secret }

func (recoveryKey) Kind() Kind     { return KindRecovery }
func (recoveryKey) String() string { return "recovery key" }

func (p recoveryKey) open(context.Context, *slot) (secret, error) {
	return secretFrom(p.key.bytes()), nil
}

func (p recoveryKey) enroll(ctx context.Context, s *slot) (secret, error) { return p.open(ctx, s) }

func (p recoveryKey) text() string { return formatRecoveryKey(p.key) }

func formatRecoveryKey(key secret) string {
	var b strings.Builder
	b.WriteString(recoveryPrefix)
	bits, n, in := uint32(0), 0, key.bytes()
	next := func() byte { // the next five bits, zeros after the last
		if n < 5 {
			bits <<= 8
			if len(in) > 0 {
				bits |= uint32(in[0])
				in = in[1:]
			}
			n += 8
		}
		n -= 5
		return byte(bits>>n) & 31
	}
	for g := range recoveryGroups {
		var d [groupChars - 1]byte
		b.WriteByte('-')
		for i := range d {
			d[i] = next()
			b.WriteByte(crockford[d[i]])
		}
		b.WriteByte(crockford[groupCheck(g, d)])
	}
	return b.String()
}

func groupCheck(g int, d [groupChars - 1]byte) byte {
	sum := byte(0)
	for i := len(d) - 1; i >= 0; i-- { // Horner's rule
		sum = timesX(sum ^ d[i])
	}
	return sum ^ byte(g)
}

// timesX multiplies by x in GF(2^5) modulo x^5+x^2+1.
func timesX(v byte) byte {
	v <<= 1
	if v&32 != 0 {
		v ^= 0b100101
	}
	return v
}

func parseRecoveryKey(text string) (secret, error) {
	groups := strings.FieldsFunc(text, func(r rune) bool { return r == '-' || unicode.IsSpace(r) })
	if len(groups) == 0 || !strings.HasPrefix(strings.ToUpper(groups[0]), recoveryPrefix) {
		return secret{}, errors.New("this is not a recovery key: it must begin with " + recoveryPrefix)
	}
	if groups[0] = groups[0][len(recoveryPrefix):]; groups[0] == "" {
		groups = groups[1:]
	}
	if len(groups) == recoveryGroups {
		for g, group := range groups {
			if len(group) != groupChars {
				return secret{}, fmt.Errorf("group %d of the recovery key is mistyped: it must have %d characters", g+1, groupChars)
			}
		}
	}
	chars := strings.Join(groups, "")
	if len(chars) != recoveryGroups*groupChars {
		return secret{}, fmt.Errorf("the recovery key has %d characters after %s, it must have %d groups of %d",
			len(chars), recoveryPrefix, recoveryGroups, groupChars)
	}
	key := secret{new([secretSize]byte)}
	bits, n, out := uint32(0), 0, 0
	for g := range recoveryGroups {
		var d [groupChars]byte
		for i := range d {
			v, ok := crockfordValue(chars[g*groupChars+i])
			if !ok {
				return secret{}, fmt.Errorf("group %d of the recovery key is mistyped: character %d is none of a recovery key's", g+1, i+1)
			}
			d[i] = v
		}
		if groupCheck(g, [groupChars - 1]byte(d[:])) != d[groupChars-1] {
			return secret{}, fmt.Errorf("group %d of the recovery key is mistyped", g+1)
		}
		for _, v := range d[:groupChars-1] {
			bits, n = bits<<5|uint32(v), n+5
			if n >= 8 && out < secretSize {
				n -= 8
				key.b[out] = byte(bits >> n)
				out++
			}
		}
	}
	if bits&(1<<n-1) != 0 {
		return secret{}, fmt.Errorf("group %d of the recovery key is mistyped", recoveryGroups)
	}
	return key, nil
}

func crockfordValue(c byte) (byte, bool) {
	switch c {
	case 'O', 'o':
		return 0, true
	case 'I', 'i', 'L', 'l':
		return 1, true
	}
	if 'a' <= c && c <= 'z' {
		c -= 'a' - 'A'
	}
	i := strings.IndexByte(crockford, c)
	return byte(i), i >= 0
}

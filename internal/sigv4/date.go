package sigv4

import "time"

// MaxSkew is how far a request's date may lie from the server's time, on
// either side.
const MaxSkew = 5 * time.Minute

const isoBasic = "20060102T150405Z"

// parseDate reads the date of a request and returns it also in the form of the
// string to sign. X-Amz-Date must be in ISO 8601's basic form; the older Date
// header may also be an HTTP date, for which botocore writes the zone as -0000.
func parseDate(header, value string) (timestamp string, t time.Time, ok bool) {
	if len(value) == len(isoBasic) {
		t, ok := parseISOBasic(value)
		return value, t, ok
	}
	if header != "Date" {
		return "", time.Time{}, false
	}
	for _, layout := range []string{"Mon, 02 Jan 2006 15:04:05 GMT", "Mon, 02 Jan 2006 15:04:05 -0700"} {
		t, err := time.Parse(layout, value)
		if err != nil {
			continue
		}
		t = t.UTC()
		timestamp := t.Format(isoBasic)
		return timestamp, t, len(timestamp) == len(isoBasic)
	}
	return "", time.Time{}, false
}

// parseISOBasic is time.Parse for isoBasic, on every request's way.
func parseISOBasic(v string) (time.Time, bool) {
	if len(v) != len(isoBasic) || v[8] != 'T' || v[15] != 'Z' {
		return time.Time{}, false
	}
	var n [7]int // pairs of digits; the year has two
	for i, at := range [...]int{0, 2, 4, 6, 9, 11, 13} {
		hi, lo := v[at]-'0', v[at+1]-'0'
		if hi > 9 || lo > 9 {
			return time.Time{}, false
		}
		n[i] = 10*int(hi) + int(lo)
	}
	t := time.Date(100*n[0]+n[1], time.Month(n[2]), n[3], n[4], n[5], n[6], 0, time.UTC)
	// Date carries what is too large over into the next unit: the 31st of June
	// is no date.
	ok := int(t.Month()) == n[2] && t.Day() == n[3] && n[4] < 24 && n[5] < 60 && n[6] < 60
	return t, ok
}

// checkSkew compares in whole seconds, the precision of the request's date and
// of the answer.
func checkSkew(t, now time.Time) error {
	now = now.UTC().Truncate(time.Second)
	if t.Before(now.Add(-MaxSkew)) {
		return expiredError(t, now)
	}
	if t.After(now.Add(MaxSkew)) {
		return notYetError(t, now)
	}
	return nil
}

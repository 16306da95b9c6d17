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
		t, err := time.Parse(isoBasic, value)
		return value, t, err == nil
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

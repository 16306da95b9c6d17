package awsapi

import (
	"math"
	"strconv"
	"time"
)

// exactFloat is the largest magnitude up to which every integer is a float64.
const exactFloat = 1 << 53

// parseInt returns the integer that a valid JSON number stands for. 1e2 and
// 100.0 are integers; beyond plain digits it knows magnitudes up to 2^53.
func parseInt(raw []byte, bits int) (int64, bool) {
	if n, err := strconv.ParseInt(string(raw), 10, bits); err == nil {
		return n, true
	}
	f, err := strconv.ParseFloat(string(raw), 64)
	if err != nil || f != math.Trunc(f) || math.Abs(f) > exactFloat || f >= math.Exp2(float64(bits-1)) || f < -math.Exp2(float64(bits-1)) {
		return 0, false
	}
	return int64(f), true
}

// The times a request may name, in milliseconds since the epoch: from minTime
// to before maxTime.
var (
	minTime = time.Date(1, 1, 1, 0, 0, 0, 0, time.UTC).UnixMilli()
	maxTime = time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC).UnixMilli()
)

// parseTime returns the time that a valid JSON number of seconds stands for, to
// the nearest millisecond.
func parseTime(raw []byte) (time.Time, bool) {
	seconds, err := strconv.ParseFloat(string(raw), 64)
	ms := math.Round(seconds * 1000)
	if err != nil || ms < float64(minTime) || ms >= float64(maxTime) {
		return time.Time{}, false
	}
	return time.UnixMilli(int64(ms)).UTC(), true
}

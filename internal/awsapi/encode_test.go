package awsapi_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/keywright/keywright/internal/awsapi"
)

func TestAppendString(t *testing.T) {
	for _, s := range []string{"", "plain", "caf\u00e9", "\U0001d11e", `"\/`, "\x00\x1f\x7f\t\r\n", "\u2028<&>", strings.Repeat("x", 5000) + "\""} {
		var got string
		if err := json.Unmarshal(awsapi.AppendString(nil, s), &got); err != nil || got != s {
			t.Errorf("%q comes back as %q, %v", s, got, err)
		}
	}
	if got := string(awsapi.AppendString(nil, "a\xffb")); got != "\"a\ufffdb\"" {
		t.Errorf("invalid UTF-8 becomes %q", got)
	}
}

func TestAppendTime(t *testing.T) {
	for _, tc := range []struct {
		t    time.Time
		want string
	}{
		{time.UnixMilli(1593622000191), "1593622000.191"},
		{time.UnixMilli(1593622000190), "1593622000.19"},
		{time.UnixMilli(1593622000100), "1593622000.1"},
		{time.UnixMilli(1593622000001), "1593622000.001"},
		{time.UnixMilli(1568565290000), "1568565290"},
		{time.Unix(1568565290, 999999), "1568565290"},
		{time.UnixMilli(0), "0"},
		{time.UnixMilli(-1500), "-1.5"},
		{time.UnixMilli(-500), "-0.5"},
	} {
		if got := string(awsapi.AppendTime(nil, tc.t)); got != tc.want {
			t.Errorf("AppendTime(%v) = %s, want %s", tc.t, got, tc.want)
		}
	}
}

func TestAppendAuditTime(t *testing.T) {
	east := time.FixedZone("east", 2*60*60)
	for _, tc := range []struct {
		t    time.Time
		want string
	}{
		{time.Date(2022, 8, 11, 0, 38, 27, 0, east), `"Aug 10, 2022, 10:38:27 PM"`},
		{time.Date(2025, 5, 1, 0, 7, 5, 0, time.UTC), `"May 1, 2025, 12:07:05 AM"`},
	} {
		if got := string(awsapi.AppendAuditTime(nil, tc.t)); got != tc.want {
			t.Errorf("AppendAuditTime(%v) = %s, want %s", tc.t, got, tc.want)
		}
	}
}

func TestAppendBlob(t *testing.T) {
	for n := range 100 {
		want := bytes.Repeat([]byte{0xfb, 0xff, 0x01}, n)[:n]
		out := awsapi.AppendBlob([]byte("["), want)
		var got []byte
		if err := json.Unmarshal(out[1:], &got); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%d bytes come back as %x, %v", n, got, err)
		}
	}
}

func TestAppendStringMap(t *testing.T) {
	got := string(awsapi.AppendStringMap(nil, map[string]string{"b": "2", "": "0", "a\"": "1"}))
	if want := `{"":"0","a\"":"1","b":"2"}`; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if got := string(awsapi.AppendStringMap(nil, nil)); got != "{}" {
		t.Errorf("no map: %s, want {}", got)
	}
}

func TestCloseObject(t *testing.T) {
	for _, tc := range []struct{ open, object, audit string }{
		{`{`, `{}`, `null`},
		{`{"a":1,`, `{"a":1}`, `{"a":1}`},
	} {
		if got := string(awsapi.CloseObject([]byte(tc.open))); got != tc.object {
			t.Errorf("CloseObject(%s) = %s, want %s", tc.open, got, tc.object)
		}
		if got := string(awsapi.CloseAudit([]byte("x"+tc.open), 1)); got != "x"+tc.audit {
			t.Errorf("CloseAudit(x%s) = %s, want x%s", tc.open, got, tc.audit)
		}
	}
}

func TestAppendNumbersAndLists(t *testing.T) {
	if got := string(awsapi.AppendInt(nil, int32(-2147483648))); got != "-2147483648" {
		t.Errorf("AppendInt = %s", got)
	}
	if got := string(awsapi.AppendInt(nil, int64(9223372036854775807))); got != "9223372036854775807" {
		t.Errorf("AppendInt = %s", got)
	}
	if got := string(awsapi.AppendStrings(nil, []string{"a", "", "\""})); got != `["a","","\""]` {
		t.Errorf("AppendStrings = %s", got)
	}
	appendTo := func(e *awsapi.Error, dst []byte) []byte { return e.AppendJSON(dst) }
	if got := string(awsapi.AppendList(nil, []awsapi.Error{{Code: "A"}, {Code: "B"}}, appendTo)); got != `[{"__type":"A"},{"__type":"B"}]` {
		t.Errorf("AppendList = %s", got)
	}
	if got := string(awsapi.AppendList(nil, nil, appendTo)); got != `[]` {
		t.Errorf("AppendList of nothing = %s", got)
	}
}

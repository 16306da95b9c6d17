package sigv4_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/keywright/keywright/internal/sigv4"
)

// Nothing makes Parse or Verify panic; what Parse accepts is bounded, timely
// and complete; what it refuses is answered in printable text of bounded length.
func FuzzParse(f *testing.F) {
	f.Add("/", "", "h", testAuth, "20150830T123600Z", "", "X-Amz-Target", "TrentService.ListKeys")
	f.Add("/", "", "h", strings.Replace(testAuth, "content-type;host;x-amz-date;x-amz-target", "date;host", 1), "", "Sun, 30 Aug 2015 12:36:00 GMT", "Accept", "*/*")
	f.Add("/a/../b", "X-Amz-Signature=1&%", "h", "AWS4-HMAC-SHA256 Signature=,=,", "x", "y", "host", "z")
	f.Fuzz(func(t *testing.T, path, query, host, auth, amzDate, date, name, value string) {
		r := sigv4.Request{Method: "POST", Path: path, RawQuery: query, Host: host, Header: map[string][]string{name: {value}}}
		for name, value := range map[string]string{"Authorization": auth, "X-Amz-Date": amzDate, "Date": date} {
			if value != "" {
				r.Header[name] = append(r.Header[name], value)
			}
		}
		if strings.Contains(auth, "content-type") {
			r.Header["Content-Type"] = append(r.Header["Content-Type"], "application/x-amz-json-1.1")
		}
		s, err := sigv4.Parse(&r, testTime)
		if err != nil {
			e := err.(*sigv4.Error)
			if e.Code == "" || len(e.Message) > 1024 || strings.ContainsFunc(e.Message, func(c rune) bool { return c > '~' || c < ' ' && c != '\t' }) {
				t.Fatalf("error %q", e)
			}
			return
		}
		if s.Verify([32]byte{}, [32]byte{}) == nil {
			t.Fatal("verified under a key nobody used")
		}
		if d := s.Time.Sub(testTime); d > sigv4.MaxSkew || d < -sigv4.MaxSkew || s.Date != s.Time.Format("20060102") {
			t.Fatalf("accepted time %s, date %s", s.Time, s.Date)
		}
		for _, part := range []string{s.AccessKeyID, s.Date, s.Region, s.Service} {
			if part == "" || len(part) > 128 || strings.ContainsFunc(part, func(c rune) bool { return c <= ' ' || c > '~' || c == '/' || c == ',' }) {
				t.Fatalf("accepted %q in the credential", part)
			}
		}
		// The header may be taken apart and put together again: only order and
		// spaces are free.
		signed := signedHeaders(r)
		again := "Credential=" + s.AccessKeyID + "/" + s.Date + "/" + s.Region + "/" + s.Service + "/aws4_request"
		if !strings.Contains(r.Header["Authorization"][0], again) || !slices.IsSorted(signed) || !slices.Contains(signed, "host") || host == "" {
			t.Fatalf("accepted %q", r)
		}
		for name := range r.Header {
			if must := strings.HasPrefix(strings.ToLower(name), "x-amz-") || name == "Content-Type"; !must {
				continue
			}
			if !slices.ContainsFunc(signed, func(s string) bool { return strings.TrimRight(s, " \t") == strings.ToLower(name) }) {
				t.Fatalf("accepted with %s unsigned: %q", name, r)
			}
		}
	})
}

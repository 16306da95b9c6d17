package sigv4

import (
	"testing"
	"time"
)

func FuzzParseISOBasic(f *testing.F) {
	for _, s := range []string{
		"20150830T123600Z", "00000101T000000Z", "20240229T235959Z", "20230229T000000Z", "20230431T000000Z",
		"20231301T000000Z", "20230100T000000Z", "20230101T240000Z", "20230101T006000Z", "20230101T000060Z",
		"2023010 T000000Z", "20230101t000000Z", "20230101T000000z", "", "99991231T235959Z", "2023+101T000000Z",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, ok := parseISOBasic(s)
		want, err := time.Parse(isoBasic, s)
		if ok != (err == nil && len(s) == len(isoBasic)) || ok && !got.Equal(want) {
			t.Errorf("parseISOBasic(%q) = %v, %v; time.Parse gives %v, %v", s, got, ok, want, err)
		}
	})
}

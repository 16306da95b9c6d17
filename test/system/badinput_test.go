package system_test

import (
	"net/http"
	"strings"
	"testing"
)

// TestBadBodies sends, properly signed, bodies that are no request.
func TestBadBodies(t *testing.T) {
	p := start(t, t.TempDir())
	c := p.client()
	id := c.newKey(t, m{"Description": "old"})
	const (
		form  = "SerializationException"
		value = "ValidationException"
	)
	for _, tt := range []struct{ name, operation, body, code string }{
		{"cut short", "DescribeKey", `{"KeyId":"` + id, form},
		{"an open brace", "DescribeKey", `{`, form},
		{"an array", "DescribeKey", `[]`, form},
		{"a string", "DescribeKey", `"x"`, form},
		{"a number", "DescribeKey", `1`, form},
		{"two objects", "DescribeKey", `{"KeyId":"` + id + `"}{}`, form},
		{"text behind", "DescribeKey", `{"KeyId":"` + id + `"}x`, form},
		{"a comma too many", "DescribeKey", `{"KeyId":"` + id + `",}`, form},
		{"no quotes", "DescribeKey", `{KeyId:"` + id + `"}`, form},
		{"single quotes", "DescribeKey", `{'KeyId':'` + id + `'}`, form},
		{"a comment", "DescribeKey", `{/**/"KeyId":"` + id + `"}`, form},
		{"a byte order mark", "DescribeKey", "\ufeff{}", form},
		{"UTF-16", "DescribeKey", "\xfe\xff\x00{\x00}", form},
		{"a NUL", "DescribeKey", "{}\x00", form},
		{"a name twice", "DescribeKey", `{"KeyId":"` + id + `","KeyId":"` + id + `"}`, form},
		{"a name twice, once escaped", "DescribeKey", `{"KeyId":"` + id + `","\u004beyId":"` + id + `"}`, form},
		{"an unknown name twice", "DescribeKey", `{"KeyId":"` + id + `","X":1,"X":1}`, form},
		{"a name in lower case", "DescribeKey", `{"keyid":"` + id + `"}`, value},
		{"null for what is needed", "DescribeKey", `{"KeyId":null}`, value},
		{"nothing of what is needed", "DescribeKey", `{}`, value},
		{"invalid UTF-8 in a value", "UpdateKeyDescription", `{"KeyId":"` + id + `","Description":"` + "\xff\xfe" + `"}`, form},
		{"invalid UTF-8 in a name", "DescribeKey", `{"KeyId":"` + id + `","` + "\xc0\xaf" + `":1}`, form},
		{"an unpaired surrogate", "UpdateKeyDescription", `{"KeyId":"` + id + `","Description":"\ud800"}`, form},
		{"a control character", "UpdateKeyDescription", `{"KeyId":"` + id + `","Description":"` + "\n" + `"}`, form},
		{"a number for text", "DescribeKey", `{"KeyId":1}`, form},
		{"an object for text", "DescribeKey", `{"KeyId":{}}`, form},
		{"text for a list", "TagResource", `{"KeyId":"` + id + `","Tags":"a"}`, form},
		{"a list for an object", "TagResource", `{"KeyId":"` + id + `","Tags":[[]]}`, form},
		{"text for a boolean", "CreateKey", `{"MultiRegion":"true"}`, form},
		{"a number for a boolean", "CreateKey", `{"MultiRegion":1}`, form},
		{"text for a number", "GenerateRandom", `{"NumberOfBytes":"8"}`, form},
		{"a number beyond 64 bits", "GenerateRandom", `{"NumberOfBytes":99999999999999999999999}`, form},
		{"a number beyond float64", "GenerateRandom", `{"NumberOfBytes":1e999}`, form},
		{"a number of a million digits", "GenerateRandom", `{"NumberOfBytes":` + strings.Repeat("9", 500_000) + `}`, form},
		{"not a number", "GenerateRandom", `{"NumberOfBytes":NaN}`, form},
		{"a leading zero", "GenerateRandom", `{"NumberOfBytes":08}`, form},
		{"hexadecimal", "GenerateRandom", `{"NumberOfBytes":0x8}`, form},
		{"a negative number", "GenerateRandom", `{"NumberOfBytes":-1}`, value},
		{"a large number", "GenerateRandom", `{"NumberOfBytes":2147483647}`, value},
		{"bad base64", "Encrypt", `{"KeyId":"` + id + `","Plaintext":"****"}`, form},
		{"base64 without padding", "Encrypt", `{"KeyId":"` + id + `","Plaintext":"eA"}`, form},
		{"base64 with a line break", "Encrypt", `{"KeyId":"` + id + `","Plaintext":"e\nA=="}`, form},
		{"deep nesting", "DescribeKey", `{"KeyId":"` + id + `","X":` + strings.Repeat("[", 10_000) + strings.Repeat("]", 10_000) + `}`, form},
		{"deep nesting, unclosed", "DescribeKey", `{"X":` + strings.Repeat(`{"X":`, 20_000), form},
		{"too large", "DescribeKey", `{"X":"` + strings.Repeat("x", 300_000) + `"}`, "RequestEntityTooLarge"},
		{"no such operation", "Frobnicate", `{}`, "UnknownOperationException"},
	} {
		r, err := c.rawRequest("TrentService."+tt.operation, "bad", []byte(tt.body))
		if err != nil {
			t.Fatal(err)
		}
		a, err := c.do(t.Context(), r)
		if err != nil {
			t.Fatalf("%s: %v", tt.name, err)
		}
		want := http.StatusBadRequest
		if tt.code == "RequestEntityTooLarge" {
			want = http.StatusRequestEntityTooLarge
		}
		if a.status != want || a.code() != tt.code {
			t.Errorf("%s: got %d %.300s, want %d %s", tt.name, a.status, a.body, want, tt.code)
		}
		if a.requestID == "" || len(a.body) > 4096 {
			t.Errorf("%s: request id %q, %d bytes", tt.name, a.requestID, len(a.body))
		}
	}
	if got := c.must(t, "DescribeKey", m{"KeyId": id})["KeyMetadata"].(m)["Description"]; got != "old" {
		t.Errorf("one of them changed the key's description to %q", got)
	}
	if p.log.Len() > 0 && (p.logs("panic") || p.logs("internal failure")) {
		t.Errorf("the log:\n%s", p.log)
	}
}

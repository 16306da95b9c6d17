package awsapi_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/keywright/keywright/internal/awsapi"
)

// thing has a member of every type.
type thing struct {
	Text    string
	Bytes   []byte
	Number  *int32
	Long    *int64
	Flag    *bool
	When    *time.Time
	Texts   []string
	Context map[string]string
	Inner   *thing
	Things  []thing
}

var (
	thingStructure = awsapi.Structure{
		Members: []string{"Text", "Bytes", "Number", "Long", "Flag", "When", "Texts", "Context", "Inner", "Things"},
	}
	anyString awsapi.StringShape
	anyBlob   awsapi.BlobShape
	anyList   awsapi.ListShape
)

func (r *thing) decode(d *awsapi.Decoder) {
	for m := d.Structure(&thingStructure); m.Next(); {
		switch m.Index {
		case 0:
			r.Text = d.String(&anyString)
		case 1:
			r.Bytes = d.Blob(&anyBlob)
		case 2:
			r.Number = new(d.Int32(&awsapi.AnyInt))
		case 3:
			r.Long = new(d.Int64(&awsapi.AnyInt))
		case 4:
			r.Flag = new(d.Bool())
		case 5:
			r.When = new(d.Time())
		case 6:
			r.Texts = awsapi.DecodeStrings[string](d, &anyList, &anyString)
		case 7:
			r.Context = d.StringMap()
		case 8:
			r.Inner = new(thing)
			r.Inner.decode(d)
		case 9:
			r.Things = awsapi.DecodeList(d, &anyList, (*thing).decode)
		}
	}
}

func decode(body string) (*thing, error) {
	d := awsapi.NewDecoder([]byte(body))
	r := new(thing)
	r.decode(d)
	return r, d.Finish()
}

func TestDecode(t *testing.T) {
	at := func(ms int64) *thing { return &thing{When: new(time.UnixMilli(ms).UTC())} }
	deep := func(n int) string { return strings.Repeat(`[`, n) + strings.Repeat(`]`, n) }
	for _, tc := range []struct {
		body string
		want *thing
	}{
		{``, &thing{}},
		{`{}`, &thing{}},
		{" \t\r\n{ \"Text\" : \"x\" } \n", &thing{Text: "x"}},
		{`{"Text":null,"Bytes":null,"Number":null,"Long":null,"Flag":null,"When":null,"Texts":null,"Context":null,"Inner":null,"Things":null}`, &thing{}},
		{`{"T\u0065xt":"caf\u00e9 \ud834\udd1e \/\"\\\n"}`, &thing{Text: "caf\u00e9 \U0001d11e /\"\\\n"}},
		{`{"text":"x","TEXT":"y","Text ":"z"}`, &thing{}},
		{`{"Bytes":""}`, &thing{Bytes: []byte{}}},
		{`{"Bytes":"AA=="}`, &thing{Bytes: []byte{0}}},
		{`{"Bytes":"+\/8="}`, &thing{Bytes: []byte{0xfb, 0xff}}},
		{`{"Bytes":"\u0041AAA"}`, &thing{Bytes: []byte{0, 0, 0}}},
		{`{"Number":-2147483648}`, &thing{Number: new(int32(-2147483648))}},
		{`{"Number":2147483647}`, &thing{Number: new(int32(2147483647))}},
		{`{"Number":1e2}`, &thing{Number: new(int32(100))}},
		{`{"Number":100.0}`, &thing{Number: new(int32(100))}},
		{`{"Number":-0}`, &thing{Number: new(int32(0))}},
		{`{"Long":9223372036854775807}`, &thing{Long: new(int64(9223372036854775807))}},
		{`{"Long":9007199254740992.0}`, &thing{Long: new(int64(9007199254740992))}},
		{`{"Flag":true}`, &thing{Flag: new(true)}},
		{`{"Flag":false}`, &thing{Flag: new(false)}},
		{`{"When":1593622000.191}`, at(1593622000191)},
		{`{"When":1568565290}`, at(1568565290000)},
		{`{"When":1.593622000191E9}`, at(1593622000191)},
		{`{"When":1568565290.0004}`, at(1568565290000)},
		{`{"When":-1.5}`, at(-1500)},
		{`{"When":253402300799}`, at(253402300799000)},
		{`{"When":-62135596800}`, &thing{When: &time.Time{}}},
		{`{"Texts":[]}`, &thing{Texts: []string{}}},
		{`{"Texts":["a","","a"]}`, &thing{Texts: []string{"a", "", "a"}}},
		{`{"Context":{}}`, &thing{Context: map[string]string{}}},
		{`{"Context":{"":"","k\u0000":"v"}}`, &thing{Context: map[string]string{"": "", "k\x00": "v"}}},
		{`{"Inner":{"Inner":{"Text":"x"}},"Things":[{},{"Number":1}]}`,
			&thing{Inner: &thing{Inner: &thing{Text: "x"}}, Things: []thing{{}, {Number: new(int32(1))}}}},
		{`{"Unknown":{"a":[1,2,{"b":null}],"c":"d"},"Text":"x"}`, &thing{Text: "x"}},
		{`{"Unknown":` + deep(31) + `}`, &thing{}},
	} {
		got, err := decode(tc.body)
		if err != nil {
			t.Errorf("%.60s: %v", tc.body, err)
			continue
		}
		if diff := cmp.Diff(tc.want, got); diff != "" {
			t.Errorf("%.60s (-want +got):\n%s", tc.body, diff)
		}
	}
}

func TestDecodeRefuses(t *testing.T) {
	const (
		structure = "Start of structure or map found where not expected."
		list      = "Start of list found where not expected."
	)
	for _, tc := range []struct{ body, message string }{
		// Not JSON at all: AWS says nothing more.
		{` `, ""}, {`{`, ""}, {`{"Text"`, ""}, {`{"Text":`, ""}, {`{"Text":"x"`, ""}, {`{"Text":"x",}`, ""},
		{`{"Text" "x"}`, ""}, {`{Text:"x"}`, ""}, {`{"Text":'x'}`, ""}, {`{"Text":"x}`, ""}, {`{"Text":}`, ""},
		{`{"Flag":True}`, ""}, {`{"Flag":tru}`, ""}, {`{"Text":nul}`, ""}, {`{"Number":01}`, ""}, {`{"Number":+1}`, ""},
		{`{"Number":.5}`, ""}, {`{"Number":NaN}`, ""}, {`{"When":1e}`, ""}, {`{"Texts":["a",]}`, ""}, {`{"Texts":["a"}`, ""},
		{`{"Context":{"a":"b"]}`, ""}, {`{"Context":{"a"}}`, ""}, {`{"Text":"\x"}`, ""}, {`{"Text":"` + "\n" + `"}`, ""},
		{`{} {}`, ""}, {`{}x`, ""}, {`{},`, ""}, {`{}]`, ""}, {"\ufeff{}", ""}, {`{"a":1}/**/`, ""},
		// Invalid UTF-8, raw, overlong and as half a surrogate pair; in unknown members too.
		{"{\"Text\":\"\xff\"}", ""}, {"{\"Text\":\"\xc0\x80\"}", ""}, {`{"Text":"\ud834"}`, ""}, {"{\"\xff\":1}", ""}, {`{"Unknown":{"\ud834":1}}`, ""},
		// Names that come twice, however they are spelled.
		{`{"Text":"x","Text":"y"}`, "Duplicate member name."},
		{`{"Text":null,"Text":"y"}`, "Duplicate member name."},
		{`{"Text":"x","T\u0065xt":"y"}`, "Duplicate member name."},
		{`{"Context":{"a":"b","\u0061":"c"}}`, "Duplicate member name."},
		{`{"Unknown":1,"Unknown":2}`, "Duplicate member name."},
		{`{"Unknown":[{"a":1,"a":2}]}`, "Duplicate member name."},
		// Too deep, in an unknown member.
		{`{"Unknown":` + strings.Repeat(`[`, 32) + strings.Repeat(`]`, 32) + `}`, "Nesting is deeper than 32 levels."},
		{`{"Unknown":` + strings.Repeat(`{"":`, 5000), "Nesting is deeper than 32 levels."},
		// Another type than the member's.
		{`null`, "Unexpected field type"}, {`"x"`, "Unexpected field type"}, {`1`, "Unexpected field type"}, {`[]`, list},
		{`{"Text":{}}`, structure}, {`{"Text":[]}`, list},
		{`{"Text":1}`, "NUMBER_VALUE can not be converted to String"},
		{`{"Text":true}`, "TRUE_VALUE can not be converted to String"},
		{`{"Text":false}`, "FALSE_VALUE can not be converted to String"},
		{`{"Number":"1"}`, "STRING_VALUE can not be converted to Integer"},
		{`{"Number":{}}`, structure},
		{`{"Long":"1"}`, "STRING_VALUE can not be converted to Long"},
		{`{"Flag":"true"}`, "STRING_VALUE can not be converted to Boolean"},
		{`{"Flag":1}`, "NUMBER_VALUE can not be converted to Boolean"},
		{`{"When":"2026-01-01T00:00:00Z"}`, "STRING_VALUE can not be converted to milliseconds since epoch"},
		{`{"Bytes":1}`, "NUMBER_VALUE can not be converted to Blob"},
		{`{"Bytes":[1]}`, list},
		{`{"Texts":"a"}`, "Unexpected field type"}, {`{"Texts":{}}`, structure}, {`{"Texts":[1]}`, "NUMBER_VALUE can not be converted to String"},
		{`{"Texts":[["a"]]}`, list},
		{`{"Context":"a"}`, "Unexpected field type"}, {`{"Context":[]}`, list}, {`{"Context":{"a":1}}`, "NUMBER_VALUE can not be converted to String"},
		{`{"Inner":1}`, "Unexpected field type"}, {`{"Inner":[]}`, list},
		{`{"Things":{}}`, structure}, {`{"Things":[1]}`, "Unexpected field type"},
		// Numbers that are no integers or too large.
		{`{"Number":1.5}`, "NUMBER_VALUE can not be converted to Integer"},
		{`{"Number":2147483648}`, "NUMBER_VALUE can not be converted to Integer"},
		{`{"Number":-2147483649}`, "NUMBER_VALUE can not be converted to Integer"},
		{`{"Number":1e999}`, "NUMBER_VALUE can not be converted to Integer"},
		{`{"Long":9223372036854775808}`, "NUMBER_VALUE can not be converted to Long"},
		{`{"Long":1e17}`, "NUMBER_VALUE can not be converted to Long"},
		{`{"When":253402300800}`, "NUMBER_VALUE can not be converted to milliseconds since epoch"},
		{`{"When":253402300799.9999}`, "NUMBER_VALUE can not be converted to milliseconds since epoch"},
		{`{"When":-1e300}`, "NUMBER_VALUE can not be converted to milliseconds since epoch"},
		{`{"When":1e999}`, "NUMBER_VALUE can not be converted to milliseconds since epoch"},
		// Base64 has one form: padded, standard alphabet, no line breaks, no set bits left over.
		{`{"Bytes":"AA"}`, "Invalid base64."}, {`{"Bytes":"A==="}`, "Invalid base64."}, {`{"Bytes":"AA=A"}`, "Invalid base64."},
		{`{"Bytes":"===="}`, "Invalid base64."}, {`{"Bytes":"AAAA===="}`, "Invalid base64."}, {`{"Bytes":"AA==AAAA"}`, "Invalid base64."},
		{`{"Bytes":"-_8="}`, "Invalid base64."}, {`{"Bytes":"AB=="}`, "Invalid base64."}, {`{"Bytes":"AAB="}`, "Invalid base64."},
		{`{"Bytes":"AA==\n"}`, "Invalid base64."}, {`{"Bytes":"AAAA\r\nAAAA"}`, "Invalid base64."}, {`{"Bytes":" AAA"}`, "Invalid base64."},
		{`{"Bytes":"AA\n\n\n\n\n=="}`, "Invalid base64."}, {`{"Bytes":"AAA\u00e9"}`, "Invalid base64."},
	} {
		_, err := decode(tc.body)
		e, ok := errors.AsType[*awsapi.Error](err)
		if !ok || e.Code != "SerializationException" || e.Message != tc.message {
			t.Errorf("%.60q: %v, want SerializationException: %s", tc.body, err, tc.message)
		}
	}
}

// The decoder of one request shows nothing of the one before, and several run
// at once.
func TestDecoderReuse(t *testing.T) {
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 500 {
				if _, err := decode(`{"Text":"\u0061` + strings.Repeat("x", 100) + `","Inner":{"Texts":["a",`); err == nil {
					t.Error("half an object was accepted")
				}
				if r, err := decode(`{"Text":"b"}`); err != nil || r.Text != "b" || r.Inner != nil {
					t.Errorf("after a failure: %+v, %v", r, err)
				}
			}
		})
	}
	wg.Wait()
}

// Blobs lie in the body, and go when its owner wipes it; nothing else of a
// request points into it.
func TestDecodeCopies(t *testing.T) {
	short := thing{Text: "text", Bytes: []byte{0xff, 0x0f, 0xff}, Texts: []string{"one"}, Context: map[string]string{"key": "value"}}
	long := short
	long.Text, long.Bytes = strings.Repeat("text", 300), bytes.Repeat(short.Bytes, 500)
	for _, tc := range []struct {
		body string
		want *thing
	}{
		{`{"Text":"TEXT","Bytes":"BYTES","Texts":["one"],"Context":{"key":"value"}}`, &short},
		{`{"Text":"TEXT","Bytes":"ESCAPED","Texts":["one"],"Context":{"key":"value"}}`, &short},
		{`{"Text":"TEXT","Bytes":"BYTES","Texts":["one"],"Context":{"key":"value"}}`, &long},
		{`{"Context":{"key":"value"},"Texts":["one"],"Bytes" : "BYTES" , "Text":"TEXT"}`, &long},
		{`{"Text":"TEXT","Bytes":"ESCAPED","Texts":["one"],"Context":{"key":"value"}}`, &long},
	} {
		plain := base64.StdEncoding.EncodeToString(tc.want.Bytes)
		inner := *tc.want
		for range 3 { // blobs behind blobs
			inner = thing{Inner: new(inner), Bytes: short.Bytes}
		}
		body := strings.NewReplacer("TEXT", tc.want.Text, "BYTES", plain, "ESCAPED", strings.ReplaceAll(plain, "w", `\u0077`)).Replace(tc.body)
		for range 3 {
			body = `{"Inner":` + body + `,"Bytes":"\/w//"}`
		}
		raw := []byte(body)
		d := awsapi.NewDecoder(raw)
		var r thing
		r.decode(d)
		if err := d.Finish(); err != nil {
			t.Fatalf("%s: %v", body, err)
		}
		if diff := cmp.Diff(inner, r); diff != "" {
			t.Errorf("%s (-want +got):\n%s", body, diff)
		}
		clear(raw)
		for at := &inner; at != nil; at = at.Inner {
			at.Bytes = make([]byte, len(at.Bytes))
		}
		if diff := cmp.Diff(inner, r); diff != "" {
			t.Errorf("%s: after the body was wiped (-want +got):\n%s", body, diff)
		}
	}
}

// TestDecodeInPieces compares the reading of long bodies, from which blobs are
// taken before the JSON decoder sees them, with that of the same body when it
// is short: the same is accepted, and refused in the same words.
func TestDecodeInPieces(t *testing.T) {
	const shortest, longest = 24, 1800
	for _, body := range []string{
		`{"Bytes":"BLOB"}`, `{"Bytes":"BLOB","Text":"a"}`, `{"Text":"a","Bytes":"BLOB"}`, ` { "Bytes" : "BLOB" } `,
		`{"Bytes":"BLOB","Bytes":"BLOB"}`, `{"Bytes":"BLOB`, `{"Bytes":"BLOB"`, `{"Bytes":"BLOB"]`, `{"Bytes":"BLOB"}}`,
		`{"Bytes":"BLOB","Bytes"}`, `{"Bytes":"BLOB\n"}`, "{\"Bytes\":\"BLOB\n\"}", `{"Bytes":"BLOB\"}`, `{"Bytes":"BLOB-"}`,
		`{"Bytes":"BLOB\",\"Text\":\"a"}`, `{"Bytes":"\"BLOB"}`, `{"Bytes":"BLOB\u002f\/8="}`, `{"Bytes":"BLOB","Inner":{"Bytes":"BLOB"}}`,
		`{"Bytes":["BLOB"]}`, `{"Text":"BLOB"}`, "{\"Text\":\"BLOB\xff\"}", `{"Text":"BLOB\","Bytes":"AA=="}`, `{"BLOB":"BLOB","Bytes":"BLOB"}`,
		`{"Unknown":"BLOB","Bytes":"AAAA"}`, "{\"Unknown\":[\"BLOB\x01\"]}", `{"Unknown":{"BLOB":1,"BLOB":2}}`, `"BLOB"`, `["BLOB"]`, `BLOB`,
		`{"Bytes":"BLOB","Texts":["BLOB","BLOB"],"Context":{"BLOB":"BLOB","a":"BLOB"},"Things":[{"Bytes":"BLOB"},null,{"Bytes":"BLOB"}]}`,
	} {
		run := func(size int) (*thing, string) {
			r, err := decode(strings.ReplaceAll(body, "BLOB", strings.Repeat("A", size)))
			if err != nil {
				return nil, strings.ReplaceAll(err.Error(), strings.Repeat("A", size), "BLOB")
			}
			// Shortened to what it would be of the shortest blob.
			if b, err := json.Marshal(r); err != nil {
				t.Fatal(err)
			} else if err = json.Unmarshal(bytes.ReplaceAll(b, bytes.Repeat([]byte("A"), size), bytes.Repeat([]byte("A"), shortest)), r); err != nil {
				t.Fatal(err)
			}
			return r, ""
		}
		want, wantErr := run(shortest)
		for _, size := range []int{200, 508, 512, 516, 1024, longest} {
			got, gotErr := run(size)
			if diff := cmp.Diff(want, got); diff != "" || gotErr != wantErr {
				t.Errorf("%s with a blob of %d: error %q, with one of %d %q\n%s", body, size, gotErr, shortest, wantErr, diff)
			}
		}
	}
}

// What the Decoder accepts is JSON by the standard library's book too, and is a
// single object. Behind so much white space that it is read in pieces, the same
// body gives the same.
func FuzzDecoder(f *testing.F) {
	for _, body := range []string{``, `{"Text":"\u0061","Bytes":"AA==","Number":1,"Long":1e3,"Flag":true,"When":1.5}`,
		`{"Texts":["a",null],"Context":{"a":"b"},"Inner":{"Things":[{}]},"Unknown":[[{}]]}`} {
		f.Add([]byte(body))
	}
	blob := strings.Repeat("QUJD", 150)
	f.Add([]byte(`{"Bytes":"` + blob + `","Text":"` + blob + `"}`))
	f.Add([]byte(`{"Inner":{"Bytes":"` + blob + `"},"Bytes":"QUI=","Bytes":"\u0041` + blob + `"}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		r, err := decode(string(body))
		if len(body) > 0 {
			padded, paddedErr := decode(strings.Repeat(" ", 1024) + string(body))
			if diff := cmp.Diff(r, padded); diff != "" || fmt.Sprint(err) != fmt.Sprint(paddedErr) {
				t.Fatalf("errors %v, and in pieces %v\n%s", err, paddedErr, diff)
			}
		}
		if _, ok := errors.AsType[*awsapi.Error](err); err != nil && !ok {
			t.Fatalf("error is a %T, want *awsapi.Error", err)
		}
		if err == nil && len(body) > 0 {
			var object map[string]json.RawMessage
			if e := json.Unmarshal(body, &object); e != nil || object == nil {
				t.Fatalf("accepted, but %v", e)
			}
		}
	})
}

package awsapi_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/keywright/keywright/internal/awsapi"
)

// limited has a member for every kind of limit.
type limited struct{}

var (
	limitedStructure = awsapi.Structure{
		Members:  []string{"Name", "Color", "Secret", "Data", "Hidden", "Count", "Words", "Secrets", "Parts", "Context", "Space"},
		Required: 1<<0 | 1<<5,
	}
	nameShape   = awsapi.StringShape{Min: 2, Max: 4, Pattern: awsapi.NewPattern(`[\u0061-\u007A\u00e4]*`)}
	colorShape  = awsapi.StringShape{Enum: []string{"RED", "GREEN"}}
	secretShape = awsapi.StringShape{Min: 2, Sensitive: true}
	dataShape   = awsapi.BlobShape{Min: 1, Max: 2}
	hiddenShape = awsapi.BlobShape{Max: 2, Sensitive: true}
	countShape  = awsapi.IntShape{Min: -1, Max: 5}
	wordsShape  = awsapi.ListShape{Min: 1, Max: 2}
	spaceShape  = awsapi.StringShape{Pattern: awsapi.NewPattern(`^[\\\s]+$`)}
)

func (r *limited) decode(d *awsapi.Decoder) {
	for m := d.Structure(&limitedStructure); m.Next(); {
		switch m.Index {
		case 0:
			d.String(&nameShape)
		case 1:
			d.String(&colorShape)
		case 2:
			d.String(&secretShape)
		case 3:
			d.Blob(&dataShape)
		case 4:
			d.Blob(&hiddenShape)
		case 5:
			d.Int32(&countShape)
		case 6:
			awsapi.DecodeStrings[string](d, &wordsShape, &nameShape)
		case 7:
			awsapi.DecodeStrings[string](d, &anyList, &secretShape)
		case 8:
			awsapi.DecodeList(d, &wordsShape, (*limited).decode)
		case 9:
			d.StringMap()
		case 10:
			d.String(&spaceShape)
		}
	}
}

func validate(body string) error {
	d := awsapi.NewDecoder([]byte(body))
	new(limited).decode(d)
	return d.Finish()
}

func TestValidate(t *testing.T) {
	const ok = `"Name":"ab","Count":0`
	for _, tc := range []struct{ body, want string }{
		{`{` + ok + `}`, ""},
		{`{"Name":"abcd","Count":5}`, ""},
		{`{"Name":"\u00e4\u00e4\u00e4\u00e4","Count":-1}`, ""},
		{`{` + ok + `,"Color":"GREEN","Secret":"12","Data":"AA==","Hidden":"","Words":["ab"],"Secrets":[],"Parts":[{` + ok + `}]}`, ""},
		{`{` + ok + `,"Space":"\\ \u000b\t\n\f\r"}`, ""},
		{`{"Count":0}`, "Value null at 'name' failed to satisfy constraint: Member must not be null"},
		{`{"Count":0,"Name":null}`, "Value null at 'name' failed to satisfy constraint: Member must not be null"},
		{`{"Count":0,"Name":"a"}`, "Value 'a' at 'name' failed to satisfy constraint: Member must have length greater than or equal to 2"},
		{`{"Count":0,"Name":"abcde"}`, "Value 'abcde' at 'name' failed to satisfy constraint: Member must have length less than or equal to 4"},
		{`{"Count":0,"Name":"a b"}`, `Value 'a b' at 'name' failed to satisfy constraint: Member must satisfy regular expression pattern: [\u0061-\u007A\u00e4]*`},
		{`{` + ok + `,"Space":"s"}`, `Value 's' at 'space' failed to satisfy constraint: Member must satisfy regular expression pattern: ^[\\\s]+$`},
		{`{` + ok + `,"Color":"red"}`, "Value 'red' at 'color' failed to satisfy constraint: Member must satisfy enum value set: [RED, GREEN]"},
		{`{` + ok + `,"Color":""}`, "Value '' at 'color' failed to satisfy constraint: Member must satisfy enum value set: [RED, GREEN]"},
		{`{` + ok + `,"Secret":"1"}`, "Value at 'secret' failed to satisfy constraint: Member must have length greater than or equal to 2"},
		{`{` + ok + `,"Data":""}`, "Value 'java.nio.HeapByteBuffer[pos=0 lim=0 cap=0]' at 'data' failed to satisfy constraint: Member must have length greater than or equal to 1"},
		{`{` + ok + `,"Data":"AAAA"}`, "Value 'java.nio.HeapByteBuffer[pos=0 lim=3 cap=3]' at 'data' failed to satisfy constraint: Member must have length less than or equal to 2"},
		{`{` + ok + `,"Hidden":"AAAA"}`, "Value at 'hidden' failed to satisfy constraint: Member must have length less than or equal to 2"},
		{`{"Name":"ab","Count":-2}`, "Value '-2' at 'count' failed to satisfy constraint: Member must have value greater than or equal to -1"},
		{`{"Name":"ab","Count":6}`, "Value '6' at 'count' failed to satisfy constraint: Member must have value less than or equal to 5"},
		{`{` + ok + `,"Words":[]}`, "Value '[]' at 'words' failed to satisfy constraint: Member must have length greater than or equal to 1"},
		{`{` + ok + `,"Words":["ab","cd","ef"]}`, "Value '[ab, cd, ef]' at 'words' failed to satisfy constraint: Member must have length less than or equal to 2"},
		{`{` + ok + `,"Words":["ab","?"]}`, `Value '[ab, ?]' at 'words' failed to satisfy constraint: Member must satisfy constraint: [Member must have length less than or equal to 4, Member must have length greater than or equal to 2, Member must satisfy regular expression pattern: [\u0061-\u007A\u00e4]*]`},
		{`{` + ok + `,"Secrets":["1"]}`, "Value at 'secrets' failed to satisfy constraint: Member must satisfy constraint: [Member must have length greater than or equal to 2]"},
		{`{` + ok + `,"Parts":[]}`, "Value '[...]' at 'parts' failed to satisfy constraint: Member must have length greater than or equal to 1"},
		{`{` + ok + `,"Parts":[{` + ok + `},{"Name":"ab"}]}`, "Value null at 'parts.2.member.count' failed to satisfy constraint: Member must not be null"},
		{`{` + ok + `,"Context":{"A":null}}`, "Value null at 'context.A' failed to satisfy constraint: Member must not be null"},
		{`{"Count":0,"Name":"` + strings.Repeat("\u20ac", 400) + `"}`,
			"2: Value '" + strings.Repeat("\u20ac", 341) + "...' at 'name' failed to satisfy constraint: Member must have length less than or equal to 4; " +
				"Value '" + strings.Repeat("\u20ac", 341) + `...' at 'name' failed to satisfy constraint: Member must satisfy regular expression pattern: [\u0061-\u007A\u00e4]*`},
		// The order is the structure's, at every level.
		{`{"Parts":[{"Count":9,"Name":"x"}],"Color":"","Count":7}`,
			"5: Value null at 'name' failed to satisfy constraint: Member must not be null; " +
				"Value '' at 'color' failed to satisfy constraint: Member must satisfy enum value set: [RED, GREEN]; " +
				"Value '7' at 'count' failed to satisfy constraint: Member must have value less than or equal to 5; " +
				"Value 'x' at 'parts.1.member.name' failed to satisfy constraint: Member must have length greater than or equal to 2; " +
				"Value '9' at 'parts.1.member.count' failed to satisfy constraint: Member must have value less than or equal to 5"},
	} {
		want := tc.want
		if count, rest, ok := strings.Cut(want, ": Value"); ok && len(count) == 1 {
			want = count + " validation errors detected: Value" + rest
		} else if want != "" {
			want = "1 validation error detected: " + want
		}
		err := validate(tc.body)
		e, ok := errors.AsType[*awsapi.Error](err)
		switch {
		case want == "" && err != nil:
			t.Errorf("%.100s: %v, want no error", tc.body, err)
		case want != "" && (!ok || e.Code != "ValidationException" || e.Message != want):
			t.Errorf("%.100s:\n got %v\nwant %s", tc.body, err, want)
		}
	}
}

// What cannot be read at all is reported alone: nobody knows what else the
// request says.
func TestSerializationGoesFirst(t *testing.T) {
	err := validate(`{"Name":"","Color":"","Count":"x"}`)
	if e, ok := errors.AsType[*awsapi.Error](err); !ok || e.Code != "SerializationException" {
		t.Errorf("%v, want SerializationException", err)
	}
}

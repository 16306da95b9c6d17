package audit_test

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/keywright/keywright/internal/audit"
)

// cloudTrail is a CloudTrail record as its readers declare it.
type cloudTrail struct {
	EventVersion string `json:"eventVersion"`
	UserIdentity struct {
		Type           string `json:"type"`
		PrincipalID    string `json:"principalId"`
		ARN            string `json:"arn"`
		AccountID      string `json:"accountId"`
		AccessKeyID    string `json:"accessKeyId"`
		UserName       string `json:"userName"`
		InvokedBy      string `json:"invokedBy"`
		SessionContext *struct {
			SessionIssuer struct {
				Type        string `json:"type"`
				PrincipalID string `json:"principalId"`
				ARN         string `json:"arn"`
				AccountID   string `json:"accountId"`
				UserName    string `json:"userName"`
			} `json:"sessionIssuer"`
			Attributes struct {
				CreationDate     string `json:"creationDate"`
				MFAAuthenticated string `json:"mfaAuthenticated"`
			} `json:"attributes"`
		} `json:"sessionContext"`
	} `json:"userIdentity"`
	EventTime           string          `json:"eventTime"`
	EventSource         string          `json:"eventSource"`
	EventName           string          `json:"eventName"`
	AWSRegion           string          `json:"awsRegion"`
	SourceIPAddress     string          `json:"sourceIPAddress"`
	UserAgent           string          `json:"userAgent"`
	ErrorCode           string          `json:"errorCode"`
	ErrorMessage        string          `json:"errorMessage"`
	RequestParameters   json.RawMessage `json:"requestParameters"`
	ResponseElements    json.RawMessage `json:"responseElements"`
	AdditionalEventData json.RawMessage `json:"additionalEventData"`
	RequestID           string          `json:"requestID"`
	EventID             string          `json:"eventID"`
	ReadOnly            bool            `json:"readOnly"`
	Resources           []struct {
		AccountID string `json:"accountId"`
		Type      string `json:"type"`
		ARN       string `json:"ARN"`
	} `json:"resources"`
	EventType           string          `json:"eventType"`
	ManagementEvent     bool            `json:"managementEvent"`
	RecipientAccountID  string          `json:"recipientAccountId"`
	SharedEventID       string          `json:"sharedEventID"`
	ServiceEventDetails json.RawMessage `json:"serviceEventDetails"`
	EventCategory       string          `json:"eventCategory"`
	TLSDetails          *struct {
		TLSVersion               string `json:"tlsVersion"`
		CipherSuite              string `json:"cipherSuite"`
		ClientProvidedHostHeader string `json:"clientProvidedHostHeader"`
	} `json:"tlsDetails"`
}

func decode(t testing.TB, text []byte) cloudTrail {
	t.Helper()
	var r cloudTrail
	dec := json.NewDecoder(strings.NewReader(string(text)))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&r); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	if !json.Valid(text) || strings.ContainsAny(string(text), "\n\r") {
		t.Fatalf("not one line of JSON: %q", text)
	}
	return r
}

func TestEventText(t *testing.T) {
	ev := audit.Event{
		Identity: audit.UserIdentity{
			Type: "AssumedRole", PrincipalID: "AROAEXAMPLE:app", ARN: "arn:aws:sts::111122223333:assumed-role/app/app",
			AccountID: "111122223333", AccessKeyID: "ASIAEXAMPLE", InvokedBy: "AWS Internal",
			Session: &audit.SessionContext{IssuerType: "Role", IssuerPrincipalID: "AROAEXAMPLE", IssuerARN: "arn:aws:iam::111122223333:role/app",
				IssuerAccountID: "111122223333", IssuerUserName: "app", Created: time.Unix(1_700_000_000, 0), MFA: true},
		},
		Time:   time.Date(2026, 3, 14, 16, 9, 26, 999_000_000, time.FixedZone("", 3600)),
		Source: "kms.amazonaws.com", Name: "CreateKey", Region: "eu-central-1", SourceIP: "2001:db8::1", UserAgent: "a\"b\\c\x01\u2028é\xff",
		ErrorCode: "AccessDenied", ErrorMessage: "no\nway",
		RequestParameters: []byte("{\n\"a\": 1\r\n}"), ResponseElements: []byte(`{}`), AdditionalEventData: []byte(`{"b":2}`), ServiceEventDetails: []byte(`{"c":3}`),
		RequestID: "rid", EventID: "eid", Resources: []audit.Resource{{"1", "T", "A"}, {ARN: "B"}}, Type: audit.ServiceEvent,
		RecipientAccountID: "2", SharedEventID: "sid", TLS: &audit.TLSDetails{Version: "TLSv1.3", CipherSuite: "X", Host: "h"},
	}
	want := `{"eventVersion":"1.11","userIdentity":{"type":"AssumedRole","principalId":"AROAEXAMPLE:app","arn":"arn:aws:sts::111122223333:assumed-role/app/app",` +
		`"accountId":"111122223333","accessKeyId":"ASIAEXAMPLE","sessionContext":{"sessionIssuer":{"type":"Role","principalId":"AROAEXAMPLE",` +
		`"arn":"arn:aws:iam::111122223333:role/app","accountId":"111122223333","userName":"app"},"attributes":{"creationDate":"2023-11-14T22:13:20Z","mfaAuthenticated":"true"}},` +
		`"invokedBy":"AWS Internal"},"eventTime":"2026-03-14T15:09:26Z","eventSource":"kms.amazonaws.com","eventName":"CreateKey","awsRegion":"eu-central-1",` +
		`"sourceIPAddress":"2001:db8::1","userAgent":"a\"b\\c\u0001\u2028é\ufffd","errorCode":"AccessDenied","errorMessage":"no\nway",` +
		`"requestParameters":{ "a": 1  },"responseElements":{},"additionalEventData":{"b":2},"requestID":"rid","eventID":"eid","readOnly":false,` +
		`"resources":[{"accountId":"1","type":"T","ARN":"A"},{"ARN":"B"}],"eventType":"AwsServiceEvent","managementEvent":true,"recipientAccountId":"2",` +
		`"sharedEventID":"sid","serviceEventDetails":{"c":3},"eventCategory":"Management","tlsDetails":{"tlsVersion":"TLSv1.3","cipherSuite":"X","clientProvidedHostHeader":"h"}}`
	got := string(ev.AppendJSON([]byte("before ")))
	if diff := cmp.Diff("before "+want, got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	decode(t, []byte(want))
}

func TestEventWithoutOptionalFields(t *testing.T) {
	ev := audit.Event{Name: "ListKeys", Resources: []audit.Resource{}, TLS: &audit.TLSDetails{}}
	want := `{"eventVersion":"1.11","userIdentity":{},"eventTime":"0001-01-01T00:00:00Z","eventSource":"","eventName":"ListKeys","awsRegion":"","sourceIPAddress":"",` +
		`"userAgent":"","requestParameters":null,"responseElements":null,"requestID":"","eventID":"","readOnly":false,"resources":[],"eventType":"AwsApiCall",` +
		`"managementEvent":true,"eventCategory":"Management","tlsDetails":{}}`
	if diff := cmp.Diff(want, string(ev.AppendJSON(nil))); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

// rawOf is a JSON value of exactly n bytes.
func rawOf(n int) []byte { return []byte(`"` + strings.Repeat("x", n-2) + `"`) }

func TestEventBounds(t *testing.T) {
	t.Run("text", func(t *testing.T) {
		for _, c := range []struct{ name, in, want string }{
			{"at the bound", strings.Repeat("x", 1024), strings.Repeat("x", 1024)},
			{"above", strings.Repeat("x", 5000), strings.Repeat("x", 1024)},
			{"between characters", "x" + strings.Repeat("é", 5000), "x" + strings.Repeat("é", 511)},
			{"not in an escape", "xy" + strings.Repeat("\x01", 5000), "xy" + strings.Repeat("\x01", 170)},
			{"escape at the end", strings.Repeat("x", 1023) + `"`, strings.Repeat("x", 1023)},
			{"escape that fits", strings.Repeat("x", 1022) + `"z`, strings.Repeat("x", 1022) + `"`},
		} {
			ev := audit.Event{UserAgent: c.in}
			if got := decode(t, ev.AppendJSON(nil)).UserAgent; got != c.want {
				t.Errorf("%s: got %d bytes %.20q..., want %d", c.name, len(got), got, len(c.want))
			}
		}
	})
	t.Run("parameters", func(t *testing.T) {
		ev := audit.Event{RequestParameters: rawOf(100 << 10), ResponseElements: rawOf(100<<10 + 1)}
		r := decode(t, ev.AppendJSON(nil))
		if string(r.RequestParameters) != string(ev.RequestParameters) {
			t.Error("requestParameters of 100 KiB are not kept")
		}
		if got, want := string(r.ResponseElements), `{"omitted":true,"originalSize":102401,"reason":"responseElements too large"}`; got != want {
			t.Errorf("responseElements: got %s, want %s", got, want)
		}
	})
	t.Run("event", func(t *testing.T) {
		long := strings.Repeat("\x01", 5000)
		id := audit.UserIdentity{Type: long, PrincipalID: long, ARN: long, AccountID: long, AccessKeyID: long, UserName: long, InvokedBy: long,
			Session: &audit.SessionContext{IssuerType: long, IssuerPrincipalID: long, IssuerARN: long, IssuerAccountID: long, IssuerUserName: long}}
		ev := audit.Event{Identity: id, Source: long, Name: long, Region: long, SourceIP: long, UserAgent: long, ErrorCode: long, ErrorMessage: long,
			RequestParameters: rawOf(100 << 10), ResponseElements: rawOf(100 << 10), AdditionalEventData: rawOf(28 << 10), ServiceEventDetails: rawOf(100 << 10),
			RequestID: long, EventID: long, Type: audit.EventType(long), RecipientAccountID: long, SharedEventID: long,
			TLS: &audit.TLSDetails{Version: long, CipherSuite: long, Host: long}}
		for range 1000 {
			ev.Resources = append(ev.Resources, audit.Resource{AccountID: long, Type: long, ARN: long})
		}
		text := ev.AppendJSON(nil)
		if len(text) > 256<<10 {
			t.Errorf("%d bytes", len(text))
		}
		if got := decode(t, text); !strings.Contains(string(got.RequestParameters), `"originalSize":102400`) {
			t.Errorf("requestParameters: %.100s", got.RequestParameters)
		}
	})
}

func TestNewEventID(t *testing.T) {
	form := regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)
	seen := make(map[string]bool)
	for range 2000 { // more than the pool holds
		id := audit.NewEventID()
		if !form.MatchString(id) {
			t.Fatalf("%s is not a UUID of version 4", id)
		}
		if seen[id] {
			t.Fatalf("%s twice", id)
		}
		seen[id] = true
	}
}

// FuzzEventJSON holds the encoder against encoding/json: what it writes is
// valid, and says what went in where that is valid and short enough.
func FuzzEventJSON(f *testing.F) {
	f.Add("Encrypt", "aws-cli/2", `{"keyId":"x"}`, "arn:aws:kms:::key/x", "AccessDenied")
	f.Add("\xff\xfe\x00", "\u2028\u2029\x7f<>&", "[\n1,\r\n2]", `"\`, "\t\r\n")
	f.Add(strings.Repeat("\x01é", 1000), "", "null", "", "")
	f.Fuzz(func(t *testing.T, name, agent, raw, arn, message string) {
		ev := audit.Event{Name: name, UserAgent: agent, ErrorMessage: message, Identity: audit.UserIdentity{ARN: arn}, Resources: []audit.Resource{{ARN: arn}}}
		if json.Valid([]byte(raw)) {
			ev.RequestParameters = []byte(raw)
		}
		r := decode(t, ev.AppendJSON(nil))
		for _, c := range [][2]string{{name, r.EventName}, {agent, r.UserAgent}, {message, r.ErrorMessage}, {arn, r.UserIdentity.ARN}, {arn, r.Resources[0].ARN}} {
			in := strings.ToValidUTF8(c[0], "") // for the length only
			if !utf8.ValidString(c[0]) || 6*len(in) > 1024 {
				continue
			}
			if c[1] != c[0] {
				t.Errorf("got %q, want %q", c[1], c[0])
			}
		}
		if ev.RequestParameters != nil && len(raw) <= 100<<10 {
			var got, want any
			if json.Unmarshal(r.RequestParameters, &got) != nil || json.Unmarshal([]byte(raw), &want) != nil {
				t.Fatalf("requestParameters %q became %q", raw, r.RequestParameters)
			}
			if !cmp.Equal(got, want) {
				t.Errorf("requestParameters %q became %q", raw, r.RequestParameters)
			}
		}
	})
}

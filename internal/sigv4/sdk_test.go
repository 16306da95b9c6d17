package sigv4_test

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"github.com/keywright/keywright/internal/sigv4"
)

// signWithSDK has aws-sdk-go-v2 sign a request, and returns it as a server
// behind net/http gets it.
func signWithSDK(t testing.TB, r *http.Request, body []byte, sessionToken, service string, at time.Time) sigv4.Request {
	t.Helper()
	sum := sha256.Sum256(body)
	credentials := aws.Credentials{AccessKeyID: testKeyID, SecretAccessKey: testSecret, SessionToken: sessionToken}
	signer := v4.NewSigner(func(o *v4.SignerOptions) { o.DisableURIPathEscaping = service == "s3" })
	if err := signer.SignHTTP(t.Context(), credentials, r, hex.EncodeToString(sum[:]), service, "us-east-1", at); err != nil {
		t.Fatal(err)
	}
	return sigv4.Request{
		Method: r.Method, Path: r.URL.EscapedPath(), RawQuery: r.URL.RawQuery, Host: r.Host, Header: r.Header,
	}
}

func TestSDKRequestsVerify(t *testing.T) {
	for _, test := range []struct {
		name, method, url, service, token string
		header                            http.Header
	}{
		{"kms", "POST", "https://kms.us-east-1.amazonaws.com/", "kms", "",
			http.Header{"Content-Type": {"application/x-amz-json-1.1"}, "X-Amz-Target": {"TrentService.Encrypt"}}},
		{"session token", "POST", "http://127.0.0.1:4599/", "kms", strings.Repeat("IQoJb3JpZ2lu//+", 60),
			http.Header{"Content-Type": {"application/x-amz-json-1.1"}, "X-Amz-Target": {"TrentService.Encrypt"}}},
		{"values", "GET", "https://h/", "sts", "", http.Header{"X-A": {"b", "  a  c ", ""}, "X-B": {"  "}}},
		{"query", "GET", "https://h/?b=a%2Fb&a+1=x+y%2B&b=a-b&empty", "iam", "", http.Header{}},
		{"path", "GET", "https://h/a%20b/%C3%BC/(c)*!$/", "execute-api", "", http.Header{}},
		{"S3 path", "GET", "https://h/b/%20a//c/../d", "s3", "", http.Header{}},
	} {
		t.Run(test.name, func(t *testing.T) {
			hr, err := http.NewRequest(test.method, test.url, strings.NewReader(testBody))
			if err != nil {
				t.Fatal(err)
			}
			hr.Header = test.header
			r := signWithSDK(t, hr, []byte(testBody), test.token, test.service, testTime)
			// The SDK signs it; net/http's server passes it on as a header.
			r.Header["Content-Length"] = []string{"25"}
			if err := check(r, testKeyID, testSecret, []byte(testBody), testTime); err != nil {
				t.Error(err)
			}
			if err := check(r, testKeyID, testSecret, []byte(testBody+" "), testTime); err != sigv4.ErrSignature {
				t.Errorf("with another body: %v", err)
			}
		})
	}
}

// Whatever aws-sdk-go-v2 signs verifies here, and our Signer's signature of it
// is the same.
func FuzzAgainstSDK(f *testing.F) {
	f.Add("POST", "/", "", "value", "other", "token", int64(1440938160), []byte("{}"))
	f.Add("GET", "/a b/%ü/~x", "k=v&k=a&k-=/", "  a   b ", "", "", int64(1<<32), []byte(nil))
	f.Fuzz(func(t *testing.T, method, path, query, value1, value2, token string, unix int64, body []byte) {
		at := time.Unix(unix&(1<<37-1), 0).UTC() // years of four digits
		if at.Year() > 9999 || method == "" || !validHeader(method) || strings.ContainsAny(method, " \t") {
			return
		}
		for _, value := range []string{value1, value2, token} {
			// A tab is a space to botocore, the JavaScript SDK and us, but not
			// to this SDK. Unicode's other spaces are to SDKs, each in its own
			// way, and not to us: AWS documents trimming spaces.
			if !validHeader(value) || strings.Contains(value, "\t") || strings.TrimSpace(value) != strings.Trim(value, " ") {
				return
			}
		}
		values, err := url.ParseQuery(query)
		if err != nil {
			return
		}
		u := &url.URL{Scheme: "https", Host: "kms.us-east-1.amazonaws.com", Path: "/" + path, RawQuery: values.Encode()}
		// This SDK does not normalise paths.
		for segment := range strings.SplitSeq(strings.TrimSuffix(u.EscapedPath()[1:], "/"), "/") {
			if segment == "." || segment == ".." || segment == "" && u.EscapedPath() != "/" {
				return
			}
		}
		r := signWithSDK(t, &http.Request{
			Method: method, URL: u, Host: u.Host,
			Header: http.Header{"X-Amz-Target": {value1}, "X-Other": {value1, value2}},
		}, body, token, "kms", at)
		if err := check(r, testKeyID, testSecret, body, at); err != nil {
			t.Fatalf("%q: %v", r, err)
		}
		want := r.Header["Authorization"][0]
		if err := sigv4.NewSigner(testKeyID, testSecret, token).Sign(&r, "us-east-1", "kms", at, sha256.Sum256(body)); err != nil {
			t.Fatal(err)
		}
		if got := r.Header["Authorization"][0]; got != want {
			t.Fatalf("Authorization:\n got %s\nwant %s", got, want)
		}
	})
}

// validHeader tells whether net/http would let a value through.
func validHeader(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f })
}

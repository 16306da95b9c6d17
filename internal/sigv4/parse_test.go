package sigv4_test

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/keywright/keywright/internal/sigv4"
)

const (
	testKeyID  = "AKIAIOSFODNN7EXAMPLE"
	testSecret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
	testBody   = `{"KeyId":"alias/example"}`
	testAuth   = "AWS4-HMAC-SHA256 Credential=" + testKeyID + "/20150830/us-east-1/kms/aws4_request, " +
		"SignedHeaders=content-type;host;x-amz-date;x-amz-target, " +
		"Signature=0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
)

var testTime = time.Date(2015, 8, 30, 12, 36, 0, 0, time.UTC)

// kmsRequest is a request as a client sends it, signed by our own Signer (which
// the golden files check).
func kmsRequest(t testing.TB, at time.Time, sessionToken string, extra ...string) sigv4.Request {
	t.Helper()
	r := sigv4.Request{
		Method: "POST", Path: "/", Host: "kms.us-east-1.amazonaws.com",
		Header: http.Header{
			"Content-Type":          {"application/x-amz-json-1.1"},
			"X-Amz-Target":          {"TrentService.DescribeKey"},
			"User-Agent":            {"aws-cli/2.31.0"},
			"Accept-Encoding":       {"identity"},
			"Amz-Sdk-Invocation-Id": {"7c2a1c3e-8a5c-4f0e-9a59-9d7f1d0a3a11"},
			"Amz-Sdk-Request":       {"attempt=1; max=3"},
		},
	}
	for i := 0; i < len(extra); i += 2 {
		r.Header[extra[i]] = append(r.Header[extra[i]], extra[i+1])
	}
	signer := sigv4.NewSigner(testKeyID, testSecret, sessionToken)
	if err := signer.Sign(&r, "us-east-1", "kms", at, sha256.Sum256([]byte(testBody))); err != nil {
		t.Fatal(err)
	}
	return r
}

func bodyHashHex() string {
	sum := sha256.Sum256([]byte(testBody))
	return hex.EncodeToString(sum[:])
}

func TestErrors(t *testing.T) {
	const hashedTestAuth = "(hashed with SHA-256 and encoded with Base64): '"
	header := func(name, value string) func(*sigv4.Request) {
		return func(r *sigv4.Request) { r.Header[name] = []string{value} }
	}
	remove := func(name string) func(*sigv4.Request) {
		return func(r *sigv4.Request) { delete(r.Header, name) }
	}
	auth := func(old, new string) func(*sigv4.Request) {
		return func(r *sigv4.Request) {
			if !strings.Contains(testAuth, old) {
				panic("nothing to replace: " + old)
			}
			r.Header["Authorization"] = []string{strings.Replace(testAuth, old, new, 1)}
		}
	}
	long := strings.Repeat("x", 300)

	tests := []struct {
		name    string
		alter   func(*sigv4.Request)
		code    string
		message string // whole, or its start if it ends in *
	}{
		{"no Authorization", remove("Authorization"),
			"MissingAuthenticationTokenException", "Missing Authentication Token"},
		{"presigned", func(r *sigv4.Request) {
			delete(r.Header, "Authorization")
			r.RawQuery = "Action=GetCallerIdentity&X-Amz-Signature=00"
		}, "MissingAuthenticationTokenException", "Missing Authentication Token: presigned URLs are not supported. Sign the request with an Authorization header."},
		{"bearer token", header("Authorization", "Bearer abc.def"),
			"IncompleteSignatureException", "Invalid key=value pair (missing equal-sign) in Authorization header (hashed with SHA-256 and encoded with Base64): '31xUL9zZyAlSdEwUtwhnc4s/kOVbd/iPF7n4gXswkoE='."},
		{"other algorithm", auth("AWS4-HMAC-SHA256", "AWS4-ECDSA-P256-SHA256"),
			"IncompleteSignatureException", "Unsupported AWS 'algorithm': 'AWS4-ECDSA-P256-SHA256'"},
		{"no algorithm", auth("AWS4-HMAC-SHA256 ", ""),
			"IncompleteSignatureException", "Authorization header must begin with the algorithm name, which cannot include an equal-sign."},
		{"algorithm only, and no date", func(r *sigv4.Request) {
			r.Header["Authorization"] = []string{"AWS4-HMAC-SHA256"}
			delete(r.Header, "X-Amz-Date")
		}, "IncompleteSignatureException", "Authorization header requires 'Credential' parameter. Authorization header requires 'Signature' parameter. " +
			"Authorization header requires 'SignedHeaders' parameter. Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header. " +
			"(Hashed with SHA-256 and encoded with Base64) Authorization=YI2YWea8FSxnksZL2ETHbs5elHm9HQufxTLK0W0ffV0="},
		{"no credential", auth("Credential="+testKeyID+"/20150830/us-east-1/kms/aws4_request, ", ""),
			"IncompleteSignatureException", "Authorization header requires 'Credential' parameter. (Hashed with *"},
		{"empty signature", auth("0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef", ""),
			"IncompleteSignatureException", "Authorization header requires 'Signature' parameter. (Hashed with *"},
		{"no signed headers", auth("SignedHeaders=content-type;host;x-amz-date;x-amz-target, ", ""),
			"IncompleteSignatureException", "Authorization header requires 'SignedHeaders' parameter. (Hashed with *"},
		{"no date", remove("X-Amz-Date"),
			"IncompleteSignatureException", "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header. (Hashed with *"},
		{"trailing comma", auth("6789abcdef0123456789abcdef0123456789abcdef0123456789abcdef", ","), "IncompleteSignatureException", "Invalid key=value pair (missing equal-sign) in Authorization header " + hashedTestAuth + "*"},
		{"unknown parameter", auth("SignedHeaders", "Extra=1, SignedHeaders"),
			"IncompleteSignatureException", "Unknown parameter in Authorization header " + hashedTestAuth + "*"},
		{"repeated parameter", auth("SignedHeaders", "Signature=00, SignedHeaders"),
			"IncompleteSignatureException", "Repeated parameter in Authorization header " + hashedTestAuth + "*"},
		{"repeated empty parameter", auth("SignedHeaders", "Signature=, SignedHeaders"),
			"IncompleteSignatureException", "Repeated parameter in Authorization header " + hashedTestAuth + "*"},
		{"control character", auth("kms", "k\x00s"), "IncompleteSignatureException", "Malformed Authorization header " + hashedTestAuth + "*"},
		{"not ASCII", auth("kms", "k\xffs"), "IncompleteSignatureException", "Malformed Authorization header " + hashedTestAuth + "*"},
		{"8 KiB and one", func(r *sigv4.Request) {
			r.Header["Authorization"] = []string{testAuth + strings.Repeat(" ", 8<<10-len(testAuth)+1)}
		}, "IncompleteSignatureException", "Malformed Authorization header " + hashedTestAuth + "*"},

		{"four elements", auth("/kms", ""), "IncompleteSignatureException",
			"Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term, got '" + testKeyID + "/20150830/us-east-1/aws4_request'"},
		{"six elements", auth("/kms", "/kms/kms"), "IncompleteSignatureException",
			"Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term, got '" + testKeyID + "/20150830/us-east-1/kms/kms/aws4_request'"},
		{"empty element", auth("/us-east-1/", "//"), "IncompleteSignatureException",
			"Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term, got '" + testKeyID + "/20150830//kms/aws4_request'"},
		{"long access key", auth(testKeyID, long), "IncompleteSignatureException",
			"Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term, got '" + long[:256] + "...'"},
		{"space in element", auth("us-east-1", "us east-1"), "IncompleteSignatureException",
			"Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term, got '" + testKeyID + "/20150830/us east-1/kms/aws4_request'"},

		{"unsorted signed headers", auth("content-type;host", "host;content-type"), "IncompleteSignatureException",
			"'SignedHeaders' must be sorted header names in lower case, each once, separated by semicolons, got 'host;content-type;x-amz-date;x-amz-target'"},
		{"repeated signed header", auth("host", "host;host"), "IncompleteSignatureException",
			"'SignedHeaders' must be sorted header names in lower case, each once, separated by semicolons, got 'content-type;host;host;x-amz-date;x-amz-target'"},
		{"upper-case signed header", auth("content-type;host", "Content-type;host"), "IncompleteSignatureException",
			"'SignedHeaders' must be sorted header names in lower case, each once, separated by semicolons, got 'Content-type;host;x-amz-date;x-amz-target'"},
		{"empty signed header", auth("host", "host;"), "IncompleteSignatureException",
			"'SignedHeaders' must be sorted header names in lower case, each once, separated by semicolons, got 'content-type;host;;x-amz-date;x-amz-target'"},
		{"no header's name", auth("host", "host:"), "IncompleteSignatureException",
			"'SignedHeaders' must be sorted header names in lower case, each once, separated by semicolons, got 'content-type;host:;x-amz-date;x-amz-target'"},

		{"host not signed", auth("host;", ""), "InvalidSignatureException",
			"'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization."},
		{"host empty", func(r *sigv4.Request) { r.Host = "" }, "InvalidSignatureException",
			"'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization."},
		{"date not signed", auth("x-amz-date;", ""), "InvalidSignatureException",
			"'X-Amz-Date' must be a 'SignedHeader' in the AWS Authorization."},
		{"Date not signed", func(r *sigv4.Request) {
			delete(r.Header, "X-Amz-Date")
			r.Header["Date"] = []string{"Sun, 30 Aug 2015 12:36:00 GMT"}
		}, "InvalidSignatureException", "'Date' must be a 'SignedHeader' in the AWS Authorization."},
		{"target not signed", auth(";x-amz-target", ""), "InvalidSignatureException",
			"'X-Amz-Target' must be a 'SignedHeader' in the AWS Authorization."},
		{"token not signed", header("X-Amz-Security-Token", "t"), "InvalidSignatureException",
			"'X-Amz-Security-Token' must be a 'SignedHeader' in the AWS Authorization."},
		{"first of several not signed", func(r *sigv4.Request) {
			r.Header["X-Amz-C"], r.Header["X-Amz-A"], r.Header["X-Amz-B"] = []string{""}, []string{""}, []string{""}
		}, "InvalidSignatureException", "'X-Amz-A' must be a 'SignedHeader' in the AWS Authorization."},
		{"content type not signed", auth("content-type;", ""), "InvalidSignatureException",
			"'Content-Type' must be a 'SignedHeader' in the AWS Authorization."},

		{"short signature", auth("456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef", "456789ab"), sigv4.ErrSignature.Code, sigv4.ErrSignature.Message},
		{"upper-case signature", auth("Signature=0123456789abcdef", "Signature=0123456789ABCDEF"), sigv4.ErrSignature.Code, sigv4.ErrSignature.Message},
		{"date form", header("X-Amz-Date", "2015-08-30T12:36:00Z"), "IncompleteSignatureException",
			"Date must be in ISO-8601 'basic format'. Got '2015-08-30T12:36:00Z'. See http://en.wikipedia.org/wiki/ISO_8601"},
		{"no such day", header("X-Amz-Date", "20150230T123600Z"), "IncompleteSignatureException",
			"Date must be in ISO-8601 'basic format'. Got '20150230T123600Z'. See http://en.wikipedia.org/wiki/ISO_8601"},
		{"HTTP date in X-Amz-Date", header("X-Amz-Date", "Sun, 30 Aug 2015 12:36:00 GMT"), "IncompleteSignatureException",
			"Date must be in ISO-8601 'basic format'. Got 'Sun, 30 Aug 2015 12:36:00 GMT'. See http://en.wikipedia.org/wiki/ISO_8601"},
		{"date not printable", header("X-Amz-Date", "\xff"), "IncompleteSignatureException",
			"Date must be in ISO-8601 'basic format'. Got ''. See http://en.wikipedia.org/wiki/ISO_8601"},

		{"terminator", auth("aws4_request", "aws4"), "InvalidSignatureException",
			"Credential should be scoped with a valid terminator: 'aws4_request', not 'aws4'."},
		{"scope date", auth("20150830", "20150829"), "InvalidSignatureException",
			"Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: '20150829' != '20150830', from '20150830T123600Z'."},

		{"host in headers", header("Host", "other"), "IncompleteSignatureException",
			"The request must have no more than one 'Host' header."},
		{"name in lower case", header("x-amz-target", "TrentService.Decrypt"), "IncompleteSignatureException",
			"The request has a header with a malformed name: 'x-amz-target'"},
		{"name in upper case", header("X-AMZ-Target", "TrentService.Decrypt"), "IncompleteSignatureException",
			"The request has a header with a malformed name: 'X-AMZ-Target'"},
		{"space in name", header("X-Amz-Target ", "TrentService.Decrypt"), "IncompleteSignatureException",
			"The request has a header with a malformed name: 'X-Amz-Target '"},
		{"no name", header("", "x"), "IncompleteSignatureException",
			"The request has a header with a malformed name: ''"},
	}
	for _, name := range []string{"Authorization", "Content-Type", "Date", "X-Amz-Content-Sha256", "X-Amz-Date", "X-Amz-Security-Token", "X-Amz-Target"} {
		tests = append(tests, struct {
			name    string
			alter   func(*sigv4.Request)
			code    string
			message string
		}{"two of " + name, func(r *sigv4.Request) {
			value := append(r.Header[name], "x")[0]
			r.Header[name] = []string{value, value}
		}, "IncompleteSignatureException", "The request must have no more than one '" + name + "' header."})
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			r := kmsRequest(t, testTime, "")
			r.Header["Authorization"] = []string{testAuth}
			delete(r.Header, "Amz-Sdk-Request")
			test.alter(&r)
			_, err := sigv4.Parse(&r, testTime)
			refused(t, err, test.code, test.message)
		})
	}
	if err := func() error {
		r := kmsRequest(t, testTime, "")
		r.Header["Authorization"] = []string{testAuth}
		_, err := sigv4.Parse(&r, testTime)
		return err
	}(); err != nil {
		t.Errorf("unaltered: %v", err)
	}
}

// refused checks an error's code and its text, of which a message that ends in
// * gives the start.
func refused(t *testing.T, err error, code, message string) {
	t.Helper()
	e, ok := err.(*sigv4.Error)
	if !ok {
		t.Fatalf("error is %v, want %s", err, code)
	}
	start, open := strings.CutSuffix(message, "*")
	if e.Code != code || e.Message != message && !(open && strings.HasPrefix(e.Message, start)) {
		t.Errorf("error:\n got %s: %q\nwant %s: %q", e.Code, e.Message, code, message)
	}
}

func TestCallersErrors(t *testing.T) {
	refused(t, sigv4.RegionError("x"), "InvalidSignatureException", "Credential should be scoped to a valid region, not 'x'. ")
	refused(t, sigv4.ServiceError("kms"), "InvalidSignatureException", "Credential should be scoped to correct service: 'kms'. ")
	refused(t, sigv4.ErrUnrecognizedClient, "UnrecognizedClientException", "The security token included in the request is invalid.")
	refused(t, sigv4.ErrExpiredToken, "ExpiredTokenException", "The security token included in the request is expired")
}

func TestWrongSignature(t *testing.T) {
	r := kmsRequest(t, testTime, "")
	err := check(r, testKeyID, testSecret, []byte("{}"), testTime)
	refused(t, err, "InvalidSignatureException", "The request signature we calculated does not match the signature you provided. "+
		"Check your AWS Secret Access Key and signing method. Consult the service documentation for details.")
}

// A signature verifies only under the Region, service and day of its scope,
// whatever the caller makes of them.
func TestScopeIsSigned(t *testing.T) {
	r := kmsRequest(t, testTime, "")
	original := r.Header["Authorization"][0]
	for _, other := range []string{"/us-east-2/kms/", "/us-east-1/iam/"} {
		r.Header["Authorization"] = []string{strings.Replace(original, "/us-east-1/kms/", other, 1)}
		if err := check(r, testKeyID, testSecret, []byte(testBody), testTime); err != sigv4.ErrSignature {
			t.Errorf("scope %s: %v", other, err)
		}
	}
}

func TestAuthorizationForms(t *testing.T) {
	r := kmsRequest(t, testTime, "")
	original := r.Header["Authorization"][0]
	credential, rest, _ := strings.Cut(strings.TrimPrefix(original, "AWS4-HMAC-SHA256 "), ", ")
	signed, signature, _ := strings.Cut(rest, ", ")
	for _, form := range []string{
		"AWS4-HMAC-SHA256 " + credential + "," + signed + "," + signature,
		"AWS4-HMAC-SHA256 " + signature + ", " + credential + ", " + signed,
		"AWS4-HMAC-SHA256   " + signed + " ,  " + signature + "\t, " + credential + " ",
	} {
		r.Header["Authorization"] = []string{form}
		if err := check(r, testKeyID, testSecret, []byte(testBody), testTime); err != nil {
			t.Errorf("%s: %v", form, err)
		}
	}
}

func TestSkew(t *testing.T) {
	const minutes = time.Minute
	tests := []struct {
		now     time.Time
		message string
	}{
		{testTime, ""},
		{testTime.Add(5 * minutes), ""},
		{testTime.Add(5*minutes + 999*time.Millisecond), ""},
		{testTime.Add(5*minutes + time.Second), "Signature expired: 20150830T123600Z is now earlier than 20150830T123601Z (20150830T124101Z - 5 min.)"},
		{testTime.Add(-5 * minutes), ""},
		{testTime.Add(-5*minutes - time.Millisecond), "Signature not yet current: 20150830T123600Z is still later than 20150830T123559Z (20150830T123059Z + 5 min.)"},
		{testTime.Add(-5*minutes - time.Second), "Signature not yet current: 20150830T123600Z is still later than 20150830T123559Z (20150830T123059Z + 5 min.)"},
		{testTime.AddDate(1, 0, 0), "Signature expired: 20150830T123600Z is now earlier than 20160830T123100Z (20160830T123600Z - 5 min.)"},
	}
	for _, test := range tests {
		r := kmsRequest(t, testTime, "")
		// The zone of the server's clock does not matter.
		now := test.now.In(time.FixedZone("CEST", 2*3600))
		err := check(r, testKeyID, testSecret, []byte(testBody), now)
		if test.message != "" {
			refused(t, err, "InvalidSignatureException", test.message)
		} else if err != nil {
			t.Errorf("at %s: %v", test.now, err)
		}
	}
}

// Of two dates X-Amz-Date counts; Date alone may be an HTTP date.
func TestDateHeader(t *testing.T) {
	r := kmsRequest(t, testTime, "", "Date", "Mon, 01 Jan 2001 00:00:00 GMT")
	if err := check(r, testKeyID, testSecret, []byte(testBody), testTime); err != nil {
		t.Errorf("both dates: %v", err)
	}
	for value, ok := range map[string]bool{
		"20150830T123600Z":                true,
		"Sun, 30 Aug 2015 12:36:00 GMT":   true,
		"Sun, 30 Aug 2015 12:36:00 -0000": true,
		"Sun, 30 Aug 2015 14:36:00 +0200": true,
		"Sun, 30 Aug 2015 12:36:00 CEST":  false,
		"Sunday, 30-Aug-15 12:36:00 GMT":  false,
		"2015-08-30T12:36:00Z":            false,
		"":                                false,
	} {
		r := kmsRequest(t, testTime, "")
		delete(r.Header, "X-Amz-Date")
		r.Header["Date"] = []string{value}
		r.Header["Authorization"] = []string{strings.Replace(testAuth, "content-type;host;x-amz-date;", "content-type;date;host;", 1)}
		s, err := sigv4.Parse(&r, testTime)
		if (err == nil) != ok {
			t.Errorf("Date %q: %v", value, err)
		}
		if err == nil && !s.Time.Equal(testTime) {
			t.Errorf("Date %q is read as %s", value, s.Time)
		}
	}
}

func TestContentSHA256(t *testing.T) {
	form := "'X-Amz-Content-Sha256' must be the SHA-256 of the body in lower-case hex. Unsigned and streaming payloads are not supported."
	other := sha256.Sum256([]byte("other"))
	for _, test := range []struct{ value, message string }{
		{bodyHashHex(), ""},
		{hex.EncodeToString(other[:]), "The provided 'x-amz-content-sha256' header does not match what was computed."},
		{strings.ToUpper(bodyHashHex()), form},
		{bodyHashHex()[:63], form},
		{"", form},
		{"UNSIGNED-PAYLOAD", form},
		{"STREAMING-AWS4-HMAC-SHA256-PAYLOAD", form},
		{"STREAMING-UNSIGNED-PAYLOAD-TRAILER", form},
	} {
		r := kmsRequest(t, testTime, "", "X-Amz-Content-Sha256", test.value)
		err := check(r, testKeyID, testSecret, []byte(testBody), testTime)
		if test.message != "" {
			refused(t, err, "InvalidSignatureException", test.message)
		} else if err != nil {
			t.Errorf("%q: %v", test.value, err)
		}
	}
	if err := check(kmsRequest(t, testTime, ""), testKeyID, testSecret, []byte(testBody), testTime); err != nil {
		t.Errorf("absent: %v", err)
	}
}

// A path or a query has many spellings; those of one meaning share a
// signature, and no others do.
func TestSpellings(t *testing.T) {
	tests := []struct {
		service      string
		path, query  string
		equal, other []string // path?query
	}{
		{"ssm", "/a/b", "", []string{"//a/./b", "/a/c/../b", "/../a/b?&"}, []string{"/a/b/", "/b/a", "/A/b", "/a%2Fb", "/%61/b", "a/b", "/a/b?x"}},
		{"ssm", "/", "", []string{"", "//", "/.", "/a/.."}, []string{"/a", "*"}},
		{"s3", "/a//b/../c", "", []string{"/%61//b/%2E./c"}, []string{"/a/b/../c", "/a//c", "/a%"}},
		{"iam", "/", "a=1&b=x%20y&c", []string{"/?c=&b=x+y&a=1", "/?b=x%20%79&&a=%31&c", "/?%61=1&b=x%20y&c="},
			[]string{"/?a=1&b=x%2By&c", "/?a=1&b=x%2520y&c", "/?a=1&b=x%20y", "/?a=1&b=x%20y&c&c", "/?a=1&b=x%20y&c=1", "/?a=1%26b=x%20y&c", "/?a=1&b=x%2&c", "/?a=1&b=x%zz&c", "/?%a=1&b=x%20y&c"}},
	}
	for _, test := range tests {
		r := sigv4.Request{Method: "GET", Host: "h", Path: test.path, RawQuery: test.query}
		signer := sigv4.NewSigner(testKeyID, testSecret, "")
		if err := signer.Sign(&r, "us-east-1", test.service, testTime, sha256.Sum256(nil)); err != nil {
			t.Fatal(err)
		}
		for _, target := range test.equal {
			r.Path, r.RawQuery, _ = strings.Cut(target+"?"+test.query, "?")
			if strings.Contains(target, "?") {
				r.Path, r.RawQuery, _ = strings.Cut(target, "?")
			}
			if err := check(r, testKeyID, testSecret, nil, testTime); err != nil {
				t.Errorf("%s: %s?%s is not %s: %v", test.service, test.path, test.query, target, err)
			}
		}
		for _, target := range test.other {
			r.Path, r.RawQuery, _ = strings.Cut(target, "?")
			if err := check(r, testKeyID, testSecret, nil, testTime); err != sigv4.ErrSignature {
				t.Errorf("%s: %s?%s passes as %s: %v", test.service, test.path, test.query, target, err)
			}
		}
	}
}

func TestSignRefuses(t *testing.T) {
	signer := sigv4.NewSigner(testKeyID, testSecret, "")
	for name, r := range map[string]sigv4.Request{
		"lower-case name": {Method: "GET", Host: "h", Header: map[string][]string{"x-a": {"1"}}},
		"Host header":     {Method: "GET", Host: "h", Header: map[string][]string{"Host": {"h"}}},
		"relative path":   {Method: "GET", Host: "h", Path: "a"},
		"half an escape":  {Method: "GET", Host: "h", RawQuery: "a=%2"},
	} {
		if err := signer.Sign(&r, "us-east-1", "kms", testTime, [32]byte{}); err == nil {
			t.Errorf("%s: signed", name)
		}
	}
}

// What a proxy or client may change on the way is not signed, and an old
// session token does not survive.
func TestSignChoosesHeaders(t *testing.T) {
	r := sigv4.Request{Method: "GET", Host: "h", Header: map[string][]string{
		"User-Agent": {"a"}, "Connection": {"close"}, "Proxy-Connection": {"close"}, "Content-Length": {"0"},
		"X-Amzn-Trace-Id": {"1"}, "X-Amz-Security-Token": {"old"}, "Accept": {"*/*"}, "Empty": nil,
	}}
	if err := sigv4.NewSigner(testKeyID, testSecret, "").Sign(&r, "us-east-1", "kms", testTime, sha256.Sum256(nil)); err != nil {
		t.Fatal(err)
	}
	if got, want := strings.Join(signedHeaders(r), ";"), "accept;host;x-amz-date"; got != want {
		t.Errorf("signed headers %s, want %s", got, want)
	}
}

func TestSignerHidesSecret(t *testing.T) {
	signer := sigv4.NewSigner(testKeyID, testSecret, "token-of-session")
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q"} {
		got := fmt.Sprintf(verb, signer) + fmt.Sprintf(verb, &signer)
		if strings.Contains(got, testSecret) || strings.Contains(got, "token-of-session") || !strings.Contains(got, testKeyID) {
			t.Errorf("%s prints %s", verb, got)
		}
	}
}

// The example of "Derive a signing key" in the IAM User Guide's predecessor,
// the AWS General Reference.
func TestSigningKey(t *testing.T) {
	got := sigv4.SigningKey("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "20150830", "us-east-1", "iam")
	if want := "c4afb1cc5771d871763a393e44b703571b55cc28424d1a5e86da6ed3c154a4b9"; hex.EncodeToString(got[:]) != want {
		t.Errorf("key %x, want %s", got, want)
	}
}

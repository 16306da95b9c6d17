package awsjson_test

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/keywright/keywright/internal/sigv4"
)

const doesNotMatch = "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method. Consult the service documentation for details."

// TestTampered changes each part of a signed request once.
func TestTampered(t *testing.T) {
	w := newWorld(t)
	date := time.Now().UTC().Format("20060102")
	inAuth := func(old, new string) func(*request) {
		return func(r *request) {
			auth := r.header.Get("Authorization")
			if !strings.Contains(auth, old) {
				t.Fatalf("Authorization %q does not contain %q", auth, old)
			}
			r.header.Set("Authorization", strings.Replace(auth, old, new, 1))
		}
	}
	const (
		invalid    = "InvalidSignatureException"
		incomplete = "IncompleteSignatureException"
		missing    = "MissingAuthenticationTokenException"
		unknown    = "UnrecognizedClientException"
	)
	for _, tt := range []struct {
		name  string
		spoil func(*request)
		code  string
		text  string // how the message begins
	}{
		{"body", func(r *request) { r.body = `{"a":2}` }, invalid, doesNotMatch},
		{"empty body", func(r *request) { r.body = "" }, invalid, doesNotMatch},
		{"query", func(r *request) { r.target = "/?a" }, invalid, doesNotMatch},
		{"malformed query", func(r *request) { r.target = "/?%zz" }, invalid, doesNotMatch},
		{"host", func(r *request) { r.host = "kms.eu-central-1.amazonaws.com" }, invalid, doesNotMatch},
		{"target", func(r *request) { r.header.Set("X-Amz-Target", "TrentService.Refuse") }, invalid, doesNotMatch},
		{"content type", func(r *request) { r.header.Set("Content-Type", jsonType+"; a=b") }, invalid, doesNotMatch},
		{"date", func(r *request) {
			r.header.Set("X-Amz-Date", r.at.Add(time.Second).UTC().Format("20060102T150405Z"))
		}, invalid, doesNotMatch},
		{"signature", inAuth("Signature=", "Signature=0000"), invalid, doesNotMatch},
		{"one digit of the signature", func(r *request) {
			auth := r.header.Get("Authorization")
			last := "0"
			if strings.HasSuffix(auth, last) {
				last = "1"
			}
			r.header.Set("Authorization", auth[:len(auth)-1]+last)
		}, invalid, doesNotMatch},
		{"signature in capitals", func(r *request) {
			head, sig, _ := strings.Cut(r.header.Get("Authorization"), "Signature=")
			r.header.Set("Authorization", head+"Signature="+strings.ToUpper(sig))
		}, invalid, doesNotMatch},
		{"list of signed headers", inAuth("content-type;", ""), invalid, "'Content-Type' must be a 'SignedHeader'"},
		{"target not signed", inAuth(";x-amz-target", ""), invalid, "'X-Amz-Target' must be a 'SignedHeader'"},
		{"host not signed", inAuth("host;", ""), invalid, "'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization."},
		{"date not signed", inAuth(";x-amz-date", ""), invalid, "'X-Amz-Date' must be a 'SignedHeader'"},
		{"another header of AWS", func(r *request) { r.header.Set("X-Amz-Meta", "x") }, invalid, "'X-Amz-Meta' must be a 'SignedHeader'"},
		{"access key", inAuth(w.creds.AccessKeyID, "AKIAIOSFODNN7EXAMPLE"), unknown, "The security token included in the request is invalid."},
		{"access key in lower case", inAuth(w.creds.AccessKeyID, strings.ToLower(w.creds.AccessKeyID)), unknown, "The security token included in the request is invalid."},
		{"access key that is a path", inAuth(w.creds.AccessKeyID, "../"+w.creds.AccessKeyID), incomplete, "Credential must have exactly 5 slash-delimited elements"},
		{"scope's date", inAuth("/"+date+"/", "/20150830/"), invalid, "Date in Credential scope does not match YYYYMMDD"},
		{"scope's Region", inAuth("/"+region+"/", "/us-east-1/"), invalid, "Credential should be scoped to a valid region, not 'us-east-1'. "},
		{"scope's service", inAuth("/kms/", "/iam/"), invalid, "Credential should be scoped to correct service: 'kms'. "},
		{"scope's terminator", inAuth("/aws4_request", "/aws5_request"), invalid, "Credential should be scoped with a valid terminator: 'aws4_request', not 'aws5_request'."},
		{"scope cut short", inAuth("/kms/aws4_request", "/kms"), incomplete, "Credential must have exactly 5 slash-delimited elements"},
		{"algorithm", inAuth("AWS4-HMAC-SHA256", "AWS4-ECDSA-P256-SHA256"), incomplete, "Unsupported AWS 'algorithm': 'AWS4-ECDSA-P256-SHA256'"},
		{"bearer token", func(r *request) { r.header.Set("Authorization", "Bearer abc") }, incomplete, "Invalid key=value pair (missing equal-sign) in Authorization header"},
		{"no Authorization", func(r *request) { r.header.Del("Authorization") }, missing, "Missing Authentication Token"},
		{"empty Authorization", func(r *request) { r.header.Set("Authorization", "") }, incomplete, "Authorization header requires 'Credential' parameter. Authorization header requires 'Signature' parameter. Authorization header requires 'SignedHeaders' parameter."},
		{"no date", func(r *request) { r.header.Del("X-Amz-Date") }, incomplete, "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header."},
		{"malformed date", func(r *request) { r.header.Set("X-Amz-Date", "today") }, incomplete, "Date must be in ISO-8601 'basic format'. Got 'today'."},
		{"session token", func(r *request) { r.header.Set("X-Amz-Security-Token", "abc") }, invalid, "'X-Amz-Security-Token' must be a 'SignedHeader'"},
		{"presigned", func(r *request) {
			r.header.Del("Authorization")
			r.target = "/?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Signature=00"
		}, missing, "Missing Authentication Token: presigned URLs are not supported."},
	} {
		r := w.sign(w.echo())
		tt.spoil(r)
		w.refused(t, tt.name, w.send(r), tt.code, tt.text)
	}
	if n := w.reached(); n != 0 {
		t.Errorf("%d of them reached the service", n)
	}
}

func (w *world) refused(t *testing.T, name string, resp response, code, text string) {
	t.Helper()
	if resp.StatusCode != 400 || resp.code() != code || !strings.HasPrefix(resp.message(), text) {
		t.Errorf("%s: got %d %s\nwant 400 %s %s", name, resp.StatusCode, resp.body, code, text)
	}
	if resp.Header.Get("x-amzn-RequestId") == "" {
		t.Errorf("%s: the answer has no request id", name)
	}
}

// TestSignedByTheWrong signs properly, but with what is not valid here.
func TestSignedByTheWrong(t *testing.T) {
	w := newWorld(t)
	sound := w.signer

	w.signer = sigv4.NewSigner(w.creds.AccessKeyID, w.creds.SecretAccessKey+"x", "")
	w.refused(t, "secret", w.send(w.sign(w.echo())), "InvalidSignatureException", doesNotMatch)

	// A long-term key has no session token, so one that comes with it is wrong.
	w.signer = sigv4.NewSigner(w.creds.AccessKeyID, w.creds.SecretAccessKey, "token")
	w.refused(t, "session token", w.send(w.sign(w.echo())), "UnrecognizedClientException", "The security token included in the request is invalid.")

	w.signer = sound
	for name, spoil := range map[string]func(*request){
		"Region":  func(r *request) { r.region = "us-east-1" },
		"service": func(r *request) { r.service = "s3" },
	} {
		r := w.echo()
		spoil(r)
		w.refused(t, name, w.send(w.sign(r)), "InvalidSignatureException", "Credential should be scoped to ")
	}
	if n := w.reached(); n != 0 {
		t.Errorf("%d of them reached the service", n)
	}
}

func TestDoubledHeaders(t *testing.T) {
	w := newWorld(t)
	for name := range w.sign(w.echo()).header {
		for _, second := range []string{"same", "different"} {
			r := w.sign(w.echo())
			value := r.header.Get(name)
			if second == "different" {
				value += "x"
			}
			r.header[name] = append(r.header[name], value)
			w.refused(t, name+", "+second, w.send(r), "IncompleteSignatureException", "The request must have no more than one '"+name+"' header.")
		}
	}
	// Those that are not there by default, doubled and signed.
	sum := sha256.Sum256([]byte(w.echo().body))
	hash := hex.EncodeToString(sum[:])
	for name, value := range map[string]string{"X-Amz-Content-Sha256": hash, "Date": time.Now().UTC().Format(http.TimeFormat), "X-Amz-Security-Token": "t"} {
		r := w.echo()
		r.header[name] = []string{value, value}
		r = w.sign(r)
		if name == "X-Amz-Security-Token" { // the signer replaces it
			r.header[name] = []string{value, value}
		}
		w.refused(t, name, w.send(r), "IncompleteSignatureException", "The request must have no more than one '"+name+"' header.")
	}
	if n := w.reached(); n != 0 {
		t.Errorf("%d of them reached the service", n)
	}
	// A header of no meaning may be doubled, as proxies do, signed or not.
	r := w.echo()
	r.header["X-Forwarded-For"] = []string{"192.0.2.1", "192.0.2.2"}
	w.sign(r)
	r.header["Accept"] = []string{"a", "b"}
	if resp := w.send(r); resp.StatusCode != 200 {
		t.Errorf("doubled X-Forwarded-For: got %d %s", resp.StatusCode, resp.body)
	}
}

func TestSkew(t *testing.T) {
	w := newWorld(t)
	for _, tt := range []struct {
		skew time.Duration
		text string
	}{
		{0, ""},
		{-4*time.Minute - 50*time.Second, ""},
		{4*time.Minute + 50*time.Second, ""},
		{-5*time.Minute - 10*time.Second, "Signature expired: %[1]s is now earlier than "},
		{5*time.Minute + 10*time.Second, "Signature not yet current: %[1]s is still later than "},
		{-48 * time.Hour, "Signature expired: %[1]s is now earlier than "},
		{30 * 365 * 24 * time.Hour, "Signature not yet current: %[1]s is still later than "},
	} {
		r := w.echo()
		r.at = r.at.Add(tt.skew)
		resp := w.send(w.sign(r))
		if tt.text == "" {
			if resp.StatusCode != 200 {
				t.Errorf("skew of %v: got %d %s", tt.skew, resp.StatusCode, resp.body)
			}
			continue
		}
		w.refused(t, tt.skew.String(), resp, "InvalidSignatureException", fmt.Sprintf(tt.text, r.at.UTC().Format("20060102T150405Z")))
	}
}

func TestContentHash(t *testing.T) {
	w := newWorld(t)
	sum := sha256.Sum256([]byte(w.echo().body))
	hash := hex.EncodeToString(sum[:])
	other := sha256.Sum256(nil)
	const form = "'X-Amz-Content-Sha256' must be the SHA-256 of the body in lower-case hex."
	for _, tt := range []struct{ name, value, text string }{
		{"right", hash, ""},
		{"of another body", hex.EncodeToString(other[:]), "The provided 'x-amz-content-sha256' header does not match what was computed."},
		{"in capitals", strings.ToUpper(hash), form},
		{"cut short", hash[:62], form},
		{"empty", "", form},
		{"unsigned", "UNSIGNED-PAYLOAD", form},
		{"streaming", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD", form},
	} {
		r := w.echo()
		r.header["X-Amz-Content-Sha256"] = []string{tt.value}
		resp := w.send(w.sign(r))
		if tt.text == "" {
			if resp.StatusCode != 200 {
				t.Errorf("%s: got %d %s", tt.name, resp.StatusCode, resp.body)
			}
			continue
		}
		w.refused(t, tt.name, resp, "InvalidSignatureException", tt.text)
	}
}

// TestFailures: who failed authentication is told to the operator, and what
// they wrote cannot forge a line of his log.
func TestFailures(t *testing.T) {
	w := newWorld(t)
	start := time.Now()
	for range 300 {
		r := w.sign(w.echo())
		r.header.Set("Authorization", strings.Replace(r.header.Get("Authorization"), w.creds.AccessKeyID, "AKIA\"=level=ERROR", 1))
		w.refused(t, "forged key", w.send(r), "UnrecognizedClientException", "")
	}
	recent, total := w.failures.Recent()
	if total != 300 || len(recent) != 256 {
		t.Fatalf("%d failures are remembered of %d, want 256 of 300", len(recent), total)
	}
	got := recent[0]
	if got.SourceIP != "127.0.0.1" || got.AccessKeyID != "AKIA\"=level=ERROR" || got.Code != "UnrecognizedClientException" || time.Since(got.Time) > time.Minute {
		t.Errorf("remembered %+v", got)
	}
	if recent[255].Time.After(got.Time) {
		t.Error("the newest failure is not the first")
	}
	log := w.log.String()
	if n := strings.Count(log, "\n"); n < 10 || n > 11+int(time.Since(start).Seconds()) || strings.Contains(log, " =level") || !utf8.ValidString(log) {
		t.Errorf("300 failures left %d lines in the log:\n%s", n, log)
	}
	if n := w.reached(); n != 0 {
		t.Errorf("%d of them reached the service", n)
	}
}

// TestDevelopment: a development server believes access keys that it did not
// issue, and only those.
func TestDevelopment(t *testing.T) {
	w := newWorld(t, options{devAccount: "000000000000"})
	for _, tt := range []struct{ id, account string }{
		{"test", "000000000000"},
		{"AKIAIOSFODNN7EXAMPLE", "000000000000"},
		{"123456789012", "123456789012"},
		{"12345678901", "000000000000"},
	} {
		for _, token := range []string{"", "token"} {
			w.signer = sigv4.NewSigner(tt.id, "any", token)
			r := w.echo()
			r.at = r.at.AddDate(-10, 0, 0) // a frozen clock is forgiven
			if resp := w.send(w.sign(r)); resp.StatusCode != 200 {
				t.Fatalf("%s: got %d %s", tt.id, resp.StatusCode, resp.body)
			}
			if got := w.calls[len(w.calls)-1].Caller; got.Account != tt.account || got.AccessKeyID != tt.id {
				t.Errorf("%s is taken for %+v", tt.id, got)
			}
		}
	}
	w.signer = sigv4.NewSigner(w.creds.AccessKeyID, "any", "")
	w.refused(t, "its own key", w.send(w.sign(w.echo())), "InvalidSignatureException", doesNotMatch)
	w.signer = sigv4.NewSigner(w.creds.AccessKeyID, "any", "token")
	w.refused(t, "its own key with a token", w.send(w.sign(w.echo())), "UnrecognizedClientException", "")
	r := w.echo()
	w.refused(t, "unsigned", w.send(r), "MissingAuthenticationTokenException", "")
}

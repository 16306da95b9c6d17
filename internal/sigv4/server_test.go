package sigv4_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/smithy-go"

	"github.com/keywright/keywright/internal/sigv4"
)

// A real client's requests verify after net/http's server has had them, in
// HTTP/1.1 and HTTP/2, and errors reach it as errors of its API.
func TestBehindNetHTTP(t *testing.T) {
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		path, query, _ := strings.Cut(r.RequestURI, "?")
		err = check(sigv4.Request{Method: r.Method, Path: path, RawQuery: query, Host: r.Host, Header: r.Header},
			testKeyID, testSecret, body, time.Now())
		if e, ok := errors.AsType[*sigv4.Error](err); ok {
			w.WriteHeader(http.StatusBadRequest)
			io.WriteString(w, `{"__type":"`+e.Code+`"}`)
			return
		}
		io.WriteString(w, `{"Keys":[]}`)
	})
	for _, version := range []int{1, 2} {
		server := httptest.NewUnstartedServer(handler)
		server.EnableHTTP2 = version == 2
		if version == 2 {
			server.StartTLS()
		} else {
			server.Start()
		}
		defer server.Close()
		call := func(secret, token string) error {
			client := kms.New(kms.Options{
				Region: "us-east-1", BaseEndpoint: &server.URL, HTTPClient: server.Client(), RetryMaxAttempts: 1,
				Credentials: credentials.NewStaticCredentialsProvider(testKeyID, secret, token),
			})
			_, err := client.ListKeys(t.Context(), &kms.ListKeysInput{Limit: aws.Int32(5)})
			return err
		}
		for _, token := range []string{"", "session/token+="} {
			if err := call(testSecret, token); err != nil {
				t.Errorf("HTTP/%d, token %q: %v", version, token, err)
			}
		}
		if e, ok := errors.AsType[smithy.APIError](call("wrong", "")); !ok || e.ErrorCode() != "InvalidSignatureException" {
			t.Errorf("HTTP/%d, wrong secret: %v", version, e)
		}
	}
}

package awsjson_test

import (
	"bufio"
	"bytes"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// FuzzHandler gives the handler whatever net/http takes for a request. Each has
// an answer of the protocol that blames the client, or is a success.
func FuzzHandler(f *testing.F) {
	w := newWorld(f)
	good := w.signedBytes()
	f.Add([]byte(good))
	for old, spoilt := range map[string]string{
		"POST / ":                  "POST /?a=%zz&b ",
		"POST ":                    "GET ",
		"HTTP/1.1\r\n":             "HTTP/1.0\r\n",
		"Signature=":               "Signature=0",
		"SignedHeaders=":           "SignedHeaders=;",
		w.creds.AccessKeyID:        "AKIA",
		"TrentService.Echo":        "TrentService.Fault",
		jsonType:                   "text/plain",
		"X-Amz-Date: 2":            "X-Amz-Date: 9",
		"Content-Length: 7\r\n":    "Transfer-Encoding: chunked\r\n",
		"Authorization: ":          "Authorization: x\r\nAuthorization: ",
		"Host: " + w.addr + "\r\n": "Host: a\r\n",
	} {
		if !strings.Contains(good, old) {
			f.Fatalf("%q does not contain %q", good, old)
		}
		f.Add([]byte(strings.Replace(good, old, spoilt, 1)))
	}
	f.Fuzz(func(t *testing.T, message []byte) {
		r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(message)))
		if err != nil {
			t.Skip("no request")
		}
		r.RemoteAddr = "192.0.2.1:1"
		rec := httptest.NewRecorder()
		w.handler.ServeHTTP(rec, r)
		answer := response{rec.Result(), rec.Body.String()}
		switch status := answer.StatusCode; {
		case status == 200:
		case status != 400 && status != 413:
			t.Errorf("got %d %s", status, answer.body)
		case answer.code() == "":
			t.Errorf("%d %q is no error of the protocol", status, answer.body)
		}
		if len(answer.Header.Get("x-amzn-RequestId")) != 36 {
			t.Errorf("request id %q", answer.Header.Get("x-amzn-RequestId"))
		}
	})
}

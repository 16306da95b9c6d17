package main

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/keywright/keywright/internal/sigv4"
)

// accessKey signs requests.
type accessKey struct{ id, secret string }

// region is the one that keys are in, unless a measurement says otherwise.
const region = "us-east-1"

// newRequest returns the bytes of a signed request, with the headers that
// aws-sdk-go-v2 sends. It can be sent any number of times within the five
// minutes for which a signature is good, so a load generator need not sign.
func newRequest(addr, region string, key accessKey, operation string, body []byte) ([]byte, error) {
	r := sigv4.Request{Method: "POST", Path: "/", Host: addr, Header: map[string][]string{
		"Content-Type":          {"application/x-amz-json-1.1"},
		"X-Amz-Target":          {"TrentService." + operation},
		"Amz-Sdk-Invocation-Id": {fmt.Sprintf("%08x-9f3e-4f0c-8f8e-0f4f1f0c7f52", rand.Uint32())},
		"Amz-Sdk-Request":       {"attempt=1; max=3"},
		"Accept-Encoding":       {"identity"},
	}}
	signer := sigv4.NewSigner(key.id, key.secret, "")
	if err := signer.Sign(&r, region, "kms", time.Now(), sha256.Sum256(body)); err != nil {
		return nil, err
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "POST / HTTP/1.1\r\nHost: %s\r\n", addr)
	b.WriteString("User-Agent: aws-sdk-go-v2/1.41.7 ua/2.1 os/linux lang/go#1.26.8 md/GOOS#linux md/GOARCH#amd64 api/kms#1.50.5\r\n")
	fmt.Fprintf(&b, "Content-Length: %d\r\n", len(body))
	for _, name := range slices.Sorted(maps.Keys(r.Header)) { // as net/http sends them
		fmt.Fprintf(&b, "%s: %s\r\n", name, r.Header[name][0])
	}
	b.WriteString("\r\n")
	b.Write(body)
	return b.Bytes(), nil
}

// conn is one connection of a client that does no more than it must.
type conn struct {
	net.Conn
	r *bufio.Reader
}

func dial(addr string) (*conn, error) {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		return nil, err
	}
	return &conn{c, bufio.NewReaderSize(c, 16<<10)}, nil
}

// roundTrip sends a request and reads the answer's body into buf, which it
// returns. An answer other than 200 is an error.
func (c *conn) roundTrip(request, buf []byte) ([]byte, error) {
	if _, err := c.Write(request); err != nil {
		return buf, fmt.Errorf("sending a request: %w", err)
	}
	line, err := c.r.ReadSlice('\n')
	if err != nil {
		return buf, fmt.Errorf("reading an answer: %w", err)
	}
	ok := bytes.HasPrefix(line, []byte("HTTP/1.1 200 "))
	status := ""
	if !ok {
		status = string(bytes.TrimSpace(line))
	}
	length := -1
	for {
		line, err := c.r.ReadSlice('\n')
		if err != nil {
			return buf, fmt.Errorf("reading an answer: %w", err)
		}
		if len(line) <= 2 {
			break
		}
		if value, found := bytes.CutPrefix(line, []byte("Content-Length: ")); found {
			if length, err = strconv.Atoi(string(bytes.TrimSpace(value))); err != nil {
				return buf, fmt.Errorf("reading an answer: %w", err)
			}
		}
	}
	if length < 0 {
		return buf, fmt.Errorf("answer %q without Content-Length", status)
	}
	if cap(buf) < length {
		buf = make([]byte, length)
	}
	buf = buf[:length]
	if _, err := io.ReadFull(c.r, buf); err != nil {
		return buf, fmt.Errorf("reading an answer: %w", err)
	}
	if !ok {
		return buf, fmt.Errorf("the server answered %s: %s", status, buf)
	}
	return buf, nil
}

// call makes one request and decodes its answer.
func call(addr string, key accessKey, operation string, in, out any) ([]byte, error) {
	body, err := json.Marshal(in)
	if err != nil {
		return nil, err
	}
	request, err := newRequest(addr, region, key, operation, body)
	if err != nil {
		return nil, err
	}
	c, err := dial(addr)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	answer, err := c.roundTrip(request, nil)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", operation, err)
	}
	return answer, json.Unmarshal(answer, out)
}

// addrOf cuts the scheme off an endpoint.
func addrOf(endpoint string) string { return strings.TrimPrefix(endpoint, "http://") }

package main

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/keywright/keywright/internal/server"
)

// workloads are the rows of the first table.
var workloads = []struct {
	operation string
	bytes     int
}{
	{"Encrypt", 32}, {"Encrypt", 4096},
	{"Decrypt", 32}, {"Decrypt", 4096},
	{"GenerateDataKey", 32},
}

var concurrencies = []int{1, 16, 64}

// distinct is how many different requests are sent in turn.
const distinct = 256

// wire is a request's or a response's JSON, of any of the operations.
type wire struct {
	KeyId          string `json:",omitempty"`
	Plaintext      []byte `json:",omitempty"`
	CiphertextBlob []byte `json:",omitempty"`
	NumberOfBytes  int    `json:",omitempty"`
}

func measureRequests(o *options, r *report) error {
	data := filepath.Join(o.dir, "requests")
	key, err := newData(data)
	if err != nil {
		return err
	}
	keywright, err := startChild("keywright", data)
	if err != nil {
		return err
	}
	defer keywright.stop()
	minimal, err := startChild("minimal", key.id, key.secret)
	if err != nil {
		return err
	}
	defer minimal.stop()
	keyID, err := createKey(keywright.addr, key)
	if err != nil {
		return err
	}
	for _, w := range workloads {
		cells := slices.DeleteFunc(slices.Clone(concurrencies), func(n int) bool {
			return o.match != nil && !o.match.MatchString(fmt.Sprintf("%s/%d/%d", w.operation, w.bytes, n))
		})
		if len(cells) == 0 {
			continue
		}
		progress("requests: %s of %d bytes", w.operation, w.bytes)
		bodies, response, err := prepare(keywright.addr, key, keyID, w.operation, w.bytes)
		if err != nil {
			return err
		}
		file := filepath.Join(o.dir, "response")
		if err := os.WriteFile(file, response, 0o600); err != nil {
			return err
		}
		bare, err := startChild("bare", file)
		if err != nil {
			return err
		}
		defer bare.stop()
		minimalBodies, _, err := prepare(minimal.addr, key, keyID, w.operation, w.bytes)
		if err != nil {
			return err
		}
		for _, n := range cells {
			servers := []*contender{
				{name: "bare", child: bare, bodies: bodies},
				{name: "minimal", child: minimal, bodies: minimalBodies},
				{name: "keywright", child: keywright, bodies: bodies},
			}
			if err := compete(servers, key, w.operation, n, o.seconds); err != nil {
				return err
			}
			for _, s := range servers {
				r.Requests = append(r.Requests, requestRow{Operation: w.operation, Bytes: w.bytes, Concurrency: n, Server: s.name, outcome: medianOutcome(s.rounds)})
			}
		}
	}
	return nil
}

// contender is a server that is measured beside others.
type contender struct {
	name   string
	child  *child
	bodies [][]byte
	rounds []outcome
}

// rounds is in how many turns the servers of a cell are measured: a machine's
// speed changes from second to second, and what is compared has to meet the same.
const rounds = 5

// compete measures each server for d, in turns.
func compete(servers []*contender, key accessKey, operation string, concurrency int, d time.Duration) error {
	for range rounds {
		for _, s := range servers {
			requests, err := sign(s.child.addr, key, operation, s.bodies)
			if err != nil {
				return err
			}
			got, err := load(s.child, requests, concurrency, d/rounds)
			if err != nil {
				return fmt.Errorf("the %s server: %w", s.name, err)
			}
			s.rounds = append(s.rounds, got)
		}
	}
	return nil
}

// prepare makes the bodies of distinct requests of one kind for a server, and
// returns with them the response to one.
func prepare(addr string, key accessKey, keyID, operation string, size int) (bodies [][]byte, response []byte, err error) {
	for range distinct {
		plaintext := make([]byte, size)
		rand.Read(plaintext)
		in := wire{KeyId: keyID}
		switch operation {
		case "Encrypt":
			in.Plaintext = plaintext
		case "Decrypt":
			var sealed wire
			if _, err := call(addr, key, "Encrypt", wire{KeyId: keyID, Plaintext: plaintext}, &sealed); err != nil {
				return nil, nil, err
			}
			in = wire{CiphertextBlob: sealed.CiphertextBlob}
		case "GenerateDataKey":
			in.NumberOfBytes = size
		}
		body, err := json.Marshal(in)
		if err != nil {
			return nil, nil, err
		}
		if response == nil {
			if response, err = call(addr, key, operation, in, new(wire)); err != nil {
				return nil, nil, err
			}
		}
		bodies = append(bodies, body)
	}
	return bodies, response, nil
}

// sign makes requests of the bodies.
func sign(addr string, key accessKey, operation string, bodies [][]byte) (requests [][]byte, err error) {
	for _, body := range bodies {
		request, err := newRequest(addr, region, key, operation, body)
		if err != nil {
			return nil, err
		}
		requests = append(requests, request)
	}
	return requests, nil
}

func createKey(addr string, key accessKey) (id string, err error) {
	var made struct{ KeyMetadata struct{ KeyId string } }
	_, err = call(addr, key, "CreateKey", struct{}{}, &made)
	return made.KeyMetadata.KeyId, err
}

// newData makes a data folder as a first start does, and returns its access key.
func newData(dir string) (accessKey, error) {
	s, err := server.Start(context.Background(), server.Config{Data: dir, Listen: "127.0.0.1:0", OperatorListen: "off"}, nil)
	if err != nil {
		return accessKey{}, err
	}
	file := s.CredentialsFile()
	if err := s.Close(context.Background()); err != nil {
		return accessKey{}, err
	}
	return readCredentials(file)
}

// readCredentials reads an AWS shared-credentials file of one profile.
func readCredentials(path string) (key accessKey, err error) {
	f, err := os.Open(path)
	if err != nil {
		return key, err
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		name, value, _ := strings.Cut(lines.Text(), "=")
		switch strings.TrimSpace(name) {
		case "aws_access_key_id":
			key.id = strings.TrimSpace(value)
		case "aws_secret_access_key":
			key.secret = strings.TrimSpace(value)
		}
	}
	if key.id == "" || key.secret == "" {
		return key, fmt.Errorf("%s holds no access key", path)
	}
	return key, nil
}

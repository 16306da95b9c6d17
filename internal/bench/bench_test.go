package main

import (
	"bytes"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// The servers that are measured are this program in a role.
func TestMain(m *testing.M) {
	if len(os.Args) > 2 && os.Args[1] == roleArgument {
		runRole(os.Args[2], os.Args[3:])
		return
	}
	os.Exit(m.Run())
}

// Every cell of the first table is there, and every server answered rightly: a
// wrong answer is an error.
func TestRequests(t *testing.T) {
	o := options{seconds: 5 * time.Millisecond, dir: t.TempDir()}
	r := newReport(o.dir, o.seconds)
	if err := measureRequests(&o, r); err != nil {
		t.Fatal(err)
	}
	if got, want := len(r.Requests), len(workloads)*len(concurrencies)*3; got != want {
		t.Errorf("%d rows, want %d", got, want)
	}
	for _, c := range r.Requests {
		if c.RequestsSec <= 0 || c.P50Micros <= 0 || c.P99Micros < c.P50Micros || c.Allocations <= 0 {
			t.Errorf("%s of %d bytes, %s: implausible %+v", c.Operation, c.Bytes, c.Server, c.outcome)
		}
	}
	var table bytes.Buffer
	if err := r.print(&table); err != nil {
		t.Fatal(err)
	}
	if got := strings.Count(table.String(), "keywright"); got != len(workloads)*len(concurrencies) {
		t.Errorf("the table names keywright %d times:\n%s", got, &table)
	}
}

func TestStore(t *testing.T) {
	o := options{seconds: 5 * time.Millisecond, dir: t.TempDir()}
	r := newReport(o.dir, o.seconds)
	if err := measureStore(&o, r); err != nil {
		t.Fatal(err)
	}
	if len(r.Store) != len(concurrencies) || r.SyncsSec <= 0 {
		t.Errorf("implausible: %+v, %v syncs a second", r.Store, r.SyncsSec)
	}
}

// The server uses every key that was written past its API, and no two are the
// same.
func TestFill(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	keys, err := fill(data, 777)
	if err != nil {
		t.Fatal(err)
	}
	distinct := make(map[string]bool)
	for _, k := range keys {
		distinct[k.id] = true
	}
	if len(keys) != 777 || len(distinct) != 777 {
		t.Fatalf("%d keys, %d different ones, want 777", len(keys), len(distinct))
	}
	s, err := startChild("keywright", data)
	if err != nil {
		t.Fatal(err)
	}
	defer s.stop()
	requests, err := keys.requests(s.addr)
	if err != nil {
		t.Fatal(err)
	}
	c, err := dial(s.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for _, request := range requests {
		if _, err := c.roundTrip(request, nil); err != nil {
			t.Fatal(err)
		}
	}
}

func TestProfiles(t *testing.T) {
	o := options{seconds: 20 * time.Millisecond, dir: t.TempDir(), profile: filepath.Join(t.TempDir(), "profiles")}
	if err := writeProfiles(&o); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"encrypt-32.cpu.pprof", "encrypt-32.allocs.pprof", "encrypt-4096.cpu.pprof", "encrypt-4096.allocs.pprof"} {
		if info, err := os.Stat(filepath.Join(o.profile, name)); err != nil || info.Size() == 0 {
			t.Errorf("profile %s: %v", name, err)
		}
	}
}

// What is no answer of 200 with its length must not count as a request.
func TestRoundTripRefuses(t *testing.T) {
	tests := map[string]string{
		"error":         "HTTP/1.1 400 Bad Request\r\nContent-Length: 2\r\n\r\nno",
		"no length":     "HTTP/1.1 200 OK\r\n\r\n",
		"broken length": "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
		"short":         "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nno",
		"empty":         "",
	}
	for name, answer := range tests {
		t.Run(name, func(t *testing.T) {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			go func() {
				if server, err := l.Accept(); err == nil {
					server.Read(make([]byte, 1))
					server.Write([]byte(answer))
					server.Close()
				}
			}()
			c, err := dial(l.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			if body, err := c.roundTrip([]byte("x"), nil); err == nil {
				t.Errorf("taken for an answer: %q", body)
			}
		})
	}
}

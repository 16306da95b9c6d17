package system_test

import (
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// TestFlood sends 20,000 requests that nobody signed, or signed wrongly. They
// fill neither the disk nor the log, and the service goes on beside them.
func TestFlood(t *testing.T) {
	p := start(t, t.TempDir())
	c := p.client()
	id := c.newKey(t, m{})
	c.must(t, "DescribeKey", m{"KeyId": id})
	trail := newAuditTrail(p.audit())
	for trail.next < 4 { // the account, the key and the look at it
		time.Sleep(10 * time.Millisecond)
		trail.read(t)
	}
	data, logged := size(t, p.data), p.log.Len()

	const requests, senders = 20_000, 16
	var left, answered atomic.Int64
	left.Store(requests)
	var wg sync.WaitGroup
	for sender := range senders {
		wg.Go(func() {
			for n := left.Add(-1); n >= 0; n = left.Add(-1) {
				r, err := c.request("DescribeKey", "flood", m{"KeyId": id})
				if err != nil {
					t.Error(err)
					return
				}
				spoilRequest(r, int(n))
				a, err := c.do(t.Context(), r)
				if err != nil || a.status != http.StatusBadRequest || a.code() == "" {
					t.Errorf("sender %d: %v, %d %s", sender, err, a.status, a.body)
					return
				}
				answered.Add(1)
			}
		})
	}
	finished := make(chan struct{})
	go func() { wg.Wait(); close(finished) }()
	between, slowest := 0, time.Duration(0)
	for running := true; running; between++ {
		begin := time.Now()
		c.must(t, "DescribeKey", m{"KeyId": id})
		slowest = max(slowest, time.Since(begin))
		select {
		case <-finished:
			running = false
		case <-time.After(20 * time.Millisecond):
		}
	}
	if answered.Load() != requests {
		t.Fatalf("%d of %d requests were refused", answered.Load(), requests)
	}
	trail.read(t)
	if got := len(trail.byAgent["flood"]); got != 0 {
		t.Errorf("the audit log has %d records of the flood", got)
	}
	// What is recorded are the calls in between, at some 900 bytes each.
	if grown := size(t, p.data) - data; grown > int64(between)*2048+1<<20 {
		t.Errorf("the data folder grew by %d bytes, with %d calls in between", grown, between)
	}
	// Ten lines, and then one a second.
	if grown := p.log.Len() - logged; grown == 0 || grown > 64<<10 {
		t.Errorf("the operator's log grew by %d bytes", grown)
	}
	t.Logf("%d calls in between, the slowest took %v; the log grew by %d bytes", between, slowest, p.log.Len()-logged)
	if slowest > 10*time.Second {
		t.Errorf("a call in between took %v", slowest)
	}
}

// spoilRequest makes a request one that fails authentication, in one of several ways.
func spoilRequest(r *http.Request, n int) {
	auth := r.Header.Get("Authorization")
	switch n % 6 {
	case 0:
		r.Header.Del("Authorization")
	case 1:
		r.Header.Set("Authorization", auth[:len(auth)-4]+"0000")
	case 2: // an access key that does not exist, a new one each time
		_, scope, _ := strings.Cut(auth, "/")
		r.Header.Set("Authorization", fmt.Sprintf("AWS4-HMAC-SHA256 Credential=AKIA%016d/%s", n, scope))
	case 3:
		r.Header.Set("X-Amz-Date", "20150830T123600Z")
	case 4:
		r.Header.Set("Authorization", strings.Repeat("x", 8000))
	case 5:
		r.Header.Set("X-Amz-Target", "TrentService."+strings.Repeat("y", 1000))
	}
}

// size is how many bytes the files under a folder have.
func size(t *testing.T, dir string) (total int64) {
	t.Helper()
	err := filepath.WalkDir(dir, func(_ string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		info, err := e.Info()
		if err == nil {
			total += info.Size()
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return total
}

// TestConnectionFlood opens connections that say nothing, little or nonsense.
// The server answers others meanwhile, and nothing of them is left behind.
func TestConnectionFlood(t *testing.T) {
	p := start(t, t.TempDir())
	c := p.client()
	id := c.newKey(t, m{})
	before := p.descriptors()
	if before < 0 {
		t.Skip("open files cannot be counted here")
	}
	var conns []net.Conn
	for n := range 2000 {
		conn, err := net.Dial("tcp", c.host)
		if err != nil {
			t.Fatal(err)
		}
		switch n % 4 {
		case 1:
			io.WriteString(conn, "POST / HTTP/1.1\r\nHost: x")
		case 2:
			io.WriteString(conn, "\x16\x03\x01\x00\x00nonsense\r\n\r\n")
		case 3:
			io.WriteString(conn, "POST / HTTP/1.1\r\nHost: "+c.host+"\r\nContent-Length: 10\r\n\r\n")
		}
		conns = append(conns, conn)
		if n%100 == 0 {
			c.must(t, "DescribeKey", m{"KeyId": id})
		}
		if len(conns) == 400 {
			for _, conn := range conns {
				conn.Close()
			}
			conns = conns[:0]
		}
	}
	for _, conn := range conns {
		conn.Close()
	}
	after := 0
	for range 100 {
		if after = p.descriptors(); after <= before+2 {
			break
		}
		time.Sleep(100 * time.Millisecond)
	}
	if after > before+2 {
		t.Errorf("%d open files before, %d after", before, after)
	}
	if n := p.log.Len(); n > 64<<10 {
		t.Errorf("the log has %d bytes", n)
	}
}

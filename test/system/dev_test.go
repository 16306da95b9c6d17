package system_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/keywright/keywright/internal/server"
	"github.com/keywright/keywright/internal/sigv4"
)

// TestDevelopmentClock moves a development server's clock as far as it goes. It
// never moves back, whatever is asked.
func TestDevelopmentClock(t *testing.T) {
	s, err := server.Start(t.Context(), server.Config{Dev: true, Listen: "127.0.0.1:0", OperatorListen: "off"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close(context.Background()) })
	_, host, _ := strings.Cut(s.Endpoint(), "://")
	c := &client{endpoint: s.Endpoint(), host: host, http: http.DefaultClient, signer: sigv4.NewSigner("test", "test", "")}
	dev := func(target, body string) answer {
		t.Helper()
		r, err := http.NewRequest("POST", c.endpoint+"/", bytes.NewReader([]byte(body)))
		if err != nil {
			t.Fatal(err)
		}
		r.Header = http.Header{"Content-Type": {jsonType}, "X-Amz-Target": {"KeywrightDev." + target}}
		signed := sigv4.Request{Method: "POST", Path: "/", Host: host, Header: r.Header}
		if err := c.signer.Sign(&signed, region, "keywright", time.Now(), sha256.Sum256([]byte(body))); err != nil {
			t.Fatal(err)
		}
		a, err := c.do(t.Context(), r)
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	tenYears := 10 * 365 * 24 * 60 * 60
	last, refused := 0.0, false
	for range 40 {
		a := dev("AdvanceClock", fmt.Sprintf(`{"Seconds":%d}`, tenYears))
		if a.status != http.StatusOK {
			refused = true
			if a.code() != "ValidationException" {
				t.Fatalf("got %d %s", a.status, a.body)
			}
		}
		now := dev("GetClock", `{}`).object()["Now"].(float64)
		if now < last {
			t.Fatalf("the clock went from %.0f to %.0f", last, now)
		}
		last = now
	}
	if !refused {
		t.Error("400 years are not too many")
	}
	if a := dev("AdvanceClock", `{"Seconds":-1}`); a.code() != "ValidationException" {
		t.Errorf("back by a second: got %d %s", a.status, a.body)
	}
	// Calls still work there.
	id := c.newKey(t, m{})
	c.must(t, "ScheduleKeyDeletion", m{"KeyId": id})
}

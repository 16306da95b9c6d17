package system_test

import (
	"context"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/keywright/keywright/internal/audit"
)

// TestKill kills the server in the middle of 2,000 concurrent changes, again
// and again. Nothing acknowledged is lost, nothing is half there, no change is
// without its record, and no record without its change.
func TestKill(t *testing.T) {
	const changes = 2000
	rounds := 20
	if testing.Short() {
		rounds = 3
	}
	if soak {
		rounds = 500 // and as many of the store alone: the thousand of make soak
	}
	data := t.TempDir()
	p := start(t, data)
	w := newWorkload(t, p.client())
	trail := newAuditTrail(p.audit())
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	var longest time.Duration
	happened, not, acknowledged := 0, 0, 0
	for round := range rounds {
		killAt := 1 + rng.IntN(changes*3/4)
		ctx, cancel := context.WithCancel(t.Context())
		w.run(ctx, changes, func(n int) {
			if n == killAt {
				p.cmd.Process.Kill()
			}
		})
		cancel()
		p.kill()
		acknowledged += w.acknowledged()
		// Small segments are closed and compressed while the changes go on.
		p = start(t, data, "--audit-segment-bytes", "262144")
		longest = max(longest, p.took)
		w.client = p.client()
		a, b := w.check(trail)
		happened, not = happened+a, not+b
		if t.Failed() {
			t.Fatalf("in round %d", round+1)
		}
	}
	w.checkAll()
	t.Logf("%d rounds, %d changes acknowledged, %d without an answer had happened and %d had not, %d keys; longest restart %v",
		rounds, acknowledged, happened, not, len(w.keys), longest)
	if happened+not == 0 {
		t.Error("no kill ever met a change under way: the test tests nothing")
	}
	if longest > 10*time.Second {
		t.Errorf("a restart took %v", longest)
	}
	if err := p.stop(); err != nil {
		t.Errorf("SIGTERM: %v\n%s", err, p.log)
	}
	whole := newAuditTrail(trail.dir)
	whole.read(t)
	for agent, records := range trail.byAgent {
		if got := len(whole.byAgent[agent]); agent != "must" && got != len(records) {
			t.Errorf("%s had %d records, and in the end %d", agent, len(records), got)
		}
	}
	w.checkUnknown(whole)
	if report, err := audit.Verify(t.Context(), trail.dir, nil); err != nil {
		t.Errorf("verifying the audit log: %+v, %v", report, err)
	}
}

// TestKillAtFirstStart kills the server while it makes its data folder. The next
// start finishes the work or begins anew: it is never in the way of itself.
func TestKillAtFirstStart(t *testing.T) {
	whole := start(t, t.TempDir()).took
	for n := range 25 {
		data := t.TempDir()
		cmd := exec.Command(binary, "server", "--data", data, "--listen", "127.0.0.1:0", "--operator-listen", "off")
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(whole * time.Duration(n) / 20) // up to a little after it is done
		cmd.Process.Kill()
		cmd.Wait()
		left := names(t, data)
		p, err := tryStart(t, data)
		if err != nil {
			t.Fatalf("killed when there were %v, it does not start again: %v\n%s", left, err, p.log)
		}
		c := p.client()
		id := c.newKey(t, m{})
		c.must(t, "Encrypt", m{"KeyId": id, "Plaintext": []byte("x")})
		if got := len(c.must(t, "ListKeys", m{})["Keys"].([]any)); got != 1 {
			t.Errorf("killed when there were %v, it has %d keys", left, got)
		}
		for _, name := range names(t, data) {
			if strings.HasPrefix(name, ".credentials") {
				t.Errorf("killed when there were %v, a copy of the credentials is left: %s", left, name)
			}
		}
		p.kill()
	}
}

func names(t *testing.T, dir string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

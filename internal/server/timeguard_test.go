package server

import (
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/keywright/keywright/internal/record"
	"github.com/keywright/keywright/internal/seal"
	"github.com/keywright/keywright/internal/store/boltstore"
)

func TestTimeGuard(t *testing.T) {
	noon := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	at := func(wall time.Duration, boot string, elapsed time.Duration) reading {
		return reading{noon.Add(wall), boot, elapsed}
	}
	start := at(0, "a", time.Hour)
	for _, c := range []struct {
		name string
		now  reading
		ok   bool
	}{
		{"a minute later", at(time.Minute, "a", time.Hour+time.Minute), true},
		{"corrected by four minutes ahead", at(5*time.Minute, "a", time.Hour+time.Minute), true},
		{"corrected by four minutes back", at(-3*time.Minute, "a", time.Hour+time.Minute), true},
		{"six minutes ahead", at(7*time.Minute, "a", time.Hour+time.Minute), false},
		{"six minutes back", at(-5*time.Minute-time.Second, "a", time.Hour), false},
		{"a month later, by both clocks", at(30*24*time.Hour, "a", time.Hour+30*24*time.Hour), true},
		{"a month ahead by wall time alone", at(30*24*time.Hour, "a", time.Hour+time.Minute), false},
		{"restarted at once", at(2*time.Minute, "b", time.Minute), true},
		{"switched off for five days", at(5*24*time.Hour, "b", time.Minute), true},
		{"restarted a week ahead", at(7*24*time.Hour, "b", time.Minute), false},
		{"restarted into the past", at(-6*time.Minute, "b", time.Minute), false},
		{"up for a week after a restart", at(7*24*time.Hour, "b", 7*24*time.Hour), true},
	} {
		t.Run(c.name, func(t *testing.T) {
			st, err := boltstore.OpenMemory(boltstore.Options{})
			if err != nil {
				t.Fatal(err)
			}
			defer st.Close()
			keyring, _, err := seal.Init(t.Context(), st, seal.NewMemoryRootKey())
			if err != nil {
				t.Fatal(err)
			}
			g := newTimeGuard(record.New(st, keyring, 1<<20), slog.New(slog.DiscardHandler))
			now := start
			g.read = func() reading { return now }
			if err := g.check(t.Context()); err != nil {
				t.Fatalf("the first check: %v", err)
			}
			now = c.now
			for range 2 { // a refusal must not become the new truth
				if err := g.check(t.Context()); (err == nil) != c.ok || err != nil && !errors.Is(err, errTime) {
					t.Fatalf("check: %v, want ok %v", err, c.ok)
				}
			}
			if (g.status() == nil) != c.ok {
				t.Errorf("status %v", g.status())
			}
			if _, err := g.confirm(t.Context()); err != nil {
				t.Fatalf("confirm: %v", err)
			}
			if err := g.check(t.Context()); err != nil {
				t.Errorf("after an operator confirmed: %v", err)
			}
		})
	}
}

func TestConfigRefuses(t *testing.T) {
	for name, cfg := range map[string]Config{
		"no data folder":                 {},
		"account of 11 digits":           {Dev: true, Account: "12345678901"},
		"two root keys":                  {Data: "d", RootKey: "k", RootKeyCredential: "c"},
		"certificate without key":        {Data: "d", TLSCert: "c"},
		"two kinds of TLS":               {Data: "d", TLSAuto: true, TLSCert: "c", TLSKey: "k"},
		"dev network without dev":        {Data: "d", DevInsecureNetwork: true},
		"dev beyond loopback":            {Dev: true, Listen: "0.0.0.0:4599"},
		"dev beyond loopback, with TLS":  {Dev: true, Listen: "0.0.0.0:4599", TLSAuto: true},
		"plain HTTP beyond loopback":     {Data: "d", Listen: "192.0.2.1:4599"},
		"plain HTTP on every address":    {Data: "d", Listen: ":4599"},
		"plain HTTP on a name":           {Data: "d", Listen: "kms.example:4599"},
		"listen address without a port":  {Data: "d", Listen: "127.0.0.1"},
		"Region with capitals":           {Data: "d", Regions: []string{"US-EAST-1"}},
		"negative limit":                 {Data: "d", KeysPerRegion: -1},
		"negative grace before deletion": {Data: "d", DeletionGrace: -1},
	} {
		if err := cfg.prepare(); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	for name, cfg := range map[string]Config{
		"dev":                    {Dev: true},
		"data":                   {Data: "d"},
		"IPv6 loopback":          {Data: "d", Listen: "[::1]:0"},
		"localhost":              {Data: "d", Listen: "localhost:0"},
		"TLS beyond loopback":    {Data: "d", Listen: ":4599", TLSAuto: true},
		"plain by explicit wish": {Data: "d", Listen: ":4599", InsecurePlainHTTP: true},
		"dev in a container":     {Dev: true, Listen: ":4599", DevInsecureNetwork: true},
		"two Regions":            {Data: "d", Regions: []string{"us-east-1", "us-gov-west-1"}},
	} {
		if err := cfg.prepare(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestIsRegion(t *testing.T) {
	for _, name := range []string{"us-east-1", "us-gov-west-1", "ap-southeast-12", "eusc-de-east-1"} {
		if !isRegion(name) {
			t.Errorf("%s is a Region", name)
		}
	}
	for _, name := range []string{"", "us", "us-east", "us-east-", "us-east-1a", "us-east-123", "us--1", "-us-east-1", "us-east1", "US-east-1", "a-b-c-d-1", "us-1", "us-east-1/", strings.Repeat("a", 30) + "-b-1"} {
		if isRegion(name) {
			t.Errorf("%s is no Region", name)
		}
	}
}

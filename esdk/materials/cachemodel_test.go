package materials_test

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/keywright/keywright/esdk/materials"
	"github.com/keywright/keywright/esdk/suite"
)

// A step is one thing done to a cache that two managers share.
type step struct {
	op      string // encrypt, decrypt, sleep or purge
	manager int
	name    int   // of the context, or of the message to read
	length  int64 // of the message, or the seconds to sleep
}

// A modelEntry is an entry of the naive model: a list, the most recently used
// first, of everything the specification says about an entry.
type modelEntry struct {
	op            string
	manager, name int
	created       time.Time
	messages      int64
	bytes         int64
	key           string
}

type model struct {
	capacity int
	entries  []modelEntry
}

// get returns the key a request is to be served with, or "" if it is to be made.
func (m *model) get(s step, cfg materials.CachingConfig) string {
	i := slices.IndexFunc(m.entries, func(e modelEntry) bool {
		return e.op == s.op && e.manager == s.manager && e.name == s.name
	})
	if i < 0 {
		return ""
	}
	e := m.entries[i]
	m.entries = slices.Delete(m.entries, i, i+1)
	if time.Since(e.created) > cfg.MaxAge {
		return ""
	}
	if s.op == "encrypt" {
		e.messages++
		e.bytes += s.length
		if e.messages > cfg.MaxMessages || e.bytes > cfg.MaxBytes {
			return ""
		}
	}
	m.entries = slices.Insert(m.entries, 0, e)
	return e.key
}

func (m *model) put(s step, key string) {
	m.entries = slices.Insert(m.entries, 0, modelEntry{
		op: s.op, manager: s.manager, name: s.name, created: time.Now(), messages: 1, bytes: s.length, key: key,
	})
	m.entries = m.entries[:min(len(m.entries), m.capacity)]
}

func TestCachingAgainstModel(t *testing.T) {
	steps := rapid.Custom(func(t *rapid.T) step {
		return step{
			op:      rapid.SampledFrom([]string{"encrypt", "encrypt", "encrypt", "decrypt", "decrypt", "sleep", "purge"}).Draw(t, "op"),
			manager: rapid.IntRange(0, 1).Draw(t, "manager"),
			name:    rapid.IntRange(0, 3).Draw(t, "name"),
			length:  rapid.Int64Range(-1, 12).Draw(t, "length"),
		}
	})
	rapid.Check(t, func(rt *rapid.T) {
		capacity := rapid.IntRange(1, 6).Draw(rt, "capacity")
		var cfgs [2]materials.CachingConfig
		for i := range cfgs {
			cfgs[i] = materials.CachingConfig{
				MaxAge:      time.Duration(rapid.IntRange(1, 30).Draw(rt, "age")) * time.Second,
				MaxMessages: rapid.Int64Range(1, 5).Draw(rt, "messages"),
				MaxBytes:    rapid.Int64Range(1, 30).Draw(rt, "bytes"),
			}
		}
		todo := rapid.SliceOfN(steps, 1, 60).Draw(rt, "steps")
		// rapid's failures may not cross the bubble's goroutine.
		var failure string
		synctest.Test(t, func(t *testing.T) { failure = runModel(t, capacity, cfgs, todo) })
		if failure != "" {
			rt.Fatal(failure)
		}
	})
}

// runModel does the steps and says where cache and model disagree.
func runModel(t *testing.T, capacity int, cfgs [2]materials.CachingConfig, todo []step) string {
	cache := materials.NewLocalCache(capacity)
	k := &keyring{}
	var managers [2]*materials.CachingManager
	for i := range managers {
		cfgs[i].Keyring, cfgs[i].Cache = k, cache
		managers[i] = caching(t, cfgs[i])
	}
	var messages [4]materials.DecryptionRequest
	for i := range messages {
		req := message(1)
		req.EncryptionContext = map[string]string{"name": fmt.Sprint(i)}
		messages[i] = reading(encrypt(t, materials.NewDefaultManager(k), req))
	}
	naive := &model{capacity: capacity}
	for i, s := range todo {
		calls, cfg := k.calls(), cfgs[s.manager]
		var key, want string
		cached := true
		switch s.op {
		case "sleep":
			time.Sleep(time.Duration(max(s.length, 0)) * time.Second)
			continue
		case "purge":
			cache.Purge()
			naive.entries = nil
			continue
		case "encrypt":
			req := materials.EncryptionRequest{
				Suite: suite.AES256GCMCommit, PlaintextLength: s.length,
				EncryptionContext: map[string]string{"name": fmt.Sprint(s.name)},
			}
			key = string(encrypt(t, managers[s.manager], req).DataKey)
			if cached = s.length >= 0 && s.length <= cfg.MaxBytes; cached {
				want = naive.get(s, cfg)
			}
		case "decrypt":
			key = string(decrypt(t, managers[s.manager], messages[s.name]).DataKey)
			want = naive.get(s, cfg)
		}
		if cached && want == "" {
			naive.put(s, key)
		}
		if got := k.calls() - calls; got != 0 != (want == "") || got > 1 {
			return fmt.Sprintf("step %d, %+v: %d calls, the model has the key: %v", i, s, got, want != "")
		}
		if want != "" && key != want {
			return fmt.Sprintf("step %d, %+v: another key than the model's", i, s)
		}
		if cache.Len() != len(naive.entries) {
			return fmt.Sprintf("step %d, %+v: %d entries, the model has %d", i, s, cache.Len(), len(naive.entries))
		}
	}
	return ""
}

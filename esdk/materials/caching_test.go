package materials_test

import (
	"bytes"
	"context"
	"errors"
	"math"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/keywright/keywright/esdk/materials"
	"github.com/keywright/keywright/esdk/suite"
)

func caching(t *testing.T, cfg materials.CachingConfig) *materials.CachingManager {
	t.Helper()
	if cfg.MaxAge == 0 {
		cfg.MaxAge = time.Hour
	}
	m, err := materials.NewCachingManager(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// message is a request to encrypt n bytes.
func message(n int64) materials.EncryptionRequest {
	return materials.EncryptionRequest{
		Suite: suite.AES256GCMCommit, EncryptionContext: map[string]string{"tenant": "4711"}, PlaintextLength: n,
	}
}

func encrypt(t *testing.T, m materials.Manager, req materials.EncryptionRequest) *materials.EncryptionMaterials {
	t.Helper()
	em, err := m.EncryptionMaterials(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	return em
}

func decrypt(t *testing.T, m materials.Manager, req materials.DecryptionRequest) *materials.DecryptionMaterials {
	t.Helper()
	dm, err := m.DecryptionMaterials(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	return dm
}

func TestCachingConfig(t *testing.T) {
	k := &keyring{}
	good := materials.CachingConfig{Keyring: k, MaxAge: time.Second}
	for name, change := range map[string]func(c *materials.CachingConfig){
		"neither keyring nor manager": func(c *materials.CachingConfig) { c.Keyring = nil },
		"both":                        func(c *materials.CachingConfig) { c.Underlying = materials.NewDefaultManager(k) },
		"no age":                      func(c *materials.CachingConfig) { c.MaxAge = 0 },
		"negative age":                func(c *materials.CachingConfig) { c.MaxAge = -1 },
		"negative messages":           func(c *materials.CachingConfig) { c.MaxMessages = -1 },
		"too many messages":           func(c *materials.CachingConfig) { c.MaxMessages = 1<<32 + 1 },
		"negative bytes":              func(c *materials.CachingConfig) { c.MaxBytes = -1 },
		"negative refresh":            func(c *materials.CachingConfig) { c.EarlyRefresh = -1 },
		"refresh at once":             func(c *materials.CachingConfig) { c.EarlyRefresh = time.Second },
	} {
		cfg := good
		change(&cfg)
		if _, err := materials.NewCachingManager(cfg); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	good.MaxMessages, good.MaxBytes, good.EarlyRefresh = 1<<32, math.MaxInt64, time.Second-1
	if _, err := materials.NewCachingManager(good); err != nil {
		t.Error(err)
	}
}

func TestCachingSharesMaterials(t *testing.T) {
	k := &keyring{}
	m := caching(t, materials.CachingConfig{Keyring: k})
	req := message(10)
	req.Suite = 0 // the default, which signs
	a, b := encrypt(t, m, req), encrypt(t, m, req)
	if k.encrypts != 1 || !bytes.Equal(a.DataKey, b.DataKey) || a.SigningKey != b.SigningKey ||
		a.EncryptionContext[materials.PublicKeyField] != b.EncryptionContext[materials.PublicKeyField] {
		t.Errorf("%d calls, and the messages do not share their keys", k.encrypts)
	}
	if err := b.Validate(); err != nil {
		t.Error(err)
	}
	req.Suite = suite.AES256GCMCommitP384
	if c := encrypt(t, m, req); k.encrypts != 1 || !bytes.Equal(c.DataKey, a.DataKey) {
		t.Error("the default suite by name is another entry")
	}

	// What one message does with its materials is nothing to the others.
	key := bytes.Clone(a.DataKey)
	a.Wipe()
	a.EncryptionContext["tenant"] = "changed"
	a.EncryptedDataKeys[0] = materials.EncryptedDataKey{}
	d := encrypt(t, m, req)
	if !bytes.Equal(b.DataKey, key) || !bytes.Equal(d.DataKey, key) || d.Validate() != nil ||
		d.EncryptionContext["tenant"] != "4711" || d.EncryptedDataKeys[0].ProviderID != "test" {
		t.Error("a message changed the materials of another")
	}

	read := reading(b)
	x, y := decrypt(t, m, read), decrypt(t, m, read)
	if k.decrypts != 1 || !bytes.Equal(x.DataKey, key) || !bytes.Equal(y.DataKey, key) || !y.VerificationKey.Equal(&b.SigningKey.PublicKey) {
		t.Errorf("%d calls to decrypt, and not the same keys", k.decrypts)
	}
	x.Wipe()
	x.EncryptionContext["tenant"] = "changed"
	if z := decrypt(t, m, read); !bytes.Equal(z.DataKey, key) || z.EncryptionContext["tenant"] != "4711" {
		t.Error("a reader changed the materials of another")
	}
	want := materials.CacheStats{
		Encrypt: materials.CacheCounts{Hits: 3, MissesAbsent: 1},
		Decrypt: materials.CacheCounts{Hits: 2, MissesAbsent: 1},
	}
	if got := m.Stats(); got != want {
		t.Errorf("Stats = %+v, want %+v", got, want)
	}
}

func TestCachingKeepsReproducedApart(t *testing.T) {
	k := &keyring{}
	m := caching(t, materials.CachingConfig{Keyring: k})
	required, err := materials.NewRequiredContextManager([]string{"tenant"}, m)
	if err != nil {
		t.Fatal(err)
	}
	req := reading(encrypt(t, required, message(1)))
	if dm := decrypt(t, m, req); len(dm.RequiredKeys) != 1 {
		t.Errorf("required keys %q, want one", dm.RequiredKeys)
	}
	if dm := decrypt(t, m, req); len(dm.RequiredKeys) != 1 || k.decrypts != 1 {
		t.Errorf("required keys %q after %d calls, want one and one", dm.RequiredKeys, k.decrypts)
	}
	req.Reproduced = nil
	if dm := decrypt(t, m, req); len(dm.RequiredKeys) != 0 {
		t.Errorf("required keys %q, want none", dm.RequiredKeys)
	}
}

func TestCachingMessageLimit(t *testing.T) {
	k := &keyring{}
	cache := materials.NewLocalCache(10)
	m := caching(t, materials.CachingConfig{Keyring: k, Cache: cache, MaxMessages: 3})
	shared := make(map[string]int)
	for i := range 10 {
		shared[string(encrypt(t, m, message(5)).DataKey)]++
		used := (i+1)%3 == 0
		if got := zero(cache.Keys()[0]); got != used {
			t.Errorf("after message %d the key is wiped: %v, want %v", i+1, got, used)
		}
	}
	if k.encrypts != 4 || len(shared) != 4 {
		t.Errorf("%d calls and %d keys for 10 messages of 3 a key", k.encrypts, len(shared))
	}
	if got, want := m.Stats().Encrypt, (materials.CacheCounts{Hits: 6, MissesAbsent: 1, MissesUsedUp: 3}); got != want {
		t.Errorf("Stats = %+v, want %+v", got, want)
	}
	once := materials.NewLocalCache(1)
	encrypt(t, caching(t, materials.CachingConfig{Keyring: &keyring{}, Cache: once, MaxMessages: 1}), message(5))
	if !zero(once.Keys()[0]) {
		t.Error("the key of the only message stays in the cache")
	}
	// Reading is not limited.
	req := reading(encrypt(t, m, message(5)))
	for range 10 {
		decrypt(t, m, req)
	}
	if k.decrypts != 1 {
		t.Errorf("%d calls to decrypt, want 1", k.decrypts)
	}
}

func TestCachingByteLimit(t *testing.T) {
	k := &keyring{}
	m := caching(t, materials.CachingConfig{Keyring: k, MaxBytes: 100})
	for i, step := range []struct {
		length int64
		calls  int // after it
	}{
		{60, 1}, {40, 1}, {0, 1}, {1, 2}, {99, 2}, {101, 3}, {100, 4}, {math.MaxInt64, 5}, {0, 5}, {1, 6},
	} {
		encrypt(t, m, message(step.length))
		if k.encrypts != step.calls {
			t.Fatalf("step %d, %d bytes: %d calls, want %d", i, step.length, k.encrypts, step.calls)
		}
	}
	if got, want := m.Stats().Encrypt, (materials.CacheCounts{Hits: 4, MissesAbsent: 1, MissesUsedUp: 3, BypassesTooLong: 2}); got != want {
		t.Errorf("Stats = %+v, want %+v", got, want)
	}

	// No limit is none, whatever the sum.
	k = &keyring{}
	m = caching(t, materials.CachingConfig{Keyring: k})
	encrypt(t, m, message(math.MaxInt64))
	encrypt(t, m, message(0))
	if k.encrypts != 1 {
		t.Errorf("%d calls, want 1", k.encrypts)
	}
	encrypt(t, m, message(1)) // the sum would overflow
	if k.encrypts != 2 {
		t.Errorf("%d calls, want 2", k.encrypts)
	}
}

func TestCachingBypasses(t *testing.T) {
	k := &keyring{}
	cache := materials.NewLocalCache(10)
	m := caching(t, materials.CachingConfig{Keyring: k, Cache: cache, MaxBytes: 10})
	unknown := message(materials.UnknownLength)
	identity := message(1)
	identity.Suite, identity.Policy = suite.AES256GCM, materials.ForbidEncryptAllowDecrypt
	for _, req := range []materials.EncryptionRequest{unknown, identity, message(11)} {
		a, b := encrypt(t, m, req), encrypt(t, m, req)
		if bytes.Equal(a.DataKey, b.DataKey) {
			t.Errorf("%v with length %d shares a key", req.Suite, req.PlaintextLength)
		}
	}
	read := reading(encrypt(t, m, identity))
	decrypt(t, m, read)
	decrypt(t, m, read)
	if k.encrypts != 7 || k.decrypts != 2 || cache.Len() != 0 {
		t.Errorf("%d and %d calls, %d entries", k.encrypts, k.decrypts, cache.Len())
	}
	want := materials.CacheStats{
		Encrypt: materials.CacheCounts{BypassesSuite: 3, BypassesUnknownLength: 2, BypassesTooLong: 2},
		Decrypt: materials.CacheCounts{BypassesSuite: 2},
	}
	if got := m.Stats(); got != want {
		t.Errorf("Stats = %+v, want %+v", got, want)
	}
}

func TestCachingChecksPolicyOfEachRequest(t *testing.T) {
	m := caching(t, materials.CachingConfig{Keyring: &keyring{}})
	req := message(1)
	req.Suite, req.Policy = suite.AES256GCMHKDF, materials.ForbidEncryptAllowDecrypt
	read := reading(encrypt(t, m, req))
	decrypt(t, m, read)
	req.Policy, read.Policy = materials.RequireEncryptRequireDecrypt, materials.RequireEncryptRequireDecrypt
	if _, err := m.EncryptionMaterials(t.Context(), req); !errors.Is(err, materials.ErrCommitmentPolicy) {
		t.Errorf("encrypting from the cache: %v, want ErrCommitmentPolicy", err)
	}
	if _, err := m.DecryptionMaterials(t.Context(), read); !errors.Is(err, materials.ErrCommitmentPolicy) {
		t.Errorf("decrypting from the cache: %v, want ErrCommitmentPolicy", err)
	}
	// Each policy's default suite is an entry of its own.
	a := encrypt(t, m, materials.EncryptionRequest{Policy: materials.ForbidEncryptAllowDecrypt})
	b := encrypt(t, m, materials.EncryptionRequest{})
	if a.Suite.ID == b.Suite.ID {
		t.Errorf("both default suites are %v", a.Suite.ID)
	}
}

func TestCachingRefusesUnderlying(t *testing.T) {
	s, _ := suite.Lookup(suite.AES256GCM)
	var key []byte
	var asked int64
	m := caching(t, materials.CachingConfig{Underlying: manager{
		encrypt: func(req materials.EncryptionRequest) (*materials.EncryptionMaterials, error) {
			asked = req.PlaintextLength
			key = []byte("0123456789abcdef0123456789abcdef")
			return &materials.EncryptionMaterials{Suite: s, DataKey: key, EncryptedDataKeys: make([]materials.EncryptedDataKey, 1)}, nil
		},
		decrypt: func(materials.DecryptionRequest) (*materials.DecryptionMaterials, error) {
			key = []byte("0123456789abcdef0123456789abcdef")
			return &materials.DecryptionMaterials{Suite: s, DataKey: key}, nil
		},
	}})
	// A suite without a derivation must never come to be shared.
	req := materials.EncryptionRequest{Policy: materials.ForbidEncryptAllowDecrypt, PlaintextLength: 7}
	if _, err := m.EncryptionMaterials(t.Context(), req); !errors.Is(err, materials.ErrMaterials) || !zero(key) {
		t.Errorf("encrypting: %v, want ErrMaterials and the key wiped", err)
	}
	if asked != materials.UnknownLength {
		t.Errorf("the underlying manager was told the length %d", asked)
	}
	read := materials.DecryptionRequest{Policy: materials.RequireEncryptAllowDecrypt, Suite: suite.AES256GCMCommit}
	if _, err := m.DecryptionMaterials(t.Context(), read); !errors.Is(err, materials.ErrMaterials) || !zero(key) {
		t.Errorf("decrypting: %v, want ErrMaterials and the key wiped", err)
	}
}

func TestCachingAge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := &keyring{}
		cache := materials.NewLocalCache(10)
		m := caching(t, materials.CachingConfig{Keyring: k, Cache: cache, MaxAge: time.Minute})
		req := reading(encrypt(t, m, message(1)))
		decrypt(t, m, req)
		for range 6 { // used all the time, and yet it ages
			time.Sleep(10 * time.Second)
			encrypt(t, m, message(1))
			decrypt(t, m, req)
		}
		if k.encrypts != 1 || k.decrypts != 1 {
			t.Errorf("%d and %d calls within a minute, want 1 and 1", k.encrypts, k.decrypts)
		}
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		for _, key := range cache.Keys() {
			if !zero(key) {
				t.Error("a key is still there after its age, when nobody asks for it")
			}
		}
		encrypt(t, m, message(1))
		decrypt(t, m, req)
		if k.encrypts != 2 || k.decrypts != 2 {
			t.Errorf("%d and %d calls after a minute, want 2 and 2", k.encrypts, k.decrypts)
		}
		s := m.Stats()
		if want := (materials.CacheCounts{Hits: 6, MissesAbsent: 1, MissesExpired: 1}); s.Encrypt != want || s.Decrypt != want {
			t.Errorf("Stats = %+v", s)
		}
	})
}

func TestCachingPartitions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cache := materials.NewLocalCache(10)
		k := &keyring{}
		shared := func(partition string, age time.Duration) *materials.CachingManager {
			return caching(t, materials.CachingConfig{Keyring: k, Cache: cache, Partition: partition, MaxAge: age})
		}
		encrypt(t, shared("a", time.Minute), message(1))
		encrypt(t, shared("b", time.Minute), message(1))
		encrypt(t, shared("", time.Minute), message(1))
		encrypt(t, shared("", time.Minute), message(1))
		if k.encrypts != 4 || cache.Len() != 4 {
			t.Errorf("%d calls and %d entries, want 4 and 4", k.encrypts, cache.Len())
		}
		// In one partition entries are shared, and each manager has its limits.
		encrypt(t, shared("a", time.Hour), message(1))
		if k.encrypts != 4 {
			t.Errorf("%d calls, want 4", k.encrypts)
		}
		time.Sleep(30 * time.Second)
		encrypt(t, shared("a", 29*time.Second), message(1))
		if k.encrypts != 5 {
			t.Errorf("%d calls, want 5", k.encrypts)
		}
		time.Sleep(30 * time.Second) // the key went after 29 s
		if em := encrypt(t, shared("a", time.Hour), message(1)); k.encrypts != 6 || zero(em.DataKey) {
			t.Errorf("%d calls, want 6, and key %x", k.encrypts, em.DataKey)
		}
	})
}

func TestCachingEvicts(t *testing.T) {
	k := &keyring{}
	cache := materials.NewLocalCache(2)
	m := caching(t, materials.CachingConfig{Keyring: k, Cache: cache})
	get := func(tenant string) *materials.EncryptionMaterials {
		req := message(1)
		req.EncryptionContext = map[string]string{"tenant": tenant}
		return encrypt(t, m, req)
	}
	a := get("a")
	aKey := bytes.Clone(a.DataKey)
	entry := cache.Keys()[0]
	get("b")
	bEntry := cache.Keys()[0]
	get("a") // now b is the least recently used
	get("c")
	if !zero(bEntry) || zero(entry) {
		t.Error("not the least recently used key was wiped")
	}
	if cache.Len() != 2 || cache.Evicted() != 1 {
		t.Errorf("%d entries, %d evicted; want 2 and 1", cache.Len(), cache.Evicted())
	}
	if get("a"); k.encrypts != 3 {
		t.Errorf("%d calls, want 3", k.encrypts)
	}
	cache.Purge()
	if !zero(entry) || cache.Len() != 0 {
		t.Error("keys survived Purge")
	}
	if !bytes.Equal(a.DataKey, aKey) {
		t.Error("the key of a message under way was wiped")
	}
	if get("a"); k.encrypts != 4 {
		t.Errorf("%d calls after Purge, want 4", k.encrypts)
	}
}

func TestCachingOneCallForAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := &keyring{before: func(context.Context) error { time.Sleep(time.Second); return nil }}
		m := caching(t, materials.CachingConfig{Keyring: k})
		var wg sync.WaitGroup
		keys := make([][]byte, 64)
		for i := range keys {
			wg.Go(func() { keys[i] = encrypt(t, m, message(1)).DataKey })
		}
		wg.Wait()
		for _, key := range keys {
			if !bytes.Equal(key, keys[0]) || zero(key) {
				t.Fatalf("keys %x and %x", key, keys[0])
			}
		}
		req := reading(encrypt(t, m, message(1)))
		for range 64 {
			wg.Go(func() { decrypt(t, m, req) })
		}
		wg.Wait()
		if k.encrypts != 1 || k.decrypts != 1 {
			t.Errorf("%d and %d calls, want 1 and 1", k.encrypts, k.decrypts)
		}
	})
}

func TestCachingLimitHoldsConcurrently(t *testing.T) {
	for name, delay := range map[string]time.Duration{"fast": 0, "slow": time.Second} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k := &keyring{before: func(context.Context) error { time.Sleep(delay); return nil }}
				m := caching(t, materials.CachingConfig{Keyring: k, MaxMessages: 100, MaxAge: 24 * time.Hour})
				var mu sync.Mutex
				shared := make(map[string]int)
				var wg sync.WaitGroup
				start := time.Now()
				for range 500 {
					wg.Go(func() {
						for range 20 {
							key := string(encrypt(t, m, message(1)).DataKey)
							mu.Lock()
							shared[key]++
							mu.Unlock()
						}
					})
				}
				wg.Wait()
				if k.encrypts != 100 || len(shared) != 100 {
					t.Errorf("%d calls and %d keys, want 100 and 100", k.encrypts, len(shared))
				}
				for _, n := range shared {
					if n != 100 {
						t.Errorf("a key has %d messages, want 100", n)
					}
				}
				// Requests that do not fit in a call under way do not wait for it.
				if took := time.Since(start); took > 20*delay {
					t.Errorf("it took %v", took)
				}
			})
		})
	}
}

func TestCachingErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := &keyring{before: func(context.Context) error { time.Sleep(time.Second); return errKeyring }}
		cache := materials.NewLocalCache(10)
		m := caching(t, materials.CachingConfig{Keyring: k, Cache: cache})
		var failed atomic.Int32
		var wg sync.WaitGroup
		for range 10 {
			wg.Go(func() {
				if _, err := m.EncryptionMaterials(t.Context(), message(1)); errors.Is(err, errKeyring) {
					failed.Add(1)
				}
			})
		}
		wg.Wait()
		if failed.Load() != 10 || k.encrypts != 1 || cache.Len() != 0 {
			t.Errorf("%d failed by %d calls, %d entries; want 10, 1, 0", failed.Load(), k.encrypts, cache.Len())
		}
		k.before = nil
		encrypt(t, m, message(1)) // errors are not cached
	})
}

func TestCachingWaitersAreIndependent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := &keyring{before: func(ctx context.Context) error {
			select {
			case <-time.After(time.Minute):
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		}}
		m := caching(t, materials.CachingConfig{Keyring: k, MaxMessages: 2, MaxBytes: 2})
		first, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		var wg sync.WaitGroup
		wg.Go(func() {
			// The one that caused the call.
			if _, err := m.EncryptionMaterials(first, message(1)); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("first: %v, want DeadlineExceeded", err)
			}
			if d := time.Since(start2000()); d != time.Second {
				t.Errorf("first waited %v, want 1 s", d)
			}
		})
		synctest.Wait()
		wg.Go(func() { encrypt(t, m, message(1)) })
		time.Sleep(2 * time.Second)
		// The use of the one that left is free again.
		wg.Go(func() { encrypt(t, m, message(1)) })
		wg.Wait()
		if k.encrypts != 1 {
			t.Errorf("%d calls, want 1", k.encrypts)
		}
	})
}

// start2000 is when the clock of a synctest bubble starts.
func start2000() time.Time { return time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC) }

func TestCachingCancelsWhatNobodyWaitsFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var cancelled atomic.Int32
		k := &keyring{before: func(ctx context.Context) error {
			if ctx.Value(ctxKey{}) != "value" {
				t.Error("the context's values are lost")
			}
			select {
			case <-time.After(time.Minute):
				return nil
			case <-ctx.Done():
				cancelled.Add(1)
				time.Sleep(time.Second)
				return ctx.Err()
			}
		}}
		cache := materials.NewLocalCache(10)
		m := caching(t, materials.CachingConfig{Keyring: k, Cache: cache})
		ctx, cancel := context.WithCancel(context.WithValue(t.Context(), ctxKey{}, "value"))
		var wg sync.WaitGroup
		for range 3 {
			wg.Go(func() {
				if _, err := m.EncryptionMaterials(ctx, message(1)); !errors.Is(err, context.Canceled) {
					t.Errorf("%v, want Canceled", err)
				}
			})
		}
		synctest.Wait()
		cancel()
		wg.Wait()
		synctest.Wait()
		if cancelled.Load() != 1 || cache.Len() != 0 {
			t.Errorf("%d calls cancelled, %d entries; want 1 and 0", cancelled.Load(), cache.Len())
		}
		// The next request does not meet the cancelled call, which still runs.
		if _, err := m.EncryptionMaterials(context.WithValue(t.Context(), ctxKey{}, "value"), message(1)); err != nil {
			t.Error(err)
		}
	})
}

type ctxKey struct{}

func TestCachingWipesWhatNobodyWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var made []byte
		k := &keyring{
			before:    func(context.Context) error { time.Sleep(time.Minute); return nil }, // deaf to its context
			onEncrypt: func(m *materials.EncryptionMaterials) { made = m.DataKey },
		}
		m := caching(t, materials.CachingConfig{Keyring: k})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := m.EncryptionMaterials(ctx, message(1)); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v, want DeadlineExceeded", err)
		}
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		if made == nil || !zero(made) {
			t.Errorf("the key nobody waited for is %x, want it wiped", made)
		}
	})
}

func TestCachingCopiesRequiredKeys(t *testing.T) {
	required, err := materials.NewRequiredContextManager([]string{"tenant"}, materials.NewDefaultManager(&keyring{}))
	if err != nil {
		t.Fatal(err)
	}
	m := caching(t, materials.CachingConfig{Underlying: required})
	encrypt(t, m, message(1)).RequiredKeys[0] = "changed"
	em := encrypt(t, m, message(1))
	if em.RequiredKeys[0] != "tenant" || m.Stats().Encrypt.Hits != 1 {
		t.Errorf("required key %q, want tenant", em.RequiredKeys[0])
	}
	read := reading(em)
	decrypt(t, m, read).RequiredKeys[0] = "changed"
	if dm := decrypt(t, m, read); dm.RequiredKeys[0] != "tenant" {
		t.Errorf("required key %q to decrypt, want tenant", dm.RequiredKeys[0])
	}
}

func TestCachingDoesNotKeepRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := &keyring{}
		d := materials.NewDefaultManager(k)
		read := reading(encrypt(t, d, message(1)))
		release := make(chan struct{})
		k.before = func(context.Context) error { <-release; return nil }
		m := caching(t, materials.CachingConfig{Keyring: k})

		// A request that left may use its maps and buffers again, while the call
		// it caused goes on for another.
		ctx, cancel := context.WithCancel(t.Context())
		mine := read
		mine.EncryptedDataKeys = []materials.EncryptedDataKey{read.EncryptedDataKeys[0]}
		mine.EncryptedDataKeys[0].Ciphertext = bytes.Clone(read.EncryptedDataKeys[0].Ciphertext)
		mine.EncryptionContext = map[string]string{"tenant": "4711"}
		var wg sync.WaitGroup
		wg.Go(func() { _, _ = m.DecryptionMaterials(ctx, mine) })
		synctest.Wait()
		wg.Go(func() {
			if dm := decrypt(t, m, read); dm.EncryptionContext["tenant"] != "4711" {
				t.Errorf("context %q", dm.EncryptionContext)
			}
		})
		synctest.Wait()
		cancel()
		synctest.Wait()
		clear(mine.EncryptedDataKeys[0].Ciphertext)
		mine.EncryptedDataKeys[0] = materials.EncryptedDataKey{}
		mine.EncryptionContext["tenant"] = "changed"
		close(release)
		wg.Wait()

		// The same to encrypt. The default manager copies the context at once;
		// this one looks at it late.
		late := make(chan struct{})
		m = caching(t, materials.CachingConfig{Underlying: manager{
			encrypt: func(req materials.EncryptionRequest) (*materials.EncryptionMaterials, error) {
				<-late
				return d.EncryptionMaterials(t.Context(), req)
			},
		}})
		ctx, cancel = context.WithCancel(t.Context())
		req := message(1)
		wg.Go(func() { _, _ = m.EncryptionMaterials(ctx, req) })
		synctest.Wait()
		wg.Go(func() {
			if em := encrypt(t, m, message(1)); em.EncryptionContext["tenant"] != "4711" {
				t.Errorf("context %q", em.EncryptionContext)
			}
		})
		synctest.Wait()
		cancel()
		synctest.Wait()
		req.EncryptionContext["tenant"] = "changed"
		close(late)
		wg.Wait()
	})
}

func TestCachingEvictedWhileCalled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		var made []byte
		k := &keyring{
			before:    func(context.Context) error { <-release; return nil },
			onEncrypt: func(m *materials.EncryptionMaterials) { made = m.DataKey },
		}
		cache := materials.NewLocalCache(1)
		m := caching(t, materials.CachingConfig{Keyring: k, Cache: cache})
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				if em := encrypt(t, m, message(1)); zero(em.DataKey) {
					t.Error("a request that waited got a wiped key")
				}
			})
		}
		synctest.Wait()
		cache.Purge()
		close(release)
		wg.Wait()
		if k.encrypts != 1 || cache.Len() != 0 || !zero(made) {
			t.Errorf("%d calls, %d entries, key %x; want 1, 0 and the key wiped", k.encrypts, cache.Len(), made)
		}
	})
}

func TestCachingAbandonedCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := &keyring{before: func(context.Context) error { runtime.Goexit(); return nil }}
		m := caching(t, materials.CachingConfig{Keyring: k})
		if _, err := m.EncryptionMaterials(t.Context(), message(1)); err == nil {
			t.Error("no error from a keyring that did not return")
		}
	})
}

func TestCachingEarlyRefresh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := &keyring{before: func(context.Context) error { time.Sleep(time.Second); return nil }}
		cache := materials.NewLocalCache(10)
		m := caching(t, materials.CachingConfig{Keyring: k, Cache: cache, MaxAge: time.Minute, EarlyRefresh: 10 * time.Second})
		first := encrypt(t, m, message(1)).DataKey
		old := cache.Keys()[0]
		time.Sleep(50*time.Second - 1)
		encrypt(t, m, message(1))
		synctest.Wait()
		if k.calls() != 1 {
			t.Fatalf("%d calls before it is time, want 1", k.calls())
		}
		time.Sleep(time.Nanosecond)
		before := time.Now()
		for range 5 { // all served at once, by the entry that is there
			if key := encrypt(t, m, message(1)).DataKey; !bytes.Equal(key, first) {
				t.Error("another key while the successor is made")
			}
		}
		if took := time.Since(before); took != 0 {
			t.Errorf("a hit waited %v", took)
		}
		time.Sleep(2 * time.Second)
		if key := encrypt(t, m, message(1)).DataKey; bytes.Equal(key, first) {
			t.Error("the successor did not come")
		}
		if !zero(old) {
			t.Error("the old key was not wiped")
		}
		time.Sleep(48 * time.Second) // the successor's age counts from its making
		encrypt(t, m, message(1))
		if got := k.calls(); got != 2 {
			t.Errorf("%d calls, want 2", got)
		}
		successor := cache.Keys()[0]
		time.Sleep(time.Minute)
		synctest.Wait()
		if !zero(successor) {
			t.Error("the successor's key is still there after its age")
		}
		if s := m.Stats(); s.Refreshes != 1 || s.RefreshErrors != 0 || s.Encrypt.MissesAbsent != 1 {
			t.Errorf("Stats = %+v", s)
		}
	})
}

func TestCachingEarlyRefreshFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := &keyring{}
		m := caching(t, materials.CachingConfig{Keyring: k, MaxAge: time.Minute, EarlyRefresh: 10 * time.Second})
		req := reading(encrypt(t, m, message(1)))
		decrypt(t, m, req)
		k.before = func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
		time.Sleep(55 * time.Second)
		for range 5 {
			encrypt(t, m, message(1))
			decrypt(t, m, req)
		}
		time.Sleep(10 * time.Second) // the calls ended with the time there was for them
		synctest.Wait()
		if s := m.Stats(); s.Refreshes != 2 || s.RefreshErrors != 2 || s.Encrypt.Hits != 5 || s.Decrypt.Hits != 5 {
			t.Errorf("Stats = %+v", s)
		}
		k.before = nil
		encrypt(t, m, message(1))
		if s := m.Stats(); s.Encrypt.MissesExpired != 1 {
			t.Errorf("Stats = %+v", s)
		}
	})
}

func TestCachingLateSuccessorIsDropped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := &keyring{}
		cache := materials.NewLocalCache(10)
		m := caching(t, materials.CachingConfig{Keyring: k, Cache: cache, MaxAge: time.Minute, EarlyRefresh: 10 * time.Second})
		encrypt(t, m, message(1))
		time.Sleep(55 * time.Second)
		k.before = func(context.Context) error { time.Sleep(time.Second); return nil }
		var late []byte
		k.onEncrypt = func(m *materials.EncryptionMaterials) { late = m.DataKey }
		encrypt(t, m, message(1))
		synctest.Wait()
		cache.Purge()
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if cache.Len() != 0 || late == nil || !zero(late) {
			t.Errorf("%d entries, key %x; want the successor of a purged entry wiped", cache.Len(), late)
		}
	})
}

func BenchmarkCachingHit(b *testing.B) {
	for _, tc := range []struct {
		name  string
		suite suite.ID
	}{{"unsigned", suite.AES256GCMCommit}, {"signed", suite.AES256GCMCommitP384}} {
		m, err := materials.NewCachingManager(materials.CachingConfig{Keyring: &keyring{}, MaxAge: time.Hour})
		if err != nil {
			b.Fatal(err)
		}
		req := message(1)
		req.Suite = tc.suite
		em, err := m.EncryptionMaterials(b.Context(), req)
		if err != nil {
			b.Fatal(err)
		}
		b.Run("encrypt/"+tc.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := m.EncryptionMaterials(b.Context(), req); err != nil {
					b.Fatal(err)
				}
			}
		})
		read := reading(em)
		b.Run("decrypt/"+tc.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := m.DecryptionMaterials(b.Context(), read); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

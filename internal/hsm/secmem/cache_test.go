package secmem_test

import (
	"bytes"
	"fmt"
	"sync"
	"testing"

	"github.com/keywright/keywright/internal/hsm/secmem"
)

func key(i int) []byte { return fmt.Appendf(nil, "key %d", i) }

func secret(i int) []byte { return bytes.Repeat([]byte{byte(i + 1)}, 16) }

// has asks the cache for i and checks what it returns.
func has(t *testing.T, c *secmem.Cache[int], i int) bool {
	t.Helper()
	s, v, ok := c.Get(key(i))
	if !ok {
		if s.Bytes() != nil || v != 0 {
			t.Errorf("Get of absent %d returned something", i)
		}
		return false
	}
	defer s.Release()
	if v != i || !bytes.Equal(s.Bytes(), secret(i)) {
		t.Errorf("Get of %d returned %x and %d", i, s.Bytes(), v)
	}
	return true
}

func TestCacheEvictsLeastRecentlyUsed(t *testing.T) {
	c := secmem.NewCache[int](newArena(t, 16, 4), 3*16+15)
	for i := range 3 {
		if has(t, c, i) {
			t.Errorf("%d is there before it was put", i)
		}
		c.Put(key(i), secret(i), i).Release()
	}
	if !has(t, c, 0) { // now 1 is the oldest
		t.Error("0 is gone though there is room")
	}
	c.Put(key(3), secret(3), 3).Release()
	c.Put(key(2), []byte("another secret"), 99).Release() // keeps what is there
	c.Put(key(4), secret(4), 4).Release()
	for i, want := range []bool{false, false, true, true, true} {
		if got := has(t, c, i); got != want {
			t.Errorf("%d is in the cache: %v, want %v", i, got, want)
		}
	}
}

// TestCacheKeepsWhatIsInUse: eviction and Close leave a secret alone until its
// last user is done, and wipe it then.
func TestCacheKeepsWhatIsInUse(t *testing.T) {
	for name, drop := range map[string]func(*secmem.Cache[int]){
		"eviction": func(c *secmem.Cache[int]) { c.Put(key(1), secret(1), 1).Release() },
		"Close":    (*secmem.Cache[int]).Close,
	} {
		c := secmem.NewCache[int](newArena(t, 16, 2), 16)
		put := c.Put(key(0), secret(0), 0)
		got, _, ok := c.Get(key(0))
		if !ok {
			t.Fatal("Get found nothing")
		}
		memory := got.Bytes()
		put.Release()
		drop(c)
		if has(t, c, 0) {
			t.Errorf("%s left the entry in the cache", name)
		}
		if !bytes.Equal(memory, secret(0)) {
			t.Errorf("%s wiped a secret in use", name)
		}
		got.Release()
		if !bytes.Equal(memory, make([]byte, 16)) {
			t.Errorf("after %s the last Release did not wipe the secret", name)
		}
	}
}

func TestCacheEvictionWipes(t *testing.T) {
	c := secmem.NewCache[int](newArena(t, 16, 2), 16)
	put := c.Put(key(0), secret(0), 0)
	memory := put.Bytes()
	put.Release()
	if !bytes.Equal(memory, secret(0)) {
		t.Fatal("the secret was wiped while in the cache")
	}
	c.Put(key(1), secret(1)[:8], 1).Release() // may come to lie in the same slot
	if !bytes.Equal(memory[8:], make([]byte, 8)) {
		t.Error("eviction did not wipe the secret")
	}
}

// TestCacheRefusesSilently: what does not fit, or comes after Close, is returned
// all the same but not kept.
func TestCacheRefusesSilently(t *testing.T) {
	c := secmem.NewCache[int](newArena(t, 16, 2), 15)
	s := c.Put(key(0), secret(0), 0)
	if !bytes.Equal(s.Bytes(), secret(0)) {
		t.Errorf("Put of a secret that does not fit returned %x", s.Bytes())
	}
	s.Release()
	if has(t, c, 0) {
		t.Error("a secret that does not fit was kept")
	}
	c = secmem.NewCache[int](newArena(t, 16, 2), 32)
	c.Close()
	c.Close()
	s = c.Put(key(0), secret(0), 0)
	if !bytes.Equal(s.Bytes(), secret(0)) {
		t.Errorf("Put after Close returned %x", s.Bytes())
	}
	s.Release()
	if has(t, c, 0) {
		t.Error("a secret put after Close was kept")
	}
}

func TestCacheConcurrent(t *testing.T) {
	c := secmem.NewCache[int](newArena(t, 16, 4), 4*16)
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for n := range 500 {
				i := (g + n) % 10
				s, v, ok := c.Get(key(i))
				if !ok {
					s, v = c.Put(key(i), secret(i), i), i
				}
				if v != i || !bytes.Equal(s.Bytes(), secret(i)) {
					t.Errorf("%d is %x and %d", i, s.Bytes(), v)
				}
				s.Release()
			}
		})
	}
	wg.Wait()
}

func BenchmarkCacheGet(b *testing.B) {
	c := secmem.NewCache[int](newArena(b, 32, 10_000), 320_000)
	keys := make([][]byte, 10_000)
	for i := range keys {
		keys[i] = fmt.Appendf(nil, "%0250d", i)
		c.Put(keys[i], make([]byte, 32), i).Release()
	}
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		s, _, ok := c.Get(keys[i%len(keys)])
		if !ok {
			b.Fatal("not in the cache")
		}
		s.Release()
		i += 7
	}
}

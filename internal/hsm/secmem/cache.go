package secmem

import "sync"

// Cache holds secrets, each with a value that is not secret, under byte keys,
// and drops the one least recently used when they come to more than its limit.
// A secret that is dropped while someone uses it is wiped when the last user
// releases it. All methods may be called concurrently.
type Cache[V any] struct {
	arena *Arena
	limit int

	mu      sync.Mutex
	entries map[string]*entry[V]
	ring    entry[V] // ring.next is the most recently used entry, ring.prev the least
	used    int
	closed  bool
}

type entry[V any] struct {
	key        string
	secret     Secret
	value      V
	prev, next *entry[V]
}

// NewCache makes a cache of at most limit bytes of secrets in the arena. The
// keys and values come on top, in Go's memory.
func NewCache[V any](arena *Arena, limit int) *Cache[V] {
	c := &Cache[V]{arena: arena, limit: limit, entries: make(map[string]*entry[V])}
	c.ring.prev, c.ring.next = &c.ring, &c.ring
	return c
}

// Get returns what Put put under key, and reports whether it is there. The
// caller releases the secret.
func (c *Cache[V]) Get(key []byte) (s Secret, v V, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.entries[string(key)]
	if e == nil {
		return Secret{}, v, false
	}
	return c.use(e), e.value, true
}

// Put keeps a copy of secret, and v, under key, and returns the copy; the
// caller releases it. Where the key is there already, what it has stays and is
// returned: whoever computes the same entry twice computes it equal.
func (c *Cache[V]) Put(key, secret []byte, v V) Secret {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e := c.entries[string(key)]; e != nil {
		return c.use(e)
	}
	if c.closed || len(secret) > c.limit {
		return c.arena.New(secret)
	}
	for c.used+len(secret) > c.limit {
		c.drop(c.ring.prev)
	}
	e := &entry[V]{key: string(key), secret: c.arena.New(secret), value: v}
	c.entries[e.key] = e
	c.pushFront(e)
	c.used += len(secret)
	e.secret.Retain()
	return e.secret
}

// Close drops everything. After it Get finds nothing and Put keeps nothing.
func (c *Cache[V]) Close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	for c.ring.prev != &c.ring {
		c.drop(c.ring.prev)
	}
}

func (c *Cache[V]) use(e *entry[V]) Secret {
	if c.ring.next != e {
		e.unlink()
		c.pushFront(e)
	}
	e.secret.Retain() // cannot fail: the cache holds a reference
	return e.secret
}

func (c *Cache[V]) drop(e *entry[V]) {
	e.unlink()
	delete(c.entries, e.key)
	c.used -= len(e.secret.Bytes())
	e.secret.Release()
}

func (c *Cache[V]) pushFront(e *entry[V]) {
	e.prev, e.next = &c.ring, c.ring.next
	e.prev.next, e.next.prev = e, e
}

func (e *entry[V]) unlink() {
	e.prev.next, e.next.prev = e.next, e.prev
}

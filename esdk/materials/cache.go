package materials

import (
	"container/list"
	"context"
	"errors"
	"sync"
	"time"
)

// LocalCache holds materials in memory for CachingManagers: at most capacity
// entries, of which the least recently used gives way to a new one. Several
// managers may share one, each in its own partition unless they name the same.
//
// An entry's plaintext data key is overwritten as soon as the entry is too old,
// used up, evicted or purged. Messages under way are not disturbed: each has a
// copy of the key, which it wipes itself. The keys that sign messages cannot be
// overwritten; they are left to the garbage collector.
//
// Its methods may be called concurrently.
type LocalCache struct {
	capacity int

	mu      sync.Mutex
	entries map[cacheID]*entry
	recent  list.List // of *entry, the most recently used first
	evicted uint64
}

// DefaultCapacity is how many entries the cache of a CachingManager holds that
// was given none.
const DefaultCapacity = 1000

// NewLocalCache returns an empty cache that holds that many entries, for
// encryption and decryption together. It panics if capacity is less than 1.
func NewLocalCache(capacity int) *LocalCache {
	if capacity < 1 {
		panic("materials: NewLocalCache with no room")
	}
	return &LocalCache{capacity: capacity, entries: make(map[cacheID]*entry)}
}

// Len returns how many entries the cache holds, with those that are too old or
// used up, have no key any more and wait to be replaced.
func (c *LocalCache) Len() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.entries)
}

// Evicted returns how many entries gave way to others since the cache was made.
// If it keeps growing, the cache is too small for its load.
func (c *LocalCache) Evicted() uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.evicted
}

// Purge drops every entry and overwrites its data key: after a wrapping key was
// revoked, or before a program ends. A request that waits for a keyring at that
// moment still gets what the keyring answers, but nobody else does.
func (c *LocalCache) Purge() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, e := range c.entries {
		c.remove(e)
	}
}

// An entry is what one call of the underlying manager returned or, while done
// is open, is about to return. All but id, done and, once done is closed,
// value and err are guarded by the cache's mutex.
type entry struct {
	id     cacheID
	done   chan struct{}      // closed when the call has ended
	cancel context.CancelFunc // ends the call when nobody waits for it any more

	value   any       // the materials without their data key; not changed
	key     []byte    // the plaintext data key
	err     error     // why there is neither
	created time.Time // zero while the call is under way
	expiry  *time.Timer

	element    *list.Element // nil once the entry is out of the cache
	waiting    int           // requests that wait for the call or have not copied the key yet
	used       usage
	spent      bool // too old, used up or out of the cache: for those that wait only
	refreshing bool // a successor is, or was, asked for
}

// usage is what messages take of an entry.
type usage struct {
	messages, bytes int64
}

// limits are those of a manager. For decryption only the age is limited.
type limits struct {
	age     time.Duration
	refresh time.Duration // how long before the age a successor is asked for
	usage   usage
}

// outcome is how a request for an entry fared.
type outcome int

const (
	hit         outcome = iota
	hitStale            // a hit, and the caller is to ask for a successor
	missAbsent          // there was none
	missExpired         // it was too old
	missUsedUp          // it had not enough left
)

func (o outcome) miss() bool { return o >= missAbsent }

// acquire takes u of the entry of that id. It comes with the data key if it is
// ready; if key is nil the caller must wait for it, and on a miss first have
// the new entry finished.
//
// The use is counted before it is compared with the limits: with a limit of N
// messages exactly N share a key. It is counted also while the call is under
// way, and those whose use does not fit do not wait for it but for one of
// their own at once.
func (c *LocalCache) acquire(id cacheID, u usage, l limits) (e *entry, key []byte, o outcome) {
	c.mu.Lock()
	defer c.mu.Unlock()
	o = missAbsent
	if e = c.entries[id]; e != nil {
		age := e.age()
		switch {
		case age > l.age:
			o = missExpired
		case e.used.messages >= l.usage.messages, e.used.bytes > l.usage.bytes-u.bytes:
			o = missUsedUp
		case e.spent: // by the limits of another manager of the partition
			o = missExpired
		default:
			e.used.messages += u.messages
			e.used.bytes += u.bytes
			c.recent.MoveToFront(e.element)
			if e.created.IsZero() {
				e.waiting++
				return e, nil, hit
			}
			key = append([]byte(nil), e.key...)
			if e.used.messages >= l.usage.messages {
				e.spend()
			} else if l.refresh > 0 && age >= l.age-l.refresh && !e.refreshing {
				e.refreshing = true
				return e, key, hitStale
			}
			return e, key, hit
		}
		c.remove(e)
	}
	e = &entry{id: id, done: make(chan struct{}), waiting: 1, used: u}
	c.insert(e)
	return e, nil, o
}

// errAbandoned is what others would get that wait for a call that did not
// return, because the keyring ended its goroutine.
var errAbandoned = errors.New("esdk: the keyring did not return")

// finish ends the call an entry waits for.
func (c *LocalCache) finish(e *entry, value any, key []byte, err error, l limits) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e.value, e.key, e.err = value, key, err
	e.created = time.Now()
	close(e.done)
	switch {
	case err != nil:
		c.remove(e)
	case e.spent, e.used.messages >= l.usage.messages:
		e.spend() // evicted in the meantime, or for those that wait only
	default:
		c.expireAfter(e, l.age)
	}
}

// wait waits for the call of an entry that acquire returned without its key.
func (c *LocalCache) wait(ctx context.Context, e *entry, u usage) (key []byte, err error) {
	select {
	case <-e.done:
	case <-ctx.Done():
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	e.waiting--
	if e.created.IsZero() {
		e.used.messages -= u.messages
		e.used.bytes -= u.bytes
		if e.waiting == 0 {
			// Out of the cache first: nobody may begin to wait for a call that
			// was cancelled.
			c.remove(e)
			e.cancel()
		}
		return nil, ctx.Err()
	}
	key = append([]byte(nil), e.key...)
	if e.spent {
		e.spend()
	}
	return key, e.err
}

// replace puts a successor in an entry's place, if the entry still has it.
func (c *LocalCache) replace(old *entry, value any, key []byte, l limits) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if old.element == nil {
		clear(key)
		return
	}
	e := &entry{id: old.id, value: value, key: key, created: time.Now()}
	c.remove(old)
	c.insert(e)
	c.expireAfter(e, l.age)
}

// insert makes an entry the most recently used, and room for it.
func (c *LocalCache) insert(e *entry) {
	if len(c.entries) >= c.capacity {
		c.remove(c.recent.Back().Value.(*entry))
		c.evicted++
	}
	c.entries[e.id] = e
	e.element = c.recent.PushFront(e)
}

// remove takes an entry out of the cache, if it is in it.
func (c *LocalCache) remove(e *entry) {
	if e.element == nil {
		return
	}
	c.recent.Remove(e.element)
	e.element = nil
	delete(c.entries, e.id)
	e.spend()
}

// expireAfter has an entry's key overwritten when it is older than age, rather
// than when somebody asks for it. acquire looks at the age all the same: the
// timer may be late, or that of a manager with another MaxAge.
func (c *LocalCache) expireAfter(e *entry, age time.Duration) {
	e.expiry = time.AfterFunc(age+1, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		e.spend()
	})
}

// age is how long ago the entry was made; nothing while it is being made.
func (e *entry) age() time.Duration {
	if e.created.IsZero() {
		return 0
	}
	return time.Since(e.created)
}

// spend ends an entry: its key is overwritten once everybody who waited for it
// has a copy.
func (e *entry) spend() {
	e.spent = true
	if e.expiry != nil {
		e.expiry.Stop()
	}
	if e.waiting == 0 {
		clear(e.key)
	}
}

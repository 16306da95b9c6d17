package keyring

import (
	"container/list"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// ErrBranchKeyNotFound is returned by a BranchKeyStore that has no such branch
// key or no such version of it.
var ErrBranchKeyNotFound = errors.New("esdk: no such branch key")

// BranchKey is one version of a branch key, the key between a KMS key and the
// data keys that a [Hierarchical] keyring wraps.
type BranchKey struct {
	ID      string
	Version [16]byte // a random UUID as bytes
	Key     [32]byte
}

// String names the version without its key, for logs.
func (k BranchKey) String() string { return fmt.Sprintf("branch key %q version %x", k.ID, k.Version) }

// GoString is String: also %#v shows no key.
func (k BranchKey) GoString() string { return k.String() }

// BranchKeyStore provides branch keys in the clear. Its methods may be called
// concurrently. It returns ErrBranchKeyNotFound, which may be wrapped, for what
// it does not have.
//
// AWS's stores are tables in DynamoDB; BranchKeys of package awskms reads those.
// MemoryBranchKeys and FileBranchKeys need no service.
type BranchKeyStore interface {
	// ActiveBranchKey returns the version that encrypts.
	ActiveBranchKey(ctx context.Context, id string) (BranchKey, error)
	// BranchKeyVersion returns the version that is asked for.
	BranchKeyVersion(ctx context.Context, id string, version [16]byte) (BranchKey, error)
}

// MemoryBranchKeys is a BranchKeyStore in memory, for programs that get their
// branch keys from elsewhere when they start, and for tests. The zero value is
// empty and ready for use, also concurrently.
type MemoryBranchKeys struct {
	mu     sync.RWMutex
	active map[string]BranchKey
	all    map[branchKeyRef]BranchKey
}

// branchKeyRef names a version of a branch key, or the active one.
type branchKeyRef struct {
	id      string
	active  bool
	version [16]byte
}

// Put adds a version and makes it the active one of its id. A version can be
// put again, to activate it, but not with another key.
func (s *MemoryBranchKeys) Put(key BranchKey) error {
	if err := checkBranchKeyID(key.ID); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	ref := branchKeyRef{id: key.ID, version: key.Version}
	if old, ok := s.all[ref]; ok && old != key {
		return fmt.Errorf("esdk: version %x of branch key %q exists with another key", key.Version, key.ID)
	}
	if s.all == nil {
		s.all, s.active = map[branchKeyRef]BranchKey{}, map[string]BranchKey{}
	}
	s.all[ref], s.active[key.ID] = key, key
	return nil
}

// ActiveBranchKey returns the version that was put last.
func (s *MemoryBranchKeys) ActiveBranchKey(_ context.Context, id string) (BranchKey, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	key, ok := s.active[id]
	if !ok {
		return BranchKey{}, fmt.Errorf("%w: %q", ErrBranchKeyNotFound, id)
	}
	return key, nil
}

// BranchKeyVersion returns the version that is asked for.
func (s *MemoryBranchKeys) BranchKeyVersion(_ context.Context, id string, version [16]byte) (BranchKey, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	key, ok := s.all[branchKeyRef{id: id, version: version}]
	if !ok {
		return BranchKey{}, fmt.Errorf("%w: version %x of %q", ErrBranchKeyNotFound, version, id)
	}
	return key, nil
}

// branchKeyCache keeps what a store returned, for ttl from when it was asked. It
// evicts the least recently used. Errors are not kept.
type branchKeyCache struct {
	capacity int
	ttl      time.Duration

	mu    sync.Mutex
	byRef map[branchKeyRef]*list.Element
	order *list.List // of *branchKeyEntry, most recently used first
}

type branchKeyEntry struct {
	ref     branchKeyRef
	key     BranchKey
	expires time.Time
}

func newBranchKeyCache(capacity int, ttl time.Duration) *branchKeyCache {
	return &branchKeyCache{capacity: capacity, ttl: ttl, byRef: map[branchKeyRef]*list.Element{}, order: list.New()}
}

// get returns a version of a branch key, the active one if version is nil.
// Calls that miss at the same time ask the store each for itself.
func (c *branchKeyCache) get(ctx context.Context, store BranchKeyStore, id string, version *[16]byte) (BranchKey, error) {
	ref := branchKeyRef{id: id, active: version == nil}
	if version != nil {
		ref.version = *version
	}
	now := time.Now()
	if key, ok := c.lookup(ref, now); ok {
		return key, nil
	}
	var key BranchKey
	var err error
	if version == nil {
		key, err = store.ActiveBranchKey(ctx, id)
	} else {
		key, err = store.BranchKeyVersion(ctx, id, *version)
	}
	if err != nil {
		return BranchKey{}, fmt.Errorf("esdk: getting the branch key: %w", err)
	}
	if key.ID != id || version != nil && key.Version != *version {
		return BranchKey{}, fmt.Errorf("esdk: the store returned another branch key than %q", id)
	}
	c.add(&branchKeyEntry{ref, key, now.Add(c.ttl)})
	return key, nil
}

func (c *branchKeyCache) lookup(ref branchKeyRef, now time.Time) (BranchKey, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := c.byRef[ref]
	if !ok {
		return BranchKey{}, false
	}
	entry := e.Value.(*branchKeyEntry)
	if !now.Before(entry.expires) {
		c.remove(e)
		return BranchKey{}, false
	}
	c.order.MoveToFront(e)
	return entry.key, true
}

func (c *branchKeyCache) add(entry *branchKeyEntry) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e, ok := c.byRef[entry.ref]; ok {
		c.remove(e)
	}
	c.byRef[entry.ref] = c.order.PushFront(entry)
	for c.order.Len() > c.capacity {
		c.remove(c.order.Back())
	}
}

// remove drops an entry and wipes its key.
func (c *branchKeyCache) remove(e *list.Element) {
	entry := c.order.Remove(e).(*branchKeyEntry)
	delete(c.byRef, entry.ref)
	clear(entry.key.Key[:])
}

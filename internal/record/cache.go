package record

import (
	"container/list"
	"hash/maphash"
	"sync"

	"github.com/keywright/keywright/internal/store"
)

// cache is a bounded LRU of decoded records. An entry is good for one revision
// of its path, so a stale one can never be taken for the current record: the
// view says which revision is wanted, or is of a state of the store in which the
// entry is known to be the record.
type cache struct {
	seed   maphash.Seed
	shards [16]shard // by path, so that concurrent calls seldom wait
}

type shard struct {
	mu      sync.Mutex
	limit   int
	used    int
	entries map[string]*list.Element
	order   list.List // of *cached, most recently used first
}

type cached struct {
	path     string
	revision store.Revision // that wrote the record
	seen     store.Revision // of the newest state in which it was still the record
	record   any
	size     int
}

func newCache(limit int) *cache {
	c := &cache{seed: maphash.MakeSeed()}
	for i := range c.shards {
		c.shards[i].limit = limit / len(c.shards)
		c.shards[i].entries = make(map[string]*list.Element)
	}
	return c
}

func (c *cache) shard(path []byte) *shard {
	return &c.shards[maphash.Bytes(c.seed, path)%uint64(len(c.shards))]
}

// get returns the record that revision wrote, which is the one of the state view.
func (c *cache) get(path []byte, revision, view store.Revision) (any, bool) {
	s := c.shard(path)
	s.mu.Lock()
	defer s.mu.Unlock()
	el, ok := s.entries[string(path)]
	if !ok {
		return nil, false
	}
	e := el.Value.(*cached)
	if e.revision != revision {
		return nil, false
	}
	e.seen = max(e.seen, view)
	s.order.MoveToFront(el)
	return e.record, true
}

// at returns the record of the state view, with the revision that wrote it, if
// that is known: what was written before that state and is still there after it
// was there all the time.
func (c *cache) at(path []byte, view store.Revision) (record any, revision store.Revision, ok bool) {
	s := c.shard(path)
	s.mu.Lock()
	defer s.mu.Unlock()
	el, ok := s.entries[string(path)]
	if !ok {
		return nil, 0, false
	}
	e := el.Value.(*cached)
	if view < e.revision || view > e.seen {
		return nil, 0, false
	}
	s.order.MoveToFront(el)
	return e.record, e.revision, true
}

// put keeps the record of the state view.
func (c *cache) put(path []byte, rev, view store.Revision, record any, size int) {
	s := c.shard(path)
	if size > s.limit {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if el, ok := s.entries[string(path)]; ok {
		e := el.Value.(*cached)
		if e.revision > rev {
			return // an older view came late; keep what is newer
		}
		s.used += size - e.size
		if e.revision < rev {
			e.seen = view
		}
		e.revision, e.seen, e.record, e.size = rev, max(e.seen, view), record, size
		s.order.MoveToFront(el)
	} else {
		e := &cached{string(path), rev, view, record, size}
		s.entries[e.path] = s.order.PushFront(e)
		s.used += size
	}
	for s.used > s.limit {
		el := s.order.Back()
		e := s.order.Remove(el).(*cached)
		delete(s.entries, e.path)
		s.used -= e.size
	}
}

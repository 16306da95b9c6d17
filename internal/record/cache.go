package record

import (
	"container/list"
	"hash/maphash"
	"sync"

	"github.com/keywright/keywright/internal/store"
)

// cache is a bounded LRU of decoded records. An entry is good for one revision
// of its path, so a stale one can never be taken for the current record: the
// view says which revision is wanted.
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
	revision store.Revision
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

func (c *cache) get(path []byte, rev store.Revision) (any, bool) {
	s := c.shard(path)
	s.mu.Lock()
	defer s.mu.Unlock()
	el, ok := s.entries[string(path)]
	if !ok {
		return nil, false
	}
	e := el.Value.(*cached)
	if e.revision != rev {
		return nil, false
	}
	s.order.MoveToFront(el)
	return e.record, true
}

func (c *cache) put(path []byte, rev store.Revision, record any, size int) {
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
		e.revision, e.record, e.size = rev, record, size
		s.order.MoveToFront(el)
	} else {
		e := &cached{string(path), rev, record, size}
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

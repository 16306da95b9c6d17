package main

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"time"
)

const (
	sizesConcurrency = 16
	// sizesDistinct bounds the keys that are used: about as many as the server's
	// caches hold by default. Each is used once, and then again and again.
	sizesDistinct = 30_000
	// sizesFew is how many of them are used again at first: as many in each store,
	// so that only its size differs.
	sizesFew = 1_000
)

func measureSizes(o *options, r *report) error {
	binary, err := o.keywright()
	if err != nil {
		return err
	}
	counts := []int{1_000, 100_000}
	if o.full {
		counts = append(counts, 1_000_000)
	}
	var stores []*sizeStore
	defer func() {
		for _, s := range stores {
			s.close()
		}
	}()
	for _, n := range counts {
		s, err := openSize(o, binary, n)
		stores = append(stores, s)
		if err != nil {
			return fmt.Errorf("%d keys: %w", n, err)
		}
	}
	progress("sizes: Encrypt")
	for range rounds {
		for _, s := range stores {
			if err := s.measure(o.seconds / rounds); err != nil {
				return fmt.Errorf("%d keys: %w", s.row.Keys, err)
			}
		}
	}
	for _, s := range stores {
		u, err := s.child.usage()
		if err != nil {
			return fmt.Errorf("%d keys: %w", s.row.Keys, err)
		}
		s.row.LoadMiB, s.row.RSSMiB = mebibytes(u.Anonymous), mebibytes(u.RSS)
		s.row.FewMicros, s.row.outcome = medianOutcome(s.few).CPUMicros, medianOutcome(s.all)
		r.Sizes = append(r.Sizes, s.row)
	}
	return nil
}

// sizeStore is a store of some size, with its server.
type sizeStore struct {
	row      sizeRow
	data     string
	child    *child // nil until it is started
	requests [][]byte
	few, all []outcome // of each round
}

func (s *sizeStore) close() {
	if s.child != nil {
		s.child.stop()
	}
	os.RemoveAll(s.data)
}

// openSize makes a store of n keys and starts its server, and measures what is
// measured once. What it returns must be closed, with an error too.
func openSize(o *options, binary string, n int) (*sizeStore, error) {
	s := &sizeStore{row: sizeRow{Keys: n}, data: filepath.Join(o.dir, fmt.Sprint("sizes-", n))}
	progress("sizes: making %d keys", n)
	keys, err := fill(s.data, n)
	if err != nil {
		return s, err
	}
	info, err := os.Stat(filepath.Join(s.data, "store.db"))
	if err != nil {
		return s, err
	}
	s.row.StoreMiB = mebibytes(info.Size())
	progress("sizes: starting with %d keys", n)
	s.row.StartMillis, err = medianStart(binary, []string{"--data", s.data}, func(addr string) error {
		requests, err := keys[:1].requests(addr)
		if err != nil {
			return err
		}
		c, err := dial(addr)
		if err != nil {
			return err
		}
		defer c.Close()
		_, err = c.roundTrip(requests[0], nil)
		return err
	})
	if err != nil {
		return s, err
	}
	if s.child, err = startChild("keywright", s.data); err != nil {
		return s, err
	}
	u, err := s.child.usage()
	if err != nil {
		return s, err
	}
	s.row.IdleMiB = mebibytes(u.Anonymous)
	if s.requests, err = keys.requests(s.child.addr); err != nil {
		return s, err
	}
	first, err := once(s.child, s.requests, sizesConcurrency)
	s.row.FirstMicros = first.CPUMicros
	return s, err
}

// measure is one round: a few of the keys for d, then all for d.
func (s *sizeStore) measure(d time.Duration) error {
	few, err := load(s.child, s.requests[:min(len(s.requests), sizesFew)], sizesConcurrency, d)
	if err != nil {
		return err
	}
	all, err := load(s.child, s.requests, sizesConcurrency, d)
	s.few, s.all = append(s.few, few), append(s.all, all)
	return err
}

func mebibytes(n int64) float64 { return float64(n) / (1 << 20) }

// keyRef is a key in a filled store, with the credentials that may use it.
type keyRef struct {
	region string
	id     string
	owner  accessKey
}

type keyRefs []keyRef

// requests signs one Encrypt for each of the keys, at most sizesDistinct,
// chosen and put in order at random.
func (k keyRefs) requests(addr string) ([][]byte, error) {
	var all [][]byte
	for _, i := range rand.Perm(len(k))[:min(len(k), sizesDistinct)] {
		body, err := json.Marshal(wire{KeyId: k[i].id, Plaintext: make([]byte, 32)})
		if err != nil {
			return nil, err
		}
		request, err := newRequest(addr, k[i].region, k[i].owner, "Encrypt", body)
		if err != nil {
			return nil, err
		}
		all = append(all, request)
	}
	return all, nil
}

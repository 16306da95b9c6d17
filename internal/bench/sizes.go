package main

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
)

const (
	sizesConcurrency = 16
	// sizesDistinct bounds the keys that are used: about as many as the server's
	// caches hold by default. Each is used once, and then again and again.
	sizesDistinct = 30_000
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
	for _, n := range counts {
		row, err := measureSize(o, binary, n)
		if err != nil {
			return fmt.Errorf("%d keys: %w", n, err)
		}
		r.Sizes = append(r.Sizes, row)
	}
	return nil
}

func measureSize(o *options, binary string, n int) (sizeRow, error) {
	row := sizeRow{Keys: n}
	data := filepath.Join(o.dir, fmt.Sprint("sizes-", n))
	defer os.RemoveAll(data)
	progress("sizes: making %d keys", n)
	keys, err := fill(data, n)
	if err != nil {
		return row, err
	}
	info, err := os.Stat(filepath.Join(data, "store.db"))
	if err != nil {
		return row, err
	}
	row.StoreMiB = mebibytes(info.Size())
	progress("sizes: starting with %d keys", n)
	row.StartMillis, err = medianStart(binary, []string{"--data", data}, func(addr string) error {
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
		return row, err
	}
	s, err := startChild("keywright", data)
	if err != nil {
		return row, err
	}
	defer s.stop()
	u, err := s.usage()
	if err != nil {
		return row, err
	}
	row.IdleMiB = mebibytes(u.Anonymous)
	progress("sizes: Encrypt with %d keys", n)
	requests, err := keys.requests(s.addr)
	if err != nil {
		return row, err
	}
	first, err := once(s, requests, sizesConcurrency)
	if err != nil {
		return row, err
	}
	row.FirstMicros = first.CPUMicros
	if row.outcome, err = load(s, requests, sizesConcurrency, o.seconds); err != nil {
		return row, err
	}
	if u, err = s.usage(); err != nil {
		return row, err
	}
	row.LoadMiB, row.RSSMiB = mebibytes(u.Anonymous), mebibytes(u.RSS)
	return row, nil
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

package main

import (
	"context"
	"crypto/rand"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/keywright/keywright/internal/store"
	"github.com/keywright/keywright/internal/store/boltstore"
)

// measureStore writes to the store on disk, without a server above it.
func measureStore(o *options, r *report) (err error) {
	progress("store: synced writes of the disk alone")
	if r.SyncsSec, err = syncsPerSecond(filepath.Join(o.dir, "syncs"), o.seconds); err != nil {
		return err
	}
	s, err := boltstore.Open(filepath.Join(o.dir, "bench.db"), boltstore.Options{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	for _, n := range concurrencies {
		progress("store: %d writers", n)
		row, err := commit(s, n, o.seconds)
		if err != nil {
			return err
		}
		r.Store = append(r.Store, row)
	}
	return nil
}

// commit has n goroutines write for d.
func commit(s *boltstore.Store, n int, d time.Duration) (storeRow, error) {
	var wg sync.WaitGroup
	errs := make([]error, n)
	writers := make([]latencyRecorder, n)
	before, start := s.Stats().Commits, time.Now()
	for i := range n {
		wg.Go(func() { errs[i] = write(s, &writers[i], start.Add(d)) })
	}
	wg.Wait()
	took, syncs := time.Since(start), s.Stats().Commits-before
	var l latencyRecorder
	for _, w := range writers {
		l.all = append(l.all, w.all...)
	}
	return storeRow{
		Writers:        n,
		CommitsSec:     float64(len(l.all)) / took.Seconds(),
		CommitsPerSync: float64(len(l.all)) / float64(syncs),
		P50Millis:      micros(l.quantile(0.50)) / 1000,
		P99Millis:      micros(l.quantile(0.99)) / 1000,
	}, errors.Join(errs...)
}

func write(s *boltstore.Store, l *latencyRecorder, until time.Time) error {
	value := make([]byte, 512)
	for at := time.Now(); at.Before(until); {
		key := make([]byte, 32)
		rand.Read(key)
		if _, err := s.Write(context.Background(), store.Batch{Ops: []store.Op{{Key: key, Value: value}}}); err != nil {
			return err
		}
		now := time.Now()
		l.all = append(l.all, now.Sub(at))
		at = now
	}
	return nil
}

// syncsPerSecond is what the disk allows.
func syncsPerSecond(path string, d time.Duration) (float64, error) {
	f, err := os.Create(path)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	block := make([]byte, 4096)
	start, n := time.Now(), 0
	for ; time.Since(start) < d; n++ {
		if _, err := f.WriteAt(block, 0); err != nil {
			return 0, err
		}
		if err := f.Sync(); err != nil {
			return 0, err
		}
	}
	return float64(n) / time.Since(start).Seconds(), nil
}

package boltstore_test

import (
	"context"
	"fmt"
	"path/filepath"
	"sync"
	"testing"

	"github.com/keywright/keywright/internal/store"
	"github.com/keywright/keywright/internal/store/boltstore"
)

// BenchmarkWrite is batches of two records of 400 bytes, each on the disk when
// Write returns.
func BenchmarkWrite(b *testing.B) {
	for _, writers := range []int{1, 16, 64} {
		b.Run(fmt.Sprintf("disk/%dwriters", writers), func(b *testing.B) {
			benchmarkWrite(b, mustOpen(b, filepath.Join(b.TempDir(), "store.db"), boltstore.Options{}), writers)
		})
		b.Run(fmt.Sprintf("memory/%dwriters", writers), func(b *testing.B) {
			benchmarkWrite(b, mustOpenMemory(b), writers)
		})
	}
}

func benchmarkWrite(b *testing.B, st *boltstore.Store, writers int) {
	fillStore(b, st, 10_000)
	value := make([]byte, 400)
	work := make(chan int, writers)
	var wg sync.WaitGroup
	for range writers {
		wg.Go(func() {
			for i := range work {
				_, err := st.Write(context.Background(), store.Batch{Ops: []store.Op{
					{Key: benchKey(i * 7919 % 10_000), Value: value},
					{Key: benchKey(10_000 + i*104729%10_000), Value: value},
				}})
				if err != nil {
					b.Error(err)
				}
			}
		})
	}
	b.ReportAllocs()
	before := st.Stats().Commits
	n := 0
	for b.Loop() {
		work <- 1 + n
		n++
	}
	close(work)
	wg.Wait()
	if commits := st.Stats().Commits - before; commits > 0 {
		b.ReportMetric(float64(n)/float64(commits), "batches/commit")
		b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "batches/s")
	}
}

func benchKey(i int) []byte { return fmt.Appendf(nil, "account/region/key/%08d/record", i) }

// fillStore writes n records of 400 bytes.
func fillStore(b *testing.B, st store.Store, n int) {
	b.Helper()
	value := make([]byte, 400)
	for i := 0; i < n; {
		var batch store.Batch
		for ; len(batch.Ops) < store.MaxBatchOps && i < n; i++ {
			batch.Ops = append(batch.Ops, store.Op{Key: benchKey(i), Value: value})
		}
		mustWrite(b, st, batch)
	}
}

const benchKeys = 100_000

// BenchmarkRead is what a request reads: a snapshot and two records, of a
// thousand that are read all the time (hot), or of all (cold), where the time
// is that of the memory.
func BenchmarkRead(b *testing.B) {
	st := mustOpenMemory(b) // reading the page cache of a disk is the same
	fillStore(b, st, benchKeys)
	keys := make([][]byte, benchKeys)
	for i := range keys {
		keys[i] = benchKey(i * 7919 % benchKeys)
	}
	read := func(b *testing.B, keys [][]byte, i int) {
		v, err := st.Snapshot(context.Background())
		if err != nil {
			b.Fatal(err)
		}
		for j := range 2 {
			if _, err := v.Get(keys[(2*i+j)%len(keys)]); err != nil {
				b.Fatal(err)
			}
		}
		v.Close()
	}
	for _, set := range []struct {
		name string
		keys [][]byte
	}{{"hot", keys[:1000]}, {"cold", keys}} {
		b.Run(set.name, func(b *testing.B) {
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				read(b, set.keys, i)
				i++
			}
		})
		b.Run(set.name+"/parallel", func(b *testing.B) {
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for i := 0; pb.Next(); i++ {
					read(b, set.keys, i)
				}
			})
		})
	}
}

func BenchmarkScan(b *testing.B) {
	st := mustOpenMemory(b)
	fillStore(b, st, benchKeys)
	v := mustSnapshot(b, st)
	defer v.Close()
	b.ReportAllocs()
	b.SetBytes(benchKeys * 400)
	for b.Loop() {
		for _, err := range v.Scan(nil, nil) {
			if err != nil {
				b.Fatal(err)
			}
		}
	}
}

func BenchmarkOpen(b *testing.B) {
	path := filepath.Join(b.TempDir(), "store.db")
	st, err := boltstore.Open(path, boltstore.Options{})
	if err != nil {
		b.Fatal(err)
	}
	fillStore(b, st, 10*benchKeys)
	mustClose(b, st)
	b.Run("million", func(b *testing.B) {
		for b.Loop() {
			st, err := boltstore.Open(path, boltstore.Options{})
			if err != nil {
				b.Fatal(err)
			}
			mustClose(b, st)
		}
	})
	b.Run("memory", func(b *testing.B) {
		for b.Loop() {
			st, err := boltstore.OpenMemory(boltstore.Options{})
			if err != nil {
				b.Fatal(err)
			}
			mustClose(b, st)
		}
	})
}

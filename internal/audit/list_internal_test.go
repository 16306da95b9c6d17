package audit

import (
	"os"
	"path/filepath"
	"sync"
	"testing"
)

// Segments that are compressed while the folder is listed are all there.
func TestListWhileCompressing(t *testing.T) {
	dir := t.TempDir()
	const n = 300
	for i := range n {
		if err := os.WriteFile(filepath.Join(dir, segmentName(uint64(i+1), false)), []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for i := range n {
			plain := filepath.Join(dir, segmentName(uint64(i+1), false))
			tmp := filepath.Join(dir, "x.tmp")
			os.WriteFile(tmp, []byte("x"), 0o600)
			os.Rename(tmp, filepath.Join(dir, segmentName(uint64(i+1), true)))
			os.Remove(plain)
		}
	})
	done := make(chan struct{})
	go func() { wg.Wait(); close(done) }()
	for running := true; running; {
		select {
		case <-done:
			running = false
		default:
		}
		files, err := listSegments(dir)
		if err != nil {
			t.Fatal(err)
		}
		if len(files) != n {
			t.Fatalf("%d segments listed, want %d", len(files), n)
		}
	}
}

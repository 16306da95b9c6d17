package awsjson

import (
	"sync"
	"time"
)

// Failure is a request that failed authentication.
type Failure struct {
	Time        time.Time `json:"time"`
	SourceIP    string    `json:"sourceIPAddress"`
	AccessKeyID string    `json:"accessKeyId,omitempty"`
	Code        string    `json:"errorCode"`
}

// Failures remembers the newest requests that failed authentication, so that an
// operator can look into them. It holds a fixed number, whatever is sent.
type Failures struct {
	mu    sync.Mutex
	ring  [256]Failure
	total uint64
}

// add notes a failure and returns how many there were.
func (f *Failures) add(one Failure) uint64 {
	if f == nil {
		return 0
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.ring[f.total%uint64(len(f.ring))] = one
	f.total++
	return f.total
}

// Recent returns what is remembered, the newest first, and how many failures
// there were in all.
func (f *Failures) Recent() (recent []Failure, total uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := min(f.total, uint64(len(f.ring)))
	for i := range n {
		recent = append(recent, f.ring[(f.total-1-i)%uint64(len(f.ring))])
	}
	return recent, f.total
}

package main

import (
	"cmp"
	"errors"
	"slices"
	"sync"
	"time"
)

// outcome is what was measured of requests.
type outcome struct {
	CPUMicros   float64 `json:"serverCPUMicroseconds"`
	RequestsSec float64 `json:"requestsPerSecond"`
	P50Micros   float64 `json:"p50Microseconds"`
	P99Micros   float64 `json:"p99Microseconds"`
	Allocations float64 `json:"allocations"`
}

// medianOutcome returns the outcome whose CPU time is in the middle.
func medianOutcome(all []outcome) outcome {
	slices.SortFunc(all, func(a, b outcome) int { return cmp.Compare(a.CPUMicros, b.CPUMicros) })
	return all[len(all)/2]
}

// warmUp is how long a server works before it is measured, at most.
const warmUp = 300 * time.Millisecond

// latencyRecorder collects how long things took.
type latencyRecorder struct{ all []time.Duration }

// quantile returns the q-th part of the times, which it sorts.
func (l *latencyRecorder) quantile(q float64) time.Duration {
	if len(l.all) == 0 {
		return 0
	}
	slices.Sort(l.all)
	return l.all[min(int(q*float64(len(l.all))), len(l.all)-1)]
}

// load sends the requests in turn over as many connections as concurrency says,
// each the next as soon as one is answered.
func load(s *child, requests [][]byte, concurrency int, d time.Duration) (outcome, error) {
	clients, end, err := connect(s, requests, concurrency)
	defer end()
	if err != nil {
		return outcome{}, err
	}
	if _, err := drive(clients, min(warmUp, d)); err != nil {
		return outcome{}, err
	}
	return measured(s, clients, d)
}

// once sends each request once.
func once(s *child, requests [][]byte, concurrency int) (outcome, error) {
	clients, end, err := connect(s, requests, concurrency)
	defer end()
	if err != nil {
		return outcome{}, err
	}
	for i, c := range clients {
		c.limit = (i+1)*len(requests)/concurrency - c.next
	}
	return measured(s, clients, maxCell)
}

// connect makes the clients that share the requests. Call end in any case.
func connect(s *child, requests [][]byte, concurrency int) (clients []*client, end func(), err error) {
	end = func() {
		for _, c := range clients {
			c.Close()
		}
	}
	for i := range concurrency {
		c, err := dial(s.addr)
		if err != nil {
			return nil, end, err
		}
		clients = append(clients, &client{conn: c, requests: requests, next: i * len(requests) / concurrency})
	}
	return clients, end, nil
}

// measured is what the server and the clients need for what the clients do in d.
func measured(s *child, clients []*client, d time.Duration) (outcome, error) {
	before, err := s.usage()
	if err != nil {
		return outcome{}, err
	}
	took, err := drive(clients, d)
	if err != nil {
		return outcome{}, err
	}
	after, err := s.usage()
	if err != nil {
		return outcome{}, err
	}
	var l latencyRecorder
	for _, c := range clients {
		l.all = append(l.all, c.all...)
	}
	n := float64(len(l.all))
	return outcome{
		CPUMicros:   float64(after.CPUMicros-before.CPUMicros) / n,
		RequestsSec: n / took.Seconds(),
		P50Micros:   micros(l.quantile(0.50)),
		P99Micros:   micros(l.quantile(0.99)),
		Allocations: float64(after.Mallocs-before.Mallocs) / n,
	}, nil
}

func micros(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }

// client is one connection's share of the load.
type client struct {
	*conn
	latencyRecorder
	requests [][]byte
	next     int
	limit    int // of requests in a run; none where 0
	buf      []byte
}

// drive runs all clients for d and returns how long it took.
func drive(clients []*client, d time.Duration) (time.Duration, error) {
	var wg sync.WaitGroup
	errs := make([]error, len(clients))
	start := time.Now()
	for i, c := range clients {
		wg.Go(func() { errs[i] = c.run(start.Add(d)) })
	}
	wg.Wait()
	return time.Since(start), errors.Join(errs...)
}

// run sends requests until then. What it recorded before is forgotten.
func (c *client) run(until time.Time) (err error) {
	c.all = c.all[:0]
	for at := time.Now(); at.Before(until) && (c.limit == 0 || len(c.all) < c.limit); {
		if c.buf, err = c.roundTrip(c.requests[c.next%len(c.requests)], c.buf); err != nil {
			return err
		}
		c.next++
		now := time.Now()
		c.all = append(c.all, now.Sub(at))
		at = now
	}
	return nil
}

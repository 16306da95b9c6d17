package server

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/keywright/keywright/internal/store/boltstore"
)

// metrics are what the operator's listener shows under /metrics. Labels come
// from the API's own names, never from what a client wrote, so their number is
// bounded.
type metrics struct {
	registry *prometheus.Registry
	requests *prometheus.CounterVec
	latency  *prometheus.HistogramVec
	commits  prometheus.Histogram
	batches  prometheus.Counter
	failed   prometheus.Counter
}

func newMetrics() *metrics {
	m := &metrics{
		registry: prometheus.NewRegistry(),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "keywright_requests_total",
			Help: "Answered requests by service, operation and error code; the code is empty where they succeeded.",
		}, []string{"service", "operation", "code"}),
		latency: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "keywright_request_duration_seconds",
			Help:    "Time from the request's headers to the answer, by service and operation.",
			Buckets: []float64{50e-6, 100e-6, 250e-6, 500e-6, 1e-3, 2.5e-3, 5e-3, 10e-3, 25e-3, 50e-3, 100e-3, 250e-3, 1, 5},
		}, []string{"service", "operation"}),
		commits: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "keywright_store_commit_duration_seconds",
			Help:    "Time to write and sync one commit of the store; concurrent changes share it.",
			Buckets: prometheus.ExponentialBuckets(100e-6, 2.5, 10),
		}),
		batches: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "keywright_store_changes_total",
			Help: "Changes written to the store.",
		}),
		failed: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "keywright_store_failed_commits_total",
			Help: "Commits of the store that failed, as on a full disk.",
		}),
	}
	m.registry.MustRegister(m.requests, m.latency, m.commits, m.batches, m.failed,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// request is told of every answered API request.
func (m *metrics) request(service, operation, code string, took time.Duration) {
	m.requests.WithLabelValues(service, operation, code).Inc()
	m.latency.WithLabelValues(service, operation).Observe(took.Seconds())
}

// storeCommit is told of every commit of the store.
func (m *metrics) storeCommit(c boltstore.Commit) {
	m.commits.Observe(c.Duration.Seconds())
	if c.Err != nil {
		m.failed.Inc()
		return
	}
	m.batches.Add(float64(c.Batches))
}

// observeCore adds the figures that are read off the parts when asked for.
func (m *metrics) observeCore(c *core) {
	gauge := func(name, help string, f func() float64) {
		m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, f))
	}
	flag := func(b bool) float64 {
		if b {
			return 1
		}
		return 0
	}
	gauge("keywright_store_bytes", "Length of the store's file.", func() float64 { return float64(c.store.Stats().FileBytes) })
	gauge("keywright_store_revision", "Newest revision of the store.", func() float64 { return float64(c.store.Stats().Revision) })
	gauge("keywright_audit_records", "Sequence number of the newest audit record.", func() float64 { return float64(c.audit.Status().LastSequence) })
	gauge("keywright_audit_bytes", "Size of the audit log.", func() float64 { return float64(c.audit.Status().Bytes) })
	gauge("keywright_disk_free_bytes", "Free space of the disk the audit log is on.", func() float64 { return float64(c.audit.Status().BytesFree) })
	gauge("keywright_disk_low", "1 where the disk is nearly full: make room before calls are refused.", func() float64 { return flag(c.audit.Status().LowSpace) })
	gauge("keywright_audit_reserve_held", "1 while the disk space reserved for the records of changes is untouched.", func() float64 { return flag(c.audit.Status().ReserveHeld) })
	gauge("keywright_clock_trusted", "0 where the clock is not believed and no key is deleted.", func() float64 { return flag(c.guard.status() == nil) })
}

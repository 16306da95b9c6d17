package server

import (
	"context"
	"encoding/json"
	"net/http"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/keywright/keywright/internal/awsjson"
)

// readiness is the answer of /readyz.
type readiness struct {
	Ready bool `json:"ready"`
	// Warnings are what an operator should see to while the server serves.
	Warnings []string `json:"warnings,omitempty"`
	Error    string   `json:"error,omitempty"`
}

// ready looks whether the parts can do their work.
func (c *core) ready(ctx context.Context) readiness {
	out := readiness{Ready: true}
	v, err := c.db.View(ctx)
	if err != nil {
		return readiness{Error: "the store does not answer: " + err.Error()}
	}
	v.Close()
	s := c.audit.Status()
	if s.Err != nil {
		return readiness{Error: "the audit log cannot be written: " + s.Err.Error()}
	}
	if s.LowSpace {
		out.Warnings = append(out.Warnings, "the disk is nearly full: calls are refused once their audit records cannot be written")
	}
	if err := c.guard.status(); err != nil {
		out.Warnings = append(out.Warnings, err.Error())
	}
	return out
}

// operatorHandler serves readiness, metrics and the newest failed
// authentications. It shows nothing that would help to use a key.
func operatorHandler(c *core, failures *awsjson.Failures) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", healthz)
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		out := c.ready(r.Context())
		status := http.StatusOK
		if !out.Ready {
			status = http.StatusServiceUnavailable
		}
		writeJSON(w, status, out)
	})
	mux.HandleFunc("GET /auth-failures", func(w http.ResponseWriter, r *http.Request) {
		recent, total := failures.Recent()
		writeJSON(w, http.StatusOK, map[string]any{"total": total, "recent": recent})
	})
	mux.Handle("GET /metrics", promhttp.HandlerFor(c.metrics.registry, promhttp.HandlerOpts{}))
	return mux
}

// healthz says that the process answers; /readyz says whether it can work.
func healthz(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Write([]byte("ok\n"))
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	enc.Encode(v) // an error means that the client has gone
}

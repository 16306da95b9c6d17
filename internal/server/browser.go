package server

import (
	"net"
	"net/http"
	"slices"
	"strings"
)

// refuseBrowsers keeps web pages away from the API: a page that a developer
// visits can send requests to localhost, and with DNS rebinding even read the
// answers. A request must name a host that is ours and must not come from
// another site's page. No answer ever carries CORS headers.
func refuseBrowsers(hostnames []string, next http.Handler) http.Handler {
	known := make(map[string]bool, len(hostnames))
	for _, h := range hostnames {
		known[strings.ToLower(h)] = true
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !hostAllowed(known, r) {
			http.Error(w, "Host is not a name of this server; add it with --hostname", http.StatusMisdirectedRequest)
			return
		}
		if fromElsewhere(r) {
			http.Error(w, "requests from web pages are refused", http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// fromElsewhere tells whether another site's page sent the request. Of a header
// that comes twice every value counts.
func fromElsewhere(r *http.Request) bool {
	for _, origin := range r.Header["Origin"] {
		if origin != "" && !sameOrigin(origin, r) {
			return true
		}
	}
	return slices.Contains(r.Header["Sec-Fetch-Site"], "cross-site")
}

func hostAllowed(known map[string]bool, r *http.Request) bool {
	host := hostOnly(r.Host)
	if isLoopback(host) || known[strings.ToLower(host)] {
		return true
	}
	ip := net.ParseIP(host)
	if ip == nil {
		return false
	}
	// An address is fine where the connection came in on it.
	local, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	if !ok {
		return false
	}
	tcp, ok := local.(*net.TCPAddr)
	return ok && tcp.IP.Equal(ip)
}

func hostOnly(hostport string) string {
	if host, _, err := net.SplitHostPort(hostport); err == nil {
		return host
	}
	return strings.TrimSuffix(strings.TrimPrefix(hostport, "["), "]")
}

// sameOrigin tells whether the page that sent the request came from this very
// server.
func sameOrigin(origin string, r *http.Request) bool {
	_, host, ok := strings.Cut(origin, "://")
	return ok && strings.EqualFold(host, r.Host)
}

package httpd

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// response is an http.ResponseWriter that collects the answer.
type response struct {
	header http.Header
	status int // 0 until it is known
	body   []byte
	names  []string // of the header, sorted; kept for its memory
}

// Header implements http.ResponseWriter.
func (w *response) Header() http.Header { return w.header }

// WriteHeader implements http.ResponseWriter. What comes before the answer
// itself (a status of 1xx) is not sent.
func (w *response) WriteHeader(status int) {
	if w.status == 0 && status >= 200 {
		w.status = status
	}
}

// Write implements http.ResponseWriter.
func (w *response) Write(b []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	w.body = append(w.body, b...)
	return len(b), nil
}

// reset makes the response one of the next request. The last one may hold
// plaintext.
func (w *response) reset() {
	clear(w.header)
	clear(w.body)
	w.body, w.status = w.body[:0], 0
	if cap(w.body) > keptBuffer {
		w.body = nil
	}
}

// append appends the answer as it goes over the wire to dst. With last, the
// client is told that no further request will be answered.
func (w *response) append(dst []byte, date string, last bool) []byte {
	w.WriteHeader(http.StatusOK) // for a handler that said nothing
	dst = append(dst, "HTTP/1.1 "...)
	dst = strconv.AppendInt(dst, int64(w.status), 10)
	dst = append(dst, ' ')
	dst = append(dst, http.StatusText(w.status)...)
	dst = append(dst, "\r\n"...)
	w.names = w.names[:0]
	for name := range w.header {
		w.names = append(w.names, name)
	}
	slices.Sort(w.names)
	for _, name := range w.names {
		switch name {
		case "Content-Length", "Transfer-Encoding", "Connection", "Trailer":
			continue // these say how the answer is sent, which is decided here
		}
		for _, value := range w.header[name] {
			dst = appendField(dst, name, value)
		}
	}
	if _, ok := w.header["Date"]; !ok {
		dst = appendField(dst, "Date", date)
	}
	if _, ok := w.header["Content-Type"]; !ok && len(w.body) > 0 {
		dst = appendField(dst, "Content-Type", http.DetectContentType(w.body))
	}
	if last {
		dst = appendField(dst, "Connection", "close")
	}
	if w.status == http.StatusNoContent || w.status == http.StatusNotModified {
		return append(dst, "\r\n"...)
	}
	dst = append(dst, "Content-Length: "...)
	dst = strconv.AppendInt(dst, int64(len(w.body)), 10)
	dst = append(dst, endOfHead...)
	return append(dst, w.body...)
}

// appendField appends a line of the header. As in net/http, a value cannot end
// its line.
func appendField(dst []byte, name, value string) []byte {
	dst = append(dst, name...)
	dst = append(dst, ": "...)
	if strings.ContainsAny(value, "\r\n") {
		value = strings.NewReplacer("\r", " ", "\n", " ").Replace(value)
	}
	dst = append(dst, value...)
	return append(dst, "\r\n"...)
}

// wantsClose tells whether the handler asked for the end of the connection.
func (w *response) wantsClose() bool {
	return slices.ContainsFunc(w.header["Connection"], func(v string) bool { return strings.EqualFold(v, "close") })
}

// dateCache is the current second as the Date field has it.
type dateCache struct {
	second int64
	text   string
}

func (d *dateCache) at(now time.Time) string {
	if second := now.Unix(); second != d.second || d.text == "" {
		d.second, d.text = second, now.UTC().Format(http.TimeFormat)
	}
	return d.text
}

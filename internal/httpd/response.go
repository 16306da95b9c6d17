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
	status int      // 0 until it is known
	buf    []byte   // headRoom bytes, and the body; nil before there is one
	head   []byte   // kept for its memory
	names  []string // of the header, sorted; kept for the next answer's
}

// headRoom is left before the body, so that the two go over the wire as they
// lie. Some 350 bytes of it are used.
const headRoom = 512

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
	if w.buf == nil {
		w.buf = make([]byte, headRoom, headRoom+max(len(b), headRoom))
	}
	w.buf = append(w.buf, b...)
	return len(b), nil
}

// reset makes the response one of the next request. The last one may hold
// plaintext.
func (w *response) reset() {
	clear(w.header)
	clear(w.buf)
	w.buf, w.status = w.buf[:min(headRoom, len(w.buf))], 0
	if cap(w.buf) > keptBuffer {
		w.buf = nil
	}
}

// wire returns the answer as it goes over the wire; it is good until reset. With
// last, the client is told that no further request will be answered.
func (w *response) wire(date string, last bool) []byte {
	w.Write(nil) // for a handler that said nothing
	w.head = w.appendHead(w.head[:0], date, last)
	if w.bodyless() {
		return w.head
	}
	if len(w.head) > headRoom {
		whole := slices.Concat(w.head, w.buf[headRoom:])
		clear(w.buf)
		w.buf = whole
		return whole
	}
	start := headRoom - len(w.head)
	copy(w.buf[start:], w.head)
	return w.buf[start:]
}

// appendHead appends all that is before the body.
func (w *response) appendHead(dst []byte, date string, last bool) []byte {
	body := w.buf[headRoom:]
	dst = append(dst, "HTTP/1.1 "...)
	dst = strconv.AppendInt(dst, int64(w.status), 10)
	dst = append(dst, ' ')
	dst = append(dst, http.StatusText(w.status)...)
	dst = append(dst, "\r\n"...)
	w.sortNames()
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
	if _, ok := w.header["Content-Type"]; !ok && len(body) > 0 {
		dst = appendField(dst, "Content-Type", http.DetectContentType(body))
	}
	if last {
		dst = appendField(dst, "Connection", "close")
	}
	if w.bodyless() {
		return append(dst, "\r\n"...)
	}
	dst = append(dst, "Content-Length: "...)
	dst = strconv.AppendInt(dst, int64(len(body)), 10)
	return append(dst, endOfHead...)
}

// bodyless tells whether an answer of this status has no body, nor a length.
func (w *response) bodyless() bool {
	return w.status == http.StatusNoContent || w.status == http.StatusNotModified
}

// sortNames makes names those of the header, as they mostly are already: a
// handler's answers have the same fields.
func (w *response) sortNames() {
	absent := func(name string) bool { return w.header[name] == nil }
	if len(w.names) == len(w.header) && !slices.ContainsFunc(w.names, absent) {
		return
	}
	w.names = w.names[:0]
	for name := range w.header {
		w.names = append(w.names, name)
	}
	slices.Sort(w.names)
}

// appendField appends a line of the header. As in net/http, a value cannot end
// its line.
func appendField(dst []byte, name, value string) []byte {
	dst = append(dst, name...)
	dst = append(dst, ": "...)
	if strings.IndexByte(value, '\r') >= 0 || strings.IndexByte(value, '\n') >= 0 {
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

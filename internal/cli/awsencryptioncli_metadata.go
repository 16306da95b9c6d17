package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"unicode/utf16"

	"github.com/keywright/keywright/internal/envelope"
)

// checkMetadata checks the place of the metadata for what makes no sense.
func (r *oldRun) checkMetadata() error {
	path := r.o.Metadata
	switch {
	case r.o.SuppressMetadata:
		return nil
	case path == "":
		return oldError("Metadata output file name cannot be empty")
	case path == envelope.Stdio && r.o.Output == envelope.Stdio:
		return oldError("Metadata output cannot be stdout when output is stdout")
	case path == envelope.Stdio:
		return nil
	case !isDir(filepath.Dir(realPath(path))):
		return oldError("Parent directory for requested metadata file does not exist.")
	case isDir(path):
		return oldError("Metadata output cannot be a directory")
	case realPath(path) == realPath(r.o.Input) || realPath(path) == realPath(r.o.Output):
		return oldError("Metadata output file cannot be the input or output")
	case isDir(r.o.Output) && within(path, r.o.Output):
		return oldError("Metadata output file cannot be in the output directory")
	case isDir(r.o.Input) && within(path, r.o.Input):
		return oldError("Metadata output file cannot be in the input directory")
	}
	return nil
}

// oldMetadata is where records go; nil: nowhere.
type oldMetadata struct {
	w        io.Writer
	file     *os.File // what w is, unless it is stdout
	truncate bool     // before the next record
}

func (r *oldRun) openMetadata() (*oldMetadata, error) {
	if r.o.SuppressMetadata {
		return nil, nil
	}
	r.work.KeepHeaders = true
	if r.o.Metadata == envelope.Stdio {
		return &oldMetadata{w: r.s.out}, nil
	}
	// There is nothing secret in it, and others may be meant to read it.
	f, err := os.OpenFile(r.o.Metadata, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o666)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err != nil {
		f.Close()
		return nil, err
	}
	return &oldMetadata{f, f, r.o.OverwriteMetadata && info.Mode().IsRegular()}, nil
}

func (m *oldMetadata) close() error {
	if m == nil || m.file == nil {
		return nil
	}
	return m.file.Close()
}

// write writes the record of a file. There is none of files that were left alone
// because of their output. One that failed is called skipped too, as only that
// tells who does not know status that it was not done.
func (m *oldMetadata) write(w *envelope.Work, result envelope.Result) error {
	if m == nil || result.Status == envelope.Skipped {
		return nil
	}
	var line bytes.Buffer
	if err := w.Metadata(&line, result); err != nil {
		return err
	}
	var record map[string]any
	dec := json.NewDecoder(&line)
	dec.UseNumber()
	if err := dec.Decode(&record); err != nil {
		return err
	}
	if mismatch, ok := errors.AsType[*envelope.ContextError](result.Err); ok {
		pairs := []any{}
		for _, key := range slices.Sorted(maps.Keys(mismatch.Pairs)) {
			pairs = append(pairs, []any{key, mismatch.Pairs[key]})
		}
		record["missing_encryption_context_pairs"], record["status"] = pairs, envelope.Skipped.String()
		delete(record, "error")
	} else if result.Err != nil {
		record["skipped"], record["reason"] = true, record["error"]
	}
	if m.truncate {
		if err := m.file.Truncate(0); err != nil {
			return err
		}
		m.truncate = false
	}
	_, err := m.w.Write(append(appendPythonJSON(nil, record), '\n'))
	return err
}

// appendPythonJSON writes what was decoded from JSON as Python's json.dumps does
// with its keys sorted: with spaces, and in ASCII.
func appendPythonJSON(b []byte, value any) []byte {
	switch value := value.(type) {
	case map[string]any:
		b = append(b, '{')
		for i, key := range slices.Sorted(maps.Keys(value)) {
			if i > 0 {
				b = append(b, ", "...)
			}
			b = append(appendPythonString(b, key), ": "...)
			b = appendPythonJSON(b, value[key])
		}
		return append(b, '}')
	case []any:
		b = append(b, '[')
		for i, element := range value {
			if i > 0 {
				b = append(b, ", "...)
			}
			b = appendPythonJSON(b, element)
		}
		return append(b, ']')
	case string:
		return appendPythonString(b, value)
	case bool:
		return strconv.AppendBool(b, value)
	case json.Number:
		return append(b, value...)
	}
	return append(b, "null"...)
}

func appendPythonString(b []byte, text string) []byte {
	b = append(b, '"')
	for _, r := range text {
		switch {
		case r == '"' || r == '\\':
			b = append(b, '\\', byte(r))
		case r >= ' ' && r < 0x7f:
			b = append(b, byte(r))
		case r == '\n':
			b = append(b, `\n`...)
		case r == '\r':
			b = append(b, `\r`...)
		case r == '\t':
			b = append(b, `\t`...)
		case r == '\b':
			b = append(b, `\b`...)
		case r == '\f':
			b = append(b, `\f`...)
		case r > 0xffff:
			high, low := utf16.EncodeRune(r)
			b = fmt.Appendf(b, `\u%04x\u%04x`, high, low)
		default:
			b = fmt.Appendf(b, `\u%04x`, r)
		}
	}
	return append(b, '"')
}

package cli

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/keywright/keywright/internal/envelope"
)

// oldLog writes lines as aws-encryption-cli logs them.
type oldLog struct {
	w     io.Writer
	level logLevel
}

type logLevel uint8

const (
	debugLevel logLevel = iota
	infoLevel
	warningLevel
	quietLevel
)

// newOldLog returns a log that takes warnings, with -v more, and with -q nothing.
func newOldLog(w io.Writer, verbosity int, quiet bool) *oldLog {
	switch {
	case quiet:
		return &oldLog{w, quietLevel}
	case verbosity == 0:
		return &oldLog{w, warningLevel}
	case verbosity == 1:
		return &oldLog{w, infoLevel}
	}
	return &oldLog{w, debugLevel}
}

func (l *oldLog) debug(format string, args ...any)   { l.print(debugLevel, "DEBUG", format, args) }
func (l *oldLog) info(format string, args ...any)    { l.print(infoLevel, "INFO", format, args) }
func (l *oldLog) warning(format string, args ...any) { l.print(warningLevel, "WARNING", format, args) }

// print writes a line in one piece, since files are done at the same time.
func (l *oldLog) print(level logLevel, name, format string, args []any) {
	if level < l.level {
		return
	}
	fmt.Fprintf(l.w, "%s - MainThread - aws_encryption_sdk_cli - %s - %s\n",
		time.Now().Format("2006-01-02 15:04:05,000"), name, printable(fmt.Sprintf(format, args...)))
}

// replace tells whether an output that exists is replaced.
func (r *oldRun) replace(path string) (bool, error) {
	if !r.o.Interactive {
		r.log.warning("Overwriting existing output file because no action was specified otherwise: %s", path)
		return true, nil
	}
	if r.o.Input == envelope.Stdio {
		return false, errors.New("stdin is the input, and cannot answer --interactive")
	}
	answer, err := r.asker(`Overwrite existing output file "` + printable(path) + `" with new contents? [y/N]:`)
	if err != nil {
		return false, fmt.Errorf("reading the answer to --interactive: %w", err)
	}
	if !strings.HasPrefix(strings.ToLower(answer), "y") {
		return false, nil
	}
	r.log.warning("Overwriting existing output file based on interactive user decision: %s", path)
	return true, nil
}

// newAsker returns what asks on stderr and reads a line from stdin. Its end is an
// error: nobody answered.
func newAsker(s *streams) func(string) (string, error) {
	var mu sync.Mutex
	answers := bufio.NewReader(s.in)
	return func(question string) (string, error) {
		mu.Lock()
		defer mu.Unlock()
		fmt.Fprint(s.err, question)
		line, err := answers.ReadString('\n')
		if errors.Is(err, io.EOF) && line != "" {
			err = nil
		}
		return line, err
	}
}

package server

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/keywright/keywright/internal/backup"
)

// The operator's socket speaks HTTP. A command is POST /v1/<operation> with its
// input as a JSON object; the answer is lines of JSON, each an operatorLine, of
// which the last has the result or the error. POST /v1/backup answers with the
// backup itself, and with the result in a trailer. Whoever can open the socket,
// which the file's mode leaves to the server's own user and root, may do all.

type operatorLine struct {
	Progress *operatorProgress `json:"progress,omitempty"`
	Result   json.RawMessage   `json:"result,omitempty"`
	Error    *OperatorError    `json:"error,omitempty"`
}

type operatorProgress struct {
	Done  int `json:"done"`
	Total int `json:"total"`
}

// OperatorError is the failure of an operator's command in a running server.
type OperatorError struct {
	Message string `json:"message"`
	Advice  string `json:"hint,omitempty"`
}

func (e *OperatorError) Error() string { return e.Message }

// Hint says what to do about it; "" where there is nothing to say.
func (e *OperatorError) Hint() string { return e.Advice }

const (
	resultTrailer     = "Keywright-Result"
	maxOperatorInput  = 1 << 20
	maxOperatorLine   = 16 << 20
	maxSocketPath     = 100 // what every system allows, less what the name is longer at first
	operatorURL       = "http://operator/v1/"
	operatorBackupURL = "backup"
)

// checkSocketPath refuses a path that cannot be a socket's.
func checkSocketPath(path string) error {
	if len(path) > maxSocketPath {
		return fmt.Errorf("the path of the operator's socket, %s, has %d bytes, and systems allow about %d: use a data folder with a shorter path, or a relative one", path, len(path), maxSocketPath)
	}
	return nil
}

// listenSocket opens the operator's socket in the data folder. The store's lock
// is held, so a socket that is there already is one of a dead server.
func (s *Server) listenSocket() error {
	c := s.core
	if c.cfg.Data == "" {
		return nil
	}
	path := filepath.Join(c.cfg.Data, socketName)
	l, err := listenPrivate(path)
	if err != nil {
		return fmt.Errorf("opening the operator's socket: %w", err)
	}
	socket := newHTTPServer(s.operatorSocketHandler(), s.log)
	socket.ReadTimeout, socket.WriteTimeout = 0, 0 // backups and rotations take their time
	var ctx context.Context
	ctx, s.commands.stop = context.WithCancel(context.Background())
	socket.BaseContext = func(net.Listener) context.Context { return ctx }
	socket.ConnContext = func(ctx context.Context, conn net.Conn) context.Context {
		return withPeer(ctx, peerOf(conn))
	}
	s.socketPath = path
	s.serve("operator socket", socket, l)
	return nil
}

// listenPrivate opens a socket that only this user can connect to. It is made in
// a private folder and moved, so that at no moment is it open to others, whatever
// the umask and the mode of the data folder are.
func listenPrivate(path string) (net.Listener, error) {
	dir, err := os.MkdirTemp(filepath.Dir(path), ".s-") // mode 0700
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	made := filepath.Join(dir, "s")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: made, Net: "unix"})
	if err != nil {
		return nil, err
	}
	l.SetUnlinkOnClose(false) // its name is about to change
	if err := replaceSocket(made, path); err != nil {
		l.Close()
		return nil, err
	}
	return l, nil
}

// replaceSocket moves a socket to where at most an older one is.
func replaceSocket(made, path string) error {
	if err := os.Chmod(made, 0o600); err != nil {
		return err
	}
	info, err := os.Lstat(path)
	if err == nil && info.Mode().Type() != fs.ModeSocket {
		return fmt.Errorf("%s is not a socket: remove it", path)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return os.Rename(made, path)
}

func (s *Server) operatorSocketHandler() http.Handler {
	mux := http.NewServeMux()
	for name, op := range operations {
		mux.HandleFunc("POST /v1/"+name, func(w http.ResponseWriter, r *http.Request) { s.operate(w, r, op) })
	}
	mux.HandleFunc("POST /v1/"+operatorBackupURL, s.serveBackup)
	return s.commands.track(mux)
}

// commands are the operator's commands under way. A server that closes waits for
// them, since they work on its store.
type commands struct {
	stop func() // ends those under way; nil where there is no socket

	mu      sync.Mutex
	closed  bool
	running sync.WaitGroup
}

func (c *commands) track(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !c.begin() {
			http.Error(w, "the server is shutting down", http.StatusServiceUnavailable)
			return
		}
		defer c.running.Done()
		next.ServeHTTP(w, r)
	})
}

func (c *commands) begin() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.closed {
		c.running.Add(1)
	}
	return !c.closed
}

// close cuts off the commands under way and returns when they have ended.
func (c *commands) close() {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	if c.stop != nil {
		c.stop()
	}
	c.running.Wait()
}

// operate carries out one operation and streams what it has to say.
func (s *Server) operate(w http.ResponseWriter, r *http.Request, op operation) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxOperatorInput))
	if err != nil {
		return
	}
	w.Header().Set("Content-Type", "application/jsonl")
	enc, flush := json.NewEncoder(w), http.NewResponseController(w).Flush
	last := time.Now()
	result, err := op.run(r.Context(), s.core, body, func(done, total int) {
		if now := time.Now(); now.Sub(last) >= 100*time.Millisecond {
			last = now
			enc.Encode(operatorLine{Progress: &operatorProgress{done, total}})
			flush()
		}
	})
	if err != nil {
		enc.Encode(operatorLine{Error: asOperatorError(err)})
		return
	}
	enc.Encode(operatorLine{Result: result})
}

func asOperatorError(err error) *OperatorError {
	e := &OperatorError{Message: err.Error()}
	var h interface{ Hint() string }
	if errors.As(err, &h) {
		e.Advice = h.Hint()
	}
	return e
}

func (s *Server) serveBackup(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Trailer", resultTrailer)
	info, err := s.core.backup(r.Context(), w)
	line := operatorLine{}
	if err != nil {
		line.Error = asOperatorError(err)
	} else {
		line.Result, _ = json.Marshal(info) // numbers, bytes and a time: it cannot fail
	}
	text, _ := json.Marshal(line)
	w.Header().Set(resultTrailer, string(text))
}

// client talks to a server's socket.
func (o *Operator) client() *http.Client {
	return &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", o.socket)
		},
	}}
}

func (o *Operator) request(ctx context.Context, name string, body []byte) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, operatorURL+name, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	resp, err := o.client().Do(req)
	if err != nil {
		return nil, fmt.Errorf("asking the running server: %w", err)
	}
	if resp.StatusCode == http.StatusServiceUnavailable {
		resp.Body.Close()
		return nil, errors.New("the running server is shutting down: wait until it has ended, and try again")
	}
	if resp.StatusCode != http.StatusOK {
		resp.Body.Close()
		return nil, fmt.Errorf("the running server answers %s: it is of another version than this command", resp.Status)
	}
	return resp, nil
}

var errConnectionLost = errors.New("the connection to the server was lost before the command was done: see in the server's log what became of it")

// post has the running server carry out an operation.
func (o *Operator) post(ctx context.Context, name string, body []byte, progress Progress) (json.RawMessage, error) {
	resp, err := o.request(ctx, name, body)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	lines := bufio.NewScanner(resp.Body)
	lines.Buffer(nil, maxOperatorLine)
	for lines.Scan() {
		var line operatorLine
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
			return nil, fmt.Errorf("reading the server's answer: %w", err)
		}
		switch {
		case line.Error != nil:
			return nil, line.Error
		case line.Result != nil:
			return line.Result, nil
		case line.Progress != nil:
			progress(line.Progress.Done, line.Progress.Total)
		}
	}
	return nil, errors.Join(errConnectionLost, lines.Err())
}

func (o *Operator) fetchBackup(ctx context.Context, w io.Writer) (*backup.Info, error) {
	resp, err := o.request(ctx, operatorBackupURL, nil)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if _, err := io.Copy(w, resp.Body); err != nil {
		return nil, fmt.Errorf("copying the backup: %w", err)
	}
	var line operatorLine
	if err := json.Unmarshal([]byte(resp.Trailer.Get(resultTrailer)), &line); err != nil {
		return nil, errConnectionLost
	}
	if line.Error != nil {
		return nil, line.Error
	}
	info := new(backup.Info)
	return info, json.Unmarshal(line.Result, info)
}

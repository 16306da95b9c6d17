package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/term"

	"github.com/keywright/keywright/esdk"
	"github.com/keywright/keywright/esdk/keyring"
	"github.com/keywright/keywright/esdk/materials"
	"github.com/keywright/keywright/esdk/suite"
	"github.com/keywright/keywright/internal/envelope"
)

// messageFlags are about messages of either direction.
type messageFlags struct {
	Policy  string   `name:"commitment-policy" enum:"forbid-encrypt-allow-decrypt,require-encrypt-allow-decrypt,require-encrypt-require-decrypt" default:"require-encrypt-require-decrypt" help:"Whether messages must commit to their key: ${enum}." placeholder:"POLICY"`
	MaxKeys uint16   `name:"max-encrypted-data-keys" help:"Refuse messages with more encrypted data keys." placeholder:"N"`
	Caching string   `help:"Reuse data keys: capacity=N,max_age=SECONDS and, if wanted, max_messages_encrypted=N, max_bytes_encrypted=N." placeholder:"NAME=VALUE,..."`
	Context []string `name:"encryption-context" short:"c" sep:"none" help:"A pair of the encryption context. Repeatable." placeholder:"KEY=VALUE"`
	// Required are authenticated and not stored.
	Required []string `name:"required-encryption-context-keys" help:"Keys of the encryption context that messages authenticate and do not store." placeholder:"KEY"`
	Decode   bool     `help:"The input is base64."`
}

var policies = map[string]materials.CommitmentPolicy{
	"forbid-encrypt-allow-decrypt":    materials.ForbidEncryptAllowDecrypt,
	"require-encrypt-allow-decrypt":   materials.RequireEncryptAllowDecrypt,
	"require-encrypt-require-decrypt": materials.RequireEncryptRequireDecrypt,
}

// runFlags are about how files are done and told of.
type runFlags struct {
	Recursive bool   `short:"r" help:"Take all files of directories."`
	Jobs      int    `short:"j" help:"How many files are done at a time. Default: as many as there are processors." placeholder:"N"`
	JSON      bool   `help:"Print a line of JSON for each file."`
	Verbose   int    `short:"v" type:"counter" help:"Tell of each file."`
	Quiet     bool   `short:"q" help:"Tell of errors only."`
	Metadata  string `name:"metadata-output" help:"Append a line of JSON about each message to this file, or - for stdout." placeholder:"FILE" xor:"metadata"`
	Suppress  bool   `name:"suppress-metadata" short:"S" help:"Write no metadata, which is the default." xor:"metadata"`
	Overwrite bool   `name:"overwrite-metadata" help:"Empty the file of the metadata first."`
}

// outputFlags are about where results go.
type outputFlags struct {
	Input       []string `short:"i" required:"" sep:"none" help:"File, directory, pattern, or - for stdin. Repeatable." placeholder:"PATH"`
	Output      string   `short:"o" required:"" help:"File, directory that exists, or - for stdout." placeholder:"PATH"`
	Encode      bool     `help:"Write base64."`
	Overwrite   bool     `negatable:"" default:"true" help:"Replace outputs that exist, once the new ones are whole. With --no-overwrite they are kept and their inputs skipped."`
	Interactive bool     `help:"Ask before an output that exists is replaced."`
	Resume      bool     `help:"Skip files whose output has their time of modification: it was made before."`
}

// work returns what is common to all modes.
func (f *messageFlags) work(s *streams, mode envelope.Mode, rings []materials.Keyring, cfg esdk.Config, jobs int) (*envelope.Work, error) {
	if len(rings) == 0 {
		return nil, &usageError{errors.New("no key is given"), "give --wrapping-keys, or a raw key"}
	}
	manager, err := f.manager(rings, mode == envelope.Encrypt)
	if err != nil {
		return nil, err
	}
	cfg.Policy = policies[f.Policy]
	cfg.MaxEncryptedDataKeys = f.MaxKeys
	cfg.Workers = max(1, runtime.GOMAXPROCS(0)/jobs)
	return &envelope.Work{Mode: mode, Client: esdk.New(cfg), Manager: manager, Decode: f.Decode, Stdin: s.in, Stdout: s.out}, nil
}

// manager returns what makes data keys, with the first keyring, or opens them.
func (f *messageFlags) manager(rings []materials.Keyring, encrypt bool) (materials.Manager, error) {
	generator, children := materials.Keyring(nil), rings
	if encrypt {
		generator, children = rings[0], rings[1:]
	}
	ring, err := keyring.NewMulti(generator, children...)
	if err != nil {
		return nil, err
	}
	if f.Caching == "" {
		return esdk.Using(ring), nil
	}
	cfg, err := parseCaching(f.Caching)
	if err != nil {
		return nil, &usageError{fmt.Errorf("--caching: %w", err), "for example: --caching capacity=10,max_age=60"}
	}
	cfg.Keyring = ring
	return materials.NewCachingManager(cfg)
}

func parseCaching(text string) (cfg materials.CachingConfig, err error) {
	seen := map[string]bool{}
	for param := range strings.FieldsFuncSeq(text, func(r rune) bool { return r == ',' || r == ' ' }) {
		name, value, _ := strings.Cut(param, "=")
		if seen[name] {
			return cfg, fmt.Errorf("%s is there twice", name)
		}
		seen[name] = true
		if name == "max_age" {
			seconds, err := strconv.ParseFloat(value, 64)
			if err != nil || !(seconds > 0 && seconds <= 1e9) {
				return cfg, fmt.Errorf("max_age is a number of seconds above 0, not %q", value)
			}
			cfg.MaxAge = time.Duration(seconds * float64(time.Second))
			continue
		}
		n, err := strconv.ParseInt(value, 10, 64)
		if err != nil || n < 1 {
			return cfg, fmt.Errorf("%s is a whole number above 0, not %q", name, value)
		}
		switch name {
		case "capacity":
			if n > 1<<20 {
				return cfg, fmt.Errorf("a capacity of %d is more than %d", n, 1<<20)
			}
			cfg.Cache = materials.NewLocalCache(int(n))
		case "max_messages_encrypted":
			cfg.MaxMessages = n
		case "max_bytes_encrypted":
			cfg.MaxBytes = n
		default:
			return cfg, fmt.Errorf("unknown parameter %q", name)
		}
	}
	if !seen["capacity"] || !seen["max_age"] {
		return cfg, errors.New("capacity and max_age are needed")
	}
	return cfg, nil
}

// pairs parses the encryption context. Where bare keys are allowed they come
// apart.
func (f *messageFlags) pairs(bareAllowed bool) (pairs map[string]string, bare []string, err error) {
	pairs = map[string]string{}
	for _, text := range f.Context {
		key, value, ok := strings.Cut(text, "=")
		switch _, twice := pairs[key]; {
		case key == "", !ok && !bareAllowed:
			return nil, nil, &usageError{fmt.Errorf("--encryption-context: %q is not KEY=VALUE", text), ""}
		case twice:
			return nil, nil, &usageError{fmt.Errorf("--encryption-context: %s is there twice", key), ""}
		case !ok:
			bare = append(bare, key)
		default:
			pairs[key] = value
		}
	}
	for _, key := range f.Required {
		if _, ok := pairs[key]; !ok {
			return nil, nil, &usageError{fmt.Errorf("--required-encryption-context-keys: %s has no value", key), "give it one with --encryption-context " + key + "=VALUE"}
		}
	}
	return pairs, bare, nil
}

func (f *runFlags) jobs() (int, error) {
	if f.Jobs < 0 {
		return 0, &usageError{errors.New("--jobs is 1 or more"), ""}
	}
	if f.Jobs == 0 {
		return runtime.GOMAXPROCS(0), nil
	}
	return f.Jobs, nil
}

// apply puts the flags into the work, and checks what does not go together.
func (f *outputFlags) apply(s *streams, w *envelope.Work, run *runFlags) error {
	w.Encode, w.KeepOutputs, w.Resume = f.Encode, !f.Overwrite, f.Resume
	if f.Output == envelope.Stdio {
		if run.JSON || run.Metadata == envelope.Stdio {
			return &usageError{errors.New("stdout is the output, and cannot take --json or --metadata-output - too"), "name a file with --output or --metadata-output"}
		}
		if (w.Mode == envelope.Encrypt || w.Mode == envelope.Rekey) && !f.Encode && term.IsTerminal(int(s.outFile.Fd())) {
			return &usageError{errors.New("a message is not for a terminal"), "give --encode, name a file, or send it through a pipe"}
		}
	}
	if f.Interactive {
		if slices.Contains(f.Input, envelope.Stdio) {
			return &usageError{errors.New("stdin is the input, and cannot answer --interactive"), ""}
		}
		w.Confirm = confirmer(s)
	}
	return nil
}

// confirmer asks on stderr, one question at a time, and takes all but yes for no.
func confirmer(s *streams) func(string) (bool, error) {
	var mu sync.Mutex
	answers := bufio.NewReader(s.in)
	return func(path string) (bool, error) {
		mu.Lock()
		defer mu.Unlock()
		fmt.Fprintf(s.err, "keywright: replace %s? [y/N] ", path)
		line, err := answers.ReadString('\n')
		if err != nil && !errors.Is(err, io.EOF) {
			return false, err
		}
		answer := strings.ToLower(strings.TrimSpace(line))
		return answer == "y" || answer == "yes", nil
	}
}

// run does all files and returns the exit code as an error.
func (f *runFlags) run(ctx context.Context, s *streams, w *envelope.Work, selection *envelope.Selection, jobs int) (err error) {
	plan, err := selection.Plan()
	if e, ok := errors.AsType[*envelope.ArgumentError](err); ok {
		return &usageError{e, e.Hint}
	}
	if err != nil {
		return err
	}
	metadata, err := f.openMetadata(s, w, selection)
	if err != nil {
		return err
	}
	t := &tally{flags: f, s: s, work: w, metadata: metadata, files: len(plan.Files)}
	if !f.Quiet && !f.JSON && w.Confirm == nil {
		total := plan.Bytes
		if w.DecryptOptions.VerifyFirst {
			total *= 2
		}
		t.bar = newBytesBar(s, w.Mode, total)
		w.Progress = t.bar.add
	}
	err = w.Run(ctx, plan, jobs, t.add)
	t.bar.clear()
	if t.interrupted > 0 {
		fmt.Fprintf(s.err, "keywright: interrupted: %d of %d not done\n", t.interrupted, t.files)
		if t.files > 1 && w.Mode != envelope.Verify {
			fmt.Fprintln(s.err, "hint: go on with --resume")
		}
	}
	if !f.Quiet {
		for _, path := range plan.Passed {
			fmt.Fprintf(s.err, "keywright: %s: passed over\n", printable(path))
		}
		t.summary()
	}
	if metadata != nil {
		t.err = errors.Join(t.err, metadata.Close())
	}
	if err = errors.Join(err, t.err); err != nil {
		return err
	}
	if t.failed > 0 && t.files > 1 {
		return exitCode(exitSome)
	}
	if t.failed > 0 {
		return exitCode(t.code)
	}
	return nil
}

// openMetadata opens the file that metadata goes to; nil if there is none.
func (f *runFlags) openMetadata(s *streams, w *envelope.Work, selection *envelope.Selection) (io.WriteCloser, error) {
	switch f.Metadata {
	case "":
		if f.Overwrite {
			return nil, &usageError{errors.New("--overwrite-metadata needs --metadata-output"), ""}
		}
		return nil, nil
	case envelope.Stdio:
		if f.JSON {
			return nil, &usageError{errors.New("stdout cannot take both --json and --metadata-output -"), ""}
		}
		w.KeepHeaders = true
		return nopCloser{s.out}, nil
	}
	for _, path := range append([]string{selection.Output}, selection.Inputs...) {
		if within(f.Metadata, path) {
			return nil, &usageError{fmt.Errorf("the metadata %s is the input or output %s, or in it", f.Metadata, path), "name a file elsewhere"}
		}
	}
	flag := os.O_WRONLY | os.O_CREATE | os.O_APPEND
	if f.Overwrite {
		flag |= os.O_TRUNC
	}
	w.KeepHeaders = true
	return os.OpenFile(f.Metadata, flag, 0o600)
}

// within tells whether path is of the file or directory place, or in it.
func within(path, place string) bool {
	if place == "" || place == envelope.Stdio {
		return false
	}
	real, err := filepath.EvalSymlinks(filepath.Dir(path))
	if err != nil {
		return false // and opening it will fail
	}
	if placeReal, err := filepath.EvalSymlinks(place); err == nil {
		place = placeReal
	}
	real, err1 := filepath.Abs(filepath.Join(real, filepath.Base(path)))
	place, err2 := filepath.Abs(place)
	if err1 != nil || err2 != nil {
		return false
	}
	rel, err := filepath.Rel(place, real)
	return err == nil && (rel == "." || filepath.IsLocal(rel))
}

type nopCloser struct{ io.Writer }

func (nopCloser) Close() error { return nil }

// algorithm looks a suite up by its name.
func algorithm(name string) (suite.ID, error) {
	var names []string
	for _, s := range suite.All() {
		if s.Name == name {
			return s.ID, nil
		}
		names = append(names, s.Name)
	}
	return 0, &usageError{fmt.Errorf("--algorithm: unknown algorithm suite %q", name), "there are " + strings.Join(names, ", ")}
}

package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/keywright/keywright/esdk"
	"github.com/keywright/keywright/internal/awsencryptioncli"
	"github.com/keywright/keywright/internal/envelope"
)

// Under the name of aws-encryption-cli what people read follows that program's
// rules: its words and log lines where a script may look for them, its exit
// codes, and errors that begin with its name.

type oldCLICmd struct {
	Args []string `arg:"" optional:"" help:"Arguments of aws-encryption-cli."`
}

// Arguments returns the arguments for Main in a process's argv. A program that is
// called aws-encryption-cli is that command.
func Arguments(argv []string) []string {
	if len(argv) == 0 {
		return nil
	}
	if strings.TrimSuffix(filepath.Base(argv[0]), ".exe") == awsencryptioncli.Name {
		return append([]string{awsencryptioncli.Name}, argv[1:]...)
	}
	return argv[1:]
}

// Run does what a command line of aws-encryption-cli asks for.
func (c *oldCLICmd) Run(ctx context.Context, s *streams) error {
	o, err := awsencryptioncli.Parse(c.Args, awsencryptioncli.System())
	if usage, ok := errors.AsType[*awsencryptioncli.UsageError](err); ok {
		fmt.Fprintf(s.err, "%s%s: error: %s\n", awsencryptioncli.Usage, awsencryptioncli.Name, usage.Message)
		return exitCode(exitUsage)
	}
	if err == nil {
		switch o.Action {
		case awsencryptioncli.ShowHelp:
			_, err = io.WriteString(s.out, awsencryptioncli.Help)
		case awsencryptioncli.ShowVersion:
			_, err = fmt.Fprintf(s.out, "aws-encryption-sdk-cli/%s aws-encryption-sdk/%s keywright/%s\n", awsencryptioncli.Version, awsencryptioncli.SDKVersion, thisBuild().Version)
		default:
			err = newOldRun(o, s).run(ctx)
		}
	}
	if err != nil {
		if _, ok := errors.AsType[exitCode](err); !ok {
			oldReport(s.err, err)
		}
		return exitCode(exitFailed)
	}
	return nil
}

// oldError is an error in the words of aws-encryption-cli, which stand alone.
type oldError string

func (e oldError) Error() string { return string(e) }

// oldReport prints an error and what to do about it.
func oldReport(w io.Writer, err error) {
	if e, ok := errors.AsType[oldError](err); ok {
		fmt.Fprintln(w, printable(string(e)))
	} else {
		fmt.Fprintf(w, "%s: %s\n", awsencryptioncli.Name, errorText(err))
	}
	var h interface{ Hint() string }
	if errors.As(err, &h) && h.Hint() != "" {
		fmt.Fprintf(w, "hint: %s\n", h.Hint())
	}
}

// oldRun is one run of aws-encryption-cli.
type oldRun struct {
	o        *awsencryptioncli.Options
	s        *streams
	log      *oldLog
	asker    func(question string) (string, error)
	work     *envelope.Work
	metadata *oldMetadata

	failed, interrupted int
}

func newOldRun(o *awsencryptioncli.Options, s *streams) *oldRun {
	return &oldRun{o: o, s: s, log: newOldLog(s.err, o.Verbosity, o.Quiet), asker: newAsker(s)}
}

func (r *oldRun) run(ctx context.Context) (err error) {
	r.log.debug("Encryption mode: %s", r.o.Action)
	r.log.debug("Encryption source: %s", r.o.Input)
	r.log.debug("Encryption destination: %s", r.o.Output)
	jobs := runtime.GOMAXPROCS(0)
	if r.o.Interactive || r.o.Input == envelope.Stdio {
		jobs = 1
	}
	if err := r.prepare(ctx, jobs); err != nil {
		return err
	}
	plan, err := r.plan()
	if err != nil {
		return err
	}
	if r.metadata, err = r.openMetadata(); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.metadata.close()) }()

	var held bytes.Buffer
	if r.o.Buffer && r.work.Mode == envelope.Encrypt && r.o.Output == envelope.Stdio {
		r.work.Stdout = &held
	}
	if err := r.work.Run(ctx, plan, jobs, r.tell); err != nil {
		return err
	}
	if r.interrupted > 0 {
		return fmt.Errorf("interrupted: %d of %d not done", r.interrupted, len(plan.Files))
	}
	if r.failed > 0 {
		return exitCode(exitFailed)
	}
	_, err = held.WriteTo(r.s.out)
	return err
}

// prepare fills in what is done to each file.
func (r *oldRun) prepare(ctx context.Context, jobs int) error {
	mode, cfg, err := r.config()
	if err != nil {
		return err
	}
	rings, err := r.keyrings(ctx)
	if err != nil {
		return err
	}
	flags := messageFlags{Policy: r.o.CommitmentPolicy, Caching: oldCaching(r.o.Caching), Decode: r.o.Decode}
	if n := r.o.MaxEncryptedDataKeys; n != nil {
		if *n < 1 {
			return oldError("max_encrypted_data_keys cannot be less than 1")
		}
		flags.MaxKeys = uint16(min(*n, math.MaxUint16))
	}
	w, err := flags.work(r.s, mode, rings, cfg, jobs)
	if err != nil {
		return err
	}
	w.Encode, w.KeepOutputs, w.Confirm = r.o.Encode, r.o.NoOverwrite, r.replace
	if mode == envelope.Encrypt {
		w.EncryptOptions.EncryptionContext = r.o.EncryptionContext
	} else {
		w.Manager = envelope.Expecting(envelope.Expectation{Pairs: r.o.EncryptionContext, Present: r.o.RequiredKeys}, w.Manager)
		w.DecryptOptions = esdk.DecryptOptions{UnsignedOnly: r.o.Action == awsencryptioncli.DecryptUnsigned}
		if r.o.Buffer {
			w.DecryptOptions.VerifyFirst, w.DecryptOptions.VerifyBuffer = true, math.MaxInt64
		}
	}
	r.work = w
	return nil
}

// config says how messages are. As there, what is for the other direction is
// passed over, but for --max-length, which is not taken to encrypt, and frames
// that are read may be as long as they like where it is not given.
func (r *oldRun) config() (mode envelope.Mode, cfg esdk.Config, err error) {
	if r.o.Action != awsencryptioncli.Encrypt {
		cfg.MaxFrameLength = math.MaxInt32
		if n := r.o.MaxLength; n != nil {
			if *n < 1 {
				return 0, cfg, errors.New("--max-length is 1 or more")
			}
			cfg.MaxFrameLength = uint32(min(*n, math.MaxInt32))
		}
		return envelope.Decrypt, cfg, nil
	}
	if r.o.MaxLength != nil {
		return 0, cfg, errors.New("--max-length is for decrypting")
	}
	if n := r.o.FrameLength; n != nil {
		if *n == 0 {
			return 0, cfg, hinted{errors.New("--frame-length 0 would write a message without frames, which the specification forbids"), "leave it out, or give a length"}
		}
		if *n < 0 || *n > math.MaxInt32 {
			return 0, cfg, errors.New("--frame-length is 1 to 2147483647")
		}
		cfg.FrameLength = uint32(*n)
	}
	if r.o.Algorithm != "" {
		if cfg.Suite, err = algorithm(r.o.Algorithm); err != nil {
			return 0, cfg, err
		}
	}
	return envelope.Encrypt, cfg, nil
}

// tell tells of one file. Those of another encryption context are skipped.
func (r *oldRun) tell(result envelope.Result) {
	if err := r.metadata.write(r.work, result); err != nil {
		r.failed++
		oldReport(r.s.err, fmt.Errorf("writing the metadata: %w", err))
	}
	name := printable(result.Input)
	if name == envelope.Stdio {
		name = "stdin"
	}
	_, mismatch := errors.AsType[*envelope.ContextError](result.Err)
	switch {
	case result.Status == envelope.Done:
		r.log.info("%sed %s to %s", [...]string{envelope.Encrypt: "encrypt", envelope.Decrypt: "decrypt"}[r.work.Mode], name, result.Output)
	case result.Status == envelope.Skipped && r.o.NoOverwrite:
		r.log.warning(`Skipping existing output file because of "no overwrite" option: %s`, result.Output)
	case result.Status == envelope.Skipped:
		r.log.warning("Skipping existing output file based on interactive user decision: %s", result.Output)
	case mismatch:
		r.log.warning("Skipping decrypt because discovered encryption context did not match required elements. (%s)", name)
	case errors.Is(result.Err, context.Canceled): // told of once, at the end
		r.interrupted++
	default:
		r.failed++
		oldReport(r.s.err, fileFailure{fmt.Errorf("%s: %s", name, errorText(result.Err)), oldHint(result.Err)})
	}
}

func oldHint(err error) string {
	if errors.Is(err, esdk.ErrTooLarge) {
		return "a larger --max-length may allow it"
	}
	return hintFor(err)
}

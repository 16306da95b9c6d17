// Package cli is the keywright command: it turns flags, the environment and the
// configuration file into calls of internal/server, and what comes back into
// text for people or JSON for scripts. It decides nothing about keys.
//
// What people read follows these rules. Results go to stdout, all else to
// stderr. An error is one line that begins with "keywright: ", in lower case and
// without a full stop; what to do about it stands on a line of its own that
// begins with "hint: ". There are no colours. Exit codes: 0 for success, 1 for
// a failure, 2 for a command line or configuration that cannot be meant.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kong"

	"github.com/keywright/keywright/internal/server"
)

// The exit codes of every command but exec, which has its command's own. Those of
// the envelope commands alone are in outcome.go.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2
)

// commands is the grammar of the command line.
type commands struct {
	Server     serverCmd     `cmd:"" help:"Run the server."`
	Exec       execCmd       `cmd:"" help:"Run a command against a server."`
	Env        envCmd        `cmd:"" help:"Print the environment for a running server."`
	Status     statusCmd     `cmd:"" help:"Tell how a server is."`
	Backup     backupCmd     `cmd:"" help:"Back the store up, while the server serves."`
	Restore    restoreCmd    `cmd:"" help:"Make a data folder from a backup."`
	Seal       sealCmd       `cmd:"" help:"Manage what opens the store."`
	Account    accountCmd    `cmd:"" help:"Manage accounts and their access keys."`
	Audit      auditCmd      `cmd:"" help:"Verify and read the audit log."`
	Clock      clockCmd      `cmd:"" help:"Ask about the clock, or confirm it."`
	Store      storeCmd      `cmd:"" help:"Check the store."`
	Encrypt    encryptCmd    `cmd:"" help:"Encrypt files in the AWS Encryption SDK's format."`
	Decrypt    decryptCmd    `cmd:"" help:"Decrypt files in the AWS Encryption SDK's format."`
	Rekey      rekeyCmd      `cmd:"" help:"Give encrypted files new encrypted data keys."`
	Inspect    inspectCmd    `cmd:"" help:"Print the header of an encrypted file, without a key."`
	Verify     verifyCmd     `cmd:"" help:"Verify encrypted files: decrypt them to nowhere."`
	OldCLI     oldCLICmd     `cmd:"" name:"aws-encryption-cli" passthrough:"" help:"Do what a command line of aws-encryption-cli 4.3 asks for."`
	Version    versionCmd    `cmd:"" help:"Print the version."`
	Completion completionCmd `cmd:"" help:"Print a completion script for a shell."`
}

// streams are what a command reads and writes.
type streams struct {
	in       *os.File
	out, err io.Writer
	outFile  *os.File // what out is, for asking whether it is a terminal
}

// Main runs the command that args name and returns its exit code.
func Main(args []string, stdin, stdout, stderr *os.File) int {
	s := &streams{in: stdin, out: stdout, err: stderr, outFile: stdout}
	err := run(args, s)
	if err == nil {
		return exitOK
	}
	if code, ok := errors.AsType[exitCode](err); ok {
		return int(code)
	}
	report(s.err, err)
	if _, ok := errors.AsType[*usageError](err); ok {
		return exitUsage
	}
	return exitFailed
}

func run(args []string, s *streams) (err error) {
	parser, err := newParserFor(new(commands), s)
	if err != nil {
		return err
	}
	defer func() {
		if r := recover(); r != nil {
			code, ok := r.(exitCode)
			if !ok {
				panic(r)
			}
			if err = code; code == exitOK {
				err = nil
			}
		}
	}()
	if len(args) == 0 {
		args = []string{"--help"}
	}
	parsed, err := parser.Parse(args)
	if err != nil {
		hint := usageHint(err)
		if e, ok := errors.AsType[*fileError](err); ok {
			err = e // kong names the flag it was looking up, which tells nothing
		}
		return &usageError{err: err, hint: hint}
	}
	// A command ends at the first signal; at the second the process does.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop)
	parsed.BindTo(ctx, (*context.Context)(nil))
	return parsed.Run(s, parser)
}

// newParserFor returns a parser that fills in root.
func newParserFor(root *commands, s *streams) (*kong.Kong, error) {
	return kong.New(root,
		kong.Name("keywright"),
		kong.Description("A key management service that speaks the AWS KMS API."),
		kong.Writers(s.out, s.err),
		kong.Vars{"default_listen": server.DefaultListen, "default_operator_listen": server.DefaultOperatorListen},
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, WrapUpperBound: 100}),
		kong.Resolvers(new(settings)),
		// Help ends here: kong wants Exit not to return.
		kong.Exit(func(code int) { panic(exitCode(code)) }),
	)
}

// exitCode ends a command with a code of its own and without a message.
type exitCode int

func (c exitCode) Error() string { return fmt.Sprintf("exit code %d", int(c)) }

// usageError is a command line or configuration that cannot be meant.
type usageError struct {
	err  error
	hint string
}

func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) Unwrap() error { return e.err }
func (e *usageError) Hint() string  { return e.hint }

func usageHint(err error) string {
	if e, ok := errors.AsType[*kong.ParseError](err); ok && e.Context != nil {
		if node := e.Context.Selected(); node != nil {
			return "keywright " + node.FullPath()[len("keywright "):] + " --help shows how it is used"
		}
	}
	return "keywright --help shows the commands"
}

// hinted is an error that knows what to do about it.
type hinted struct {
	error
	hint string
}

func (e hinted) Unwrap() error { return e.error }
func (e hinted) Hint() string  { return e.hint }

// report prints an error and what to do about it.
func report(w io.Writer, err error) {
	fmt.Fprintf(w, "keywright: %v\n", err)
	var h interface{ Hint() string }
	if errors.As(err, &h) && h.Hint() != "" {
		fmt.Fprintf(w, "hint: %s\n", h.Hint())
	}
}

package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"strings"
	"sync"
	"syscall"

	"golang.org/x/term"

	"github.com/keywright/keywright/internal/server"
)

type execCmd struct {
	Dev      bool   `help:"Start a development server in memory for the command. This is the default, but not with --decrypt-env." xor:"where"`
	Endpoint string `help:"Use the server at this URL." placeholder:"URL" xor:"where"`
	Data     string `help:"Use the server that runs on this data folder, with its credentials." placeholder:"DIR" xor:"where"`
	Seed     string `help:"JSON file of accounts, keys and aliases that the development server begins with." placeholder:"FILE"`
	Account  string `help:"Account of the development server. Default 000000000000." placeholder:"ID"`
	Region   string `help:"Region the command is to use. Default us-east-1; with --decrypt-env alone, the AWS configuration's." placeholder:"REGION"`
	secretFlags
	Command []string `arg:"" passthrough:"partial" help:"The command and its arguments, after --."`
}

// Help implements kong.HelpProvider.
func (c *execCmd) Help() string {
	return `The command finds the server through AWS's environment variables. What it was denied, and why, is printed when it has ended. The exit code is the command's; 128 and the signal's number where a signal ended it; 126 and 127 where it could not be started or found.

With --decrypt-env, values that begin with kms-ciphertext: (then the CiphertextBlob that aws kms encrypt --output text prints) or with esdk-message: (then what keywright encrypt --encode writes) are decrypted, all of them before the command starts, and in its environment alone. All others stay as they are. If one cannot be decrypted the command is not started, and the exit code is 125. The service is the one that --data, --endpoint or --dev gives the command; without them no server is started, the AWS configuration says where it is, and the rest of the environment is left alone. Encrypt each value with its variable's name in the encryption context, and give --bind-names: a value that was moved to another variable is then refused.

Examples:

    keywright exec -- aws kms create-key
    keywright exec --seed keys.json -- go test ./...
    keywright exec --data /var/lib/keywright -- terraform apply
    DB_PASSWORD=kms-ciphertext:AQICAHh... keywright exec --decrypt-env --bind-names variable -- ./app
    keywright exec --decrypt-env -w discovery=true,discovery-account=111122223333,discovery-partition=aws -c stage=prod -- ./app`
}

// The exit codes of shells for a command that cannot be run, and that of env and
// timeout for what they failed at themselves.
const (
	exitNotDecrypted = 125
	exitNotStarted   = 126
	exitNotFound     = 127
)

// Run runs the command with a server's environment.
func (c *execCmd) Run(ctx context.Context, s *streams) error {
	command := c.Command
	if len(command) > 0 && command[0] == "--" {
		command = command[1:]
	}
	if len(command) == 0 {
		return &usageError{err: errors.New("no command was given"), hint: "write it after --, as in `keywright exec -- aws kms list-keys`"}
	}
	if (c.Seed != "" || c.Account != "") && (c.Endpoint != "" || c.Data != "") {
		return &usageError{err: errors.New("--seed and --account are for the development server that exec starts"), hint: "leave out --endpoint and --data, or seed the server with its own --seed"}
	}
	if err := c.secretFlags.check(); err != nil {
		return err
	}
	if c.withoutServer() {
		environ := os.Environ()
		if c.Region != "" {
			environ = withVariables(environ, []variable{set("AWS_REGION", c.Region), set("AWS_DEFAULT_REGION", c.Region)})
		}
		environ, err := c.decrypt(ctx, s, environ)
		if err != nil {
			return err
		}
		return runInPlace(s, command, environ)
	}
	env, err := c.environment(ctx, s)
	if err != nil {
		return err
	}
	defer env.close()
	environ := childEnvironment(os.Environ(), env.vars)
	if c.DecryptEnv {
		if environ, err = c.decrypt(ctx, s, environ); err != nil {
			return err
		}
	}
	err = runCommand(s, command, environ)
	if closeErr := env.close(); err == nil {
		err = closeErr
	}
	env.denials.print(s.err)
	return err
}

// withoutServer tells whether the service is none of ours to choose.
func (c *execCmd) withoutServer() bool {
	return c.DecryptEnv && !c.Dev && c.Endpoint == "" && c.Data == "" && c.Seed == "" && c.Account == ""
}

// execEnvironment is what a command runs with.
type execEnvironment struct {
	vars    []variable
	denials *denialLog
	close   func() error
}

func (c *execCmd) environment(ctx context.Context, s *streams) (*execEnvironment, error) {
	env := &execEnvironment{denials: new(denialLog), close: func() error { return nil }}
	region := regionOr(c.Region)
	switch {
	case c.Data != "":
		status, err := runningServer(ctx, c.Data)
		if err != nil {
			return nil, err
		}
		env.vars = statusEnvironment(status)
	case c.Endpoint != "":
		env.vars = endpointEnvironment(c.Endpoint, region)
	default:
		srv, err := server.Start(ctx, server.Config{
			Dev: true, Listen: "127.0.0.1:0", Seed: c.Seed, Account: c.Account, Denied: env.denials.add,
		}, slog.New(slog.NewTextHandler(s.err, &slog.HandlerOptions{Level: slog.LevelWarn})))
		if err != nil {
			return nil, startError(err)
		}
		for _, line := range srv.Seeded() {
			fmt.Fprintf(s.err, "keywright: seed: %s\n", line)
		}
		env.close = sync.OnceValue(func() error { return srv.Close(context.WithoutCancel(ctx)) })
		env.vars = append(devCredentials(), clientEnvironment(srv.Endpoint(), region)...)
	}
	return env, nil
}

// runCommand runs a command to its end and returns its exit code as an error.
// The signals that this process gets are passed on; the command decides what
// they mean.
func runCommand(s *streams, command, environ []string) error {
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, forwarded...)
	defer signal.Stop(signals)

	cmd := exec.Command(command[0], command[1:]...)
	cmd.Env = environ
	cmd.Stdin, cmd.Stdout, cmd.Stderr = s.in, s.out, s.err
	if err := cmd.Start(); err != nil {
		return notStarted(s, command, err)
	}
	done := make(chan struct{})
	defer close(done)
	// A terminal sends its signals to the command, too.
	terminal := term.IsTerminal(int(s.in.Fd()))
	go func() {
		for {
			select {
			case sig := <-signals:
				if !terminal || sig != os.Interrupt && sig != syscall.SIGQUIT {
					cmd.Process.Signal(sig)
				}
			case <-done:
				return
			}
		}
	}()
	err := cmd.Wait()
	exit, ok := errors.AsType[*exec.ExitError](err)
	if !ok {
		return err
	}
	if status, ok := exit.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return exitCode(128 + int(status.Signal()))
	}
	return exitCode(exit.ExitCode())
}

// notStarted tells why a command did not start, and returns the exit code for it.
func notStarted(s *streams, command []string, err error) error {
	report(s.err, fmt.Errorf("running %s: %w", command[0], err))
	if errors.Is(err, exec.ErrNotFound) || errors.Is(err, fs.ErrNotExist) {
		return exitCode(exitNotFound)
	}
	return exitCode(exitNotStarted)
}

// childEnvironment is environ with vars in place of what would contradict them.
func childEnvironment(environ []string, vars []variable) []string {
	env := withVariables(environ, append(slices.Clone(misleading), vars...))
	return append(env, withoutProxy(environ)...)
}

// withVariables is environ with vars, and no other entries of their names.
func withVariables(environ []string, vars []variable) []string {
	env := slices.DeleteFunc(slices.Clone(environ), func(entry string) bool {
		name, _, _ := strings.Cut(entry, "=")
		return slices.ContainsFunc(vars, func(v variable) bool { return v.name == name })
	})
	for _, v := range vars {
		if !v.unset {
			env = append(env, v.name+"="+v.value)
		}
	}
	return env
}

// withoutProxy keeps a proxy that is set for the world from being asked for this
// machine: some SDKs would.
func withoutProxy(environ []string) []string {
	var env []string
	for _, name := range []string{"NO_PROXY", "no_proxy"} {
		hosts := "127.0.0.1,localhost"
		for _, entry := range environ {
			if old, ok := strings.CutPrefix(entry, name+"="); ok && old != "" {
				hosts = old + "," + hosts
			}
		}
		env = append(env, name+"="+hosts) // of two entries of a name the last counts
	}
	return env
}

// denialLog collects the calls that were denied.
type denialLog struct {
	mu     sync.Mutex
	counts map[server.Denial]int
	order  []server.Denial
}

func (d *denialLog) add(denial server.Denial) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.counts == nil {
		d.counts = map[server.Denial]int{}
	}
	if d.counts[denial]++; d.counts[denial] == 1 {
		d.order = append(d.order, denial)
	}
}

// print writes a line for each call that was denied, in the order they came; the
// same one again counts.
func (d *denialLog) print(w io.Writer) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, denial := range d.order {
		times := ""
		if n := d.counts[denial]; n > 1 {
			times = fmt.Sprintf(" (%d times)", n)
		}
		fmt.Fprintf(w, "keywright: denied %s:%s%s: %s\n", denial.Service, denial.Operation, times, denial.Reason)
	}
}

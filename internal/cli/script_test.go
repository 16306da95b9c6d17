package cli_test

import (
	"context"
	"encoding/base64"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/keywright/keywright/internal/cli"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"keywright": func() { os.Exit(cli.Main(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) },
		"kms":       func() { os.Exit(kmsMain(os.Args[1:])) },
	})
}

// skipProcesses skips a test of very many processes where time is short. Under
// the race detector each takes long to start, and what is concurrent in them is
// tested under it in the packages below.
func skipProcesses(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("starts hundreds of processes; runs without -short")
	}
}

// TestScripts runs the scripts in testdata. In them are, beside keywright, kms,
// a client that finds its server as AWS's tools do, and the commands below.
func TestScripts(t *testing.T) {
	skipProcesses(t)
	testscript.Run(t, testscript.Params{
		Dir: "testdata",
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"await":    await,
			"flip":     flip,
			"freeport": freePort,
			"setline":  setLine,
			"setword":  setWord,
			"term":     term,
		},
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
	})
}

// await waits until a file exists, or with ! is gone.
func await(ts *testscript.TestScript, neg bool, args []string) {
	for range 3000 {
		if _, err := os.Stat(ts.MkAbs(args[0])); (err != nil) == neg {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	ts.Fatalf("waiting for %s took too long", args[0])
}

// term sends SIGTERM to all commands in the background.
func term(ts *testscript.TestScript, _ bool, _ []string) {
	for _, cmd := range ts.BackgroundCmds() {
		ts.Check(cmd.Process.Signal(syscall.SIGTERM))
	}
}

// freePort sets the variable to an address that nobody listens on.
func freePort(ts *testscript.TestScript, _ bool, args []string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	ts.Check(err)
	ts.Setenv(args[0], l.Addr().String())
	ts.Check(l.Close())
}

// setLine sets a variable to the first line of a file that begins with a prefix,
// without its spaces.
func setLine(ts *testscript.TestScript, _ bool, args []string) {
	for line := range strings.Lines(ts.ReadFile(args[1])) {
		if line = strings.TrimSpace(line); strings.HasPrefix(line, args[2]) {
			ts.Setenv(args[0], line)
			return
		}
	}
	ts.Fatalf("%s has no line that begins with %q", args[1], args[2])
}

// setWord sets a variable to the first word of a file.
func setWord(ts *testscript.TestScript, _ bool, args []string) {
	words := strings.Fields(ts.ReadFile(args[1]))
	if len(words) == 0 {
		ts.Fatalf("%s is empty", args[1])
	}
	ts.Setenv(args[0], words[0])
}

// flip changes one bit of the byte of a file at an offset.
func flip(ts *testscript.TestScript, _ bool, args []string) {
	path := ts.MkAbs(args[0])
	at, err := strconv.Atoi(args[1])
	ts.Check(err)
	text, err := os.ReadFile(path)
	ts.Check(err)
	text[at] ^= 1
	ts.Check(os.WriteFile(path, text, 0o600))
}

// startKeywright runs this test binary as keywright; stop ends it with SIGTERM and
// holds that it exits with 0.
func startKeywright(t *testing.T, args ...string) (stop func()) {
	t.Helper()
	cmd := exec.Command("keywright", args...) // testscript.Main put it on PATH
	cmd.Stderr = t.Output()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill() })
	return func() {
		if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
			t.Error(err)
		}
		if err := cmd.Wait(); err != nil {
			t.Errorf("after SIGTERM: %v", err)
		}
	}
}

// kmsMain is a small client of the API.
func kmsMain(args []string) int {
	ctx := context.Background()
	cfg, err := config.LoadDefaultConfig(ctx, config.WithRetryMaxAttempts(1))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	out, err := kmsCommand(ctx, kms.NewFromConfig(cfg), args)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	fmt.Println(out)
	return 0
}

func kmsCommand(ctx context.Context, c *kms.Client, args []string) (string, error) {
	switch args[0] {
	case "create-key":
		out, err := c.CreateKey(ctx, &kms.CreateKeyInput{})
		if err != nil {
			return "", err
		}
		return *out.KeyMetadata.KeyId, nil
	case "create-alias":
		_, err := c.CreateAlias(ctx, &kms.CreateAliasInput{AliasName: &args[1], TargetKeyId: &args[2]})
		return "ok", err
	case "describe-key":
		out, err := c.DescribeKey(ctx, &kms.DescribeKeyInput{KeyId: &args[1]})
		if err != nil {
			return "", err
		}
		m := out.KeyMetadata
		return fmt.Sprintf("%s %s %s", *m.Arn, m.KeyState, *m.Description), nil
	case "encrypt":
		out, err := c.Encrypt(ctx, &kms.EncryptInput{KeyId: &args[1], Plaintext: []byte(args[2])})
		if err != nil {
			return "", err
		}
		return base64.StdEncoding.EncodeToString(out.CiphertextBlob), nil
	case "decrypt":
		text, err := os.ReadFile(args[1])
		if err != nil {
			return "", err
		}
		blob, err := base64.StdEncoding.DecodeString(strings.TrimSpace(string(text)))
		if err != nil {
			return "", err
		}
		out, err := c.Decrypt(ctx, &kms.DecryptInput{CiphertextBlob: blob, EncryptionAlgorithm: types.EncryptionAlgorithmSpecSymmetricDefault})
		if err != nil {
			return "", err
		}
		return string(out.Plaintext), nil
	case "get-key-policy":
		out, err := c.GetKeyPolicy(ctx, &kms.GetKeyPolicyInput{KeyId: &args[1]})
		if err != nil {
			return "", err
		}
		return *out.Policy, nil
	case "list-tags":
		out, err := c.ListResourceTags(ctx, &kms.ListResourceTagsInput{KeyId: &args[1]})
		if err != nil {
			return "", err
		}
		var b strings.Builder
		for _, t := range out.Tags {
			fmt.Fprintf(&b, "%s=%s ", *t.TagKey, *t.TagValue)
		}
		return b.String(), nil
	}
	return "", fmt.Errorf("no command %q", args[0])
}

// TestFirstEncrypt prints how long a development server takes from the start of
// its process to the answer of the first Encrypt. It judges nothing by it: the
// machine decides.
func TestFirstEncrypt(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	l.Close()
	t.Setenv("AWS_ENDPOINT_URL", "http://"+addr)
	t.Setenv("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "x")
	t.Setenv("AWS_REGION", "us-east-1")
	t.Setenv("AWS_CONFIG_FILE", filepath.Join(t.TempDir(), "none"))
	cfg, err := config.LoadDefaultConfig(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	client := kms.NewFromConfig(cfg)

	start := time.Now()
	stop := startKeywright(t, "server", "--dev", "--listen", addr)
	for {
		resp, err := http.Get("http://" + addr + "/healthz")
		if err == nil {
			resp.Body.Close()
			break
		}
		if time.Since(start) > 30*time.Second {
			t.Fatal(err)
		}
		time.Sleep(time.Millisecond)
	}
	listening := time.Since(start)
	key, err := client.CreateKey(t.Context(), &kms.CreateKeyInput{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.Encrypt(t.Context(), &kms.EncryptInput{KeyId: key.KeyMetadata.KeyId, Plaintext: []byte("x")}); err != nil {
		t.Fatal(err)
	}
	t.Logf("listening after %v, first Encrypt answered after %v", listening, time.Since(start))
	stop()
}

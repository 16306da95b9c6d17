package cli_test

import (
	"bytes"
	"encoding/base64"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/keywright/keywright/kmstest"
)

// TestExecDecryptScripts runs the scripts in testdata/exec-decrypt. Each has a
// server and keys as those in testdata/envelope have, and two files with values
// that it encrypted: db-password, with KEY, and eu, with OTHER.
func TestExecDecryptScripts(t *testing.T) {
	skipProcesses(t)
	testscript.Run(t, testscript.Params{
		Dir:                 filepath.Join("testdata", "exec-decrypt"),
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(env *testscript.Env) error {
			srv, err := startWithKeys(env)
			if err != nil {
				return err
			}
			if err := writeValue(t, env, srv, "db-password", "us-east-1", env.Getenv("KEY"), "DB_PASSWORD"); err != nil {
				return err
			}
			return writeValue(t, env, srv, "eu", "eu-west-1", env.Getenv("OTHER"), "EU")
		},
	})
}

// A signal while a value is being decrypted ends keywright, and starts nothing.
func TestExecDecryptInterrupted(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	started := filepath.Join(t.TempDir(), "started")
	cmd := exec.Command("keywright", "exec", "--decrypt-env", "--", "touch", started) // testscript.Main put it on PATH
	cmd.Env = append(os.Environ(),
		"SECRET=kms-ciphertext:AQIC",
		"AWS_ENDPOINT_URL=http://"+l.Addr().String(), "AWS_REGION=us-east-1", "AWS_CONFIG_FILE="+os.DevNull,
		"AWS_ACCESS_KEY_ID=AKIAIOSFODNN7EXAMPLE", "AWS_SECRET_ACCESS_KEY=x", "AWS_PROFILE=", "NO_PROXY=127.0.0.1",
	)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if err := l.(*net.TCPListener).SetDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	conn, err := l.Accept() // and never an answer
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); cmd.ProcessState.ExitCode() != 125 {
		t.Errorf("it ended with %v", err)
	}
	if got, want := stderr.String(), "keywright: interrupted: the command was not started\n"; got != want {
		t.Errorf("it told %q, want %q", got, want)
	}
	if _, err := os.Stat(started); err == nil {
		t.Error("the command was started")
	}
}

// writeValue writes the value of a variable, bound to its name, to a file.
func writeValue(t *testing.T, env *testscript.Env, srv *kmstest.Server, file, region, key, variable string) error {
	client := kms.New(kms.Options{
		BaseEndpoint: &srv.Endpoint,
		Region:       region,
		Credentials:  credentials.NewStaticCredentialsProvider(srv.AccessKeyID, srv.SecretAccessKey, ""),
	})
	out, err := client.Encrypt(t.Context(), &kms.EncryptInput{
		KeyId:             aws.String(key),
		Plaintext:         []byte("correct horse"),
		EncryptionContext: map[string]string{"variable": variable},
	})
	if err != nil {
		return err
	}
	value := "kms-ciphertext:" + base64.StdEncoding.EncodeToString(out.CiphertextBlob) + "\n"
	return os.WriteFile(filepath.Join(env.WorkDir, file), []byte(value), 0o600)
}

package secretenv_test

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const boto3Encrypt = `
import base64, boto3, sys
endpoint, key, variable, plaintext = sys.argv[1:]
blob = boto3.client("kms", endpoint_url=endpoint).encrypt(
    KeyId=key, Plaintext=plaintext.encode(), EncryptionContext={"variable": variable})["CiphertextBlob"]
print("kms-ciphertext:" + base64.b64encode(blob).decode())
`

// What the AWS CLI prints goes into an environment as it is, as $(...) puts it
// there; so does base64 that boto3 users make, in one line or folded.
func TestOfficialClients(t *testing.T) {
	f := newFixture(t)
	f.NameKey = "variable"
	run := func(t *testing.T, name string, args ...string) string {
		t.Helper()
		cmd := exec.Command(name, args...)
		cmd.Env = f.server.Env()
		cmd.Stderr = t.Output()
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		return strings.TrimRight(string(out), "\n")
	}
	check := func(t *testing.T, value string) {
		t.Helper()
		got, err := f.Environ(t.Context(), []string{"DB_PASSWORD=" + value})
		if want := []string{"DB_PASSWORD=correct hörse"}; err != nil || !slices.Equal(got, want) {
			t.Errorf("%q, %v, want %q", got, err, want)
		}
		if _, err := f.Environ(t.Context(), []string{"MOTD=" + value}); err == nil {
			t.Error("it was decrypted as the value of another variable")
		}
	}
	t.Run("aws", func(t *testing.T) {
		if _, err := exec.LookPath("aws"); err != nil {
			t.Skip("the aws command is not installed")
		}
		check(t, "kms-ciphertext:"+run(t, "sh", "-c", `printf 'correct hörse' > "$3" && aws kms encrypt --endpoint-url "$1" --key-id "$2" \
			--plaintext "fileb://$3" --encryption-context variable=DB_PASSWORD --query CiphertextBlob --output text`,
			"sh", f.server.Endpoint, f.key, t.TempDir()+"/plaintext"))
	})
	t.Run("boto3", func(t *testing.T) {
		if exec.Command("python3", "-c", "import boto3").Run() != nil {
			t.Skip("python3 with the module boto3 is not installed")
		}
		value := run(t, "python3", "-c", boto3Encrypt, f.server.Endpoint, f.key, "DB_PASSWORD", "correct hörse")
		check(t, value)
		check(t, value[:60]+"\n"+value[60:])
	})
}

package kmstest_test

import (
	"encoding/base64"
	"errors"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"
	"github.com/aws/smithy-go"

	"github.com/keywright/keywright/kmstest"
)

func errorCode(err error) string {
	if e, ok := errors.AsType[smithy.APIError](err); ok {
		return e.ErrorCode()
	}
	return ""
}

func createKey(t *testing.T, client *kms.Client) *types.KeyMetadata {
	t.Helper()
	key, err := client.CreateKey(t.Context(), &kms.CreateKeyInput{})
	if err != nil {
		t.Fatal(err)
	}
	return key.KeyMetadata
}

func TestDefaults(t *testing.T) {
	t.Parallel()
	srv := kmstest.NewServer(t)
	if srv.Account != "111122223333" || srv.Region != "us-east-1" {
		t.Errorf("account %s and Region %s, want 111122223333 and us-east-1", srv.Account, srv.Region)
	}
	key := createKey(t, newClient(srv, srv.Credentials))
	if want := "arn:aws:kms:us-east-1:111122223333:key/" + *key.KeyId; *key.Arn != want {
		t.Errorf("key ARN %s, want %s", *key.Arn, want)
	}
}

func TestConfig(t *testing.T) {
	t.Parallel()
	srv := kmstest.NewServerConfig(t, kmstest.Config{Account: "444455556666", Region: "cn-north-1"})
	key := createKey(t, newClient(srv, srv.Credentials))
	if want := "arn:aws-cn:kms:cn-north-1:444455556666:key/" + *key.KeyId; *key.Arn != want {
		t.Errorf("key ARN %s, want %s", *key.Arn, want)
	}
	if _, err := kmstest.Start(kmstest.Config{Account: "12"}); err == nil {
		t.Error("an account id of two digits was taken")
	}
}

// A test that signs with a wrong secret must fail as it would on AWS.
// fixture is a ciphertext that an earlier server made with the key of
// testdata/seed.json and the encryption context purpose=fixture.
const fixture = "AQEZ32aQ5Ql1cy1lYXN0LTEBEjSrzRKrNM1W7xI0VniQq5vme731XK1KSasS8oEpDKnb08zG1nY/X4BXSP4YxFJchGHDyVNR6XMlcJiHORXQdUKu0fFyiVDzQNH14TEZUdcU+P7s4mnxjkSDPEFaLk8CeJgatu68kDA/cjm/GB5j3JjBfSj1SihgNxHnENfxzJslWqMavA=="

func TestSeed(t *testing.T) {
	t.Parallel()
	srv := kmstest.NewServerConfig(t, kmstest.Config{Seed: "testdata/seed.json"})
	blob, err := base64.StdEncoding.DecodeString(fixture)
	if err != nil {
		t.Fatal(err)
	}
	out, err := newClient(srv, srv.Credentials).Decrypt(t.Context(), &kms.DecryptInput{
		CiphertextBlob: blob, KeyId: aws.String("alias/fixture"), EncryptionContext: map[string]string{"purpose": "fixture"},
	})
	if err != nil || string(out.Plaintext) != "test data" {
		t.Errorf("got %v, %v", out, err)
	}
	if _, err := kmstest.Start(kmstest.Config{Seed: "testdata/absent.json"}); err == nil {
		t.Error("a seed file that is not there was taken")
	}
}

func TestSignaturesAreVerified(t *testing.T) {
	t.Parallel()
	srv := kmstest.NewServer(t)
	wrong := srv.Credentials
	wrong.SecretAccessKey = "x" + wrong.SecretAccessKey
	_, err := newClient(srv, wrong).ListKeys(t.Context(), &kms.ListKeysInput{})
	if got := errorCode(err); got != "InvalidSignatureException" {
		t.Errorf("error code %q for a wrong secret, want InvalidSignatureException (%v)", got, err)
	}
}

func TestAccountsAreSeparate(t *testing.T) {
	t.Parallel()
	srv := kmstest.NewServer(t)
	other := srv.AddAccount(t, "444455556666")
	if other.Account != "444455556666" {
		t.Errorf("account %s, want 444455556666", other.Account)
	}
	mine, theirs := newClient(srv, srv.Credentials), newClient(srv, other)
	key := createKey(t, mine)
	if _, err := theirs.DescribeKey(t.Context(), &kms.DescribeKeyInput{KeyId: key.Arn}); errorCode(err) != "AccessDeniedException" {
		t.Errorf("describing a key of another account: %v, want AccessDeniedException", err)
	}
	if got := *createKey(t, theirs).AWSAccountId; got != other.Account {
		t.Errorf("a key was made in account %s, want %s", got, other.Account)
	}
}

func TestServersAreSeparate(t *testing.T) {
	t.Parallel()
	one, two := kmstest.NewServer(t), kmstest.NewServer(t)
	key := createKey(t, newClient(one, one.Credentials))
	_, err := newClient(two, two.Credentials).DescribeKey(t.Context(), &kms.DescribeKeyInput{KeyId: key.Arn})
	if errorCode(err) != "NotFoundException" {
		t.Errorf("another server answers %v for a key it does not have, want NotFoundException", err)
	}
}

func TestAdvance(t *testing.T) {
	t.Parallel()
	srv := kmstest.NewServer(t)
	client := newClient(srv, srv.Credentials)
	const day = 24 * time.Hour

	// Many, so that Advance returning too early would be seen.
	var keys []*string
	for range 20 {
		key := createKey(t, client)
		if _, err := client.ScheduleKeyDeletion(t.Context(), &kms.ScheduleKeyDeletionInput{KeyId: key.KeyId, PendingWindowInDays: aws.Int32(7)}); err != nil {
			t.Fatal(err)
		}
		keys = append(keys, key.KeyId)
	}
	before := srv.Now()
	srv.Advance(6 * day)
	if got := srv.Now().Sub(before); got < 6*day || got > 6*day+time.Minute {
		t.Errorf("the clock moved by %v, want %v", got, 6*day)
	}
	for _, id := range keys {
		if _, err := client.DescribeKey(t.Context(), &kms.DescribeKeyInput{KeyId: id}); err != nil {
			t.Fatalf("a key is gone before its day: %v", err)
		}
	}
	srv.Advance(day + time.Minute)
	for _, id := range keys {
		if _, err := client.DescribeKey(t.Context(), &kms.DescribeKeyInput{KeyId: id}); errorCode(err) != "NotFoundException" {
			t.Fatalf("a key that is due: %v, want NotFoundException", err)
		}
	}
	if got := createKey(t, client).CreationDate.Sub(before); got < 7*day {
		t.Errorf("a key made %v after the first, want more than %v", got, 7*day)
	}
}

func TestAdvanceBackwardsPanics(t *testing.T) {
	t.Parallel()
	srv := kmstest.NewServer(t)
	defer func() {
		if recover() == nil {
			t.Error("moving the clock back did not panic")
		}
	}()
	srv.Advance(-time.Second)
}

func TestSetEnv(t *testing.T) {
	t.Setenv("AWS_PROFILE", "of-the-developer")
	t.Setenv("AWS_ENDPOINT_URL_KMS", "http://127.0.0.1:1")
	t.Run("within", func(t *testing.T) {
		srv := kmstest.NewServerConfig(t, kmstest.Config{Region: "eu-central-1"})
		srv.SetEnv(t)
		cfg, err := config.LoadDefaultConfig(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		key := createKey(t, kms.NewFromConfig(cfg))
		if want := "arn:aws:kms:eu-central-1:111122223333:key/" + *key.KeyId; *key.Arn != want {
			t.Errorf("key ARN %s, want %s", *key.Arn, want)
		}
	})
	if got := os.Getenv("AWS_PROFILE"); got != "of-the-developer" {
		t.Errorf("AWS_PROFILE is %q after the test, want it as it was", got)
	}
	if got, ok := os.LookupEnv("AWS_SHARED_CREDENTIALS_FILE"); ok && got == os.DevNull {
		t.Error("AWS_SHARED_CREDENTIALS_FILE is still set after the test")
	}
}

func TestEnv(t *testing.T) {
	t.Setenv("AWS_PROFILE", "of-the-developer")
	t.Setenv("KEPT", "yes")
	srv := kmstest.NewServer(t)
	env := srv.Env()
	for _, want := range []string{"KEPT=yes", "AWS_ENDPOINT_URL=" + srv.Endpoint, "AWS_ACCESS_KEY_ID=" + srv.AccessKeyID} {
		if !slices.Contains(env, want) {
			t.Errorf("the environment lacks %s", want)
		}
	}
	if slices.ContainsFunc(env, func(s string) bool { return strings.HasPrefix(s, "AWS_PROFILE=") }) {
		t.Error("the environment has the developer's AWS_PROFILE")
	}
}

// The credentials in the environment are the account's for another SDK too.
func TestEnvWithBoto3(t *testing.T) {
	python, err := exec.LookPath("python3")
	if err != nil || exec.Command(python, "-c", "import boto3").Run() != nil {
		t.Skip("no python3 with boto3 here")
	}
	srv := kmstest.NewServer(t)
	// Versions before 1.28 do not know AWS_ENDPOINT_URL, and must never ask AWS.
	cmd := exec.Command(python, "-c", `
import boto3, os
old = tuple(int(n) for n in boto3.__version__.split(".")[:2]) < (1, 28)
kms = boto3.client("kms", endpoint_url=os.environ["AWS_ENDPOINT_URL"] if old else None)
print(kms.create_key()["KeyMetadata"]["AWSAccountId"])`)
	cmd.Env = srv.Env()
	out, err := cmd.CombinedOutput()
	if err != nil || strings.TrimSpace(string(out)) != srv.Account {
		t.Errorf("boto3 made a key in account %q, %v; want %s", out, err, srv.Account)
	}
}

func BenchmarkServer(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		srv, err := kmstest.Start(kmstest.Config{})
		if err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		if err := srv.Close(); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
}

package cli_test

import (
	"context"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/keywright/keywright/kmstest"
)

// TestEnvelopeScripts runs the scripts in testdata/envelope. Each has a server of
// this process in its environment, with keys in two Regions, whose ARNs are in
// KEY (alias/app), OTHER (of eu-west-1) and GONE, which is disabled.
func TestEnvelopeScripts(t *testing.T) {
	skipProcesses(t)
	testscript.Run(t, testscript.Params{
		Dir:                 filepath.Join("testdata", "envelope"),
		Cmds:                map[string]func(*testscript.TestScript, bool, []string){"flip": flip},
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(env *testscript.Env) error {
			_, err := startWithKeys(env)
			return err
		},
	})
}

// startWithKeys gives a script a server of its own, with keys.
func startWithKeys(env *testscript.Env) (*kmstest.Server, error) {
	srv, err := kmstest.Start(kmstest.Config{})
	if err != nil {
		return nil, err
	}
	env.Defer(func() { srv.Close() })
	for _, pair := range srv.Env() {
		if strings.HasPrefix(pair, "AWS_") {
			env.Vars = append(env.Vars, pair)
		}
	}
	env.Setenv("ENDPOINT", srv.Endpoint)
	return srv, makeKeys(env, srv)
}

func makeKeys(env *testscript.Env, srv *kmstest.Server) error {
	ctx := context.Background()
	client := func(region string) *kms.Client {
		return kms.New(kms.Options{
			BaseEndpoint: &srv.Endpoint,
			Region:       region,
			Credentials:  credentials.NewStaticCredentialsProvider(srv.AccessKeyID, srv.SecretAccessKey, ""),
		})
	}
	for name, region := range map[string]string{"KEY": "us-east-1", "OTHER": "eu-west-1", "GONE": "us-east-1"} {
		c := client(region)
		key, err := c.CreateKey(ctx, &kms.CreateKeyInput{})
		if err != nil {
			return err
		}
		env.Setenv(name, *key.KeyMetadata.Arn)
		switch name {
		case "KEY":
			_, err = c.CreateAlias(ctx, &kms.CreateAliasInput{AliasName: aws.String("alias/app"), TargetKeyId: key.KeyMetadata.KeyId})
		case "GONE":
			_, err = c.DisableKey(ctx, &kms.DisableKeyInput{KeyId: key.KeyMetadata.KeyId})
		}
		if err != nil {
			return err
		}
	}
	return nil
}

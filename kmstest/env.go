package kmstest

import (
	"os"
	"slices"
	"strings"
	"testing"
)

// SetEnv sets the environment of the test such that AWS SDKs and the AWS CLI,
// with no other configuration, use the server with the credentials of its
// account. Like T.Setenv it cannot be used in parallel tests.
func (s *Server) SetEnv(t testing.TB) {
	t.Helper()
	for _, pair := range os.Environ() {
		if name, value, _ := strings.Cut(pair, "="); isAWS(name) {
			t.Setenv(name, value) // which brings it back when the test ends
			os.Unsetenv(name)
		}
	}
	for _, pair := range s.variables() {
		name, value, _ := strings.Cut(pair, "=")
		t.Setenv(name, value)
	}
}

// Env is an environment for a child process, as exec.Cmd takes it: that of this
// process with every AWS variable replaced by those that SetEnv sets.
func (s *Server) Env() []string {
	env := slices.DeleteFunc(os.Environ(), func(pair string) bool {
		name, _, _ := strings.Cut(pair, "=")
		return isAWS(name)
	})
	return append(env, s.variables()...)
}

func isAWS(name string) bool { return strings.HasPrefix(strings.ToUpper(name), "AWS_") }

// variables leave nothing to be found in the developer's own configuration: a
// profile there could name another endpoint, or real credentials.
func (s *Server) variables() []string {
	return []string{
		"AWS_ENDPOINT_URL=" + s.Endpoint,
		"AWS_REGION=" + s.Region,
		"AWS_DEFAULT_REGION=" + s.Region,
		"AWS_ACCESS_KEY_ID=" + s.AccessKeyID,
		"AWS_SECRET_ACCESS_KEY=" + s.SecretAccessKey,
		"AWS_CONFIG_FILE=" + os.DevNull,
		"AWS_SHARED_CREDENTIALS_FILE=" + os.DevNull,
		"AWS_EC2_METADATA_DISABLED=true",
	}
}

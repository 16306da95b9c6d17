package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/keywright/keywright/internal/server"
)

// The access key that examples for a development server use: any will do there,
// and one that AWS prints in its own manuals cannot be mistaken for a real one.
const (
	devAccessKeyID     = "AKIAIOSFODNN7EXAMPLE"
	devSecretAccessKey = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
	defaultRegion      = "us-east-1"
)

// greet says where the server is and how to point a client at it. Programs read
// the lines "endpoint: ", "account: " and "credentials: ".
func (c *serverCmd) greet(ctx context.Context, s *streams, srv *server.Server) error {
	account, err := srv.Account(ctx)
	if err != nil {
		return err
	}
	cfg := c.config()
	var b strings.Builder
	kind := "keywright " + thisBuild().Version
	if c.Dev {
		kind += ", a development server: never give it real data"
		if cfg.Data == "" {
			kind += ". It keeps nothing: all is in memory"
		}
	}
	fmt.Fprintf(&b, "%s\nendpoint: %s\naccount: %s\n", kind, srv.Endpoint(), account)
	vars := clientEnvironment(srv.Endpoint(), c.region())
	if file := srv.CredentialsFile(); file != "" {
		fmt.Fprintf(&b, "credentials: %s\n", file)
		vars = append(fileCredentials(absolute(file)), vars...)
	} else {
		vars = append(devCredentials(), vars...)
	}
	if bundle := srv.CABundle(); bundle != "" {
		vars = append(vars, set("AWS_CA_BUNDLE", absolute(bundle)))
	}
	for _, line := range srv.Seeded() {
		fmt.Fprintf(&b, "seed: %s\n", line)
	}
	b.WriteString("\nPoint a client at it:\n")
	for _, v := range vars {
		if !v.unset {
			fmt.Fprintf(&b, "  export %s=%s\n", v.name, quote(v.value))
		}
	}
	fmt.Fprintf(&b, "  aws --endpoint-url %s kms create-key\n", quote(srv.Endpoint()))
	if rootKeyBesideData(cfg) {
		fmt.Fprintf(&b, "\nThe root key lies beside the data it protects: whoever copies the folder %s can read all.\nTo part them, stop the server, move root.key to another volume or a secrets mount, and start\nwith --root-key and its new path (or --root-key-credential).\n", cfg.Data)
	}
	_, err = fmt.Fprint(s.out, b.String())
	return err
}

// showRecoveryKey prints the recovery key of a new store. It comes before all
// else: a start that fails after it has made the store all the same.
func showRecoveryKey(w io.Writer, key string) {
	fmt.Fprintf(w, `This is the first start in this data folder.

Recovery key, shown this once and kept nowhere:
  %s
Write it down and keep it away from this machine. It opens the store and every backup when
the root key is lost; without either of them all keys, and what they encrypted, are lost.

`, key)
}

// region is the Region that examples use.
func (c *serverCmd) region() string {
	if len(c.Regions) > 0 {
		return c.Regions[0]
	}
	return defaultRegion
}

// variable is one environment variable that is to be set, or unset.
type variable struct {
	name, value string
	unset       bool
}

func set(name, value string) variable { return variable{name: name, value: value} }

// misleading are variables that would lead an AWS client away from what we set.
var misleading = []variable{
	{name: "AWS_PROFILE", unset: true},
	{name: "AWS_DEFAULT_PROFILE", unset: true},
	{name: "AWS_SESSION_TOKEN", unset: true},
	{name: "AWS_SECURITY_TOKEN", unset: true},
	{name: "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", unset: true},
}

// clientEnvironment points AWS's tools at an endpoint, but for the credentials.
// The service's own variable is set too: it would win over the general one.
func clientEnvironment(endpoint, region string) []variable {
	return []variable{
		set("AWS_ENDPOINT_URL", endpoint),
		set("AWS_ENDPOINT_URL_KMS", endpoint),
		set("AWS_REGION", region),
		set("AWS_DEFAULT_REGION", region),
	}
}

// quote writes a value as one word of a POSIX shell.
func quote(value string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("_-./:,@%+=", r)
	}
	if value != "" && strings.IndexFunc(value, func(r rune) bool { return !plain(r) }) < 0 {
		return value
	}
	return "'" + strings.ReplaceAll(value, "'", `'\''`) + "'"
}

func absolute(path string) string {
	if abs, err := filepath.Abs(path); err == nil {
		return abs
	}
	return path
}

// startError adds to an error of the start what can be done about it.
func startError(err error) error {
	if e, ok := errors.AsType[*server.ListenError](err); ok && errors.Is(err, syscall.EADDRINUSE) {
		return hinted{err, fmt.Sprintf("another program listens on %s: stop it, or choose another address with %s (port 0 takes any free one)", e.Address, e.Flag)}
	}
	if e, ok := errors.AsType[*server.ConfigError](err); ok {
		return &usageError{err: e, hint: "keywright server --help shows the settings"}
	}
	return err
}

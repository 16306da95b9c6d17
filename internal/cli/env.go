package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/keywright/keywright/internal/server"
)

type envCmd struct {
	Data     string `help:"Data folder of the running server. Default ./keywright-data." placeholder:"DIR" env:"KEYWRIGHT_DATA" xor:"where"`
	Endpoint string `help:"URL of a development server." placeholder:"URL" xor:"where"`
	Region   string `help:"Region that clients are to use. Default the server's first, or us-east-1." placeholder:"REGION"`
	JSON     bool   `help:"Print a JSON object; null stands for a variable to unset."`
}

// Help implements kong.HelpProvider.
func (c *envCmd) Help() string {
	return `Examples:

    eval "$(keywright env)"
    eval "$(keywright env --data /var/lib/keywright)"
    eval "$(keywright env --endpoint http://127.0.0.1:4599)"`
}

// Run prints what sets a shell up for a server.
func (c *envCmd) Run(ctx context.Context, s *streams) error {
	var vars []variable
	if c.Endpoint != "" {
		vars = endpointEnvironment(c.Endpoint, regionOr(c.Region))
	} else {
		data := c.Data
		if data == "" {
			data = defaultData
		}
		status, err := runningServer(ctx, data)
		if err != nil {
			return err
		}
		if c.Region != "" {
			status.Region = c.Region
		}
		vars = statusEnvironment(status)
	}
	vars = append(slices.Clone(misleading), vars...)
	if c.JSON {
		object := map[string]*string{}
		for _, v := range vars {
			if object[v.name] = nil; !v.unset {
				object[v.name] = &v.value
			}
		}
		return printJSON(s.out, object)
	}
	var b strings.Builder
	for _, v := range vars {
		if v.unset {
			fmt.Fprintf(&b, "unset %s\n", v.name)
		} else {
			fmt.Fprintf(&b, "export %s=%s\n", v.name, quote(v.value))
		}
	}
	_, err := fmt.Fprint(s.out, b.String())
	return err
}

func regionOr(region string) string {
	if region == "" {
		return defaultRegion
	}
	return region
}

// runningServer asks the server that runs on a data folder where it is.
func runningServer(ctx context.Context, data string) (*server.Status, error) {
	o, err := server.DialOperator(ctx, data)
	if errors.Is(err, server.ErrNotRunning) {
		return nil, hinted{err, "start one with `keywright server --data " + quote(data) + "`, or name its folder with --data"}
	}
	if err != nil {
		return nil, err
	}
	defer o.Close()
	return o.Status(ctx)
}

// statusEnvironment is the environment for the clients of a running server.
func statusEnvironment(status *server.Status) []variable {
	vars := clientEnvironment(status.Endpoint, regionOr(status.Region))
	if status.CredentialsFile != "" {
		vars = append(fileCredentials(status.CredentialsFile), vars...)
	}
	if status.CABundle != "" {
		vars = append(vars, set("AWS_CA_BUNDLE", status.CABundle))
	}
	return vars
}

// endpointEnvironment is the environment for a development server of which only
// the URL is known. An access key that is set already stays.
func endpointEnvironment(endpoint, region string) []variable {
	vars := clientEnvironment(endpoint, region)
	if os.Getenv("AWS_ACCESS_KEY_ID") == "" {
		vars = append(devCredentials(), vars...)
	}
	return vars
}

// fileCredentials point to a credentials file, over which an access key in the
// environment would win.
func fileCredentials(path string) []variable {
	return []variable{
		{name: "AWS_ACCESS_KEY_ID", unset: true}, {name: "AWS_SECRET_ACCESS_KEY", unset: true},
		set("AWS_SHARED_CREDENTIALS_FILE", path),
	}
}

// devCredentials are an access key for a development server: any will do there.
func devCredentials() []variable {
	return []variable{set("AWS_ACCESS_KEY_ID", devAccessKeyID), set("AWS_SECRET_ACCESS_KEY", devSecretAccessKey)}
}

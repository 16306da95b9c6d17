package cli

import (
	"os"

	"github.com/keywright/keywright/internal/server"
)

// ServerConfig is what the arguments of `keywright server` make of the flags,
// the environment and the configuration file.
func ServerConfig(args ...string) (server.Config, error) {
	s := &streams{in: os.Stdin, out: os.Stdout, err: os.Stderr, outFile: os.Stdout}
	root := new(commands)
	parser, err := newParserFor(root, s)
	if err != nil {
		return server.Config{}, err
	}
	if _, err := parser.Parse(append([]string{"server"}, args...)); err != nil {
		return server.Config{}, err
	}
	return root.Server.config(), nil
}

// ParseConfig reads a configuration file's text for `keywright server`.
func ParseConfig(text []byte) (map[string]any, error) {
	parser, err := newParserFor(new(commands), &streams{in: os.Stdin, out: os.Stdout, err: os.Stderr, outFile: os.Stdout})
	if err != nil {
		return nil, err
	}
	return parseConfig(text, parser.Model.Node.Children[0].Flags)
}

// Quote is the shell quoting of values.
func Quote(value string) string { return quote(value) }

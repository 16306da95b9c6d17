// Command keywright is the key management service and the tools around it.
// `keywright --help` shows what it can do; docs/operations.md is the manual.
package main

import (
	"os"

	"github.com/keywright/keywright/internal/cli"
)

func main() {
	os.Exit(cli.Main(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

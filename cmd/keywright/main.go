// Command keywright is the key management service and the tools around it.
// `keywright --help` shows what it can do; docs/operations.md is the manual.
// Under the name aws-encryption-cli it takes that program's command lines.
package main

import (
	"os"

	"github.com/keywright/keywright/internal/cli"
)

func main() {
	os.Exit(cli.Main(cli.Arguments(os.Args), os.Stdin, os.Stdout, os.Stderr))
}

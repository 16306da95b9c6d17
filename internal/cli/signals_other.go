//go:build !unix

package cli

import "os"

// forwarded are the signals that exec passes on to its command.
var forwarded = []os.Signal{os.Interrupt}

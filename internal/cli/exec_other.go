//go:build !unix

package cli

// runInPlace runs a command. Here a process cannot take another's place.
func runInPlace(s *streams, command, environ []string) error {
	return runCommand(s, command, environ)
}

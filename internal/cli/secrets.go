package cli

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/term"
)

// Secrets are read from files or asked for on the terminal, without echo. They
// are no flags: a command line shows in the list of processes and in a shell's
// history.

// secretFile reads a secret from a file of one line.
func secretFile(path string) (string, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	text = bytes.TrimSuffix(bytes.TrimSuffix(text, []byte("\n")), []byte("\r"))
	if len(text) == 0 {
		return "", fmt.Errorf("%s is empty", path)
	}
	return string(text), nil
}

// ask reads a secret from the terminal. where says how else to give it.
func (s *streams) ask(prompt, where string) (string, error) {
	fd := int(s.in.Fd())
	if !term.IsTerminal(fd) {
		return "", hinted{fmt.Errorf("there is no terminal to ask for the %s on", prompt), "give it with " + where}
	}
	fmt.Fprintf(s.err, "%s: ", strings.ToUpper(prompt[:1])+prompt[1:])
	text, err := term.ReadPassword(fd)
	fmt.Fprintln(s.err)
	if err != nil {
		return "", fmt.Errorf("reading the %s: %w", prompt, err)
	}
	if len(text) == 0 {
		return "", fmt.Errorf("no %s was given", prompt)
	}
	return string(text), nil
}

// secret takes a secret from a file if one is named, else asks for it.
func (s *streams) secret(file, prompt, flag string) (string, error) {
	if file != "" {
		return secretFile(file)
	}
	return s.ask(prompt, flag+" FILE")
}

// newSecret is secret for one that is only about to be set: it is asked twice.
func (s *streams) newSecret(file, prompt, flag string) (string, error) {
	first, err := s.secret(file, prompt, flag)
	if err != nil || file != "" {
		return first, err
	}
	again, err := s.ask(prompt+" again", flag+" FILE")
	if err != nil {
		return "", err
	}
	if first != again {
		return "", errors.New("the two are not the same")
	}
	return first, nil
}

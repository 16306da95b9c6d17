package cli

import (
	"context"
	"errors"
	"slices"

	"github.com/keywright/keywright/internal/envelope"
)

type verifyCmd struct {
	File  []string `arg:"" optional:"" help:"Files, directories, patterns, or - for stdin."`
	Input []string `short:"i" sep:"none" help:"As FILE. Repeatable." placeholder:"PATH"`
	unwrapFlags
	runFlags
}

// Help implements kong.HelpProvider.
func (c *verifyCmd) Help() string {
	return `Messages are decrypted, and their plaintext is thrown away: the exit code tells whether they can be decrypted and are whole.

Exit codes: 0 whole, 1 failed, 2 usage, 3 damaged, 4 another encryption context, 5 no key opens it, 6 refused by a limit or policy, 7 some of several files failed.

Examples:

    keywright verify report.pdf.encrypted -w discovery=true -c team=finance
    keywright verify -r vault --json -w discovery=true,discovery-account=111122223333,discovery-partition=aws`
}

// Run verifies.
func (c *verifyCmd) Run(ctx context.Context, s *streams) error {
	inputs, err := inputsOf(c.File, c.Input)
	if err != nil {
		return err
	}
	jobs, err := c.jobs()
	if err != nil {
		return err
	}
	w, err := c.unwrapWork(ctx, s, envelope.Verify, jobs)
	if err != nil {
		return err
	}
	return c.run(ctx, s, w, &envelope.Selection{Inputs: inputs, Recursive: c.Recursive, Verify: true}, jobs)
}

// inputsOf are the inputs of the commands that take them as arguments and as
// flags.
func inputsOf(args, flags []string) ([]string, error) {
	inputs := append(slices.Clip(args), flags...)
	if len(inputs) == 0 {
		return nil, &usageError{errors.New("no input is given"), "name files, or - for stdin"}
	}
	return inputs, nil
}

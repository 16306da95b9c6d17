package cli

import (
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/keywright/keywright/esdk"
	"github.com/keywright/keywright/esdk/materials"
	"github.com/keywright/keywright/internal/envelope"
)

type encryptCmd struct {
	outputFlags
	wrapFlags
	RSAPublicKey []string `name:"rsa-public-key" sep:"none" help:"PEM file of an RSA public key, and what messages call it. Repeatable." placeholder:"FILE,namespace=NS,name=NAME[,padding=P]"`
	messageFlags
	Algorithm   string `help:"Algorithm suite. Default the commitment policy's." placeholder:"NAME"`
	FrameLength uint32 `default:"4096" help:"Bytes of plaintext in a frame." placeholder:"N"`
	Suffix      string `default:".encrypted" help:"What is appended to names in an output directory. May be empty." placeholder:"TEXT"`
	runFlags
}

// Help implements kong.HelpProvider.
func (c *encryptCmd) Help() string {
	return `Messages are those of the AWS Encryption SDK. Each data key is made by the first key, and wrapped by all; any of them decrypts. An output has the mode and time of its input. An output that exists is replaced only by one that is whole.

Exit codes: 0 done, 1 failed, 2 usage, 5 no key, 6 refused by a limit or policy, 7 some of several files failed.

Examples:

    keywright encrypt -i report.pdf -o report.pdf.encrypted -w key=alias/reports -c team=finance
    keywright encrypt -r -i data -o vault -w key=alias/a,region=eu-west-1 -w key=alias/b,profile=other
    tar c . | keywright encrypt -i - -o backup.tar.encrypted --aes-key backup.key,namespace=backup,name=2026`
}

// Run encrypts.
func (c *encryptCmd) Run(ctx context.Context, s *streams) error {
	jobs, err := c.jobs()
	if err != nil {
		return err
	}
	pairs, _, err := c.pairs(false)
	if err != nil {
		return err
	}
	if c.FrameLength < 1 || c.FrameLength > math.MaxInt32 {
		return &usageError{errors.New("--frame-length is 1 to 2147483647"), ""}
	}
	cfg := esdk.Config{FrameLength: c.FrameLength}
	if c.Algorithm != "" {
		if cfg.Suite, err = algorithm(c.Algorithm); err != nil {
			return err
		}
	}
	rings, err := c.keyrings(ctx, true)
	if err != nil {
		return err
	}
	public, err := rawRSA(c.RSAPublicKey, false)
	if err != nil {
		return fmt.Errorf("--rsa-public-key: %w", err)
	}
	w, err := c.work(s, envelope.Encrypt, append(rings, public...), cfg, jobs)
	if err != nil {
		return err
	}
	if len(c.Required) > 0 {
		if w.Manager, err = materials.NewRequiredContextManager(c.Required, w.Manager); err != nil {
			return &usageError{fmt.Errorf("--required-encryption-context-keys: %w", err), ""}
		}
	}
	w.EncryptOptions.EncryptionContext = pairs
	if err := c.apply(s, w, &c.runFlags); err != nil {
		return err
	}
	return c.run(ctx, s, w, &envelope.Selection{Inputs: c.Input, Output: c.Output, Recursive: c.Recursive, Suffix: c.Suffix}, jobs)
}

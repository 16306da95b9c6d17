package cli

import (
	"context"
	"errors"
	"math"

	"github.com/keywright/keywright/esdk"
	"github.com/keywright/keywright/internal/envelope"
)

// unwrapFlags are those of decrypt, verify and rekey.
type unwrapFlags struct {
	wrapFlags
	RSAPrivateKey  []string `name:"rsa-private-key" sep:"none" help:"PEM file of an RSA private key, and what messages call it. Repeatable." placeholder:"FILE,namespace=NS,name=NAME[,padding=P]"`
	ECDHPrivateKey []string `name:"ecdh-private-key" sep:"none" help:"PEM file of an elliptic curve private key; with peer, only for what the two wrote to each other. Repeatable." placeholder:"FILE[,peer=FILE]"`
	messageFlags
	MaxLength uint32 `help:"Refuse messages with longer frames, or longer bodies without frames, in bytes. Default 16 MiB." placeholder:"N"`
	Unsigned  bool   `name:"decrypt-unsigned" help:"Refuse signed messages, right after their header."`
}

type decryptCmd struct {
	outputFlags
	unwrapFlags
	VerifyFirst bool   `help:"Verify all of a message before any of its plaintext goes to stdout. From a pipe, up to 16 MiB are held in memory."`
	Buffer      bool   `short:"b" help:"As --verify-first, holding as much as it takes in memory."`
	Suffix      string `default:".decrypted" help:"What is appended to names in an output directory. May be empty." placeholder:"TEXT"`
	runFlags
}

// Help implements kong.HelpProvider.
func (c *decryptCmd) Help() string {
	return `A file gets its name only when all of the message was verified. What goes to stdout was authenticated, but is the beginning of a message only until the exit code is 0: give --verify-first where that matters. With --encryption-context KEY=VALUE the message must have that pair, with KEY that key.

Exit codes: 0 done, 1 failed, 2 usage, 3 damaged, 4 another encryption context, 5 no key opens it, 6 refused by a limit or policy, 7 some of several files failed.

Examples:

    keywright decrypt -i report.pdf.encrypted -o report.pdf -w key=arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab -c team=finance
    keywright decrypt -r -i vault -o data --suffix= -w discovery=true,discovery-account=111122223333,discovery-partition=aws
    keywright decrypt -i backup.tar.encrypted -o - --verify-first --aes-key backup.key,namespace=backup,name=2026 | tar x`
}

// Run decrypts.
func (c *decryptCmd) Run(ctx context.Context, s *streams) error {
	jobs, err := c.jobs()
	if err != nil {
		return err
	}
	w, err := c.unwrapWork(ctx, s, envelope.Decrypt, jobs)
	if err != nil {
		return err
	}
	w.DecryptOptions.VerifyFirst = c.VerifyFirst || c.Buffer
	if c.Buffer {
		w.DecryptOptions.VerifyBuffer = math.MaxInt64
	}
	if err := c.apply(s, w, &c.runFlags); err != nil {
		return err
	}
	return c.run(ctx, s, w, &envelope.Selection{Inputs: c.Input, Output: c.Output, Recursive: c.Recursive, Suffix: c.Suffix}, jobs)
}

func (c *unwrapFlags) unwrapWork(ctx context.Context, s *streams, mode envelope.Mode, jobs int) (*envelope.Work, error) {
	pairs, bare, err := c.pairs(true)
	if err != nil {
		return nil, err
	}
	if c.MaxLength > math.MaxInt32 {
		return nil, &usageError{errors.New("--max-length is at most 2147483647"), ""}
	}
	rings, err := c.keyrings(ctx, false)
	if err != nil {
		return nil, refused(s, err)
	}
	raw, err := rawKeys{rsaPrivate: c.RSAPrivateKey, ecdhPrivate: c.ECDHPrivateKey}.keyrings()
	if err != nil {
		return nil, err
	}
	w, err := c.work(s, mode, append(rings, raw...), esdk.Config{MaxFrameLength: c.MaxLength}, jobs)
	if err != nil {
		return nil, err
	}
	w.Manager = envelope.Expecting(envelope.Expectation{Pairs: pairs, Present: bare, Unstored: c.Required}, w.Manager)
	w.DecryptOptions = esdk.DecryptOptions{EncryptionContext: pairs, UnsignedOnly: c.Unsigned}
	return w, nil
}

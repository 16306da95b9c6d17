package cli

import (
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/keywright/keywright/esdk"
	"github.com/keywright/keywright/esdk/materials"
	"github.com/keywright/keywright/esdk/suite"
	"github.com/keywright/keywright/internal/envelope"
)

type encryptCmd struct {
	outputFlags
	wrapFlags
	RSAPublicKey   []string `name:"rsa-public-key" sep:"none" help:"PEM file of an RSA public key, and what messages call it. Repeatable." placeholder:"FILE,namespace=NS,name=NAME[,padding=P]"`
	ECDHPublicKey  []string `name:"ecdh-public-key" sep:"none" help:"File of the elliptic curve public key of who is to read. Repeatable." placeholder:"FILE"`
	ECDHPrivateKey []string `name:"ecdh-private-key" sep:"none" help:"PEM file of an elliptic curve private key, and file of the public key of who is to read. Repeatable." placeholder:"FILE,peer=FILE"`
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
	if err := c.checkSuite(cfg.Suite); err != nil {
		return err
	}
	rings, err := c.keyrings(ctx, true)
	if err != nil {
		return refused(s, err)
	}
	raw, err := rawKeys{rsaPublic: c.RSAPublicKey, ecdhPublic: c.ECDHPublicKey, ecdhPrivate: c.ECDHPrivateKey, encrypt: true}.keyrings()
	if err != nil {
		return err
	}
	w, err := c.work(s, envelope.Encrypt, append(rings, raw...), cfg, jobs)
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

// checkSuite refuses a suite that one of the keys cannot be used with. Another
// is not taken instead: a message would have no signature, and nobody asked for
// that.
func (c *encryptCmd) checkSuite(id suite.ID) error {
	if !needsUnsigned(c.WrappingKeys) {
		return nil
	}
	policy := policies[c.Policy]
	if id == 0 {
		id = policy.DefaultSuite()
	}
	if s, ok := suite.Lookup(id); !ok || s.Signature == suite.Unsigned {
		return nil
	}
	unsigned := suite.AES256GCMCommit
	if policy == materials.ForbidEncryptAllowDecrypt {
		unsigned = suite.AES256GCMHKDF
	}
	s, _ := suite.Lookup(unsigned)
	return &usageError{errors.New("RSA keys of the service take no algorithm suite that signs: everybody has the public key"), "give --algorithm " + s.Name}
}

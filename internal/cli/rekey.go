package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"strings"

	"github.com/keywright/keywright/esdk/keyring"
	"github.com/keywright/keywright/esdk/materials"
	"github.com/keywright/keywright/internal/envelope"
)

// toFlags name the new keys of a message.
type toFlags struct {
	ToWrappingKeys   []string `name:"to-wrapping-keys" short:"W" sep:"none" help:"New keys of the service, as --wrapping-keys of encrypt. Repeatable." placeholder:"NAME=VALUE,..."`
	ToAESKey         []string `name:"to-aes-key" sep:"none" help:"New raw AES key. Repeatable." placeholder:"FILE,namespace=NS,name=NAME"`
	ToRSAPublicKey   []string `name:"to-rsa-public-key" sep:"none" help:"New RSA public key. Repeatable." placeholder:"FILE,namespace=NS,name=NAME[,padding=P]"`
	ToECDHPublicKey  []string `name:"to-ecdh-public-key" sep:"none" help:"Elliptic curve public key of who is to read. Repeatable." placeholder:"FILE"`
	ToECDHPrivateKey []string `name:"to-ecdh-private-key" sep:"none" help:"Elliptic curve private key, and the public key of who is to read. Repeatable." placeholder:"FILE,peer=FILE"`
	ToEndpointURL    string   `name:"to-endpoint-url" help:"URL of the service of the new keys. Default that of the old ones." placeholder:"URL"`
	ToProfile        string   `name:"to-profile" help:"Profile for the new keys. Default that for the old ones." placeholder:"NAME"`
	ToRegion         string   `name:"to-region" help:"Region of the new keys. Default that of the old ones." placeholder:"REGION"`
}

type rekeyCmd struct {
	// Unlike in outputFlags, an output is not always required.
	Input       []string `short:"i" required:"" sep:"none" help:"File, directory, pattern, or - for stdin. Repeatable." placeholder:"PATH"`
	Output      string   `short:"o" required:"" xor:"output" help:"File, directory that exists, or - for stdout." placeholder:"PATH"`
	InPlace     bool     `required:"" xor:"output" help:"Replace the inputs, each when the new one is whole."`
	Encode      bool     `help:"Write base64."`
	NoOverwrite bool     `help:"Keep outputs that exist, and skip their inputs."`
	Interactive bool     `help:"Ask before a file that exists is replaced."`
	Resume      bool     `help:"Skip files that were done before: whose output has their time of modification or, with --in-place, whose header names the new keys and no others."`
	unwrapFlags
	toFlags
	HeaderOnly  bool     `help:"Refuse messages that would have to be encrypted anew."`
	Algorithm   string   `help:"Algorithm suite of the new messages. Default each message's own." placeholder:"NAME"`
	FrameLength uint32   `help:"Bytes of plaintext in a frame of the new messages. Default each message's own." placeholder:"N"`
	ToContext   []string `name:"to-encryption-context" sep:"none" help:"A pair of an encryption context that replaces the whole one of each message. Repeatable." placeholder:"KEY=VALUE"`
	Suffix      string   `help:"What is appended to names in an output directory." placeholder:"TEXT"`
	runFlags
}

// Help implements kong.HelpProvider.
func (c *rekeyCmd) Help() string {
	return `Messages get data keys encrypted with the new keys (--to-...) in the place of those that the old keys open. In messages of format 1 without a signature only the header is written anew, and the body is copied. All others are decrypted, verified, and encrypted under a fresh data key, with the encryption context, algorithm suite and frame length that they had; --json tells which was done. A file is replaced only by one that is whole.

Who has a data key can still read what it encrypts, and a copy of an old message still opens with the old keys.

Exit codes: 0 done, 1 failed, 2 usage, 3 damaged, 4 another encryption context, 5 no key, 6 refused by a limit or policy, 7 some of several files failed.

Examples:

    keywright rekey --in-place -r -i vault -w discovery=true -W key=arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab
    keywright rekey -i backup.tar.encrypted -o backup.tar.2027 --aes-key 2026.key,namespace=backup,name=2026 --to-aes-key 2027.key,namespace=backup,name=2027
    keywright rekey --in-place -r -i vault -w discovery=true -W key=alias/reports --to-endpoint-url https://kms.example.com`
}

// Run rekeys.
func (c *rekeyCmd) Run(ctx context.Context, s *streams) error {
	jobs, err := c.jobs()
	if err != nil {
		return err
	}
	opts, err := c.options()
	if err != nil {
		return err
	}
	w, err := c.unwrapWork(ctx, s, envelope.Rekey, jobs)
	if err != nil {
		return err
	}
	rings, err := c.toKeyrings(ctx)
	if err != nil {
		return refused(s, err)
	}
	if len(rings) == 0 {
		return &usageError{errors.New("no new key is given"), "give --to-wrapping-keys, or a raw key"}
	}
	if opts.Wrapper, err = keyring.NewMulti(nil, rings...); err != nil {
		return err
	}
	if opts.Manager, err = c.manager(rings, true); err != nil {
		return err
	}
	if c.InPlace && c.Resume {
		if opts.Rekeyed = wrappedBy(rings); opts.Rekeyed == nil {
			return &usageError{errors.New("--resume with --in-place knows a message that was done by its keys, and the new ones are not named as messages name them"), "name the new keys by their ARNs"}
		}
	}
	w.RekeyOptions = *opts
	out := &outputFlags{Input: c.Input, Output: c.Output, Encode: c.Encode, Overwrite: !c.NoOverwrite, Interactive: c.Interactive, Resume: c.Resume}
	if err := out.apply(s, w, &c.runFlags); err != nil {
		return err
	}
	return c.run(ctx, s, w, &envelope.Selection{Inputs: c.Input, Output: c.Output, InPlace: c.InPlace, Recursive: c.Recursive, Suffix: c.Suffix}, jobs)
}

// options returns what the flags say but for the keys.
func (c *rekeyCmd) options() (*envelope.RekeyOptions, error) {
	if len(c.Input) == 1 && sameFile(c.Input[0], c.Output) {
		return nil, &usageError{fmt.Errorf("the output %s is the input", c.Output), "give --in-place instead of --output"}
	}
	if c.InPlace && c.NoOverwrite {
		return nil, &usageError{errors.New("--in-place replaces the inputs, which --no-overwrite keeps"), ""}
	}
	if c.InPlace && c.Suffix != "" {
		return nil, &usageError{errors.New("--in-place keeps the names, to which --suffix appends"), ""}
	}
	if c.FrameLength > math.MaxInt32 {
		return nil, &usageError{errors.New("--frame-length is 1 to 2147483647"), ""}
	}
	opts := &envelope.RekeyOptions{FrameLength: c.FrameLength, HeaderOnly: c.HeaderOnly, InPlace: c.InPlace}
	var err error
	if c.Algorithm != "" {
		if opts.Suite, err = algorithm(c.Algorithm); err != nil {
			return nil, err
		}
	}
	if len(c.ToContext) > 0 {
		opts.EncryptionContext, err = c.toContext()
	}
	return opts, err
}

func sameFile(a, b string) bool {
	infoA, errA := os.Stat(a)
	infoB, errB := os.Stat(b)
	return errA == nil && errB == nil && infoA.Mode().IsRegular() && os.SameFile(infoA, infoB)
}

func (c *rekeyCmd) toContext() (map[string]string, error) {
	pairs := map[string]string{}
	for _, text := range c.ToContext {
		key, value, ok := strings.Cut(text, "=")
		if _, twice := pairs[key]; key == "" || !ok || twice {
			return nil, &usageError{fmt.Errorf("--to-encryption-context: %q is not KEY=VALUE with a key of its own", text), ""}
		}
		pairs[key] = value
	}
	return pairs, nil
}

// toKeyrings returns a keyring for each new key, in the order of the flags.
func (c *rekeyCmd) toKeyrings(ctx context.Context) ([]materials.Keyring, error) {
	const prefix = "to-"
	f := wrapFlags{WrappingKeys: c.ToWrappingKeys, AESKey: c.ToAESKey, prefix: prefix, serviceFlags: serviceFlags{
		EndpointURL: cmp.Or(c.ToEndpointURL, c.EndpointURL),
		Profile:     cmp.Or(c.ToProfile, c.Profile),
		Region:      cmp.Or(c.ToRegion, c.Region),
	}}
	rings, err := f.keyrings(ctx, true)
	if err != nil {
		return nil, err
	}
	raw, err := rawKeys{prefix: prefix, rsaPublic: c.ToRSAPublicKey, ecdhPublic: c.ToECDHPublicKey, ecdhPrivate: c.ToECDHPrivateKey, encrypt: true}.keyrings()
	return append(rings, raw...), err
}

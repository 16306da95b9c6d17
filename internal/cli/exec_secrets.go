package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"

	"github.com/aws/aws-sdk-go-v2/service/kms/types"

	"github.com/keywright/keywright/esdk"
	"github.com/keywright/keywright/esdk/keyring"
	"github.com/keywright/keywright/esdk/keyring/awskms"
	"github.com/keywright/keywright/esdk/materials"
	"github.com/keywright/keywright/esdk/secretenv"
)

// secretFlags are those of exec about ciphertext in the environment.
type secretFlags struct {
	DecryptEnv   bool     `help:"Give the command the plaintext of values that begin with kms-ciphertext: or esdk-message:."`
	WrappingKeys []string `short:"w" sep:"none" help:"Decrypt only with these keys. Default: any that you may use. As for decrypt: key=ARN,... or discovery=true with discovery-account=, discovery-partition=; also region=, profile=. Repeatable." placeholder:"NAME=VALUE,..."`
	Context      []string `name:"encryption-context" short:"c" sep:"none" help:"A pair of the encryption context that all values were encrypted with. Repeatable." placeholder:"KEY=VALUE"`
	BindNames    *string  `help:"Key of the encryption context under which each value was encrypted with the name of its variable." placeholder:"KEY"`
}

// check refuses what would be without effect.
func (f *secretFlags) check() error {
	if !f.DecryptEnv && (len(f.WrappingKeys) > 0 || len(f.Context) > 0 || f.BindNames != nil) {
		return &usageError{errors.New("--wrapping-keys, --encryption-context and --bind-names are for --decrypt-env"), "give --decrypt-env, or leave them out"}
	}
	if f.BindNames != nil && *f.BindNames == "" { // perhaps a shell's variable that is not set
		return &usageError{errors.New("--bind-names: the key is empty"), "for example: --bind-names variable"}
	}
	return nil
}

// decrypt returns environ with plaintext in place of ciphertext. What cannot be
// decrypted is told of, each on a line, and the error is then an exit code.
func (f *secretFlags) decrypt(ctx context.Context, s *streams, environ []string) ([]string, error) {
	// This process is to find the service as the command would.
	os.Clearenv()
	for _, entry := range environ {
		if name, value, ok := strings.Cut(entry, "="); ok {
			os.Setenv(name, value) // an entry that cannot be set is none of AWS's
		}
	}
	d, err := f.decrypter(ctx)
	if _, usage := errors.AsType[*usageError](err); usage {
		return nil, err
	} else if err != nil {
		report(s.err, err)
		return nil, exitCode(exitNotDecrypted)
	}
	plain, err := d.Environ(ctx, environ)
	if ctx.Err() != nil {
		fmt.Fprintln(s.err, "keywright: interrupted: the command was not started")
		return nil, exitCode(exitNotDecrypted)
	}
	if err == nil {
		return plain, nil
	}
	hint := ""
	if all, ok := err.(interface{ Unwrap() []error }); ok {
		for _, e := range all.Unwrap() {
			fmt.Fprintf(s.err, "keywright: %s\n", errorText(e))
			hint = cmp.Or(hint, f.hint(e))
		}
	}
	if hint != "" {
		fmt.Fprintf(s.err, "hint: %s\n", hint)
	}
	return nil, exitCode(exitNotDecrypted)
}

// hint says what to do about a value that could not be decrypted.
func (f *secretFlags) hint(err error) string {
	if h, ok := errors.AsType[interface {
		error
		Hint() string
	}](err); ok {
		return h.Hint()
	}
	// The service does not tell a wrong context from other damage.
	_, refused := errors.AsType[*types.InvalidCiphertextException](err)
	switch {
	case !refused && !errors.Is(err, materials.ErrContextMismatch):
		return ""
	case f.BindNames != nil:
		return "each value must have been encrypted with its variable's name in the encryption context, as in --encryption-context " + *f.BindNames + "=NAME"
	case len(f.Context) == 0:
		return "what was encrypted with an encryption context needs it: give --encryption-context or --bind-names"
	}
	return ""
}

func (f *secretFlags) decrypter(ctx context.Context) (*secretenv.Decrypter, error) {
	pairs, _, err := (&messageFlags{Context: f.Context}).pairs(false)
	if err != nil {
		return nil, err
	}
	nameKey := ""
	if f.BindNames != nil {
		nameKey = *f.BindNames
	}
	if _, taken := pairs[nameKey]; taken {
		return nil, &usageError{fmt.Errorf("%s is given with both --bind-names and --encryption-context", nameKey), ""}
	}
	keys := &wrapFlags{WrappingKeys: f.WrappingKeys}
	if len(keys.WrappingKeys) == 0 {
		keys.WrappingKeys = []string{"discovery=true"}
	}
	rings, err := keys.keyrings(ctx, false)
	if err != nil {
		return nil, err
	}
	ring, err := keyring.NewMulti(nil, rings...)
	if err != nil {
		return nil, err
	}
	return &secretenv.Decrypter{
		KMS:               ciphertextOpener(ctx, keys),
		Messages:          secretenv.Messages(esdk.New(esdk.Config{}), esdk.Using(ring)),
		EncryptionContext: pairs,
		NameKey:           nameKey,
	}, nil
}

// anyOf opens a ciphertext with the first of some openers, at least one, that can.
type anyOf func() ([]secretenv.Opener, error)

// Open returns the errors of all, on one line, if none can.
func (a anyOf) Open(ctx context.Context, ciphertext []byte, encryptionContext map[string]string) ([]byte, error) {
	openers, err := a()
	if err != nil {
		return nil, err
	}
	for i, o := range openers {
		plaintext, failed := o.Open(ctx, ciphertext, encryptionContext)
		if failed == nil {
			return plaintext, nil
		}
		if i == 0 {
			err = failed
		} else {
			err = fmt.Errorf("%w; %w", err, failed)
		}
	}
	return nil, err
}

var errOnlyPairs = errors.New("--wrapping-keys names only key pairs, which are for messages")

// ciphertextOpener opens what the service itself encrypted, with the keys of the
// flags in their order. Unlike a message, such a ciphertext does not say which
// Region it is of: for want of one only the ciphertexts fail, where there are any.
func ciphertextOpener(ctx context.Context, f *wrapFlags) secretenv.Opener {
	return anyOf(sync.OnceValues(func() ([]secretenv.Opener, error) {
		var openers []secretenv.Opener
		for _, text := range f.WrappingKeys {
			g, err := parseKeyGroup(text)
			if err != nil {
				return nil, err
			}
			if g.provider != providerKMS {
				continue // key pairs are for messages
			}
			clients, err := f.clients(ctx, g)
			if err != nil {
				return nil, err
			}
			keys := g.keys
			if g.discovery {
				keys = []string{""}
			}
			for _, key := range keys {
				region := regionOf(key)
				if g.discovery {
					region = g.region
				}
				client, err := clients.in(region)
				if err != nil {
					return nil, err
				}
				o, err := awskms.NewCiphertexts(awskms.CiphertextConfig{Client: client, KeyID: key, Filter: g.filter, GrantTokens: g.grantTokens})
				if err != nil {
					return nil, err
				}
				openers = append(openers, o)
			}
		}
		if len(openers) == 0 {
			return nil, errOnlyPairs
		}
		return openers, nil
	}))
}

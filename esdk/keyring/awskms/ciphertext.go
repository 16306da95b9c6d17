package awskms

import (
	"context"
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kms"
)

// CiphertextConfig configures Ciphertexts.
type CiphertextConfig struct {
	// Client is the client whose credentials decide which keys can be used.
	// Required. Ciphertexts are those of its Region.
	Client Decrypter
	// KeyID is the key that must have encrypted: an id, an alias or an ARN.
	// Empty: any key that Filter allows.
	KeyID string
	// Filter says whose keys may have encrypted; nil allows all. Set it, or
	// KeyID: without either, who writes a ciphertext also chooses the key, of any
	// account that lets Client's credentials use one. The service tells which
	// key it was only in its answer, which is then dropped.
	Filter *Filter
	// GrantTokens go with every request, 10 at most.
	GrantTokens []string
}

// Ciphertexts opens what the Encrypt operation of the service returned for a
// symmetric key: a few bytes, encrypted by the service itself. It is not for
// messages of the AWS Encryption SDK, which keyrings are for. It may be used
// concurrently.
type Ciphertexts struct {
	config CiphertextConfig
}

// NewCiphertexts returns an error if there is no client, or the filter or the
// grant tokens are none.
func NewCiphertexts(cfg CiphertextConfig) (*Ciphertexts, error) {
	if cfg.Client == nil {
		return nil, errNoClient
	}
	if err := cfg.Filter.check(); err != nil {
		return nil, err
	}
	tokens, err := cloneGrantTokens(cfg.GrantTokens)
	if err != nil {
		return nil, err
	}
	cfg.Filter, cfg.GrantTokens = cfg.Filter.clone(), tokens
	return &Ciphertexts{cfg}, nil
}

// Open returns the plaintext of a ciphertext, which the caller owns and can
// clear. The encryption context must be the whole of what was given to encrypt.
func (c *Ciphertexts) Open(ctx context.Context, ciphertext []byte, encryptionContext map[string]string) ([]byte, error) {
	in := &kms.DecryptInput{
		CiphertextBlob:    ciphertext,
		EncryptionContext: encryptionContext,
		GrantTokens:       c.config.GrantTokens,
	}
	if c.config.KeyID != "" {
		in.KeyId = aws.String(c.config.KeyID)
	}
	out, err := c.config.Client.Decrypt(ctx, in)
	if err != nil {
		return nil, err
	}
	if err := c.checkKey(aws.ToString(out.KeyId)); err != nil {
		clear(out.Plaintext)
		return nil, err
	}
	return out.Plaintext, nil
}

// checkKey decides over the key that an answer names.
func (c *Ciphertexts) checkKey(used string) error {
	key, err := parseKeyARN(used)
	if err != nil {
		return fmt.Errorf("the answer names its key %q, which is no key ARN", used)
	}
	if _, err := parseKeyARN(c.config.KeyID); err == nil && used != c.config.KeyID {
		return fmt.Errorf("decrypting with %s: the answer is of key %q", c.config.KeyID, used)
	}
	if !c.config.Filter.allows(key) {
		return errors.New("the filter does not allow the partition and account of " + used)
	}
	return nil
}

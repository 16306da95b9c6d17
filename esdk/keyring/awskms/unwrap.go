package awskms

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kms"

	"github.com/keywright/keywright/esdk/internal/ecdhwrap"
	"github.com/keywright/keywright/esdk/keyring"
	"github.com/keywright/keywright/esdk/materials"
)

// errProviderInfo is why a message is refused whole: its provider id says that a
// key of the service encrypted the data key, and the rest does not say which.
var errProviderInfo = errors.New("the provider information is not a key ARN")

// opener decrypts one encrypted data key.
type opener func(context.Context) ([]byte, error)

// matcher decides over an encrypted data key. It returns how to open it, or an
// error with the reason to pass over it; neither if it is another provider's.
// errProviderInfo ends the search.
type matcher func(materials.EncryptedDataKey) (opener, error)

// unwrap is OnDecrypt of all keyrings here: it opens the first key it can of
// those that match, in their order. Nothing is opened before all are looked at.
func unwrap(ctx context.Context, m *materials.DecryptionMaterials, keys []materials.EncryptedDataKey, match matcher) error {
	if err := check(m.Suite, m.EncryptionContext); err != nil {
		return err
	}
	if m.DataKey != nil {
		return keyring.ErrHasDataKey
	}
	type candidate struct {
		key  materials.EncryptedDataKey
		open opener
	}
	var candidates []candidate
	var attempts []materials.Attempt
	for _, key := range keys {
		open, err := match(key)
		switch {
		case errors.Is(err, errProviderInfo):
			return &materials.UnwrapError{Attempts: []materials.Attempt{attempt(key, err)}}
		case err != nil:
			attempts = append(attempts, attempt(key, err))
		case open != nil:
			candidates = append(candidates, candidate{key, open})
		}
	}
	if len(candidates) > 0 {
		attempts = nil // why others were passed over is of no interest then
	}
	for _, c := range candidates {
		dataKey, err := c.open(ctx)
		if err == nil && len(dataKey) != m.Suite.KeyLen {
			clear(dataKey)
			err = fmt.Errorf("it decrypts to %d bytes, the algorithm suite needs %d", len(dataKey), m.Suite.KeyLen)
		}
		if err == nil {
			m.DataKey = dataKey
			return nil
		}
		attempts = append(attempts, attempt(c.key, err))
		if ctx.Err() != nil {
			break // the others would fail likewise
		}
	}
	return &materials.UnwrapError{Attempts: attempts}
}

// attempt names the key by its ARN, or by the recipient's public key in hex. A
// mutilated provider information is not text and is left out.
func attempt(key materials.EncryptedDataKey, err error) materials.Attempt {
	var info string
	if recipient, _, err := ecdhwrap.ParseInfo(key.ProviderInfo); err == nil {
		info = hex.EncodeToString(recipient)
	} else if len(key.ProviderInfo) <= maxIdentifierLen && utf8.Valid(key.ProviderInfo) {
		info = string(key.ProviderInfo)
	}
	return materials.Attempt{ProviderID: key.ProviderID, ProviderInfo: info, Err: err}
}

// decrypt asks the service, and makes sure that it decrypted with the key it was
// asked to: which key encrypted a message is what the caller trusts in.
func decrypt(ctx context.Context, client Decrypter, in *kms.DecryptInput) ([]byte, error) {
	out, err := client.Decrypt(ctx, in)
	if err != nil {
		return nil, fmt.Errorf("decrypting with %s: %w", *in.KeyId, err)
	}
	if got := aws.ToString(out.KeyId); got != *in.KeyId {
		clear(out.Plaintext)
		return nil, fmt.Errorf("decrypting with %s: the answer is of key %q", *in.KeyId, got)
	}
	return out.Plaintext, nil
}

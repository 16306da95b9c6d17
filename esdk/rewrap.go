package esdk

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/subtle"
	"fmt"
	"io"

	"github.com/keywright/keywright/esdk/internal/message"
	"github.com/keywright/keywright/esdk/materials"
	"github.com/keywright/keywright/esdk/suite"
)

// Rewrap copies a message from src to dst and replaces its encrypted data keys
// by those that the keyring makes of the same data key. The header is verified
// and written anew, with a random IV in place of zeros; the body is copied as it
// is, unverified. It takes the data key from nobody who has had it.
//
// Only messages of version 1 without a signature can be rewrapped; for others
// Rewrap returns ErrRewrap, before it asks for keys or writes anything. A
// signature covers the encrypted data keys. And the header of version 2 is
// authenticated with GCM under a nonce that the format fixes: with two such
// headers under one key, whoever holds both can forge.
func (c *Client) Rewrap(ctx context.Context, dst io.Writer, src io.Reader, from materials.Manager, to materials.Keyring, opts DecryptOptions) (*Header, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	in := &source{r: src, target: chunk}
	h, err := c.readHeader(in, opts)
	if err != nil {
		return nil, err
	}
	if h.Suite.Committing || h.Suite.Signature != suite.Unsigned {
		return nil, fmt.Errorf("%w (%v)", ErrRewrap, h.Suite.ID)
	}
	cipher, mat, err := c.unlock(ctx, h, from, opts)
	if err != nil {
		return nil, err
	}
	defer mat.Wipe()
	required, err := requiredContext(mat.EncryptionContext, mat.RequiredKeys)
	if err != nil {
		return nil, err
	}
	wrapped := &materials.EncryptionMaterials{
		Suite:             mat.Suite,
		EncryptionContext: mat.EncryptionContext,
		RequiredKeys:      mat.RequiredKeys,
		DataKey:           bytes.Clone(mat.DataKey),
	}
	defer wrapped.Wipe()
	if err := to.OnEncrypt(ctx, wrapped); err != nil {
		return nil, fmt.Errorf("encrypting the data key: %w", err)
	}
	if err := c.checkWrapped(wrapped, mat.DataKey); err != nil {
		return nil, err
	}
	out := &message.Header{
		Suite:       h.Suite,
		ID:          h.ID,
		Context:     h.Context,
		Keys:        wrapped.EncryptedDataKeys,
		FrameLength: h.FrameLength,
	}
	// Of 96 bits: neither the old header's IV nor a frame's, which begins with
	// zeros.
	for bytes.HasPrefix(out.IV[:], make([]byte, 8)) {
		rand.Read(out.IV[:])
	}
	if err := out.Marshal(); err != nil {
		return nil, err
	}
	cipher.SealHeader(out, required)
	if _, err := dst.Write(out.Append(nil)); err != nil {
		return nil, fmt.Errorf("writing the header: %w", err)
	}
	if _, err := io.Copy(dst, &untilDone{ctx, in}); err != nil {
		return nil, fmt.Errorf("copying the body: %w", err)
	}
	return newHeader(out, mat.EncryptionContext), nil
}

// checkWrapped is checkMaterials for a data key that was there before.
func (c *Client) checkWrapped(m *materials.EncryptionMaterials, dataKey []byte) error {
	if err := m.Validate(); err != nil {
		return err
	}
	if subtle.ConstantTimeCompare(m.DataKey, dataKey) != 1 {
		return fmt.Errorf("%w: the keyring encrypted another data key", materials.ErrMaterials)
	}
	if limit := int(c.config.MaxEncryptedDataKeys); limit > 0 && len(m.EncryptedDataKeys) > limit {
		return fmt.Errorf("%w: %d, of which %d are allowed", ErrTooManyKeys, len(m.EncryptedDataKeys), limit)
	}
	return nil
}

// untilDone reads until the context ends.
type untilDone struct {
	ctx context.Context
	r   io.Reader
}

func (u *untilDone) Read(p []byte) (int, error) {
	if err := u.ctx.Err(); err != nil {
		return 0, err
	}
	return u.r.Read(p)
}

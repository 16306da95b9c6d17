package esdk

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/keywright/keywright/esdk/internal/message"
	"github.com/keywright/keywright/esdk/materials"
	"github.com/keywright/keywright/esdk/suite"
)

// DecryptOptions are about one message. The zero value is fine.
type DecryptOptions struct {
	// EncryptionContext is what the caller expects: it must agree with what the
	// message stores, and must add what is authenticated and not stored. Keys
	// of the message that are missing here are not checked.
	EncryptionContext map[string]string
	// UnsignedOnly refuses signed messages with ErrSigned right after their
	// header: what a Reader then returns is final.
	UnsignedOnly bool
	// VerifyFirst makes NewReader verify the whole message before it returns.
	// If the source is an io.Seeker the message is read twice, else its
	// plaintext is held in memory.
	VerifyFirst bool
	// VerifyBuffer is how much plaintext VerifyFirst may hold in memory, in
	// bytes. Zero: 16 MiB.
	VerifyBuffer int64
	// SkipSignature makes NewReaderAt open a signed message without verifying
	// its signature, which needs all of it to be read. Frames are authenticated
	// all the same, but anybody who can decrypt the message may have written
	// them. Nothing else heeds it.
	SkipSignature bool
}

// Decrypt returns the plaintext of a message after all of it was verified, and
// its header. The errors are those of this package, of package materials and of
// the manager; with one, no plaintext is returned.
func (c *Client) Decrypt(ctx context.Context, m materials.Manager, msg []byte, opts DecryptOptions) ([]byte, *Header, error) {
	d, header, err := c.startDecryption(ctx, &source{buf: msg}, m, opts)
	if err != nil {
		return nil, nil, err
	}
	// The body is longer than its plaintext, so this is no more than the message.
	plain := make([]byte, 0, len(d.src.window()))
	for !d.done {
		if plain, err = d.next(ctx, plain); err != nil {
			clear(plain[:cap(plain)])
			return nil, nil, err
		}
	}
	return plain, header, nil
}

// startDecryption reads the header, gets the materials and verifies it.
func (c *Client) startDecryption(ctx context.Context, src *source, m materials.Manager, opts DecryptOptions) (*decryption, *Header, error) {
	if err := ctx.Err(); err != nil {
		return nil, nil, err
	}
	h, err := c.readHeader(src, opts)
	if err != nil {
		return nil, nil, err
	}
	cipher, mat, err := c.unlock(ctx, h, m, opts)
	if err != nil {
		return nil, nil, err
	}
	defer mat.Wipe()
	d := &decryption{src: src, header: h, cipher: cipher, key: mat.VerificationKey, goroutines: c.config.Workers}
	d.start(c.config.MaxFrameLength)
	return d, newHeader(h, mat.EncryptionContext), nil
}

// readHeader reads the header and refuses what can be refused before keys are
// asked for.
func (c *Client) readHeader(src *source, opts DecryptOptions) (*message.Header, error) {
	h, err := src.header(c.limits())
	if err != nil {
		return nil, err
	}
	if !c.config.Policy.AllowsDecrypt(h.Suite) {
		return nil, fmt.Errorf("%w: %v may not be read", materials.ErrCommitmentPolicy, h.Suite.ID)
	}
	if opts.UnsignedOnly && h.Suite.Signature != suite.Unsigned {
		return nil, ErrSigned
	}
	return h, nil
}

// unlock gets the materials, which the caller must wipe, checks the commitment
// and verifies the header.
func (c *Client) unlock(ctx context.Context, h *message.Header, m materials.Manager, opts DecryptOptions) (_ *message.Cipher, mat *materials.DecryptionMaterials, err error) {
	mat, err = m.DecryptionMaterials(ctx, materials.DecryptionRequest{
		Policy:            c.config.Policy,
		Suite:             h.Suite.ID,
		EncryptionContext: storedContext(h),
		EncryptedDataKeys: h.Keys,
		Reproduced:        opts.EncryptionContext,
	})
	if err != nil {
		return nil, nil, fmt.Errorf("getting decryption materials: %w", err)
	}
	wipe := mat.Wipe
	defer func() {
		if err != nil {
			wipe()
		}
	}()
	if err := mat.Validate(); err != nil {
		return nil, nil, err
	}
	if mat.Suite != h.Suite {
		return nil, nil, fmt.Errorf("%w: they are for %v, the message is in %v", materials.ErrMaterials, mat.Suite.ID, h.Suite.ID)
	}
	required, err := requiredContext(mat.EncryptionContext, mat.RequiredKeys)
	if err != nil {
		return nil, nil, err
	}
	cipher, err := openHeader(message.NewCipher, h, mat.DataKey, required)
	if errors.Is(err, ErrAuthentication) && !c.config.RefuseNet400 {
		// If that fails too, the first error tells more.
		if deviating, retry := openHeader(message.NewNet400Cipher, h, mat.DataKey, required); retry == nil {
			cipher, err = deviating, nil
		}
	}
	if err != nil {
		return nil, nil, err
	}
	return cipher, mat, nil
}

// openHeader checks the commitment and verifies the header.
func openHeader(newCipher func(suite.Suite, []byte, []byte) (*message.Cipher, error), h *message.Header, dataKey, required []byte) (*message.Cipher, error) {
	cipher, err := newCipher(h.Suite, h.ID, dataKey)
	if err != nil {
		return nil, err
	}
	// Before anything is decrypted or verified with the key: GCM alone lets one
	// message be valid under two keys.
	if !cipher.Commits(h) {
		return nil, ErrCommitment
	}
	if err := cipher.OpenHeader(h, required); err != nil {
		return nil, err
	}
	return cipher, nil
}

// checkReserved refuses keys of a context that belong to the format.
func checkReserved(context map[string]string) error {
	for k := range context {
		if strings.HasPrefix(k, materials.ReservedPrefix) {
			return fmt.Errorf("%w: %q", materials.ErrReservedKey, k)
		}
	}
	return nil
}

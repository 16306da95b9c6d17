package esdk

import (
	"context"
	"crypto/ecdsa"
	"fmt"
	"hash"
	"slices"
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

// decryption is a message that is being read.
type decryption struct {
	src     *source
	header  *message.Header
	cipher  *message.Cipher
	scan    *message.Scanner
	hash    hash.Hash
	key     *ecdsa.PublicKey // nil: unsigned
	frames  []message.Frame  // buffer
	workers int
	done    bool // all was verified
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
	d := &decryption{src: src, header: h, cipher: cipher, key: mat.VerificationKey, workers: c.config.Workers}
	d.start(c.config.MaxFrameLength)
	return d, newHeader(h, mat.EncryptionContext), nil
}

// readHeader reads the header and refuses what can be refused before keys are
// asked for.
func (c *Client) readHeader(src *source, opts DecryptOptions) (*message.Header, error) {
	h, err := message.ReadHeader(src, c.limits())
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
	cipher, err := message.NewCipher(h.Suite, h.ID, mat.DataKey)
	if err != nil {
		return nil, nil, err
	}
	// Before anything is decrypted or verified with the key: GCM alone lets one
	// message be valid under two keys.
	if !cipher.Commits(h) {
		return nil, nil, ErrCommitment
	}
	if err := cipher.OpenHeader(h, required); err != nil {
		return nil, nil, err
	}
	return cipher, mat, nil
}

// start begins with the body, or begins again.
func (d *decryption) start(maxUnframed uint32) {
	d.done = false
	d.scan = message.NewScanner(d.header, maxUnframed)
	if d.hash = message.NewHash(d.header.Suite.Signature); d.hash != nil {
		d.hash.Write(d.header.Append(nil))
	}
}

// next decrypts some frames and appends their plaintext to dst, in the order of
// the message. When the last frame is among them, it returns only after all
// that follows was verified, and sets done. What it appended before an error is
// not to be used, and is not returned.
func (d *decryption) next(ctx context.Context, dst []byte) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return dst, err
	}
	raw, err := d.cutFrames()
	if err != nil {
		return dst, err
	}
	start := len(dst)
	whole, err := d.open(ctx, dst, raw)
	if err == nil {
		d.src.advance(len(raw))
		if d.frames[len(d.frames)-1].Last() {
			err = d.finish()
		}
	}
	if err != nil {
		clear(whole[min(start, len(whole)):])
		return dst, err
	}
	return whole, nil
}

// cutFrames sets d.frames to at least one frame, all that are at hand and fit a
// batch, and returns their bytes.
func (d *decryption) cutFrames() ([]byte, error) {
	d.frames = d.frames[:0]
	at := 0
	for at < batch(d.workers) && len(d.frames) < maxFrames {
		f, size, err := d.scan.Next(d.src.window()[at:])
		if err != nil {
			return nil, err
		}
		if at+size > len(d.src.window()) {
			if at > 0 {
				break
			}
			if err := d.src.body(size, "the body"); err != nil {
				return nil, err
			}
			continue
		}
		at += size
		d.frames = append(d.frames, f)
		if f.Last() {
			break
		}
	}
	return d.src.window()[:at], nil
}

// open decrypts d.frames, of which raw are the bytes, and hashes raw beside it.
func (d *decryption) open(ctx context.Context, dst, raw []byte) ([]byte, error) {
	start := len(dst)
	each := d.frames[0].PlaintextLen() // all have as much but for the last
	last := d.frames[len(d.frames)-1].PlaintextLen()
	size := (len(d.frames)-1)*each + last
	dst = slices.Grow(dst, size)[:start+size]
	out := dst[start:]

	per := max(1, chunk/max(1, each))
	work := func(i int) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		var scratch message.Scratch
		for f := i * per; f < min(len(d.frames), (i+1)*per); f++ {
			at := f * each
			if _, err := d.cipher.OpenFrame(out[at:at:size], &d.frames[f], &scratch); err != nil {
				return &FrameError{Frame: d.frames[f].Seq, Err: err}
			}
		}
		return nil
	}
	items, workers := (len(d.frames)+per-1)/per, d.workers
	if items == 1 {
		workers = 1 // a goroutine would cost more than it brings
	}
	if d.hash == nil {
		return dst, inOrder(workers, items, work, nil)
	}
	// The bytes to hash are there already, so hashing waits for no frame.
	return dst, inOrder(workers, 1+items, func(i int) error {
		if i == 0 {
			d.hash.Write(raw)
			return nil
		}
		return work(i - 1)
	}, nil)
}

// finish verifies what follows the last frame.
func (d *decryption) finish() error {
	if d.hash != nil {
		if err := d.verifyFooter(); err != nil {
			return err
		}
	}
	if err := d.src.end(); err != nil {
		return err
	}
	d.done = true
	return nil
}

func (d *decryption) verifyFooter() error {
	for range 2 {
		if err := d.src.body(message.FooterLen(d.src.window()), "the signature"); err != nil {
			return err
		}
	}
	n := message.FooterLen(d.src.window())
	if err := message.VerifyFooter(d.src.window()[:n], d.key, d.hash.Sum(nil)); err != nil {
		return err
	}
	d.src.advance(n)
	return nil
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

package esdk

import (
	"context"
	"crypto/ecdsa"
	"crypto/rand"
	"fmt"
	"hash"
	"slices"

	"github.com/keywright/keywright/esdk/internal/message"
	"github.com/keywright/keywright/esdk/materials"
	"github.com/keywright/keywright/esdk/suite"
)

// EncryptOptions are about one message. The zero value is fine.
type EncryptOptions struct {
	// EncryptionContext is authenticated and, but for keys that the manager
	// holds back, stored in the clear. Keys may not begin with
	// materials.ReservedPrefix; all of it may take 65535 bytes.
	EncryptionContext map[string]string
	// Suite and FrameLength replace those of the client's Config where they are
	// not zero.
	Suite       suite.ID
	FrameLength uint32
	// PlaintextBound is, for streams, how many bytes will be written at most.
	// It counts towards the limits of a manager that caches data keys, which
	// cannot be used if it is not known. Zero: not known.
	PlaintextBound int64
}

// Encrypt returns the message that holds plaintext. It returns an error of the
// manager, materials.ErrCommitmentPolicy, ErrTooManyKeys, ErrTooLong, or one of
// the encryption context.
func (c *Client) Encrypt(ctx context.Context, m materials.Manager, plaintext []byte, opts EncryptOptions) ([]byte, *Header, error) {
	e, header, err := c.startEncryption(ctx, m, int64(len(plaintext)), opts)
	if err != nil {
		return nil, nil, err
	}
	frames := len(plaintext)/e.frameLength + 1
	size := len(e.header) + len(plaintext) + frames*message.RegularOverhead + message.FinalOverhead + 128
	dst := append(make([]byte, 0, size), e.header...)
	if dst, err = e.seal(ctx, dst, plaintext, true); err != nil {
		return nil, nil, err
	}
	return dst, header, nil
}

// encryption is a message that is being written.
type encryption struct {
	header      []byte // as it stands in the message
	cipher      *message.Cipher
	frameLength int
	seq         uint64 // of the next frame
	hash        hash.Hash
	key         *ecdsa.PrivateKey // nil: unsigned
	workers     int
}

// startEncryption gets the materials and makes the header. Length is the
// plaintext's, or materials.UnknownLength.
func (c *Client) startEncryption(ctx context.Context, m materials.Manager, length int64, opts EncryptOptions) (*encryption, *Header, error) {
	if err := ctx.Err(); err != nil {
		return nil, nil, err
	}
	if opts.Suite == 0 {
		opts.Suite = c.config.Suite
	}
	if opts.FrameLength == 0 {
		opts.FrameLength = c.config.FrameLength
	}
	if opts.FrameLength > maxLength {
		return nil, nil, errFrameLength
	}
	if err := c.mayEncrypt(opts); err != nil {
		return nil, nil, err
	}
	mat, err := m.EncryptionMaterials(ctx, materials.EncryptionRequest{
		Policy:            c.config.Policy,
		Suite:             opts.Suite,
		EncryptionContext: opts.EncryptionContext,
		PlaintextLength:   length,
	})
	if err != nil {
		return nil, nil, fmt.Errorf("getting encryption materials: %w", err)
	}
	defer mat.Wipe()
	if err := c.checkMaterials(mat, opts.Suite); err != nil {
		return nil, nil, err
	}
	h := &message.Header{
		Suite:       mat.Suite,
		ID:          make([]byte, message.IDSize(mat.Suite)),
		Context:     stored(mat.EncryptionContext, mat.RequiredKeys),
		Keys:        mat.EncryptedDataKeys,
		FrameLength: opts.FrameLength,
	}
	rand.Read(h.ID)
	required, err := requiredContext(mat.EncryptionContext, mat.RequiredKeys)
	if err != nil {
		return nil, nil, err
	}
	cipher, err := message.NewCipher(mat.Suite, h.ID, mat.DataKey)
	if err != nil {
		return nil, nil, err
	}
	h.Commitment = cipher.Commitment()
	if err := h.Marshal(); err != nil {
		return nil, nil, err
	}
	cipher.SealHeader(h, required)
	e := &encryption{
		header:      h.Append(nil),
		cipher:      cipher,
		frameLength: int(opts.FrameLength),
		seq:         1,
		hash:        message.NewHash(mat.Suite.Signature),
		key:         mat.SigningKey,
		workers:     c.config.Workers,
	}
	if e.hash != nil {
		e.hash.Write(e.header)
	}
	return e, newHeader(h, mat.EncryptionContext), nil
}

// mayEncrypt refuses what can be refused before keys are asked for.
func (c *Client) mayEncrypt(opts EncryptOptions) error {
	if opts.Suite != 0 {
		s, ok := suite.Lookup(opts.Suite)
		if !ok {
			return fmt.Errorf("%w: %v", materials.ErrUnknownSuite, opts.Suite)
		}
		if !c.config.Policy.AllowsEncrypt(s) {
			return fmt.Errorf("%w: %v may not be written", materials.ErrCommitmentPolicy, s.ID)
		}
	}
	return checkReserved(opts.EncryptionContext)
}

// checkMaterials trusts no manager: a wrong suite or key would make a message
// that is less than what was asked for.
func (c *Client) checkMaterials(m *materials.EncryptionMaterials, asked suite.ID) error {
	if err := m.Validate(); err != nil {
		return err
	}
	if !c.config.Policy.AllowsEncrypt(m.Suite) {
		return fmt.Errorf("%w: %v may not be written", materials.ErrCommitmentPolicy, m.Suite.ID)
	}
	if asked != 0 && m.Suite.ID != asked {
		return fmt.Errorf("%w: they are for %v, asked for was %v", materials.ErrMaterials, m.Suite.ID, asked)
	}
	if limit := int(c.config.MaxEncryptedDataKeys); limit > 0 && len(m.EncryptedDataKeys) > limit {
		return fmt.Errorf("%w: %d, of which %d are allowed", ErrTooManyKeys, len(m.EncryptedDataKeys), limit)
	}
	return nil
}

// seal appends plaintext as frames to dst: as regular ones, of which it must be
// a multiple, or with last as the rest of the message, the footer included.
func (e *encryption) seal(ctx context.Context, dst, plaintext []byte, last bool) ([]byte, error) {
	regular := len(plaintext) / e.frameLength
	final := 0
	if last {
		// A plaintext that fills its frames ends with a full final frame.
		if final = 1; regular > 0 && regular*e.frameLength == len(plaintext) {
			regular--
		}
	}
	if e.seq+uint64(regular) > message.MaxRegular+1 {
		return nil, ErrTooLong
	}
	size := regular * (e.frameLength + message.RegularOverhead)
	if last {
		size += len(plaintext) - regular*e.frameLength + message.FinalOverhead
	}
	start := len(dst)
	dst = slices.Grow(dst, size)[:start+size]
	out := dst[start:]

	frames := regular + final
	per := max(1, chunk/e.frameLength)
	sealed := func(frame int) int { return min(size, frame*(e.frameLength+message.RegularOverhead)) }
	work := func(i int) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		var scratch message.Scratch
		for f := i * per; f < min(frames, (i+1)*per); f++ {
			kind, p := message.Regular, plaintext[f*e.frameLength:]
			if f == regular {
				kind = message.Final
			} else {
				p = p[:e.frameLength]
			}
			at := sealed(f)
			e.cipher.SealFrame(out[at:at:size], p, kind, uint32(e.seq+uint64(f)), &scratch)
		}
		return nil
	}
	var then func(int)
	if e.hash != nil {
		then = func(i int) {
			to := size
			if (i+1)*per < frames {
				to = sealed((i + 1) * per)
			}
			e.hash.Write(out[sealed(i*per):to])
		}
	}
	if err := inOrder(e.workers, (frames+per-1)/per, work, then); err != nil {
		return nil, err
	}
	e.seq += uint64(frames)
	if last && e.hash != nil {
		return message.AppendFooter(dst, e.key, e.hash.Sum(nil))
	}
	return dst, nil
}

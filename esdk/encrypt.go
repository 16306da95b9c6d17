package esdk

import (
	"context"
	"crypto/ecdsa"
	"crypto/rand"
	"fmt"
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
	size, err := e.sealedLen(len(plaintext), true)
	if err != nil {
		return nil, nil, err
	}
	dst := append(make([]byte, 0, len(e.header)+size+message.MaxFooter), e.header...)
	if dst, err = e.sealWhole(ctx, dst, plaintext); err != nil {
		return nil, nil, err
	}
	return dst, header, nil
}

// encryption is a message that is being written.
type encryption struct {
	header      []byte // as it stands in the message
	cipher      *message.Cipher
	frameLength int
	seq         uint64            // of the next frame
	digest      *digest           // nil: unsigned
	key         *ecdsa.PrivateKey // the same
	workers     int               // goroutines beside the digest's
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
		key:         mat.SigningKey,
	}
	e.digest, e.workers = newDigest(mat.Suite, c.config.Workers)
	e.digest.write(e.header)
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

// sealWhole appends plaintext as all the frames of a message to dst, and the
// footer.
func (e *encryption) sealWhole(ctx context.Context, dst, plaintext []byte) ([]byte, error) {
	size, err := e.sealedLen(len(plaintext), true)
	if err != nil {
		return nil, err
	}
	start, per := len(dst), e.perJob()
	dst = slices.Grow(dst, size)
	if len(plaintext) <= per {
		dst = e.sealSpan(dst, &span{seq: 1, plain: plaintext, last: true})
		e.digest.write(dst[start:])
		return e.appendFooter(dst)
	}
	dst = dst[:start+size]
	rest, out := plaintext, dst[start:]
	workers := min(e.workers, 1+len(plaintext)/per)
	type job struct {
		span
		sealed []byte
	}
	jobs := make([]job, slotsFor(workers))
	p := pipeline{
		fill: func(slot int) (bool, error) {
			if len(out) == 0 {
				return false, nil
			}
			j, n := &jobs[slot], min(per, len(rest))
			size, err := e.reserve(&j.span, rest[:n], n == len(rest))
			if err != nil {
				return false, err
			}
			j.sealed, out, rest = out[:size:size], out[size:], rest[n:]
			return true, nil
		},
		work: func(slot int) error {
			e.sealSpan(jobs[slot].sealed[:0], &jobs[slot].span)
			return nil
		},
	}
	if e.digest != nil {
		p.emit = func(slot int) error {
			e.digest.lend(jobs[slot].sealed)
			return nil
		}
	}
	if err := p.run(ctx, workers, len(jobs)); err != nil {
		e.digest.giveBack()
		return nil, err
	}
	return e.appendFooter(dst)
}

// A span is some frames of a message before they are sealed.
type span struct {
	seq     uint64 // of the first
	plain   []byte
	last    bool // the last of them is the message's
	scratch message.Scratch
}

// perJob is how many bytes of plaintext one goroutine seals at a time: whole
// frames, at least one, and sealed a chunk at most.
func (e *encryption) perJob() int {
	return max(1, chunk/(e.frameLength+message.RegularOverhead)) * e.frameLength
}

// regular is how many of that many bytes fill frames that cannot be the last.
func (e *encryption) regular(plaintext int) int {
	return max(0, plaintext-1) / e.frameLength * e.frameLength
}

// sealedLen is how many bytes the next frames take: regular ones, of which
// plaintext must be a multiple, or with last the rest of the message. It returns
// ErrTooLong if the message has no room for them.
func (e *encryption) sealedLen(plaintext int, last bool) (int, error) {
	regular, final := plaintext/e.frameLength, 0
	if last {
		// A plaintext that fills its frames ends with a full final frame.
		regular, final = e.regular(plaintext)/e.frameLength, message.FinalOverhead
	}
	if e.seq+uint64(regular) > message.MaxRegular+1 {
		return 0, ErrTooLong
	}
	return plaintext + regular*message.RegularOverhead + final, nil
}

// reserve makes s the next frames of the message, and returns how many bytes
// they take.
func (e *encryption) reserve(s *span, plaintext []byte, last bool) (int, error) {
	size, err := e.sealedLen(len(plaintext), last)
	if err != nil {
		return 0, err
	}
	s.seq, s.plain, s.last = e.seq, plaintext, last
	e.seq += uint64((len(plaintext) + e.frameLength - 1) / e.frameLength)
	return size, nil
}

// sealSpan appends frames to dst. It may be called concurrently.
func (e *encryption) sealSpan(dst []byte, s *span) []byte {
	regular := len(s.plain)
	if s.last {
		regular = e.regular(regular)
	}
	first := uint32(s.seq)
	dst = e.cipher.SealRun(dst, s.plain[:regular], first, e.frameLength, &s.scratch)
	if s.last {
		dst = e.cipher.SealFinal(dst, s.plain[regular:], first+uint32(regular/e.frameLength), &s.scratch)
	}
	return dst
}

// appendFooter appends what follows the last frame, if anything does.
func (e *encryption) appendFooter(dst []byte) ([]byte, error) {
	if e.digest == nil {
		return dst, nil
	}
	return message.AppendFooter(dst, e.key, e.digest.sum())
}

package esdk

import (
	"errors"
	"fmt"

	"github.com/keywright/keywright/esdk/internal/message"
)

// The errors of reading and writing messages. Those of keys, policies and
// encryption contexts are in package materials: ErrCommitmentPolicy,
// ErrUnknownSuite, ErrReservedKey, ErrContextTooLarge, ErrContextMismatch,
// ErrMissingContext, *UnwrapError. All are to be found by errors.Is and
// errors.As.
var (
	// ErrBase64 is a message that was not decoded from base64.
	ErrBase64 = message.ErrBase64
	// ErrVersion is input that is no message, or one of another version or type.
	ErrVersion = message.ErrVersion
	// ErrMalformed is a message that does not follow the format.
	ErrMalformed = message.ErrMalformed
	// ErrTruncated is a message that ends early, before its signature too.
	ErrTruncated = message.ErrTruncated
	// ErrTrailingData is input that goes on after the message.
	ErrTrailingData = message.ErrTrailingData
	// ErrTooManyKeys is a message with more encrypted data keys than
	// Config.MaxEncryptedDataKeys.
	ErrTooManyKeys = message.ErrTooManyKeys
	// ErrTooLarge is a message that exceeds one of the sizes in Config or
	// DecryptOptions.
	ErrTooLarge = message.ErrTooLarge
	// ErrTooLong is a plaintext that would take more than 2^32-1 frames: use
	// longer frames.
	ErrTooLong = message.ErrTooLong
	// ErrFrameSequence is a frame that is missing, repeated or out of order.
	ErrFrameSequence = message.ErrFrameSequence
	// ErrFrameLength is a final frame longer than the frame length.
	ErrFrameLength = message.ErrFrameLength
	// ErrAuthentication is a header or, in a *FrameError, a frame that was
	// changed, or an encryption context that is not the message's.
	ErrAuthentication = message.ErrAuthentication
	// ErrCommitment is a message that was not written with the data key that
	// it carries.
	ErrCommitment = errors.New("esdk: the message does not commit to its data key")
	// ErrSignature is a signature that does not verify.
	ErrSignature = message.ErrSignature
	// ErrSigned is a signed message where DecryptOptions.UnsignedOnly is set.
	ErrSigned = errors.New("esdk: the message is signed, and only unsigned ones are wanted")
	// ErrPlaintextBound is a plaintext longer than EncryptOptions.PlaintextBound.
	ErrPlaintextBound = errors.New("esdk: the plaintext is longer than announced")
	// ErrUnframed is a message without frames where random access needs them.
	ErrUnframed = errors.New("esdk: random access needs a message with frames")
	// ErrRewrap is a message whose encrypted data keys cannot be replaced.
	ErrRewrap = errors.New("esdk: the encrypted data keys of this message cannot be replaced: encrypt it anew")

	errFrameLength  = errors.New("esdk: a frame length of more than 2147483647 bytes")
	errClosed       = errors.New("esdk: write to a closed Writer")
	errNegativeSize = errors.New("esdk: negative offset or size")
)

// FrameError says which frame could not be verified.
type FrameError struct {
	Frame uint32 // from 1
	Err   error
}

func (e *FrameError) Error() string { return fmt.Sprintf("frame %d: %v", e.Frame, e.Err) }

// Unwrap returns the cause.
func (e *FrameError) Unwrap() error { return e.Err }

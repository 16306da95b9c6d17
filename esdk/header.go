package esdk

import (
	"io"
	"maps"
	"math"

	"github.com/keywright/keywright/esdk/internal/message"
	"github.com/keywright/keywright/esdk/materials"
	"github.com/keywright/keywright/esdk/suite"
)

// Header is what a message says about itself. It belongs to the caller.
type Header struct {
	Version   int // of the format: 1 or 2
	Suite     suite.Suite
	MessageID []byte // random: 16 bytes in version 1, 32 in version 2
	// EncryptionContext is the whole context: what the message stores and, but
	// for Inspect, what is authenticated without being stored.
	EncryptionContext map[string]string
	EncryptedDataKeys []materials.EncryptedDataKey
	FrameLength       uint32 // bytes of plaintext; zero: the body has no frames
	Length            int    // bytes the header takes in the message
}

func newHeader(h *message.Header, context map[string]string) *Header {
	return &Header{
		Version:           h.Version(),
		Suite:             h.Suite,
		MessageID:         h.ID,
		EncryptionContext: context,
		EncryptedDataKeys: h.Keys,
		FrameLength:       h.FrameLength,
		Length:            h.Len(),
	}
}

func storedContext(h *message.Header) map[string]string {
	context := make(map[string]string, len(h.Context))
	for _, p := range h.Context {
		context[p.Key] = p.Value
	}
	return context
}

// Inspect reads the header at the beginning of r without a key. Nothing of it
// is verified: anybody may have written it. It reads nothing beyond the header,
// checks no policy, and of the limits only Config.MaxHeaderLength.
func (c *Client) Inspect(r io.Reader) (*Header, error) {
	h, err := message.ReadHeader(r, message.Limits{
		HeaderLength: int(c.config.MaxHeaderLength),
		FrameLength:  math.MaxUint32,
	})
	if err != nil {
		return nil, err
	}
	return newHeader(h, storedContext(h)), nil
}

// requiredContext serializes what is authenticated and not stored.
func requiredContext(context map[string]string, required []string) ([]byte, error) {
	if len(required) == 0 {
		return nil, nil
	}
	only := make(map[string]string, len(required))
	for _, k := range required {
		only[k] = context[k]
	}
	return materials.AppendContext(nil, only)
}

// stored returns the context but for the required keys, sorted for a header.
func stored(context map[string]string, required []string) []materials.Pair {
	if len(required) == 0 {
		return message.SortedPairs(context)
	}
	rest := maps.Clone(context)
	for _, k := range required {
		delete(rest, k)
	}
	return message.SortedPairs(rest)
}

// Package esdk encrypts and decrypts data in the message format of the AWS
// Encryption SDK: envelope encryption, where each message has a data key of its
// own, which one or more wrapping keys encrypt, and carries the encrypted data
// keys with it. Messages can be exchanged with every other implementation of
// the format.
//
// A Client reads and writes messages, whole or as streams. Where data keys come
// from is a materials.Manager's business; Using makes one of a keyring. Ready
// keyrings are in esdk/keyring and esdk/keyring/awskms.
//
// The encryption context of a message, a few strings of the caller's, is
// authenticated and not secret. What a signed message adds is that whoever may
// only decrypt cannot have written it.
//
// The package knows no keys, calls no service and is not for data at rest that
// changes in place: a message is written once.
//
// Source: the AWS Encryption SDK specification, "Client APIs".
package esdk

import (
	"cmp"
	"math"
	"runtime"

	"github.com/keywright/keywright/esdk/internal/message"
	"github.com/keywright/keywright/esdk/materials"
	"github.com/keywright/keywright/esdk/suite"
)

const (
	defaultFrameLength  = 4096
	defaultMaxFrame     = 16 << 20
	defaultMaxHeader    = 16 << 20
	defaultVerifyBuffer = 16 << 20

	// maxLength is the longest frame, less on 32-bit machines, where a batch
	// must fit an int.
	maxLength = min(math.MaxInt32, math.MaxInt-1<<28)
)

// Config configures a Client. The zero value is secure, and right for most.
type Config struct {
	// Policy says which suites may be written and read, by whether they commit
	// to their key. The zero value: only those that do.
	Policy materials.CommitmentPolicy
	// Suite is what messages are written with. Zero: the policy's default,
	// which signs.
	Suite suite.ID
	// FrameLength is how many bytes of plaintext a frame of a written message
	// has, at most 2^31-1. A reader holds at least one frame in memory. Zero:
	// 4096.
	FrameLength uint32
	// MaxEncryptedDataKeys is how many encrypted data keys a message may have,
	// written or read. Each may cost a reader a call of a service. Zero: no
	// limit but the format's, 65535.
	MaxEncryptedDataKeys uint16
	// MaxFrameLength is how long frames of a read message, and bodies without
	// frames, may be, in bytes, at most 2^31-1. It bounds the memory a hostile
	// message costs. Zero: 16 MiB.
	MaxFrameLength uint32
	// MaxHeaderLength is how long the header of a read message may be, in
	// bytes. Zero: 16 MiB.
	MaxHeaderLength uint32
	// RefuseNet400 refuses messages of the AWS Encryption SDK for .NET 4.0.0
	// that deviate from the format. Otherwise they are read, as every official
	// implementation does unless it is told not to. They are authenticated like
	// others, but where a suite does not commit to its key, the key of such a
	// message does not depend on the message's id.
	RefuseNet400 bool
	// Workers is how many goroutines may encrypt or decrypt one message at a
	// time. None outlives the call that started it but the one that hashes a
	// signed stream, which is done within some milliseconds, even if the
	// stream is given up. One is enough for whoever has as many messages at a
	// time as cores. Zero: GOMAXPROCS.
	Workers int
}

// Client reads and writes messages. It may be used concurrently.
type Client struct {
	config Config
}

// New returns a Client. What config asks for and cannot be had, such as a suite
// that the policy forbids, is an error of the calls that need it.
func New(config Config) *Client {
	config.FrameLength = cmp.Or(config.FrameLength, defaultFrameLength)
	config.MaxFrameLength = min(cmp.Or(config.MaxFrameLength, defaultMaxFrame), maxLength)
	config.MaxHeaderLength = min(cmp.Or(config.MaxHeaderLength, defaultMaxHeader), maxLength)
	if config.Workers <= 0 {
		config.Workers = runtime.GOMAXPROCS(0)
	}
	return &Client{config}
}

func (c *Client) limits() message.Limits {
	return message.Limits{
		EncryptedDataKeys: int(c.config.MaxEncryptedDataKeys),
		HeaderLength:      int(c.config.MaxHeaderLength),
		FrameLength:       c.config.MaxFrameLength,
	}
}

// Using returns the default manager for a keyring: each message gets a data key
// and, where its suite signs, a signing key of its own.
func Using(k materials.Keyring) materials.Manager { return materials.NewDefaultManager(k) }

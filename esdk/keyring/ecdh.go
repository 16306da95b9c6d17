package keyring

import (
	"bytes"
	"context"
	"crypto/ecdh"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/keywright/keywright/esdk/internal/ecdhwrap"
	"github.com/keywright/keywright/esdk/materials"
)

// The provider ids of data keys wrapped under an agreed secret. They differ only
// in where the writer's private key lies, so a raw ECDH keyring reads both.
const (
	rawECDHProvider = "raw-ecdh"
	kmsECDHProvider = "aws-kms-ecdh"
)

// RawECDH wraps data keys under a secret that two elliptic curve keys in memory
// agree upon, on P-256, P-384 or P-521. The encryption context and both public
// keys are authenticated. Which of the keys the keyring has decides what it can
// do:
//
//   - [NewRawECDH], a private key and the other side's public key: encrypts,
//     and decrypts what either side wrote.
//   - [NewEphemeralECDH], a public key: encrypts, with a sender's key made for
//     each message. Not even the writer can read the message, and the reader
//     does not learn who the writer is.
//   - [NewDiscoveryECDH], a private key: decrypts what anybody wrote to it.
type RawECDH struct {
	curve     ecdh.Curve
	curveName string
	private   *ecdh.PrivateKey // nil: a new one for each message
	peer      *ecdh.PublicKey  // nil: whoever the data key names
	ownPoint  []byte           // public keys as compressed points
	peerPoint []byte
}

// NewRawECDH returns a keyring that agrees on secrets between its private key
// and the peer's public key (the specification's RawPrivateKeyToStaticPublicKey).
// Both must be of the same curve.
func NewRawECDH(private *ecdh.PrivateKey, peer *ecdh.PublicKey) (*RawECDH, error) {
	if private == nil || peer == nil {
		return nil, errors.New("esdk: a raw ECDH keyring needs a private key and the other side's public key")
	}
	return newECDH(private, peer)
}

// NewEphemeralECDH returns a keyring that only encrypts, to the recipient's
// public key (the specification's EphemeralPrivateKeyToStaticPublicKey).
func NewEphemeralECDH(recipient *ecdh.PublicKey) (*RawECDH, error) {
	if recipient == nil {
		return nil, errors.New("esdk: an ephemeral ECDH keyring needs the recipient's public key")
	}
	return newECDH(nil, recipient)
}

// NewDiscoveryECDH returns a keyring that only decrypts, whatever names its key
// as the recipient (the specification's PublicKeyDiscovery). Anybody who has the
// public key can write such messages.
func NewDiscoveryECDH(private *ecdh.PrivateKey) (*RawECDH, error) {
	if private == nil {
		return nil, errors.New("esdk: a discovery ECDH keyring needs a private key")
	}
	return newECDH(private, nil)
}

func newECDH(private *ecdh.PrivateKey, peer *ecdh.PublicKey) (*RawECDH, error) {
	k := &RawECDH{private: private, peer: peer}
	if private != nil {
		k.curve = private.Curve()
	}
	if peer != nil {
		if k.curve != nil && k.curve != peer.Curve() {
			return nil, fmt.Errorf("esdk: the private key is on %v and the public key on %v", k.curve, peer.Curve())
		}
		k.curve = peer.Curve()
	}
	var ok bool
	if k.curveName, ok = ecdhwrap.Curve(k.curve); !ok {
		return nil, fmt.Errorf("esdk: a raw ECDH key is on P-256, P-384 or P-521, not on %v", k.curve)
	}
	if private != nil {
		k.ownPoint = ecdhwrap.Compress(private.PublicKey())
	}
	if peer != nil {
		k.peerPoint = ecdhwrap.Compress(peer)
	}
	return k, nil
}

// OnEncrypt wraps the data key, and makes it first if there is none. The error
// is ErrDecryptOnly from a discovery keyring.
func (k *RawECDH) OnEncrypt(_ context.Context, m *materials.EncryptionMaterials) error {
	return encrypt(k, m)
}

// OnDecrypt unwraps the first of the keys that names this keyring's keys and
// opens. The error is an *materials.UnwrapError if none does, with
// ErrEncryptOnly in it for each key that an ephemeral keyring might have
// written.
func (k *RawECDH) OnDecrypt(_ context.Context, m *materials.DecryptionMaterials, keys []materials.EncryptedDataKey) error {
	return decrypt(k, m, keys)
}

func (k *RawECDH) wrap(context map[string]string, dataKey []byte) (materials.EncryptedDataKey, error) {
	if k.peer == nil {
		return materials.EncryptedDataKey{}, ErrDecryptOnly
	}
	private, sender := k.private, k.ownPoint
	if private == nil {
		var err error
		if private, err = k.curve.GenerateKey(rand.Reader); err != nil {
			return materials.EncryptedDataKey{}, fmt.Errorf("esdk: making an ephemeral key: %w", err)
		}
		sender = ecdhwrap.Compress(private.PublicKey())
	}
	z, err := private.ECDH(k.peer)
	if err != nil {
		return materials.EncryptedDataKey{}, fmt.Errorf("esdk: agreeing on a secret: %w", err)
	}
	defer clear(z)
	info, ciphertext, err := ecdhwrap.Wrap(z, sender, k.peerPoint, k.curveName, context, dataKey)
	if err != nil {
		return materials.EncryptedDataKey{}, err
	}
	return materials.EncryptedDataKey{ProviderID: rawECDHProvider, ProviderInfo: info, Ciphertext: ciphertext}, nil
}

func (k *RawECDH) match(edk materials.EncryptedDataKey) (string, bool) {
	if edk.ProviderID != rawECDHProvider && edk.ProviderID != kmsECDHProvider {
		return "", false
	}
	recipient, sender, err := ecdhwrap.ParseInfo(edk.ProviderInfo)
	if err != nil {
		return "", false
	}
	name := hex.EncodeToString(recipient)
	switch {
	case k.private == nil:
		return name, bytes.Equal(recipient, k.peerPoint)
	case k.peer == nil:
		return name, bytes.Equal(recipient, k.ownPoint)
	}
	// What this side wrote, or what the other did.
	return name, bytes.Equal(sender, k.ownPoint) && bytes.Equal(recipient, k.peerPoint) ||
		bytes.Equal(sender, k.peerPoint) && bytes.Equal(recipient, k.ownPoint)
}

func (k *RawECDH) unwrap(context map[string]string, edk materials.EncryptedDataKey, _ int) ([]byte, error) {
	if k.private == nil {
		return nil, ErrEncryptOnly
	}
	peer := k.peer
	if peer == nil {
		_, sender, err := ecdhwrap.ParseInfo(edk.ProviderInfo)
		if err != nil {
			return nil, err
		}
		if peer, err = ecdhwrap.Decompress(k.curve, sender); err != nil {
			return nil, err
		}
	}
	z, err := k.private.ECDH(peer)
	if err != nil {
		return nil, fmt.Errorf("esdk: agreeing on a secret: %w", err)
	}
	defer clear(z)
	dataKey, err := ecdhwrap.Unwrap(z, edk.ProviderInfo, edk.Ciphertext, k.curveName, context)
	if errors.Is(err, ecdhwrap.ErrUnwrap) || errors.Is(err, ecdhwrap.ErrCiphertext) {
		return nil, ErrUnwrap
	}
	return dataKey, err
}

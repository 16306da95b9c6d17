package cli

import (
	"bytes"
	"crypto/ecdh"
	"encoding/binary"

	"github.com/keywright/keywright/esdk"
	"github.com/keywright/keywright/esdk/materials"
)

// namedKeyring is a keyring of which it is known, without asking anybody, how a
// message names the data keys that it wraps.
//
// Source for the provider information of each keyring: the AWS Encryption SDK
// specification.
type namedKeyring struct {
	materials.Keyring
	provider string
	info     []byte
	more     int // bytes that follow info, other ones each time
}

func (n *namedKeyring) named(k materials.EncryptedDataKey) bool {
	return k.ProviderID == n.provider && len(k.ProviderInfo) == len(n.info)+n.more && bytes.HasPrefix(k.ProviderInfo, n.info)
}

// wrappedBy returns a function that tells whether a message has the data keys
// that these keyrings wrap, in their order, and no others. It returns nil if a
// keyring's are not known.
func wrappedBy(rings []materials.Keyring) func(*esdk.Header) bool {
	named := make([]*namedKeyring, len(rings))
	for i, r := range rings {
		var ok bool
		if named[i], ok = r.(*namedKeyring); !ok {
			return nil
		}
	}
	return func(h *esdk.Header) bool {
		if len(h.EncryptedDataKeys) != len(named) {
			return false
		}
		for i, k := range h.EncryptedDataKeys {
			if !named[i].named(k) {
				return false
			}
		}
		return true
	}
}

// aesInfoMore is the length of what follows the name of a raw AES key: the
// lengths of tag and IV, and the IV.
const aesInfoMore = 4 + 4 + 12

const ecdhInfoVersion = 1

// ecdhInfo names the keys of an ECDH keyring. Without a sender it ends after the
// recipient.
func ecdhInfo(recipient, sender *ecdh.PublicKey) []byte {
	info := appendPoint([]byte{ecdhInfoVersion}, recipient)
	if sender != nil {
		info = appendPoint(info, sender)
	}
	return info
}

// appendPoint appends a public key as a compressed point, after its length.
func appendPoint(b []byte, key *ecdh.PublicKey) []byte {
	whole := key.Bytes() // 4, x and y
	size := (len(whole) - 1) / 2
	b = binary.BigEndian.AppendUint32(b, uint32(1+size))
	b = append(b, 2+whole[len(whole)-1]&1)
	return append(b, whole[1:1+size]...)
}

package materials

import (
	"bytes"
	"crypto/sha512"
	"encoding/binary"
	"slices"
)

// cacheID is the identity of a cache's entry: a hash of the partition, the kind
// of the materials and all of the request that they depend on. The scheme is
// that of the Encryption SDKs for Java and Python 1 to 4, so that their
// published answers test it. As each part is hashed by itself, no two requests
// can be told into one; the lengths of what is hashed last tell the kinds
// apart.
type cacheID [sha512.Size]byte

// encryptID is the identity of materials to encrypt with.
func encryptID(partition cacheID, req EncryptionRequest) (cacheID, error) {
	context, err := hashContext(req.EncryptionContext)
	if err != nil {
		return cacheID{}, err
	}
	var buf [3 + 2*sha512.Size]byte
	b := append(buf[:0], partition[:]...)
	b = append(b, 1) // a suite follows
	b = binary.BigEndian.AppendUint16(b, uint16(req.Suite))
	b = append(b, context[:]...)
	return sha512.Sum512(b), nil
}

// decryptID is the identity of materials to decrypt with. A reproduced context,
// which that scheme does not know, is added at the end; it cannot be taken for
// a part of another request, for the block of zeros keeps its place.
func decryptID(partition cacheID, req DecryptionRequest) (cacheID, error) {
	if err := checkKeySizes(req.EncryptedDataKeys); err != nil {
		return cacheID{}, err
	}
	context, err := hashContext(req.EncryptionContext)
	if err != nil {
		return cacheID{}, err
	}
	var buf [2 + 8*sha512.Size]byte
	b := append(buf[:0], partition[:]...)
	b = binary.BigEndian.AppendUint16(b, uint16(req.Suite))
	b = appendKeyHashes(b, req.EncryptedDataKeys)
	b = append(b, make([]byte, sha512.Size)...)
	b = append(b, context[:]...)
	if len(req.Reproduced) > 0 {
		reproduced, err := hashContext(req.Reproduced)
		if err != nil {
			return cacheID{}, err
		}
		b = append(b, reproduced[:]...)
	}
	return sha512.Sum512(b), nil
}

// noContext is hashContext of an empty one.
var noContext = sha512.Sum512(nil)

func hashContext(context map[string]string) (cacheID, error) {
	if len(context) == 0 {
		return noContext, nil
	}
	var buf [512]byte
	b, err := AppendContext(buf[:0], context)
	return sha512.Sum512(b), err
}

// appendKeyHashes appends the sorted hashes of the keys. Their order in a
// message does not matter: any of them yields the data key.
func appendKeyHashes(dst []byte, keys []EncryptedDataKey) []byte {
	if len(keys) == 1 {
		h := hashKey(keys[0])
		return append(dst, h[:]...)
	}
	hashes := make([]cacheID, len(keys))
	for i, k := range keys {
		hashes[i] = hashKey(k)
	}
	slices.SortFunc(hashes, func(a, b cacheID) int { return bytes.Compare(a[:], b[:]) })
	for i := range hashes {
		dst = append(dst, hashes[i][:]...)
	}
	return dst
}

func hashKey(k EncryptedDataKey) cacheID {
	var buf [768]byte
	b := appendString(buf[:0], k.ProviderID)
	b = appendString(b, k.ProviderInfo)
	b = appendString(b, k.Ciphertext)
	return sha512.Sum512(b)
}

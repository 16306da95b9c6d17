package materials

import "crypto/sha512"

// EncryptID and DecryptID are the identities a manager of that partition gives
// to requests.
func EncryptID(partition string, req EncryptionRequest) ([64]byte, error) {
	return encryptID(sha512.Sum512([]byte(partition)), req)
}

func DecryptID(partition string, req DecryptionRequest) ([64]byte, error) {
	return decryptID(sha512.Sum512([]byte(partition)), req)
}

// Keys returns the data keys of the cache's entries themselves, the most
// recently used first.
func (c *LocalCache) Keys() [][]byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	var keys [][]byte
	for l := c.recent.Front(); l != nil; l = l.Next() {
		keys = append(keys, l.Value.(*entry).key)
	}
	return keys
}

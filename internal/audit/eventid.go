package audit

import (
	"crypto/rand"
	"encoding/hex"
	"sync"
)

// idPool holds random bytes ahead, so that an id does not cost a call into the
// kernel. Ids are public; what matters is that they never repeat.
var idPool struct {
	sync.Mutex
	buf  [256 * 16]byte
	left int
}

func randomID() (id [16]byte) {
	idPool.Lock()
	defer idPool.Unlock()
	if idPool.left == 0 {
		rand.Read(idPool.buf[:]) // never fails
		idPool.left = len(idPool.buf)
	}
	idPool.left -= len(id)
	copy(id[:], idPool.buf[idPool.left:])
	return id
}

// NewEventID returns a fresh random UUID (RFC 9562, version 4).
func NewEventID() string {
	id := randomID()
	id[6] = id[6]&0x0f | 0x40
	id[8] = id[8]&0x3f | 0x80
	var text [36]byte
	hex.Encode(text[0:8], id[0:4])
	text[8] = '-'
	hex.Encode(text[9:13], id[4:6])
	text[13] = '-'
	hex.Encode(text[14:18], id[6:8])
	text[18] = '-'
	hex.Encode(text[19:23], id[8:10])
	text[23] = '-'
	hex.Encode(text[24:36], id[10:16])
	return string(text[:])
}

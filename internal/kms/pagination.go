package kms

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"

	"github.com/keywright/keywright/internal/awsapi"
	"github.com/keywright/keywright/internal/call"
	"github.com/keywright/keywright/internal/kmsapi"
	"github.com/keywright/keywright/internal/store"
)

// page is one page of a listing: at most limit entries with from <= path < to.
type page struct {
	from, to []byte
	limit    int
	next     func(path []byte) string // the marker that continues at path
}

const markerMACSize = 16

// page reads the marker and limit of a listing of the paths under prefix.
//
// A marker is the rest of the path to go on from, with a MAC under a key of the
// deployment over it, the operation and the prefix (which holds account, Region
// and key): one made for another listing, or made up, is refused. 128 bits are
// enough for a MAC that can only be tried online.
func (s *Service) page(c *call.Call, prefix []byte, marker string, limit *int32, defaultLimit int) (page, error) {
	p := page{from: prefix, to: store.PrefixEnd(prefix), limit: defaultLimit}
	if limit != nil {
		p.limit = int(*limit)
	}
	mac := func(rest []byte) []byte {
		h := hmac.New(sha256.New, s.markerKey[:])
		h.Write([]byte(c.Operation))
		h.Write([]byte{0})
		h.Write(prefix)
		h.Write([]byte{0})
		h.Write(rest)
		return h.Sum(nil)[:markerMACSize]
	}
	p.next = func(path []byte) string {
		rest := path[len(prefix):]
		return base64.RawURLEncoding.EncodeToString(append(mac(rest), rest...))
	}
	if marker == "" {
		return p, nil
	}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(marker)
	if err != nil || len(raw) < markerMACSize || !hmac.Equal(raw[:markerMACSize], mac(raw[markerMACSize:])) {
		return page{}, awsapi.Errorf(kmsapi.CodeInvalidMarkerException, "Invalid marker.")
	}
	p.from = append(prefix[:len(prefix):len(prefix)], raw[markerMACSize:]...)
	return p, nil
}

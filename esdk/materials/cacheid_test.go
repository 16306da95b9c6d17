package materials_test

import (
	"encoding/base64"
	"errors"
	"testing"

	"github.com/keywright/keywright/esdk/materials"
)

// Source of the ids: aws-encryption-sdk-python, test/unit/caches/test_caches.py.
func TestCacheIDsPublished(t *testing.T) {
	const partition = "c15b9079-6d0e-42b6-8784-5e804b025692"
	full := map[string]string{"this": "is", "a": "non-empty", "encryption": "context"}
	keys := []materials.EncryptedDataKey{
		{ProviderID: "this is a provider ID", ProviderInfo: []byte("this is some key info"),
			Ciphertext: []byte("super secret key, now with encryption!")},
		{ProviderID: "another provider ID!", ProviderInfo: []byte("this is some different key info"),
			Ciphertext: []byte("better super secret key, now with encryption!")},
	}
	for _, tc := range []struct {
		context map[string]string
		want    string
	}{
		{nil, "3icBIkLK4V3fVwbm3zSxUdUQV6ZvZYUOLl8buN36g6gDMqAkghcGryxX7QiVABkW1JhB6GRp5z+bzbiuciBcKQ=="},
		{full, "mRNK7qhTb/kJiiyGPgAevp0gwFRcET4KeeNYwZHhoEDvSUzQiDgl8Of+YRDaVzKxAqpNBgcAuFXde9JlaRRsmw=="},
	} {
		got, err := materials.EncryptID(partition, materials.EncryptionRequest{Suite: 0x0378, EncryptionContext: tc.context})
		if err != nil || base64.StdEncoding.EncodeToString(got[:]) != tc.want {
			t.Errorf("EncryptID with %q = %x, %v; want %s", tc.context, got, err, tc.want)
		}
	}
	for _, tc := range []struct {
		req  materials.DecryptionRequest
		want string
	}{
		{materials.DecryptionRequest{Suite: 0x0114, EncryptedDataKeys: keys[:1]},
			"n0zVzk9QIVxhz6ET+aJIKKOJNxtpGtSe1yAbu7WU5l272Iw/jmhlER4psDHJs9Mr8KYiIvLGSXzggNDCc23+9w=="},
		{materials.DecryptionRequest{Suite: 0x0378, EncryptedDataKeys: keys, EncryptionContext: full},
			"+rtwUe38CGnczGmYu12iqGWHIyDyZ44EvYQ4S6ACmsgS8VaEpiw0RTGpDk6Z/7YYN/jVHOAcNKDyCNP8EmstFg=="},
		{materials.DecryptionRequest{Suite: 0x0378, EncryptionContext: full,
			EncryptedDataKeys: []materials.EncryptedDataKey{keys[1], keys[0]}},
			"+rtwUe38CGnczGmYu12iqGWHIyDyZ44EvYQ4S6ACmsgS8VaEpiw0RTGpDk6Z/7YYN/jVHOAcNKDyCNP8EmstFg=="},
	} {
		got, err := materials.DecryptID(partition, tc.req)
		if err != nil || base64.StdEncoding.EncodeToString(got[:]) != tc.want {
			t.Errorf("DecryptID of %v = %x, %v; want %s", tc.req.Suite, got, err, tc.want)
		}
	}
}

func TestCacheIDsDiffer(t *testing.T) {
	a, b := map[string]string{"a": "1"}, map[string]string{"b": "2"}
	key := func(id, info, ciphertext string) materials.EncryptedDataKey {
		return materials.EncryptedDataKey{ProviderID: id, ProviderInfo: []byte(info), Ciphertext: []byte(ciphertext)}
	}
	keys := func(k ...materials.EncryptedDataKey) []materials.EncryptedDataKey { return k }
	seen := make(map[[64]byte]int)
	n := 0
	add := func(id [64]byte, err error) {
		n++
		if err != nil {
			t.Fatalf("no. %d: %v", n, err)
		}
		if other, dup := seen[id]; dup {
			t.Errorf("no. %d has the id of no. %d", n, other)
		}
		seen[id] = n
	}
	for _, partition := range []string{"", "p", "p\x00"} {
		for _, context := range []map[string]string{nil, a, b} {
			add(materials.EncryptID(partition, materials.EncryptionRequest{Suite: 0x0578, EncryptionContext: context}))
			add(materials.EncryptID(partition, materials.EncryptionRequest{Suite: 0x0478, EncryptionContext: context}))
			for _, k := range [][]materials.EncryptedDataKey{
				nil, keys(key("x", "y", "z")), keys(key("xy", "", "z")), keys(key("x", "yz", "")),
				keys(key("x", "y", "z"), key("x", "y", "z")), keys(key("x", "y", "z"), key("xy", "", "z")),
			} {
				for _, reproduced := range []map[string]string{nil, a, b} {
					add(materials.DecryptID(partition, materials.DecryptionRequest{
						Suite: 0x0578, EncryptionContext: context, EncryptedDataKeys: k, Reproduced: reproduced}))
				}
			}
		}
	}
	if n != 3*3*(2+6*3) {
		t.Errorf("%d ids", n)
	}
}

func TestCacheIDsRefuse(t *testing.T) {
	bad := map[string]string{"k": "\xff"}
	if _, err := materials.EncryptID("", materials.EncryptionRequest{EncryptionContext: bad}); !errors.Is(err, materials.ErrContextInvalid) {
		t.Errorf("encrypting: %v, want ErrContextInvalid", err)
	}
	if _, err := materials.DecryptID("", materials.DecryptionRequest{EncryptionContext: bad}); !errors.Is(err, materials.ErrContextInvalid) {
		t.Errorf("decrypting: %v, want ErrContextInvalid", err)
	}
	if _, err := materials.DecryptID("", materials.DecryptionRequest{Reproduced: bad}); !errors.Is(err, materials.ErrContextInvalid) {
		t.Errorf("reproduced: %v, want ErrContextInvalid", err)
	}
	long := []materials.EncryptedDataKey{{ProviderInfo: make([]byte, 1<<16)}}
	if _, err := materials.DecryptID("", materials.DecryptionRequest{EncryptedDataKeys: long}); !errors.Is(err, materials.ErrMaterials) {
		t.Errorf("a field of 65536 bytes: %v, want ErrMaterials", err)
	}
}

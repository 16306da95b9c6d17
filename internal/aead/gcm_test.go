package aead_test

import (
	"bytes"
	"crypto/aes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io/fs"
	"testing"

	"github.com/c2sp/wycheproof"

	"github.com/keywright/keywright/internal/aead"
)

// TestWycheproof runs the vectors that fit: keys of 256 bits, IVs of 96, tags of
// 128, the only ones the package uses.
func TestWycheproof(t *testing.T) {
	data, err := fs.ReadFile(wycheproof.TestVectors, "aes_gcm_test.json")
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		TestGroups []struct {
			IVSize, KeySize, TagSize int
			Tests                    []struct {
				ID                         int `json:"tcId"`
				Key, IV, AAD, Msg, CT, Tag hexBytes
				Result                     string
			}
		}
	}
	if err := json.Unmarshal(data, &file); err != nil {
		t.Fatal(err)
	}
	valid, invalid := 0, 0
	for _, group := range file.TestGroups {
		if group.IVSize != 96 || group.KeySize != 256 || group.TagSize != 128 {
			continue
		}
		for _, test := range group.Tests {
			sealed := append(append(bytes.Clone(test.IV), test.CT...), test.Tag...)
			got, err := aead.NewGCM(test.Key).Open(nil, nil, sealed, test.AAD)
			switch test.Result {
			case "valid":
				valid++
				if err != nil || !bytes.Equal(got, test.Msg) {
					t.Errorf("test %d: returned %x, %v; want %x", test.ID, got, err, test.Msg)
				}
			case "invalid":
				invalid++
				if err == nil {
					t.Errorf("test %d: an invalid message opened", test.ID)
				}
			default:
				t.Errorf("test %d: unknown result %q", test.ID, test.Result)
			}
		}
	}
	if valid < 30 || invalid < 20 {
		t.Errorf("ran %d valid and %d invalid vectors; expected at least 30 and 20", valid, invalid)
	}
}

// TestTwoKeyCollision makes one IV, ciphertext and tag that AES-GCM opens under
// two keys, from two keys of ours with the same N, and shows that Open takes it
// under the key it commits to and under that one only.
func TestTwoKeyCollision(t *testing.T) {
	const label = "keywright/test"
	context, n, iv := bytes.Repeat([]byte{3}, 32), [16]byte{4}, [12]byte{5}
	key1, key2 := bytes.Repeat([]byte{1}, 32), bytes.Repeat([]byte{2}, 32)
	derived1 := aead.DeriveKeys(key1, label, context, n)
	derived2 := aead.DeriveKeys(key2, label, context, n)
	gcm1, gcm2 := derived1[:32], derived2[:32]

	message := collide(t, gcm1, gcm2, iv)
	plain1, err1 := aead.NewGCM(gcm1).Open(nil, nil, message, nil)
	plain2, err2 := aead.NewGCM(gcm2).Open(nil, nil, message, nil)
	if err1 != nil || err2 != nil {
		t.Fatalf("the collision does not open under plain AES-GCM: %v, %v", err1, err2)
	}
	if bytes.Equal(plain1, plain2) {
		t.Fatal("the collision has one plaintext")
	}

	for i, commitment := range [][]byte{derived1[32:], derived2[32:]} {
		sealed := append(append(append([]byte{}, n[:]...), commitment...), message...)
		for j, key := range [][]byte{key1, key2} {
			got, err := aead.Open(nil, key, label, context, nil, sealed)
			if i == j && (err != nil || !bytes.Equal(got, [][]byte{plain1, plain2}[j])) {
				t.Errorf("Open under key %d, to which the message commits, returned %x, %v", j+1, got, err)
			}
			if i != j && (!errors.Is(err, aead.ErrOpen) || got != nil) {
				t.Errorf("Open under key %d of a message that commits to key %d returned %x, %v; want ErrOpen", j+1, i+1, got, err)
			}
		}
	}
}

// collide returns IV || C || T, with C of one block and no additional data, that
// AES-GCM opens under both keys. The tag is T = C*H^2 + L*H + S over GF(2^128),
// with H = AES(0), S = AES(IV || 1) and L the block of lengths; set equal for
// both keys, that is linear in C.
func collide(t *testing.T, key1, key2 []byte, iv [12]byte) []byte {
	t.Helper()
	var zero, counter [16]byte
	copy(counter[:], iv[:])
	counter[15] = 1
	h1, s1 := encryptBlock(t, key1, zero), encryptBlock(t, key1, counter)
	h2, s2 := encryptBlock(t, key2, zero), encryptBlock(t, key2, counter)
	lengths := element{lo: 128} // 0 bits of additional data, 128 of ciphertext

	left := h1.mul(h1).add(h2.mul(h2))
	right := lengths.mul(h1.add(h2)).add(s1).add(s2)
	c := right.mul(left.inverse())
	tag := c.mul(h1).mul(h1).add(lengths.mul(h1)).add(s1)

	out := append([]byte{}, iv[:]...)
	out = append(out, c.bytes()...)
	return append(out, tag.bytes()...)
}

func encryptBlock(t *testing.T, key []byte, in [16]byte) element {
	t.Helper()
	block, err := aes.NewCipher(key)
	if err != nil {
		t.Fatal(err)
	}
	var out [16]byte
	block.Encrypt(out[:], in[:])
	return element{binary.BigEndian.Uint64(out[:8]), binary.BigEndian.Uint64(out[8:])}
}

// element is one of GF(2^128) in GCM's bit order: the first bit of the block is
// the coefficient of x^0 (SP 800-38D section 6.3).
type element struct{ hi, lo uint64 }

func (a element) add(b element) element { return element{a.hi ^ b.hi, a.lo ^ b.lo} }

func (a element) mul(b element) element {
	var z element
	hi, lo := a.hi, a.lo
	for range 128 {
		if hi>>63 == 1 {
			z = z.add(b)
		}
		hi, lo = hi<<1|lo>>63, lo<<1
		carry := b.lo & 1
		b.lo = b.lo>>1 | b.hi<<63
		b.hi >>= 1
		if carry == 1 {
			b.hi ^= 0xe1 << 56
		}
	}
	return z
}

// inverse is a^(2^128 - 2).
func (a element) inverse() element {
	result := element{hi: 1 << 63} // one
	for range 127 {
		a = a.mul(a)
		result = result.mul(a)
	}
	return result
}

func (a element) bytes() []byte {
	return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(nil, a.hi), a.lo)
}

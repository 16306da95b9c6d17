package ecdhwrap_test

import (
	"bytes"
	"crypto/ecdh"
	"crypto/rand"
	"errors"
	"slices"
	"testing"

	"github.com/keywright/keywright/esdk/internal/ecdhwrap"
	"github.com/keywright/keywright/esdk/materials"
)

var curves = map[string]ecdh.Curve{
	ecdhwrap.P256: ecdh.P256(), ecdhwrap.P384: ecdh.P384(), ecdhwrap.P521: ecdh.P521(),
}

// agreement is what two keys agreed upon.
type agreement struct {
	curve                string
	z, sender, recipient []byte
}

func newAgreement(t testing.TB, name string) agreement {
	t.Helper()
	var keys [2]*ecdh.PrivateKey
	for i := range keys {
		var err error
		if keys[i], err = curves[name].GenerateKey(rand.Reader); err != nil {
			t.Fatal(err)
		}
	}
	z, err := keys[0].ECDH(keys[1].PublicKey())
	if err != nil {
		t.Fatal(err)
	}
	return agreement{name, z, ecdhwrap.Compress(keys[0].PublicKey()), ecdhwrap.Compress(keys[1].PublicKey())}
}

// Whether keys and layouts are right, package keyring tests against other
// implementations. Here is what Unwrap has to refuse.
func TestUnwrap(t *testing.T) {
	context := map[string]string{"a": "b"}
	dataKey := bytes.Repeat([]byte{9}, 32)
	for curve := range curves {
		t.Run(curve, func(t *testing.T) {
			a := newAgreement(t, curve)
			info, ciphertext, err := ecdhwrap.Wrap(a.z, a.sender, a.recipient, curve, context, dataKey)
			if err != nil {
				t.Fatal(err)
			}
			if want := 9 + 2*len(a.sender); len(info) != want || len(ciphertext) != 32+32+32+16 {
				t.Errorf("got %d and %d bytes, want %d and 112", len(info), len(ciphertext), want)
			}
			got, err := ecdhwrap.Unwrap(a.z, info, ciphertext, curve, context)
			if err != nil || !bytes.Equal(got, dataKey) {
				t.Fatalf("got %x, %v", got, err)
			}
			otherZ := bytes.Clone(a.z)
			otherZ[0] ^= 1
			swapped, _, err := ecdhwrap.Wrap(a.z, a.recipient, a.sender, curve, context, dataKey)
			if err != nil {
				t.Fatal(err)
			}
			for name, c := range map[string]struct {
				z, info, ciphertext []byte
				context             map[string]string
				want                error
			}{
				"another secret":  {otherZ, info, ciphertext, context, ecdhwrap.ErrUnwrap},
				"another context": {a.z, info, ciphertext, nil, ecdhwrap.ErrUnwrap},
				"swapped keys":    {a.z, swapped, ciphertext, context, ecdhwrap.ErrUnwrap},
				"salt":            {a.z, info, flip(ciphertext, 0), context, ecdhwrap.ErrUnwrap},
				"commitment":      {a.z, info, flip(ciphertext, 32), context, ecdhwrap.ErrUnwrap},
				"data key":        {a.z, info, flip(ciphertext, 64), context, ecdhwrap.ErrUnwrap},
				"tag":             {a.z, info, flip(ciphertext, 96), context, ecdhwrap.ErrUnwrap},
				"no data key":     {a.z, info, ciphertext[:80], context, ecdhwrap.ErrCiphertext},
				"empty":           {a.z, info, nil, context, ecdhwrap.ErrCiphertext},
				"version":         {a.z, flip(info, 0), ciphertext, context, ecdhwrap.ErrInfo},
				"bad context":     {a.z, info, ciphertext, map[string]string{"\xff": ""}, materials.ErrContextInvalid},
			} {
				if got, err := ecdhwrap.Unwrap(c.z, c.info, c.ciphertext, curve, c.context); !errors.Is(err, c.want) || got != nil {
					t.Errorf("%s: got %x, %v, want %v", name, got, err, c.want)
				}
			}
		})
	}
}

func TestWrapArguments(t *testing.T) {
	a := newAgreement(t, ecdhwrap.P256)
	other := newAgreement(t, ecdhwrap.P384)
	uncompressed := append([]byte{4}, make([]byte, 64)...)
	for name, c := range map[string]agreement{
		"curve":        {"p224", a.z, a.sender, a.recipient},
		"upper case":   {"P256", a.z, a.sender, a.recipient},
		"short secret": {"p256", a.z[1:], a.sender, a.recipient},
		"other secret": {"p256", other.z, a.sender, a.recipient},
		"other sender": {"p256", a.z, other.sender, a.recipient},
		"uncompressed": {"p256", a.z, a.sender, uncompressed},
		"no recipient": {"p256", a.z, a.sender, nil},
		"bad prefix":   {"p256", a.z, a.sender, make([]byte, 33)},
	} {
		if _, _, err := ecdhwrap.Wrap(c.z, c.sender, c.recipient, c.curve, nil, make([]byte, 32)); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if _, _, err := ecdhwrap.Wrap(a.z, a.sender, a.recipient, a.curve, map[string]string{"\xff": ""}, nil); !errors.Is(err, materials.ErrContextInvalid) {
		t.Errorf("got %v", err)
	}
}

// The salt is random, so no wrapping key is used twice with the zero nonce.
func TestWrapTwice(t *testing.T) {
	a := newAgreement(t, ecdhwrap.P256)
	seen := map[string]bool{}
	for range 10 {
		_, ciphertext, err := ecdhwrap.Wrap(a.z, a.sender, a.recipient, a.curve, nil, make([]byte, 32))
		if err != nil {
			t.Fatal(err)
		}
		seen[string(ciphertext[:32])] = true
		seen[string(ciphertext[64:])] = true
	}
	if len(seen) != 20 {
		t.Errorf("got %d different salts and wrapped keys, want 20", len(seen))
	}
}

func TestPoints(t *testing.T) {
	for name, curve := range curves {
		if got, ok := ecdhwrap.Curve(curve); !ok || got != name {
			t.Errorf("got %q, %v, want %q", got, ok, name)
		}
		for range 20 { // both signs of y, and leading zeros
			key, err := curve.GenerateKey(rand.Reader)
			if err != nil {
				t.Fatal(err)
			}
			got, err := ecdhwrap.Decompress(curve, ecdhwrap.Compress(key.PublicKey()))
			if err != nil || !got.Equal(key.PublicKey()) {
				t.Errorf("%s: got %v, %v", name, got, err)
			}
		}
		size := len(ecdhwrap.Compress(newKey(t, curve)))
		for what, b := range map[string][]byte{
			"nothing":     nil,
			"infinity":    {0},
			"not reduced": append([]byte{2}, bytes.Repeat([]byte{0xff}, size-1)...),
			"wrong sign":  append([]byte{4}, make([]byte, size-1)...),
		} {
			if _, err := ecdhwrap.Decompress(curve, b); !errors.Is(err, ecdhwrap.ErrPoint) {
				t.Errorf("%s: %s: got %v", name, what, err)
			}
		}
		// Half of all x lie on no point.
		off := 0
		for x := range 40 {
			b := make([]byte, size)
			b[0], b[size-1] = 2, byte(x)
			if _, err := ecdhwrap.Decompress(curve, b); errors.Is(err, ecdhwrap.ErrPoint) {
				off++
			}
		}
		if off < 5 || off > 35 {
			t.Errorf("%s: %d of 40 x are on no point", name, off)
		}
	}
	if name, ok := ecdhwrap.Curve(ecdh.X25519()); ok {
		t.Errorf("X25519 is %q", name)
	}
}

func FuzzParseInfo(f *testing.F) {
	for name := range curves {
		a := newAgreement(f, name)
		info, _, err := ecdhwrap.Wrap(a.z, a.sender, a.recipient, name, nil, make([]byte, 16))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(info)
		f.Add(info[:len(info)-1])
		f.Add(append(info, 0))
	}
	// Two curves in one.
	short, long := make([]byte, 33), make([]byte, 49)
	short[0], long[0] = 2, 3
	f.Add(slices.Concat([]byte{1, 0, 0, 0, 33}, short, []byte{0, 0, 0, 49}, long))
	f.Add([]byte{1, 0xff, 0xff, 0xff, 0xff, 2})
	f.Fuzz(func(t *testing.T, info []byte) {
		recipient, sender, err := ecdhwrap.ParseInfo(info)
		if err != nil {
			if !errors.Is(err, ecdhwrap.ErrInfo) || recipient != nil || sender != nil {
				t.Fatalf("got %x, %x, %v", recipient, sender, err)
			}
			return
		}
		// What is accepted is what Wrap writes for these keys.
		curve := map[int]string{33: "p256", 49: "p384", 67: "p521"}[len(sender)]
		again, _, err := ecdhwrap.Wrap(make([]byte, len(sender)-1), sender, recipient, curve, nil, make([]byte, 16))
		if err != nil || !bytes.Equal(again, info) {
			t.Fatalf("got %x, %v, want %x", again, err, info)
		}
	})
}

func BenchmarkWrap(b *testing.B) {
	for name := range curves {
		b.Run(name, func(b *testing.B) {
			a := newAgreement(b, name)
			dataKey := make([]byte, 32)
			b.SetBytes(int64(len(dataKey)))
			b.ReportAllocs()
			for b.Loop() {
				if _, _, err := ecdhwrap.Wrap(a.z, a.sender, a.recipient, name, nil, dataKey); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func newKey(t *testing.T, curve ecdh.Curve) *ecdh.PublicKey {
	key, err := curve.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key.PublicKey()
}

func flip(b []byte, i int) []byte {
	b = bytes.Clone(b)
	b[i] ^= 0x80
	return b
}

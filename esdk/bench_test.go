package esdk_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"io"
	mrand "math/rand/v2"
	"testing"

	"github.com/keywright/keywright/esdk"
	"github.com/keywright/keywright/esdk/materials"
	"github.com/keywright/keywright/esdk/suite"
)

const benchSize = 16 << 20

// cached hands out the same materials again and again, as a caching manager
// does.
type cached struct {
	enc materials.EncryptionMaterials
	dec materials.DecryptionMaterials
}

func newCached(b *testing.B, id suite.ID) *cached {
	b.Helper()
	s, _ := suite.Lookup(id)
	enc, err := static().EncryptionMaterials(b.Context(), materials.EncryptionRequest{Policy: policyFor(s), Suite: id})
	if err != nil {
		b.Fatal(err)
	}
	c := &cached{enc: *enc, dec: materials.DecryptionMaterials{Suite: s, EncryptionContext: enc.EncryptionContext}}
	if enc.SigningKey != nil {
		c.dec.VerificationKey = &enc.SigningKey.PublicKey
	}
	return c
}

func (c *cached) EncryptionMaterials(context.Context, materials.EncryptionRequest) (*materials.EncryptionMaterials, error) {
	m := c.enc
	m.DataKey = counting(m.Suite.KeyLen)
	return &m, nil
}

func (c *cached) DecryptionMaterials(context.Context, materials.DecryptionRequest) (*materials.DecryptionMaterials, error) {
	m := c.dec
	m.DataKey = counting(m.Suite.KeyLen)
	return &m, nil
}

// BenchmarkPlainGCM is what the others are measured by: AES-256-GCM over pieces
// of 4096 bytes, on one core.
func BenchmarkPlainGCM(b *testing.B) {
	plaintext, out := make([]byte, benchSize), make([]byte, 0, 8192)
	g, nonce := gcm(b, counting(32)), make([]byte, 12)
	b.SetBytes(benchSize)
	b.ReportAllocs()
	for b.Loop() {
		for p := plaintext; len(p) > 0; p = p[4096:] {
			binary.BigEndian.PutUint32(nonce, binary.BigEndian.Uint32(nonce)+1)
			g.Seal(out, nonce, p[:4096], nil)
		}
	}
}

var benchSuites = map[string]suite.ID{"unsigned": suite.AES256GCMCommit, "signed": suite.AES256GCMCommitP384}

// forEach runs f for each kind of message and number of workers.
func forEach(b *testing.B, size int, f func(b *testing.B, c *esdk.Client, m materials.Manager, plaintext, msg []byte)) {
	for _, name := range []string{"unsigned", "signed"} {
		id := benchSuites[name]
		for _, workers := range []int{1, 2} {
			b.Run(fmt.Sprintf("%s/workers=%d", name, workers), func(b *testing.B) {
				c, m, plaintext := clientFor(id, 4096, workers), newCached(b, id), make([]byte, size)
				rand.Read(plaintext)
				msg := encrypt(b, c, m, plaintext)
				b.SetBytes(int64(size))
				b.ReportAllocs()
				f(b, c, m, plaintext, msg)
			})
		}
	}
}

func benchEncrypt(b *testing.B, c *esdk.Client, m materials.Manager, plaintext, _ []byte) {
	for b.Loop() {
		if _, _, err := c.Encrypt(b.Context(), m, plaintext, esdk.EncryptOptions{}); err != nil {
			b.Fatal(err)
		}
	}
}

func benchDecrypt(b *testing.B, c *esdk.Client, m materials.Manager, _, msg []byte) {
	for b.Loop() {
		if _, _, err := c.Decrypt(b.Context(), m, msg, esdk.DecryptOptions{}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkEncrypt(b *testing.B)     { forEach(b, benchSize, benchEncrypt) }
func BenchmarkDecrypt(b *testing.B)     { forEach(b, benchSize, benchDecrypt) }
func BenchmarkEncrypt1KiB(b *testing.B) { forEach(b, 1<<10, benchEncrypt) }
func BenchmarkDecrypt1KiB(b *testing.B) { forEach(b, 1<<10, benchDecrypt) }

func BenchmarkWriter(b *testing.B) {
	forEach(b, benchSize, func(b *testing.B, c *esdk.Client, m materials.Manager, plaintext, _ []byte) {
		for b.Loop() {
			w, err := c.NewWriter(b.Context(), io.Discard, m, esdk.EncryptOptions{})
			if err != nil {
				b.Fatal(err)
			}
			for p := plaintext; len(p) > 0; p = p[32<<10:] {
				if _, err := w.Write(p[:32<<10]); err != nil {
					b.Fatal(err)
				}
			}
			if err := w.Close(); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkReader(b *testing.B) {
	forEach(b, benchSize, func(b *testing.B, c *esdk.Client, m materials.Manager, _, msg []byte) {
		for b.Loop() {
			r, err := c.NewReader(b.Context(), bytes.NewReader(msg), m, esdk.DecryptOptions{})
			if err != nil {
				b.Fatal(err)
			}
			if _, err := io.Copy(io.Discard, r); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkReadAt reads 4 KiB anywhere in a message of 64 MiB.
func BenchmarkReadAt(b *testing.B) {
	c, m := clientFor(suite.AES256GCMCommit, 4096, 1), newCached(b, suite.AES256GCMCommit)
	const size = 64 << 20
	msg := encrypt(b, c, m, make([]byte, size))
	at, err := c.NewReaderAt(b.Context(), bytes.NewReader(msg), int64(len(msg)), m, esdk.DecryptOptions{})
	if err != nil {
		b.Fatal(err)
	}
	for name, align := range map[string]int64{"aligned": 4096, "anywhere": 1} {
		b.Run(name, func(b *testing.B) {
			p := make([]byte, 4096)
			b.SetBytes(int64(len(p)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := at.ReadAt(p, mrand.Int64N((size-4096)/align)*align); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

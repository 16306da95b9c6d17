package interop_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	"github.com/keywright/keywright/esdk"
	"github.com/keywright/keywright/esdk/materials"
	"github.com/keywright/keywright/esdk/suite"
)

// soak is whether to exchange every combination rather than each value often.
var soak = os.Getenv("KEYWRIGHT_SOAK") == "1"

// publicKeyField is where signed messages store their verification key.
const publicKeyField = "aws-crypto-public-key"

// A peer is another implementation. K is what it makes materials of.
type peer[K any] interface {
	encrypt(ctx context.Context, keyring K, m message) ([]byte, error)
	// decrypt returns the whole context: stored, reproduced and the
	// verification key.
	decrypt(ctx context.Context, keyring K, m message, ciphertext []byte) ([]byte, map[string]string, error)
}

// A pair is the keyrings of both sides: what one's writer makes the other's
// reader opens.
type pair[K any] struct {
	name                     string
	ourWriter, ourReader     materials.Manager
	theirWriter, theirReader K
	unsignedOnly             bool
}

func (p pair[K]) allows(s suite.Suite) bool {
	return !p.unsignedOnly || s.Signature == suite.Unsigned
}

// A message is what is to be exchanged.
type message struct {
	suite       suite.Suite
	context     map[string]string
	reproduced  map[string]string // what the reader is told
	frameLength uint32
	plaintext   []byte
}

func (m message) policy() materials.CommitmentPolicy {
	if m.suite.Committing {
		return materials.RequireEncryptRequireDecrypt
	}
	return materials.ForbidEncryptAllowDecrypt
}

func (m message) client() *esdk.Client {
	return esdk.New(esdk.Config{Policy: m.policy(), Suite: m.suite.ID, FrameLength: m.frameLength, MaxEncryptedDataKeys: 4})
}

// bodies are frame lengths with plaintext lengths around their multiples.
var bodies = []struct {
	frame   uint32
	lengths []int
}{
	{1, []int{0, 1, 2, 33}},
	{7, []int{20, 21, 22}},
	{4096, []int{0, 1, 4095, 4096, 4097, 8192, 10000}},
	{65536, []int{0, 65535, 65536, 65537, 131072}},
}

// beyondBMP has what UTF-16 and UTF-8 sort differently: characters from U+10000
// on, before and after U+E000. Composed and combining characters differ, too.
var beyondBMP = map[string]string{"\U0001F511": "key", "\uE000": "private use", "\uFF5E": "wide tilde", "\U00010000": "\U0010FFFF", "\u00E9": "composed", "e\u0301": "combining"}

// contexts are encryption contexts in which implementations have differed.
var contexts = []map[string]string{
	{},
	{"purpose": "test"},
	{"purpose": ""},
	{"b": "1", "a": "2", "B": "3", "_": "4", "10": "5", "9": "6", "a b": "7"},
	beyondBMP,
	{"long": strings.Repeat("0123456789", 400), strings.Repeat("k", 300): "v"},
}

// plaintext returns n bytes that are the same in each run.
func plaintext(n int) []byte {
	p := make([]byte, n)
	rand.NewChaCha8([32]byte{byte(n), byte(n >> 8)}).Read(p)
	return p
}

// exchange sends m both ways.
func exchange[K any](t *testing.T, peer peer[K], p pair[K], m message) {
	t.Helper()
	writeOurs(t, peer, p, m)
	readTheirs(t, peer, p, m)
}

// writeOurs has the peer read what we write, at once and as a stream.
func writeOurs[K any](t *testing.T, peer peer[K], p pair[K], m message) {
	t.Helper()
	opts := esdk.EncryptOptions{EncryptionContext: m.context}
	whole, _, err := m.client().Encrypt(t.Context(), p.ourWriter, m.plaintext, opts)
	if err != nil {
		t.Fatalf("encrypting: %v", err)
	}
	for name, ciphertext := range map[string][]byte{"Encrypt": whole, "NewWriter": stream(t, p.ourWriter, m, opts)} {
		got, stored, err := peer.decrypt(t.Context(), p.theirReader, m, ciphertext)
		if err != nil {
			t.Errorf("they cannot read what %s wrote: %v", name, err)
			continue
		}
		if !bytes.Equal(got, m.plaintext) {
			t.Errorf("they read %d other bytes than the %d that %s wrote", len(got), len(m.plaintext), name)
		}
		checkContext(t, m, stored)
	}
}

// stream writes m in pieces that are no multiple of anything.
func stream(t *testing.T, manager materials.Manager, m message, opts esdk.EncryptOptions) []byte {
	t.Helper()
	var out bytes.Buffer
	w, err := m.client().NewWriter(t.Context(), &out, manager, opts)
	if err != nil {
		t.Fatalf("writing: %v", err)
	}
	for rest := m.plaintext; len(rest) > 0; {
		n := min(len(rest), 1021)
		if _, err := w.Write(rest[:n]); err != nil {
			t.Fatalf("writing: %v", err)
		}
		rest = rest[n:]
	}
	if err := w.Close(); err != nil {
		t.Fatalf("writing: %v", err)
	}
	return out.Bytes()
}

// readTheirs reads what the peer writes, in every way there is.
func readTheirs[K any](t *testing.T, peer peer[K], p pair[K], m message) {
	t.Helper()
	ciphertext, err := peer.encrypt(t.Context(), p.theirWriter, m)
	if err != nil {
		t.Fatalf("they cannot encrypt: %v", err)
	}
	opts := esdk.DecryptOptions{EncryptionContext: m.reproduced}
	for name, read := range map[string]func() ([]byte, *esdk.Header, error){
		"Decrypt": func() ([]byte, *esdk.Header, error) {
			return m.client().Decrypt(t.Context(), p.ourReader, ciphertext, opts)
		},
		"NewReader": func() ([]byte, *esdk.Header, error) {
			r, err := m.client().NewReader(t.Context(), bytes.NewReader(ciphertext), p.ourReader, opts)
			if err != nil {
				return nil, nil, err
			}
			got, err := io.ReadAll(r)
			return got, r.Header(), err
		},
		"NewReaderAt": func() ([]byte, *esdk.Header, error) {
			r, err := m.client().NewReaderAt(t.Context(), bytes.NewReader(ciphertext), int64(len(ciphertext)), p.ourReader, opts)
			if err != nil {
				return nil, nil, err
			}
			got, err := io.ReadAll(io.NewSectionReader(r, 0, r.Size()))
			return got, r.Header(), err
		},
	} {
		got, header, err := read()
		if err != nil {
			t.Errorf("%s cannot read what they wrote: %v", name, err)
			continue
		}
		if !bytes.Equal(got, m.plaintext) {
			t.Errorf("%s read %d other bytes than the %d that they wrote", name, len(got), len(m.plaintext))
		}
		if header.Suite.ID != m.suite.ID || header.FrameLength != m.frameLength {
			t.Errorf("%s found suite %v and frame length %d, they wrote %v and %d", name, header.Suite.ID, header.FrameLength, m.suite.ID, m.frameLength)
		}
		checkContext(t, m, header.EncryptionContext)
	}
}

// checkContext checks that a reader found the context of m, and a verification
// key exactly if m is signed.
func checkContext(t *testing.T, m message, found map[string]string) {
	t.Helper()
	found = maps.Clone(found)
	if _, signed := found[publicKeyField]; signed != (m.suite.Signature != suite.Unsigned) {
		t.Errorf("verification key found: %v, suite: %v", signed, m.suite.ID)
	}
	delete(found, publicKeyField)
	if !maps.Equal(found, m.context) {
		t.Errorf("context found: %.40q, want %.40q", found, m.context)
	}
}

// kinds are all contexts with all bodies, in an order that mixes them.
func kinds() (all []message) {
	for _, context := range contexts {
		for _, body := range bodies {
			for _, length := range body.lengths {
				all = append(all, message{context: context, frameLength: body.frame, plaintext: plaintext(length)})
			}
		}
	}
	rand.New(rand.NewPCG(1, 2)).Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	return all
}

// exchangeAll exchanges messages of every suite with every pair: a few kinds in
// turn, or in a soak all.
func exchangeAll[K any](t *testing.T, peer peer[K], pairs []pair[K]) {
	kinds, turn := kinds(), 0
	for _, p := range pairs {
		for _, s := range suite.All() {
			if !p.allows(s) {
				continue
			}
			count := 4
			if soak {
				count = len(kinds)
			}
			t.Run(fmt.Sprintf("%s/%04x", p.name, uint16(s.ID)), func(t *testing.T) {
				for range count {
					exchangeKind(t, peer, p, s, kinds[turn%len(kinds)])
					turn++
				}
			})
		}
	}
}

// exchangeKinds exchanges messages of every suite and kind, and large ones.
func exchangeKinds[K any](t *testing.T, peer peer[K], p pair[K]) {
	large := 1<<20 + 5
	if soak {
		large = 64<<20 + 5
	}
	for _, s := range suite.All() {
		t.Run(fmt.Sprintf("%04x", uint16(s.ID)), func(t *testing.T) {
			for _, m := range kinds() {
				exchangeKind(t, peer, p, s, m)
			}
			exchangeKind(t, peer, p, s, message{context: contexts[1], frameLength: 65536, plaintext: plaintext(large)})
		})
	}
}

func exchangeKind[K any](t *testing.T, peer peer[K], p pair[K], s suite.Suite, m message) {
	m.suite = s
	exchange(t, peer, p, m)
	if t.Failed() {
		t.Fatalf("frame length %d, plaintext of %d bytes, context %.40q", m.frameLength, len(m.plaintext), m.context)
	}
}

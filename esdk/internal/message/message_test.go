package message_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/keywright/keywright/esdk/internal/message"
	"github.com/keywright/keywright/esdk/materials"
	"github.com/keywright/keywright/esdk/suite"
)

var limits = message.Limits{HeaderLength: 1 << 20, FrameLength: 1 << 20}

func header(t testing.TB, id suite.ID) *message.Header {
	t.Helper()
	s, ok := suite.Lookup(id)
	if !ok {
		t.Fatalf("no suite %v", id)
	}
	h := &message.Header{
		Suite:       s,
		ID:          bytes.Repeat([]byte{7}, message.IDSize(s)),
		Context:     []materials.Pair{{Key: "a", Value: "1"}, {Key: "b", Value: ""}},
		Keys:        []materials.EncryptedDataKey{{ProviderID: "p", ProviderInfo: []byte("info"), Ciphertext: []byte("sealed")}},
		FrameLength: 16,
	}
	if s.Committing {
		h.Commitment = bytes.Repeat([]byte{9}, 32)
	}
	if err := h.Marshal(); err != nil {
		t.Fatal(err)
	}
	return h
}

// TestHeaderBytes spells the bytes of both versions out.
func TestHeaderBytes(t *testing.T) {
	rest := "\x00\x0d\x00\x02\x00\x01a\x00\x011\x00\x01b\x00\x00" +
		"\x00\x01\x00\x01p\x00\x04info\x00\x06sealed"
	v1 := "\x01\x80\x01\x78" + strings.Repeat("\x07", 16) + rest +
		"\x02\x00\x00\x00\x00\x0c\x00\x00\x00\x10" + strings.Repeat("\x00", 12+16)
	if got := header(t, suite.AES256GCMHKDF).Append(nil); string(got) != v1 {
		t.Errorf("version 1:\n%x\n%x", got, v1)
	}
	v2 := "\x02\x04\x78" + strings.Repeat("\x07", 32) + rest +
		"\x02\x00\x00\x00\x10" + strings.Repeat("\x09", 32) + strings.Repeat("\x00", 16)
	if got := header(t, suite.AES256GCMCommit).Append(nil); string(got) != v2 {
		t.Errorf("version 2:\n%x\n%x", got, v2)
	}
}

// TestHeaderRefused breaks a header in one place each.
func TestHeaderRefused(t *testing.T) {
	v1 := string(header(t, suite.AES256GCMHKDF).Append(nil))
	v2 := string(header(t, suite.AES256GCMCommit).Append(nil))
	swap := func(s, from, to string) string {
		if !strings.Contains(s, from) {
			t.Fatalf("no %q in the header", from)
		}
		return strings.Replace(s, from, to, 1)
	}
	const (
		context = "\x00\x0d\x00\x02\x00\x01a\x00\x011\x00\x01b\x00\x00"
		keys    = "\x00\x01\x00\x01p\x00\x04info"
	)
	for name, c := range map[string]struct {
		in   string
		want error
	}{
		"empty":             {"", message.ErrTruncated},
		"version":           {"\x03" + v2[1:], message.ErrVersion},
		"type":              {"\x01\x81" + v1[2:], message.ErrVersion},
		"text":              {"A text", message.ErrVersion},
		"base64 1":          {base64.StdEncoding.EncodeToString([]byte(v1)), message.ErrBase64},
		"base64 2":          {base64.StdEncoding.EncodeToString([]byte(v2)), message.ErrBase64},
		"base64 2 signed":   {base64.StdEncoding.EncodeToString([]byte("\x02\x05" + v2[2:])), message.ErrBase64},
		"suite 0":           {"\x02\x00\x00" + v2[3:], materials.ErrUnknownSuite},
		"S3 suite":          {"\x02\x00\x73" + v2[3:], materials.ErrUnknownSuite},
		"DB suite":          {"\x02\x67\x00" + v2[3:], materials.ErrUnknownSuite},
		"suite of v1 in v2": {"\x02\x01\x78" + v2[3:], message.ErrMalformed},
		"suite of v2 in v1": {"\x01\x80\x04\x78" + v1[4:], message.ErrMalformed},
		"context twice":     {swap(v2, "\x00\x01b\x00\x00", "\x00\x01a\x00\x00"), message.ErrMalformed},
		"context too short": {swap(v2, context, "\x00\x0c"+context[2:len(context)-1]), message.ErrMalformed},
		"context too long":  {swap(v2, context, "\x00\x0e"+context[2:]+"x"), message.ErrMalformed},
		"context count 0":   {swap(v2, context, "\x00\x02\x00\x00"), message.ErrMalformed},
		"context of 1 byte": {swap(v2, context, "\x00\x01\x00"), message.ErrMalformed},
		"context of 3":      {swap(v2, "\x00\x0d\x00\x02", "\x00\x0d\x00\x03"), message.ErrMalformed},
		"context not UTF-8": {swap(v2, "\x00\x01a", "\x00\x01\xff"), materials.ErrContextInvalid},
		"no keys":           {swap(v2, keys, "\x00\x00"), message.ErrMalformed},
		"provider UTF-8":    {swap(v2, keys, "\x00\x01\x00\x01\xff\x00\x04info"), message.ErrMalformed},
		"content type":      {swap(v2, "sealed\x02", "sealed\x03"), message.ErrMalformed},
		"unframed, length":  {swap(v2, "sealed\x02", "sealed\x01"), message.ErrMalformed},
		"framed, no length": {swap(v2, "sealed\x02\x00\x00\x00\x10", "sealed\x02\x00\x00\x00\x00"), message.ErrMalformed},
		"frame length":      {swap(v2, "sealed\x02\x00", "sealed\x02\xff"), message.ErrTooLarge},
		"reserved":          {swap(v1, "sealed\x02\x00\x00", "sealed\x02\x00\x01"), message.ErrMalformed},
		"IV length":         {swap(v1, "\x00\x0c\x00\x00\x00\x10", "\x00\x0b\x00\x00\x00\x10"), message.ErrMalformed},
	} {
		if _, err := readHeader(t, []byte(c.in)); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
	for _, v := range []string{v1, v2} {
		for n := range len(v) {
			if _, err := readHeader(t, []byte(v[:n])); !errors.Is(err, message.ErrTruncated) {
				t.Errorf("%d of %d bytes: %v", n, len(v), err)
			}
		}
		r := strings.NewReader(v + "body")
		if _, err := message.ReadHeader(r, limits); err != nil || r.Len() != 4 {
			t.Errorf("%d bytes left, want 4, %v", r.Len(), err)
		}
	}
}

// readHeader reads a header in both ways, which must agree.
func readHeader(t *testing.T, in []byte) (*message.Header, error) {
	t.Helper()
	read, err := message.ReadHeader(bytes.NewReader(in), limits)
	parsed, parseErr := message.ParseHeader(in, limits)
	if fmt.Sprint(err) != fmt.Sprint(parseErr) || !reflect.DeepEqual(read, parsed) {
		t.Errorf("read: %v, %v; parsed: %v, %v", read, err, parsed, parseErr)
	}
	return read, err
}

// TestHeaderOrder reads a context in another order than ours, as JavaScript
// writes it, and keeps its bytes.
func TestHeaderOrder(t *testing.T) {
	h := header(t, suite.AES256GCMCommit)
	slices.Reverse(h.Context)
	if err := h.Marshal(); err != nil {
		t.Fatal(err)
	}
	got, err := readHeader(t, h.Append(nil))
	if err != nil || !slices.Equal(got.Context, h.Context) {
		t.Errorf("context %v, %v", got, err)
	}
}

// TestHostileHeader announces 65535 keys of 196 KiB each.
func TestHostileHeader(t *testing.T) {
	start := "\x02\x04\x78" + strings.Repeat("\x07", 32) + "\x00\x00"
	r := &counter{r: strings.NewReader(start + "\xff\xff")}
	l := limits
	l.EncryptedDataKeys = 3
	if _, err := message.ReadHeader(r, l); !errors.Is(err, message.ErrTooManyKeys) || r.n != len(start)+2 {
		t.Errorf("%v after %d bytes, want %v after %d", err, r.n, message.ErrTooManyKeys, len(start)+2)
	}
	key := "\x00\x01p\xff\xff" + strings.Repeat("i", 65535) + "\xff\xff" + strings.Repeat("c", 65535)
	all := io.MultiReader(strings.NewReader(start+"\xff\xff"), &repeat{s: key})
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if _, err := message.ReadHeader(all, limits); !errors.Is(err, message.ErrTooLarge) {
		t.Errorf("%v, want %v", err, message.ErrTooLarge)
	}
	runtime.ReadMemStats(&after)
	if got := after.TotalAlloc - before.TotalAlloc; got > 8*uint64(limits.HeaderLength) {
		t.Errorf("%d bytes allocated for a header of at most %d", got, limits.HeaderLength)
	}
}

type counter struct {
	r io.Reader
	n int
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += n
	return n, err
}

type repeat struct {
	s  string
	at int
}

func (r *repeat) Read(p []byte) (int, error) {
	n := copy(p, r.s[r.at:])
	r.at = (r.at + n) % len(r.s)
	return n, nil
}

// TestMarshalRefused gives a writer what the format has no room for.
func TestMarshalRefused(t *testing.T) {
	h := header(t, suite.AES256GCMCommit)
	long := strings.Repeat("x", 65536)
	h.Context = []materials.Pair{{Key: "k", Value: long[:65528]}}
	if err := h.Marshal(); err != nil {
		t.Errorf("context of 65535 bytes: %v", err)
	}
	h.Context[0].Value += "x"
	if err := h.Marshal(); !errors.Is(err, materials.ErrContextTooLarge) {
		t.Errorf("context of 65536 bytes: %v", err)
	}
	h.Context = nil
	h.Keys[0].Ciphertext = []byte(long)
	if err := h.Marshal(); !errors.Is(err, message.ErrMalformed) {
		t.Errorf("long ciphertext: %v", err)
	}
	h.Keys = nil
	if err := h.Marshal(); !errors.Is(err, message.ErrMalformed) {
		t.Errorf("no keys: %v", err)
	}
	h.Keys = make([]materials.EncryptedDataKey, 65536)
	if err := h.Marshal(); !errors.Is(err, message.ErrTooManyKeys) {
		t.Errorf("65536 keys: %v", err)
	}
}

// TestScanner gives frames that are wrong before any tag is looked at.
func TestScanner(t *testing.T) {
	h := header(t, suite.AES256GCMCommit) // frames of 16 bytes
	regular := func(seq uint32) []byte {
		return append(binary.BigEndian.AppendUint32(nil, seq), make([]byte, 12+16+16)...)
	}
	final := func(seq, length uint32) []byte {
		b := binary.BigEndian.AppendUint32([]byte{255, 255, 255, 255}, seq)
		b = binary.BigEndian.AppendUint32(append(b, make([]byte, 12)...), length)
		return append(b, make([]byte, min(length, 1000)+16)...)
	}
	for name, c := range map[string]struct {
		next uint32
		in   []byte
		want error
	}{
		"first":          {1, regular(1), nil},
		"zero":           {1, regular(0), message.ErrFrameSequence},
		"skipped":        {1, regular(2), message.ErrFrameSequence},
		"final":          {1, final(1, 16), nil},
		"final empty":    {5, final(5, 0), nil},
		"final skipped":  {5, final(6, 0), message.ErrFrameSequence},
		"final too long": {1, final(1, 17), message.ErrFrameLength},
		"final 4 GiB":    {1, final(1, math.MaxUint32), message.ErrFrameLength},
		"last regular":   {math.MaxUint32 - 1, regular(math.MaxUint32 - 1), nil},
		"last final":     {math.MaxUint32, final(math.MaxUint32, 3), nil},
	} {
		s := message.NewScanner(h, 0)
		s.Seek(c.next)
		f, size, err := s.Next(c.in)
		if !errors.Is(err, c.want) || err == nil && (size != len(c.in) || f.Seq != c.next) {
			t.Errorf("%s: frame %d, %d bytes, %v, want %v", name, f.Seq, size, err, c.want)
		}
		for n := range len(c.in) {
			s := message.NewScanner(h, 0)
			s.Seek(c.next)
			if _, size, err := s.Next(c.in[:n]); c.want == nil && (err != nil || size <= n || size > len(c.in)) {
				t.Errorf("%s: %d bytes of %d: asks for %d, %v", name, n, len(c.in), size, err)
			}
		}
	}
	h.FrameLength = 0
	for length, want := range map[uint64]error{10: nil, 11: message.ErrTooLarge, 1<<36 - 31: message.ErrMalformed, math.MaxUint64: message.ErrMalformed} {
		in := append(binary.BigEndian.AppendUint64(make([]byte, 12), length), make([]byte, 10+16)...)
		if _, _, err := message.NewScanner(h, 10).Next(in); !errors.Is(err, want) {
			t.Errorf("unframed, %d bytes: %v, want %v", length, err, want)
		}
	}
}

// TestPythonVectors takes each message of the Python implementation 1.3.5
// apart: the header encodes to the same bytes, the frames end where the message
// ends, and signatures verify with the key in the header.
func TestPythonVectors(t *testing.T) {
	dir := os.Getenv("KEYWRIGHT_VECTORS")
	if dir == "" {
		t.Skip("KEYWRIGHT_VECTORS does not name the folder with the published vectors")
	}
	files, err := filepath.Glob(filepath.Join(dir, "esdk", "python-1.3.5", "ciphertexts", "*"))
	if err != nil || len(files) == 0 {
		t.Fatalf("%d vectors found, %v", len(files), err)
	}
	signed, unframed := 0, 0
	for _, f := range files {
		msg, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		h, err := readHeader(t, msg)
		if err != nil {
			t.Errorf("%s: %v", filepath.Base(f), err)
			continue
		}
		checkReencode(t, h, msg)
		rest := msg[h.Len():]
		for s := message.NewScanner(h, 1<<20); ; {
			f, size, err := s.Next(rest)
			if err != nil || size > len(rest) {
				t.Fatalf("frame %d: %d bytes of %d, %v", f.Seq, size, len(rest), err)
			}
			rest = rest[size:]
			if f.Kind == message.Unframed {
				unframed++
			}
			if f.Last() {
				break
			}
		}
		if h.Suite.Signature == suite.Unsigned {
			if len(rest) > 0 {
				t.Errorf("%d bytes left", len(rest))
			}
			continue
		}
		signed++
		hash := message.NewHash(h.Suite.Signature)
		hash.Write(msg[:len(msg)-len(rest)])
		if n := message.FooterLen(rest); n != len(rest) {
			t.Errorf("footer of %d bytes, %d are left", n, len(rest))
		} else if err := message.VerifyFooter(rest, publicKey(t, h), hash.Sum(nil)); err != nil {
			t.Error(err)
		}
	}
	if signed == 0 || unframed == 0 {
		t.Errorf("of %d messages %d are signed and %d unframed", len(files), signed, unframed)
	}
}

func publicKey(t *testing.T, h *message.Header) *ecdsa.PublicKey {
	t.Helper()
	for _, p := range h.Context {
		if p.Key == materials.PublicKeyField {
			b, err := base64.StdEncoding.DecodeString(p.Value)
			if err != nil {
				t.Fatal(err)
			}
			curve := message.Curve(h.Suite.Signature)
			x, y := elliptic.UnmarshalCompressed(curve, b)
			size := (curve.Params().BitSize + 7) / 8
			point := make([]byte, 1+2*size)
			point[0] = 4
			x.FillBytes(point[1 : 1+size])
			y.FillBytes(point[1+size:])
			key, err := ecdsa.ParseUncompressedPublicKey(curve, point)
			if err != nil {
				t.Fatal(err)
			}
			return key
		}
	}
	t.Fatal("no verification key in the header")
	return nil
}

// checkReencode compares what h encodes to with the beginning of msg.
func checkReencode(t *testing.T, h *message.Header, msg []byte) {
	t.Helper()
	if err := h.Marshal(); err != nil {
		t.Errorf("encoding what was decoded: %v", err)
	} else if got := h.Append(nil); !bytes.HasPrefix(msg, got) || len(got) != h.Len() {
		t.Errorf("decoded and encoded again:\n%x\n%x", msg, got)
	}
}

// FuzzHeader: what is accepted encodes to the same bytes.
func FuzzHeader(f *testing.F) {
	for _, s := range suite.All() {
		h := header(f, s.ID)
		f.Add(h.Append(nil))
		h.Context, h.FrameLength = nil, 0
		if err := h.Marshal(); err != nil {
			f.Fatal(err)
		}
		f.Add(h.Append(nil))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		if h, err := readHeader(t, in); err == nil {
			checkReencode(t, h, in)
		}
	})
}

// FuzzScanner: a scanner gets by with any bytes, and asks for more only where
// it has too few. A run is what one frame after the other gives.
func FuzzScanner(f *testing.F) {
	f.Add(uint32(16), append([]byte{0, 0, 0, 1}, make([]byte, 60)...))
	f.Add(uint32(16), append([]byte{255, 255, 255, 255, 0, 0, 0, 1}, make([]byte, 60)...))
	f.Add(uint32(0), make([]byte, 60))
	f.Fuzz(func(t *testing.T, frameLength uint32, in []byte) {
		h := &message.Header{FrameLength: frameLength & 0xffff}
		s := message.NewScanner(h, 1<<16)
		together, body, regular := *s, in, 0
		defer func() {
			if r := together.Run(body, len(body)); len(r.Raw) != regular {
				t.Fatalf("a run of %d bytes, frame by frame %d", len(r.Raw), regular)
			}
		}()
		for seq := uint32(1); ; seq++ {
			f, size, err := s.Next(in)
			if err != nil || size > len(in) {
				return
			}
			if f.Seq != seq || len(f.IV) != 12 || size <= 0 || f.PlaintextLen() < 0 || f.PlaintextLen() > 1<<16 {
				t.Fatalf("frame %d (%d due) of %d bytes in %d", f.Seq, seq, f.PlaintextLen(), size)
			}
			if in = in[size:]; f.Last() {
				return
			}
			regular += size
		}
	})
}

// TestRun cuts the regular frames off the front of some bytes.
func TestRun(t *testing.T) {
	h := &message.Header{FrameLength: 10}
	var body []byte
	for number := range byte(5) {
		regular := make([]byte, 10+message.RegularOverhead)
		regular[3] = number + 1
		body = append(body, regular...)
	}
	length := len(body) / 5
	for cut := range len(body) + 1 {
		for limit := range 7 {
			s := message.NewScanner(h, 0)
			r := s.Run(body[:cut], limit)
			want := min(limit, cut/length)
			if r.First != 1 || !bytes.Equal(r.Raw, body[:want*length]) || r.PlaintextLen() != want*10 {
				t.Fatalf("%d bytes, limit %d: %+v of %d bytes, want %d frames", cut, limit, r, r.PlaintextLen(), want)
			}
			if f, _, err := s.Next(body[want*length:]); err != nil || want < 5 && f.Seq != uint32(want+1) {
				t.Fatalf("%d bytes, limit %d: behind it %+v, %v", cut, limit, f, err)
			}
		}
	}
	final := append([]byte{255, 255, 255, 255, 0, 0, 0, 6}, make([]byte, 60)...)
	s := message.NewScanner(h, 0)
	r := s.Run(append(body, final...), 10)
	if f, _, err := s.Next(final); len(r.Raw) != len(body) || err != nil || f.Seq != 6 || f.Kind != message.Final {
		t.Errorf("behind %d bytes: %+v, %v", len(r.Raw), f, err)
	}
	s = message.NewScanner(h, 0)
	r = s.Run(slices.Concat(body[:2*length], body[3*length:]), 10)
	if _, _, err := s.Next(body[3*length:]); len(r.Raw) != 2*length || !errors.Is(err, message.ErrFrameSequence) {
		t.Errorf("a frame is missing: %d bytes before it, %v", len(r.Raw), err)
	}
	// What would be the number of one more regular frame marks the final one.
	s = message.NewScanner(h, 0)
	s.Seek(message.MaxRegular)
	most := binary.BigEndian.AppendUint32(nil, message.MaxRegular)
	most = append(most, body[4:length]...)
	if r := s.Run(append(most, bytes.Repeat([]byte{255}, length)...), 10); !bytes.Equal(r.Raw, most) {
		t.Errorf("the longest message goes on for %d bytes", len(r.Raw))
	}
	if r := message.NewScanner(&message.Header{}, 0).Run(body, 5); len(r.Raw) != 0 || r.First != 1 {
		t.Errorf("frames in a body without: %+v", r)
	}
}

package esdk_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"io"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/keywright/keywright/esdk"
	"github.com/keywright/keywright/esdk/keyring"
	"github.com/keywright/keywright/esdk/materials"
	"github.com/keywright/keywright/esdk/suite"
)

// TestPolicy tries each policy with a suite of either kind. What is forbidden
// asks no key.
func TestPolicy(t *testing.T) {
	msgs := map[suite.ID][]byte{}
	for _, id := range []suite.ID{suite.AES256GCMHKDF, suite.AES256GCMCommit} {
		msgs[id] = encrypt(t, clientFor(id, 0, 1), static(), []byte("plaintext"))
	}
	for _, c := range []struct {
		policy         materials.CommitmentPolicy
		id             suite.ID
		writes, reads  bool
		defaultCommits bool
	}{
		{materials.RequireEncryptRequireDecrypt, suite.AES256GCMHKDF, false, false, true},
		{materials.RequireEncryptRequireDecrypt, suite.AES256GCMCommit, true, true, true},
		{materials.RequireEncryptAllowDecrypt, suite.AES256GCMHKDF, false, true, true},
		{materials.RequireEncryptAllowDecrypt, suite.AES256GCMCommit, true, true, true},
		{materials.ForbidEncryptAllowDecrypt, suite.AES256GCMHKDF, true, true, false},
		{materials.ForbidEncryptAllowDecrypt, suite.AES256GCMCommit, false, true, false},
		{77, suite.AES256GCMCommit, false, false, false},
	} {
		k := &staticKeyring{key: counting(32)}
		client := esdk.New(esdk.Config{Policy: c.policy})
		check := func(what string, err error, allowed bool) {
			t.Helper()
			if allowed && err != nil || !allowed && (!errors.Is(err, materials.ErrCommitmentPolicy) || k.calls > 0) {
				t.Errorf("%v, %v, %s: %v after %d calls", c.policy, c.id, what, err, k.calls)
			}
			k.calls = 0
		}
		_, _, err := client.Encrypt(t.Context(), esdk.Using(k), nil, esdk.EncryptOptions{Suite: c.id})
		check("writing", err, c.writes)
		_, _, err = client.Decrypt(t.Context(), esdk.Using(k), msgs[c.id], esdk.DecryptOptions{})
		check("reading", err, c.reads)
		_, h, err := client.Encrypt(t.Context(), esdk.Using(k), nil, esdk.EncryptOptions{})
		if err == nil && h.Suite.Committing != c.defaultCommits {
			t.Errorf("%v: the default is %v", c.policy, h.Suite.ID)
		}
	}
}

// manager returns what it holds.
type manager struct {
	enc *materials.EncryptionMaterials
	dec *materials.DecryptionMaterials
}

func (m manager) EncryptionMaterials(context.Context, materials.EncryptionRequest) (*materials.EncryptionMaterials, error) {
	return m.enc, nil
}

func (m manager) DecryptionMaterials(context.Context, materials.DecryptionRequest) (*materials.DecryptionMaterials, error) {
	return m.dec, nil
}

// TestMaterialsChecked: a manager that returns materials for another suite, or
// none, is not trusted.
func TestMaterialsChecked(t *testing.T) {
	s, _ := suite.Lookup(suite.AES256GCMCommit)
	old, _ := suite.Lookup(suite.AES256GCMHKDF)
	keys := []materials.EncryptedDataKey{{ProviderID: "p"}}
	c := esdk.New(esdk.Config{Suite: s.ID, MaxEncryptedDataKeys: 2})
	for name, e := range map[string]struct {
		m    *materials.EncryptionMaterials
		want error
	}{
		"good":          {&materials.EncryptionMaterials{Suite: s, DataKey: counting(32), EncryptedDataKeys: keys}, nil},
		"forbidden":     {&materials.EncryptionMaterials{Suite: old, DataKey: counting(32), EncryptedDataKeys: keys}, materials.ErrCommitmentPolicy},
		"short key":     {&materials.EncryptionMaterials{Suite: s, DataKey: counting(31), EncryptedDataKeys: keys}, materials.ErrMaterials},
		"no key":        {&materials.EncryptionMaterials{Suite: s, DataKey: counting(32)}, materials.ErrMaterials},
		"too many keys": {&materials.EncryptionMaterials{Suite: s, DataKey: counting(32), EncryptedDataKeys: slices.Repeat(keys, 3)}, esdk.ErrTooManyKeys},
	} {
		dataKey := e.m.DataKey
		if _, _, err := c.Encrypt(t.Context(), manager{enc: e.m}, nil, esdk.EncryptOptions{}); !errors.Is(err, e.want) {
			t.Errorf("%s: %v, want %v", name, err, e.want)
		}
		if !bytes.Equal(dataKey, make([]byte, len(dataKey))) {
			t.Errorf("%s: the data key was not wiped", name)
		}
	}
	msg := encrypt(t, c, static(), []byte("x"))
	for name, d := range map[string]struct {
		m    *materials.DecryptionMaterials
		want error
	}{
		"good":        {&materials.DecryptionMaterials{Suite: s, DataKey: counting(32)}, nil},
		"other suite": {&materials.DecryptionMaterials{Suite: old, DataKey: counting(32)}, materials.ErrMaterials},
		"other key":   {&materials.DecryptionMaterials{Suite: s, DataKey: random(32)}, esdk.ErrCommitment},
		"short key":   {&materials.DecryptionMaterials{Suite: s, DataKey: counting(31)}, materials.ErrMaterials},
	} {
		dataKey := d.m.DataKey
		if _, _, err := c.Decrypt(t.Context(), manager{dec: d.m}, msg, esdk.DecryptOptions{}); !errors.Is(err, d.want) {
			t.Errorf("%s: %v, want %v", name, err, d.want)
		}
		if !bytes.Equal(dataKey, make([]byte, len(dataKey))) {
			t.Errorf("%s: the data key was not wiped", name)
		}
	}
}

// TestContext: reserved keys, contexts that are too large, and reproduced ones.
func TestContext(t *testing.T) {
	c, m := esdk.New(esdk.Config{}), static()
	for want, context := range map[error]map[string]string{
		materials.ErrReservedKey:     {"aws-crypto-x": "1"},
		materials.ErrContextTooLarge: {"k": strings.Repeat("x", 65530)},
		materials.ErrContextInvalid:  {"k": "\xff"},
	} {
		if _, _, err := c.Encrypt(t.Context(), m, nil, esdk.EncryptOptions{EncryptionContext: context}); !errors.Is(err, want) {
			t.Errorf("Encrypt: %v, want %v", err, want)
		}
	}
	msg := encrypt(t, c, m, []byte("x")) // purpose: test
	for _, d := range []struct {
		context map[string]string
		want    error
	}{
		{nil, nil},
		{map[string]string{"purpose": "test"}, nil},
		{map[string]string{"purpose": "other"}, materials.ErrContextMismatch},
		{map[string]string{"more": "x"}, esdk.ErrAuthentication},
	} {
		if _, _, err := c.Decrypt(t.Context(), m, msg, esdk.DecryptOptions{EncryptionContext: d.context}); !errors.Is(err, d.want) {
			t.Errorf("%v: %v, want %v", d.context, err, d.want)
		}
	}
}

// TestRequiredContext authenticates an entry that the message does not store.
func TestRequiredContext(t *testing.T) {
	s, _ := suite.Lookup(suite.AES256GCMCommit)
	enc := &materials.EncryptionMaterials{
		Suite: s, DataKey: counting(32), EncryptedDataKeys: []materials.EncryptedDataKey{{ProviderID: "static"}},
		EncryptionContext: map[string]string{"tenant": "secret-name", "open": "1"}, RequiredKeys: []string{"tenant"},
	}
	c := esdk.New(esdk.Config{Suite: s.ID})
	msg, header, err := c.Encrypt(t.Context(), manager{enc: enc}, []byte("x"), esdk.EncryptOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(msg, []byte("secret-name")) || header.EncryptionContext["tenant"] != "secret-name" {
		t.Errorf("stored although required; header %v", header.EncryptionContext)
	}
	for _, d := range []struct {
		tenant string
		want   error
	}{{"secret-name", nil}, {"other", esdk.ErrAuthentication}, {"", esdk.ErrAuthentication}} {
		opts := esdk.DecryptOptions{EncryptionContext: map[string]string{"tenant": d.tenant}}
		if d.tenant == "" {
			opts.EncryptionContext = nil
		}
		if _, _, err := c.Decrypt(t.Context(), static(), msg, opts); !errors.Is(err, d.want) {
			t.Errorf("tenant %q: %v, want %v", d.tenant, err, d.want)
		}
	}
}

// TestLimits exceeds each limit of a Client, by a little.
func TestLimits(t *testing.T) {
	k, err := keyring.NewMulti(rawAES(t, "a"), rawAES(t, "b"), rawAES(t, "c"))
	if err != nil {
		t.Fatal(err)
	}
	m := esdk.Using(k)
	msg, header, err := esdk.New(esdk.Config{FrameLength: 1000}).Encrypt(t.Context(), m, random(5000), esdk.EncryptOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range []struct {
		config esdk.Config
		want   error
	}{
		{esdk.Config{MaxEncryptedDataKeys: 3, MaxFrameLength: 1000, MaxHeaderLength: uint32(header.Length)}, nil},
		{esdk.Config{MaxEncryptedDataKeys: 2}, esdk.ErrTooManyKeys},
		{esdk.Config{MaxFrameLength: 999}, esdk.ErrTooLarge},
		{esdk.Config{MaxHeaderLength: uint32(header.Length - 1)}, esdk.ErrTooLarge},
	} {
		if _, _, err := esdk.New(l.config).Decrypt(t.Context(), m, msg, esdk.DecryptOptions{}); !errors.Is(err, l.want) {
			t.Errorf("%+v: %v, want %v", l.config, err, l.want)
		}
	}
	if _, _, err := esdk.New(esdk.Config{MaxEncryptedDataKeys: 2}).Encrypt(t.Context(), m, nil, esdk.EncryptOptions{}); !errors.Is(err, esdk.ErrTooManyKeys) {
		t.Errorf("Encrypt with three keys: %v", err)
	}
	for limit, want := range map[int64]error{5000: nil, 4999: esdk.ErrTooLarge} {
		_, err := esdk.New(esdk.Config{}).NewReader(t.Context(), onlyReader{bytes.NewReader(msg)}, m, esdk.DecryptOptions{VerifyFirst: true, VerifyBuffer: limit})
		if !errors.Is(err, want) {
			t.Errorf("VerifyBuffer of %d: %v, want %v", limit, err, want)
		}
	}
}

// TestUnsignedOnly refuses a signed message after its header, without a key.
func TestUnsignedOnly(t *testing.T) {
	k := &staticKeyring{key: counting(32)}
	msg := encrypt(t, esdk.New(esdk.Config{}), esdk.Using(k), random(100))
	k.calls = 0
	_, err := esdk.New(esdk.Config{}).NewReader(t.Context(), bytes.NewReader(msg), esdk.Using(k), esdk.DecryptOptions{UnsignedOnly: true})
	if !errors.Is(err, esdk.ErrSigned) || k.calls != 0 {
		t.Errorf("signed: %v after %d calls", err, k.calls)
	}
	msg = encrypt(t, clientFor(suite.AES256GCMCommit, 0, 1), esdk.Using(k), random(100))
	if _, err := readAll(t.Context(), esdk.New(esdk.Config{}), bytes.NewReader(msg), esdk.Using(k), esdk.DecryptOptions{UnsignedOnly: true}); err != nil {
		t.Errorf("unsigned: %v", err)
	}
}

// TestBase64 gives the text of a message.
func TestBase64(t *testing.T) {
	for _, s := range suite.All() {
		msg := encrypt(t, clientFor(s.ID, 0, 1), static(), nil)
		text := base64.StdEncoding.EncodeToString(msg)
		if _, _, err := clientFor(s.ID, 0, 1).Decrypt(t.Context(), static(), []byte(text), esdk.DecryptOptions{}); !errors.Is(err, esdk.ErrBase64) {
			t.Errorf("%v: %v", s.ID, err)
		}
	}
}

// TestPlaintextBound writes up to the bound, and one byte more.
func TestPlaintextBound(t *testing.T) {
	c := clientFor(suite.AES256GCMCommit, 10, 1)
	w, err := c.NewWriter(t.Context(), io.Discard, static(), esdk.EncryptOptions{PlaintextBound: 20})
	if err != nil {
		t.Fatal(err)
	}
	if n, err := w.Write(make([]byte, 20)); n != 20 || err != nil {
		t.Errorf("20 of 20 bytes: %d, %v", n, err)
	}
	if n, err := w.Write([]byte{1}); n != 0 || !errors.Is(err, esdk.ErrPlaintextBound) {
		t.Errorf("one more: %d, %v", n, err)
	}
	if err := w.Close(); !errors.Is(err, esdk.ErrPlaintextBound) {
		t.Errorf("Close: %v", err)
	}
}

// TestCancelled ends the context before and between the calls.
func TestCancelled(t *testing.T) {
	c, m := clientFor(suite.AES256GCMCommit, 16, 1), static()
	msg := encrypt(t, c, m, random(1<<20))
	ctx, cancel := context.WithCancel(t.Context())
	w, err := c.NewWriter(ctx, io.Discard, m, esdk.EncryptOptions{})
	if err != nil {
		t.Fatal(err)
	}
	r, err := c.NewReader(ctx, bytes.NewReader(msg), m, esdk.DecryptOptions{})
	if err != nil {
		t.Fatal(err)
	}
	at, err := c.NewReaderAt(ctx, bytes.NewReader(msg), int64(len(msg)), m, esdk.DecryptOptions{})
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	_, errRead := io.Copy(io.Discard, r)
	_, errAt := at.ReadAt(make([]byte, 1), 0)
	_, _, errEncrypt := c.Encrypt(ctx, m, nil, esdk.EncryptOptions{})
	_, _, errDecrypt := c.Decrypt(ctx, m, msg, esdk.DecryptOptions{})
	for what, err := range map[string]error{"Writer": w.Close(), "Reader": errRead, "ReaderAt": errAt, "Encrypt": errEncrypt, "Decrypt": errDecrypt} {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// TestWriterClosed writes after Close, and closes twice.
func TestWriterClosed(t *testing.T) {
	var out bytes.Buffer
	w, err := clientFor(suite.AES256GCMCommitP384, 16, 1).NewWriter(t.Context(), &out, static(), esdk.EncryptOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Error(err)
	}
	n := out.Len()
	if err := w.Close(); err != nil || out.Len() != n {
		t.Errorf("second Close: %v, %d bytes more", err, out.Len()-n)
	}
	if _, err := w.Write([]byte{1}); err == nil {
		t.Error("Write after Close succeeded")
	}
}

// broken fails after n bytes.
type broken struct{ n int }

var errBroken = errors.New("broken")

func (b *broken) Write(p []byte) (int, error) {
	if b.n -= len(p); b.n < 0 {
		return 0, errBroken
	}
	return len(p), nil
}

func (b *broken) Read(p []byte) (int, error) {
	if b.n == 0 {
		return 0, errBroken
	}
	n := min(b.n, len(p))
	b.n -= n
	return n, nil
}

// TestBrokenStreams hands on what the streams below say.
func TestBrokenStreams(t *testing.T) {
	c, m := clientFor(suite.AES256GCMCommit, 16, 1), static()
	if _, err := c.NewWriter(t.Context(), &broken{}, m, esdk.EncryptOptions{}); !errors.Is(err, errBroken) {
		t.Errorf("NewWriter: %v", err)
	}
	w, err := c.NewWriter(t.Context(), &broken{500}, m, esdk.EncryptOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(make([]byte, 1<<20)); !errors.Is(err, errBroken) {
		t.Errorf("Write: %v", err)
	}
	if err := w.Close(); !errors.Is(err, errBroken) {
		t.Errorf("Close: %v", err)
	}
	msg := encrypt(t, c, m, random(100))
	for n := range msg {
		src := io.MultiReader(bytes.NewReader(msg[:n]), &broken{})
		if _, err := readAll(t.Context(), c, src, m, esdk.DecryptOptions{}); !errors.Is(err, errBroken) {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
}

// TestFrameNonces opens a message whose nonces are not the frames' numbers, as
// some published messages have it: the nonce in the frame counts. Encrypted
// with the nonce of frame 1 changed, the frame is refused.
func TestFrameNonces(t *testing.T) {
	c, m := clientFor(suite.AES256GCM, 16, 1), static()
	msg := encrypt(t, c, m, random(8))
	header, err := c.Inspect(bytes.NewReader(msg))
	if err != nil {
		t.Fatal(err)
	}
	nonce := append(bytes.Repeat([]byte{255}, 8), 0, 0, 0, 1)
	copy(msg[header.Length+8:], nonce)
	if _, _, err := c.Decrypt(t.Context(), m, msg, esdk.DecryptOptions{}); !errors.Is(err, esdk.ErrAuthentication) {
		t.Errorf("another nonce: %v", err)
	}
	aad := slices.Concat(header.MessageID, []byte("AWSKMSEncryptionClient Final Frame"), []byte{0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 8})
	copy(msg[header.Length+24:], gcm(t, counting(32)).Seal(nil, nonce, []byte("12345678"), aad))
	if got, _, err := c.Decrypt(t.Context(), m, msg, esdk.DecryptOptions{}); err != nil || string(got) != "12345678" {
		t.Errorf("encrypted with another nonce: %q, %v", got, err)
	}
}

// TestOtherBodies reads a message whose last frame is empty though the one
// before is full, which other implementations write, and one without frames.
func TestOtherBodies(t *testing.T) {
	c, m := clientFor(suite.AES256GCM, 4, 1), static()
	msg := encrypt(t, c, m, []byte("1234"))
	header, err := c.Inspect(bytes.NewReader(msg))
	if err != nil {
		t.Fatal(err)
	}
	g := gcm(t, counting(32))
	nonce := func(n byte) []byte { return append(make([]byte, 11), n) }
	aad := func(what string, seq, length byte) []byte {
		return slices.Concat(header.MessageID, []byte("AWSKMSEncryptionClient "+what), []byte{0, 0, 0, seq, 0, 0, 0, 0, 0, 0, 0, length})
	}
	framed := slices.Concat(msg[:header.Length],
		[]byte{0, 0, 0, 1}, nonce(1), g.Seal(nil, nonce(1), []byte("1234"), aad("Frame", 1, 4)),
		[]byte{255, 255, 255, 255, 0, 0, 0, 2}, nonce(2), []byte{0, 0, 0, 0}, g.Seal(nil, nonce(2), nil, aad("Final Frame", 2, 0)))
	checkReads(t, c, m, framed, []byte("1234"), map[string]string{"purpose": "test"})

	body := slices.Clone(msg[:header.Length-28])
	body[len(body)-10] = 1
	clear(body[len(body)-4:])
	unframed := slices.Concat(g.Seal(slices.Concat(body, make([]byte, 12)), make([]byte, 12), nil, body),
		nonce(1), binary.BigEndian.AppendUint64(nil, 4), g.Seal(nil, nonce(1), []byte("1234"), aad("Single Block", 1, 4)))
	if got, _, err := c.Decrypt(t.Context(), m, unframed, esdk.DecryptOptions{}); err != nil || string(got) != "1234" {
		t.Errorf("unframed: %q, %v", got, err)
	}
	if got, err := readAll(t.Context(), c, &small{unframed}, m, esdk.DecryptOptions{}); err != nil || string(got) != "1234" {
		t.Errorf("unframed stream: %q, %v", got, err)
	}
	if _, err := c.NewReaderAt(t.Context(), bytes.NewReader(unframed), int64(len(unframed)), m, esdk.DecryptOptions{}); !errors.Is(err, esdk.ErrUnframed) {
		t.Errorf("unframed ReaderAt: %v", err)
	}
	tiny := esdk.New(esdk.Config{Policy: materials.ForbidEncryptAllowDecrypt, MaxFrameLength: 3})
	if _, _, err := tiny.Decrypt(t.Context(), m, unframed, esdk.DecryptOptions{}); !errors.Is(err, esdk.ErrTooLarge) {
		t.Errorf("unframed over the limit: %v", err)
	}
}

// TestMemory streams much with little memory.
func TestMemory(t *testing.T) {
	for _, id := range []suite.ID{suite.AES256GCMCommit, suite.AES256GCMCommitP384} {
		c, m := clientFor(id, 4096, 2), static()
		pr, pw := io.Pipe()
		sum := sha256.New()
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		go func() {
			p := make([]byte, 64<<10)
			w, err := c.NewWriter(t.Context(), pw, m, esdk.EncryptOptions{})
			for i := 0; err == nil && i < 512; i++ {
				_, err = w.Write(p)
			}
			pw.CloseWithError(errors.Join(err, w.Close()))
		}()
		r, err := c.NewReader(t.Context(), pr, m, esdk.DecryptOptions{})
		if err != nil {
			t.Fatal(err)
		}
		n, err := io.Copy(sum, r)
		runtime.ReadMemStats(&after)
		if got := after.TotalAlloc - before.TotalAlloc; err != nil || n != 32<<20 || got > 8<<20 {
			t.Errorf("%v: %d bytes with %d allocated, %v", id, n, got, err)
		}
	}
}

// TestHostileFrame: a message that announces a frame of 1 GiB and ends there
// costs little, though the limit allows it.
func TestHostileFrame(t *testing.T) {
	write := esdk.New(esdk.Config{Suite: suite.AES256GCMCommit, FrameLength: 1 << 30})
	m := static()
	msg := encrypt(t, write, m, []byte("x"))
	header, err := write.Inspect(bytes.NewReader(msg))
	if err != nil {
		t.Fatal(err)
	}
	hostile := append(msg[:header.Length:header.Length], make([]byte, 1000)...)
	hostile[header.Length+3] = 1
	c := esdk.New(esdk.Config{MaxFrameLength: 1 << 30})
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err = readAll(t.Context(), c, bytes.NewReader(hostile), m, esdk.DecryptOptions{})
	runtime.ReadMemStats(&after)
	if got := after.TotalAlloc - before.TotalAlloc; !errors.Is(err, esdk.ErrTruncated) || got > 1<<20 {
		t.Errorf("%d bytes allocated, %v", got, err)
	}
}

// TestHeaderIsTheCallers changes the headers that streams hand out.
func TestHeaderIsTheCallers(t *testing.T) {
	c, m := clientFor(suite.AES256GCMCommitP384, 16, 1), static()
	spoil := func(h *esdk.Header) {
		clear(h.MessageID)
		clear(h.EncryptionContext)
		clear(h.EncryptedDataKeys)
		h.FrameLength, h.Length = 1, 1
	}
	var msg bytes.Buffer
	w, err := c.NewWriter(t.Context(), &msg, m, esdk.EncryptOptions{})
	if err != nil {
		t.Fatal(err)
	}
	spoil(w.Header())
	plaintext := random(100)
	if _, err := w.Write(plaintext); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	r, err := c.NewReader(t.Context(), bytes.NewReader(msg.Bytes()), m, esdk.DecryptOptions{})
	if err != nil {
		t.Fatal(err)
	}
	spoil(r.Header())
	if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, plaintext) {
		t.Errorf("Reader: %d bytes, %v", len(got), err)
	}
	at, err := c.NewReaderAt(t.Context(), bytes.NewReader(msg.Bytes()), int64(msg.Len()), m, esdk.DecryptOptions{})
	if err != nil {
		t.Fatal(err)
	}
	spoil(at.Header())
	got := make([]byte, 100)
	if _, err := at.ReadAt(got, 0); err != nil || !bytes.Equal(got, plaintext) {
		t.Errorf("ReaderAt: %v", err)
	}
}

// TestVerifyFirstSeeks reads a message twice that begins inside a file, and
// one that changes between the readings.
func TestVerifyFirstSeeks(t *testing.T) {
	c, m := clientFor(suite.AES256GCMCommitP384, 16, 1), static()
	plaintext := random(1000)
	file := append([]byte("prefix"), encrypt(t, c, m, plaintext)...)
	open := func() *esdk.Reader {
		src := bytes.NewReader(file)
		if _, err := src.Seek(6, io.SeekStart); err != nil {
			t.Fatal(err)
		}
		r, err := c.NewReader(t.Context(), src, m, esdk.DecryptOptions{VerifyFirst: true})
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	if got, err := io.ReadAll(open()); err != nil || !bytes.Equal(got, plaintext) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	r := open()
	file[len(file)-150] ^= 1
	if got, err := io.ReadAll(r); err == nil || len(got) == len(plaintext) {
		t.Errorf("changed in between: %d bytes, %v", len(got), err)
	}
}

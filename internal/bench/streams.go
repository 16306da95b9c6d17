package main

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha512"
	"encoding/binary"
	"fmt"
	"io"
	mathrand "math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/keywright/keywright/esdk"
	"github.com/keywright/keywright/esdk/keyring"
	"github.com/keywright/keywright/esdk/materials"
	"github.com/keywright/keywright/esdk/suite"
)

const (
	streamSize  = 64 << 20 // bytes of plaintext of one slice, in memory: beginning and end count little
	streamFrame = 4096
	bareFrames  = 16 // that a ceiling reads at a time
	smallSize   = 1 << 10
	smallSlice  = 200 // messages, or reads

	// slower is how many times as long a slice of a signed stream takes: for as
	// many slices, and a median as good, a cell has as much longer.
	slower = 4

	// short is a cell's time below which the shape of the figures is all that is
	// asked for: what is measured is then 64 times smaller.
	short = 100 * time.Millisecond
)

// A streamer is something to be compared: what it does in one slice, and how
// many units that is.
type streamer struct {
	what  string
	slice func() error
}

// measureStreams compares the envelope library with what its parts cost alone.
// Streamers take turns in slices of some milliseconds: the neighbours of a
// machine slow down all alike. In each round the order is another, since what one
// core does is 5 % faster after a slice on two than after a slice on one. What is
// told is the median of the slices, and the median of their ratios to the slice of
// the ceiling in the same round.
func measureStreams(o *options, r *report) error {
	for _, measure := range []func(*options, *report) error{measureUnsigned, measureSigned, measureSmall, measureReadAt, measureStreamMemory} {
		if err := measure(o, r); err != nil {
			return err
		}
	}
	return nil
}

// bytes returns how many bytes to measure where n are meant.
func (o *options) bytes(n int64) int64 {
	if o.seconds < short {
		return n / 64
	}
	return n
}

// compare lets streamers take turns for about a cell's time each. The first is
// the ceiling. It returns the seconds of a slice and what part of the ceiling's
// speed that is, for each.
func compare(each time.Duration, all []streamer) (seconds, ratios []float64, err error) {
	times := make([][]float64, len(all))
	for _, c := range all { // unmeasured, to warm up
		if err := c.slice(); err != nil {
			return nil, nil, fmt.Errorf("%s: %w", c.what, err)
		}
	}
	for end := time.Now().Add(each * time.Duration(len(all))); len(times[0]) < 3 || time.Now().Before(end); {
		for _, i := range mathrand.Perm(len(all)) {
			start := time.Now()
			if err := all[i].slice(); err != nil {
				return nil, nil, fmt.Errorf("%s: %w", all[i].what, err)
			}
			times[i] = append(times[i], time.Since(start).Seconds())
		}
	}
	for i := range all {
		relative := make([]float64, len(times[i]))
		for round, t := range times[i] {
			relative[round] = times[0][round] / t
		}
		seconds, ratios = append(seconds, median(times[i])), append(ratios, median(relative))
	}
	return seconds, ratios, nil
}

func median(all []float64) float64 {
	sorted := slices.Sorted(slices.Values(all))
	return sorted[len(sorted)/2]
}

// addStreams compares streamers that take n bytes a slice.
func (r *report) addStreams(each time.Duration, n int, all []streamer) error {
	seconds, ratios, err := compare(each, all)
	for i := range seconds {
		r.Streams = append(r.Streams, streamRow{What: all[i].what, MBSec: float64(n) / seconds[i] / 1e6, Ceiling: all[0].what, Ratio: ratios[i]})
	}
	return err
}

// addCalls compares streamers that do smallSlice calls a slice.
func (r *report) addCalls(o *options, all []streamer) error {
	seconds, ratios, err := compare(o.seconds, all)
	for i := range seconds {
		r.Calls = append(r.Calls, callRow{What: all[i].what, Micros: seconds[i] / smallSlice * 1e6, Ceiling: all[0].what, Ratio: ratios[i]})
	}
	return err
}

// onCores is a ceiling: frames is what one core does with a part of the data.
func onCores(what string, cores int, data []byte, unit int, frames func(src io.Reader)) streamer {
	part := (len(data)/unit + cores - 1) / cores * unit
	return streamer{fmt.Sprintf("%s, %s", what, coresText(cores)), func() error {
		var wg sync.WaitGroup
		for p := range slices.Chunk(data, part) {
			wg.Go(func() { frames(justReader{bytes.NewReader(p)}) })
		}
		wg.Wait()
		return nil
	}}
}

func coresText(n int) string {
	if n == 1 {
		return "1 core"
	}
	return fmt.Sprintf("%d cores", n)
}

// bareEncryption reads a plaintext and encrypts its frames with AES-256-GCM, and
// does nothing else.
func bareEncryption(aead cipher.AEAD, plaintext []byte, cores int) streamer {
	return onCores("read and encrypt frames alone", cores, plaintext, streamFrame, func(src io.Reader) {
		buf, out := make([]byte, bareFrames*streamFrame), newSealed()
		for {
			n, err := io.ReadFull(src, buf)
			sealFrames(aead, out, buf[:n])
			if err != nil {
				return
			}
		}
	})
}

// newSealed returns memory for one frame.
func newSealed() []byte { return make([]byte, 0, 2*streamFrame) }

// sealFrames encrypts frames one after the other in the memory of out.
func sealFrames(aead cipher.AEAD, out, plaintext []byte) {
	var nonce [12]byte
	for i := 0; i < len(plaintext); i += streamFrame {
		binary.BigEndian.PutUint64(nonce[4:], uint64(i))
		aead.Seal(out, nonce[:], plaintext[i:i+streamFrame], nil)
	}
}

// bareDecryption reads the regular frames of a message and decrypts them with
// AES-256-GCM, and does nothing else. The frames of the message are where they
// are expected, since it was made a moment ago.
func (e *envelope) bareDecryption(msg []byte, cores int) (streamer, error) {
	header, err := e.Inspect(bytes.NewReader(msg))
	if err != nil {
		return streamer{}, err
	}
	m, err := e.DecryptionMaterials(context.Background(), materials.DecryptionRequest{
		Suite: header.Suite.ID, EncryptionContext: header.EncryptionContext, EncryptedDataKeys: header.EncryptedDataKeys,
	})
	if err != nil {
		return streamer{}, err
	}
	key, err := hkdf.Key(sha512.New, m.DataKey, header.MessageID, "\x04\x78DERIVEKEY", 32)
	if err != nil {
		return streamer{}, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return streamer{}, err
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return streamer{}, err
	}
	const stride = 4 + 12 + streamFrame + 16
	prefix := append(header.MessageID, "AWSKMSEncryptionClient Frame"...)
	regular := (len(msg)-header.Length)/stride - 1 // behind them is the last, a full one
	body := msg[header.Length : header.Length+regular*stride]
	return onCores("read and decrypt frames alone", cores, body, stride, func(src io.Reader) {
		buf, out, aad := make([]byte, bareFrames*stride), make([]byte, 0, streamFrame), bytes.Clone(prefix)
		for {
			n, err := io.ReadFull(src, buf)
			for f := range slices.Chunk(buf[:n], stride) {
				aad = binary.BigEndian.AppendUint64(append(aad[:len(prefix)], f[:4]...), streamFrame)
				if _, err := aead.Open(out, f[4:16], f[16:], aad); err != nil {
					panic(err)
				}
			}
			if err != nil {
				return
			}
		}
	}), nil
}

func newGCM() (cipher.AEAD, error) {
	var key [32]byte
	rand.Read(key[:])
	block, err := aes.NewCipher(key[:])
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}

// envelope is what a stream needs.
type envelope struct {
	*esdk.Client
	materials.Manager
}

// with returns an envelope of other workers that reads the same messages.
func (e *envelope) with(id suite.ID, workers int) *envelope {
	return &envelope{esdk.New(esdk.Config{Suite: id, FrameLength: streamFrame, Workers: workers}), e.Manager}
}

// newEnvelope makes a client of a suite, and a manager that caches data keys.
func newEnvelope(id suite.ID, workers int) (*envelope, error) {
	var key [32]byte
	rand.Read(key[:])
	k, err := keyring.NewRawAES("bench", "key", key[:])
	if err != nil {
		return nil, err
	}
	m, err := materials.NewCachingManager(materials.CachingConfig{Keyring: k, MaxAge: time.Hour})
	if err != nil {
		return nil, err
	}
	e := &envelope{Manager: m}
	return e.with(id, workers), nil
}

func (e *envelope) encrypt(plaintext []byte) ([]byte, error) {
	msg, _, err := e.Encrypt(context.Background(), e.Manager, plaintext, esdk.EncryptOptions{})
	return msg, err
}

// justReader and justWriter hide what io.Copy would make a short cut of.
type justReader struct{ io.Reader }
type justWriter struct{ io.Writer }

// encryptors encrypt a plaintext as a stream.
func (e *envelope) encryptors(what string, plaintext []byte) []streamer {
	// start begins a message and lets write do the rest.
	start := func(write func(w *esdk.Writer) error) error {
		w, err := e.NewWriter(context.Background(), justWriter{io.Discard}, e.Manager, esdk.EncryptOptions{PlaintextBound: int64(len(plaintext))})
		if err != nil {
			return err
		}
		if err := write(w); err != nil {
			return err
		}
		return w.Close()
	}
	return []streamer{
		{"encrypt" + what, func() error {
			return start(func(w *esdk.Writer) error {
				_, err := io.Copy(w, justReader{bytes.NewReader(plaintext)})
				return err
			})
		}},
		{"encrypt" + what + ", written by 32 KiB", func() error {
			return start(func(w *esdk.Writer) error {
				for p := range slices.Chunk(plaintext, 32<<10) {
					if _, err := w.Write(p); err != nil {
						return err
					}
				}
				return nil
			})
		}},
	}
}

// decryptors decrypt a message of n bytes as a stream.
func (e *envelope) decryptors(what string, msg []byte, n int64) []streamer {
	start := func(read func(r io.Reader) (int64, error)) error {
		r, err := e.NewReader(context.Background(), justReader{bytes.NewReader(msg)}, e.Manager, esdk.DecryptOptions{})
		if err != nil {
			return err
		}
		got, err := read(r)
		if err == nil && got != n {
			err = fmt.Errorf("%d bytes decrypted of %d", got, n)
		}
		return err
	}
	return []streamer{
		{"decrypt" + what, func() error {
			return start(func(r io.Reader) (int64, error) { return io.Copy(justWriter{io.Discard}, r) })
		}},
		{"decrypt" + what + ", read by 32 KiB", func() error {
			return start(func(r io.Reader) (int64, error) {
				return io.CopyBuffer(justWriter{io.Discard}, justReader{r}, make([]byte, 32<<10))
			})
		}},
	}
}

func randomBytes(n int64) []byte {
	b := make([]byte, n)
	rand.Read(b)
	return b
}

func measureUnsigned(o *options, r *report) error {
	progress("streams: unsigned")
	aead, err := newGCM()
	if err != nil {
		return err
	}
	plaintext := randomBytes(o.bytes(streamSize))
	e, err := newEnvelope(suite.AES256GCMCommit, 1)
	if err != nil {
		return err
	}
	msg, err := e.encrypt(plaintext)
	if err != nil {
		return err
	}
	var encrypt, decrypt []streamer
	for _, cores := range []int{1, 2} {
		bare, err := e.bareDecryption(msg, cores)
		if err != nil {
			return err
		}
		e, what := e.with(suite.AES256GCMCommit, cores), ", "+coresText(cores)
		encrypt = append(append(encrypt, bareEncryption(aead, plaintext, cores)), e.encryptors(what, plaintext)...)
		decrypt = append(append(decrypt, bare), e.decryptors(what, msg, int64(len(plaintext)))...)
	}
	if err := r.addStreams(o.seconds, len(plaintext), encrypt); err != nil {
		return err
	}
	return r.addStreams(o.seconds, len(plaintext), decrypt)
}

// measureSigned compares with the hash that a signature covers while a cipher
// encrypts as much beside it.
func measureSigned(o *options, r *report) error {
	progress("streams: signed")
	aead, err := newGCM()
	if err != nil {
		return err
	}
	plaintext := randomBytes(o.bytes(streamSize))
	all := []streamer{{"SHA-384, and AES-256-GCM beside it", func() error {
		var wg sync.WaitGroup
		wg.Go(func() { sealFrames(aead, newSealed(), plaintext) })
		sha512.Sum384(plaintext)
		wg.Wait()
		return nil
	}}}
	e, err := newEnvelope(suite.AES256GCMCommitP384, 2)
	if err != nil {
		return err
	}
	msg, err := e.encrypt(plaintext)
	if err != nil {
		return err
	}
	all = append(all, e.encryptors(", signed, 2 cores", plaintext)...)
	return r.addStreams(slower*o.seconds, len(plaintext), append(all, e.decryptors(", signed, 2 cores", msg, int64(len(plaintext)))...))
}

// times does one thing a slice's number of times.
func times(what string, do func() error) streamer {
	return streamer{what, func() error {
		for range smallSlice {
			if err := do(); err != nil {
				return err
			}
		}
		return nil
	}}
}

func measureSmall(o *options, r *report) error {
	progress("streams: small messages")
	e, err := newEnvelope(suite.AES256GCMCommit, 1)
	if err != nil {
		return err
	}
	plaintext := make([]byte, smallSize)
	msg, err := e.encrypt(plaintext)
	if err != nil {
		return err
	}
	aead, err := newGCM()
	if err != nil {
		return err
	}
	out, nonce := make([]byte, 0, 2*smallSize), make([]byte, 12)
	return r.addCalls(o, []streamer{
		times("AES-256-GCM alone over 1 KiB", func() error {
			aead.Seal(out, nonce, plaintext, nil)
			return nil
		}),
		times("encrypt 1 KiB, data key cached", func() error {
			_, err := e.encrypt(plaintext)
			return err
		}),
		times("decrypt 1 KiB, data key cached", func() error {
			_, _, err := e.Decrypt(context.Background(), e.Manager, msg, esdk.DecryptOptions{})
			return err
		}),
	})
}

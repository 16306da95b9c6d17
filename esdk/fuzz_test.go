package esdk_test

import (
	"bytes"
	"testing"

	"github.com/keywright/keywright/esdk"
	"github.com/keywright/keywright/esdk/suite"
)

// FuzzDecrypt: whatever follows an honest header, the ways to read a message
// agree on it, and what comes out begins as the honest plaintext does.
func FuzzDecrypt(f *testing.F) {
	plaintext := random(3*16 + 5)
	clients := map[byte]*esdk.Client{
		0: clientFor(suite.AES256GCM, 16, 1),
		1: clientFor(suite.AES256GCMCommit, 16, 2),
		2: clientFor(suite.AES256GCMCommitP384, 16, 1),
	}
	headers, bodies := map[byte][]byte{}, map[byte][]byte{}
	for i, c := range clients {
		msg := encrypt(f, c, static(), plaintext)
		h, err := c.Inspect(bytes.NewReader(msg))
		if err != nil {
			f.Fatal(err)
		}
		headers[i], bodies[i] = msg[:h.Length:h.Length], msg[h.Length:]
		f.Add(i, bodies[i])
		f.Add(i, bodies[i][48:])
		f.Add(i, append(bodies[i][:96:96], bodies[i][48:]...))
	}
	f.Fuzz(func(t *testing.T, i byte, body []byte) {
		i %= 3
		c, m, msg := clients[i], static(), append(headers[i], body...)
		whole, _, err := c.Decrypt(t.Context(), m, msg, esdk.DecryptOptions{})
		if err == nil && !bytes.Equal(body, bodies[i]) && i < 2 {
			t.Errorf("a body that was not encrypted decrypts to %d bytes", len(whole))
		}
		if err != nil && whole != nil {
			t.Errorf("%d bytes beside %v", len(whole), err)
		}
		streamed, streamErr := readAll(t.Context(), c, &small{msg}, m, esdk.DecryptOptions{})
		if (err == nil) != (streamErr == nil) || err == nil && !bytes.Equal(whole, streamed) {
			t.Errorf("whole: %v, as a stream: %v", err, streamErr)
		}
		if !bytes.HasPrefix(plaintext, streamed) {
			t.Errorf("a stream of other bytes: %x", streamed)
		}
		at, atErr := c.NewReaderAt(t.Context(), bytes.NewReader(msg), int64(len(msg)), m, esdk.DecryptOptions{})
		if err == nil && (atErr != nil || at.Size() != int64(len(whole))) {
			t.Errorf("whole: %d bytes, at random: %v", len(whole), atErr)
		}
	})
}

package main

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/keywright/keywright/internal/sigv4"
)

// bareHandler is ceiling one: it reads the request and answers body.
func bareHandler(body []byte) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			return
		}
		writeAnswer(w, http.StatusOK, body)
	})
}

// writeAnswer writes the headers that Keywright writes.
func writeAnswer(w http.ResponseWriter, status int, body []byte) {
	h := w.Header()
	h["X-Amzn-Requestid"] = []string{"3b8f1c52-9f3e-4f0c-8f8e-0f4f1f0c7f52"}
	h["Cache-Control"] = []string{"no-cache, no-store, must-revalidate, private"}
	h["Expires"] = []string{"0"}
	h["Pragma"] = []string{"no-cache"}
	h["Content-Type"] = []string{"application/x-amz-json-1.1"}
	h["Content-Length"] = []string{strconv.Itoa(len(body))}
	w.WriteHeader(status)
	w.Write(body)
}

// minimal is ceiling two: the least that a key management service does. It has
// one key, one access key and no state.
type minimal struct {
	key accessKey
	gcm cipher.AEAD

	mu       sync.Mutex
	signDate string
	signKey  [32]byte
}

func newMinimal(key accessKey) (*minimal, error) {
	var aesKey [32]byte
	rand.Read(aesKey[:])
	block, err := aes.NewCipher(aesKey[:])
	if err != nil {
		return nil, err
	}
	gcm, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return nil, err
	}
	return &minimal{key: key, gcm: gcm}, nil
}

type minimalRequest struct {
	KeyId             string
	Plaintext         []byte
	CiphertextBlob    []byte
	EncryptionContext map[string]string
	NumberOfBytes     int
}

type minimalResponse struct {
	KeyId               string
	Plaintext           []byte `json:",omitempty"`
	CiphertextBlob      []byte `json:",omitempty"`
	EncryptionAlgorithm string `json:",omitempty"`
	KeyMaterialId       string `json:",omitempty"`
}

// ServeHTTP implements http.Handler.
func (m *minimal) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	out, err := m.answer(r, body)
	if err != nil {
		writeAnswer(w, http.StatusBadRequest, []byte(err.Error()))
		return
	}
	writeAnswer(w, http.StatusOK, out)
}

func (m *minimal) answer(r *http.Request, body []byte) ([]byte, error) {
	path, query, _ := strings.Cut(r.RequestURI, "?")
	signed, err := sigv4.Parse(&sigv4.Request{Method: r.Method, Path: path, RawQuery: query, Host: r.Host, Header: r.Header}, time.Now())
	if err != nil {
		return nil, err
	}
	if signed.AccessKeyID != m.key.id {
		return nil, sigv4.ErrUnrecognizedClient
	}
	if err := signed.Verify(m.signingKey(signed.Date), sha256.Sum256(body)); err != nil {
		return nil, err
	}
	var in minimalRequest
	if err := json.Unmarshal(body, &in); err != nil {
		return nil, err
	}
	const arn = "arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
	out := minimalResponse{KeyId: arn, EncryptionAlgorithm: "SYMMETRIC_DEFAULT", KeyMaterialId: strings.Repeat("a", 64)}
	switch strings.TrimPrefix(r.Header.Get("X-Amz-Target"), "TrentService.") {
	case "Encrypt":
		out.CiphertextBlob = m.gcm.Seal(nil, nil, in.Plaintext, nil)
	case "Decrypt":
		if out.Plaintext, err = m.gcm.Open(nil, nil, in.CiphertextBlob, nil); err != nil {
			return nil, err
		}
	case "GenerateDataKey":
		out.Plaintext = make([]byte, in.NumberOfBytes)
		rand.Read(out.Plaintext)
		out.CiphertextBlob = m.gcm.Seal(nil, nil, out.Plaintext, nil)
	}
	return json.Marshal(out)
}

// signingKey derives the day's signing key once.
func (m *minimal) signingKey(date string) [32]byte {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.signDate != date {
		m.signDate, m.signKey = date, sigv4.SigningKey(m.key.secret, date, region, "kms")
	}
	return m.signKey
}

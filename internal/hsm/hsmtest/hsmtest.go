// Package hsmtest checks an hsm.Module against its contract: every sentence of
// package hsm that can be seen from outside has a test here. A Module's own
// tests call Run, and add what is particular to it. It is for tests only.
package hsmtest

import (
	"bytes"
	"errors"
	"fmt"
	"testing"

	"github.com/keywright/keywright/internal/hsm"
)

// Run runs all tests. Each gets a Module from open, which must share no domain
// key with those that open returned before; Run closes it.
func Run(t *testing.T, open func(t *testing.T) hsm.Module) {
	for _, test := range []struct {
		name string
		run  func(*suite)
	}{
		{"RoundTrip", (*suite).roundTrip},
		{"AdditionalData", (*suite).additionalData},
		{"BodyTampering", (*suite).bodyTampering},
		{"OtherKey", (*suite).otherKey},
		{"InputsUntouched", (*suite).inputsUntouched},
		{"Attributes", (*suite).attributes},
		{"Sibling", (*suite).sibling},
		{"TokenTampering", (*suite).tokenTampering},
		{"OtherModule", (*suite).otherModule},
		{"WrongUsage", (*suite).wrongUsage},
		{"Rewrap", (*suite).rewrap},
		{"Secrets", (*suite).secrets},
		{"SigningKey", (*suite).signingKey},
		{"Random", (*suite).random},
		{"Concurrent", (*suite).concurrent},
		{"Close", (*suite).close},
		{"CloseUnderWay", (*suite).closeUnderWay},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := &suite{T: t, open: open}
			s.m = s.another()
			test.run(s)
		})
	}
}

type suite struct {
	*testing.T
	open func(*testing.T) hsm.Module
	m    hsm.Module
}

const (
	account    = "111122223333"
	keyID      = "1234abcd-12ab-34cd-56ef-1234567890ab"
	accessKey  = "AKIAIOSFODNN7EXAMPLE"
	someSecret = "a secret of some length"
)

var attrs = hsm.Attributes{
	Account: account,
	KeyID:   keyID,
	Spec:    hsm.SpecSymmetricDefault,
	Usage:   hsm.UsageEncryptDecrypt,
	Origin:  hsm.OriginAWSKMS,
}

// another opens a further Module, closed at the end of the test.
func (s *suite) another() hsm.Module {
	s.Helper()
	m := s.open(s.T)
	s.Cleanup(func() {
		if err := m.Close(); err != nil {
			s.Errorf("Close: %v", err)
		}
	})
	return m
}

func (s *suite) generate(attrs hsm.Attributes, sibling hsm.Token) hsm.Material {
	s.Helper()
	mat, err := s.m.Generate(s.Context(), attrs, sibling)
	if err != nil {
		s.Fatalf("Generate: %v", err)
	}
	return mat
}

func (s *suite) encrypt(t hsm.Token, aad, plaintext []byte) []byte {
	s.Helper()
	body, err := s.m.Encrypt(s.Context(), nil, t, aad, plaintext)
	if err != nil {
		s.Fatalf("Encrypt: %v", err)
	}
	return body
}

func (s *suite) wrapSecret(accessKey, secret string) hsm.Token {
	s.Helper()
	t, err := s.m.WrapSecret(s.Context(), account, accessKey, secret)
	if err != nil {
		s.Fatalf("WrapSecret: %v", err)
	}
	return t
}

// mustOpen checks that body opens to plaintext.
func (s *suite) mustOpen(t hsm.Token, aad, body, plaintext []byte) {
	s.Helper()
	got, err := s.m.Decrypt(s.Context(), nil, t, aad, body)
	if err != nil {
		s.Fatalf("Decrypt: %v", err)
	}
	if !bytes.Equal(got, plaintext) {
		s.Fatalf("Decrypt returned %x, want %x", got, plaintext)
	}
}

// mustNotOpen checks that Decrypt refuses the body, and returns nothing.
func (s *suite) mustNotOpen(what string, t hsm.Token, aad, body []byte) {
	s.Helper()
	got, err := s.m.Decrypt(s.Context(), []byte("dst"), t, aad, body)
	if !errors.Is(err, hsm.ErrInvalidCiphertext) || got != nil {
		s.Fatalf("Decrypt of %s returned %x, %v; want ErrInvalidCiphertext", what, got, err)
	}
}

// everyTokenMethod calls each method that takes a token with t, and checks that
// all of them fail with want and return nothing else.
func (s *suite) everyTokenMethod(what string, m hsm.Module, t hsm.Token, want error) {
	s.Helper()
	ctx := s.Context()
	for _, call := range []struct {
		method string
		run    func() (empty bool, err error)
	}{
		{"Inspect", func() (bool, error) {
			a, id, err := m.Inspect(ctx, t)
			return a == hsm.Attributes{} && id == hsm.MaterialID{}, err
		}},
		{"Encrypt", func() (bool, error) {
			out, err := m.Encrypt(ctx, []byte("dst"), t, nil, []byte("plaintext"))
			return out == nil, err
		}},
		{"Decrypt", func() (bool, error) {
			out, err := m.Decrypt(ctx, []byte("dst"), t, nil, make([]byte, 200))
			return out == nil, err
		}},
		{"Rewrap", func() (bool, error) {
			out, err := m.Rewrap(ctx, t)
			return out == nil, err
		}},
		{"SigningKey", func() (bool, error) {
			k, err := m.SigningKey(ctx, t, "20260101", "us-east-1", "kms")
			return k == [32]byte{}, err
		}},
		{"Generate", func() (bool, error) {
			mat, err := m.Generate(ctx, attrs, append(hsm.Token{}, t...))
			return mat.Token == nil && mat.ID == hsm.MaterialID{}, err
		}},
	} {
		empty, err := call.run()
		if !errors.Is(err, want) {
			s.Fatalf("%s with %s: error %v, want %v", call.method, what, err, want)
		}
		if !empty {
			s.Fatalf("%s with %s returned a result beside its error", call.method, what)
		}
	}
}

func flip(b []byte, bit int) []byte {
	out := bytes.Clone(b)
	out[bit/8] ^= 1 << (bit % 8)
	return out
}

func bitName(bit int) string { return fmt.Sprintf("bit %d of byte %d flipped", bit%8, bit/8) }

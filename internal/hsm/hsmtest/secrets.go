package hsmtest

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"strings"

	"github.com/keywright/keywright/internal/hsm"
)

func (s *suite) secrets() {
	seen := make(map[string]bool)
	for range 50 {
		t, secret, err := s.m.NewSecret(s.Context(), account, accessKey)
		if err != nil {
			s.Fatalf("NewSecret: %v", err)
		}
		if len(secret) != 40 {
			s.Errorf("NewSecret returned %d characters, want 40", len(secret))
		}
		if strings.Trim(secret, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/") != "" {
			s.Error("NewSecret returned characters that AWS's secrets do not have")
		}
		if seen[secret] {
			s.Error("NewSecret returned a secret twice")
		}
		seen[secret] = true
		if bytes.Contains(t, []byte(secret)) {
			s.Error("the token has its secret in it")
		}
		got, err := s.m.SigningKey(s.Context(), t, "20260101", "us-east-1", "kms")
		if err != nil {
			s.Fatalf("SigningKey: %v", err)
		}
		if got != signingKey(secret, "20260101", "us-east-1", "kms") {
			s.Error("the token is not of the secret that NewSecret returned")
		}
		want := hsm.Attributes{Account: account, KeyID: accessKey, Spec: hsm.SpecSigV4Secret, Usage: hsm.UsageSignRequests, Origin: hsm.OriginAWSKMS}
		if a, _ := s.inspect(t); a != want {
			s.Errorf("NewSecret's token has %v, want %v", a, want)
		}
	}

	t := s.wrapSecret(accessKey, someSecret)
	want := hsm.Attributes{Account: account, KeyID: accessKey, Spec: hsm.SpecSigV4Secret, Usage: hsm.UsageSignRequests, Origin: hsm.OriginExternal}
	a, id := s.inspect(t)
	if a != want {
		s.Errorf("WrapSecret's token has %v, want %v", a, want)
	}
	if _, otherID := s.inspect(s.wrapSecret(accessKey+"2", someSecret)); otherID == id {
		s.Error("the same secret under two access keys has one material id")
	}
	for _, n := range []int{0, 15, 129} {
		if t, err := s.m.WrapSecret(s.Context(), account, accessKey, strings.Repeat("s", n)); err == nil || t != nil {
			s.Errorf("WrapSecret took a secret of %d bytes", n)
		}
	}
	for _, n := range []int{16, 128} {
		s.wrapSecret(accessKey, strings.Repeat("s", n))
	}
}

// signingKey is the derivation as the AWS documentation has it.
func signingKey(secret, date, region, service string) (k [32]byte) {
	key := []byte("AWS4" + secret)
	for _, part := range []string{date, region, service, "aws4_request"} {
		h := hmac.New(sha256.New, key)
		h.Write([]byte(part))
		key = h.Sum(nil)
	}
	return [32]byte(key)
}

func (s *suite) signingKey() {
	// The documentation's example.
	t := s.wrapSecret(accessKey, "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")
	key, err := s.m.SigningKey(s.Context(), t, "20120215", "us-east-1", "iam")
	if err != nil {
		s.Fatalf("SigningKey: %v", err)
	}
	if got, want := hex.EncodeToString(key[:]), "f4780e2d9f65fa895f9c67b32ce1baf0b0d8a43505a000a1a9e090d414db404d"; got != want {
		s.Errorf("SigningKey of the documented example is %s, want %s", got, want)
	}

	// Scopes that are the same text when joined are not the same scope, and
	// neither are two access keys with one scope.
	other := s.wrapSecret(accessKey, "another secret of some length")
	long := strings.Repeat("r", 255)
	x := strings.Repeat("x", 'a') // 97 bytes; with an 'a' before them, 'b'
	for range 2 {                 // from the cache the second time
		for _, c := range []struct {
			t                     hsm.Token
			secret                string
			date, region, service string
		}{
			{t, "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "20260101", "ab", "c"},
			{t, "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "20260101", "a", "bc"},
			{t, "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "20260101", "", "abc"},
			{t, "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "20260102", "ab", "c"},
			{t, "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "20260101", "a", "a" + x},
			{t, "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "20260101", "ab", x},
			{t, "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "20260101", long, long},
			{other, "another secret of some length", "20260101", "ab", "c"},
		} {
			got, err := s.m.SigningKey(s.Context(), c.t, c.date, c.region, c.service)
			if err != nil {
				s.Fatalf("SigningKey for %s/%s/%s: %v", c.date, c.region, c.service, err)
			}
			if got != signingKey(c.secret, c.date, c.region, c.service) {
				s.Errorf("SigningKey for %s/%s/%s is wrong", c.date, c.region, c.service)
			}
		}
	}
	for _, scope := range [][3]string{
		{"", "us-east-1", "kms"},
		{"2026010", "us-east-1", "kms"},
		{"202601011", "us-east-1", "kms"},
		{"2026-1-1", "us-east-1", "kms"},
		{"20260101", long + "r", "kms"},
		{"20260101", "us-east-1", long + "r"},
	} {
		if k, err := s.m.SigningKey(s.Context(), t, scope[0], scope[1], scope[2]); err == nil || k != [32]byte{} {
			s.Errorf("SigningKey took the scope %q", scope)
		}
	}
}

package hsmtest

import (
	"bytes"
	"fmt"

	"github.com/keywright/keywright/internal/hsm"
)

func (s *suite) roundTrip() {
	mat := s.generate(attrs, nil)
	aad := []byte("additional data")
	overhead := len(s.encrypt(mat.Token, aad, nil))
	seen := make(map[string]bool)
	for _, n := range []int{0, 1, 15, 16, 17, 32, 4096} {
		plaintext := bytes.Repeat([]byte{0xa5}, n)
		for range 2 {
			body, err := s.m.Encrypt(s.Context(), []byte("before"), mat.Token, aad, plaintext)
			if err != nil {
				s.Fatalf("Encrypt of %d bytes: %v", n, err)
			}
			if !bytes.HasPrefix(body, []byte("before")) {
				s.Fatalf("Encrypt of %d bytes did not append to dst", n)
			}
			body = body[len("before"):]
			if got := len(body) - n; got != overhead {
				s.Errorf("body of %d bytes is %d longer than its plaintext, others are %d longer", n, got, overhead)
			}
			if n >= 16 && bytes.Contains(body, plaintext[:16]) {
				s.Errorf("body of %d bytes has plaintext in it", n)
			}
			if seen[string(body)] {
				s.Errorf("Encrypt of %d bytes returned the same body twice", n)
			}
			seen[string(body)] = true
			got, err := s.m.Decrypt(s.Context(), []byte("before"), mat.Token, aad, body)
			if err != nil {
				s.Fatalf("Decrypt of %d bytes: %v", n, err)
			}
			if want := append([]byte("before"), plaintext...); !bytes.Equal(got, want) {
				s.Errorf("Decrypt of %d bytes returned %x, want %x", n, got, want)
			}
		}
	}
}

func (s *suite) additionalData() {
	t := s.generate(attrs, nil).Token
	body := s.encrypt(t, nil, []byte("plaintext"))
	s.mustOpen(t, nil, body, []byte("plaintext"))
	s.mustOpen(t, []byte{}, body, []byte("plaintext"))
	s.mustNotOpen("a body without additional data, with some", t, []byte{0}, body)

	aad := []byte("additional data")
	body = s.encrypt(t, aad, []byte("plaintext"))
	s.mustNotOpen("a body without its additional data", t, nil, body)
	s.mustNotOpen("a body with shorter additional data", t, aad[:len(aad)-1], body)
	s.mustNotOpen("a body with longer additional data", t, append(bytes.Clone(aad), 0), body)
	for bit := range 8 * len(aad) {
		s.mustNotOpen("a body with additional data, "+bitName(bit), t, flip(aad, bit), body)
	}
}

func (s *suite) bodyTampering() {
	t := s.generate(attrs, nil).Token
	aad, plaintext := []byte("additional data"), []byte("plaintext")
	body := s.encrypt(t, aad, plaintext)
	for bit := range 8 * len(body) {
		s.mustNotOpen("a body, "+bitName(bit), t, aad, flip(body, bit))
	}
	for n := range len(body) {
		s.mustNotOpen(fmt.Sprintf("the first %d bytes of a body", n), t, aad, body[:n])
		s.mustNotOpen(fmt.Sprintf("a body without its first %d bytes", n+1), t, aad, body[n+1:])
	}
	s.mustNotOpen("a body with a byte after it", t, aad, append(bytes.Clone(body), 0))
	s.mustNotOpen("a body with a byte before it", t, aad, append([]byte{0}, body...))
	s.mustOpen(t, aad, body, plaintext)
}

// otherKey: a body opens under its own material alone.
func (s *suite) otherKey() {
	t := s.generate(attrs, nil).Token
	body := s.encrypt(t, nil, []byte("plaintext"))
	otherID := attrs
	otherID.KeyID = "00000000-0000-0000-0000-000000000000"
	otherAccount := attrs
	otherAccount.Account = "444455556666"
	s.mustNotOpen("another material's body", s.generate(attrs, nil).Token, nil, body)
	s.mustNotOpen("a sibling's body", s.generate(attrs, t).Token, nil, body)
	s.mustNotOpen("another key's body", s.generate(otherID, nil).Token, nil, body)
	s.mustNotOpen("another account's body", s.generate(otherAccount, nil).Token, nil, body)
	s.mustOpen(t, nil, body, []byte("plaintext"))
}

// inputsUntouched: what is given in is not changed, and not kept either.
func (s *suite) inputsUntouched() {
	t := s.generate(attrs, nil).Token
	aad, plaintext := []byte("additional data"), []byte("plaintext")
	given := [][]byte{bytes.Clone(t), bytes.Clone(aad), bytes.Clone(plaintext)}
	unchanged := func(method string) {
		s.Helper()
		if !bytes.Equal(given[0], t) || !bytes.Equal(given[1], aad) || !bytes.Equal(given[2], plaintext) {
			s.Fatalf("%s changed its arguments", method)
		}
	}
	body := s.encrypt(given[0], given[1], given[2])
	unchanged("Encrypt")
	givenBody := bytes.Clone(body)
	s.mustOpen(given[0], given[1], givenBody, plaintext)
	unchanged("Decrypt")
	s.mustNotOpen("a body with other additional data", given[0], nil, givenBody)
	if !bytes.Equal(givenBody, body) {
		s.Fatal("Decrypt changed the body")
	}
	s.generate(attrs, given[0])
	unchanged("Generate")
	if _, err := s.m.Rewrap(s.Context(), given[0]); err != nil {
		s.Fatalf("Rewrap: %v", err)
	}
	unchanged("Rewrap")

	// Now the slices are the caller's again, to write what it likes.
	for _, b := range given {
		clear(b)
	}
	s.everyTokenMethod("an overwritten token", s.m, given[0], hsm.ErrInvalidToken)
	s.mustOpen(t, aad, body, plaintext)
}

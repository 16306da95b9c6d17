package hsmtest

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	"github.com/keywright/keywright/internal/hsm"
)

func (s *suite) inspect(t hsm.Token) (hsm.Attributes, hsm.MaterialID) {
	s.Helper()
	a, id, err := s.m.Inspect(s.Context(), t)
	if err != nil {
		s.Fatalf("Inspect: %v", err)
	}
	return a, id
}

// attributes: they are in the token as they were given, and nothing but what
// the contract allows becomes one.
func (s *suite) attributes() {
	mat := s.generate(attrs, nil)
	if a, id := s.inspect(mat.Token); a != attrs || id != mat.ID {
		s.Errorf("Inspect returned %v, %x; want %v, %x", a, id, attrs, mat.ID)
	}
	if again := s.generate(attrs, nil); again.ID == mat.ID || bytes.Equal(again.Token, mat.Token) {
		s.Error("Generate made the same material twice")
	}
	for _, id := range []string{"x", "mrk-1234abcd12ab34cd56ef1234567890ab", strings.Repeat("k", 128)} {
		a := attrs
		a.KeyID = id
		if got, _ := s.inspect(s.generate(a, nil).Token); got != a {
			s.Errorf("Inspect returned %v, want %v", got, a)
		}
	}

	for _, acct := range []string{"", "11112222333", "1111222233334", "11112222333x", "-11122223333"} {
		a := attrs
		a.Account = acct
		if mat, err := s.m.Generate(s.Context(), a, nil); err == nil || mat.Token != nil {
			s.Errorf("Generate took the account %q", acct)
		}
		if t, err := s.m.WrapSecret(s.Context(), acct, accessKey, someSecret); err == nil || t != nil {
			s.Errorf("WrapSecret took the account %q", acct)
		}
		if t, secret, err := s.m.NewSecret(s.Context(), acct, accessKey); err == nil || t != nil || secret != "" {
			s.Errorf("NewSecret took the account %q", acct)
		}
	}
	for _, id := range []string{"", "a b", "a\x00b", "é", "\x7f", strings.Repeat("k", 129)} {
		a := attrs
		a.KeyID = id
		if mat, err := s.m.Generate(s.Context(), a, nil); err == nil || mat.Token != nil {
			s.Errorf("Generate took the key id %q", id)
		}
		if t, err := s.m.WrapSecret(s.Context(), account, id, someSecret); err == nil || t != nil {
			s.Errorf("WrapSecret took the access key id %q", id)
		}
	}
	for _, change := range []func(*hsm.Attributes){
		func(a *hsm.Attributes) { a.Spec = "" },
		func(a *hsm.Attributes) { a.Spec = "NO_SUCH_SPEC" },
		func(a *hsm.Attributes) { a.Usage = "" },
		func(a *hsm.Attributes) { a.Usage = hsm.UsageSignRequests },
		func(a *hsm.Attributes) { a.Origin = hsm.OriginExternal },
		func(a *hsm.Attributes) { a.Origin = "" },
		func(a *hsm.Attributes) { a.Spec, a.Usage = hsm.SpecSigV4Secret, hsm.UsageSignRequests },
	} {
		a := attrs
		change(&a)
		if mat, err := s.m.Generate(s.Context(), a, nil); !errors.Is(err, hsm.ErrUnsupported) || mat.Token != nil {
			s.Errorf("Generate of %v: error %v, want ErrUnsupported", a, err)
		}
	}
}

func (s *suite) sibling() {
	first := s.generate(attrs, nil)
	second := s.generate(attrs, first.Token)
	if second.ID == first.ID {
		s.Error("a sibling has the same material id")
	}
	if a, id := s.inspect(second.Token); a != attrs || id != second.ID {
		s.Errorf("Inspect of a sibling returned %v, %x; want %v, %x", a, id, attrs, second.ID)
	}
	for _, change := range []func(*hsm.Attributes){
		func(a *hsm.Attributes) { a.Account = "444455556666" },
		func(a *hsm.Attributes) { a.KeyID += "0" },
		func(a *hsm.Attributes) { a.KeyID = a.KeyID[:len(a.KeyID)-1] },
	} {
		a := attrs
		change(&a)
		if mat, err := s.m.Generate(s.Context(), a, first.Token); !errors.Is(err, hsm.ErrWrongUsage) || mat.Token != nil {
			s.Errorf("Generate of %v beside a key of %v: error %v, want ErrWrongUsage", a, attrs, err)
		}
	}
	secret := s.wrapSecret(keyID, "a secret under the key's own id")
	if mat, err := s.m.Generate(s.Context(), attrs, secret); !errors.Is(err, hsm.ErrWrongUsage) || mat.Token != nil {
		s.Errorf("Generate beside a SigV4 secret: error %v, want ErrWrongUsage", err)
	}
}

func (s *suite) tokenTampering() {
	mat := s.generate(attrs, nil)
	s.encrypt(mat.Token, nil, nil) // so that a Module with a cache has it there
	for bit := range 8 * len(mat.Token) {
		s.everyTokenMethod("a token, "+bitName(bit), s.m, flip(mat.Token, bit), hsm.ErrInvalidToken)
	}
	for i := range mat.Token {
		for _, value := range []byte{0x00, 0x7f, 0xff} {
			if changed := bytes.Clone(mat.Token); changed[i] != value {
				changed[i] = value
				s.everyTokenMethod(fmt.Sprintf("a token, byte %d set to %#x", i, value), s.m, changed, hsm.ErrInvalidToken)
			}
		}
	}
	for n := range len(mat.Token) {
		s.everyTokenMethod(fmt.Sprintf("the first %d bytes of a token", n), s.m, mat.Token[:n], hsm.ErrInvalidToken)
	}
	s.everyTokenMethod("a token with a byte after it", s.m, append(bytes.Clone(mat.Token), 0), hsm.ErrInvalidToken)

	secret := s.wrapSecret(accessKey, someSecret)
	if _, err := s.m.SigningKey(s.Context(), secret, "20260101", "us-east-1", "kms"); err != nil {
		s.Fatalf("SigningKey: %v", err)
	}
	for i := range secret {
		s.everyTokenMethod("a secret's token, "+bitName(8*i), s.m, flip(secret, 8*i), hsm.ErrInvalidToken)
	}

	// Every way to join the front of one token to the end of another.
	other := s.generate(attrs, nil)
	for n := 1; n < len(mat.Token); n++ {
		spliced := append(bytes.Clone(mat.Token[:n]), other.Token[n:]...)
		if bytes.Equal(spliced, mat.Token) || bytes.Equal(spliced, other.Token) {
			continue
		}
		s.everyTokenMethod(fmt.Sprintf("two tokens joined at byte %d", n), s.m, spliced, hsm.ErrInvalidToken)
	}
}

func (s *suite) otherModule() {
	mat := s.generate(attrs, nil)
	s.encrypt(mat.Token, nil, nil)
	s.everyTokenMethod("another Module's token", s.another(), mat.Token, hsm.ErrInvalidToken)
}

func (s *suite) wrongUsage() {
	secret := s.wrapSecret(accessKey, strings.Repeat("s", 32))
	key := s.generate(attrs, nil).Token
	for range 2 { // the second time what the first may have left in a cache is there
		if out, err := s.m.Encrypt(s.Context(), nil, secret, nil, []byte("plaintext")); !errors.Is(err, hsm.ErrWrongUsage) || out != nil {
			s.Errorf("Encrypt under a SigV4 secret: error %v, want ErrWrongUsage", err)
		}
		if out, err := s.m.Decrypt(s.Context(), nil, secret, nil, make([]byte, 200)); !errors.Is(err, hsm.ErrWrongUsage) || out != nil {
			s.Errorf("Decrypt under a SigV4 secret: error %v, want ErrWrongUsage", err)
		}
		if k, err := s.m.SigningKey(s.Context(), key, "20260101", "us-east-1", "kms"); !errors.Is(err, hsm.ErrWrongUsage) || k != [32]byte{} {
			s.Errorf("SigningKey of a KMS key: error %v, want ErrWrongUsage", err)
		}
	}
}

func (s *suite) rewrap() {
	mat := s.generate(attrs, nil)
	before := s.encrypt(mat.Token, []byte("aad"), []byte("before"))
	again, err := s.m.Rewrap(s.Context(), mat.Token)
	if err != nil {
		s.Fatalf("Rewrap: %v", err)
	}
	if bytes.Equal(again, mat.Token) {
		s.Error("Rewrap returned the token it was given")
	}
	if a, id := s.inspect(again); a != attrs || id != mat.ID {
		s.Errorf("Inspect of a rewrapped token returned %v, %x; want %v, %x", a, id, attrs, mat.ID)
	}
	after := s.encrypt(again, []byte("aad"), []byte("after"))
	for _, t := range []hsm.Token{mat.Token, again} {
		s.mustOpen(t, []byte("aad"), before, []byte("before"))
		s.mustOpen(t, []byte("aad"), after, []byte("after"))
	}
	if sib := s.generate(attrs, again); sib.ID == mat.ID {
		s.Error("a sibling of a rewrapped token has the same material id")
	}

	secret := s.wrapSecret(accessKey, someSecret)
	want, err := s.m.SigningKey(s.Context(), secret, "20260101", "us-east-1", "kms")
	if err != nil {
		s.Fatalf("SigningKey: %v", err)
	}
	if secret, err = s.m.Rewrap(s.Context(), secret); err != nil {
		s.Fatalf("Rewrap of a secret: %v", err)
	}
	if got, err := s.m.SigningKey(s.Context(), secret, "20260101", "us-east-1", "kms"); err != nil || got != want {
		s.Errorf("SigningKey of a rewrapped secret returned another key, or the error %v", err)
	}
}

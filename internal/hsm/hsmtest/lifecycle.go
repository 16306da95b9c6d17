package hsmtest

import (
	"bytes"
	"errors"
	"sync"

	"github.com/keywright/keywright/internal/hsm"
)

func (s *suite) random() {
	if err := s.m.Random(s.Context(), nil); err != nil {
		s.Errorf("Random of nothing: %v", err)
	}
	var a, b [1024]byte
	for _, buf := range [][]byte{a[:], b[:]} {
		if err := s.m.Random(s.Context(), buf); err != nil {
			s.Fatalf("Random: %v", err)
		}
		// 1024 random bytes lack any given one of 256 values with a
		// probability of 2%; they lack half of all values never.
		var seen [256]bool
		values := 0
		for _, c := range buf {
			if !seen[c] {
				seen[c] = true
				values++
			}
		}
		if values < 128 {
			s.Errorf("1024 random bytes have only %d different values", values)
		}
	}
	if a == b {
		s.Error("Random filled two buffers alike")
	}
}

// concurrent is worth most under the race detector.
func (s *suite) concurrent() {
	shared := s.generate(attrs, nil).Token
	body := s.encrypt(shared, nil, []byte("shared"))
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			ctx := s.Context()
			for i := range 20 {
				a := attrs
				a.KeyID = string(rune('a' + g))
				mat, err := s.m.Generate(ctx, a, nil)
				if err != nil {
					s.Errorf("Generate: %v", err)
					return
				}
				aad := []byte{byte(g), byte(i)}
				own, err := s.m.Encrypt(ctx, nil, mat.Token, aad, aad)
				if err != nil {
					s.Errorf("Encrypt: %v", err)
					return
				}
				if got, err := s.m.Decrypt(ctx, nil, mat.Token, aad, own); err != nil || !bytes.Equal(got, aad) {
					s.Errorf("Decrypt returned %x, %v; want %x", got, err, aad)
				}
				if got, err := s.m.Decrypt(ctx, nil, shared, nil, body); err != nil || string(got) != "shared" {
					s.Errorf("Decrypt of the shared body returned %q, %v", got, err)
				}
				if a2, id, err := s.m.Inspect(ctx, mat.Token); err != nil || a2 != a || id != mat.ID {
					s.Errorf("Inspect returned %v, %x, %v", a2, id, err)
				}
				t, secret, err := s.m.NewSecret(ctx, account, accessKey)
				if err != nil {
					s.Errorf("NewSecret: %v", err)
					return
				}
				if k, err := s.m.SigningKey(ctx, t, "20260101", "us-east-1", "kms"); err != nil || k != signingKey(secret, "20260101", "us-east-1", "kms") {
					s.Errorf("SigningKey returned a wrong key, or the error %v", err)
				}
			}
		})
	}
	wg.Wait()
}

func (s *suite) close() {
	mat := s.generate(attrs, nil)
	s.encrypt(mat.Token, nil, nil)
	for range 2 {
		if err := s.m.Close(); err != nil {
			s.Fatalf("Close: %v", err)
		}
	}
	s.everyTokenMethod("a token after Close", s.m, mat.Token, hsm.ErrClosed)
	if mat, err := s.m.Generate(s.Context(), attrs, nil); !errors.Is(err, hsm.ErrClosed) || mat.Token != nil {
		s.Errorf("Generate after Close: error %v, want ErrClosed", err)
	}
	if err := s.m.Random(s.Context(), make([]byte, 1)); !errors.Is(err, hsm.ErrClosed) {
		s.Errorf("Random after Close: error %v, want ErrClosed", err)
	}
	if t, secret, err := s.m.NewSecret(s.Context(), account, accessKey); !errors.Is(err, hsm.ErrClosed) || t != nil || secret != "" {
		s.Errorf("NewSecret after Close: error %v, want ErrClosed", err)
	}
	if t, err := s.m.WrapSecret(s.Context(), account, accessKey, someSecret); !errors.Is(err, hsm.ErrClosed) || t != nil {
		s.Errorf("WrapSecret after Close: error %v, want ErrClosed", err)
	}
}

// closeUnderWay: calls that Close overtakes end with the right result or with
// ErrClosed, never with a wrong one.
func (s *suite) closeUnderWay() {
	shared := s.generate(attrs, nil).Token
	body := s.encrypt(shared, nil, []byte("shared"))
	var wg sync.WaitGroup
	started := make(chan struct{}, 4)
	for range 4 {
		wg.Go(func() {
			for i := 0; ; i++ {
				got, err := s.m.Decrypt(s.Context(), nil, shared, nil, body)
				if errors.Is(err, hsm.ErrClosed) {
					return
				}
				if err != nil || string(got) != "shared" {
					s.Errorf("Decrypt returned %q, %v", got, err)
					return
				}
				if _, err := s.m.Generate(s.Context(), attrs, shared); err != nil && !errors.Is(err, hsm.ErrClosed) {
					s.Errorf("Generate: %v", err)
					return
				}
				if i == 0 {
					started <- struct{}{}
				}
			}
		})
	}
	for range 4 {
		<-started
	}
	if err := s.m.Close(); err != nil {
		s.Errorf("Close: %v", err)
	}
	wg.Wait()
}

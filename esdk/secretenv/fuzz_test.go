package secretenv_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"strings"
	"testing"

	"github.com/keywright/keywright/esdk/secretenv"
)

func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		"", "plain", "kms-ciphertext:", "kms-ciphertext:AQICAHh=", "kms-ciphertext:AQIC", "kms-ciphertext:AQ\r\nIC\n",
		"esdk-message:AgV4", "esdk-message: AgV4", "ESDK-MESSAGE:AgV4", "esdk-message:AgV4=", "esdk-message:_-_-", "kms-ciphertext",
		"kms-ciphertext:esdk-message:AgV4", "esdk-message:AR==",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, value string) {
		prefix, ciphertext, err := secretenv.Parse(value)
		hasPrefix := strings.HasPrefix(value, "kms-ciphertext:") || strings.HasPrefix(value, "esdk-message:")
		if secretenv.Marked(value) != hasPrefix {
			t.Fatalf("Marked(%q) = %v", value, !hasPrefix)
		}
		switch {
		case err != nil:
			if !hasPrefix || !errors.Is(err, secretenv.ErrMalformed) {
				t.Fatalf("%q: %v", value, err)
			}
			// No part of the value is told, but for its prefix.
			if text := err.Error(); text != secretenv.ErrMalformed.Error()+": kms-ciphertext:" && text != secretenv.ErrMalformed.Error()+": esdk-message:" {
				t.Fatalf("%q: %v", value, err)
			}
		case !hasPrefix:
			if prefix != "" || ciphertext != nil {
				t.Fatalf("%q has the prefix %q", value, prefix)
			}
		default:
			if len(ciphertext) == 0 {
				t.Fatalf("%q is an empty ciphertext", value)
			}
			// But for line ends there is one way to write a ciphertext.
			want := strings.NewReplacer("\r", "", "\n", "").Replace(value[len(prefix):])
			if got := base64.StdEncoding.EncodeToString(ciphertext); got != want {
				t.Fatalf("%q is written %q again", want, got)
			}
			again, same, err := secretenv.Parse(prefix + want)
			if err != nil || again != prefix || !bytes.Equal(same, ciphertext) {
				t.Fatalf("%q: %q, %v", prefix+want, again, err)
			}
		}
	})
}

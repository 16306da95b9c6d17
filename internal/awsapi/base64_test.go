package awsapi_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"math/rand/v2"
	"testing"

	"github.com/keywright/keywright/internal/awsapi"
)

// TestBase64 compares the codec with the standard library's, at every length
// around the borders of its vectors and then some.
func TestBase64(t *testing.T) {
	random := rand.NewChaCha8([32]byte{})
	memory := make([]byte, 2048)
	for n := range 700 {
		plain := make([]byte, n)
		random.Read(plain)
		want := base64.StdEncoding.EncodeToString(plain)

		clear(memory)
		got := awsapi.AppendBlob(memory[:1:4+len(want)], plain)
		if string(got[1:]) != `"`+want+`"` {
			t.Fatalf("%d bytes encode to %s, want %s", n, got[1:], want)
		}
		if after := memory[4+len(want):]; !bytes.Equal(after, make([]byte, len(after))) {
			t.Fatalf("encoding %d bytes wrote behind its room", n)
		}
		r, err := decode(`{"Text":"before","Bytes":"` + want + `","Texts":["after"]}`)
		if err != nil || !bytes.Equal(r.Bytes, plain) || r.Text != "before" || len(r.Texts) != 1 || r.Texts[0] != "after" {
			t.Fatalf("%d bytes decode to %+v, %v", n, r, err)
		}
	}
}

// TestBase64Strict: a character that does not belong there is refused wherever
// it stands, a line break too, which the standard library would skip.
func TestBase64Strict(t *testing.T) {
	for _, n := range []int{1, 2, 3, 33, 34, 35, 100, 200} {
		good := base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{0xa5}, n))
		for at := range good {
			for c := range 256 {
				b := []byte(good)
				b[at] = byte(c)
				body, err := json.Marshal(map[string]string{"Bytes": string(b)})
				if err != nil {
					t.Fatal(err)
				}
				want, err := base64.StdEncoding.Strict().DecodeString(string(b))
				ok := err == nil && c != '\r' && c != '\n'
				r, err := decode(string(body))
				if (err == nil) != ok || ok && !bytes.Equal(r.Bytes, want) {
					t.Fatalf("%q: %x, %v; want %x", b, r.Bytes, err, want)
				}
			}
		}
	}
}

package ciphertext_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/keywright/keywright/internal/aead"
)

// TestSizesInDocs: the table of sizes in the specification is that of the code,
// and the largest blob is within the API's limit.
func TestSizesInDocs(t *testing.T) {
	doc, err := os.ReadFile("../../docs/ciphertext-blob.md")
	if err != nil {
		t.Fatal(err)
	}
	header := appendHeader(t, single)
	for _, n := range []int{1, 32, 4096} {
		body := aead.Seal(nil, make([]byte, aead.KeySize), "keywright/blob", make([]byte, 32), header, make([]byte, n))
		blob := len(header) + len(body)
		if row := fmt.Sprintf("\n| %d | %d | %d | %d |\n", n, len(header), len(body), blob); !strings.Contains(string(doc), row) {
			t.Errorf("docs/ciphertext-blob.md has no row%s", row)
		}
		if blob > 6144 {
			t.Errorf("a blob of %d bytes has %d, more than the API allows", n, blob)
		}
	}
}

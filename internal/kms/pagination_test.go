package kms_test

import (
	"strings"
	"testing"
)

// FuzzMarker: of all markers there might be, only those that were given out are
// taken, and only by the listing that gave them.
func FuzzMarker(f *testing.F) {
	w := newWorld(f)
	ids := map[string]bool{}
	for i := range 3 {
		id, _ := w.newKey()
		ids[id] = true
		w.must("CreateAlias", m{"AliasName": "alias/" + strings.Repeat("x", i+1), "TargetKeyId": id})
	}
	marker := w.must("ListKeys", m{"Limit": 1})["NextMarker"].(string)
	for _, seed := range []string{marker, marker + "A", marker[1:], strings.ToUpper(marker), "AAAA", " ", "ÿ", w.must("ListAliases", m{"Limit": 1})["NextMarker"].(string)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		w.t = t
		if text == "" {
			return // no marker
		}
		for _, operation := range []string{"ListKeys", "ListAliases"} {
			resp, err := w.as(account, region, operation, m{"Marker": text})
			switch {
			case err == nil && operation == "ListKeys" && text == marker:
				if n := len(resp["Keys"].([]any)); n != 2 {
					t.Errorf("the marker goes on with %d keys, want 2", n)
				}
			case err == nil && operation == "ListAliases" && text != marker:
				// Only the seed that ListAliases gave out.
				if n := len(resp["Aliases"].([]any)); n != 2 {
					t.Errorf("the marker %q goes on with %d aliases, want 2", text, n)
				}
			case err == nil:
				t.Errorf("%s took the marker %q", operation, text)
			case !strings.HasPrefix(err.Error(), "InvalidMarkerException: Invalid marker.") && !strings.HasPrefix(err.Error(), "ValidationException"):
				t.Errorf("%s of the marker %q: %v", operation, text, err)
			}
		}
	})
}

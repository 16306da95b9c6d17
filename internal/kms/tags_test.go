package kms_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func (w *world) tags(request m) []string {
	w.t.Helper()
	all := []string{}
	for {
		resp := w.must("ListResourceTags", request)
		for _, e := range resp["Tags"].([]any) {
			all = append(all, e.(m)["TagKey"].(string)+"="+e.(m)["TagValue"].(string))
		}
		if resp["Truncated"] != true {
			return all
		}
		request["Marker"] = resp["NextMarker"]
	}
}

func TestTags(t *testing.T) {
	w := newWorld(t)
	id, _ := w.newKey()
	tag := func(pairs ...string) {
		t.Helper()
		var list []m
		for _, p := range pairs {
			k, v, _ := strings.Cut(p, "=")
			list = append(list, m{"TagKey": k, "TagValue": v})
		}
		w.must("TagResource", m{"KeyId": id, "Tags": list})
	}
	check := func(want ...string) {
		t.Helper()
		for _, limit := range []int{1, 2, 50} {
			if diff := cmp.Diff(want, w.tags(m{"KeyId": id, "Limit": limit})); diff != "" {
				t.Errorf("tags with limit %d (-want +got):\n%s", limit, diff)
			}
		}
	}
	tag("b=1", "a=2")
	tag("c=3", "b=4") // b keeps its place
	check("b=4", "a=2", "c=3")
	w.must("UntagResource", m{"KeyId": id, "TagKeys": []string{"a", "never there"}})
	check("b=4", "c=3")

	w.fails("TagException", "Duplicate tag keys", "TagResource", m{"KeyId": id, "Tags": []m{{"TagKey": "x", "TagValue": "1"}, {"TagKey": "x", "TagValue": "2"}}})
	w.fails("TagException", "Tags beginning with aws: are reserved", "TagResource", m{"KeyId": id, "Tags": []m{{"TagKey": "AwS:x", "TagValue": ""}}})
	w.must("TagResource", m{"KeyId": id, "Tags": tags(48)})
	w.fails("TagException", "Too many tags", "TagResource", m{"KeyId": id, "Tags": []m{{"TagKey": "one more", "TagValue": ""}}})
	w.must("TagResource", m{"KeyId": id, "Tags": []m{{"TagKey": "b", "TagValue": strings.Repeat("v", 256)}}})
	w.fails("ValidationException", "1 validation error detected: ...", "ListResourceTags", m{"KeyId": id, "Limit": 51})
}

package kms_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
)

func TestAliases(t *testing.T) {
	w := newWorld(t)
	id, _ := w.newKey()
	second, secondARN := w.newKey()
	arnOf := func(name string) string { return "arn:aws:kms:" + region + ":" + account + ":" + name }

	w.must("CreateAlias", m{"AliasName": "alias/a", "TargetKeyId": id})
	w.fails("AlreadyExistsException", "An alias with the name "+arnOf("alias/a")+" already exists", "CreateAlias", m{"AliasName": "alias/a", "TargetKeyId": second})
	w.must("CreateAlias", m{"AliasName": "alias/A", "TargetKeyId": id}) // names have case
	if _, err := w.as(account, "eu-west-1", "DescribeKey", m{"KeyId": "alias/a"}); err == nil {
		t.Error("an alias is seen in another Region")
	}

	for _, c := range []struct {
		request       m
		code, message string
	}{
		{m{"AliasName": "a"}, "ValidationException", `Alias must start with the prefix "alias/". Please see https://docs.aws.amazon.com/kms/latest/developerguide/kms-alias.html`},
		{m{"AliasName": "alias/Service:Test"}, "ValidationException", "alias/Service:Test contains invalid characters for an alias"},
		{m{"AliasName": "alias/"}, "ValidationException", "..."},
		{m{"AliasName": "alias/aws/s3"}, "InvalidAliasNameException", "..."},
		{m{"AliasName": "alias/" + strings.Repeat("x", 251)}, "ValidationException", "1 validation error detected: ..."},
		{m{"AliasName": "alias/b", "TargetKeyId": "alias/a"}, "ValidationException", "Aliases must refer to keys. Not aliases"},
		{m{"AliasName": "alias/b", "TargetKeyId": "no-key"}, "NotFoundException", "Invalid keyId 'no-key'"},
	} {
		if c.request["TargetKeyId"] == nil {
			c.request["TargetKeyId"] = id
		}
		w.fails(c.code, c.message, "CreateAlias", c.request)
	}
	w.must("CreateAlias", m{"AliasName": "alias/" + strings.Repeat("x", 250), "TargetKeyId": id})

	w.must("UpdateAlias", m{"AliasName": "alias/a", "TargetKeyId": second})
	if got := w.metadata("alias/a")["Arn"]; got != secondARN {
		t.Errorf("alias/a names %v after UpdateAlias", got)
	}
	w.must("UpdateAlias", m{"AliasName": "alias/a", "TargetKeyId": second}) // once more
	w.fails("NotFoundException", "Alias "+arnOf("alias/none")+" is not found.", "UpdateAlias", m{"AliasName": "alias/none", "TargetKeyId": id})

	if got := w.aliases(m{"KeyId": second}); len(got) != 1 || got["alias/a"] != second {
		t.Errorf("aliases of the second key: %v", got)
	}
	if got := w.aliases(m{"KeyId": id}); len(got) != 2 {
		t.Errorf("aliases of the first key: %v", got)
	}
	for _, limit := range []int{1, 2, 100} {
		if got := w.aliases(m{"Limit": limit}); len(got) != 3 {
			t.Errorf("with limit %d: %v", limit, got)
		}
	}
	w.fails("ValidationException", "1 validation error detected: Value '101' at 'limit' failed to satisfy constraint: Member must have value less than or equal to 100", "ListAliases", m{"Limit": 101})

	w.must("ScheduleKeyDeletion", m{"KeyId": second})
	w.must("UpdateAlias", m{"AliasName": "alias/a", "TargetKeyId": id}) // away from a pending key
	w.fails("KMSInvalidStateException", secondARN+" is pending deletion.", "UpdateAlias", m{"AliasName": "alias/a", "TargetKeyId": second})

	w.must("DeleteAlias", m{"AliasName": "alias/a"})
	w.fails("NotFoundException", "Alias "+arnOf("alias/a")+" is not found.", "DeleteAlias", m{"AliasName": "alias/a"})
	if got := w.aliases(m{}); len(got) != 2 {
		t.Errorf("after DeleteAlias: %v", got)
	}
}

// aliases lists all pages: name to key.
func (w *world) aliases(request m) map[string]string {
	w.t.Helper()
	all := map[string]string{}
	for {
		resp := w.must("ListAliases", request)
		for _, a := range resp["Aliases"].([]any) {
			e := a.(m)
			all[e["AliasName"].(string)] = e["TargetKeyId"].(string)
		}
		if resp["Truncated"] != true {
			return all
		}
		request["Marker"] = resp["NextMarker"]
	}
}

// However many calls race for the last places, a key never has more than fifty
// aliases.
func TestAliasLimitUnderConcurrency(t *testing.T) {
	w := newWorld(t)
	id, _ := w.newKey()
	var wg sync.WaitGroup
	var mu sync.Mutex
	made := 0
	for i := range 60 {
		wg.Go(func() {
			_, err := w.as(account, region, "CreateAlias", m{"AliasName": fmt.Sprint("alias/", i), "TargetKeyId": id})
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				made++
			} else if !strings.HasPrefix(err.Error(), "LimitExceededException") {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if got := len(w.aliases(m{})); made != 50 || got != 50 {
		t.Errorf("%d calls succeeded and %d aliases exist, want 50", made, got)
	}
}

package kms_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/keywright/keywright/internal/kms"
)

// The members AWS answers for a fresh symmetric key, recorded from it.
func TestCreateKeyMetadata(t *testing.T) {
	w := newWorld(t)
	got := w.must("CreateKey", m{"Description": "first", "Tags": []m{{"TagKey": "a", "TagValue": "1"}}})["KeyMetadata"].(m)
	want := []string{
		"AWSAccountId", "Arn", "CreationDate", "CurrentKeyMaterialId", "CustomerMasterKeySpec", "Description", "Enabled",
		"EncryptionAlgorithms", "KeyId", "KeyManager", "KeySpec", "KeyState", "KeyUsage", "MultiRegion", "Origin",
	}
	if diff := cmp.Diff(want, slices.Sorted(maps.Keys(got))); diff != "" {
		t.Errorf("members (-want +got):\n%s", diff)
	}
	for member, value := range (m{
		"AWSAccountId": account, "Description": "first", "Enabled": true, "KeyManager": "CUSTOMER", "KeyState": "Enabled",
		"KeyUsage": "ENCRYPT_DECRYPT", "KeySpec": "SYMMETRIC_DEFAULT", "Origin": "AWS_KMS", "MultiRegion": false,
		"Arn": "arn:aws:kms:" + region + ":" + account + ":key/" + got["KeyId"].(string),
	}) {
		if got[member] != value {
			t.Errorf("%s is %v, want %v", member, got[member], value)
		}
	}
	if diff := cmp.Diff(got, w.metadata(got["KeyId"].(string))); diff != "" {
		t.Errorf("DescribeKey differs from CreateKey:\n%s", diff)
	}
}

func TestCreateKeyRefuses(t *testing.T) {
	w := newWorld(t)
	for _, c := range []struct {
		request       m
		code, message string
	}{
		{m{"KeySpec": "HMAC_256"}, "ValidationException", "You must specify a KeyUsage value for all KMS keys except for symmetric encryption keys."},
		{m{"KeySpec": "RSA_2048", "KeyUsage": "KEY_AGREEMENT"}, "ValidationException", "KeyUsage KEY_AGREEMENT is not compatible with KeySpec RSA_2048"},
		{m{"KeySpec": "HMAC_random"}, "ValidationException", "1 validation error detected: Value 'HMAC_random' at 'keySpec' failed to satisfy constraint: Member must satisfy enum value set: [..."},
		{m{"KeySpec": "RSA_2048", "KeyUsage": "SIGN_VERIFY"}, "UnsupportedOperationException", "KeySpec RSA_2048 is not supported by this version of keywright."},
		{m{"Origin": "EXTERNAL"}, "UnsupportedOperationException", "Origin EXTERNAL is not supported by this version of keywright."},
		{m{"MultiRegion": true}, "UnsupportedOperationException", "MultiRegion is not supported by this version of keywright."},
		{m{"Tags": tags(51)}, "TagException", "Too many tags"},
		{m{"Tags": []m{{"TagKey": "AWS:k", "TagValue": ""}}}, "TagException", "Tags beginning with aws: are reserved"},
		{m{"Tags": []m{{"TagKey": strings.Repeat("k", 129), "TagValue": ""}}}, "ValidationException", "1 validation error detected: Value '" + strings.Repeat("k", 129) + "' at 'tags.1.member.tagKey' failed to satisfy constraint: Member must have length less than or equal to 128"},
		{m{"Policy": "{}"}, "MalformedPolicyDocumentException", "..."},
		{m{"Policy": policyFor(other)}, "MalformedPolicyDocumentException", "The new key policy will not allow you to update the key policy in the future."},
		{m{"Policy": "{" + strings.Repeat(" ", 32768)}, "LimitExceededException", "..."},
		{m{"Description": strings.Repeat("d", 8193)}, "ValidationException", "..."},
	} {
		w.fails(c.code, c.message, "CreateKey", c.request)
	}
	if keys := w.must("ListKeys", m{})["Keys"].([]any); len(keys) != 0 {
		t.Errorf("refused calls left %d keys", len(keys))
	}
	w.must("CreateKey", m{"Policy": policyFor(other), "BypassPolicyLockoutSafetyCheck": true})
	w.must("CreateKey", m{"Tags": tags(50), "Description": strings.Repeat("d", 8192)})
}

func tags(n int) []m {
	var all []m
	for i := range n {
		all = append(all, m{"TagKey": fmt.Sprint("key", i), "TagValue": fmt.Sprint(i)})
	}
	return all
}

func policyFor(account string) string {
	return `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::` + account + `:root"},"Action":"kms:*","Resource":"*"}]}`
}

func TestKeyQuota(t *testing.T) {
	w := newWorld(t) // its quota is 30
	for range 30 {
		w.newKey()
	}
	w.fails("LimitExceededException", "The account has 30 keys in eu-central-1, the most it may have.", "CreateKey", m{})
	for _, elsewhere := range [][2]string{{account, "eu-west-1"}, {other, region}} {
		if _, err := w.as(elsewhere[0], elsewhere[1], "CreateKey", m{}); err != nil {
			t.Errorf("the quota of one account and Region holds in %v: %v", elsewhere, err)
		}
	}
}

func TestResolveErrors(t *testing.T) {
	w := newWorld(t)
	id, arn := w.newKey()
	const unknown = "00000000-0000-4000-8000-000000000000"
	keyARN := func(region, account, id string) string {
		return "arn:aws:kms:" + region + ":" + account + ":key/" + id
	}
	for _, c := range []struct{ name, code, message string }{
		{unknown, "NotFoundException", "Key '" + keyARN(region, account, unknown) + "' does not exist"},
		{keyARN(region, account, unknown), "NotFoundException", "Key '" + keyARN(region, account, unknown) + "' does not exist"},
		{"mrk-" + strings.Repeat("0", 32), "NotFoundException", "Key '" + keyARN(region, account, "mrk-"+strings.Repeat("0", 32)) + "' does not exist"},
		{"fake-key-id", "NotFoundException", "Invalid keyId 'fake-key-id'"},
		{"mrk-fake-key-id", "NotFoundException", "Invalid keyId 'mrk-fake-key-id'"},
		{strings.ReplaceAll(id, "-", ""), "NotFoundException", "Invalid keyId '" + strings.ReplaceAll(id, "-", "") + "'"},
		{keyARN("eu-west-1", account, id), "NotFoundException", "Invalid arn eu-west-1"},
		{"alias/none", "NotFoundException", "Alias arn:aws:kms:" + region + ":" + account + ":alias/none is not found."},
		{"arn:aws:kms:" + region, "InvalidArnException", "Invalid ARN: arn:aws:kms:" + region},
		{keyARN(region, other, unknown), "AccessDeniedException", "User: arn:aws:iam::" + account + ":root is not authorized to perform: kms:DescribeKey on this resource because the resource does not exist in this Region, no resource-based policies allow access, or a resource-based policy explicitly denies access"},
	} {
		w.fails(c.code, c.message, "DescribeKey", m{"KeyId": c.name})
	}
	// Forbidden and missing keys of another account cannot be told apart.
	_, missing := w.as(other, region, "DescribeKey", m{"KeyId": keyARN(region, account, unknown)})
	_, forbidden := w.as(other, region, "DescribeKey", m{"KeyId": arn})
	if missing == nil || forbidden == nil || missing.Error() != forbidden.Error() {
		t.Errorf("a missing key gives %v, a forbidden one %v", missing, forbidden)
	}
	// An alias does not do where AWS wants a key.
	w.must("CreateAlias", m{"AliasName": "alias/a", "TargetKeyId": id})
	w.fails("NotFoundException", "Invalid keyId 'alias/a'", "DisableKey", m{"KeyId": "alias/a"})
}

func TestAnotherRegionIsHinted(t *testing.T) {
	w := newWorld(t)
	id, _ := w.newKey()
	w.must("CreateAlias", m{"AliasName": "alias/a", "TargetKeyId": id})
	for _, name := range []string{id, "alias/a"} {
		w.log.Reset()
		if _, err := w.as(account, "us-east-1", "DescribeKey", m{"KeyId": name}); err == nil {
			t.Fatal("a key was found in another Region")
		}
		if log := w.log.String(); !strings.Contains(log, "found_region="+region) {
			t.Errorf("the operator's log does not say where %s is: %q", name, log)
		}
	}
}

func TestCrossAccountUse(t *testing.T) {
	w := newWorld(t)
	_, arn := w.newKey(m{"Policy": `{"Statement":[
		{"Effect":"Allow","Principal":{"AWS":"` + account + `"},"Action":"kms:*","Resource":"*"},
		{"Effect":"Allow","Principal":{"AWS":"` + other + `"},"Action":["kms:Encrypt","kms:Decrypt","kms:DisableKey"],"Resource":"*",
		 "Condition":{"StringEquals":{"kms:EncryptionContext:Purpose":"shared"}}}]}`})
	ok := m{"KeyId": arn, "Plaintext": b64("x"), "EncryptionContext": m{"Purpose": "shared"}}
	enc, err := w.as(other, region, "Encrypt", ok)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.as(other, region, "Decrypt", m{"CiphertextBlob": enc["CiphertextBlob"], "EncryptionContext": m{"Purpose": "shared"}}); err != nil {
		t.Error(err)
	}
	for operation, request := range map[string]m{
		"Encrypt":         {"KeyId": arn, "Plaintext": b64("x"), "EncryptionContext": m{"Purpose": "other"}},
		"GenerateDataKey": {"KeyId": arn, "KeySpec": "AES_256", "EncryptionContext": m{"Purpose": "shared"}},
		"DisableKey":      {"KeyId": arn}, // no operation across accounts, whatever the policy says
	} {
		if _, err := w.as(other, region, operation, request); err == nil || !strings.HasPrefix(err.Error(), "AccessDeniedException") {
			t.Errorf("%s of another account: %v", operation, err)
		}
	}
	// Both accounts get a record of what was done, the owner's with no more of
	// the caller than who it is.
	var shared []m
	for _, ev := range w.events() {
		if ev["eventName"] == "Encrypt" && ev["errorCode"] == nil {
			shared = append(shared, ev)
		}
	}
	if len(shared) != 2 || shared[0]["sharedEventID"] != shared[1]["sharedEventID"] || shared[0]["sharedEventID"] == nil {
		t.Fatalf("records of one call on another account's key: %v", shared)
	}
	if shared[1]["recipientAccountId"] != account || shared[1]["userIdentity"].(m)["accessKeyId"] != nil {
		t.Errorf("the owner's record: %v", shared[1])
	}
}

func TestListKeysPages(t *testing.T) {
	w := newWorld(t)
	want := map[string]bool{}
	for range 7 {
		id, _ := w.newKey()
		want[id] = true
	}
	for _, limit := range []int{1, 3, 7, 1000} {
		got := map[string]bool{}
		marker, pages := "", 0
		for {
			req := m{"Limit": limit}
			if marker != "" {
				req["Marker"] = marker
			}
			resp := w.must("ListKeys", req)
			keys := resp["Keys"].([]any)
			for _, k := range keys {
				got[k.(m)["KeyId"].(string)] = true
			}
			pages++
			next, more := resp["NextMarker"].(string)
			if more != resp["Truncated"].(bool) || len(keys) > limit {
				t.Fatalf("page of limit %d: %v", limit, resp)
			}
			if !more {
				break
			}
			marker = next
		}
		if !maps.Equal(got, want) || pages != (7+limit-1)/limit {
			t.Errorf("limit %d: %d keys on %d pages", limit, len(got), pages)
		}
	}
	marker := w.must("ListKeys", m{"Limit": 1})["NextMarker"].(string)
	for what, bad := range map[string]string{"made up": "AAAA", "not base64": "!", "altered": marker[:len(marker)-2] + "00", "cut": marker[:8]} {
		w.fails("InvalidMarkerException", "Invalid marker.", "ListKeys", m{"Marker": bad})
		_ = what
	}
	w.fails("InvalidMarkerException", "Invalid marker.", "ListAliases", m{"Marker": marker})
	if _, err := w.as(other, region, "ListKeys", m{"Marker": marker}); err == nil {
		t.Error("another account's marker was taken")
	}
}

func TestEnableDisableAndDescribe(t *testing.T) {
	w := newWorld(t)
	id, arn := w.newKey()
	for _, c := range []struct {
		operation, state string
		enabled          bool
	}{{"DisableKey", "Disabled", false}, {"DisableKey", "Disabled", false}, {"EnableKey", "Enabled", true}, {"EnableKey", "Enabled", true}} {
		if resp := w.must(c.operation, m{"KeyId": arn}); resp != nil {
			t.Errorf("%s answered a body: %v", c.operation, resp)
		}
		if got := w.metadata(id); got["KeyState"] != c.state || got["Enabled"] != c.enabled {
			t.Errorf("after %s: %v", c.operation, got)
		}
	}
	w.must("UpdateKeyDescription", m{"KeyId": id, "Description": "new"})
	if got := w.metadata(id)["Description"]; got != "new" {
		t.Errorf("description %q", got)
	}
	w.must("UpdateKeyDescription", m{"KeyId": id, "Description": ""})
	w.fails("ValidationException", "1 validation error detected: Value null at 'description' failed to satisfy constraint: Member must not be null", "UpdateKeyDescription", m{"KeyId": id})
}

func TestScheduleAndCancelDeletion(t *testing.T) {
	w := newWorld(t)
	id, arn := w.newKey()
	w.fails("KMSInvalidStateException", arn+" is not pending deletion.", "CancelKeyDeletion", m{"KeyId": id})
	for _, days := range []int{6, 31} {
		w.fails("ValidationException", "1 validation error detected: Value '"+fmt.Sprint(days)+"' at 'pendingWindowInDays' failed to satisfy constraint: ...", "ScheduleKeyDeletion", m{"KeyId": id, "PendingWindowInDays": days})
	}
	for _, days := range []int{7, 30, 0} {
		req, want := m{"KeyId": id, "PendingWindowInDays": days}, days
		if days == 0 {
			delete(req, "PendingWindowInDays")
			want = 30
		}
		resp := w.must("ScheduleKeyDeletion", req)
		due := time.UnixMilli(int64(resp["DeletionDate"].(float64) * 1000))
		if resp["KeyId"] != arn || resp["KeyState"] != "PendingDeletion" || resp["PendingWindowInDays"] != float64(want) ||
			due.Sub(w.clock.Now()) > time.Duration(want)*24*time.Hour || due.Sub(w.clock.Now()) < time.Duration(want)*24*time.Hour-time.Minute {
			t.Errorf("ScheduleKeyDeletion answered %v", resp)
		}
		if got := w.metadata(id); got["Enabled"] != false || got["KeyState"] != "PendingDeletion" || got["DeletionDate"] != resp["DeletionDate"] {
			t.Errorf("pending key: %v", got)
		}
		for operation, req := range map[string]m{
			"ScheduleKeyDeletion": {}, "EnableKey": {}, "DisableKey": {}, "UpdateKeyDescription": {"Description": "x"},
			"TagResource": {"Tags": tags(1)}, "UntagResource": {"TagKeys": []string{"a"}},
		} {
			req["KeyId"] = id
			w.fails("KMSInvalidStateException", arn+" is pending deletion.", operation, req)
		}
		w.fails("KMSInvalidStateException", arn+" is pending deletion.", "CreateAlias", m{"AliasName": "alias/a", "TargetKeyId": id})
		w.must("PutKeyPolicy", m{"KeyId": id, "Policy": policyFor(account)})
		w.must("GetKeyPolicy", m{"KeyId": id})
		w.must("ListResourceTags", m{"KeyId": id})
		if resp := w.must("CancelKeyDeletion", m{"KeyId": id}); resp["KeyId"] != arn {
			t.Errorf("CancelKeyDeletion answered %v", resp)
		}
		if got := w.metadata(id); got["KeyState"] != "Disabled" || got["DeletionDate"] != nil {
			t.Errorf("after cancelling: %v", got)
		}
	}
}

// worker returns the deletion worker of a world, with a guard that can be shut.
func (w *world) worker(guard *error) *kms.Worker {
	return &kms.Worker{Service: w.service, Grace: 24 * time.Hour, Guard: guardFunc(guard)}
}

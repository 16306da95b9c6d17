package kms_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// What another account's caller is answered for a key that is forbidden, and what
// its record shows, is what they are for one that does not exist.
func TestForbiddenLooksLikeMissing(t *testing.T) {
	w := newWorld(t)
	id, arn := w.newKey()
	gone, goneARN := w.newKey()
	w.must("CreateAlias", m{"AliasName": "alias/there", "TargetKeyId": id})
	blobs := map[string]any{}
	for _, k := range []string{id, gone} {
		blobs[k] = w.must("Encrypt", m{"KeyId": k, "Plaintext": b64("x")})["CiphertextBlob"]
	}
	w.must("ScheduleKeyDeletion", m{"KeyId": gone})
	w.clock.Advance(31 * day)
	var none error
	if _, err := w.worker(&none).Work(t.Context()); err != nil {
		t.Fatal(err)
	}
	mine, err := w.as(other, region, "CreateKey", m{})
	if err != nil {
		t.Fatal(err)
	}
	own := mine["KeyMetadata"].(m)["KeyId"]
	ownBlob, err := w.as(other, region, "Encrypt", m{"KeyId": own, "Plaintext": b64("x")})
	if err != nil {
		t.Fatal(err)
	}
	alias := func(name string) string { return "arn:aws:kms:" + region + ":" + account + ":alias/" + name }

	for name, c := range map[string]struct {
		operation          string
		forbidden, missing m
	}{
		"Decrypt by ciphertext": {"Decrypt", m{"CiphertextBlob": blobs[id]}, m{"CiphertextBlob": blobs[gone]}},
		"Decrypt by ARN":        {"Decrypt", m{"CiphertextBlob": blobs[id], "KeyId": arn}, m{"CiphertextBlob": blobs[gone], "KeyId": goneARN}},
		"Decrypt by alias":      {"Decrypt", m{"CiphertextBlob": blobs[id], "KeyId": alias("there")}, m{"CiphertextBlob": blobs[id], "KeyId": alias("none")}},
		"Decrypt tried":         {"Decrypt", m{"CiphertextBlob": blobs[id], "DryRun": true}, m{"CiphertextBlob": blobs[gone], "DryRun": true}},
		"Encrypt":               {"Encrypt", m{"KeyId": arn, "Plaintext": b64("x")}, m{"KeyId": goneARN, "Plaintext": b64("x")}},
		"ReEncrypt from":        {"ReEncrypt", m{"CiphertextBlob": blobs[id], "DestinationKeyId": own}, m{"CiphertextBlob": blobs[gone], "DestinationKeyId": own}},
		"ReEncrypt to":          {"ReEncrypt", m{"CiphertextBlob": ownBlob["CiphertextBlob"], "DestinationKeyId": arn}, m{"CiphertextBlob": ownBlob["CiphertextBlob"], "DestinationKeyId": goneARN}},
		"CreateAlias":           {"CreateAlias", m{"AliasName": "alias/x", "TargetKeyId": arn}, m{"AliasName": "alias/x", "TargetKeyId": goneARN}},
		"UpdateKeyDescription":  {"UpdateKeyDescription", m{"KeyId": arn, "Description": ""}, m{"KeyId": goneARN, "Description": ""}},
	} {
		t.Run(name, func(t *testing.T) {
			var answers []string
			var records []m
			for _, request := range []m{c.forbidden, c.missing} {
				requestID, _, err := w.call(other, region, c.operation, request)
				if err == nil || !strings.HasPrefix(err.Error(), "AccessDeniedException") {
					t.Fatalf("answered %v", err)
				}
				answers = append(answers, err.Error())
				found := w.eventsOf(requestID)
				if len(found) != 1 || found[0]["recipientAccountId"] != other {
					t.Fatalf("records %v", found)
				}
				record := found[0]
				for _, varies := range []string{"eventID", "requestID", "eventTime"} {
					delete(record, varies)
				}
				// What the caller wrote may differ, and nothing else.
				for member, value := range record["requestParameters"].(m) {
					if value == arn || value == goneARN || value == alias("there") || value == alias("none") {
						record["requestParameters"].(m)[member] = "as the caller wrote it"
					}
				}
				records = append(records, record)
			}
			if answers[0] != answers[1] {
				t.Errorf("forbidden: %s\nmissing: %s", answers[0], answers[1])
			}
			if diff := cmp.Diff(records[0], records[1]); diff != "" {
				t.Errorf("records of forbidden and missing differ:\n%s", diff)
			}
			if text := fmt.Sprint(records); strings.Contains(text, id) || strings.Contains(text, gone) {
				t.Errorf("the caller's record shows the key: %s", text)
			}
		})
	}
}

// eventsOf returns the records of one call.
func (w *world) eventsOf(requestID string) (found []m) {
	w.t.Helper()
	for _, ev := range w.events() {
		if ev["requestID"] == requestID {
			found = append(found, ev)
		}
	}
	return found
}

// ReEncrypt from one foreign account's key to another's is recorded for all three.
func TestReEncryptBetweenForeignAccounts(t *testing.T) {
	w := newWorld(t)
	const third = "777788889999"
	shared := `{"Statement":{"Effect":"Allow","Principal":{"AWS":["` + account + `","` + other + `","` + third + `"]},"Action":"kms:*","Resource":"*"}}`
	_, from := w.newKey(m{"Policy": shared})
	created, err := w.as(other, region, "CreateKey", m{"Policy": shared})
	if err != nil {
		t.Fatal(err)
	}
	to := created["KeyMetadata"].(m)["Arn"].(string)
	blob := w.must("Encrypt", m{"KeyId": from, "Plaintext": b64("x")})["CiphertextBlob"]
	for _, dry := range []bool{false, true} {
		requestID, _, err := w.call(third, region, "ReEncrypt", m{"CiphertextBlob": blob, "DestinationKeyId": to, "DryRun": dry})
		if (err != nil) != dry {
			t.Fatal(err)
		}
		got, ids := map[any]any{}, map[any]bool{}
		for _, ev := range w.eventsOf(requestID) {
			got[ev["recipientAccountId"]] = ev["userIdentity"].(m)["type"]
			ids[ev["eventID"]] = true
			if n := len(ev["resources"].([]any)); n != 2 || ev["sharedEventID"] == nil {
				t.Errorf("record %v", ev)
			}
		}
		want := map[any]any{third: "Root", account: "AWSAccount", other: "AWSAccount"}
		if diff := cmp.Diff(want, got); diff != "" || len(ids) != 3 {
			t.Errorf("recipients (-want +got):\n%s", diff)
		}
	}
	// A call that is denied is recorded for the caller alone.
	_, closed := w.newKey()
	requestID, _, err := w.call(third, region, "ReEncrypt", m{"CiphertextBlob": blob, "DestinationKeyId": closed})
	if found := w.eventsOf(requestID); err == nil || len(found) != 1 || found[0]["recipientAccountId"] != third || found[0]["sharedEventID"] != nil {
		t.Errorf("records of a denied call: %v, %v", err, found)
	}
}

// A policy that asks for what cannot be read allows nothing, not even by a Deny
// that then does not fit.
func TestNoDecisionOnUnreadableValues(t *testing.T) {
	w := newWorld(t)
	id, _ := w.newKey(m{"Policy": `{"Version":"2012-10-17","Statement":[
		{"Effect":"Allow","Principal":{"AWS":"` + account + `"},"Action":"kms:*","Resource":"*"},
		{"Effect":"Deny","Principal":"*","Action":"kms:Encrypt","Resource":"*","Condition":{"ForAnyValue:StringEquals":{"kms:ResourceAliases":"alias/frozen"}}}]}`})
	enc := m{"KeyId": id, "Plaintext": b64("x")}
	w.must("Encrypt", enc)
	w.must("CreateAlias", m{"AliasName": "alias/frozen", "TargetKeyId": id})
	w.fails("AccessDeniedException", "...", "Encrypt", enc)
	w.open() // with an empty cache
	w.damage(w.first("alias/"))
	w.fails("KMSInternalException", "...", "Encrypt", enc)
}

// first returns the first path under a prefix.
func (w *world) first(prefix string) string {
	w.t.Helper()
	v, err := w.db.View(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	defer v.Close()
	for path, err := range v.Paths([]byte(prefix), nil) {
		if err != nil {
			w.t.Fatal(err)
		}
		return string(path)
	}
	w.t.Fatalf("no record under %s", prefix)
	return ""
}

// An empty tag value is in the request all the same, and of keys that differ in
// case alone the first counts.
func TestRequestTagConditions(t *testing.T) {
	w := newWorld(t)
	id, _ := w.newKey(m{"Policy": `{"Version":"2012-10-17","Statement":[
		{"Effect":"Allow","Principal":{"AWS":"` + account + `"},"Action":"kms:*","Resource":"*"},
		{"Effect":"Deny","Principal":"*","Action":"kms:TagResource","Resource":"*","Condition":{"Null":{"aws:RequestTag/team":"true"}}},
		{"Effect":"Deny","Principal":"*","Action":"kms:TagResource","Resource":"*","Condition":{"StringEquals":{"aws:RequestTag/team":"red"}}}]}`})
	tag := func(pairs ...string) m {
		var list []m
		for _, p := range pairs {
			k, v, _ := strings.Cut(p, "=")
			list = append(list, m{"TagKey": k, "TagValue": v})
		}
		return m{"KeyId": id, "Tags": list}
	}
	w.must("TagResource", tag("team="))
	w.must("TagResource", tag("Team=blue", "team=red"))
	w.fails("AccessDeniedException", "...", "TagResource", tag("Team=red", "team=blue"))
	w.fails("AccessDeniedException", "...", "TagResource", tag("other=x"))
}

// A call that finds nothing looks into a bounded number of Regions for a hint.
func TestHintIsBounded(t *testing.T) {
	w := newWorld(t)
	for i := range 40 {
		if _, err := w.as(account, fmt.Sprintf("aa-%02d", i), "CreateKey", m{}); err != nil {
			t.Fatal(err)
		}
	}
	created, err := w.as(account, "zz-1", "CreateKey", m{})
	if err != nil {
		t.Fatal(err)
	}
	id := created["KeyMetadata"].(m)["KeyId"]
	w.log.Reset()
	w.fails("NotFoundException", "...", "DescribeKey", m{"KeyId": id})
	if log := w.log.String(); strings.Contains(log, "found_region") {
		t.Errorf("forty Regions were looked through: %s", log)
	}
}

// The names of AWS's own aliases cannot be taken, and are otherwise not found.
func TestReservedAliases(t *testing.T) {
	w := newWorld(t)
	id, _ := w.newKey()
	const name = "alias/aws/s3"
	missing := "Alias arn:aws:kms:" + region + ":" + account + ":" + name + " is not found."
	w.fails("InvalidAliasNameException", "...", "CreateAlias", m{"AliasName": name, "TargetKeyId": id})
	w.fails("NotFoundException", missing, "UpdateAlias", m{"AliasName": name, "TargetKeyId": id})
	w.fails("NotFoundException", missing, "DeleteAlias", m{"AliasName": name})
	w.fails("NotFoundException", missing, "DescribeKey", m{"KeyId": name})
}

// An encryption context that is too large is refused before any policy is asked.
func TestLargeContextIsRefusedFirst(t *testing.T) {
	w := newWorld(t)
	id, _ := w.newKey()
	blob := w.must("Encrypt", m{"KeyId": id, "Plaintext": b64("x")})["CiphertextBlob"]
	w.must("PutKeyPolicy", m{"KeyId": id, "Policy": strings.Replace(policyFor(account), "kms:*", "kms:PutKeyPolicy", 1)})
	large := m{}
	for i := range 2000 {
		large[fmt.Sprint(i)] = "x"
	}
	for operation, request := range map[string]m{
		"Encrypt":         {"KeyId": id, "Plaintext": b64("x"), "EncryptionContext": large},
		"Decrypt":         {"CiphertextBlob": blob, "EncryptionContext": large},
		"GenerateDataKey": {"KeyId": id, "KeySpec": "AES_256", "EncryptionContext": large},
		"ReEncrypt":       {"CiphertextBlob": blob, "DestinationKeyId": id, "DestinationEncryptionContext": large},
	} {
		w.fails("ValidationException", "EncryptionContext is not valid: ...", operation, request)
	}
	w.fails("TagException", "Too many tags", "UntagResource", m{"KeyId": id, "TagKeys": strings.Split(strings.Repeat("k ", 50)+"k", " ")})
}

// The largest key there can be is made, changed, tagged, given fifty aliases and
// deleted within the bounds of one batch.
func TestLargestKey(t *testing.T) {
	w := newWorld(t)
	// What JSON writes as six bytes a character, where it may stand.
	const fat = "<"
	head := strings.Replace(policyFor(account), `"Effect"`, `"Sid":"`, 1)
	policy := strings.Replace(head, `"Sid":"`, `"Sid":"`+strings.Repeat(fat, 32768-len(head)-len(`","Effect"`))+`","Effect"`, 1)
	var all []m
	for i := range 50 {
		all = append(all, m{"TagKey": fmt.Sprintf("%02d%s", i, strings.Repeat("+", 126)), "TagValue": strings.Repeat("=", 256)})
	}
	id, _ := w.newKey(m{"Policy": policy, "Description": strings.Repeat("\U0001F511", 4096) + strings.Repeat(fat, 4096-100), "Tags": all})
	w.must("UpdateKeyDescription", m{"KeyId": id, "Description": strings.Repeat(fat, 8192)})
	w.must("PutKeyPolicy", m{"KeyId": id, "Policy": policy})
	for i := range 50 {
		w.must("CreateAlias", m{"AliasName": "alias/" + fmt.Sprintf("%02d", i) + strings.Repeat("x", 248), "TargetKeyId": id})
	}
	w.must("ScheduleKeyDeletion", m{"KeyId": id})
	w.clock.Advance(31 * day)
	var none error
	for range 2 {
		if _, err := w.worker(&none).Work(t.Context()); err != nil {
			t.Fatal(err)
		}
		w.check()
		w.clock.Advance(2 * day)
	}
	if n := w.count("material/"); n != 0 {
		t.Errorf("%d materials are left", n)
	}
}

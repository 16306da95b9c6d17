package kms_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// Every call leaves exactly one record, with what CloudTrail shows and nothing
// secret.
func TestEveryCallIsRecorded(t *testing.T) {
	w := newWorld(t)
	id, arn := w.newKey(m{"Description": "d", "Tags": tags(1)})
	const secret = "the plaintext itself"
	enc := w.must("Encrypt", m{"KeyId": id, "Plaintext": b64(secret), "EncryptionContext": m{"who": "me"}})
	w.must("Decrypt", m{"CiphertextBlob": enc["CiphertextBlob"], "EncryptionContext": m{"who": "me"}})
	gdk := w.must("GenerateDataKey", m{"KeyId": arn, "KeySpec": "AES_256"})
	w.must("CreateAlias", m{"AliasName": "alias/a", "TargetKeyId": id})
	w.must("DisableKey", m{"KeyId": id})
	w.fails("DisabledException", arn+" is disabled.", "Encrypt", m{"KeyId": "alias/a", "Plaintext": b64(secret)})
	w.fails("ValidationException", "...", "Encrypt", m{"KeyId": id})
	w.must("ScheduleKeyDeletion", m{"KeyId": id, "PendingWindowInDays": 7})
	w.must("ListKeys", m{"Limit": 5})

	material := w.metadata(id)["CurrentKeyMaterialId"] // the DescribeKey at the end
	key := []any{m{"accountId": account, "type": "AWS::KMS::Key", "ARN": arn}}
	aliasToo := append(key[:1:1], m{"accountId": account, "type": "AWS::KMS::Key", "ARN": "arn:aws:kms:" + region + ":" + account + ":alias/a"})
	want := []struct {
		name       string
		readOnly   bool
		parameters any
		resources  []any
		additional any
		errorCode  any
	}{
		{"CreateKey", false, m{
			"description": "d", "tags": []any{m{"tagKey": "key0", "tagValue": "0"}}, "keySpec": "SYMMETRIC_DEFAULT", "customerMasterKeySpec": "SYMMETRIC_DEFAULT",
			"keyUsage": "ENCRYPT_DECRYPT", "origin": "AWS_KMS", "multiRegion": false, "bypassPolicyLockoutSafetyCheck": false,
		}, key, nil, nil},
		{"Encrypt", true, m{"keyId": id, "encryptionAlgorithm": "SYMMETRIC_DEFAULT", "encryptionContext": m{"who": "me"}}, key, nil, nil},
		{"Decrypt", true, m{"keyId": arn, "encryptionAlgorithm": "SYMMETRIC_DEFAULT", "encryptionContext": m{"who": "me"}}, key, m{"keyMaterialId": material}, nil},
		{"GenerateDataKey", true, m{"keyId": arn, "keySpec": "AES_256"}, key, m{"keyMaterialId": material}, nil},
		{"CreateAlias", false, m{"aliasName": "alias/a", "targetKeyId": id}, aliasToo, nil, nil},
		{"DisableKey", false, m{"keyId": id}, key, nil, nil},
		{"Encrypt", true, m{"keyId": "alias/a", "encryptionAlgorithm": "SYMMETRIC_DEFAULT"}, key, nil, "DisabledException"},
		{"Encrypt", true, nil, []any{}, nil, "ValidationException"},
		{"ScheduleKeyDeletion", false, m{"keyId": id, "pendingWindowInDays": 7.0}, key, nil, nil},
		{"ListKeys", true, m{"limit": 5.0}, []any{}, nil, nil},
		{"DescribeKey", true, m{"keyId": id}, key, nil, nil},
	}
	events := w.events()
	byID := map[any]bool{}
	var got []m
	for _, ev := range events {
		if byID[ev["eventID"]] || byID[ev["requestID"]] {
			t.Errorf("an id occurs twice: %v", ev)
		}
		byID[ev["eventID"]], byID[ev["requestID"]] = true, true
		got = append(got, ev)
	}
	if len(got) != len(want) {
		t.Fatalf("%d records of %d calls", len(got), len(want))
	}
	// Records of changes may reach the log after those of later calls.
	for _, c := range want {
		found := false
		for _, ev := range got {
			if ev["eventName"] == c.name && ev["errorCode"] == c.errorCode && !found {
				found = true
				for member, value := range (m{"readOnly": c.readOnly, "requestParameters": c.parameters, "additionalEventData": c.additional, "eventSource": "kms.amazonaws.com", "awsRegion": region, "sourceIPAddress": "192.0.2.7", "recipientAccountId": account}) {
					if diff := cmp.Diff(value, ev[member]); diff != "" && c.name != "Encrypt" {
						t.Errorf("%s: %s (-want +got):\n%s", c.name, member, diff)
					}
				}
				if diff := cmp.Diff(c.resources, ev["resources"]); diff != "" {
					t.Errorf("%s: resources (-want +got):\n%s", c.name, diff)
				}
			}
		}
		if !found {
			t.Errorf("no record of %s with error %v", c.name, c.errorCode)
		}
	}
	text, err := json.Marshal(events)
	if err != nil {
		t.Fatal(err)
	}
	for _, hidden := range []string{secret, b64(secret), enc["CiphertextBlob"].(string), gdk["Plaintext"].(string), gdk["CiphertextBlob"].(string)} {
		if strings.Contains(string(text), hidden) {
			t.Errorf("the records show %q", hidden)
		}
	}
}

// What CloudTrail shows of the answers: something of changes, by operation, and
// nothing of anything else.
func TestResponseElements(t *testing.T) {
	w := newWorld(t)
	id, arn := w.newKey()
	second, _ := w.newKey()
	keyID := m{"keyId": arn}
	for _, c := range []struct {
		operation  string
		request    m
		parameters m
		want       any
	}{
		{"UpdateKeyDescription", m{"KeyId": id, "Description": "d"}, m{"keyId": id, "description": "d"}, keyID},
		{"DisableKey", m{"KeyId": id}, m{"keyId": id}, keyID},
		{"EnableKey", m{"KeyId": arn}, m{"keyId": arn}, keyID},
		{"PutKeyPolicy", m{"KeyId": id, "Policy": policyFor(account)}, m{"keyId": id, "policy": policyFor(account)}, keyID},
		{"TagResource", m{"KeyId": id, "Tags": tags(1)}, m{"keyId": id, "tags": []any{m{"tagKey": "key0", "tagValue": "0"}}}, nil},
		{"UntagResource", m{"KeyId": id, "TagKeys": []string{"key0"}}, m{"keyId": id, "tagKeys": []any{"key0"}}, nil},
		{"CreateAlias", m{"AliasName": "alias/a", "TargetKeyId": id}, m{"aliasName": "alias/a", "targetKeyId": id}, nil},
		{"UpdateAlias", m{"AliasName": "alias/a", "TargetKeyId": second}, m{"aliasName": "alias/a", "targetKeyId": second}, nil},
		{"DeleteAlias", m{"AliasName": "alias/a"}, m{"aliasName": "alias/a"}, nil},
		{"GetKeyPolicy", m{"KeyId": id}, m{"keyId": id}, nil},
		{"GenerateDataKey", m{"KeyId": id, "NumberOfBytes": 5}, m{"keyId": id, "numberOfBytes": 5.0}, nil},
		{"GenerateRandom", m{"NumberOfBytes": 5}, m{"numberOfBytes": 5.0}, nil},
		{"ScheduleKeyDeletion", m{"KeyId": id, "PendingWindowInDays": 9}, m{"keyId": id, "pendingWindowInDays": 9.0}, m{
			"keyId": arn, "keyState": "PendingDeletion", "pendingWindowInDays": 9.0, "deletionDate": w.clock.Now().Add(9 * day).Format(auditDay),
		}},
		{"CancelKeyDeletion", m{"KeyId": id}, m{"keyId": id}, keyID},
		{"CreateKey", m{}, m{
			"description": "", "keySpec": "SYMMETRIC_DEFAULT", "customerMasterKeySpec": "SYMMETRIC_DEFAULT", "keyUsage": "ENCRYPT_DECRYPT",
			"origin": "AWS_KMS", "multiRegion": false, "bypassPolicyLockoutSafetyCheck": false,
		}, m{"keyMetadata": m{
			"aWSAccountId": account, "creationDate": w.clock.Now().Format(auditDay), "enabled": true, "description": "", "keyUsage": "ENCRYPT_DECRYPT",
			"keyState": "Enabled", "origin": "AWS_KMS", "keyManager": "CUSTOMER", "customerMasterKeySpec": "SYMMETRIC_DEFAULT", "keySpec": "SYMMETRIC_DEFAULT",
			"encryptionAlgorithms": []any{"SYMMETRIC_DEFAULT"}, "multiRegion": false,
		}}},
	} {
		requestID, _, err := w.call(account, region, c.operation, c.request)
		if err != nil {
			t.Fatal(err)
		}
		found := w.eventsOf(requestID)
		if len(found) != 1 {
			t.Fatalf("%s has %d records", c.operation, len(found))
		}
		if diff := cmp.Diff(c.parameters, found[0]["requestParameters"]); diff != "" {
			t.Errorf("%s: requestParameters (-want +got):\n%s", c.operation, diff)
		}
		got := found[0]["responseElements"]
		if elements, ok := got.(m); ok {
			if meta, ok := elements["keyMetadata"].(m); ok { // what differs from run to run
				for _, member := range []string{"keyId", "arn", "currentKeyMaterialId"} {
					if meta[member] == nil {
						t.Errorf("%s: keyMetadata has no %s", c.operation, member)
					}
					delete(meta, member)
				}
				elements = meta
			}
			for _, member := range []string{"creationDate", "deletionDate"} {
				if date, ok := elements[member].(string); ok {
					at, err := time.Parse("Jan 2, 2006, 3:04:05 PM", date)
					if err != nil {
						t.Errorf("%s: %s: %v", c.operation, member, err)
					}
					elements[member] = at.Format(auditDay)
				}
			}
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s: responseElements (-want +got):\n%s", c.operation, diff)
		}
	}
}

const auditDay = "Jan 2, 2006"

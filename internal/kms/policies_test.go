package kms_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestKeyPolicies(t *testing.T) {
	w := newWorld(t)
	id, arn := w.newKey()
	resp := w.must("GetKeyPolicy", m{"KeyId": id})
	var got, want any
	text := resp["Policy"].(string)
	json.Unmarshal([]byte(text), &got)
	// What AWS answers for a key that was created without a policy.
	json.Unmarshal([]byte(`{"Version":"2012-10-17","Id":"key-default-1","Statement":[{"Sid":"Enable IAM User Permissions","Effect":"Allow","Principal":{"AWS":"arn:aws:iam::`+account+`:root"},"Action":"kms:*","Resource":"*"}]}`), &want)
	if diff := cmp.Diff(want, got); diff != "" || !strings.Contains(text, "\n") || resp["PolicyName"] != "default" {
		t.Errorf("the default policy is %s", text)
	}
	list := w.must("ListKeyPolicies", m{"KeyId": id})
	if diff := cmp.Diff(m{"PolicyNames": []any{"default"}, "Truncated": false}, list); diff != "" {
		t.Error(diff)
	}

	own := " " + policyFor(account) // kept to the letter
	w.must("PutKeyPolicy", m{"KeyId": arn, "PolicyName": "default", "Policy": own})
	if got := w.must("GetKeyPolicy", m{"KeyId": arn, "PolicyName": "default"})["Policy"]; got != own {
		t.Errorf("the policy put came back as %v", got)
	}
	w.fails("NotFoundException", "No such policy exists", "GetKeyPolicy", m{"KeyId": id, "PolicyName": "other"})
	w.fails("UnsupportedOperationException", "Only default policy is supported", "PutKeyPolicy", m{"KeyId": id, "PolicyName": "other", "Policy": own})
	w.fails("MalformedPolicyDocumentException", "The new key policy will not allow you to update the key policy in the future.", "PutKeyPolicy", m{"KeyId": id, "Policy": policyFor(other)})
	w.fails("MalformedPolicyDocumentException", "Policy contains a statement with one or more invalid principals.", "PutKeyPolicy",
		m{"KeyId": id, "Policy": strings.Replace(policyFor(account), ":root", ":user/nobody", 1)})
	w.fails("LimitExceededException", "...", "PutKeyPolicy", m{"KeyId": id, "Policy": own + strings.Repeat(" ", 32768-len(own)+1)})
	w.must("PutKeyPolicy", m{"KeyId": id, "Policy": own + strings.Repeat(" ", 32768-len(own))})
}

// A policy is enforced against the account root too, from the next call on.
func TestPolicyBindsTheRoot(t *testing.T) {
	w := newWorld(t)
	id, arn := w.newKey()
	user := "User: arn:aws:iam::" + account + ":root is not authorized to perform: kms:Encrypt on resource: " + arn
	enc := m{"KeyId": id, "Plaintext": b64("x")}

	w.must("PutKeyPolicy", m{"KeyId": id, "Policy": strings.Replace(policyFor(account), "kms:*", "kms:P*", 1)})
	w.fails("AccessDeniedException", user+" because no resource-based policy allows the kms:Encrypt action", "Encrypt", enc)

	w.must("PutKeyPolicy", m{"KeyId": id, "Policy": `{"Version":"2012-10-17","Statement":[
		{"Effect":"Allow","Principal":{"AWS":"` + account + `"},"Action":"kms:*","Resource":"*"},
		{"Effect":"Deny","Principal":"*","Action":"kms:Encrypt","Resource":"*","Condition":{"Null":{"kms:EncryptionContext:who":"true"}}}]}`})
	w.fails("AccessDeniedException", user+" with an explicit deny in a resource-based policy", "Encrypt", enc)
	enc["EncryptionContext"] = m{"who": "me"}
	w.must("Encrypt", enc)
}

func TestUnsupportedOperations(t *testing.T) {
	w := newWorld(t)
	id, _ := w.newKey()
	for _, operation := range []string{"CreateGrant", "Sign", "EnableKeyRotation", "ReplicateKey", "DescribeCustomKeyStores"} {
		w.fails("UnsupportedOperationException", operation+" is not supported by this version of keywright.", operation, m{"KeyId": id})
	}
}

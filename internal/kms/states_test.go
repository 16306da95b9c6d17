package kms_test

import (
	"errors"
	"testing"

	"github.com/keywright/keywright/internal/awsapi"
)

// TestKeyStates holds every operation on a key against the table "Key states of
// AWS KMS keys" of the AWS KMS Developer Guide.
func TestKeyStates(t *testing.T) {
	const (
		disabled = "DisabledException"
		state    = "KMSInvalidStateException"
	)
	tag := []m{{"TagKey": "k", "TagValue": "v"}}
	states := []string{"Enabled", "Disabled", "PendingDeletion"}
	for _, row := range []struct {
		operation string
		request   func(key, second string, blob any) m
		want      [3]string // the error codes, by state
	}{
		{"CancelKeyDeletion", func(key, _ string, _ any) m { return m{"KeyId": key} }, [3]string{state, state, ""}},
		{"CreateAlias", func(key, _ string, _ any) m { return m{"AliasName": "alias/new", "TargetKeyId": key} }, [3]string{"", "", state}},
		{"Decrypt", func(_, _ string, blob any) m { return m{"CiphertextBlob": blob} }, [3]string{"", disabled, state}},
		{"DeleteAlias", func(_, _ string, _ any) m { return m{"AliasName": "alias/of-key"} }, [3]string{}},
		{"DescribeKey", func(key, _ string, _ any) m { return m{"KeyId": key} }, [3]string{}},
		{"DisableKey", func(key, _ string, _ any) m { return m{"KeyId": key} }, [3]string{"", "", state}},
		{"EnableKey", func(key, _ string, _ any) m { return m{"KeyId": key} }, [3]string{"", "", state}},
		{"Encrypt", func(key, _ string, _ any) m { return m{"KeyId": key, "Plaintext": b64("x")} }, [3]string{"", disabled, state}},
		{"GenerateDataKey", func(key, _ string, _ any) m { return m{"KeyId": key, "KeySpec": "AES_128"} }, [3]string{"", disabled, state}},
		{"GenerateDataKeyWithoutPlaintext", func(key, _ string, _ any) m { return m{"KeyId": key, "KeySpec": "AES_128"} }, [3]string{"", disabled, state}},
		{"GetKeyPolicy", func(key, _ string, _ any) m { return m{"KeyId": key} }, [3]string{}},
		{"ListAliases", func(key, _ string, _ any) m { return m{"KeyId": key} }, [3]string{}},
		{"ListKeyPolicies", func(key, _ string, _ any) m { return m{"KeyId": key} }, [3]string{}},
		{"ListResourceTags", func(key, _ string, _ any) m { return m{"KeyId": key} }, [3]string{}},
		{"PutKeyPolicy", func(key, _ string, _ any) m { return m{"KeyId": key, "Policy": policyFor(account)} }, [3]string{}},
		{"ReEncrypt", func(_, second string, blob any) m { return m{"CiphertextBlob": blob, "DestinationKeyId": second} }, [3]string{"", disabled, state}},
		{"ScheduleKeyDeletion", func(key, _ string, _ any) m { return m{"KeyId": key} }, [3]string{"", "", state}},
		{"TagResource", func(key, _ string, _ any) m { return m{"KeyId": key, "Tags": tag} }, [3]string{"", "", state}},
		{"UntagResource", func(key, _ string, _ any) m { return m{"KeyId": key, "TagKeys": []string{"k"}} }, [3]string{"", "", state}},
		{"UpdateAlias", func(key, _ string, _ any) m { return m{"AliasName": "alias/of-second", "TargetKeyId": key} }, [3]string{"", "", state}},
		{"UpdateAlias", func(_, second string, _ any) m { return m{"AliasName": "alias/of-key", "TargetKeyId": second} }, [3]string{}},
		{"UpdateKeyDescription", func(key, _ string, _ any) m { return m{"KeyId": key, "Description": "d"} }, [3]string{"", "", state}},
	} {
		for i, keyState := range states {
			t.Run(row.operation+" "+keyState, func(t *testing.T) {
				w := newWorld(t)
				key, arn := w.newKey()
				second, _ := w.newKey()
				blob := w.must("Encrypt", m{"KeyId": key, "Plaintext": b64("x")})["CiphertextBlob"]
				w.must("CreateAlias", m{"AliasName": "alias/of-key", "TargetKeyId": key})
				w.must("CreateAlias", m{"AliasName": "alias/of-second", "TargetKeyId": second})
				switch keyState {
				case "Disabled":
					w.must("DisableKey", m{"KeyId": key})
				case "PendingDeletion":
					w.must("ScheduleKeyDeletion", m{"KeyId": key})
				}
				if got := w.metadata(key)["KeyState"]; got != keyState {
					t.Fatalf("the key is %v", got)
				}
				_, err := w.as(account, region, row.operation, row.request(key, second, blob))
				if row.want[i] == "" {
					if err != nil {
						t.Fatal(err)
					}
					return
				}
				texts := map[string]string{disabled: arn + " is disabled.", state: arn + " is pending deletion."}
				if row.operation == "CancelKeyDeletion" {
					texts[state] = arn + " is not pending deletion."
				}
				if e, ok := errors.AsType[*awsapi.Error](err); !ok || e.Code != row.want[i] || e.Message != texts[e.Code] {
					t.Errorf("got %v, want %s: %s", err, row.want[i], texts[row.want[i]])
				}
			})
		}
	}
}

package kmsapi_test

import (
	"bytes"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/keywright/keywright/internal/awsapi"
	"github.com/keywright/keywright/internal/kmsapi"
)

func TestAppendAudit(t *testing.T) {
	day := time.Date(2022, 8, 10, 22, 38, 27, 191e6, time.UTC)
	for _, tc := range []struct {
		name string
		r    awsapi.Message
		want string
	}{
		{"plaintext and grant tokens are not shown",
			&kmsapi.EncryptRequest{KeyId: "k", Plaintext: []byte("p"), EncryptionContext: map[string]string{"B": "2", "A": "1"},
				GrantTokens: []string{"t"}, EncryptionAlgorithm: kmsapi.EncryptionAlgorithmSpecSymmetricDefault},
			`{"keyId":"k","encryptionContext":{"A":"1","B":"2"},"encryptionAlgorithm":"SYMMETRIC_DEFAULT"}`},
		{"nothing of a read's answer", &kmsapi.EncryptResponse{KeyId: "k", CiphertextBlob: []byte("c")}, `null`},
		{"nothing of an empty answer", &kmsapi.CreateAliasResponse{}, `null`},
		{"nothing where nothing was given", &kmsapi.ListKeysRequest{}, `null`},
		{"tags", &kmsapi.TagResourceRequest{KeyId: "k", Tags: []kmsapi.Tag{{TagKey: "a", TagValue: ""}, {TagKey: "b", TagValue: "c"}}},
			`{"keyId":"k","tags":[{"tagKey":"a","tagValue":""},{"tagKey":"b","tagValue":"c"}]}`},
		{"times", &kmsapi.ImportKeyMaterialRequest{KeyId: "k", ImportToken: []byte("i"), EncryptedKeyMaterial: []byte("e"), ValidTo: &day},
			`{"keyId":"k","validTo":"Aug 10, 2022, 10:38:27 PM"}`},
		{"key metadata", &kmsapi.CreateKeyResponse{KeyMetadata: &kmsapi.KeyMetadata{AWSAccountId: "111122223333", KeyId: "k", CreationDate: &day,
			Enabled: new(true), Description: new(""), KeyState: kmsapi.KeyStateEnabled,
			EncryptionAlgorithms: []kmsapi.EncryptionAlgorithmSpec{kmsapi.EncryptionAlgorithmSpecSymmetricDefault}}},
			`{"keyMetadata":{"aWSAccountId":"111122223333","keyId":"k","creationDate":"Aug 10, 2022, 10:38:27 PM","enabled":true,"description":"","keyState":"Enabled","encryptionAlgorithms":["SYMMETRIC_DEFAULT"]}}`},
		{"the grant's id and not its token", &kmsapi.CreateGrantResponse{GrantToken: "t", GrantId: "g"}, `{"grantId":"g"}`},
		{"nothing of RetireGrant, whose token grants", &kmsapi.RetireGrantRequest{GrantToken: "t", KeyId: "k", GrantId: "g"}, `null`},
		{"constraints", &kmsapi.CreateGrantRequest{KeyId: "k", GranteePrincipal: "p", Operations: []kmsapi.GrantOperation{"Decrypt"},
			Constraints: &kmsapi.GrantConstraints{EncryptionContextSubset: map[string]string{"Tenant": "1"}}},
			`{"keyId":"k","granteePrincipal":"p","operations":["Decrypt"],"constraints":{"encryptionContextSubset":{"Tenant":"1"}}}`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := string(tc.r.AppendAudit([]byte("before "))); got != "before "+tc.want {
				t.Errorf("\n got %s\nwant before %s", got, tc.want)
			}
		})
	}
}

// With every member set, what the audit record shows of any operation is what
// the request or response holds.
func TestAuditShowsTheRequest(t *testing.T) {
	for name, g := range readGolden(t) {
		id, _ := kmsapi.OperationByName(name)
		r, err := kmsapi.DecodeRequest(id, bytes.Clone(g.Request))
		if err != nil {
			t.Fatal(err)
		}
		checkAudit(t, name+" request", g.Request, r.AppendAudit(nil))
		if g.Response != nil {
			r := responses[name]
			fill(t, reflect.ValueOf(r).Elem(), parse(t, g.Response))
			checkAudit(t, name+" response", g.Response, r.AppendAudit(nil))
		}
	}
}

// checkAudit checks that each member of audit is one of body, by another case
// of its first letter and, for times, in CloudTrail's form.
func checkAudit(t *testing.T, what string, body, audit []byte) {
	t.Helper()
	shown, _ := parse(t, audit).(map[string]any)
	sent := asAudit(parse(t, body)).(map[string]any)
	for member, value := range shown {
		if first := member[:1]; first != strings.ToLower(first) {
			t.Errorf("%s: %s is not in lower camel case", what, member)
		}
		if diff := cmp.Diff(sent[strings.ToLower(member)], asAudit(value)); diff != "" {
			t.Errorf("%s: %s (-sent +shown):\n%s", what, member, diff)
		}
	}
}

// asAudit lowers names and writes times as CloudTrail does.
func asAudit(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := make(map[string]any)
		for name, value := range v {
			out[strings.ToLower(name)] = asAudit(value)
		}
		return out
	case []any:
		for i := range v {
			v[i] = asAudit(v[i])
		}
	case float64:
		if v > 1e9 { // no other number of the API is as large as a time
			return time.Unix(int64(v), 0).UTC().Format("Jan 2, 2006, 3:04:05 PM")
		}
	}
	return v
}

// No audit record holds anything of a blob, a secret or a token, whatever the
// operation: with all members set, none of them is seen.
func TestAuditShowsNoSecrets(t *testing.T) {
	for name, g := range readGolden(t) {
		id, _ := kmsapi.OperationByName(name)
		r, err := kmsapi.DecodeRequest(id, bytes.Clone(g.Request))
		if err != nil {
			t.Fatal(err)
		}
		shown := string(r.AppendAudit(nil))
		parse(t, []byte(shown))
		for _, member := range []string{"plaintext", "ciphertextBlob", "message\"", "signature\"", "mac\"", "publicKey", "importToken",
			"encryptedKeyMaterial", "keyStorePassword", "xksProxyAuthenticationCredential", "recipient", "grantToken", "trustAnchorCertificate"} {
			if strings.Contains(shown, member) {
				t.Errorf("%s: the audit record shows %s", name, member)
			}
		}
	}
}

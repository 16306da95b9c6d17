package kmsapi_test

import (
	"encoding/base64"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/keywright/keywright/internal/awsapi"
	"github.com/keywright/keywright/internal/kmsapi"
)

// decode decodes body as a request of the operation and returns its error.
func decode(t testing.TB, operation, body string) *awsapi.Error {
	t.Helper()
	id, ok := kmsapi.OperationByName(operation)
	if !ok {
		t.Fatalf("there is no operation %s", operation)
	}
	_, err := kmsapi.DecodeRequest(id, []byte(body))
	if err == nil {
		return nil
	}
	e, ok := err.(*awsapi.Error)
	if !ok {
		t.Fatalf("error is a %T, want *awsapi.Error", err)
	}
	return e
}

func b64(n int) string { return base64.StdEncoding.EncodeToString(make([]byte, n)) }

// Texts recorded from the real service.
func TestRecordedValidationTexts(t *testing.T) {
	long := strings.Repeat("k", 129)
	longValue := strings.Repeat("v", 257)
	for _, tc := range []struct{ operation, body, want string }{
		{"CreateKey", `{"Tags":[{"TagKey":"` + long + `","TagValue":"v"}]}`,
			"Value '" + long + "' at 'tags.1.member.tagKey' failed to satisfy constraint: Member must have length less than or equal to 128"},
		{"CreateKey", `{"Tags":[{"TagKey":"k","TagValue":"` + longValue + `"}]}`,
			"Value '" + longValue + "' at 'tags.1.member.tagValue' failed to satisfy constraint: Member must have length less than or equal to 256"},
		{"GenerateRandom", `{"NumberOfBytes":0}`,
			"Value '0' at 'numberOfBytes' failed to satisfy constraint: Member must have value greater than or equal to 1"},
		{"GenerateRandom", `{"NumberOfBytes":1025}`,
			"Value '1025' at 'numberOfBytes' failed to satisfy constraint: Member must have value less than or equal to 1024"},
		{"Encrypt", `{"KeyId":"k","Plaintext":"` + b64(4097) + `"}`,
			"Value at 'plaintext' failed to satisfy constraint: Member must have length less than or equal to 4096"},
		{"Encrypt", `{"KeyId":"k","Plaintext":""}`,
			"Value at 'plaintext' failed to satisfy constraint: Member must have length greater than or equal to 1"},
		{"DescribeKey", `{}`,
			"Value null at 'keyId' failed to satisfy constraint: Member must not be null"},
		{"DeriveSharedSecret", `{"KeyId":"k","PublicKey":"AA==","KeyAgreementAlgorithm":"INVALID"}`,
			"Value 'INVALID' at 'keyAgreementAlgorithm' failed to satisfy constraint: Member must satisfy enum value set: [ECDH]"},
	} {
		want := awsapi.Error{Code: "ValidationException", Message: "1 validation error detected: " + tc.want}
		if got := decode(t, tc.operation, tc.body); got == nil || *got != want {
			t.Errorf("%s %.60s:\n got %v\nwant %v", tc.operation, tc.body, got, &want)
		}
	}
}

// The order of an enum's values in AWS's messages is arbitrary, and the sets
// have grown since these were recorded.
func TestRecordedEnumTexts(t *testing.T) {
	for _, tc := range []struct {
		operation, body, value, path string
		set                          []string
	}{
		{"GenerateMac", `{"KeyId":"k","Message":"AA==","MacAlgorithm":"INVALID"}`, "INVALID", "macAlgorithm",
			[]string{"HMAC_SHA_384", "HMAC_SHA_256", "HMAC_SHA_224", "HMAC_SHA_512"}},
		{"VerifyMac", `{"KeyId":"k","Message":"AA==","Mac":"AA==","MacAlgorithm":"INVALID"}`, "INVALID", "macAlgorithm",
			[]string{"HMAC_SHA_384", "HMAC_SHA_256", "HMAC_SHA_224", "HMAC_SHA_512"}},
		{"CreateKey", `{"KeySpec":"HMAC_random"}`, "HMAC_random", "keySpec",
			[]string{"RSA_2048", "ECC_NIST_P384", "ECC_NIST_P256", "ECC_NIST_P521", "HMAC_384", "RSA_3072", "ECC_SECG_P256K1", "RSA_4096", "SYMMETRIC_DEFAULT", "HMAC_256", "HMAC_224", "HMAC_512"}},
		{"CreateKey", `{"KeyUsage":"GENERATE_HMAC"}`, "GENERATE_HMAC", "keyUsage",
			[]string{"ENCRYPT_DECRYPT", "SIGN_VERIFY", "GENERATE_VERIFY_MAC"}},
	} {
		e := decode(t, tc.operation, tc.body)
		if e == nil {
			t.Errorf("%s %s: no error", tc.operation, tc.body)
			continue
		}
		head := fmt.Sprintf("1 validation error detected: Value '%s' at '%s' failed to satisfy constraint: Member must satisfy enum value set: [", tc.value, tc.path)
		values, ok := strings.CutPrefix(e.Message, head)
		if !ok || !strings.HasSuffix(values, "]") {
			t.Errorf("%s %s: %s", tc.operation, tc.body, e.Message)
			continue
		}
		got := strings.Split(strings.TrimSuffix(values, "]"), ", ")
		for _, v := range tc.set {
			if !slices.Contains(got, v) {
				t.Errorf("%s: %s is missing in %s", tc.operation, v, values)
			}
		}
	}
}

func TestValidationOfSeveralMembers(t *testing.T) {
	for _, tc := range []struct{ name, operation, body, want string }{
		{"in the model's order, whatever the request's", "Encrypt",
			`{"EncryptionAlgorithm":"ROT13","Plaintext":"","GrantTokens":[""]}`,
			"4 validation errors detected: " +
				"Value null at 'keyId' failed to satisfy constraint: Member must not be null; " +
				"Value at 'plaintext' failed to satisfy constraint: Member must have length greater than or equal to 1; " +
				"Value '[]' at 'grantTokens' failed to satisfy constraint: Member must satisfy constraint: [Member must have length less than or equal to 8192, Member must have length greater than or equal to 1]; " +
				"Value 'ROT13' at 'encryptionAlgorithm' failed to satisfy constraint: Member must satisfy enum value set: [SYMMETRIC_DEFAULT, RSAES_OAEP_SHA_1, RSAES_OAEP_SHA_256, SM2PKE]"},
		{"elements of a list in their order, missing members included", "TagResource",
			`{"Tags":[{"TagKey":"a","TagValue":""},{"TagValue":null,"TagKey":""}],"KeyId":"k"}`,
			"2 validation errors detected: " +
				"Value '' at 'tags.2.member.tagKey' failed to satisfy constraint: Member must have length greater than or equal to 1; " +
				"Value null at 'tags.2.member.tagValue' failed to satisfy constraint: Member must not be null"},
		{"two rules of one member", "CreateAlias",
			`{"AliasName":"","TargetKeyId":"k"}`,
			"2 validation errors detected: " +
				"Value '' at 'aliasName' failed to satisfy constraint: Member must have length greater than or equal to 1; " +
				"Value '' at 'aliasName' failed to satisfy constraint: Member must satisfy regular expression pattern: ^[a-zA-Z0-9:/_-]+$"},
		{"enum in a list", "CreateGrant",
			`{"KeyId":"k","GranteePrincipal":"p","Operations":["Decrypt","Destroy"]}`,
			"1 validation error detected: Value '[Decrypt, Destroy]' at 'operations' failed to satisfy constraint: Member must satisfy constraint: [Member must satisfy enum value set: [Decrypt, Encrypt, GenerateDataKey, GenerateDataKeyWithoutPlaintext, ReEncryptFrom, ReEncryptTo, Sign, Verify, GetPublicKey, CreateGrant, RetireGrant, DescribeKey, GenerateDataKeyPair, GenerateDataKeyPairWithoutPlaintext, GenerateMac, VerifyMac, DeriveSharedSecret]]"},
		{"null in a list", "UntagResource", `{"KeyId":"k","TagKeys":["a",null]}`,
			"1 validation error detected: Value null at 'tagKeys.2.member' failed to satisfy constraint: Member must not be null"},
		{"null in a map", "Decrypt", `{"EncryptionContext":{"a":"b","c":null}}`,
			"1 validation error detected: Value null at 'encryptionContext.c' failed to satisfy constraint: Member must not be null"},
		{"too long a list", "DescribeKey", `{"KeyId":"k","GrantTokens":["1","2","3","4","5","6","7","8","9","10","11"]}`,
			"1 validation error detected: Value '[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]' at 'grantTokens' failed to satisfy constraint: Member must have length less than or equal to 10"},
		{"bytes that are not sensitive", "Decrypt", `{"CiphertextBlob":"` + b64(6145) + `"}`,
			"1 validation error detected: Value 'java.nio.HeapByteBuffer[pos=0 lim=6145 cap=6145]' at 'ciphertextBlob' failed to satisfy constraint: Member must have length less than or equal to 6144"},
		{"sensitive strings", "CreateCustomKeyStore", `{"CustomKeyStoreName":"n","KeyStorePassword":"hunter",
			"XksProxyAuthenticationCredential":{"AccessKeyId":"secret-id-of-a-proxy","RawSecretAccessKey":"` + strings.Repeat("?", 43) + `"}}`,
			"3 validation errors detected: " +
				"Value at 'keyStorePassword' failed to satisfy constraint: Member must have length greater than or equal to 7; " +
				"Value at 'xksProxyAuthenticationCredential.accessKeyId' failed to satisfy constraint: Member must satisfy regular expression pattern: ^[A-Z2-7]+$; " +
				"Value at 'xksProxyAuthenticationCredential.rawSecretAccessKey' failed to satisfy constraint: Member must satisfy regular expression pattern: ^[a-zA-Z0-9\\/+=]+$"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got := decode(t, tc.operation, tc.body)
			if want := (awsapi.Error{Code: "ValidationException", Message: tc.want}); got == nil || *got != want {
				t.Errorf("\n got %v\nwant %v", got, &want)
			}
		})
	}
}

// Both sides of limits of each kind, and of those an operation has for itself.
func TestLimits(t *testing.T) {
	x := func(n int) string { return strings.Repeat("x", n) }
	for _, tc := range []struct{ operation, good, bad string }{
		{"DescribeKey", `{"KeyId":"` + x(2048) + `"}`, `{"KeyId":"` + x(2049) + `"}`},
		// Characters are counted, not bytes and not UTF-16 units.
		{"DescribeKey", `{"KeyId":"` + strings.Repeat("\U0001d11e", 2048) + `"}`, `{"KeyId":"` + strings.Repeat("\U0001d11e", 2049) + `"}`},
		{"DescribeKey", `{"KeyId":"k"}`, `{"KeyId":""}`},
		{"Decrypt", `{"CiphertextBlob":"` + b64(6144) + `"}`, `{"CiphertextBlob":"` + b64(6145) + `"}`},
		{"Decrypt", `{"CiphertextBlob":"AA=="}`, `{"CiphertextBlob":""}`},
		{"Encrypt", `{"KeyId":"k","Plaintext":"` + b64(4096) + `"}`, `{"KeyId":"k","Plaintext":"` + b64(4097) + `"}`},
		{"DescribeKey", `{"KeyId":"k","GrantTokens":["` + x(8192) + `"]}`, `{"KeyId":"k","GrantTokens":["` + x(8193) + `"]}`},
		{"DescribeKey", `{"KeyId":"k","GrantTokens":[]}`, `{"KeyId":"k","GrantTokens":[""]}`},
		{"EnableKeyRotation", `{"KeyId":"k","RotationPeriodInDays":90}`, `{"KeyId":"k","RotationPeriodInDays":89}`},
		{"EnableKeyRotation", `{"KeyId":"k","RotationPeriodInDays":2560}`, `{"KeyId":"k","RotationPeriodInDays":2561}`},
		{"CreateKey", `{"Description":""}`, `{"Description":"` + x(8193) + `"}`},
		{"CreateKey", `{"Policy":"` + x(131072) + `"}`, `{"Policy":"` + x(131073) + `"}`},
		{"CreateKey", `{"Policy":"\u0009\u000a\u000d \u00ff"}`, `{"Policy":"\u0100"}`},
		{"CreateKey", `{"Policy":"x"}`, `{"Policy":"\u001f"}`},
		{"DeleteImportedKeyMaterial", `{"KeyId":"k","KeyMaterialId":"` + strings.Repeat("0a", 32) + `"}`, `{"KeyId":"k","KeyMaterialId":"` + strings.Repeat("0A", 32) + `"}`},
		{"GetKeyPolicy", `{"KeyId":"k","PolicyName":"default_1"}`, `{"KeyId":"k","PolicyName":"default "}`},
		{"ListKeys", `{"Limit":1000}`, `{"Limit":1001}`},
		{"ListKeys", `{"Limit":1}`, `{"Limit":0}`},
		{"ListAliases", `{"Limit":100}`, `{"Limit":101}`},
		{"ListGrants", `{"KeyId":"k","Limit":100}`, `{"KeyId":"k","Limit":101}`},
		{"ListRetirableGrants", `{"RetiringPrincipal":"p","Limit":100}`, `{"RetiringPrincipal":"p","Limit":101}`},
		{"ListResourceTags", `{"KeyId":"k","Limit":50}`, `{"KeyId":"k","Limit":51}`},
		{"ReplicateKey", `{"KeyId":"k","ReplicaRegion":"us-gov-west-1"}`, `{"KeyId":"k","ReplicaRegion":"us-gov-west-1\n"}`},
		// Java's \s has the vertical tab; a value must match from end to end.
		{"ImportKeyMaterial", `{"KeyId":"k","ImportToken":"AA==","EncryptedKeyMaterial":"AA==","KeyMaterialDescription":"a\u000bb"}`,
			`{"KeyId":"k","ImportToken":"AA==","EncryptedKeyMaterial":"AA==","KeyMaterialDescription":"a,b"}`},
		{"CreateCustomKeyStore", `{"CustomKeyStoreName":"n","XksProxyUriPath":"/kms/xks/v1"}`, `{"CustomKeyStoreName":"n","XksProxyUriPath":"/kms/xks/v1/x"}`},
		{"CreateCustomKeyStore", `{"CustomKeyStoreName":"n","CloudHsmClusterId":"cluster-234567abcde"}`, `{"CustomKeyStoreName":"n","CloudHsmClusterId":"a cluster-234567abcde"}`},
		{"CreateKey", `{"XksKeyId":"0-9_.a"}`, `{"XksKeyId":"a:b"}`},
	} {
		if e := decode(t, tc.operation, tc.good); e != nil {
			t.Errorf("%s %.60s: %v, want no error", tc.operation, tc.good, e)
		}
		if e := decode(t, tc.operation, tc.bad); e == nil || e.Code != "ValidationException" || !strings.HasPrefix(e.Message, "1 validation error") {
			t.Errorf("%s %.60s: %v, want one validation error", tc.operation, tc.bad, e)
		}
	}
}

// What a message repeats of a request is limited, however much was sent.
func TestMessagesStayShort(t *testing.T) {
	many := strings.TrimSuffix(strings.Repeat(`{"TagKey":""},`, 20000), ",")
	for _, tc := range []struct {
		operation, body string
		limit           int
	}{
		{"CreateKey", `{"KeySpec":"` + strings.Repeat("\u00e4", 500000) + `"}`, 2000},
		{"CreateGrant", `{"KeyId":"k","GranteePrincipal":"p","Operations":[` + strings.TrimSuffix(strings.Repeat(`"Destroy",`, 100000), ",") + `]}`, 2500},
		{"TagResource", `{"KeyId":"k","Tags":[` + many + `]}`, 40000},
		{"Decrypt", `{"EncryptionContext":{"` + strings.Repeat("k", 1000000) + `":null}}`, 2000},
	} {
		e := decode(t, tc.operation, tc.body)
		if e == nil || len(e.Message) > tc.limit {
			t.Errorf("%s: message %.80v..., want at most %d bytes", tc.operation, e, tc.limit)
		}
	}
	if e := decode(t, "TagResource", `{"KeyId":"k","Tags":[`+many+`]}`); !regexp.MustCompile(`^40000 validation errors detected: .*; \.\.\.$`).MatchString(e.Message) {
		t.Errorf("message %.80s... does not count all violations", e.Message)
	}
}

func TestAbsence(t *testing.T) {
	r, err := kmsapi.DecodeCreateKeyRequest([]byte(`{"Description":"","Policy":null,"Tags":[],"keyspec":"RSA_2048","Unknown":{"a":[1,{"b":null}]}}`))
	if err != nil {
		t.Fatal(err)
	}
	if r.Description == nil || *r.Description != "" {
		t.Error(`Description "" is not present`)
	}
	if r.Policy != "" || r.MultiRegion != nil {
		t.Error("absent members are set")
	}
	if r.Tags == nil {
		t.Error("an empty list is absent")
	}
	if r.KeySpec != "" {
		t.Error("a member's name was matched without regard to case")
	}
	if r, err := kmsapi.DecodeListKeysRequest(nil); err != nil || r.Limit != nil {
		t.Errorf("an empty body: %v, want an empty request", err)
	}
}

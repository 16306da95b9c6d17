package kmsapi_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"math"
	"os"
	"reflect"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/keywright/keywright/internal/awsapi"
	"github.com/keywright/keywright/internal/kmsapi"
)

// golden is what testdata/golden.py wrote for one operation: nil where botocore
// sends or expects no body.
type golden struct {
	Request  json.RawMessage
	Response json.RawMessage
}

func readGolden(t testing.TB) map[string]golden {
	t.Helper()
	data, err := os.ReadFile("testdata/golden.json")
	if err != nil {
		t.Fatal(err)
	}
	var all map[string]golden
	if err := json.Unmarshal(data, &all); err != nil {
		t.Fatal(err)
	}
	if len(all) != len(kmsapi.Operations) {
		t.Fatalf("golden.json has %d operations, want %d: run golden.py", len(all), len(kmsapi.Operations))
	}
	return all
}

// Requests of every operation with every member, as botocore sends them, come
// out of decoding and encoding unchanged.
func TestRequestsOfBotocore(t *testing.T) {
	for name, g := range readGolden(t) {
		t.Run(name, func(t *testing.T) {
			id, ok := kmsapi.OperationByName(name)
			if !ok {
				t.Fatal("unknown operation")
			}
			r, err := kmsapi.DecodeRequest(id, bytes.Clone(g.Request))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(parse(t, g.Request), parse(t, r.AppendJSON(nil))); diff != "" {
				t.Errorf("request differs (-botocore +ours):\n%s", diff)
			}
		})
	}
}

// Responses of every operation with every member are encoded to the JSON that
// botocore reads the same values from.
func TestResponsesForBotocore(t *testing.T) {
	all := readGolden(t)
	if len(responses) != len(all) {
		t.Fatalf("%d responses listed, want %d", len(responses), len(all))
	}
	for name, r := range responses {
		t.Run(name, func(t *testing.T) {
			if all[name].Response == nil {
				if body := r.AppendJSON(nil); len(body) != 0 {
					t.Errorf("body is %q, want none", body)
				}
				return
			}
			fill(t, reflect.ValueOf(r).Elem(), parse(t, all[name].Response))
			if diff := cmp.Diff(parse(t, all[name].Response), parse(t, r.AppendJSON(nil))); diff != "" {
				t.Errorf("response differs (-botocore +ours):\n%s", diff)
			}
		})
	}
}

func parse(t testing.TB, data []byte) any {
	t.Helper()
	var v any
	if err := json.Unmarshal(data, &v); err != nil {
		t.Fatalf("%v in %s", err, data)
	}
	return v
}

// fill sets v, of any type of the package, to the value the JSON stands for.
// Every field must be set, so that none is left out of the comparison.
func fill(t *testing.T, v reflect.Value, data any) {
	t.Helper()
	switch v.Interface().(type) {
	case time.Time:
		v.Set(reflect.ValueOf(time.UnixMilli(int64(math.Round(data.(float64) * 1000)))))
		return
	case []byte:
		b, err := base64.StdEncoding.DecodeString(data.(string))
		if err != nil {
			t.Fatal(err)
		}
		v.SetBytes(b)
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(t, v.Elem(), data)
	case reflect.Struct:
		members := data.(map[string]any)
		if len(members) != v.NumField() {
			t.Fatalf("%s has %d fields, golden.json %d members", v.Type(), v.NumField(), len(members))
		}
		for name, value := range members {
			fill(t, v.FieldByName(name), value)
		}
	case reflect.Slice:
		list := data.([]any)
		v.Set(reflect.MakeSlice(v.Type(), len(list), len(list)))
		for i, element := range list {
			fill(t, v.Index(i), element)
		}
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		for key, value := range data.(map[string]any) {
			v.SetMapIndex(reflect.ValueOf(key), reflect.ValueOf(value))
		}
	case reflect.Int32, reflect.Int64:
		v.SetInt(int64(data.(float64)))
	default:
		v.Set(reflect.ValueOf(data).Convert(v.Type()))
	}
}

var responses = map[string]awsapi.Message{
	"CancelKeyDeletion":                   &kmsapi.CancelKeyDeletionResponse{},
	"ConnectCustomKeyStore":               &kmsapi.ConnectCustomKeyStoreResponse{},
	"CreateAlias":                         &kmsapi.CreateAliasResponse{},
	"CreateCustomKeyStore":                &kmsapi.CreateCustomKeyStoreResponse{},
	"CreateGrant":                         &kmsapi.CreateGrantResponse{},
	"CreateKey":                           &kmsapi.CreateKeyResponse{},
	"Decrypt":                             &kmsapi.DecryptResponse{},
	"DeleteAlias":                         &kmsapi.DeleteAliasResponse{},
	"DeleteCustomKeyStore":                &kmsapi.DeleteCustomKeyStoreResponse{},
	"DeleteImportedKeyMaterial":           &kmsapi.DeleteImportedKeyMaterialResponse{},
	"DeriveSharedSecret":                  &kmsapi.DeriveSharedSecretResponse{},
	"DescribeCustomKeyStores":             &kmsapi.DescribeCustomKeyStoresResponse{},
	"DescribeKey":                         &kmsapi.DescribeKeyResponse{},
	"DisableKey":                          &kmsapi.DisableKeyResponse{},
	"DisableKeyRotation":                  &kmsapi.DisableKeyRotationResponse{},
	"DisconnectCustomKeyStore":            &kmsapi.DisconnectCustomKeyStoreResponse{},
	"EnableKey":                           &kmsapi.EnableKeyResponse{},
	"EnableKeyRotation":                   &kmsapi.EnableKeyRotationResponse{},
	"Encrypt":                             &kmsapi.EncryptResponse{},
	"GenerateDataKey":                     &kmsapi.GenerateDataKeyResponse{},
	"GenerateDataKeyPair":                 &kmsapi.GenerateDataKeyPairResponse{},
	"GenerateDataKeyPairWithoutPlaintext": &kmsapi.GenerateDataKeyPairWithoutPlaintextResponse{},
	"GenerateDataKeyWithoutPlaintext":     &kmsapi.GenerateDataKeyWithoutPlaintextResponse{},
	"GenerateMac":                         &kmsapi.GenerateMacResponse{},
	"GenerateRandom":                      &kmsapi.GenerateRandomResponse{},
	"GetKeyLastUsage":                     &kmsapi.GetKeyLastUsageResponse{},
	"GetKeyPolicy":                        &kmsapi.GetKeyPolicyResponse{},
	"GetKeyRotationStatus":                &kmsapi.GetKeyRotationStatusResponse{},
	"GetParametersForImport":              &kmsapi.GetParametersForImportResponse{},
	"GetPublicKey":                        &kmsapi.GetPublicKeyResponse{},
	"ImportKeyMaterial":                   &kmsapi.ImportKeyMaterialResponse{},
	"ListAliases":                         &kmsapi.ListAliasesResponse{},
	"ListGrants":                          &kmsapi.ListGrantsResponse{},
	"ListKeyPolicies":                     &kmsapi.ListKeyPoliciesResponse{},
	"ListKeyRotations":                    &kmsapi.ListKeyRotationsResponse{},
	"ListKeys":                            &kmsapi.ListKeysResponse{},
	"ListResourceTags":                    &kmsapi.ListResourceTagsResponse{},
	"ListRetirableGrants":                 &kmsapi.ListRetirableGrantsResponse{},
	"PutKeyPolicy":                        &kmsapi.PutKeyPolicyResponse{},
	"ReEncrypt":                           &kmsapi.ReEncryptResponse{},
	"ReplicateKey":                        &kmsapi.ReplicateKeyResponse{},
	"RetireGrant":                         &kmsapi.RetireGrantResponse{},
	"RevokeGrant":                         &kmsapi.RevokeGrantResponse{},
	"RotateKeyOnDemand":                   &kmsapi.RotateKeyOnDemandResponse{},
	"ScheduleKeyDeletion":                 &kmsapi.ScheduleKeyDeletionResponse{},
	"Sign":                                &kmsapi.SignResponse{},
	"TagResource":                         &kmsapi.TagResourceResponse{},
	"UntagResource":                       &kmsapi.UntagResourceResponse{},
	"UpdateAlias":                         &kmsapi.UpdateAliasResponse{},
	"UpdateCustomKeyStore":                &kmsapi.UpdateCustomKeyStoreResponse{},
	"UpdateKeyDescription":                &kmsapi.UpdateKeyDescriptionResponse{},
	"UpdatePrimaryRegion":                 &kmsapi.UpdatePrimaryRegionResponse{},
	"Verify":                              &kmsapi.VerifyResponse{},
	"VerifyMac":                           &kmsapi.VerifyMacResponse{},
}

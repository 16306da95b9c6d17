package kmsapi_test

import (
	"slices"
	"testing"

	"github.com/keywright/keywright/internal/kmsapi"
)

func TestOperations(t *testing.T) {
	if got := len(kmsapi.Operations); got != 54 {
		t.Errorf("%d operations, want 54", got)
	}
	for i, op := range kmsapi.Operations {
		if int(op.Index) != i {
			t.Errorf("%s has index %d, want %d", op.Name, op.Index, i)
		}
		if id, ok := kmsapi.OperationByName(op.Name); !ok || id != op.Index || id.String() != op.Name {
			t.Errorf("OperationByName(%q) = %d, %t", op.Name, id, ok)
		}
		if !slices.Contains(op.Errors, kmsapi.CodeKMSInternalException) {
			t.Errorf("%s has no KMSInternalException among its errors", op.Name)
		}
	}
	for _, name := range []string{"", "encrypt", "Encrypt ", "Zero", "Abc"} {
		if _, ok := kmsapi.OperationByName(name); ok {
			t.Errorf("OperationByName(%q) found something", name)
		}
	}
	if op := kmsapi.Operations[kmsapi.OpDecrypt]; op.Name != "Decrypt" || !op.ReadOnly {
		t.Errorf("Operations[OpDecrypt] = %+v", op)
	}
	if kmsapi.Operations[kmsapi.OpCreateKey].ReadOnly {
		t.Error("CreateKey is readOnly")
	}
}

func TestEmptyBodies(t *testing.T) {
	for _, tc := range []struct {
		r    interface{ AppendJSON([]byte) []byte }
		want string
	}{
		{&kmsapi.EnableKeyResponse{}, ""},
		{&kmsapi.ConnectCustomKeyStoreResponse{}, "{}"},
		{&kmsapi.ListKeysResponse{Keys: []kmsapi.KeyListEntry{}, Truncated: new(false)}, `{"Keys":[],"Truncated":false}`},
		// AWS writes the name of a grant that has none.
		{&kmsapi.GrantListEntry{GrantId: "g"}, `{"GrantId":"g","Name":""}`},
	} {
		if got := string(tc.r.AppendJSON(nil)); got != tc.want {
			t.Errorf("%T: %q, want %q", tc.r, got, tc.want)
		}
	}
}

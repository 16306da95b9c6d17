package awsapi_test

import (
	"testing"

	"github.com/keywright/keywright/internal/awsapi"
)

func TestError(t *testing.T) {
	for _, tc := range []struct {
		err        *awsapi.Error
		text, json string
		status     int
	}{
		{awsapi.Errorf("NotFoundException", "Key '%s' does not exist", "k"),
			"NotFoundException: Key 'k' does not exist", `{"__type":"NotFoundException","message":"Key 'k' does not exist"}`, 400},
		{awsapi.Errorf("InvalidCiphertextException", ""), "InvalidCiphertextException", `{"__type":"InvalidCiphertextException"}`, 400},
		{awsapi.Errorf("AlreadyExistsException", "say \"%s\"\n", "\u00e9\x01"),
			"AlreadyExistsException: say \"\u00e9\x01\"\n", `{"__type":"AlreadyExistsException","message":"say \"é\u0001\"\n"}`, 400},
		{awsapi.Errorf("KMSInternalException", ""), "KMSInternalException", `{"__type":"KMSInternalException"}`, 500},
		{awsapi.Errorf("KeyUnavailableException", ""), "KeyUnavailableException", `{"__type":"KeyUnavailableException"}`, 500},
		{awsapi.Errorf("DependencyTimeoutException", ""), "DependencyTimeoutException", `{"__type":"DependencyTimeoutException"}`, 500},
		{awsapi.Errorf(awsapi.CodeInternalFailure, ""), "InternalFailure", `{"__type":"InternalFailure"}`, 500},
		{awsapi.Errorf(awsapi.CodeServiceUnavailable, ""), "ServiceUnavailableException", `{"__type":"ServiceUnavailableException"}`, 503},
		{awsapi.Errorf(awsapi.CodeRequestEntityTooLarge, ""), "RequestEntityTooLarge", `{"__type":"RequestEntityTooLarge"}`, 413},
		{awsapi.Errorf(awsapi.CodeThrottling, ""), "ThrottlingException", `{"__type":"ThrottlingException"}`, 400},
	} {
		if got := tc.err.Error(); got != tc.text {
			t.Errorf("Error() = %q, want %q", got, tc.text)
		}
		if got := string(tc.err.AppendJSON(nil)); got != tc.json {
			t.Errorf("AppendJSON = %s, want %s", got, tc.json)
		}
		if got := tc.err.Status(); got != tc.status {
			t.Errorf("%s: status %d, want %d", tc.err.Code, got, tc.status)
		}
	}
}

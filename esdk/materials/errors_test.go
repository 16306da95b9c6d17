package materials_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/keywright/keywright/esdk/materials"
)

func TestUnwrapError(t *testing.T) {
	none := &materials.UnwrapError{}
	if got, want := none.Error(), "esdk: no encrypted data key of the message is for these keys"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	other := errors.New("the key is disabled")
	both := fmt.Errorf("reading: %w", &materials.UnwrapError{Attempts: []materials.Attempt{
		{ProviderID: "aws-kms", ProviderInfo: "arn:a", Err: errKeyring},
		{ProviderID: "raw", ProviderInfo: "n\n", Err: other},
	}})
	if got, want := both.Error(), `reading: esdk: no key could decrypt the data key; `+
		`aws-kms "arn:a": the key service is away; raw "n\n": the key is disabled`; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if !errors.Is(both, errKeyring) || !errors.Is(both, other) {
		t.Error("the causes cannot be found")
	}
}

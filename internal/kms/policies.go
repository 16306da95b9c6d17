package kms

import (
	"errors"

	"github.com/keywright/keywright/internal/arn"
	"github.com/keywright/keywright/internal/awsapi"
	"github.com/keywright/keywright/internal/call"
	"github.com/keywright/keywright/internal/kmsapi"
	"github.com/keywright/keywright/internal/policy"
)

// policyName is the name of the one policy a key has.
const policyName = "default"

func (s *Service) getKeyPolicy(c *call.Call, req *kmsapi.GetKeyPolicyRequest) (*kmsapi.GetKeyPolicyResponse, error) {
	t, err := s.changeable(c, req.KeyId, "kms:GetKeyPolicy", conditions{})
	if err != nil {
		return nil, err
	}
	if req.PolicyName != "" && req.PolicyName != policyName {
		return nil, awsapi.Errorf(kmsapi.CodeNotFoundException, "No such policy exists")
	}
	text := t.Policy
	if text == "" {
		text = policy.DefaultKeyPolicy(arn.Partition(t.Region), t.Account)
	}
	return &kmsapi.GetKeyPolicyResponse{Policy: text, PolicyName: policyName}, nil
}

func (s *Service) putKeyPolicy(c *call.Call, req *kmsapi.PutKeyPolicyRequest) (*kmsapi.PutKeyPolicyResponse, error) {
	cond := conditions{values: map[string]string{}}
	if b := req.BypassPolicyLockoutSafetyCheck; b != nil {
		cond.values["kms:bypasspolicylockoutsafetycheck"] = map[bool]string{true: "true", false: "false"}[*b]
	}
	return &kmsapi.PutKeyPolicyResponse{}, s.change(c, req.KeyId, "kms:PutKeyPolicy", cond, showKeyID, func(k *Key) error {
		if req.PolicyName != "" && req.PolicyName != policyName {
			return awsapi.Errorf(kmsapi.CodeUnsupportedOperationException, "Only default policy is supported")
		}
		doc, err := parsePolicy(req.Policy)
		if err != nil {
			return err
		}
		k.Policy = req.Policy
		return s.checkLockout(c, doc, k, req.BypassPolicyLockoutSafetyCheck)
	})
}

func (s *Service) listKeyPolicies(c *call.Call, req *kmsapi.ListKeyPoliciesRequest) (*kmsapi.ListKeyPoliciesResponse, error) {
	t, err := s.changeable(c, req.KeyId, "kms:ListKeyPolicies", conditions{})
	if err != nil {
		return nil, err
	}
	if _, err := s.page(c, keyPath(t.Account, t.Region, t.ID), req.Marker, req.Limit, 100); err != nil {
		return nil, err
	}
	return &kmsapi.ListKeyPoliciesResponse{PolicyNames: []string{policyName}, Truncated: new(false)}, nil
}

// parsePolicy parses a new key policy and turns what is wrong with it into the
// API's errors.
func parsePolicy(text string) (*policy.Document, error) {
	doc, err := policy.ParseKeyPolicy(text, nil)
	if errors.Is(err, policy.ErrTooLarge) {
		return nil, awsapi.Errorf(kmsapi.CodeLimitExceededException, "The key policy is %d bytes long. The limit is %d bytes.", len(text), policy.MaxKeyPolicyBytes)
	}
	if err != nil {
		return nil, malformed(err)
	}
	return doc, nil
}

func malformed(err error) error {
	return awsapi.Errorf(kmsapi.CodeMalformedPolicyDocumentException, "%s", err.Error())
}

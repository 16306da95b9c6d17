package kms

import (
	"fmt"

	"github.com/keywright/keywright/internal/arn"
	"github.com/keywright/keywright/internal/awsapi"
	"github.com/keywright/keywright/internal/call"
	"github.com/keywright/keywright/internal/kmsapi"
)

func (s *Service) generateDataKey(c *call.Call, req *kmsapi.GenerateDataKeyRequest) (*kmsapi.GenerateDataKeyResponse, error) {
	if req.Recipient != nil {
		return nil, recipientUnsupported()
	}
	t, size, err := s.authorizeDataKey(c, "GenerateDataKey", req.KeyId, req.KeySpec, req.NumberOfBytes, req.EncryptionContext, req.GrantTokens, req.DryRun)
	if err != nil {
		return nil, err
	}
	plaintext, blob, err := s.dataKey(c, t.Key, size, req.EncryptionContext)
	if err != nil {
		return nil, err
	}
	return &kmsapi.GenerateDataKeyResponse{CiphertextBlob: blob, Plaintext: plaintext, KeyId: t.arn, KeyMaterialId: showMaterial(c, t.Material)}, nil
}

func (s *Service) generateDataKeyWithoutPlaintext(c *call.Call, req *kmsapi.GenerateDataKeyWithoutPlaintextRequest) (*kmsapi.GenerateDataKeyWithoutPlaintextResponse, error) {
	t, size, err := s.authorizeDataKey(c, "GenerateDataKeyWithoutPlaintext", req.KeyId, req.KeySpec, req.NumberOfBytes, req.EncryptionContext, req.GrantTokens, req.DryRun)
	if err != nil {
		return nil, err
	}
	plaintext, blob, err := s.dataKey(c, t.Key, size, req.EncryptionContext)
	if err != nil {
		return nil, err
	}
	clear(plaintext)
	return &kmsapi.GenerateDataKeyWithoutPlaintextResponse{CiphertextBlob: blob, KeyId: t.arn, KeyMaterialId: showMaterial(c, t.Material)}, nil
}

// authorizeDataKey makes the checks that both operations share, and returns the
// key and the size of the data key.
func (s *Service) authorizeDataKey(c *call.Call, operation, keyID string, spec kmsapi.DataKeySpec, numberOfBytes *int32, context map[string]string, grantTokens []string, dry *bool) (target, int, error) {
	if (spec == "") == (numberOfBytes == nil) {
		return target{}, 0, awsapi.Errorf(awsapi.CodeValidation, "Please specify either number of bytes or key spec.")
	}
	size := 32
	switch {
	case numberOfBytes != nil:
		size = int(*numberOfBytes)
	case spec == kmsapi.DataKeySpecAes128:
		size = 16
	}
	if err := checkContext(context); err != nil {
		return target{}, 0, err
	}
	action := "kms:" + operation
	t, err := s.resolve(c, keyID, anyAlias, action)
	if err != nil {
		return target{}, 0, err
	}
	if err := s.use(c, t, action, operation, conditions{encryptionContext: context, algorithm: symmetric}, grantTokens); err != nil {
		return target{}, 0, err
	}
	return t, size, dryRun(dry)
}

// dataKey makes a random data key and encrypts it.
func (s *Service) dataKey(c *call.Call, k *Key, size int, context map[string]string) (plaintext, blob []byte, err error) {
	plaintext = c.Alloc(size)[:size]
	if err := s.module.Random(c.Context, plaintext); err != nil {
		return nil, nil, fmt.Errorf("making a data key: %w", err)
	}
	blob, err = s.seal(c, k, context, plaintext)
	if err != nil {
		clear(plaintext)
		return nil, nil, err
	}
	return plaintext, blob, nil
}

func (s *Service) generateRandom(c *call.Call, req *kmsapi.GenerateRandomRequest) (*kmsapi.GenerateRandomResponse, error) {
	switch {
	case req.Recipient != nil:
		return nil, recipientUnsupported()
	case req.NumberOfBytes == nil:
		return nil, awsapi.Errorf(awsapi.CodeValidation, "NumberOfBytes is required.")
	}
	if err := s.authorizeAccount(c, "kms:GenerateRandom", arn.ARN{}); err != nil {
		return nil, err
	}
	if req.CustomKeyStoreId != "" {
		return nil, awsapi.Errorf(kmsapi.CodeCustomKeyStoreNotFoundException, "The custom key store %s does not exist.", clip(req.CustomKeyStoreId))
	}
	random := c.Alloc(int(*req.NumberOfBytes))[:*req.NumberOfBytes]
	if err := s.module.Random(c.Context, random); err != nil {
		return nil, fmt.Errorf("making random bytes: %w", err)
	}
	return &kmsapi.GenerateRandomResponse{Plaintext: random}, nil
}

package kms

import (
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/keywright/keywright/internal/authz"
	"github.com/keywright/keywright/internal/awsapi"
	"github.com/keywright/keywright/internal/call"
	"github.com/keywright/keywright/internal/ciphertext"
	"github.com/keywright/keywright/internal/hsm"
	"github.com/keywright/keywright/internal/kmsapi"
	"github.com/keywright/keywright/internal/record"
	"github.com/keywright/keywright/internal/store"
)

const symmetric = kmsapi.EncryptionAlgorithmSpecSymmetricDefault

// bodyOverhead is how much longer than the plaintext a Module's body is at most:
// enough for the memory of a blob, and no more than a hint. aadOverhead
// is the same for additional data, with a short encryption context.
const (
	bodyOverhead = 128
	aadOverhead  = 32
)

func (s *Service) encrypt(c *call.Call, req *kmsapi.EncryptRequest) (*kmsapi.EncryptResponse, error) {
	if req.EncryptionAlgorithm == "" {
		req.EncryptionAlgorithm = symmetric
	}
	if err := checkContext(req.EncryptionContext); err != nil {
		return nil, err
	}
	t, err := s.resolve(c, req.KeyId, anyAlias, "kms:Encrypt")
	if err != nil {
		return nil, err
	}
	if err := s.use(c, t, "kms:Encrypt", "Encrypt", conditions{encryptionContext: req.EncryptionContext, algorithm: req.EncryptionAlgorithm}, req.GrantTokens); err != nil {
		return nil, err
	}
	if err := dryRun(req.DryRun); err != nil {
		return nil, err
	}
	blob, err := s.seal(c, t.Key, req.EncryptionContext, req.Plaintext)
	if err != nil {
		return nil, err
	}
	return &kmsapi.EncryptResponse{CiphertextBlob: blob, KeyId: t.arn, EncryptionAlgorithm: symmetric}, nil
}

func (s *Service) decrypt(c *call.Call, req *kmsapi.DecryptRequest) (*kmsapi.DecryptResponse, error) {
	if req.Recipient != nil {
		return nil, recipientUnsupported()
	}
	if req.EncryptionAlgorithm == "" {
		req.EncryptionAlgorithm = symmetric
	}
	src := source{
		blob: req.CiphertextBlob, context: req.EncryptionContext, keyID: req.KeyId, algorithm: req.EncryptionAlgorithm,
		action: "kms:Decrypt", operation: "Decrypt", grantTokens: req.GrantTokens,
		ignoreBlob: ignoresCiphertext(req.DryRunModifiers),
	}
	t, h, err := s.authorizeSource(c, &src, req.DryRun)
	if t.Key != nil {
		// CloudTrail shows the key's ARN, also where the request named no key.
		shown := *req
		shown.KeyId = t.arn
		c.Parameters = &shown
	}
	if err != nil {
		return nil, err
	}
	plaintext, err := s.open(c, t.Key, h, &src)
	if err != nil {
		return nil, err
	}
	if err := dryRun(req.DryRun); err != nil {
		clear(plaintext)
		return nil, err
	}
	return &kmsapi.DecryptResponse{
		KeyId: t.arn, Plaintext: plaintext, EncryptionAlgorithm: symmetric, KeyMaterialId: showMaterial(c, h.MaterialID[:]),
	}, nil
}

func (s *Service) reEncrypt(c *call.Call, req *kmsapi.ReEncryptRequest) (*kmsapi.ReEncryptResponse, error) {
	if req.SourceEncryptionAlgorithm == "" {
		req.SourceEncryptionAlgorithm = symmetric
	}
	if req.DestinationEncryptionAlgorithm == "" {
		req.DestinationEncryptionAlgorithm = symmetric
	}
	if err := checkContext(req.DestinationEncryptionContext); err != nil {
		return nil, err
	}
	src := source{
		blob: req.CiphertextBlob, context: req.SourceEncryptionContext, keyID: req.SourceKeyId, algorithm: req.SourceEncryptionAlgorithm,
		action: "kms:ReEncryptFrom", operation: "ReEncryptFrom", grantTokens: req.GrantTokens,
		ignoreBlob: ignoresCiphertext(req.DryRunModifiers), destination: req.DestinationKeyId,
	}
	from, h, err := s.authorizeSource(c, &src, req.DryRun)
	if err != nil && !isCode(err, kmsapi.CodeDryRunOperationException) {
		return nil, err
	}
	to, toErr := s.resolve(c, req.DestinationKeyId, anyAlias, "kms:ReEncryptTo")
	if toErr != nil {
		return nil, toErr
	}
	cond := conditions{
		encryptionContext: req.DestinationEncryptionContext, algorithm: req.DestinationEncryptionAlgorithm,
		values: sameKey(from, to),
	}
	if err := s.use(c, to, "kms:ReEncryptTo", "ReEncryptTo", cond, req.GrantTokens); err != nil {
		return nil, err
	}
	if err != nil { // a dry run that ignores the ciphertext ends here
		return nil, err
	}
	plaintext, err := s.open(c, from.Key, h, &src)
	if err != nil {
		return nil, err
	}
	defer clear(plaintext)
	if err := dryRun(req.DryRun); err != nil {
		return nil, err
	}
	blob, err := s.seal(c, to.Key, req.DestinationEncryptionContext, plaintext)
	if err != nil {
		return nil, err
	}
	return &kmsapi.ReEncryptResponse{
		CiphertextBlob:                 blob,
		SourceKeyId:                    from.arn,
		KeyId:                          to.arn,
		SourceEncryptionAlgorithm:      symmetric,
		DestinationEncryptionAlgorithm: symmetric,
		SourceKeyMaterialId:            hex.EncodeToString(h.MaterialID[:]),
		DestinationKeyMaterialId:       hex.EncodeToString(to.Material),
	}, nil
}

// use authorizes a cryptographic use of a key and checks that the key can be
// used so: usage and algorithm first, then state.
func (s *Service) use(c *call.Call, t target, action, operation string, cond conditions, grantTokens []string) error {
	if err := s.authorize(c, t, action, cond); err != nil {
		return err
	}
	if err := checkGrantTokens(grantTokens); err != nil {
		return err
	}
	if err := checkUsage(t.Key, operation, cond.algorithm); err != nil {
		return err
	}
	return checkEnabled(t.Key)
}

// source is the side of Decrypt or ReEncrypt that is decrypted.
type source struct {
	blob        []byte
	context     map[string]string
	keyID       string // as the request names it, "" where it does not
	algorithm   kmsapi.EncryptionAlgorithmSpec
	action      string
	operation   string
	grantTokens []string
	ignoreBlob  bool   // DryRunModifiers: decide on authorization alone
	destination string // ReEncrypt's other key, as the request names it

	aad  []byte
	body []byte
}

// authorizeSource finds the key of a ciphertext, checks that it is the one the
// request names, and that the caller may use it. It returns the key even where
// it may not be used, for the audit record, unless the caller may not know that
// it exists.
func (s *Service) authorizeSource(c *call.Call, src *source, dry *bool) (target, ciphertext.Header, error) {
	var t target
	var h ciphertext.Header
	if src.ignoreBlob && (dry == nil || !*dry) {
		return t, h, awsapi.Errorf(awsapi.CodeValidation, "DryRunModifiers can be used only with DryRun.")
	}
	if src.ignoreBlob && src.keyID == "" {
		return t, h, awsapi.Errorf(awsapi.CodeValidation, "A key ID is required when the ciphertext is ignored.")
	}
	if !src.ignoreBlob && src.blob == nil {
		return t, h, awsapi.Errorf(awsapi.CodeValidation, "1 validation error detected: Value null at 'ciphertextBlob' failed to satisfy constraint: Member must not be null")
	}
	err := checkContext(src.context)
	if err != nil {
		return t, h, err
	}
	h, raw, body, parseErr := ciphertext.Parse(src.blob)
	if src.keyID != "" {
		t, err = s.resolve(c, src.keyID, anyAlias, src.action)
	} else if parseErr != nil {
		return t, h, invalidCiphertext()
	} else {
		t, err = s.loadOfCiphertext(c, h, src.action)
	}
	if err != nil {
		return t, h, err
	}
	cond := conditions{encryptionContext: src.context, algorithm: src.algorithm}
	if src.destination != "" {
		if to, err := s.resolve(c, src.destination, anyAlias, "kms:ReEncryptTo"); err == nil {
			cond.values = sameKey(t, to)
		}
	}
	if err := s.authorize(c, t, src.action, cond); err != nil {
		switch {
		case t.Account == c.Caller.Account:
			return t, h, err
		case src.keyID == "" && isCode(err, awsapi.CodeAccessDenied):
			err = authz.HiddenCiphertext(c.Caller.Principal, src.action) // as for one that does not exist
		}
		return target{}, h, err
	}
	if err := checkGrantTokens(src.grantTokens); err != nil {
		return t, h, err
	}
	if !src.ignoreBlob && parseErr == nil && (h.Account != t.Account || h.KeyID != t.ID || h.Region != "" && h.Region != t.Region) {
		return t, h, awsapi.Errorf(kmsapi.CodeIncorrectKeyException, "The key ID in the request does not identify a CMK that can perform this operation.")
	}
	if err := checkUsage(t.Key, src.operation, src.algorithm); err != nil {
		return t, h, err
	}
	if err := checkEnabled(t.Key); err != nil {
		return t, h, err
	}
	if src.ignoreBlob {
		return t, h, dryRun(dry)
	}
	if parseErr != nil {
		return t, h, invalidCiphertext()
	}
	src.body = body
	src.aad, err = ciphertext.AAD(c.Alloc(len(raw)+aadOverhead), raw, src.context)
	if err != nil {
		return t, h, contextError(err)
	}
	return t, h, nil
}

// loadOfCiphertext reads the key that a ciphertext names. A key that is missing,
// or in another Region, is not told from one that is forbidden.
func (s *Service) loadOfCiphertext(c *call.Call, h ciphertext.Header, action string) (target, error) {
	if h.Region != "" && h.Region != c.Region {
		s.log.Info("a ciphertext of another Region was to be decrypted", "asked_region", c.Region, "found_region", h.Region, "account", h.Account, "request_id", c.RequestID)
		return target{}, authz.HiddenCiphertext(c.Caller.Principal, action)
	}
	path := keyPath(h.Account, c.Region, h.KeyID)
	k, err := record.Get[Key](c.View, path)
	if errors.Is(err, store.ErrNotFound) {
		return target{}, authz.HiddenCiphertext(c.Caller.Principal, action)
	}
	if err != nil {
		return target{}, err
	}
	return target{Key: k.Value, path: path, revision: k.Revision}, nil
}

// seal encrypts under the key's current material.
func (s *Service) seal(c *call.Call, k *Key, context map[string]string, plaintext []byte) ([]byte, error) {
	m, err := record.Get[Material](c.View, k.current)
	if err != nil {
		return nil, fmt.Errorf("reading the material of %s: %w", k.arn, err)
	}
	h := ciphertext.Header{Suite: ciphertext.SuiteSoftware, Account: k.Account, Region: k.Region, KeyID: k.ID, MaterialID: [32]byte(k.Material)}
	blob, err := h.Append(c.Alloc(ciphertext.MaxHeaderSize + bodyOverhead + len(plaintext)))
	if err != nil {
		return nil, fmt.Errorf("writing a ciphertext header for %s: %w", k.arn, err)
	}
	aad, err := ciphertext.AAD(c.Alloc(len(blob)+aadOverhead), blob, context)
	if err != nil {
		return nil, contextError(err)
	}
	return s.module.Encrypt(c.Context, blob, m.Value.Token, aad, plaintext)
}

// open decrypts a ciphertext whose key was authorized.
func (s *Service) open(c *call.Call, k *Key, h ciphertext.Header, src *source) ([]byte, error) {
	m, err := record.Get[Material](c.View, materialPath(k.Account, k.ID, h.MaterialID[:]))
	if errors.Is(err, store.ErrNotFound) {
		s.refused(c, k, "no such key material")
		return nil, invalidCiphertext()
	}
	if err != nil {
		return nil, fmt.Errorf("reading the material of %s: %w", k.arn, err)
	}
	plaintext, err := s.module.Decrypt(c.Context, c.Alloc(len(src.body)), m.Value.Token, src.aad, src.body)
	if errors.Is(err, hsm.ErrInvalidCiphertext) {
		s.refused(c, k, "authentication failed: the ciphertext or its encryption context was changed")
		return nil, invalidCiphertext()
	}
	return plaintext, err
}

// refused tells the operator why a ciphertext did not open. The caller is told
// the same in every case.
func (s *Service) refused(c *call.Call, k *Key, reason string) {
	s.log.Info("a ciphertext was refused", "reason", reason, "key", k.arn, "operation", c.Operation, "request_id", c.RequestID)
}

func invalidCiphertext() error {
	return awsapi.Errorf(kmsapi.CodeInvalidCiphertextException, "")
}

// checkContext refuses an encryption context that is too large, before policies
// are asked about each of its pairs.
func checkContext(context map[string]string) error {
	size := 0
	for k, v := range context {
		if size += 8 + len(k) + len(v); size > ciphertext.MaxContextSize {
			return contextError(ciphertext.ErrContextTooLarge)
		}
	}
	return nil
}

func contextError(err error) error {
	return awsapi.Errorf(awsapi.CodeValidation, "EncryptionContext is not valid: %s", err.Error())
}

func recipientUnsupported() error {
	return awsapi.Errorf(kmsapi.CodeUnsupportedOperationException, "Recipient is not supported by this version of keywright.")
}

func ignoresCiphertext(modifiers []kmsapi.DryRunModifierType) bool {
	return len(modifiers) > 0 // IGNORE_CIPHERTEXT is the only one there is
}

func isCode(err error, code string) bool {
	e, ok := errors.AsType[*awsapi.Error](err)
	return ok && e.Code == code
}

func sameKey(a, b target) map[string]string {
	same := a.Account == b.Account && a.ID == b.ID
	return map[string]string{"kms:reencryptonsamekey": map[bool]string{true: "true", false: "false"}[same]}
}

// showMaterial puts the id of the key material into the audit record and
// returns it.
func showMaterial(c *call.Call, id []byte) string {
	text := hex.EncodeToString(id)
	c.Additional = []byte(`{"keyMaterialId":"` + text + `"}`)
	return text
}

package kms

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"

	"github.com/keywright/keywright/internal/arn"
	"github.com/keywright/keywright/internal/awsapi"
	"github.com/keywright/keywright/internal/call"
	"github.com/keywright/keywright/internal/hsm"
	"github.com/keywright/keywright/internal/kmsapi"
	"github.com/keywright/keywright/internal/record"
)

func (s *Service) createKey(c *call.Call, req *kmsapi.CreateKeyRequest) (*kmsapi.CreateKeyResponse, error) {
	id, err := newKeyID()
	if err != nil {
		return nil, err
	}
	return s.createKeyWith(c, req, id, s.generate)
}

// A materialMaker makes the first material of a key.
type materialMaker func(context.Context, hsm.Attributes) (hsm.Material, error)

func (s *Service) generate(ctx context.Context, attrs hsm.Attributes) (hsm.Material, error) {
	return s.module.Generate(ctx, attrs, nil)
}

func (s *Service) createKeyWith(c *call.Call, req *kmsapi.CreateKeyRequest, id string, makeMaterial materialMaker) (*kmsapi.CreateKeyResponse, error) {
	spec, usage, origin, err := keyKind(req)
	if err != nil {
		return nil, err
	}
	tags, err := newTags(req.Tags)
	if err != nil {
		return nil, err
	}
	// CloudTrail shows the defaults too.
	shown := *req
	shown.KeySpec, shown.KeyUsage, shown.Origin = spec, usage, origin
	shown.CustomerMasterKeySpec = kmsapi.CustomerMasterKeySpec(spec)
	shown.Description = orDefault(req.Description, "")
	shown.MultiRegion = orDefault(req.MultiRegion, false)
	shown.BypassPolicyLockoutSafetyCheck = orDefault(req.BypassPolicyLockoutSafetyCheck, false)
	c.Parameters = &shown
	if err := s.authorizeAccount(c, "kms:CreateKey", arn.ARN{}); err != nil {
		return nil, err
	}
	k := &Key{
		Version: keyVersion,
		Account: c.Caller.Account,
		Region:  c.Region,
		ID:      id,
		Created: millis(c.Now()),
		Spec:    spec,
		Usage:   usage,
		Origin:  origin,
		Tags:    tags,

		Description: *shown.Description,
	}
	return s.addKey(c, k, req.Policy, req.BypassPolicyLockoutSafetyCheck, makeMaterial)
}

// orDefault returns p, or where it is nil a pointer to def.
func orDefault[T any](p *T, def T) *T {
	if p == nil {
		return &def
	}
	return p
}

// addKey makes the material of a new key and stores both.
func (s *Service) addKey(c *call.Call, k *Key, policyText string, bypassLockout *bool, makeMaterial materialMaker) (_ *kmsapi.CreateKeyResponse, err error) {
	if policyText != "" {
		doc, err := parsePolicy(policyText)
		if err != nil {
			return nil, err
		}
		if err := s.checkLockout(c, doc, k, bypassLockout); err != nil {
			return nil, err
		}
		k.Policy = policyText
	}
	material, err := makeMaterial(c.Context, attributes(k))
	if err != nil {
		return nil, fmt.Errorf("making key material: %w", err)
	}
	k.Material = material.ID[:]
	if err := k.Prepare(); err != nil {
		return nil, err
	}
	c.Touch(k.arn, k.Account)

	done, err := s.keyCount.create(c.Context, k.Account, k.Region, s.keyLimit)
	if err != nil {
		return nil, err
	}
	defer func() { done(err) }()
	tx := c.Tx()
	record.Put(tx, keyPath(k.Account, k.Region, k.ID), 0, k)
	record.Put(tx, materialPath(k.Account, k.ID, k.Material), 0, &Material{Version: materialVersion, Token: material.Token, Created: k.Created})
	resp := &kmsapi.CreateKeyResponse{KeyMetadata: metadata(k)}
	if err := c.Commit(tx, resp); err != nil {
		return nil, err
	}
	return resp, nil
}

// keyKind checks what kind of key is asked for.
func keyKind(req *kmsapi.CreateKeyRequest) (kmsapi.KeySpec, kmsapi.KeyUsageType, kmsapi.OriginType, error) {
	fail := func(format string, args ...any) (kmsapi.KeySpec, kmsapi.KeyUsageType, kmsapi.OriginType, error) {
		return "", "", "", awsapi.Errorf(awsapi.CodeValidation, format, args...)
	}
	unsupported := func(what string) (kmsapi.KeySpec, kmsapi.KeyUsageType, kmsapi.OriginType, error) {
		return "", "", "", awsapi.Errorf(kmsapi.CodeUnsupportedOperationException, "%s is not supported by this version of keywright.", what)
	}
	spec, usage, origin := req.KeySpec, req.KeyUsage, req.Origin
	if old := kmsapi.KeySpec(req.CustomerMasterKeySpec); old != "" {
		if spec != "" && spec != old {
			return fail("You cannot specify KeySpec and CustomerMasterKeySpec in the same request.")
		}
		spec = old
	}
	if spec == "" {
		spec = kmsapi.KeySpecSymmetricDefault
	}
	if usage == "" {
		if spec != kmsapi.KeySpecSymmetricDefault {
			return fail("You must specify a KeyUsage value for all KMS keys except for symmetric encryption keys.")
		}
		usage = kmsapi.KeyUsageTypeEncryptDecrypt
	}
	if !usageFits(spec, usage) {
		return fail("KeyUsage %s is not compatible with KeySpec %s", usage, spec)
	}
	if origin == "" {
		origin = kmsapi.OriginTypeAwsKms
	}
	switch {
	case spec != kmsapi.KeySpecSymmetricDefault:
		return unsupported("KeySpec " + string(spec))
	case origin != kmsapi.OriginTypeAwsKms:
		return unsupported("Origin " + string(origin))
	case req.MultiRegion != nil && *req.MultiRegion:
		return unsupported("MultiRegion")
	case req.CustomKeyStoreId != "" || req.XksKeyId != "":
		return unsupported("A custom key store")
	}
	return spec, usage, origin, nil
}

// usageFits is the table of usages a spec allows.
func usageFits(spec kmsapi.KeySpec, usage kmsapi.KeyUsageType) bool {
	const (
		encrypt = kmsapi.KeyUsageTypeEncryptDecrypt
		sign    = kmsapi.KeyUsageTypeSignVerify
		mac     = kmsapi.KeyUsageTypeGenerateVerifyMac
		agree   = kmsapi.KeyUsageTypeKeyAgreement
	)
	switch spec {
	case kmsapi.KeySpecSymmetricDefault:
		return usage == encrypt
	case kmsapi.KeySpecHmac224, kmsapi.KeySpecHmac256, kmsapi.KeySpecHmac384, kmsapi.KeySpecHmac512:
		return usage == mac
	case kmsapi.KeySpecRsa2048, kmsapi.KeySpecRsa3072, kmsapi.KeySpecRsa4096:
		return usage == encrypt || usage == sign
	case kmsapi.KeySpecEccNistP256, kmsapi.KeySpecEccNistP384, kmsapi.KeySpecEccNistP521:
		return usage == sign || usage == agree
	case kmsapi.KeySpecSm2:
		return usage == encrypt || usage == sign || usage == agree
	default: // secp256k1, Ed25519, ML-DSA
		return usage == sign
	}
}

// attributes are what a key's material is bound to.
func attributes(k *Key) hsm.Attributes {
	return hsm.Attributes{
		Account: k.Account,
		KeyID:   k.ID,
		Spec:    hsm.Spec(k.Spec),
		Usage:   hsm.Usage(k.Usage),
		Origin:  hsm.Origin(k.Origin),
	}
}

// newKeyID makes a random (version 4) UUID.
func newKeyID() (string, error) {
	var b [16]byte
	if _, err := rand.Read(b[:]); err != nil {
		return "", err
	}
	b[6] = b[6]&0x0f | 0x40
	b[8] = b[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:]), nil
}

// metadata is a key as the API shows it.
func metadata(k *Key) *kmsapi.KeyMetadata {
	m := &kmsapi.KeyMetadata{
		AWSAccountId:          k.Account,
		KeyId:                 k.ID,
		Arn:                   k.arn,
		CreationDate:          new(fromMillis(k.Created)),
		Enabled:               new(k.state() == kmsapi.KeyStateEnabled),
		Description:           new(k.Description),
		KeyUsage:              k.Usage,
		KeyState:              k.state(),
		Origin:                k.Origin,
		KeyManager:            kmsapi.KeyManagerTypeCustomer,
		CustomerMasterKeySpec: kmsapi.CustomerMasterKeySpec(k.Spec),
		KeySpec:               k.Spec,
		EncryptionAlgorithms:  []kmsapi.EncryptionAlgorithmSpec{kmsapi.EncryptionAlgorithmSpecSymmetricDefault},
		MultiRegion:           new(false),
		CurrentKeyMaterialId:  hex.EncodeToString(k.Material),
	}
	if k.Deletion != 0 {
		m.DeletionDate = new(fromMillis(k.Deletion))
	}
	return m
}

func (s *Service) describeKey(c *call.Call, req *kmsapi.DescribeKeyRequest) (*kmsapi.DescribeKeyResponse, error) {
	t, err := s.resolve(c, req.KeyId, anyAlias, "kms:DescribeKey")
	if err != nil {
		return nil, err
	}
	if err := s.authorize(c, t, "kms:DescribeKey", conditions{}); err != nil {
		return nil, err
	}
	if err := checkGrantTokens(req.GrantTokens); err != nil {
		return nil, err
	}
	return &kmsapi.DescribeKeyResponse{KeyMetadata: metadata(t.Key)}, nil
}

func (s *Service) listKeys(c *call.Call, req *kmsapi.ListKeysRequest) (*kmsapi.ListKeysResponse, error) {
	if err := s.authorizeAccount(c, "kms:ListKeys", arn.ARN{}); err != nil {
		return nil, err
	}
	prefix := keyPrefix(c.Caller.Account, c.Region)
	p, err := s.page(c, prefix, req.Marker, req.Limit, 100)
	if err != nil {
		return nil, err
	}
	resp := &kmsapi.ListKeysResponse{Keys: []kmsapi.KeyListEntry{}}
	partition := arn.Partition(c.Region)
	for path, err := range c.View.Paths(p.from, p.to) {
		if err != nil {
			return nil, err
		}
		if len(resp.Keys) == p.limit {
			resp.NextMarker = p.next(path)
			break
		}
		id := string(path[len(prefix):])
		resp.Keys = append(resp.Keys, kmsapi.KeyListEntry{KeyId: id, KeyArn: arn.KeyString(partition, c.Region, c.Caller.Account, id)})
	}
	resp.Truncated = new(resp.NextMarker != "")
	return resp, nil
}

// change runs an operation that rewrites one key of the caller's own account:
// resolve, authorize, let edit change a copy, store it.
func (s *Service) change(c *call.Call, keyID, action string, cond conditions, response func(*Key) call.AuditAppender, edit func(*Key) error) error {
	t, err := s.changeable(c, keyID, action, cond)
	if err != nil {
		return err
	}
	k := *t.Key
	if err := edit(&k); err != nil {
		return err
	}
	tx := c.Tx()
	record.Put(tx, t.path, t.revision, &k)
	var elements call.AuditAppender
	if response != nil {
		elements = response(&k)
	}
	return c.Commit(tx, elements)
}

// changeable resolves and authorizes a key of the caller's own account.
func (s *Service) changeable(c *call.Call, keyID, action string, cond conditions) (target, error) {
	t, err := s.resolve(c, keyID, idOrARN, action)
	if err != nil {
		return t, err
	}
	if err := own(c, t, action); err != nil {
		return t, err
	}
	return t, s.authorize(c, t, action, cond)
}

func showKeyID(k *Key) call.AuditAppender { return keyIDElement(k.arn) }

func (s *Service) updateKeyDescription(c *call.Call, req *kmsapi.UpdateKeyDescriptionRequest) (*kmsapi.UpdateKeyDescriptionResponse, error) {
	return &kmsapi.UpdateKeyDescriptionResponse{}, s.change(c, req.KeyId, "kms:UpdateKeyDescription", conditions{}, showKeyID, func(k *Key) error {
		k.Description = req.Description
		return checkNotPending(k)
	})
}

func (s *Service) enableKey(c *call.Call, req *kmsapi.EnableKeyRequest) (*kmsapi.EnableKeyResponse, error) {
	return &kmsapi.EnableKeyResponse{}, s.change(c, req.KeyId, "kms:EnableKey", conditions{}, showKeyID, func(k *Key) error {
		k.Disabled = false
		return checkNotPending(k)
	})
}

func (s *Service) disableKey(c *call.Call, req *kmsapi.DisableKeyRequest) (*kmsapi.DisableKeyResponse, error) {
	return &kmsapi.DisableKeyResponse{}, s.change(c, req.KeyId, "kms:DisableKey", conditions{}, showKeyID, func(k *Key) error {
		k.Disabled = true
		return checkNotPending(k)
	})
}

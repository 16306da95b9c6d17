package kms

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"

	"github.com/keywright/keywright/internal/arn"
	"github.com/keywright/keywright/internal/awsapi"
	"github.com/keywright/keywright/internal/call"
	"github.com/keywright/keywright/internal/hsm"
	"github.com/keywright/keywright/internal/kmsapi"
	"github.com/keywright/keywright/internal/record"
	"github.com/keywright/keywright/internal/store"
)

// Seed is a key as an operator wants to find it. What is nil or empty is left as
// it is, and nothing is ever taken away.
type Seed struct {
	Account, Region string
	ID              string // a UUID in lower case
	Description     *string
	Enabled         *bool
	Tags            map[string]string
	Policy          string   // the document's text
	Aliases         []string // with "alias/"
	// Material makes the key's material, always the same; nil leaves that to the
	// module. It is for development servers.
	Material func(context.Context, hsm.Attributes) (hsm.Material, error)
}

var keyUUID = regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)

// Check looks for what can be known to be wrong before anything is written: what
// the API would refuse in the requests that make such a key.
func (d *Seed) Check() error {
	if !keyUUID.MatchString(d.ID) {
		return fmt.Errorf("the id %q is not a UUID in lower case, as 1234abcd-12ab-34cd-56ef-1234567890ab is", clip(d.ID))
	}
	req, err := kmsapi.DecodeCreateKeyRequest(d.createRequest().AppendJSON(nil))
	if err != nil {
		return err
	}
	if _, err := newTags(req.Tags); err != nil {
		return err
	}
	if d.Policy != "" {
		if _, err := parsePolicy(d.Policy); err != nil {
			return err
		}
	}
	for _, name := range d.Aliases {
		body := (&kmsapi.CreateAliasRequest{AliasName: name, TargetKeyId: d.ID}).AppendJSON(nil)
		if _, err := kmsapi.DecodeCreateAliasRequest(body); err != nil {
			return err
		}
		if err := checkNewAliasName(name); err != nil {
			return err
		}
	}
	return nil
}

func (d *Seed) createRequest() *kmsapi.CreateKeyRequest {
	req := &kmsapi.CreateKeyRequest{Policy: d.Policy, Tags: d.tags()}
	if d.Description != nil {
		req.Description = d.Description
	}
	return req
}

// tags returns the tags in order of their keys.
func (d *Seed) tags() []kmsapi.Tag {
	var tags []kmsapi.Tag
	for _, key := range slices.Sorted(maps.Keys(d.Tags)) {
		tags = append(tags, kmsapi.Tag{TagKey: key, TagValue: d.Tags[key]})
	}
	return tags
}

// Apply creates the key, or changes it where it is not as the Seed says, by the
// API's own operations, each with its record in the audit log. It returns what
// it did, in words; nothing where all was so already. An error leaves what was
// done before it.
func (s *Service) Apply(ctx context.Context, d *Seed) (done []string, err error) {
	for _, step := range []func(context.Context, *Seed) (string, error){
		s.seedKey, s.seedDescription, s.seedPolicy, s.seedTags,
	} {
		did, err := step(ctx, d)
		if did != "" {
			done = append(done, did)
		}
		if err != nil {
			return done, err
		}
	}
	for _, name := range d.Aliases {
		did, err := s.seedAlias(ctx, d, name)
		if did != "" {
			done = append(done, did)
		}
		if err != nil {
			return done, err
		}
	}
	// Last, so that a key is not used before it is whole.
	did, err := s.seedEnabled(ctx, d)
	if did != "" {
		done = append(done, did)
	}
	return done, err
}

// seedRecord is the record of a change that Keywright makes by itself in the
// seed's account.
func (s *Service) seedRecord(d *Seed, operation string) *call.Record {
	rec := s.internalEvent(operation, d.Region)
	rec.Caller = call.Root(arn.Partition(d.Region), d.Account, "")
	rec.Caller.Type = call.TypeInternal
	return rec
}

// seedCall carries out one operation of the API for a seed, and returns did where
// it succeeds.
func (s *Service) seedCall(ctx context.Context, d *Seed, did string, op kmsapi.OpID, req response) (string, error) {
	if _, err := s.Call(ctx, s.seedRecord(d, kmsapi.Operations[op].Name), op, req.AppendJSON(nil), nil); err != nil {
		return "", err
	}
	return did, nil
}

// errSeedDeleted refuses to make a key again under an id whose ciphertexts
// another key made.
var errSeedDeleted = errors.New("the key was deleted, and its material may still be kept: give the new key another id")

// errSeedMaterial refuses a key that exists with other material: what it
// encrypted would not open any more.
var errSeedMaterial = errors.New("the key exists with other material: give the new key another id")

func (s *Service) seedKey(ctx context.Context, d *Seed) (string, error) {
	k, err := s.seeded(ctx, d)
	if err == nil {
		return "", s.checkSeeded(ctx, d, k)
	}
	if !errors.Is(err, store.ErrNotFound) {
		return "", err
	}
	create := handle(kmsapi.DecodeCreateKeyRequest, func(s *Service, c *call.Call, req *kmsapi.CreateKeyRequest) (*kmsapi.CreateKeyResponse, error) {
		if gone, err := c.View.Has(tombstonePath(d.Account, d.Region, d.ID)); err != nil {
			return nil, err
		} else if gone {
			return nil, awsapi.Errorf(kmsapi.CodeKMSInvalidStateException, "%s", errSeedDeleted)
		}
		makeMaterial := s.generate
		if d.Material != nil {
			makeMaterial = d.Material
		}
		return s.createKeyWith(c, req, d.ID, makeMaterial)
	})
	if _, err := create(s, ctx, s.seedRecord(d, "CreateKey"), d.createRequest().AppendJSON(nil), nil); err != nil {
		return "", err
	}
	return "created", nil
}

// checkSeeded tells whether a key that exists can be the seed's.
func (s *Service) checkSeeded(ctx context.Context, d *Seed, k *Key) error {
	if d.Material != nil {
		m, err := d.Material(ctx, attributes(k))
		if err != nil {
			return err
		}
		if !bytes.Equal(m.ID[:], k.Material) {
			return errSeedMaterial
		}
	}
	return checkNotPending(k)
}

// seeded reads the seed's key as it is.
func (s *Service) seeded(ctx context.Context, d *Seed) (*Key, error) {
	v, err := s.path.DB.View(ctx)
	if err != nil {
		return nil, err
	}
	defer v.Close()
	k, err := record.Get[Key](v, keyPath(d.Account, d.Region, d.ID))
	return k.Value, err
}

func (s *Service) seedDescription(ctx context.Context, d *Seed) (string, error) {
	k, err := s.seeded(ctx, d)
	if err != nil || d.Description == nil || k.Description == *d.Description {
		return "", err
	}
	return s.seedCall(ctx, d, "description updated", kmsapi.OpUpdateKeyDescription, &kmsapi.UpdateKeyDescriptionRequest{KeyId: d.ID, Description: *d.Description})
}

func (s *Service) seedPolicy(ctx context.Context, d *Seed) (string, error) {
	k, err := s.seeded(ctx, d)
	if err != nil || d.Policy == "" || k.Policy == d.Policy {
		return "", err
	}
	return s.seedCall(ctx, d, "policy updated", kmsapi.OpPutKeyPolicy, &kmsapi.PutKeyPolicyRequest{KeyId: d.ID, Policy: d.Policy})
}

func (s *Service) seedTags(ctx context.Context, d *Seed) (string, error) {
	k, err := s.seeded(ctx, d)
	if err != nil {
		return "", err
	}
	missing := slices.DeleteFunc(d.tags(), func(t kmsapi.Tag) bool { return slices.Contains(k.Tags, Tag{t.TagKey, t.TagValue}) })
	if len(missing) == 0 {
		return "", nil
	}
	return s.seedCall(ctx, d, "tags updated", kmsapi.OpTagResource, &kmsapi.TagResourceRequest{KeyId: d.ID, Tags: missing})
}

func (s *Service) seedAlias(ctx context.Context, d *Seed, name string) (string, error) {
	v, err := s.path.DB.View(ctx)
	if err != nil {
		return "", err
	}
	defer v.Close()
	a, err := record.Get[Alias](v, s.aliasPath(d.Account, d.Region, name))
	switch {
	case errors.Is(err, store.ErrNotFound):
		return s.seedCall(ctx, d, name+" created", kmsapi.OpCreateAlias, &kmsapi.CreateAliasRequest{AliasName: name, TargetKeyId: d.ID})
	case err != nil || a.Value.KeyID == d.ID:
		return "", err
	}
	return s.seedCall(ctx, d, name+" updated", kmsapi.OpUpdateAlias, &kmsapi.UpdateAliasRequest{AliasName: name, TargetKeyId: d.ID})
}

func (s *Service) seedEnabled(ctx context.Context, d *Seed) (string, error) {
	k, err := s.seeded(ctx, d)
	if err != nil || d.Enabled == nil || *d.Enabled != k.Disabled {
		return "", err
	}
	if *d.Enabled {
		return s.seedCall(ctx, d, "enabled", kmsapi.OpEnableKey, &kmsapi.EnableKeyRequest{KeyId: d.ID})
	}
	return s.seedCall(ctx, d, "disabled", kmsapi.OpDisableKey, &kmsapi.DisableKeyRequest{KeyId: d.ID})
}

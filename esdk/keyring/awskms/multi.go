package awskms

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kms"

	"github.com/keywright/keywright/esdk/keyring"
	"github.com/keywright/keywright/esdk/materials"
)

// ClientSupplier makes the client for a Region. It may refuse a Region with an
// error. The constructors here call it once for each Region, and keep the
// clients. Where several of them share a supplier, it may be called concurrently.
type ClientSupplier func(ctx context.Context, region string) (Client, error)

// RegionalClients returns a supplier of clients that differ from cfg only in
// their Region. An endpoint in cfg or set by the options serves all Regions, as
// one Keywright does.
func RegionalClients(cfg aws.Config, options ...func(*kms.Options)) ClientSupplier {
	return func(_ context.Context, region string) (Client, error) {
		// A copy of the options, since suppliers may be called concurrently.
		return kms.NewFromConfig(cfg, append(slices.Clone(options), func(o *kms.Options) { o.Region = region })...), nil
	}
}

// MultiConfig configures the keyring of several keys. The keys are given by
// their ARNs, from which their Regions are known; ARNs of aliases encrypt, and
// do not decrypt.
type MultiConfig struct {
	// Clients makes the clients. Required.
	Clients ClientSupplier
	// Generator makes the data keys. Without it the keyring encrypts only as part
	// of another one, which makes them.
	Generator string
	// KeyIDs are the keys that wrap each data key too. Any one of all keys then
	// decrypts; to encrypt, all are needed.
	KeyIDs []string
	// GrantTokens go with every request, 10 at most.
	GrantTokens []string
}

// NewMulti returns the keyring of several keys, which may be of different
// Regions: each message is encrypted under all, and any one of them decrypts it.
// It needs a generator or at least one other key. For keys that need clients of
// different credentials, as those of two accounts may, put keyrings that New
// makes together with keyring.NewMulti.
//
// Source: the specification, "AWS KMS Multi Keyrings", strict.
func NewMulti(ctx context.Context, cfg MultiConfig) (*keyring.Multi, error) {
	return newMulti(ctx, cfg, New)
}

// NewMRKMulti is NewMulti with keyrings of NewMRK, so that for a message of a
// multi-Region key the configured replica decrypts. No two keys may be replicas
// of one: which to ask would be a guess.
//
// Source: the specification, "AWS KMS MRK Multi Keyrings", strict.
func NewMRKMulti(ctx context.Context, cfg MultiConfig) (*keyring.Multi, error) {
	arns, err := cfg.parse()
	if err != nil {
		return nil, err
	}
	if err := checkUniqueMRKs(arns); err != nil {
		return nil, err
	}
	return newMulti(ctx, cfg, NewMRK)
}

// parse returns the ARNs of all keys, the generator's first.
func (cfg MultiConfig) parse() ([]arn, error) {
	ids := cfg.KeyIDs
	if cfg.Generator != "" {
		ids = append([]string{cfg.Generator}, ids...)
	}
	if len(ids) == 0 {
		return nil, errors.New("esdk: the configuration names no keys")
	}
	arns := make([]arn, len(ids))
	for i, id := range ids {
		var err error
		if err = checkIdentifier(id); err != nil {
			return nil, err
		}
		if arns[i], err = parseARN(id); err != nil {
			return nil, fmt.Errorf("esdk: %q is %w, from which its Region would be known", id, err)
		}
	}
	return arns, nil
}

func newMulti(ctx context.Context, cfg MultiConfig, newKeyring func(Config) (materials.Keyring, error)) (*keyring.Multi, error) {
	arns, err := cfg.parse()
	if err != nil {
		return nil, err
	}
	clients := make(map[string]Client)
	keyrings := make([]materials.Keyring, len(arns))
	for i, a := range arns {
		if clients[a.region] == nil {
			if clients[a.region], err = cfg.Clients.client(ctx, a.region); err != nil {
				return nil, err
			}
		}
		keyrings[i], err = newKeyring(Config{Client: clients[a.region], KeyID: a.String(), GrantTokens: cfg.GrantTokens})
		if err != nil {
			return nil, err
		}
	}
	if cfg.Generator == "" {
		return keyring.NewMulti(nil, keyrings...)
	}
	return keyring.NewMulti(keyrings[0], keyrings[1:]...)
}

// client calls the supplier, and turns everything that is no client into an
// error.
func (s ClientSupplier) client(ctx context.Context, region string) (Client, error) {
	if s == nil {
		return nil, errors.New("esdk: the configuration has no client supplier: RegionalClients makes one")
	}
	client, err := s(ctx, region)
	if err == nil && client == nil {
		err = errors.New("the supplier returned none")
	}
	if err != nil {
		return nil, fmt.Errorf("esdk: making a client for Region %s: %w", region, err)
	}
	return client, nil
}

// MultiDiscoveryConfig configures a keyring that decrypts in several Regions.
type MultiDiscoveryConfig struct {
	// Clients makes the clients. Required.
	Clients ClientSupplier
	// Regions are asked in this order. Required.
	Regions []string
	// Filter says whose keys may be used; nil allows all. Set it: see
	// DiscoveryConfig.Filter.
	Filter *Filter
	// GrantTokens go with every request, 10 at most.
	GrantTokens []string
}

// NewMultiDiscovery returns a keyring that decrypts as NewDiscovery does, with
// one client for each Region. Each asks for all encrypted data keys of a message,
// whatever their Regions, until one decrypts. It cannot encrypt.
//
// Source: the specification, "AWS KMS Multi Keyrings", discovery.
func NewMultiDiscovery(ctx context.Context, cfg MultiDiscoveryConfig) (*keyring.Multi, error) {
	return newMultiDiscovery(ctx, cfg, func(_ string, cfg DiscoveryConfig) (materials.Keyring, error) {
		return NewDiscovery(cfg)
	})
}

// NewMRKMultiDiscovery returns a keyring that decrypts as NewMRKDiscovery does in
// each of the Regions: a Region is asked only for its own keys, and for its
// replicas of multi-Region keys. It cannot encrypt.
//
// Source: the specification, "AWS KMS MRK Multi Keyrings", discovery.
func NewMRKMultiDiscovery(ctx context.Context, cfg MultiDiscoveryConfig) (*keyring.Multi, error) {
	return newMultiDiscovery(ctx, cfg, NewMRKDiscovery)
}

func newMultiDiscovery(ctx context.Context, cfg MultiDiscoveryConfig, newKeyring func(string, DiscoveryConfig) (materials.Keyring, error)) (*keyring.Multi, error) {
	if len(cfg.Regions) == 0 {
		return nil, errors.New("esdk: the configuration names no Regions")
	}
	var keyrings []materials.Keyring
	for i, region := range cfg.Regions {
		if region == "" {
			return nil, errors.New("esdk: a Region of the configuration is empty")
		}
		if slices.Contains(cfg.Regions[:i], region) {
			return nil, fmt.Errorf("esdk: the configuration names Region %s twice", region)
		}
		client, err := cfg.Clients.client(ctx, region)
		if err != nil {
			return nil, err
		}
		k, err := newKeyring(region, DiscoveryConfig{Client: client, Filter: cfg.Filter, GrantTokens: cfg.GrantTokens})
		if err != nil {
			return nil, err
		}
		keyrings = append(keyrings, k)
	}
	return keyring.NewMulti(nil, keyrings...)
}

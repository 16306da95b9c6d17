package awskms

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kms"

	"github.com/keywright/keywright/esdk/keyring"
	"github.com/keywright/keywright/esdk/materials"
)

// Filter says whose keys a discovery keyring may use. Both fields are required.
type Filter struct {
	Partition string   // "aws", "aws-cn", "aws-us-gov", ...
	Accounts  []string // ids of 12 digits, one or more
}

func (f *Filter) check() error {
	if f == nil {
		return nil
	}
	if f.Partition == "" || strings.Contains(f.Partition, ":") {
		return fmt.Errorf("esdk: the discovery filter's partition is %q, use one such as aws", f.Partition)
	}
	if len(f.Accounts) == 0 {
		return errors.New("esdk: the discovery filter has no accounts, and would let no key be used")
	}
	for _, a := range f.Accounts {
		if len(a) != 12 || strings.Trim(a, "0123456789") != "" {
			return fmt.Errorf("esdk: account %q of the discovery filter is not 12 digits", a)
		}
	}
	return nil
}

// clone makes what the caller does to the filter later without effect.
func (f *Filter) clone() *Filter {
	if f == nil {
		return nil
	}
	return &Filter{f.Partition, slices.Clone(f.Accounts)}
}

func (f *Filter) allows(a arn) bool {
	return f == nil || a.partition == f.Partition && slices.Contains(f.Accounts, a.account)
}

// DiscoveryConfig configures a keyring that decrypts with the keys that messages
// name.
type DiscoveryConfig struct {
	// Client is the client whose credentials decide which keys can be used.
	// Required.
	Client Decrypter
	// Filter says whose keys may be used; nil allows all. Set it: without it,
	// who writes a message also chooses the key, of any account that lets
	// Client's credentials use one.
	Filter *Filter
	// GrantTokens go with every request, 10 at most.
	GrantTokens []string
}

type discovery struct {
	client      Decrypter
	filter      *Filter
	grantTokens []string
	region      string // of an MRK discovery keyring; else empty
}

// NewDiscovery returns a keyring that decrypts with whatever key a message names,
// if the filter allows it. It cannot encrypt: see keyring.ErrDecryptOnly. The service is asked for each
// encrypted data key in turn until one decrypts, also for those of Regions that
// are not Client's: see NewMRKDiscovery and NewMultiDiscovery.
//
// Source: the specification, "AWS KMS Discovery Keyring".
func NewDiscovery(cfg DiscoveryConfig) (materials.Keyring, error) { return newDiscovery("", cfg) }

// NewMRKDiscovery is NewDiscovery for one Region, which is that of cfg.Client. It
// decrypts with the keys of that Region, and what multi-Region keys of other
// Regions encrypted, with their replicas in that Region.
//
// Source: the specification, "AWS KMS MRK Discovery Keyring".
func NewMRKDiscovery(region string, cfg DiscoveryConfig) (materials.Keyring, error) {
	if region == "" || strings.Contains(region, ":") {
		return nil, fmt.Errorf("esdk: %q is no Region", region)
	}
	if c, ok := cfg.Client.(interface{ Options() kms.Options }); ok {
		if have := c.Options().Region; have != region {
			return nil, fmt.Errorf("esdk: the client is for Region %q, the keyring for %q", have, region)
		}
	}
	return newDiscovery(region, cfg)
}

func newDiscovery(region string, cfg DiscoveryConfig) (materials.Keyring, error) {
	if cfg.Client == nil {
		return nil, errNoClient
	}
	if err := cfg.Filter.check(); err != nil {
		return nil, err
	}
	tokens, err := cloneGrantTokens(cfg.GrantTokens)
	if err != nil {
		return nil, err
	}
	return &discovery{cfg.Client, cfg.Filter.clone(), tokens, region}, nil
}

func (k *discovery) OnEncrypt(context.Context, *materials.EncryptionMaterials) error {
	return fmt.Errorf("esdk: encrypting with a discovery keyring (use New, with a key): %w", keyring.ErrDecryptOnly)
}

func (k *discovery) OnDecrypt(ctx context.Context, m *materials.DecryptionMaterials, keys []materials.EncryptedDataKey) error {
	return unwrap(ctx, m, keys, func(edk materials.EncryptedDataKey) (opener, error) {
		if edk.ProviderID != providerID {
			return nil, nil
		}
		key, err := parseKeyARN(string(edk.ProviderInfo))
		switch {
		case err != nil:
			return nil, errProviderInfo
		case !k.filter.allows(key):
			return nil, errors.New("the discovery filter does not allow its partition and account")
		case k.region != "" && key.multiRegion():
			key.region = k.region
		case k.region != "" && key.region != k.region:
			return nil, fmt.Errorf("it is no key of Region %s, and no multi-Region key", k.region)
		}
		return func(ctx context.Context) ([]byte, error) {
			return decrypt(ctx, k.client, &kms.DecryptInput{
				KeyId:             aws.String(key.String()),
				CiphertextBlob:    edk.Ciphertext,
				EncryptionContext: m.EncryptionContext,
				GrantTokens:       k.grantTokens,
			})
		}, nil
	})
}

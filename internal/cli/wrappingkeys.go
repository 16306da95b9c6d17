package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/kms"

	"github.com/keywright/keywright/esdk/keyring"
	"github.com/keywright/keywright/esdk/keyring/awskms"
	"github.com/keywright/keywright/esdk/materials"
)

// serviceFlags say where the key management service is.
type serviceFlags struct {
	EndpointURL string `name:"endpoint-url" help:"URL of the key management service. Default AWS_ENDPOINT_URL, or what the profile says." placeholder:"URL"`
	Profile     string `help:"Profile of the AWS configuration." placeholder:"NAME"`
	Region      string `help:"Region of keys that are not named by an ARN." placeholder:"REGION"`
}

// wrapFlags name the keys of a message.
type wrapFlags struct {
	WrappingKeys []string `short:"w" sep:"none" help:"Keys of the service: key=ID,... with region=, profile=, grant-token=; to decrypt also discovery=true with discovery-account=, discovery-partition=. Key pairs have provider=aws-kms-rsa with padding=, or provider=aws-kms-ecdh with peer=FILE, and public-key=FILE. Repeatable." placeholder:"NAME=VALUE,..."`
	AESKey       []string `name:"aes-key" sep:"none" help:"File of a raw AES key of 16, 24 or 32 bytes, and what messages call it. Repeatable." placeholder:"FILE,namespace=NS,name=NAME"`
	serviceFlags
	prefix string // of the flags' names, for errors
}

// The providers of --wrapping-keys, called what messages call them.
const (
	providerKMS  = "aws-kms"
	providerRSA  = "aws-kms-rsa"
	providerECDH = "aws-kms-ecdh"
)

// maxGrantTokens is how many the service takes in a request.
const maxGrantTokens = 10

// keyGroup is one --wrapping-keys.
type keyGroup struct {
	provider        string
	keys            []string
	grantTokens     []string
	region, profile string
	discovery       bool
	filter          *awskms.Filter
	publicKey, peer string // files
	padding         string
	encrypt         bool // what it is for
}

func parseKeyGroup(text string) (*keyGroup, error) {
	g := new(keyGroup)
	var accounts []string
	single := map[string]string{}
	for param := range strings.FieldsFuncSeq(text, func(r rune) bool { return r == ',' || r == ' ' }) {
		name, value, ok := strings.Cut(param, "=")
		if !ok || value == "" {
			return nil, fmt.Errorf("%q is not NAME=VALUE", param)
		}
		switch name {
		case "key":
			g.keys = append(g.keys, value)
		case "discovery-account":
			accounts = append(accounts, value)
		case "grant-token":
			g.grantTokens = append(g.grantTokens, value)
		case "provider", "region", "profile", "discovery", "discovery-partition", "public-key", "peer", "padding":
			if _, twice := single[name]; twice {
				return nil, fmt.Errorf("%s is there twice", name)
			}
			single[name] = value
		default:
			return nil, fmt.Errorf("unknown parameter %q", name)
		}
	}
	switch g.provider = single["provider"]; g.provider {
	case providerKMS, providerRSA, providerECDH:
	case "", "aws-encryption-sdk-cli::aws-kms":
		g.provider = providerKMS
	default:
		return nil, fmt.Errorf("unknown provider %q: there are aws-kms, aws-kms-rsa and aws-kms-ecdh; raw keys have flags of their own", single["provider"])
	}
	if len(g.grantTokens) > maxGrantTokens {
		return nil, fmt.Errorf("there are %d grant tokens, and the service takes %d", len(g.grantTokens), maxGrantTokens)
	}
	g.region, g.profile = single["region"], single["profile"]
	g.publicKey, g.peer, g.padding = single["public-key"], single["peer"], single["padding"]
	if v, ok := single["discovery"]; ok {
		switch strings.ToLower(v) {
		case "true", "t", "1", "yes", "y":
			g.discovery = true
		case "false", "f", "0", "no", "n":
		default:
			return nil, fmt.Errorf("discovery is true or false, not %q", v)
		}
	}
	partition := single["discovery-partition"]
	if len(accounts) > 0 || partition != "" {
		if !g.discovery {
			return nil, errors.New("discovery-account and discovery-partition need discovery=true")
		}
		if len(accounts) == 0 || partition == "" {
			return nil, errors.New("discovery-account and discovery-partition need each other")
		}
		g.filter = &awskms.Filter{Partition: partition, Accounts: accounts}
	}
	switch {
	case g.discovery && len(g.keys) > 0:
		return nil, errors.New("with discovery=true no key is named")
	case !g.discovery && len(g.keys) == 0:
		return nil, errors.New("key=ID is missing")
	}
	return g, g.checkPair()
}

// keyrings returns a keyring for each key, in the order of the flags.
func (f *wrapFlags) keyrings(ctx context.Context, encrypt bool) ([]materials.Keyring, error) {
	var rings []materials.Keyring
	for _, text := range f.WrappingKeys {
		g, err := parseKeyGroup(text)
		if err == nil {
			err = g.checkUse(encrypt)
		}
		if err != nil {
			return nil, &usageError{fmt.Errorf("--%swrapping-keys: %w", f.prefix, err), "for example: key=arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"}
		}
		g.encrypt = encrypt
		made, err := f.serviceKeyrings(ctx, g)
		if err != nil {
			return nil, &keyError{f.prefix + "wrapping-keys", err}
		}
		rings = append(rings, made...)
	}
	for _, text := range f.AESKey {
		ring, err := rawAES(text)
		if err != nil {
			return nil, &keyError{f.prefix + "aes-key", err}
		}
		rings = append(rings, ring)
	}
	return rings, nil
}

func (g *keyGroup) checkUse(encrypt bool) error {
	if encrypt {
		if g.discovery {
			return errors.New("discovery is for decrypting: name the keys with key=ID")
		}
		if g.provider == providerECDH && g.peer == "" {
			return errors.New("to encrypt with aws-kms-ecdh, peer=FILE is needed: the public key of who is to read")
		}
		return nil
	}
	for _, key := range g.keys {
		if !keyARN.MatchString(key) {
			return fmt.Errorf("%q is not the ARN of a key: messages name their keys by ARN", key)
		}
	}
	return nil
}

var keyARN = regexp.MustCompile(`^arn:[^:]+:kms:[^:]+:[^:]+:key/.`)

func (f *wrapFlags) serviceKeyrings(ctx context.Context, g *keyGroup) ([]materials.Keyring, error) {
	clients, err := f.clients(ctx, g)
	if err != nil {
		return nil, err
	}
	if g.discovery {
		if g.region != "" {
			client, err := clients.in(g.region)
			if err != nil {
				return nil, err
			}
			ring, err := awskms.NewMRKDiscovery(g.region, awskms.DiscoveryConfig{Client: client, Filter: g.filter, GrantTokens: g.grantTokens})
			return []materials.Keyring{ring}, err
		}
		return []materials.Keyring{&regionalDiscovery{clients, g.filter, g.grantTokens}}, nil
	}
	var rings []materials.Keyring
	for _, key := range g.keys {
		client, err := clients.in(regionOf(key))
		if err != nil {
			return nil, err
		}
		ring, err := g.keyring(ctx, client, key)
		if err != nil {
			return nil, err
		}
		rings = append(rings, ring)
	}
	return rings, nil
}

// keyring returns that of one key.
func (g *keyGroup) keyring(ctx context.Context, client *kms.Client, key string) (materials.Keyring, error) {
	switch g.provider {
	case providerRSA:
		return g.rsaKeyring(ctx, client, key)
	case providerECDH:
		return g.ecdhKeyring(ctx, client, key)
	}
	ring, err := awskms.NewMRK(awskms.Config{Client: client, KeyID: key, GrantTokens: g.grantTokens})
	if err != nil || !keyARN.MatchString(key) {
		return ring, err
	}
	return &namedKeyring{Keyring: ring, provider: providerKMS, info: []byte(key)}, nil
}

// regionOf returns the Region in an ARN, or "".
func regionOf(key string) string {
	if parts := strings.SplitN(key, ":", 6); len(parts) == 6 && parts[0] == "arn" {
		return parts[3]
	}
	return ""
}

// clients makes clients that differ in their Region.
type clients struct {
	config   aws.Config
	endpoint string
}

func (f *wrapFlags) clients(ctx context.Context, g *keyGroup) (*clients, error) {
	var options []func(*config.LoadOptions) error
	if profile := cmp.Or(g.profile, f.Profile); profile != "" {
		options = append(options, config.WithSharedConfigProfile(profile))
	}
	if region := cmp.Or(g.region, f.Region); region != "" {
		options = append(options, config.WithRegion(region))
	}
	cfg, err := config.LoadDefaultConfig(ctx, options...)
	if err != nil {
		return nil, fmt.Errorf("reading the AWS configuration: %w", err)
	}
	return &clients{cfg, f.EndpointURL}, nil
}

// in returns the client for a Region, or for the configured one if it is "".
func (c *clients) in(region string) (*kms.Client, error) {
	cfg := c.config
	if region != "" {
		cfg.Region = region
	}
	if cfg.Region == "" {
		return nil, &usageError{errors.New("no Region is configured"), "give --region, or name the key by its ARN"}
	}
	return kms.NewFromConfig(cfg, func(o *kms.Options) {
		if c.endpoint != "" {
			o.BaseEndpoint = &c.endpoint
		}
	}), nil
}

// regionalDiscovery decrypts with whatever key a message names, in that key's
// own Region.
type regionalDiscovery struct {
	clients     *clients
	filter      *awskms.Filter
	grantTokens []string
}

// OnEncrypt returns keyring.ErrDecryptOnly.
func (d *regionalDiscovery) OnEncrypt(context.Context, *materials.EncryptionMaterials) error {
	return keyring.ErrDecryptOnly
}

var (
	regionName  = regexp.MustCompile(`^[a-z]{2,}(-[a-z0-9]+)+$`)
	errNoRegion = errors.New("it does not name a Region")
)

// OnDecrypt tries the keys in order.
func (d *regionalDiscovery) OnDecrypt(ctx context.Context, m *materials.DecryptionMaterials, keys []materials.EncryptedDataKey) error {
	failed := new(materials.UnwrapError)
	for _, key := range keys {
		if key.ProviderID != providerKMS {
			continue
		}
		// The Region becomes part of a host's name, and whoever wrote the message
		// chose it.
		region := regionOf(string(key.ProviderInfo))
		if !regionName.MatchString(region) {
			failed.Attempts = append(failed.Attempts, materials.Attempt{ProviderID: key.ProviderID, ProviderInfo: string(key.ProviderInfo), Err: errNoRegion})
			continue
		}
		client, err := d.clients.in(region)
		if err != nil {
			return err
		}
		ring, err := awskms.NewDiscovery(awskms.DiscoveryConfig{Client: client, Filter: d.filter, GrantTokens: d.grantTokens})
		if err != nil {
			return err
		}
		err = ring.OnDecrypt(ctx, m, []materials.EncryptedDataKey{key})
		e, ok := errors.AsType[*materials.UnwrapError](err)
		if !ok {
			return err // nil, or what no other key will do better
		}
		failed.Attempts = append(failed.Attempts, e.Attempts...)
	}
	return failed
}

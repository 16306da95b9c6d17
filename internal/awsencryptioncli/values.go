package awsencryptioncli

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// options makes sense of what stands on the command line.
func (r *raw) options() (*Options, error) {
	if r.misspelt != "" {
		return nil, &UsageError{fmt.Sprintf("Found invalid argument %q. Did you mean %q?", r.misspelt, "-"+r.misspelt)}
	}
	if r.requiredKeys != nil {
		return nil, &UsageError{"--required-encryption-context-keys cannot be manually provided"}
	}
	o := &Options{
		Action: r.action, Input: *r.input, Output: *r.output,
		SuppressMetadata: r.suppress, OverwriteMetadata: r.overwrite,
		CommitmentPolicy: r.commitmentPolicy,
		FrameLength:      r.frameLength, MaxLength: r.maxLength, MaxEncryptedDataKeys: r.maxKeys,
		Suffix: r.suffix, Buffer: r.buffer, Encode: r.encode, Decode: r.decode,
		Interactive: r.interactive, NoOverwrite: r.noOverwrite,
		Recursive: r.recursive, Quiet: r.quiet, Verbosity: r.verbosity,
	}
	if r.metadata != nil {
		o.Metadata = *r.metadata
	}
	if r.algorithm != nil {
		o.Algorithm = *r.algorithm
	}
	if o.CommitmentPolicy == "" {
		o.CommitmentPolicy = CommitmentPolicies[len(CommitmentPolicies)-1]
	}
	for _, params := range r.wrappingKeys {
		g, err := keyGroup(params, r.action)
		if err != nil {
			return nil, err
		}
		o.WrappingKeys = append(o.WrappingKeys, *g)
	}
	var err error
	if o.EncryptionContext, o.RequiredKeys, err = encryptionContext(r.context, r.action); err != nil {
		return nil, err
	}
	if r.caching != nil {
		if o.Caching, err = caching(r.caching); err != nil {
			return nil, err
		}
	}
	return o, nil
}

// params are values of the form key=value, in the order of their keys' first
// appearance.
type params struct {
	keys   []string
	values map[string][]string
}

func parseParams(texts []string) (*params, error) {
	p := &params{values: map[string][]string{}}
	for _, text := range texts {
		key, value, _ := strings.Cut(text, "=")
		if key == "" || value == "" {
			return nil, &UsageError{`Argument parameter must follow the format "key=value"`}
		}
		if !p.has(key) {
			p.keys = append(p.keys, key)
		}
		p.values[key] = append(p.values[key], value)
	}
	return p, nil
}

func (p *params) has(keys ...string) bool {
	return slices.ContainsFunc(keys, func(key string) bool { _, ok := p.values[key]; return ok })
}

// first returns the first value of a key, or "".
func (p *params) first(key string) string {
	if values := p.values[key]; len(values) > 0 {
		return values[0]
	}
	return ""
}

// The parameters of a key group that say which keys discovery may use.
const (
	discovery = "discovery"
	account   = "discovery-account"
	partition = "discovery-partition"
)

func keyGroup(texts []string, action Action) (*KeyGroup, error) {
	p, err := parseParams(texts)
	if err != nil {
		return nil, err
	}
	g := &KeyGroup{Provider: fullKMSProvider, Keys: p.values["key"], Regions: p.values["region"], Profiles: p.values["profile"]}
	if p.has("provider") {
		if n := len(p.values["provider"]); n != 1 {
			return nil, &UsageError{fmt.Sprintf(`You must provide exactly one "provider" for each wrapping key provider configuration. %d provided`, n)}
		}
		g.Provider = p.first("provider")
	}
	for _, key := range p.keys {
		switch key {
		case "provider", "key", "region", "profile", discovery, account, partition:
		default:
			g.Unknown = append(g.Unknown, key)
		}
	}
	switch {
	case !g.IsKMS() && p.has(discovery, account, partition):
		return nil, &UsageError{"Discovery attributes are supported only for AWS KMS wrapping keys"}
	case action == Encrypt && p.has(discovery, account, partition):
		return nil, &UsageError{"Discovery attributes are supported only on decryption for AWS KMS keys"}
	case len(g.Keys) == 0 && (action == Encrypt || !g.IsKMS()):
		return nil, &UsageError{`At least one "key" must be provided for each wrapping key provider configuration`}
	case !g.IsKMS():
		return g, nil
	}
	return g, g.discover(p)
}

// discover checks and fills in what the parameters say of discovery.
func (g *KeyGroup) discover(p *params) error {
	if p.has(discovery) {
		switch value := p.first(discovery); strings.ToLower(value) {
		case "true", "t", "1", "yes", "y":
			g.Discovery = true
		case "false", "f", "0", "no", "n":
		default:
			return &UsageError{"Value " + value + " could not be parsed as true or false"}
		}
	}
	switch {
	case !g.Discovery && p.has(account, partition):
		return &UsageError{"Discovery-account and discovery-partition are valid only when the discovery attribute is set to true"}
	case p.has(account) && !p.has(partition):
		return &UsageError{"When specifying discovery-account, you must also specify discovery-partition"}
	case p.has(partition) && !p.has(account):
		return &UsageError{"When specifying discovery-partition, you must also specify discovery-account"}
	case len(p.values[partition]) > 1:
		return &UsageError{"You can only specify discovery-partition once"}
	case g.Discovery && len(g.Keys) > 0:
		return &UsageError{"If discovery is true (enabled), you cannot specify wrapping keys"}
	case !g.Discovery && len(g.Keys) == 0:
		return &UsageError{"When discovery is false (disabled), you must specify at least one wrapping key"}
	}
	g.Accounts, g.Partition = p.values[account], p.first(partition)
	return nil
}

// encryptionContext returns the pairs and, to decrypt, the keys without values.
// Of a key that is there twice the first value counts.
func encryptionContext(texts []string, action Action) (pairs map[string]string, keys []string, err error) {
	if action != Encrypt {
		texts = slices.DeleteFunc(slices.Clone(texts), func(text string) bool {
			if strings.Contains(text, "=") {
				return false
			}
			keys = append(keys, text)
			return true
		})
	}
	p, err := parseParams(texts)
	if err != nil {
		return nil, nil, err
	}
	pairs = map[string]string{}
	for _, key := range p.keys {
		pairs[key] = p.first(key)
	}
	return pairs, keys, nil
}

func caching(texts []string) (*Caching, error) {
	p, err := parseParams(texts)
	if err != nil {
		return nil, err
	}
	if !p.has("capacity") || !p.has("max_age") {
		return nil, &UsageError{`If enabling caching, both "capacity" and "max_age" are required`}
	}
	c := new(Caching)
	for _, key := range p.keys {
		value := p.first(key)
		switch key {
		case "max_age":
			age, ok := parseFloat(value)
			if !ok || !(age > 0) {
				return nil, fmt.Errorf("--caching: max_age is a number of seconds above 0, not %s", quote(value))
			}
			c.MaxAge = age
			continue
		case "capacity", "max_messages_encrypted", "max_bytes_encrypted":
		default:
			return nil, &UsageError{fmt.Sprintf(`Invalid caching configuration key: "%s"`, key)}
		}
		n, ok := parseInt(value)
		if !ok {
			return nil, fmt.Errorf("--caching: %s is a whole number, not %s", key, quote(value))
		}
		switch key {
		case "capacity":
			c.Capacity = n
		case "max_messages_encrypted":
			c.MaxMessages = &n
		case "max_bytes_encrypted":
			c.MaxBytes = &n
		}
	}
	return c, c.check()
}

func (c *Caching) check() error {
	switch {
	case c.Capacity < 1:
		return errors.New("--caching: capacity is 1 or more")
	case c.MaxMessages != nil && *c.MaxMessages < 1:
		return errors.New("--caching: max_messages_encrypted is 1 or more")
	case c.MaxBytes != nil && *c.MaxBytes < 0:
		return errors.New("--caching: max_bytes_encrypted is 0 or more")
	}
	return nil
}

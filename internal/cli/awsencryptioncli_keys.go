package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/keywright/keywright/esdk/keyring/awskms"
	"github.com/keywright/keywright/esdk/materials"
	"github.com/keywright/keywright/internal/awsencryptioncli"
)

// keyrings returns a keyring for each key, in the order of the command line. To
// decrypt, keys that are not named by their ARN are passed over: no message has
// them.
func (r *oldRun) keyrings(ctx context.Context) (rings []materials.Keyring, err error) {
	encrypt := r.o.Action == awsencryptioncli.Encrypt
	for _, group := range r.o.WrappingKeys {
		g, err := oldKeyGroup(&group)
		if err != nil {
			return nil, err
		}
		g.encrypt = encrypt
		if !encrypt && !g.discovery {
			g.keys = slices.DeleteFunc(g.keys, func(key string) bool {
				named := keyARN.MatchString(key)
				if !named {
					r.log.warning("Passing over %s, which is not the ARN of a key: messages name their keys by ARN", key)
				}
				return !named
			})
		}
		made, err := new(wrapFlags).serviceKeyrings(ctx, g)
		if err != nil {
			return nil, fmt.Errorf("--wrapping-keys: %w", err)
		}
		rings = append(rings, made...)
	}
	if len(rings) == 0 {
		return nil, errors.New("--wrapping-keys: no key is named by its ARN")
	}
	return rings, nil
}

func oldKeyGroup(group *awsencryptioncli.KeyGroup) (*keyGroup, error) {
	if !group.IsKMS() {
		name := group.Provider
		if _, entry, ok := strings.Cut(name, "::"); ok {
			name = entry
		}
		return nil, hinted{oldError(fmt.Sprintf("Requested master key provider not found: %q", name)),
			"there are no providers of Python packages: for raw keys, keywright encrypt and decrypt have --aes-key, --rsa-public-key and --rsa-private-key"}
	}
	if len(group.Unknown) > 0 {
		return nil, fmt.Errorf("--wrapping-keys: AWS KMS has no parameter %q", group.Unknown[0])
	}
	g := &keyGroup{provider: providerKMS, keys: group.Keys, discovery: group.Discovery}
	for _, single := range []struct {
		name   string
		values []string
		target *string
	}{{"profile", group.Profiles, &g.profile}, {"region", group.Regions, &g.region}} {
		if n := len(single.values); n > 1 {
			return nil, oldError(fmt.Sprintf("Only one %s may be specified per master key provider configuration. %d provided.", single.name, n))
		} else if n == 1 {
			*single.target = single.values[0]
		}
	}
	if group.Discovery {
		g.region = "" // each key is asked for in its own
		if group.Partition != "" {
			g.filter = &awskms.Filter{Partition: group.Partition, Accounts: group.Accounts}
		}
	}
	return g, nil
}

// The most that --caching takes; a cache that may hold more, or for longer, is
// as good as these.
const (
	maxCapacity = 1 << 20
	maxCacheAge = 1e9 // seconds
)

// oldCaching returns what --caching of keywright would be given.
func oldCaching(c *awsencryptioncli.Caching) string {
	if c == nil || c.MaxBytes != nil && *c.MaxBytes == 0 {
		return "" // a data key that may encrypt no byte is never used again
	}
	text := "capacity=" + strconv.FormatInt(min(c.Capacity, maxCapacity), 10) +
		",max_age=" + strconv.FormatFloat(min(c.MaxAge, maxCacheAge), 'f', -1, 64)
	if c.MaxMessages != nil {
		text += ",max_messages_encrypted=" + strconv.FormatInt(*c.MaxMessages, 10)
	}
	if c.MaxBytes != nil {
		text += ",max_bytes_encrypted=" + strconv.FormatInt(*c.MaxBytes, 10)
	}
	return text
}

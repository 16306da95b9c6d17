package kms

import (
	"errors"
	"iter"

	"github.com/keywright/keywright/internal/arn"
	"github.com/keywright/keywright/internal/authz"
	"github.com/keywright/keywright/internal/awsapi"
	"github.com/keywright/keywright/internal/call"
	"github.com/keywright/keywright/internal/kmsapi"
	"github.com/keywright/keywright/internal/record"
	"github.com/keywright/keywright/internal/store"
)

// forms says which ways to name a key an operation takes.
type forms int

const (
	idOrARN  forms = iota // a key id or a key ARN
	anyAlias              // these, or an alias name or alias ARN
)

// target is the key a request is about, with how the request named it.
type target struct {
	*Key
	path     []byte
	revision store.Revision
	alias    string // alias name used in the request; "" for an id or ARN
}

// resolve finds the key that keyID names. Where it lies in another account and
// does not exist, the error is that of a forbidden key.
func (s *Service) resolve(c *call.Call, keyID string, accept forms, action string) (target, error) {
	ref := arn.ParseKeyRef(keyID)
	account, region := c.Caller.Account, c.Region
	alias := ref.Kind == arn.AliasName || ref.Kind == arn.AliasARN
	switch {
	case ref.Kind == arn.MalformedARN:
		return target{}, awsapi.Errorf(kmsapi.CodeInvalidArnException, "Invalid ARN: %s", clip(keyID))
	case ref.Kind == arn.Malformed, alias && accept != anyAlias:
		return target{}, awsapi.Errorf(kmsapi.CodeNotFoundException, "Invalid keyId '%s'", clip(keyID))
	case ref.Kind == arn.KeyARN || ref.Kind == arn.AliasARN:
		if ref.Region != c.Region || ref.Partition != arn.Partition(c.Region) {
			return target{}, awsapi.Errorf(kmsapi.CodeNotFoundException, "Invalid arn %s", ref.Region)
		}
		account = ref.Account
	}
	if !alias {
		return s.load(c, account, region, ref.ID, "", action)
	}
	a, err := record.Get[Alias](c.View, s.aliasPath(account, region, ref.ID))
	if errors.Is(err, store.ErrNotFound) {
		if account != c.Caller.Account {
			return target{}, authz.Hidden(c.Caller.Principal, action)
		}
		s.hintAliasElsewhere(c, account, ref.ID)
		return target{}, awsapi.Errorf(kmsapi.CodeNotFoundException, "Alias %s is not found.", aliasARN(region, account, ref.ID))
	}
	if err != nil {
		return target{}, err
	}
	return s.load(c, account, region, a.Value.KeyID, a.Value.Name, action)
}

// load reads the key record.
func (s *Service) load(c *call.Call, account, region, id, alias, action string) (target, error) {
	path := keyPath(account, region, id)
	k, err := record.Get[Key](c.View, path)
	if errors.Is(err, store.ErrNotFound) {
		if account != c.Caller.Account {
			return target{}, authz.Hidden(c.Caller.Principal, action)
		}
		s.hintKeyElsewhere(c, account, id)
		return target{}, awsapi.Errorf(kmsapi.CodeNotFoundException, "Key '%s' does not exist", arn.KeyString(arn.Partition(region), region, account, id))
	}
	if err != nil {
		return target{}, err
	}
	return target{Key: k.Value, path: path, revision: k.Revision, alias: alias}, nil
}

// own refuses a key of another account to an operation that AWS does not offer
// across accounts.
func own(c *call.Call, t target, action string) error {
	if t.Account != c.Caller.Account {
		return authz.Hidden(c.Caller.Principal, action)
	}
	return nil
}

func (s *Service) aliasPath(account, region, name string) []byte {
	mac := s.names.Name("alias", account+"/"+region, name)
	return appendHex(aliasPrefix(account, region), mac[:])
}

func (s *Service) keyAliasPath(account, region, keyID, name string) []byte {
	mac := s.names.Name("alias", account+"/"+region, name)
	return appendHex(keyAliasPrefix(account, region, keyID), mac[:])
}

func aliasARN(region, account, name string) arn.ARN {
	return arn.Alias(arn.Partition(region), region, account, name)
}

// hintKeyElsewhere tells the operator, not the caller, that the key which was
// not found stands in another Region: the most common mistake there is.
func (s *Service) hintKeyElsewhere(c *call.Call, account, id string) {
	s.hintElsewhere(c, account, func(region string) []byte { return keyPath(account, region, id) })
}

func (s *Service) hintAliasElsewhere(c *call.Call, account, name string) {
	s.hintElsewhere(c, account, func(region string) []byte { return s.aliasPath(account, region, name) })
}

// maxHintRegions bounds what a call that finds nothing costs.
const maxHintRegions = 32

func (s *Service) hintElsewhere(c *call.Call, account string, path func(region string) []byte) {
	looked := 0
	for region, err := range regionsOf(c.View, "key/", account) {
		if looked++; err != nil || looked > maxHintRegions {
			return
		}
		if region == c.Region {
			continue
		}
		if found, err := c.View.Has(path(region)); err == nil && found {
			s.log.Info("the key or alias asked for is not in this Region, but in another", "asked_region", c.Region, "found_region", region, "account", account, "operation", c.Operation, "request_id", c.RequestID)
			return
		}
	}
}

// regionsOf yields the Regions in which an account has records of a kind, keys or
// tombstones. It costs one seek a Region, however many records there are.
func regionsOf(v *record.View, kind, account string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		prefix := join(kind, account, "/")
		end := store.PrefixEnd(prefix)
		for from := prefix; ; {
			region := ""
			for path, err := range v.Paths(from, end) {
				if err != nil {
					yield("", err)
					return
				}
				region = upTo(path[len(prefix):], '/')
				break
			}
			if region == "" || !yield(region, nil) {
				return
			}
			from = store.PrefixEnd(join(string(prefix), region, "/"))
		}
	}
}

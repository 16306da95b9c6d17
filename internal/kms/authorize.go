package kms

import (
	"fmt"
	"strings"

	"github.com/keywright/keywright/internal/arn"
	"github.com/keywright/keywright/internal/authz"
	"github.com/keywright/keywright/internal/call"
	"github.com/keywright/keywright/internal/kmsapi"
	"github.com/keywright/keywright/internal/policy"
)

// conditions are the values of condition keys that belong to one request. The
// names are in lower case, as the policy engine asks for them.
type conditions struct {
	encryptionContext map[string]string
	algorithm         kmsapi.EncryptionAlgorithmSpec
	values            map[string]string
	lists             map[string][]string

	aliases     []string // of the key, once a policy has asked for them
	aliasesRead bool
	err         error // a value could not be read; no decision counts then
}

// authorize asks whether the caller may do action on the key, and notes the key
// in the audit record: one of another account only where the answer is yes, for
// the record is the caller's too, and may not tell that the key exists.
func (s *Service) authorize(c *call.Call, t target, action string, cond conditions) error {
	if t.Account == c.Caller.Account {
		c.Touch(t.arn, t.Account)
	}
	if c.Caller.Type == call.TypeInternal {
		return nil // Keywright's own doing, by an operator's seed file: policies are for principals
	}
	err := authz.Decide(&authz.Request{
		Principal: c.Caller.Principal,
		Action:    action,
		Resource:  t.resource,
		Owner:     t.Account,
		Policy:    t.document,
		Context:   func(key string) []string { return s.conditionValue(c, t, &cond, key) },
	})
	if cond.err != nil {
		return fmt.Errorf("deciding about %s: %w", t.arn, cond.err)
	}
	if err == nil {
		c.Touch(t.arn, t.Account)
	}
	return err
}

// authorizeAccount asks whether the caller may do an action that is not about a
// key of its own: ListKeys, or the alias side of CreateAlias.
func (s *Service) authorizeAccount(c *call.Call, action string, resource arn.ARN) error {
	if c.Caller.Type == call.TypeInternal {
		return nil
	}
	return authz.Decide(&authz.Request{
		Principal: c.Caller.Principal,
		Action:    action,
		Resource:  resource,
		Owner:     c.Caller.Account,
	})
}

// conditionValue is where the kms: condition keys and the global ones about the
// key and the request come from.
func (s *Service) conditionValue(c *call.Call, t target, cond *conditions, key string) []string {
	one := func(v string) []string {
		if v == "" {
			return nil
		}
		return []string{v}
	}
	if v, ok := cond.values[key]; ok {
		return []string{v} // also an empty one: it is in the request
	}
	if v, ok := cond.lists[key]; ok {
		return v
	}
	switch key {
	case "kms:calleraccount", "aws:principalaccount":
		return one(c.Caller.Account)
	case "kms:keyspec", "kms:customermasterkeyspec":
		return one(string(t.Spec))
	case "kms:keyusage", "kms:customermasterkeyusage":
		return one(string(t.Usage))
	case "kms:keyorigin":
		return one(string(t.Origin))
	case "kms:multiregion":
		return one("false")
	case "kms:requestalias":
		return one(t.alias)
	case "kms:resourcealiases":
		if !cond.aliasesRead {
			cond.aliases, cond.err = s.aliasesOf(c, t.Key)
			cond.aliasesRead = true
		}
		return cond.aliases
	case "kms:encryptionalgorithm":
		return one(string(cond.algorithm))
	case "kms:encryptioncontextkeys":
		keys := make([]string, 0, len(cond.encryptionContext))
		for k := range cond.encryptionContext {
			keys = append(keys, k)
		}
		return keys
	case "aws:principalarn":
		return one(c.Caller.ARN)
	case "aws:principaltype":
		return one("Account")
	case "aws:userid":
		return one(c.Caller.PrincipalID)
	case "aws:sourceip":
		return one(c.Client.SourceIP)
	case "aws:useragent":
		return one(c.Client.UserAgent)
	case "aws:requestedregion":
		return one(c.Region)
	case "aws:resourceaccount":
		return one(t.Account)
	case "aws:securetransport":
		if c.Client.TLSVersion != "" {
			return one("true")
		}
		return one("false")
	case "aws:principalisawsservice", "aws:viaawsservice":
		return one("false")
	case "aws:currenttime":
		return one(c.Now().Format("2006-01-02T15:04:05Z"))
	case "aws:epochtime":
		return one(itoa(c.Now().Unix()))
	}
	if name, ok := strings.CutPrefix(key, "kms:encryptioncontext:"); ok {
		// Names of condition keys have no case, the context's keys do. Where two
		// differ in case alone the first in byte order counts, every time.
		found, ok := "", false
		for k := range cond.encryptionContext {
			if strings.EqualFold(k, name) && (!ok || k < found) {
				found, ok = k, true
			}
		}
		if !ok {
			return nil
		}
		return []string{cond.encryptionContext[found]}
	}
	if name, ok := strings.CutPrefix(key, "aws:resourcetag/"); ok {
		for _, tag := range t.Tags {
			if strings.EqualFold(tag.Key, name) {
				return []string{tag.Value}
			}
		}
	}
	return nil
}

// checkLockout refuses a new policy under which the caller could not change the
// policy again, unless the request says that this is wanted.
func (s *Service) checkLockout(c *call.Call, doc *policy.Document, k *Key, bypass *bool) error {
	if bypass != nil && *bypass {
		return nil
	}
	t, cond := target{Key: k}, conditions{}
	ok := doc.AllowsPutKeyPolicy(&policy.Request{
		Principal: policy.Principal{Kind: policy.KindRoot, Account: c.Caller.Account},
		Resource:  keyARN(k),
		Context:   func(key string) []string { return s.conditionValue(c, t, &cond, key) },
	})
	switch {
	case cond.err != nil:
		return fmt.Errorf("checking the new policy of %s: %w", k.arn, cond.err)
	case !ok:
		return malformed(policy.ErrLockout)
	}
	return nil
}

func keyARN(k *Key) arn.ARN {
	return arn.Key(arn.Partition(k.Region), k.Region, k.Account, k.ID)
}

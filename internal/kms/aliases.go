package kms

import (
	"errors"
	"regexp"
	"strings"

	"github.com/keywright/keywright/internal/arn"
	"github.com/keywright/keywright/internal/awsapi"
	"github.com/keywright/keywright/internal/call"
	"github.com/keywright/keywright/internal/kmsapi"
	"github.com/keywright/keywright/internal/record"
	"github.com/keywright/keywright/internal/store"
)

// maxAliases is how many aliases one key may have.
const maxAliases = 50

var aliasName = regexp.MustCompile(`^alias/[a-zA-Z0-9/_-]+$`)

// checkAliasName refuses what is no name for a customer's alias.
func checkAliasName(name string) error {
	switch {
	case !strings.HasPrefix(name, "alias/"):
		return awsapi.Errorf(awsapi.CodeValidation, `Alias must start with the prefix "alias/". Please see https://docs.aws.amazon.com/kms/latest/developerguide/kms-alias.html`)
	case !aliasName.MatchString(name):
		// The model's pattern lets a colon pass; the service does not.
		return awsapi.Errorf(awsapi.CodeValidation, "%s contains invalid characters for an alias", name)
	}
	return nil
}

// checkNewAliasName refuses, besides, the names that are AWS's own. Here no alias
// has one, so that to other operations they are names not found.
func checkNewAliasName(name string) error {
	if err := checkAliasName(name); err != nil {
		return err
	}
	if strings.HasPrefix(name, "alias/aws/") {
		return awsapi.Errorf(kmsapi.CodeInvalidAliasNameException, "Alias names that begin with alias/aws/ are reserved.")
	}
	return nil
}

// aliasTarget resolves and authorizes the key an alias is to name.
func (s *Service) aliasTarget(c *call.Call, keyID, action string) (target, error) {
	if kind := arn.ParseKeyRef(keyID).Kind; kind == arn.AliasName || kind == arn.AliasARN {
		return target{}, awsapi.Errorf(awsapi.CodeValidation, "Aliases must refer to keys. Not aliases")
	}
	return s.changeable(c, keyID, action, conditions{})
}

func (s *Service) createAlias(c *call.Call, req *kmsapi.CreateAliasRequest) (*kmsapi.CreateAliasResponse, error) {
	const action = "kms:CreateAlias"
	if err := checkNewAliasName(req.AliasName); err != nil {
		return nil, err
	}
	nameARN := aliasARN(c.Region, c.Caller.Account, req.AliasName)
	if err := s.authorizeAccount(c, action, nameARN); err != nil {
		return nil, err
	}
	t, err := s.aliasTarget(c, req.TargetKeyId, action)
	if err != nil {
		return nil, err
	}
	c.Touch(nameARN.String(), c.Caller.Account)
	path := s.aliasPath(t.Account, t.Region, req.AliasName)
	if exists, err := c.View.Has(path); err != nil {
		return nil, err
	} else if exists {
		return nil, awsapi.Errorf(kmsapi.CodeAlreadyExistsException, "An alias with the name %s already exists", nameARN)
	}
	if err := checkNotPending(t.Key); err != nil {
		return nil, err
	}
	if err := s.checkAliasRoom(c, t.Key); err != nil {
		return nil, err
	}
	now := millis(c.Now())
	tx := c.Tx()
	record.Put(tx, path, 0, &Alias{Version: aliasVersion, Name: req.AliasName, KeyID: t.ID, Created: now, Updated: now})
	record.Put(tx, s.keyAliasPath(t.Account, t.Region, t.ID, req.AliasName), 0, &aliasOfKey{Version: aliasVersion})
	lockAliases(tx, t)
	return &kmsapi.CreateAliasResponse{}, c.Commit(tx, nil)
}

// lockAliases makes a change to the set of a key's aliases meet every other such
// change and the key's deletion, which takes the aliases along: the key is
// written again as it is, so that only one of two on the same state succeeds.
func lockAliases(tx *record.Tx, t target) { record.Put(tx, t.path, t.revision, t.Key) }

func (s *Service) checkAliasRoom(c *call.Call, k *Key) error {
	count := 0
	prefix := keyAliasPrefix(k.Account, k.Region, k.ID)
	for _, err := range c.View.Paths(prefix, store.PrefixEnd(prefix)) {
		if err != nil {
			return err
		}
		count++
	}
	if count >= maxAliases {
		return awsapi.Errorf(kmsapi.CodeLimitExceededException, "The key %s has %d aliases, the most a key may have.", k.arn, count)
	}
	return nil
}

// findAlias reads an alias of the caller's account.
func (s *Service) findAlias(c *call.Call, name string) (record.Found[Alias], error) {
	a, err := record.Get[Alias](c.View, s.aliasPath(c.Caller.Account, c.Region, name))
	if errors.Is(err, store.ErrNotFound) {
		s.hintAliasElsewhere(c, c.Caller.Account, name)
		return a, awsapi.Errorf(kmsapi.CodeNotFoundException, "Alias %s is not found.", aliasARN(c.Region, c.Caller.Account, name))
	}
	return a, err
}

func (s *Service) deleteAlias(c *call.Call, req *kmsapi.DeleteAliasRequest) (*kmsapi.DeleteAliasResponse, error) {
	const action = "kms:DeleteAlias"
	if err := checkAliasName(req.AliasName); err != nil {
		return nil, err
	}
	nameARN := aliasARN(c.Region, c.Caller.Account, req.AliasName)
	if err := s.authorizeAccount(c, action, nameARN); err != nil {
		return nil, err
	}
	a, err := s.findAlias(c, req.AliasName)
	if err != nil {
		return nil, err
	}
	t, err := s.changeable(c, a.Value.KeyID, action, conditions{})
	if err != nil {
		return nil, err
	}
	c.Touch(nameARN.String(), c.Caller.Account)
	tx := c.Tx()
	tx.Delete(a.Path, a.Revision)
	tx.Do(store.Op{Key: s.keyAliasPath(t.Account, t.Region, t.ID, req.AliasName), Delete: true})
	lockAliases(tx, t)
	return &kmsapi.DeleteAliasResponse{}, c.Commit(tx, nil)
}

func (s *Service) updateAlias(c *call.Call, req *kmsapi.UpdateAliasRequest) (*kmsapi.UpdateAliasResponse, error) {
	const action = "kms:UpdateAlias"
	if err := checkAliasName(req.AliasName); err != nil {
		return nil, err
	}
	nameARN := aliasARN(c.Region, c.Caller.Account, req.AliasName)
	if err := s.authorizeAccount(c, action, nameARN); err != nil {
		return nil, err
	}
	a, err := s.findAlias(c, req.AliasName)
	if err != nil {
		return nil, err
	}
	from, err := s.changeable(c, a.Value.KeyID, action, conditions{})
	if err != nil {
		return nil, err
	}
	to, err := s.aliasTarget(c, req.TargetKeyId, action)
	if err != nil {
		return nil, err
	}
	c.Touch(nameARN.String(), c.Caller.Account)
	if from.Spec != to.Spec || from.Usage != to.Usage {
		return nil, awsapi.Errorf(awsapi.CodeValidation, "Alias %s cannot be changed from key %s to key %s: both must be of the same type and key usage.", nameARN, from.arn, to.arn)
	}
	if err := checkNotPending(to.Key); err != nil {
		return nil, err
	}
	alias := *a.Value
	alias.KeyID, alias.Updated = to.ID, millis(c.Now())
	tx := c.Tx()
	record.Put(tx, a.Path, a.Revision, &alias)
	if from.ID != to.ID {
		if err := s.checkAliasRoom(c, to.Key); err != nil {
			return nil, err
		}
		tx.Do(store.Op{Key: s.keyAliasPath(from.Account, from.Region, from.ID, alias.Name), Delete: true})
		record.Put(tx, s.keyAliasPath(to.Account, to.Region, to.ID, alias.Name), 0, &aliasOfKey{Version: aliasVersion})
		lockAliases(tx, from)
		lockAliases(tx, to)
	}
	return &kmsapi.UpdateAliasResponse{}, c.Commit(tx, nil)
}

func (s *Service) listAliases(c *call.Call, req *kmsapi.ListAliasesRequest) (*kmsapi.ListAliasesResponse, error) {
	if err := s.authorizeAccount(c, "kms:ListAliases", arn.ARN{}); err != nil {
		return nil, err
	}
	account := c.Caller.Account
	prefix := aliasPrefix(account, c.Region)
	if req.KeyId != "" {
		t, err := s.resolve(c, req.KeyId, idOrARN, "kms:ListAliases")
		if err != nil {
			return nil, err
		}
		if err := own(c, t, "kms:ListAliases"); err != nil {
			return nil, err
		}
		prefix = keyAliasPrefix(account, c.Region, t.ID)
	}
	p, err := s.page(c, prefix, req.Marker, req.Limit, 50)
	if err != nil {
		return nil, err
	}
	resp := &kmsapi.ListAliasesResponse{Aliases: []kmsapi.AliasListEntry{}}
	for path, err := range c.View.Paths(p.from, p.to) {
		if err != nil {
			return nil, err
		}
		if len(resp.Aliases) == p.limit {
			resp.NextMarker = p.next(path)
			break
		}
		// Both listings end in the HMAC of the name.
		a, err := record.Get[Alias](c.View, append(aliasPrefix(account, c.Region), path[len(prefix):]...))
		if err != nil {
			return nil, err
		}
		resp.Aliases = append(resp.Aliases, kmsapi.AliasListEntry{
			AliasName:       a.Value.Name,
			AliasArn:        aliasARN(c.Region, account, a.Value.Name).String(),
			TargetKeyId:     a.Value.KeyID,
			CreationDate:    new(fromMillis(a.Value.Created)),
			LastUpdatedDate: new(fromMillis(a.Value.Updated)),
		})
	}
	resp.Truncated = new(resp.NextMarker != "")
	return resp, nil
}

// aliasesOf returns the names of a key's aliases.
func (s *Service) aliasesOf(c *call.Call, k *Key) ([]string, error) {
	var names []string
	prefix := keyAliasPrefix(k.Account, k.Region, k.ID)
	for path, err := range c.View.Paths(prefix, store.PrefixEnd(prefix)) {
		if err != nil {
			return nil, err
		}
		a, err := record.Get[Alias](c.View, append(aliasPrefix(k.Account, k.Region), path[len(prefix):]...))
		if err != nil {
			return nil, err
		}
		names = append(names, a.Value.Name)
	}
	return names, nil
}

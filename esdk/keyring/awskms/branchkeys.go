package awskms

import (
	"context"
	"errors"
	"fmt"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kms"

	"github.com/keywright/keywright/esdk/keyring"
)

// BranchKeyTable reads the items of a table. Its method may be called
// concurrently. With aws-sdk-go-v2 and package types of its dynamodb:
//
//	type table struct {
//		client *dynamodb.Client
//		name   string
//	}
//
//	func (t table) Item(ctx context.Context, id, sort string) (item awskms.BranchKeyItem, err error) {
//		out, err := t.client.GetItem(ctx, &dynamodb.GetItemInput{
//			TableName:      &t.name,
//			ConsistentRead: aws.Bool(true),
//			Key: map[string]types.AttributeValue{
//				"branch-key-id": &types.AttributeValueMemberS{Value: id},
//				"type":          &types.AttributeValueMemberS{Value: sort},
//			},
//		})
//		if err != nil {
//			return item, err
//		}
//		item.Strings, item.Numbers, item.Binaries = map[string]string{}, map[string]string{}, map[string][]byte{}
//		for name, value := range out.Item {
//			switch v := value.(type) {
//			case *types.AttributeValueMemberS:
//				item.Strings[name] = v.Value
//			case *types.AttributeValueMemberN:
//				item.Numbers[name] = v.Value
//			case *types.AttributeValueMemberB:
//				item.Binaries[name] = v.Value
//			default:
//				return item, fmt.Errorf("attribute %q is a %T", name, v)
//			}
//		}
//		return item, nil
//	}
type BranchKeyTable interface {
	// Item returns the item whose partition key "branch-key-id" is id and whose
	// sort key "type" is sort. Where there is none it returns an item without
	// attributes, or keyring.ErrBranchKeyNotFound.
	Item(ctx context.Context, id, sort string) (BranchKeyItem, error)
}

// BranchKeyConfig says which key of the service the branch keys of a table are
// encrypted with, and what their store is called.
type BranchKeyConfig struct {
	// Name is the logical name of the store, for AWS's LogicalKeyStoreName. Each
	// branch key is bound to it. It need not be the name of the table, and must
	// not change when the table is restored under another name. Required.
	Name string
	// KeyID is the ARN of the key. Required.
	KeyID string
	// MultiRegion takes the branch keys of every replica of KeyID, and uses the
	// configured one for them. It is without effect if KeyID has no replicas.
	MultiRegion bool
	// GrantTokens go with every request, 10 at most.
	GrantTokens []string
}

func (cfg BranchKeyConfig) ring() (*branchKeyRing, error) {
	if cfg.Name == "" || !utf8.ValidString(cfg.Name) {
		return nil, errors.New("esdk: the configuration has no name for the store of branch keys, or one that is not UTF-8")
	}
	if err := checkKeyARN(cfg.KeyID); err != nil {
		return nil, err
	}
	tokens, err := cloneGrantTokens(cfg.GrantTokens)
	if err != nil {
		return nil, err
	}
	ring := &branchKeyRing{cfg.Name, cfg.KeyID, func(configured, found string) bool { return configured == found }, tokens}
	if cfg.MultiRegion {
		ring.matches = mrkMatch
	}
	return ring, nil
}

// BranchKeys is the keyring.BranchKeyStore of AWS's key stores: tables in
// DynamoDB with branch keys that a key of the service encrypts. It needs the
// permission kms:Decrypt, and dynamodb:GetItem for its table. It keeps no keys;
// the hierarchical keyring does:
//
//	store, err := awskms.NewBranchKeys(kmsClient, table{dynamoClient, "BranchKeys"},
//		awskms.BranchKeyConfig{Name: "BranchKeys", KeyID: keyARN})
//	...
//	k, err := keyring.NewHierarchical(keyring.HierarchicalConfig{
//		Store: store, BranchKeyID: "tenant-1", TTL: time.Hour,
//	})
//
// Whoever can write to the table can remove versions and make an old one the
// active one again, but not make, change or exchange any: name, id, version and
// all else that an item says is authenticated with its key.
//
// Source: the AWS Encryption SDK specification, "Branch Key Store", with
// hierarchy version 1.
type BranchKeys struct {
	client Decrypter
	table  BranchKeyTable
	ring   *branchKeyRing
}

var _ keyring.BranchKeyStore = (*BranchKeys)(nil)

// NewBranchKeys returns the store of the branch keys in table. The client is one
// for the Region of the configured key.
func NewBranchKeys(client Decrypter, table BranchKeyTable, cfg BranchKeyConfig) (*BranchKeys, error) {
	if client == nil {
		return nil, errNoClient
	}
	if table == nil {
		return nil, errNoTable
	}
	ring, err := cfg.ring()
	if err != nil {
		return nil, err
	}
	return &BranchKeys{client, table, ring}, nil
}

var errNoTable = errors.New("esdk: a store of branch keys needs a table")

// ActiveBranchKey returns the version that encrypts.
func (s *BranchKeys) ActiveBranchKey(ctx context.Context, id string) (keyring.BranchKey, error) {
	return s.open(ctx, id, typeActive)
}

// BranchKeyVersion returns the version that is asked for.
func (s *BranchKeys) BranchKeyVersion(ctx context.Context, id string, version [16]byte) (keyring.BranchKey, error) {
	return s.open(ctx, id, formatBranchKeyVersion(version))
}

func (s *BranchKeys) open(ctx context.Context, id, kind string) (keyring.BranchKey, error) {
	item, encryptionContext, version, err := s.ring.read(ctx, s.table, id, kind)
	if err != nil {
		return keyring.BranchKey{}, err
	}
	key, err := decrypt(ctx, s.client, &kms.DecryptInput{
		KeyId:             aws.String(s.ring.keyID),
		CiphertextBlob:    item.Binaries[attrKey],
		EncryptionContext: encryptionContext,
		GrantTokens:       s.ring.grantTokens,
	})
	defer clear(key)
	opened := keyring.BranchKey{ID: id, Version: version}
	if err == nil && len(key) != len(opened.Key) {
		err = fmt.Errorf("it decrypts to %d bytes, branch keys have %d", len(key), len(opened.Key))
	}
	if err != nil {
		return keyring.BranchKey{}, fmt.Errorf("esdk: opening %s of branch key %q: %w", kind, id, err)
	}
	opened.Key = [32]byte(key)
	return opened, nil
}

// read returns an item that was checked, with what check returns.
func (r *branchKeyRing) read(ctx context.Context, table BranchKeyTable, id, kind string) (item BranchKeyItem, encryptionContext map[string]string, version [16]byte, err error) {
	if err := checkBranchKeyID(id); err != nil {
		return item, nil, version, err
	}
	item, err = table.Item(ctx, id, kind)
	if err == nil && item.empty() {
		err = keyring.ErrBranchKeyNotFound
	}
	if err != nil {
		return item, nil, version, fmt.Errorf("esdk: reading %s of branch key %q: %w", kind, id, err)
	}
	encryptionContext, version, err = r.check(item, id, kind)
	if err != nil {
		return item, nil, version, fmt.Errorf("esdk: the table's item %s of branch key %q cannot be used: %w", kind, id, err)
	}
	return item, encryptionContext, version, nil
}

package awskms

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kms"

	"github.com/keywright/keywright/esdk/materials"
)

// BranchKeyAdminClient is what a BranchKeyAdmin needs of a client. *kms.Client is
// one.
type BranchKeyAdminClient interface {
	GenerateDataKeyWithoutPlaintext(context.Context, *kms.GenerateDataKeyWithoutPlaintextInput, ...func(*kms.Options)) (*kms.GenerateDataKeyWithoutPlaintextOutput, error)
	ReEncrypt(context.Context, *kms.ReEncryptInput, ...func(*kms.Options)) (*kms.ReEncryptOutput, error)
}

// BranchKeyAdminTable is a table that can also be written to.
type BranchKeyAdminTable interface {
	BranchKeyTable
	// Write puts all items into the table in one transaction, such as DynamoDB's
	// TransactWriteItems is. They are durable when it returns. If the condition
	// of one does not hold it writes none and returns an error.
	Write(ctx context.Context, puts []BranchKeyPut) error
}

// BranchKeyPut is an item to be written, and its condition.
type BranchKeyPut struct {
	Item BranchKeyItem
	// Replaces is what the attribute "version" of the item with the same keys
	// must be, in DynamoDB "#version = :replaces". If it is empty there must be
	// no such item: "attribute_not_exists(#id)".
	Replaces string
}

// BranchKeyAdmin makes branch keys in a table of AWS's key stores, and new
// versions of them. It never sees them in the clear: it needs the permissions
// kms:GenerateDataKeyWithoutPlaintext and kms:ReEncrypt*, and not kms:Decrypt.
//
// Source: the AWS Encryption SDK specification, "Branch Key Store", with
// hierarchy version 1.
type BranchKeyAdmin struct {
	client BranchKeyAdminClient
	table  BranchKeyAdminTable
	ring   *branchKeyRing
}

// NewBranchKeyAdmin returns the administration of the branch keys in table. The
// client is one for the Region of the configured key.
func NewBranchKeyAdmin(client BranchKeyAdminClient, table BranchKeyAdminTable, cfg BranchKeyConfig) (*BranchKeyAdmin, error) {
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
	return &BranchKeyAdmin{client, table, ring}, nil
}

// Create makes a branch key with its first version, and returns its id: the given
// one, or a random UUID if that is empty. An error of the table's Write may mean
// that there is such a branch key.
//
// The encryption context is stored with the key, and the service sees it with
// each request for it, so that key policies can tell branch keys apart. AWS's key
// stores require one where an id is given, and so does this. With the key a
// beacon key is made, as AWS's key stores have it.
func (a *BranchKeyAdmin) Create(ctx context.Context, id string, encryptionContext map[string]string) (string, error) {
	if id == "" {
		id = formatUUID(newUUID())
	} else if len(encryptionContext) == 0 {
		return "", fmt.Errorf("esdk: branch key %q needs an encryption context, because its id is given", id)
	}
	if err := checkBranchKeyID(id); err != nil {
		return "", err
	}
	if _, err := materials.AppendContext(nil, encryptionContext); err != nil {
		return "", err
	}
	base := map[string]string{
		attrID:        id,
		attrKMSKey:    a.ring.keyID,
		attrHierarchy: hierarchy,
		contextTable:  a.ring.name,
	}
	for name, value := range encryptionContext {
		base[attrOwn+name] = value
	}
	_, version, active, err := a.newVersion(ctx, base)
	if err != nil {
		return "", fmt.Errorf("esdk: making branch key %q: %w", id, err)
	}
	beaconContext := maps.Clone(base)
	beaconContext[attrType] = typeBeacon
	beaconContext[attrCreateTime] = version.Strings[attrCreateTime]
	beacon, err := a.generate(ctx, beaconContext)
	if err != nil {
		return "", fmt.Errorf("esdk: making branch key %q: %w", id, err)
	}
	err = a.table.Write(ctx, []BranchKeyPut{{Item: version}, {Item: active}, {Item: newBranchKeyItem(beaconContext, beacon)}})
	if err != nil {
		return "", fmt.Errorf("esdk: writing branch key %q: %w", id, err)
	}
	return id, nil
}

// Rotate makes a new version of a branch key and makes it the active one; AWS
// calls it VersionKey. Keyrings use it when their TTL is over. If another caller
// rotates the same branch key meanwhile, one of them gets an error of the
// table's Write. Of a branch key that is not there it is
// keyring.ErrBranchKeyNotFound.
func (a *BranchKeyAdmin) Rotate(ctx context.Context, id string) (version [16]byte, err error) {
	old, oldContext, _, err := a.ring.read(ctx, a.table, id, typeActive)
	if err != nil {
		return version, err
	}
	// What the new version takes over must be authentic. The service says so, by
	// encrypting the old key once more; the result is not needed.
	if _, err := a.reEncrypt(ctx, old.Binaries[attrKey], oldContext, oldContext); err != nil {
		return version, fmt.Errorf("esdk: authenticating branch key %q: %w", id, err)
	}
	base := maps.Clone(oldContext)
	delete(base, attrVersion)
	version, item, active, err := a.newVersion(ctx, base)
	if err != nil {
		return [16]byte{}, fmt.Errorf("esdk: making a version of branch key %q: %w", id, err)
	}
	err = a.table.Write(ctx, []BranchKeyPut{{Item: item}, {Item: active, Replaces: old.Strings[attrVersion]}})
	if err != nil {
		return [16]byte{}, fmt.Errorf("esdk: writing a version of branch key %q: %w", id, err)
	}
	return version, nil
}

// newVersion makes a key, and its two items: the version, and the active one that
// holds the same key. The base is what the encryption contexts of all versions
// have in common; its type and time are overwritten.
func (a *BranchKeyAdmin) newVersion(ctx context.Context, base map[string]string) (version [16]byte, item, active BranchKeyItem, err error) {
	version = newUUID()
	itemContext := maps.Clone(base)
	itemContext[attrType] = formatBranchKeyVersion(version)
	itemContext[attrCreateTime] = time.Now().UTC().Format("2006-01-02T15:04:05.000000Z")
	key, err := a.generate(ctx, itemContext)
	if err != nil {
		return version, item, active, err
	}
	activeContext := maps.Clone(itemContext)
	activeContext[attrVersion] = itemContext[attrType]
	activeContext[attrType] = typeActive
	activeKey, err := a.reEncrypt(ctx, key, itemContext, activeContext)
	if err != nil {
		return version, item, active, err
	}
	return version, newBranchKeyItem(itemContext, key), newBranchKeyItem(activeContext, activeKey), nil
}

// generate has the service make a key, and returns it encrypted.
func (a *BranchKeyAdmin) generate(ctx context.Context, encryptionContext map[string]string) ([]byte, error) {
	out, err := a.client.GenerateDataKeyWithoutPlaintext(ctx, &kms.GenerateDataKeyWithoutPlaintextInput{
		KeyId:             aws.String(a.ring.keyID),
		NumberOfBytes:     aws.Int32(32),
		EncryptionContext: encryptionContext,
		GrantTokens:       a.ring.grantTokens,
	})
	if err != nil {
		return nil, fmt.Errorf("making a key with %s: %w", a.ring.keyID, err)
	}
	return out.CiphertextBlob, a.checkAnswer(out.CiphertextBlob, out.KeyId)
}

func (a *BranchKeyAdmin) reEncrypt(ctx context.Context, key []byte, from, to map[string]string) ([]byte, error) {
	out, err := a.client.ReEncrypt(ctx, &kms.ReEncryptInput{
		CiphertextBlob:               key,
		SourceKeyId:                  aws.String(a.ring.keyID),
		SourceEncryptionContext:      from,
		DestinationKeyId:             aws.String(a.ring.keyID),
		DestinationEncryptionContext: to,
		GrantTokens:                  a.ring.grantTokens,
	})
	if err != nil {
		return nil, fmt.Errorf("re-encrypting with %s: %w", a.ring.keyID, err)
	}
	return out.CiphertextBlob, a.checkAnswer(out.CiphertextBlob, out.SourceKeyId, out.KeyId)
}

func (a *BranchKeyAdmin) checkAnswer(ciphertext []byte, keys ...*string) error {
	for _, key := range keys {
		if got := aws.ToString(key); got != a.ring.keyID {
			return fmt.Errorf("asked for was key %s, the answer is of key %q", a.ring.keyID, got)
		}
	}
	if len(ciphertext) == 0 {
		return errors.New("the answer has no ciphertext")
	}
	return nil
}

// newUUID returns a random UUID, version 4.
func newUUID() (u [16]byte) {
	rand.Read(u[:])
	u[6], u[8] = u[6]&0x0f|0x40, u[8]&0x3f|0x80
	return u
}

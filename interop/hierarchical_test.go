package interop_test

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"testing"
	"time"

	keystore "github.com/aws/aws-cryptographic-material-providers-library/releases/go/mpl/awscryptographykeystoresmithygenerated"
	keystoretypes "github.com/aws/aws-cryptographic-material-providers-library/releases/go/mpl/awscryptographykeystoresmithygeneratedtypes"
	mpltypes "github.com/aws/aws-cryptographic-material-providers-library/releases/go/mpl/awscryptographymaterialproviderssmithygeneratedtypes"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/keywright/keywright/esdk"
	"github.com/keywright/keywright/esdk/keyring"
	"github.com/keywright/keywright/esdk/keyring/awskms"
	"github.com/keywright/keywright/esdk/materials"
	"github.com/keywright/keywright/esdk/suite"
)

const (
	tableName = "BranchKeys"
	storeName = "the logical name"
)

// keyStores are the two implementations over one table and one key.
type keyStores struct {
	dynamo *standInDynamoDB
	keys   *awskms.BranchKeys
	admin  *awskms.BranchKeyAdmin
	theirs *keystore.Client
}

func openKeyStores(dynamo *standInDynamoDB, db *dynamodb.Client, region string, ours awskms.BranchKeyConfig, their keystoretypes.KMSConfiguration) keyStores {
	table := dynamoTable{db, tableName}
	return keyStores{
		dynamo: dynamo,
		keys:   must(awskms.NewBranchKeys(kmsClient(region), table, ours)),
		admin:  must(awskms.NewBranchKeyAdmin(kmsClient(region), table, ours)),
		theirs: must(keystore.NewClient(keystoretypes.KeyStoreConfig{
			DdbTableName:        tableName,
			DdbClient:           db,
			KmsConfiguration:    their,
			KmsClient:           kmsClient(region),
			LogicalKeyStoreName: storeName,
		})),
	}
}

func newKeyStores(t *testing.T) keyStores {
	t.Helper()
	keyARN := newKMSKey(t, symmetricKey)
	dynamo, db := startDynamoDB(t)
	s := openKeyStores(dynamo, db, region, awskms.BranchKeyConfig{Name: storeName, KeyID: keyARN},
		&keystoretypes.KMSConfigurationMemberkmsKeyArn{Value: keyARN})
	if _, err := s.theirs.CreateKeyStore(t.Context(), keystoretypes.CreateKeyStoreInput{}); err != nil {
		t.Fatalf("making the table: %v", err)
	}
	return s
}

// branchKeyContexts are encryption contexts of branch keys.
var branchKeyContexts = []map[string]string{
	{"tenant": "acme"},
	{"\U0001F511": "\U0001D11E"},
	{"tenant": "", "b": "1", "a": "2", "версия": "ключ", "e\u0301": "\u00e9"},
}

// create and rotate make a branch key and a version of it, by one implementation.
func (s keyStores) create(t *testing.T, byThem bool, id string, context map[string]string) string {
	t.Helper()
	if !byThem {
		id, err := s.admin.Create(t.Context(), id, context)
		if err != nil {
			t.Fatal(err)
		}
		return id
	}
	in := keystoretypes.CreateKeyInput{EncryptionContext: context}
	if id != "" {
		in.BranchKeyIdentifier = &id
	}
	out, err := s.theirs.CreateKey(t.Context(), in)
	if err != nil {
		t.Fatalf("they cannot make a branch key: %v", err)
	}
	return out.BranchKeyIdentifier
}

func (s keyStores) rotate(t *testing.T, byThem bool, id string) {
	t.Helper()
	var err error
	if byThem {
		_, err = s.theirs.VersionKey(t.Context(), keystoretypes.VersionKeyInput{BranchKeyIdentifier: id})
	} else {
		_, err = s.admin.Rotate(t.Context(), id)
	}
	if err != nil {
		t.Fatalf("rotating, by them %v: %v", byThem, err)
	}
}

// check has both read the active version of a branch key, by its type and by its
// version, and returns it.
func (s keyStores) check(t *testing.T, id string, context map[string]string) keyring.BranchKey {
	t.Helper()
	ours, err := s.keys.ActiveBranchKey(t.Context(), id)
	if err != nil {
		t.Fatalf("we cannot read the branch key: %v", err)
	}
	if again, err := s.keys.BranchKeyVersion(t.Context(), id, ours.Version); err != nil || again != ours {
		t.Errorf("we cannot read the version: %v", err)
	}
	active, err := s.theirs.GetActiveBranchKey(t.Context(), keystoretypes.GetActiveBranchKeyInput{BranchKeyIdentifier: id})
	if err != nil {
		t.Fatalf("they cannot read the branch key: %v", err)
	}
	uuid := formatUUID(ours.Version)
	version, err := s.theirs.GetBranchKeyVersion(t.Context(), keystoretypes.GetBranchKeyVersionInput{BranchKeyIdentifier: id, BranchKeyVersion: uuid})
	if err != nil {
		t.Fatalf("they cannot read the version: %v", err)
	}
	for _, got := range []keystoretypes.BranchKeyMaterials{active.BranchKeyMaterials, version.BranchKeyMaterials} {
		if !bytes.Equal(got.BranchKey, ours.Key[:]) || got.BranchKeyVersion != uuid || got.BranchKeyIdentifier != id {
			t.Errorf("they read %s of %s, we %v", got.BranchKeyVersion, got.BranchKeyIdentifier, ours)
		}
		if !maps.Equal(got.EncryptionContext, context) {
			t.Errorf("they read the context %q, want %q", got.EncryptionContext, context)
		}
	}
	beacon, err := s.theirs.GetBeaconKey(t.Context(), keystoretypes.GetBeaconKeyInput{BranchKeyIdentifier: id})
	if err != nil || len(beacon.BeaconKeyMaterials.BeaconKey) != 32 {
		t.Errorf("they cannot read the beacon key: %v", err)
	}
	return ours
}

// TestGoBranchKeys has each side make branch keys and versions, and both read
// them.
func TestGoBranchKeys(t *testing.T) {
	s := newKeyStores(t)
	for _, byThem := range []bool{false, true} {
		for i, c := range append([]map[string]string{nil}, branchKeyContexts...) {
			t.Run(fmt.Sprintf("made by them %v, context %d", byThem, i), func(t *testing.T) {
				id := ""
				if c != nil {
					id = fmt.Sprintf("tenant/%v ключ %d", byThem, i)
				}
				id = s.create(t, byThem, id, c)
				first := s.check(t, id, c)
				for _, rotatedByThem := range []bool{true, false, true} {
					s.rotate(t, rotatedByThem, id)
					if next := s.check(t, id, c); next.Version == first.Version || next.Key == first.Key {
						t.Error("the rotation changed nothing")
					}
				}
				if again, err := s.keys.BranchKeyVersion(t.Context(), id, first.Version); err != nil || again != first {
					t.Errorf("the first version: %v", err)
				}
			})
		}
	}
	// What is there already neither makes.
	id := s.create(t, true, "twice", branchKeyContexts[0])
	if _, err := s.admin.Create(t.Context(), id, branchKeyContexts[0]); !isCancelled(err) {
		t.Errorf("making it again: %v", err)
	}
	other := s.create(t, false, "by us", branchKeyContexts[0])
	if _, err := s.theirs.CreateKey(t.Context(), keystoretypes.CreateKeyInput{BranchKeyIdentifier: &other, EncryptionContext: branchKeyContexts[0]}); err == nil {
		t.Error("they made a branch key of ours again")
	}
	if _, err := s.keys.ActiveBranchKey(t.Context(), "none"); !errors.Is(err, keyring.ErrBranchKeyNotFound) {
		t.Errorf("no such branch key: %v", err)
	}
}

func formatUUID(u [16]byte) string {
	return fmt.Sprintf("%x-%x-%x-%x-%x", u[:4], u[4:6], u[6:8], u[8:10], u[10:])
}

// TestGoBranchKeysMultiRegion has the stores of a replica read and rotate what
// those of the primary key made.
func TestGoBranchKeysMultiRegion(t *testing.T) {
	primary, replica := newMultiRegionKey(t)
	dynamo, db := startDynamoDB(t)
	open := func(keyARN, region string) keyStores {
		return openKeyStores(dynamo, db, region, awskms.BranchKeyConfig{Name: storeName, KeyID: keyARN, MultiRegion: true},
			&keystoretypes.KMSConfigurationMemberkmsMRKeyArn{Value: keyARN})
	}
	here, there := open(primary, region), open(replica, replicaRegion)
	if _, err := here.theirs.CreateKeyStore(t.Context(), keystoretypes.CreateKeyStoreInput{}); err != nil {
		t.Fatalf("making the table: %v", err)
	}
	for _, byThem := range []bool{false, true} {
		id := here.create(t, byThem, fmt.Sprint("by them ", byThem), branchKeyContexts[0])
		for _, rotatedByThem := range []bool{false, true} {
			there.rotate(t, rotatedByThem, id)
			if there.check(t, id, branchKeyContexts[0]) != here.check(t, id, branchKeyContexts[0]) {
				t.Error("the replica opens another branch key")
			}
		}
	}
}

func isCancelled(err error) bool {
	_, ok := errors.AsType[*types.TransactionCanceledException](err)
	return ok
}

// TestGoBranchKeyRefusals changes items and wants both sides to refuse them.
func TestGoBranchKeyRefusals(t *testing.T) {
	s := newKeyStores(t)
	context := branchKeyContexts[0]
	id := s.create(t, true, "id", context)
	old, err := s.keys.ActiveBranchKey(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	s.rotate(t, false, id)
	s.create(t, true, "other", context)
	other := newKMSKey(t, symmetricKey)
	active := itemKeys{id, "branch:ACTIVE"}
	text := func(v string) map[string]any { return map[string]any{"S": v} }
	for name, change := range map[string]func(attributes){
		"create-time":          func(a attributes) { a["create-time"] = text("2023-06-03T19:03:29.358000Z") },
		"no create-time":       func(a attributes) { delete(a, "create-time") },
		"type":                 func(a attributes) { a["type"] = text("beacon:ACTIVE") },
		"branch-key-id":        func(a attributes) { a["branch-key-id"] = text("other") },
		"kms-arn":              func(a attributes) { a["kms-arn"] = text(other) },
		"no kms-arn":           func(a attributes) { delete(a, "kms-arn") },
		"version":              func(a attributes) { a["version"] = text("branch:version:" + formatUUID(old.Version)) },
		"no version":           func(a attributes) { delete(a, "version") },
		"hierarchy-version":    func(a attributes) { a["hierarchy-version"] = map[string]any{"N": "2"} },
		"hierarchy-version S":  func(a attributes) { a["hierarchy-version"] = text("1") },
		"tablename":            func(a attributes) { a["tablename"] = text(storeName) },
		"context":              func(a attributes) { a["aws-crypto-ec:tenant"] = text("evil") },
		"less context":         func(a attributes) { delete(a, "aws-crypto-ec:tenant") },
		"more context":         func(a attributes) { a["aws-crypto-ec:admin"] = text("yes") },
		"enc of other":         func(a attributes) { a["enc"] = s.dynamo.tables[tableName][itemKeys{"other", "branch:ACTIVE"}]["enc"] },
		"enc S":                func(a attributes) { a["enc"] = text(a["enc"]["B"].(string)) },
		"no enc":               func(a attributes) { delete(a, "enc") },
		"item of other":        func(a attributes) { maps.Copy(a, s.dynamo.tables[tableName][itemKeys{"other", "branch:ACTIVE"}]) },
		"all attributes empty": func(a attributes) { clear(a) },
	} {
		t.Run(name, func(t *testing.T) {
			s.dynamo.change(t, tableName, active, change)
			if _, err := s.theirs.GetActiveBranchKey(t.Context(), keystoretypes.GetActiveBranchKeyInput{BranchKeyIdentifier: id}); err == nil {
				t.Error("they read it")
			}
			if key, err := s.keys.ActiveBranchKey(t.Context(), id); err == nil || key != (keyring.BranchKey{}) {
				t.Error("we read it")
			}
			if _, err := s.theirs.VersionKey(t.Context(), keystoretypes.VersionKeyInput{BranchKeyIdentifier: id}); err == nil {
				t.Error("they rotate it")
			}
			if _, err := s.admin.Rotate(t.Context(), id); err == nil {
				t.Error("we rotate it")
			}
		})
	}
	s.check(t, id, context)
}

// supplier chooses the branch key of a message by its encryption context.
type supplier func(context map[string]string) (string, error)

func (f supplier) GetBranchKeyId(in mpltypes.GetBranchKeyIdInput) (*mpltypes.GetBranchKeyIdOutput, error) {
	id, err := f(in.EncryptionContext)
	return &mpltypes.GetBranchKeyIdOutput{BranchKeyId: id}, err
}

// managers returns new managers of both sides, which have no branch keys yet.
func (s keyStores) managers(t *testing.T, id string, choose supplier) (materials.Manager, manager) {
	t.Helper()
	const ttl = time.Hour
	ours := keyring.HierarchicalConfig{Store: s.keys, BranchKeyID: id, TTL: ttl}
	their := mpltypes.CreateAwsKmsHierarchicalKeyringInput{KeyStore: s.theirs, TtlSeconds: int64(ttl.Seconds())}
	if choose != nil {
		ours.BranchKeyID, ours.BranchKeyIDFor = "", choose
		their.BranchKeyIdSupplier = choose
	} else {
		their.BranchKeyId = &id
	}
	return using(keyring.NewHierarchical(ours)), theirs(providers.CreateAwsKmsHierarchicalKeyring(t.Context(), their))
}

func lookup(id suite.ID) suite.Suite {
	s, _ := suite.Lookup(id)
	return s
}

func TestGoHierarchical(t *testing.T) {
	s := newKeyStores(t)
	var pairs []pair[manager]
	for _, byThem := range []bool{false, true} {
		id := s.create(t, byThem, "", nil)
		for _, versions := range []int{1, 2} {
			ours, their := s.managers(t, id, nil)
			pairs = append(pairs, symmetric(fmt.Sprintf("made by them %v, %d versions", byThem, versions), ours, their))
			// Both sides have the branch key before there is another version.
			m := message{suite: lookup(suite.AES256GCMCommit), frameLength: 4096, plaintext: plaintext(10)}
			exchange(t, official{}, pairs[len(pairs)-1], m)
			s.rotate(t, !byThem, id)
		}
	}
	short, long := s.create(t, true, "short", branchKeyContexts[0]), s.create(t, false, "long", branchKeyContexts[1])
	ours, their := s.managers(t, "", func(context map[string]string) (string, error) {
		if len(context) > 2 {
			return long, nil
		}
		return short, nil
	})
	pairs = append(pairs, symmetric("by context", ours, their))
	exchangeAll(t, official{}, pairs)
}

// TestGoHierarchicalVersions exchanges messages before and after rotations, and
// reads all of them after the last.
func TestGoHierarchicalVersions(t *testing.T) {
	s := newKeyStores(t)
	id := s.create(t, true, "", nil)
	type written struct {
		message
		ciphertext []byte
	}
	var all []written
	var sorts []string // of the versions
	for i := range 4 {
		active, err := s.keys.ActiveBranchKey(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		sorts = append(sorts, "branch:version:"+formatUUID(active.Version))
		ours, their := s.managers(t, id, nil)
		for _, suiteID := range []suite.ID{suite.AES256GCMCommit, suite.AES256GCMCommitP384} {
			m := message{suite: lookup(suiteID), context: contexts[1], frameLength: 4096, plaintext: plaintext(100 + i)}
			exchange(t, official{}, symmetric("", ours, their), m)
			ciphertext, header, err := m.client().Encrypt(t.Context(), ours, m.plaintext, esdk.EncryptOptions{EncryptionContext: m.context})
			if err != nil {
				t.Fatal(err)
			}
			if got := [16]byte(header.EncryptedDataKeys[0].Ciphertext[28:]); got != active.Version {
				t.Errorf("encrypted with version %x, want %x", got, active.Version)
			}
			theirMessage, err := official{}.encrypt(t.Context(), their, m)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, written{m, ciphertext}, written{m, theirMessage})
		}
		s.rotate(t, i%2 == 0, id)
	}
	ours, their := s.managers(t, id, nil)
	for _, w := range all {
		got, _, err := w.client().Decrypt(t.Context(), ours, w.ciphertext, esdk.DecryptOptions{})
		if err != nil || !bytes.Equal(got, w.plaintext) {
			t.Errorf("we cannot read a message of an old version: %v", err)
		}
		got, _, err = official{}.decrypt(t.Context(), their, w.message, w.ciphertext)
		if err != nil || !bytes.Equal(got, w.plaintext) {
			t.Errorf("they cannot read a message of an old version: %v", err)
		}
	}
	// A version that is gone takes its messages with it, and no others.
	s.dynamo.change(t, tableName, itemKeys{id, sorts[0]}, func(a attributes) { clear(a) })
	for i, w := range all {
		// New managers each time: after a failure their cache lets the next one wait.
		ours, their := s.managers(t, id, nil)
		_, _, err := w.client().Decrypt(t.Context(), ours, w.ciphertext, esdk.DecryptOptions{})
		_, _, theirErr := official{}.decrypt(t.Context(), their, w.message, w.ciphertext)
		if gone := i < len(all)/len(sorts); gone != errors.Is(err, keyring.ErrBranchKeyNotFound) || gone != (theirErr != nil) {
			t.Errorf("message %d, without the first version: we say %v, they %v", i, err, theirErr)
		}
	}
}

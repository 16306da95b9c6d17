package kms

import (
	"encoding/hex"
	"fmt"
	"time"

	"github.com/keywright/keywright/internal/arn"
	"github.com/keywright/keywright/internal/kmsapi"
	"github.com/keywright/keywright/internal/policy"
)

// Paths of the records. Ids and Regions stand in the clear; names that people
// choose appear only as HMACs under a key of the deployment.
//
//	key/<account>/<region>/<key id>                 Key
//	material/<account>/<key id>/<material id>       Material
//	alias/<account>/<region>/<HMAC of name>         Alias
//	keyalias/<account>/<region>/<key id>/<HMAC>     aliasOfKey, an index
//	deletion/<due, ms>/<account>/<region>/<key id>  due, an index of the worker
//	tombstone/<account>/<region>/<key id>           Tombstone
//	erasure/<due, ms>/<account>/<region>/<key id>   due, an index of the worker

func keyPrefix(account, region string) []byte {
	return join("key/", account, "/", region, "/")
}

func keyPath(account, region, id string) []byte {
	return join("key/", account, "/", region, "/", id)
}

func materialPath(account, id string, material []byte) []byte {
	return hex.AppendEncode(materialPrefix(account, id), material)
}

func materialPrefix(account, id string) []byte {
	return join("material/", account, "/", id, "/")
}

func aliasPrefix(account, region string) []byte {
	return join("alias/", account, "/", region, "/")
}

func keyAliasPrefix(account, region, id string) []byte {
	return join("keyalias/", account, "/", region, "/", id, "/")
}

func tombstonePath(account, region, id string) []byte {
	return join("tombstone/", account, "/", region, "/", id)
}

func join(parts ...string) []byte {
	n := 0
	for _, p := range parts {
		n += len(p)
	}
	path := make([]byte, 0, n+2*materialIDSize)
	for _, p := range parts {
		path = append(path, p...)
	}
	return path
}

const materialIDSize = 32

// Versions of the records as this program writes them. Prepare refuses newer
// ones: a field that an old program does not know may forbid what it does.
const (
	keyVersion       = 1
	materialVersion  = 1
	aliasVersion     = 1
	tombstoneVersion = 1
	dueVersion       = 1
)

func checkVersion(what string, got, known int) error {
	if got < 1 || got > known {
		return fmt.Errorf("%s record of version %d; this keywright knows versions 1 to %d: use a newer one", what, got, known)
	}
	return nil
}

// Key is a KMS key without its material.
type Key struct {
	Version     int                 `json:"v"`
	Account     string              `json:"account"`
	Region      string              `json:"region"`
	ID          string              `json:"id"`
	Created     int64               `json:"created"` // milliseconds since 1970
	Description string              `json:"description,omitempty"`
	Spec        kmsapi.KeySpec      `json:"spec"`
	Usage       kmsapi.KeyUsageType `json:"usage"`
	Origin      kmsapi.OriginType   `json:"origin"`
	Disabled    bool                `json:"disabled,omitempty"`
	// Deletion is when a key that is pending deletion goes, in milliseconds
	// since 1970; zero for any other.
	Deletion int64  `json:"deletion,omitempty"`
	Material []byte `json:"material"` // id of the current material
	// Policy is the key policy as it was put; empty for the default one.
	Policy string `json:"policy,omitempty"`
	Tags   []Tag  `json:"tags,omitempty"`

	document *policy.Document
	resource arn.ARN
	arn      string // resource as text
	current  []byte // path of the current material
}

// Tag is one tag of a key. They keep the order in which they came.
type Tag struct {
	Key   string `json:"k"`
	Value string `json:"v"`
}

// Prepare checks the version and compiles what calls use of a decoded record.
func (k *Key) Prepare() (err error) {
	if err := checkVersion("key", k.Version, keyVersion); err != nil {
		return err
	}
	k.resource = keyARN(k)
	k.arn = k.resource.String()
	k.current = materialPath(k.Account, k.ID, k.Material)
	if k.Policy == "" {
		k.document = policy.DefaultDocument(k.resource.Partition, k.Account)
		return nil
	}
	k.document, err = policy.ParseKeyPolicy(k.Policy, nil)
	return err
}

// state is the key's state in the words of the API.
func (k *Key) state() kmsapi.KeyState {
	switch {
	case k.Deletion != 0:
		return kmsapi.KeyStatePendingDeletion
	case k.Disabled:
		return kmsapi.KeyStateDisabled
	default:
		return kmsapi.KeyStateEnabled
	}
}

// Material is key material as its Module sealed it.
type Material struct {
	Version int    `json:"v"`
	Token   []byte `json:"token"`
	Created int64  `json:"created"`
}

// Prepare checks the version.
func (m *Material) Prepare() error {
	return checkVersion("material", m.Version, materialVersion)
}

// Alias is a name for a key.
type Alias struct {
	Version int    `json:"v"`
	Name    string `json:"name"` // with "alias/"
	KeyID   string `json:"key"`
	Created int64  `json:"created"`
	Updated int64  `json:"updated"`
}

// Prepare checks the version.
func (a *Alias) Prepare() error { return checkVersion("alias", a.Version, aliasVersion) }

// aliasOfKey stands in the index from a key to its aliases; the path says all.
type aliasOfKey struct {
	Version int `json:"v"`
}

// Prepare checks the version.
func (a *aliasOfKey) Prepare() error { return checkVersion("alias index", a.Version, aliasVersion) }

// Tombstone is what is left of a deleted key until its material is erased.
type Tombstone struct {
	Version int   `json:"v"`
	Key     Key   `json:"key"`
	Deleted int64 `json:"deleted"`
}

// Prepare checks the version and prepares the key.
func (t *Tombstone) Prepare() error {
	if err := checkVersion("tombstone", t.Version, tombstoneVersion); err != nil {
		return err
	}
	return t.Key.Prepare()
}

// due stands in the worker's indexes; the path says all.
type due struct {
	Version int `json:"v"`
}

// Prepare checks the version.
func (d *due) Prepare() error { return checkVersion("work index", d.Version, dueVersion) }

func millis(t time.Time) int64 { return t.UnixMilli() }

func fromMillis(ms int64) time.Time { return time.UnixMilli(ms).UTC() }

package awskms

import (
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"
)

// BranchKeyItem is an item of a table of branch keys: its attributes by their
// types in DynamoDB, with their names there. It has no others.
//
// Each branch key has an item for each version, one more for the version that
// encrypts, and a beacon key, which is for searching encrypted tables and not
// used here. Their attributes are
//
//	branch-key-id      S  the partition key
//	type               S  the sort key: "branch:version:<uuid>", "branch:ACTIVE"
//	                      or "beacon:ACTIVE"
//	version            S  of branch:ACTIVE alone: the type of the version it is
//	create-time        S
//	kms-arn            S  the key of the service that encrypts it
//	aws-crypto-ec:...  S  the encryption context that Create was given
//	hierarchy-version  N  1
//	enc                B  the CiphertextBlob of the branch key
//
// The encryption context of enc is all other attributes, with the number as text,
// and "tablename", the logical name of the store.
type BranchKeyItem struct {
	Strings  map[string]string // S
	Numbers  map[string]string // N, as text
	Binaries map[string][]byte // B
}

func (item BranchKeyItem) empty() bool {
	return len(item.Strings)+len(item.Numbers)+len(item.Binaries) == 0
}

// The names of an item's attributes, and of what only the encryption context has.
const (
	attrID         = "branch-key-id" // the partition key
	attrType       = "type"          // the sort key
	attrVersion    = "version"       // of branch:ACTIVE alone
	attrCreateTime = "create-time"
	attrKMSKey     = "kms-arn"
	attrHierarchy  = "hierarchy-version"
	attrKey        = "enc"
	attrOwn        = "aws-crypto-ec:" // before the names of the caller
	contextTable   = "tablename"
)

// The values of attrType, and the one of attrHierarchy.
const (
	typeActive  = "branch:ACTIVE"
	typeVersion = "branch:version:" // and a UUID
	typeBeacon  = "beacon:ACTIVE"
	hierarchy   = "1"
)

// maxBranchKeyID is the longest partition key that DynamoDB takes, in bytes.
const maxBranchKeyID = 2048

func checkBranchKeyID(id string) error {
	if id == "" || len(id) > maxBranchKeyID || !utf8.ValidString(id) {
		return fmt.Errorf("esdk: the id of a branch key in a table must be UTF-8 of 1 to %d bytes", maxBranchKeyID)
	}
	return nil
}

// A branchKeyRing is what items are checked against: one key of the service, or
// the replicas of one, and the name of the store.
type branchKeyRing struct {
	name        string
	keyID       string
	matches     func(configured, found string) bool
	grantTokens []string
}

// check says whether the item is what was asked for, a branch key of this ring. It
// returns the encryption context of its key, and which version that is.
//
// The service authenticates the context too. What it cannot know is that this is
// the item that was asked for, and of the form that is understood here.
func (r *branchKeyRing) check(item BranchKeyItem, id, kind string) (context map[string]string, version [16]byte, err error) {
	if key := item.Binaries[attrKey]; len(item.Binaries) != 1 || len(key) == 0 {
		return nil, version, errors.New("it must have one binary attribute, " + attrKey)
	}
	if v := item.Numbers[attrHierarchy]; len(item.Numbers) != 1 || v != hierarchy {
		return nil, version, fmt.Errorf("it must have one number, %s %s, and has %q", attrHierarchy, hierarchy, item.Numbers)
	}
	required := []string{attrID, attrType, attrCreateTime, attrKMSKey}
	if kind == typeActive {
		required = append(required, attrVersion)
	} else if version, err = parseBranchKeyVersion(kind); err != nil {
		return nil, version, err
	}
	for _, name := range required {
		if item.Strings[name] == "" {
			return nil, version, fmt.Errorf("it has no attribute %q", name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(item.Strings)) {
		value := item.Strings[name]
		switch {
		case !utf8.ValidString(name) || !utf8.ValidString(value):
			err = errors.New("is not UTF-8")
		case name == attrID:
			err = mustBe(value, id)
		case name == attrType:
			err = mustBe(value, kind)
		case name == attrCreateTime:
			// The service authenticates it, and nothing here depends on it.
		case name == attrKMSKey:
			err = r.checkKey(value)
		case name == attrVersion && kind == typeActive:
			version, err = parseBranchKeyVersion(value)
		case !strings.HasPrefix(name, attrOwn):
			err = errors.New("is not one of a branch key")
		}
		if err != nil {
			return nil, version, fmt.Errorf("its attribute %q %w", name, err)
		}
	}
	context = maps.Clone(item.Strings)
	context[attrHierarchy] = hierarchy
	context[contextTable] = r.name
	return context, version, nil
}

func (r *branchKeyRing) checkKey(found string) error {
	if _, err := parseKeyARN(found); err != nil {
		return fmt.Errorf("is %q, %w", found, err)
	}
	if !r.matches(r.keyID, found) {
		return fmt.Errorf("is %s, the configured key is %s", found, r.keyID)
	}
	return nil
}

func mustBe(got, want string) error {
	if got != want {
		return fmt.Errorf("is %q, asked for was %q", got, want)
	}
	return nil
}

// newBranchKeyItem is the item of a key that is encrypted with the context.
func newBranchKeyItem(context map[string]string, key []byte) BranchKeyItem {
	attributes := maps.Clone(context)
	delete(attributes, attrHierarchy)
	delete(attributes, contextTable)
	return BranchKeyItem{
		Strings:  attributes,
		Numbers:  map[string]string{attrHierarchy: context[attrHierarchy]},
		Binaries: map[string][]byte{attrKey: key},
	}
}

// formatBranchKeyVersion returns the sort key of a version.
func formatBranchKeyVersion(version [16]byte) string { return typeVersion + formatUUID(version) }

func formatUUID(u [16]byte) string {
	return fmt.Sprintf("%x-%x-%x-%x-%x", u[:4], u[4:6], u[6:8], u[8:10], u[10:])
}

// parseBranchKeyVersion takes a sort key for what formatBranchKeyVersion returns,
// and nothing else: another spelling of a UUID would name another item.
func parseBranchKeyVersion(s string) (version [16]byte, err error) {
	b, err := hex.DecodeString(strings.ReplaceAll(strings.TrimPrefix(s, typeVersion), "-", ""))
	if err == nil && len(b) == len(version) {
		version = [16]byte(b)
	}
	if formatBranchKeyVersion(version) != s {
		return [16]byte{}, fmt.Errorf("is %q, which names no version of a branch key", s)
	}
	return version, nil
}

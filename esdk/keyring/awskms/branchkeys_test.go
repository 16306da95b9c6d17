package awskms_test

import (
	"bytes"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"

	"github.com/keywright/keywright/esdk/keyring"
	"github.com/keywright/keywright/esdk/keyring/awskms"
	"github.com/keywright/keywright/esdk/keyring/keyringtest"
	"github.com/keywright/keywright/kmstest"
)

const (
	storeName  = "Schlüssel"
	branchID   = "tenant/ключ 𝄞"
	activeSort = "branch:ACTIVE"
)

// branchStore is a table with its reader and its administration.
type branchStore struct {
	*awskms.BranchKeys
	admin  *awskms.BranchKeyAdmin
	table  *memoryTable
	config awskms.BranchKeyConfig
}

type branchClient interface {
	awskms.Decrypter
	awskms.BranchKeyAdminClient
}

func newBranchStore(t *testing.T, client branchClient, cfg awskms.BranchKeyConfig) branchStore {
	t.Helper()
	table := new(memoryTable)
	keys, err := awskms.NewBranchKeys(client, table, cfg)
	if err != nil {
		t.Fatal(err)
	}
	admin, err := awskms.NewBranchKeyAdmin(client, table, cfg)
	if err != nil {
		t.Fatal(err)
	}
	return branchStore{keys, admin, table, cfg}
}

// create makes the branch key of branchID and returns its first version.
func (s branchStore) create(t *testing.T) keyring.BranchKey {
	t.Helper()
	if _, err := s.admin.Create(t.Context(), branchID, testContext); err != nil {
		t.Fatal(err)
	}
	return s.active(t)
}

func (s branchStore) active(t *testing.T) keyring.BranchKey {
	t.Helper()
	key, err := s.ActiveBranchKey(t.Context(), branchID)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func (s branchStore) version(t *testing.T, version [16]byte) keyring.BranchKey {
	t.Helper()
	key, err := s.BranchKeyVersion(t.Context(), branchID, version)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func TestBranchKeys(t *testing.T) {
	t.Parallel()
	srv := kmstest.NewServer(t)
	client := newClient(srv, srv.Credentials, srv.Region)
	s := newBranchStore(t, client, awskms.BranchKeyConfig{Name: storeName, KeyID: createKey(t, client)})
	if _, err := s.ActiveBranchKey(t.Context(), branchID); !errors.Is(err, keyring.ErrBranchKeyNotFound) {
		t.Errorf("an empty table: %v, want %v", err, keyring.ErrBranchKeyNotFound)
	}
	if _, err := s.admin.Rotate(t.Context(), branchID); !errors.Is(err, keyring.ErrBranchKeyNotFound) {
		t.Errorf("rotating in an empty table: %v, want %v", err, keyring.ErrBranchKeyNotFound)
	}
	one := s.create(t)
	if one.ID != branchID || one.Key == [32]byte{} || s.version(t, one.Version) != one {
		t.Errorf("the active branch key is %v", one)
	}
	version, err := s.admin.Rotate(t.Context(), branchID)
	if err != nil {
		t.Fatal(err)
	}
	two := s.active(t)
	if two.Version != version || two.Version == one.Version || two.Key == one.Key || s.version(t, version) != two {
		t.Errorf("after the rotation the active branch key is %v, want version %x", two, version)
	}
	if s.version(t, one.Version) != one {
		t.Error("the rotation changed the first version")
	}
	if _, err := s.BranchKeyVersion(t.Context(), branchID, [16]byte{1}); !errors.Is(err, keyring.ErrBranchKeyNotFound) {
		t.Errorf("a version that is not there: %v, want %v", err, keyring.ErrBranchKeyNotFound)
	}
	for _, id := range []string{"", "\xff", strings.Repeat("x", 2049)} {
		if _, err := s.ActiveBranchKey(t.Context(), id); err == nil || errors.Is(err, keyring.ErrBranchKeyNotFound) {
			t.Errorf("id %.9q: %v", id, err)
		}
	}
	s.table.err = errors.New("throttled")
	if _, err := s.ActiveBranchKey(t.Context(), branchID); !errors.Is(err, s.table.err) {
		t.Errorf("the table fails: %v", err)
	}
}

// The items, as AWS's key stores have them. That those read them, and write the
// same, is tested in the module interop.
func TestBranchKeyItems(t *testing.T) {
	t.Parallel()
	srv := kmstest.NewServer(t)
	client := newClient(srv, srv.Credentials, srv.Region)
	key := createKey(t, client)
	s := newBranchStore(t, client, awskms.BranchKeyConfig{Name: storeName, KeyID: key})
	start := time.Now().Truncate(time.Microsecond)
	one := s.create(t)
	versionSort := awskms.FormatBranchKeyVersion(one.Version)
	if one.Version[6]>>4 != 4 || one.Version[8]>>6 != 2 {
		t.Errorf("version %x is no random UUID", one.Version)
	}
	if len(s.table.items) != 3 {
		t.Fatalf("%d items, want 3", len(s.table.items))
	}
	keys := map[string][]byte{}
	for _, sort := range []string{activeSort, versionSort, "beacon:ACTIVE"} {
		item := s.table.items[[2]string{branchID, sort}]
		created, err := time.Parse("2006-01-02T15:04:05.000000Z", item.Strings["create-time"])
		if err != nil || created.Before(start) || created.After(time.Now()) {
			t.Errorf("%s was made at %q, %v", sort, item.Strings["create-time"], err)
		}
		want := map[string]string{
			"branch-key-id": branchID, "type": sort, "create-time": item.Strings["create-time"], "kms-arn": key,
			"aws-crypto-ec:tenant": "acme", "aws-crypto-ec:ключ": "𝄞",
		}
		if sort == activeSort {
			want["version"] = versionSort
		}
		if !maps.Equal(item.Strings, want) {
			t.Errorf("the strings of %s are %q, want %q", sort, item.Strings, want)
		}
		if !maps.Equal(item.Numbers, map[string]string{"hierarchy-version": "1"}) || len(item.Binaries) != 1 {
			t.Errorf("%s has numbers %q and %d binaries", sort, item.Numbers, len(item.Binaries))
		}
		want["hierarchy-version"], want["tablename"] = "1", storeName
		out, err := client.Decrypt(t.Context(), &kms.DecryptInput{CiphertextBlob: item.Binaries["enc"], KeyId: &key, EncryptionContext: want})
		if err != nil || len(out.Plaintext) != 32 {
			t.Fatalf("the service does not decrypt %s: %v", sort, err)
		}
		keys[sort] = out.Plaintext
	}
	if !bytes.Equal(keys[activeSort], one.Key[:]) || !bytes.Equal(keys[versionSort], one.Key[:]) {
		t.Error("the items do not hold the branch key")
	}
	if bytes.Equal(keys["beacon:ACTIVE"], one.Key[:]) {
		t.Error("the beacon key is the branch key")
	}
}

// What the table or the service does wrong is refused; each case is wrong in one
// respect. Some the service alone can tell, and it is asked of no others.
func TestBranchKeyItemChanged(t *testing.T) {
	t.Parallel()
	srv := kmstest.NewServer(t)
	client := &counting{Client: newClient(srv, srv.Credentials, srv.Region)}
	both := struct {
		*counting
		awskms.BranchKeyAdminClient
	}{client, client.Client.(*kms.Client)}
	key, otherKey := createKey(t, client.Client.(*kms.Client)), createKey(t, client.Client.(*kms.Client))
	s := newBranchStore(t, both, awskms.BranchKeyConfig{Name: storeName, KeyID: key})
	one := s.create(t)
	if _, err := s.admin.Rotate(t.Context(), branchID); err != nil {
		t.Fatal(err)
	}
	two := s.active(t)
	if _, err := s.admin.Create(t.Context(), "other", testContext); err != nil {
		t.Fatal(err)
	}
	sortOne, sortTwo := awskms.FormatBranchKeyVersion(one.Version), awskms.FormatBranchKeyVersion(two.Version)
	item := func(id, sort string) awskms.BranchKeyItem { return s.table.items[[2]string{id, sort}] }
	set := func(name, value string) func(*awskms.BranchKeyItem) {
		return func(i *awskms.BranchKeyItem) { i.Strings[name] = value }
	}
	without := func(name string) func(*awskms.BranchKeyItem) {
		return func(i *awskms.BranchKeyItem) { delete(i.Strings, name) }
	}
	const service = "InvalidCiphertextException"
	type change struct {
		name   string
		change func(*awskms.BranchKeyItem)
		want   string
	}
	ofBoth := []change{
		{"another id", set("branch-key-id", "other"), `"branch-key-id" is "other"`},
		{"no id", without("branch-key-id"), `no attribute "branch-key-id"`},
		{"the other's item", func(i *awskms.BranchKeyItem) { *i = item("other", activeSort) }, `"branch-key-id" is "other"`},
		{"another type", set("type", "beacon:ACTIVE"), `"type" is "beacon:ACTIVE"`},
		{"no type", without("type"), `no attribute "type"`},
		{"another item's", func(i *awskms.BranchKeyItem) { *i = cloneItem(item(branchID, "beacon:ACTIVE")) }, ""},
		{"another time", set("create-time", "2023-06-03T19:03:29.358000Z"), service},
		{"an empty time", set("create-time", ""), `no attribute "create-time"`},
		{"no time", without("create-time"), `no attribute "create-time"`},
		{"another key", set("kms-arn", otherKey), "the configured key is " + key},
		{"an alias", set("kms-arn", strings.Replace(key, ":key/", ":alias/", 1)), "not an ARN of the form"},
		{"a bare id", set("kms-arn", key[strings.LastIndexByte(key, '/')+1:]), "not an ARN of the form"},
		{"no key", without("kms-arn"), `no attribute "kms-arn"`},
		{"another value", set("aws-crypto-ec:tenant", "evil"), service},
		{"a value less", without("aws-crypto-ec:tenant"), service},
		{"a value more", set("aws-crypto-ec:admin", "yes"), service},
		{"a value that is not UTF-8", set("aws-crypto-ec:tenant", "\xff"), "is not UTF-8"},
		{"a name that is not UTF-8", set("aws-crypto-ec:\xff", ""), "is not UTF-8"},
		{"an attribute more", set("tablename", storeName), "is not one of a branch key"},
		{"a string for a number", set("hierarchy-version", "1"), "is not one of a branch key"},
		{"hierarchy version 2", func(i *awskms.BranchKeyItem) { i.Numbers["hierarchy-version"] = "2" }, "hierarchy-version 1"},
		{"hierarchy version 1.0", func(i *awskms.BranchKeyItem) { i.Numbers["hierarchy-version"] = "1.0" }, "hierarchy-version 1"},
		{"no hierarchy version", func(i *awskms.BranchKeyItem) { clear(i.Numbers) }, "hierarchy-version 1"},
		{"two numbers", func(i *awskms.BranchKeyItem) { i.Numbers["x"] = "1" }, "must have one number"},
		{"no key material", func(i *awskms.BranchKeyItem) { clear(i.Binaries) }, "one binary attribute"},
		{"empty key material", func(i *awskms.BranchKeyItem) { i.Binaries["enc"] = nil }, "one binary attribute"},
		{"two binaries", func(i *awskms.BranchKeyItem) { i.Binaries["enc2"] = i.Binaries["enc"] }, "one binary attribute"},
		{"another name of the key material", func(i *awskms.BranchKeyItem) { i.Binaries = map[string][]byte{"Enc": i.Binaries["enc"]} }, "one binary attribute"},
		{"a flipped bit", func(i *awskms.BranchKeyItem) { i.Binaries["enc"][len(i.Binaries["enc"])-1] ^= 1 }, service},
		{"another's key material", func(i *awskms.BranchKeyItem) { i.Binaries["enc"] = item("other", activeSort).Binaries["enc"] }, service},
		{"the first version's key material", func(i *awskms.BranchKeyItem) { i.Binaries["enc"] = item(branchID, sortOne).Binaries["enc"] }, service},
	}
	ofActive := []change{
		{"the old version", set("version", sortOne), service},
		{"no version", without("version"), `no attribute "version"`},
		{"itself", set("version", activeSort), "names no version"},
		{"a bare UUID", set("version", strings.TrimPrefix(sortTwo, "branch:version:")), "names no version"},
		{"a UUID in capitals", set("version", "branch:version:"+strings.ToUpper(strings.TrimPrefix(sortTwo, "branch:version:"))), "names no version"},
		{"a UUID without dashes", set("version", strings.ReplaceAll(sortTwo, "-", "")), "names no version"},
		{"a long UUID", set("version", sortTwo+"00"), "names no version"},
		{"an empty version", set("version", ""), `no attribute "version"`},
	}
	ofVersion := []change{
		{"a version's version", set("version", sortTwo), "is not one of a branch key"},
		{"the first version's item", func(i *awskms.BranchKeyItem) { *i = cloneItem(item(branchID, sortOne)) }, `"type" is "` + sortOne},
		{"the first version's item renamed", func(i *awskms.BranchKeyItem) {
			*i = cloneItem(item(branchID, sortOne))
			i.Strings["type"] = sortTwo
		}, service},
	}
	for sort, changes := range map[string][]change{
		activeSort: slices.Concat(ofBoth, ofActive),
		sortTwo:    slices.Concat(ofBoth, ofVersion),
	} {
		for _, c := range changes {
			t.Run(sort[:len("branch:A")]+"/"+c.name, func(t *testing.T) {
				s.table.change(t, branchID, sort, c.change)
				before := client.calls.Load()
				var got keyring.BranchKey
				var err error
				if sort == activeSort {
					got, err = s.ActiveBranchKey(t.Context(), branchID)
				} else {
					got, err = s.BranchKeyVersion(t.Context(), branchID, two.Version)
				}
				if err == nil || !strings.Contains(err.Error(), c.want) || got != (keyring.BranchKey{}) {
					t.Errorf("%v, want %q", err, c.want)
				}
				if asked := client.calls.Load() > before; asked != (c.want == service) {
					t.Errorf("the service was asked: %v", asked)
				}
				if _, err := s.admin.Rotate(t.Context(), branchID); sort == activeSort && (err == nil || !strings.Contains(err.Error(), c.want)) {
					t.Errorf("rotating: %v, want %q", err, c.want)
				}
			})
		}
	}
	// The key material is bound to the store's name.
	cfg := s.config
	cfg.Name = "another"
	renamed, err := awskms.NewBranchKeys(client, s.table, cfg)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := renamed.ActiveBranchKey(t.Context(), branchID); err == nil || !strings.Contains(err.Error(), service) {
		t.Errorf("under another name: %v", err)
	}
}

// An answer that is not of the configured key, or no branch key, is refused and
// wiped.
func TestBranchKeyAnswers(t *testing.T) {
	t.Parallel()
	srv := kmstest.NewServer(t)
	client := newClient(srv, srv.Credentials, srv.Region)
	s := newBranchStore(t, client, awskms.BranchKeyConfig{Name: storeName, KeyID: createKey(t, client)})
	s.create(t)
	for _, c := range []struct {
		name   string
		change func(keyID **string, plaintext, _ *[]byte)
		want   string
	}{
		{"another key", func(id **string, _, _ *[]byte) { *id = aws.String(keyEast) }, "the answer is of key"},
		{"short", func(_ **string, p, _ *[]byte) { *p = (*p)[:31] }, "decrypts to 31 bytes"},
		{"long", func(_ **string, p, _ *[]byte) { *p = append(*p, 1) }, "decrypts to 33 bytes"},
		{"none", func(_ **string, p, _ *[]byte) { *p = nil }, "decrypts to 0 bytes"},
		{"unchanged", func(**string, *[]byte, *[]byte) {}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			var plaintext []byte
			keys, err := awskms.NewBranchKeys(altered{Client: client, decrypt: func(id **string, p, b *[]byte) {
				c.change(id, p, b)
				plaintext = *p
			}}, s.table, s.config)
			if err != nil {
				t.Fatal(err)
			}
			got, err := keys.ActiveBranchKey(t.Context(), branchID)
			if c.want == "" && (err != nil || got != s.active(t)) || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want) || got.Key != [32]byte{}) {
				t.Errorf("%v, %v, want %q", got, err, c.want)
			}
			if slices.ContainsFunc(plaintext, func(b byte) bool { return b != 0 }) {
				t.Error("the plaintext was not wiped")
			}
		})
	}
}

func TestBranchKeyPermissions(t *testing.T) {
	t.Parallel()
	srv := kmstest.NewServer(t)
	client := newClient(srv, srv.Credentials, srv.Region)
	key := createKey(t, client)
	s := newBranchStore(t, client, awskms.BranchKeyConfig{Name: storeName, KeyID: key})
	s.create(t)
	if _, err := client.DisableKey(t.Context(), &kms.DisableKeyInput{KeyId: &key}); err != nil {
		t.Fatal(err)
	}
	_, reading := s.ActiveBranchKey(t.Context(), branchID)
	_, rotating := s.admin.Rotate(t.Context(), branchID)
	_, creating := s.admin.Create(t.Context(), "", nil)
	for name, err := range map[string]error{"reading": reading, "rotating": rotating, "creating": creating} {
		if _, ok := errors.AsType[*types.DisabledException](err); !ok {
			t.Errorf("%s with a disabled key: %v, want a DisabledException", name, err)
		}
	}
}

// The hierarchical keyring over such a store keeps the contract of keyrings, and
// reads old messages after a rotation.
func TestBranchKeysKeyring(t *testing.T) {
	t.Parallel()
	srv := kmstest.NewServer(t)
	client := newClient(srv, srv.Credentials, srv.Region)
	s := newBranchStore(t, client, awskms.BranchKeyConfig{Name: storeName, KeyID: createKey(t, client)})
	one := s.create(t)
	newKeyring := func() *keyring.Hierarchical {
		k, err := keyring.NewHierarchical(keyring.HierarchicalConfig{Store: s, BranchKeyID: branchID, TTL: time.Hour})
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	keyringtest.Run(t, newKeyring(), keyringtest.Options{FlipEvery: 101})
	old := encrypt(t, newKeyring())
	version, err := s.admin.Rotate(t.Context(), branchID)
	if err != nil {
		t.Fatal(err)
	}
	after := encrypt(t, newKeyring())
	for _, c := range []struct {
		ciphertext []byte
		version    [16]byte
	}{{old.EncryptedDataKeys[0].Ciphertext, one.Version}, {after.EncryptedDataKeys[0].Ciphertext, version}} {
		if got := [16]byte(c.ciphertext[28:]); got != c.version {
			t.Errorf("encrypted with version %x, want %x", got, c.version)
		}
	}
	opens(t, newKeyring(), old)
	opens(t, newKeyring(), after)
}

func TestNewBranchKeys(t *testing.T) {
	client, table := standIn("us-east-1"), new(memoryTable)
	good := awskms.BranchKeyConfig{Name: "name", KeyID: mrkEast}
	if _, err := awskms.NewBranchKeys(client, table, good); err != nil {
		t.Fatal(err)
	}
	if _, err := awskms.NewBranchKeys(nil, table, good); err == nil {
		t.Error("no client: no error")
	}
	if _, err := awskms.NewBranchKeys(client, nil, good); err == nil {
		t.Error("no table: no error")
	}
	admin := standInBranchKMS{client}
	if _, err := awskms.NewBranchKeyAdmin(nil, table, good); err == nil {
		t.Error("administration without a client: no error")
	}
	if _, err := awskms.NewBranchKeyAdmin(admin, nil, good); err == nil {
		t.Error("administration without a table: no error")
	}
	for name, change := range map[string]func(*awskms.BranchKeyConfig){
		"no name":             func(c *awskms.BranchKeyConfig) { c.Name = "" },
		"a name not in UTF-8": func(c *awskms.BranchKeyConfig) { c.Name = "\xff" },
		"no key":              func(c *awskms.BranchKeyConfig) { c.KeyID = "" },
		"an alias":            func(c *awskms.BranchKeyConfig) { c.KeyID = aliasEast },
		"a bare id":           func(c *awskms.BranchKeyConfig) { c.KeyID = "1234abcd-12ab-34cd-56ef-1234567890ab" },
		"11 grant tokens":     func(c *awskms.BranchKeyConfig) { c.GrantTokens = slices.Repeat([]string{"t"}, 11) },
	} {
		cfg := good
		change(&cfg)
		if _, err := awskms.NewBranchKeys(client, table, cfg); err == nil {
			t.Errorf("%s: no error", name)
		}
		if _, err := awskms.NewBranchKeyAdmin(admin, table, cfg); err == nil {
			t.Errorf("administration, %s: no error", name)
		}
	}
}

func FuzzBranchKeyVersion(f *testing.F) {
	f.Add("branch:version:01234567-89ab-4def-8123-456789abcdef")
	f.Add("branch:version:01234567-89AB-4DEF-8123-456789ABCDEF")
	f.Add("branch:version:0123456789ab4def8123456789abcdef")
	f.Add("branch:version:")
	f.Add("branch:ACTIVE")
	f.Fuzz(func(t *testing.T, s string) {
		version, err := awskms.ParseBranchKeyVersion(s)
		if err == nil && awskms.FormatBranchKeyVersion(version) != s {
			t.Errorf("%q was taken for version %x", s, version)
		}
		if err != nil && version != [16]byte{} {
			t.Errorf("%q: version %x in spite of %v", s, version, err)
		}
	})
}

// An item that is taken is the one that its encryption context makes: nothing of
// it is left unauthenticated.
func FuzzBranchKeyItem(f *testing.F) {
	const sort = "branch:version:01234567-89ab-4def-8123-456789abcdef"
	f.Add("id", sort, "", "2023-06-03T19:03:29.358000Z", mrkEast, "aws-crypto-ec:a", "b", "1", []byte("key"))
	f.Add("id", activeSort, sort, "2023-06-03T19:03:29.358000Z", mrkWest, "tablename", "b", "1", []byte("key"))
	f.Fuzz(func(t *testing.T, id, kind, version, created, key, name, value, hierarchy string, enc []byte) {
		item := awskms.BranchKeyItem{
			Strings:  map[string]string{"branch-key-id": id, "type": kind, "create-time": created, "kms-arn": key, name: value},
			Numbers:  map[string]string{"hierarchy-version": hierarchy},
			Binaries: map[string][]byte{"enc": enc},
		}
		if version != "" {
			item.Strings["version"] = version
		}
		context, again, err := awskms.CheckBranchKeyItem(awskms.BranchKeyConfig{Name: "name", KeyID: mrkEast, MultiRegion: true}, item, id, kind)
		if err != nil {
			return
		}
		if !maps.Equal(again.Strings, item.Strings) || !maps.Equal(again.Numbers, item.Numbers) || !bytes.Equal(again.Binaries["enc"], enc) {
			t.Errorf("%q became %q", item, again)
		}
		if len(context) != len(item.Strings)+2 || context["tablename"] != "name" || context["hierarchy-version"] != "1" {
			t.Errorf("context %q", context)
		}
	})
}

package system_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.etcd.io/bbolt"

	"github.com/keywright/keywright/internal/seal"
	"github.com/keywright/keywright/internal/store/boltstore"
)

// needle is something that must not be found.
type needle struct {
	what  string
	bytes []byte
}

// forms are the ways in which bytes may stand in a file.
func (n needle) forms() [][]byte {
	escaped, _ := json.Marshal(string(n.bytes))
	return [][]byte{
		n.bytes,
		[]byte(hex.EncodeToString(n.bytes)),
		[]byte(strings.ToUpper(hex.EncodeToString(n.bytes))),
		[]byte(base64.StdEncoding.EncodeToString(n.bytes)),
		[]byte(base64.RawURLEncoding.EncodeToString(n.bytes)),
		bytes.Trim(escaped, `"`),
	}
}

// TestNothingInTheClear reads every file of the data folder as bytes. The audit
// log shows names, and the credentials file the access key: that is what they
// are for. The root key is on another volume.
func TestNothingInTheClear(t *testing.T) {
	data, elsewhere := t.TempDir(), t.TempDir()
	rootKey := filepath.Join(elsewhere, "root.key")
	p := start(t, data, "--root-key", rootKey)
	c := p.client()
	account := c.must(t, "CreateKey", m{})["KeyMetadata"].(m)["AWSAccountId"].(string)
	policy := fmt.Sprintf(`{"Version":"2012-10-17","Statement":[{"Sid":"NeedleOfPolicy","Effect":"Allow","Principal":{"AWS":"arn:aws:iam::%s:root"},"Action":"kms:*","Resource":"*"}]}`, account)
	id := c.newKey(t, m{"Description": "needle of a description", "Policy": policy, "Tags": []m{{"TagKey": "needle-of-tag-key", "TagValue": "needle-of-tag-value"}}})
	c.must(t, "CreateAlias", m{"AliasName": "alias/needle-of-alias", "TargetKeyId": id})
	c.must(t, "UpdateKeyDescription", m{"KeyId": id, "Description": "needle of another description"})
	c.must(t, "Encrypt", m{"KeyId": id, "Plaintext": []byte("needle of a plaintext")})
	dataKey, err := base64.StdEncoding.DecodeString(c.must(t, "GenerateDataKey", m{"KeyId": id, "KeySpec": "AES_256"})["Plaintext"].(string))
	if err != nil || len(dataKey) != 32 {
		t.Fatalf("a data key of %d bytes, %v", len(dataKey), err)
	}
	p.kill() // what a crash leaves must be sealed as well

	secrets := []needle{
		{"description", []byte("needle of a description")},
		{"second description", []byte("needle of another description")},
		{"tag key", []byte("needle-of-tag-key")},
		{"tag value", []byte("needle-of-tag-value")},
		{"alias", []byte("needle-of-alias")},
		{"policy", []byte("NeedleOfPolicy")},
		{"plaintext", []byte("needle of a plaintext")},
		{"data key", dataKey},
	}
	inLog := append(secrets, sealedSecrets(t, data, rootKey)...)
	files := 0
	err = filepath.WalkDir(data, func(path string, e fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case e.IsDir() && e.Name() == "audit":
			return fs.SkipDir
		case !e.Type().IsRegular() || e.Name() == "credentials":
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		files++
		for _, n := range inLog {
			for _, form := range n.forms() {
				if bytes.Contains(text, form) {
					t.Errorf("%s contains a %s", e.Name(), n.what)
				}
			}
			if strings.Contains(path, string(n.bytes)) {
				t.Errorf("the name %s contains a %s", path, n.what)
			}
		}
		return nil
	})
	if err != nil || files == 0 {
		t.Fatalf("read %d files, %v", files, err)
	}
	for _, n := range inLog {
		for _, form := range n.forms() {
			if strings.Contains(p.log.String(), string(form)) || strings.Contains(p.out.String(), string(form)) {
				t.Errorf("the operator's log contains a %s", n.what)
			}
		}
	}
	// Of the secrets, the audit log has none either.
	for path := range auditFiles(t, data) {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range inLog {
			if n.what == "data key" || n.what == "plaintext" || strings.HasPrefix(n.what, "sealed ") {
				for _, form := range n.forms() {
					if bytes.Contains(text, form) {
						t.Errorf("the audit log contains a %s", n.what)
					}
				}
			}
		}
	}
}

// sealedSecrets unlocks the store as the server does and returns what it keeps
// sealed: the root key, the domain keys, which open all key material, and the
// tokens of the material and of the access keys' secrets.
func sealedSecrets(t *testing.T, data, rootKey string) []needle {
	t.Helper()
	text, err := os.ReadFile(rootKey)
	if err != nil {
		t.Fatal(err)
	}
	secrets := []needle{{"sealed root key", bytes.TrimSpace(text)}}
	credentials, err := os.ReadFile(filepath.Join(data, "credentials"))
	if err != nil {
		t.Fatal(err)
	}
	_, secret, _ := strings.Cut(string(credentials), "aws_secret_access_key = ")
	secrets = append(secrets, needle{"sealed secret of an access key", []byte(strings.TrimSpace(secret))})
	st, err := boltstore.Open(filepath.Join(data, "store.db"), boltstore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	keyring, err := seal.Unlock(t.Context(), st, &seal.RootKeyFile{Path: rootKey})
	if err != nil {
		t.Fatal(err)
	}
	defer keyring.Close()
	v, err := st.Snapshot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	found := map[string]int{}
	for e, err := range v.Scan([]byte("a"), nil) {
		if err != nil {
			t.Fatal(err)
		}
		kind, _, _ := strings.Cut(string(e.Key), "/")
		if kind != "hsm" && kind != "material" && kind != "accesskey" {
			continue
		}
		plain, err := keyring.Open(string(e.Key), e.Value)
		if err != nil {
			t.Fatal(err)
		}
		var rec struct {
			Keys          map[string][]byte // of hsm/domain
			Token, Secret []byte
		}
		if err := json.Unmarshal(plain, &rec); err != nil {
			t.Fatal(err)
		}
		for _, secret := range append([][]byte{rec.Token, rec.Secret}, rec.Keys["1"]) {
			if len(secret) > 0 {
				found[kind]++
				secrets = append(secrets, needle{"sealed value of " + kind, secret})
			}
		}
	}
	if len(found) != 3 {
		t.Fatalf("the store has the secrets %v, want some of hsm, material and accesskey", found)
	}
	return secrets
}

func auditFiles(t *testing.T, data string) map[string]bool {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(data, "audit"))
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]bool{}
	for _, e := range entries {
		files[filepath.Join(data, "audit", e.Name())] = true
	}
	return files
}

// TestRootKey: without the right root key the server does not start, says so,
// makes no other, and leaves the store as it is.
func TestRootKey(t *testing.T) {
	data, elsewhere := t.TempDir(), t.TempDir()
	rootKey := filepath.Join(elsewhere, "root.key")
	p := start(t, data, "--root-key", rootKey)
	id := p.client().newKey(t, m{})
	if err := p.stop(); err != nil {
		t.Fatal(err)
	}
	other := start(t, t.TempDir())
	if err := other.stop(); err != nil {
		t.Fatal(err)
	}
	empty := filepath.Join(elsewhere, "empty")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	before := hashFile(t, filepath.Join(data, "store.db"))
	for name, key := range map[string]string{
		"missing":              filepath.Join(elsewhere, "none"),
		"missing in data":      filepath.Join(data, "root.key"),
		"of another store":     filepath.Join(other.data, "root.key"),
		"an empty file":        empty,
		"a folder":             elsewhere,
		"not a key":            filepath.Join(data, "credentials"),
		"the store, of course": filepath.Join(data, "store.db"),
	} {
		p, err := tryStart(t, data, "--root-key", key)
		if err == nil {
			t.Errorf("%s: the server starts", name)
			p.kill()
		}
		if !strings.Contains(p.log.String(), "key") {
			t.Errorf("%s: it says only %q", name, p.log)
		}
		if after := hashFile(t, filepath.Join(data, "store.db")); after != before {
			t.Fatalf("%s: the store is changed", name)
		}
	}
	for _, path := range []string{filepath.Join(elsewhere, "none"), filepath.Join(data, "root.key")} {
		if _, err := os.Stat(path); err == nil {
			t.Errorf("a root key was made beside existing data, at %s", path)
		}
	}
	p = start(t, data, "--root-key", rootKey)
	p.client().must(t, "Encrypt", m{"KeyId": id, "Plaintext": []byte("x")})
}

func hashFile(t *testing.T, path string) [32]byte {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return sha256.Sum256(text)
}

// TestTamperedRecord changes records of a stopped server's store by one bit, or
// moves them to another path. Nothing of them is believed, and the operator is
// told which it was.
func TestTamperedRecord(t *testing.T) {
	data := t.TempDir()
	p := start(t, data)
	c := p.client()
	meta := c.must(t, "CreateKey", m{"Description": "first"})["KeyMetadata"].(m)
	id, account := meta["KeyId"].(string), meta["AWSAccountId"].(string)
	other := c.newKey(t, m{"Description": "second"})
	c.must(t, "CreateAlias", m{"AliasName": "alias/first", "TargetKeyId": id})
	blob := c.must(t, "Encrypt", m{"KeyId": id, "Plaintext": []byte("text")})["CiphertextBlob"]
	if err := p.stop(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(data, "store.db")
	sound, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}

	scope := account + "/" + region + "/"
	for _, tt := range []struct {
		prefix, from string // the record to spoil, and one to put in its place
		operation    string
		in           m
		code         string
		unharmed     bool // other keys go on working
	}{
		{"key/" + scope + id, "key/" + scope + other, "DescribeKey", m{"KeyId": id}, "KMSInternalException", true},
		{"key/" + scope + id, "key/" + scope + other, "Decrypt", m{"CiphertextBlob": blob}, "KMSInternalException", true},
		{"key/" + scope + id, "key/" + scope + other, "UpdateKeyDescription", m{"KeyId": id, "Description": "new"}, "KMSInternalException", true},
		{"material/" + account + "/" + id, "material/" + account + "/" + other, "Encrypt", m{"KeyId": id, "Plaintext": []byte("x")}, "KMSInternalException", true},
		{"material/" + account + "/" + id, "material/" + account + "/" + other, "Decrypt", m{"CiphertextBlob": blob}, "KMSInternalException", true},
		{"alias/" + scope, "keyalias/" + scope, "DescribeKey", m{"KeyId": "alias/first"}, "KMSInternalException", true},
		{"alias/" + scope, "keyalias/" + scope, "ListAliases", m{}, "KMSInternalException", true},
		{"accesskey/", "account/", "DescribeKey", m{"KeyId": id}, "InternalFailure", false},
	} {
		for _, how := range []string{"first bit", "middle", "last bit", "moved", "cut short", "empty"} {
			t.Run(tt.operation+" "+strings.SplitN(tt.prefix, "/", 2)[0]+" "+how, func(t *testing.T) {
				if err := os.WriteFile(path, sound, 0o600); err != nil {
					t.Fatal(err)
				}
				spoilt := spoil(t, path, tt.prefix, tt.from, how)
				p := start(t, data)
				c := p.client()
				a, err := c.call(t.Context(), tt.operation, "tampered", tt.in)
				if err != nil {
					t.Fatalf("no answer: %v", err)
				}
				if a.status != 500 || a.code() != tt.code {
					t.Errorf("got %d %s, want %s", a.status, a.body, tt.code)
				}
				if !p.logs(spoilt) {
					t.Errorf("the log does not name %s:\n%s", spoilt, p.log)
				}
				if strings.Contains(string(a.body), spoilt) {
					t.Errorf("the answer tells the client of the store: %s", a.body)
				}
				if tt.unharmed {
					c.must(t, "Encrypt", m{"KeyId": other, "Plaintext": []byte("x")})
				}
				p.kill()
			})
		}
	}
	t.Run("domain keys", func(t *testing.T) {
		if err := os.WriteFile(path, sound, 0o600); err != nil {
			t.Fatal(err)
		}
		spoilt := spoil(t, path, "hsm/domain", "", "middle")
		p, err := tryStart(t, data)
		if err == nil || !strings.Contains(p.log.String(), spoilt) {
			t.Errorf("started: %v; the log does not name %s:\n%s", err == nil, spoilt, p.log)
		}
	})
}

// revisionBytes stand before each sealed value in the store's file.
const revisionBytes = 8

// spoil changes the one record whose path has the prefix, and returns its path.
func spoil(t *testing.T, file, prefix, from, how string) string {
	t.Helper()
	db, err := bbolt.Open(file, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var path string
	err = db.Update(func(tx *bbolt.Tx) error {
		b := tx.Bucket([]byte("data"))
		find := func(prefix string) (k, v []byte) {
			k, v = b.Cursor().Seek([]byte(prefix))
			if !bytes.HasPrefix(k, []byte(prefix)) {
				t.Fatalf("the store has no record %s...", prefix)
			}
			return k, bytes.Clone(v)
		}
		k, v := find(prefix)
		path = string(k)
		switch how {
		case "first bit":
			v[revisionBytes] ^= 0x80
		case "middle":
			v[revisionBytes+(len(v)-revisionBytes)/2] ^= 0x10
		case "last bit":
			v[len(v)-1] ^= 1
		case "cut short":
			v = v[:len(v)-1]
		case "empty":
			v = v[:revisionBytes]
		case "moved":
			_, moved := find(from)
			v = append(v[:revisionBytes:revisionBytes], moved[revisionBytes:]...)
		}
		return b.Put([]byte(path), v)
	})
	if err != nil {
		t.Fatal(err)
	}
	return path
}

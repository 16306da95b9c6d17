package server_test

import (
	"strings"
	"testing"

	"github.com/keywright/keywright/internal/server"
)

const wholeSeed = `{
  "accounts": [{"id": "111122223333", "accessKeys": [{"id": "AKIASEEDSEEDSEEDSEED", "secret": "0123456789abcdef"}]}],
  "keys": [
    {"account": "111122223333", "region": "us-east-1", "id": "1234abcd-12ab-34cd-56ef-1234567890ab", "description": "d", "enabled": false,
     "tags": {"a": "b"}, "policy": {"Version": "2012-10-17", "Statement": []}, "aliases": ["alias/x"]},
    {"id": "2234abcd-12ab-34cd-56ef-1234567890ab", "policy": "{}"}]}`

func TestSeedFile(t *testing.T) {
	accounts, keys, err := server.ParseSeed([]byte(wholeSeed))
	if accounts != 1 || keys != 2 || err != nil {
		t.Errorf("%d accounts, %d keys, error %v; want 1, 2 and none", accounts, keys, err)
	}
}

func TestSeedFileRefusals(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"empty", ``, "ends too early"},
		{"cut", `{"keys": [{"id": "x"`, "ends too early"},
		{"array", `[]`, "/: it must be an object"},
		{"trailing", `{} 1`, "something after the JSON object"},
		{"unknown", `{"key": []}`, "/key: there is no such setting"},
		{"other case", `{"Keys": []}`, "/Keys: there is no such setting"},
		{"unknown inside", `{"keys": [{}, {"alias": "x"}]}`, "/keys/0: the member \"id\" is missing"},
		{"unknown in account", `{"accounts": [{"id": "111122223333", "name": "x"}]}`, "/accounts/0/name: there is no such setting"},
		{"duplicate", `{"keys": [], "keys": []}`, "/keys: it stands there twice"},
		{"duplicate tag", `{"keys": [{"tags": {"a": "1", "a": "2"}}]}`, "/keys/0/tags/a: it stands there twice"},
		{"number for text", `{"keys": [{"id": 1}]}`, "/keys/0/id: it must be a string"},
		{"null", `{"keys": [{"id": null}]}`, "/keys/0/id: it must be a string"},
		{"text for bool", `{"keys": [{"enabled": "true"}]}`, "/keys/0/enabled: it must be true or false"},
		{"text for list", `{"keys": [{"aliases": "alias/x"}]}`, "/keys/0/aliases: it must be an array"},
		{"list for policy", `{"keys": [{"policy": []}]}`, "/keys/0/policy: it must be an object or a string"},
		{"short material", `{"keys": [{"material": "AA=="}]}`, "/keys/0/material: it must be 32 bytes in base64"},
		{"long material", `{"keys": [{"material": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}]}`, "/keys/0/material: it must be 32 bytes in base64"},
		{"no base64", `{"keys": [{"material": "short-one"}]}`, "/keys/0/material: it must be 32 bytes in base64"},
		{"account", `{"accounts": [{"id": "12"}]}`, `/accounts/0/id: "12" is not an account id`},
		{"key's account", `{"keys": [{"account": "12"}]}`, `/keys/0/account: "12" is not an account id`},
		{"access key id", `{"accounts": [{"accessKeys": [{"id": "x", "secret": "0123456789abcdef"}]}]}`, "/accounts/0/accessKeys/0: the access key id"},
		{"short secret", `{"accounts": [{"accessKeys": [{"id": "AKIASEEDSEEDSEEDSEED", "secret": "short-one"}]}]}`, "/accounts/0/accessKeys/0: the secret"},
		{"same account", `{"accounts": [{"id": "111122223333"}, {"id": "111122223333"}]}`, "/accounts/1: it is the same account 111122223333 as /accounts/0"},
		{"same key", `{"keys": [{"id": "a"}, {"id": "a"}]}`, "/keys/1: it is the same key a"},
		{"same alias", `{"keys": [{"id": "a", "aliases": ["alias/x"]}, {"id": "b", "aliases": ["alias/x"]}]}`, "/keys/1/aliases: it is the same alias/x"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, _, err := server.ParseSeed([]byte(c.text))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want one with %q", err, c.want)
			}
			if err != nil && strings.Contains(err.Error(), "short-one") {
				t.Errorf("the error shows a secret: %v", err)
			}
		})
	}
}

func FuzzSeedFile(f *testing.F) {
	f.Add([]byte(wholeSeed))
	f.Add([]byte(`{"keys": [{"id": "x", "tags": {"a": "b"}}]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		accounts, keys, err := server.ParseSeed(text)
		if err != nil && accounts+keys > 0 {
			t.Error("a file that is refused has content")
		}
	})
}

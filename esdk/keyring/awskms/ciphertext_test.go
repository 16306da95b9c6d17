package awskms_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"

	"github.com/keywright/keywright/esdk/keyring/awskms"
	"github.com/keywright/keywright/kmstest"
)

func TestCiphertexts(t *testing.T) {
	srv := kmstest.NewServer(t)
	client := newClient(srv, srv.Credentials, "us-east-1")
	key, other := createKey(t, client), createKey(t, client)
	encryptionContext := map[string]string{"a": "1"}
	encrypted, err := client.Encrypt(t.Context(), &kms.EncryptInput{KeyId: &key, Plaintext: []byte("attack at dawn"), EncryptionContext: encryptionContext})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.CreateAlias(t.Context(), &kms.CreateAliasInput{AliasName: aws.String("alias/app"), TargetKeyId: &key}); err != nil {
		t.Fatal(err)
	}
	id := key[strings.LastIndexByte(key, '/')+1:]

	for name, tt := range map[string]struct {
		config            awskms.CiphertextConfig
		encryptionContext map[string]string
		code              string // of the service; "" is success
	}{
		"any key":          {awskms.CiphertextConfig{}, encryptionContext, ""},
		"ARN":              {awskms.CiphertextConfig{KeyID: key}, encryptionContext, ""},
		"id":               {awskms.CiphertextConfig{KeyID: id}, encryptionContext, ""},
		"alias":            {awskms.CiphertextConfig{KeyID: "alias/app"}, encryptionContext, ""},
		"filter":           {awskms.CiphertextConfig{Filter: &awskms.Filter{Partition: "aws", Accounts: []string{"444455556666", srv.Account}}}, encryptionContext, ""},
		"another key":      {awskms.CiphertextConfig{KeyID: other}, encryptionContext, "IncorrectKeyException"},
		"no context":       {awskms.CiphertextConfig{}, nil, "InvalidCiphertextException"},
		"another context":  {awskms.CiphertextConfig{}, map[string]string{"a": "2"}, "InvalidCiphertextException"},
		"more context":     {awskms.CiphertextConfig{}, map[string]string{"a": "1", "b": "2"}, "InvalidCiphertextException"},
		"bad grant tokens": {awskms.CiphertextConfig{GrantTokens: []string{"x"}}, encryptionContext, "InvalidGrantTokenException"},
	} {
		t.Run(name, func(t *testing.T) {
			tt.config.Client = client
			c, err := awskms.NewCiphertexts(tt.config)
			if err != nil {
				t.Fatal(err)
			}
			got, err := c.Open(t.Context(), encrypted.CiphertextBlob, tt.encryptionContext)
			if tt.code == "" && (err != nil || string(got) != "attack at dawn") {
				t.Errorf("%q, %v", got, err)
			}
			e, ok := errors.AsType[interface {
				error
				ErrorCode() string
			}](err)
			if tt.code != "" && (got != nil || !ok || e.ErrorCode() != tt.code) {
				t.Errorf("%q, %v, want %s", got, err, tt.code)
			}
		})
	}
}

// answering is a service that answers with a key of its own choice.
type answering struct {
	keyID     *string
	plaintext []byte
	asked     *kms.DecryptInput
}

func (a *answering) Decrypt(_ context.Context, in *kms.DecryptInput, _ ...func(*kms.Options)) (*kms.DecryptOutput, error) {
	a.asked = in
	return &kms.DecryptOutput{KeyId: a.keyID, Plaintext: a.plaintext, EncryptionAlgorithm: types.EncryptionAlgorithmSpecSymmetricDefault}, nil
}

// The answer must be of a key that may be used, else its plaintext is wiped.
func TestCiphertextsKeyOfAnswer(t *testing.T) {
	const key = "arn:aws:kms:us-east-1:111122223333:key/a"
	ours := &awskms.Filter{Partition: "aws", Accounts: []string{"111122223333"}}
	for name, tt := range map[string]struct {
		config awskms.CiphertextConfig
		answer *string
		ok     bool
	}{
		"the key":                   {awskms.CiphertextConfig{KeyID: key}, aws.String(key), true},
		"another key":               {awskms.CiphertextConfig{KeyID: key}, aws.String("arn:aws:kms:us-east-1:111122223333:key/b"), false},
		"of an alias":               {awskms.CiphertextConfig{KeyID: "alias/a"}, aws.String(key), true},
		"of an alias's ARN":         {awskms.CiphertextConfig{KeyID: "arn:aws:kms:us-east-1:111122223333:alias/a"}, aws.String(key), true},
		"account in the filter":     {awskms.CiphertextConfig{Filter: ours}, aws.String(key), true},
		"account not in the filter": {awskms.CiphertextConfig{Filter: ours}, aws.String("arn:aws:kms:us-east-1:444455556666:key/a"), false},
		"another partition":         {awskms.CiphertextConfig{Filter: ours}, aws.String("arn:aws-cn:kms:us-east-1:111122223333:key/a"), false},
		"no ARN":                    {awskms.CiphertextConfig{}, aws.String("a"), false},
		"no key":                    {awskms.CiphertextConfig{}, nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			service := &answering{keyID: tt.answer, plaintext: []byte("secret")}
			tt.config.Client = service
			c, err := awskms.NewCiphertexts(tt.config)
			if err != nil {
				t.Fatal(err)
			}
			got, err := c.Open(t.Context(), []byte("blob"), nil)
			if tt.ok != (err == nil) || tt.ok != (string(got) == "secret") {
				t.Errorf("%q, %v", got, err)
			}
			if !tt.ok && string(service.plaintext) != "\x00\x00\x00\x00\x00\x00" {
				t.Errorf("the plaintext is left: %q", service.plaintext)
			}
			if asked := aws.ToString(service.asked.KeyId); asked != tt.config.KeyID {
				t.Errorf("asked for the key %q", asked)
			}
		})
	}
}

func TestNewCiphertexts(t *testing.T) {
	client := new(answering)
	for name, cfg := range map[string]awskms.CiphertextConfig{
		"no client":         {},
		"empty filter":      {Client: client, Filter: &awskms.Filter{Partition: "aws"}},
		"empty grant token": {Client: client, GrantTokens: []string{""}},
		"11 grant tokens":   {Client: client, GrantTokens: slices.Repeat([]string{"t"}, 11)},
	} {
		if _, err := awskms.NewCiphertexts(cfg); err == nil {
			t.Errorf("%s: no error", name)
		}
	}

	// What the caller does to its slices later is without effect.
	filter, tokens := &awskms.Filter{Partition: "aws", Accounts: []string{"111122223333"}}, []string{"token"}
	client.keyID = aws.String("arn:aws:kms:us-east-1:111122223333:key/a")
	c, err := awskms.NewCiphertexts(awskms.CiphertextConfig{Client: client, Filter: filter, GrantTokens: tokens})
	if err != nil {
		t.Fatal(err)
	}
	filter.Accounts[0], tokens[0] = "444455556666", "other"
	if _, err := c.Open(t.Context(), []byte("blob"), nil); err != nil || client.asked.GrantTokens[0] != "token" {
		t.Errorf("%v; the grant token was %q", err, client.asked.GrantTokens)
	}
}

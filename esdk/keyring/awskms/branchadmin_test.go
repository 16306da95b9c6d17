package awskms_test

import (
	"context"
	"errors"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kms"

	"github.com/keywright/keywright/esdk/keyring"
	"github.com/keywright/keywright/esdk/keyring/awskms"
	"github.com/keywright/keywright/kmstest"
)

// standInBranchKMS adds what the administration needs to the stand-in for
// multi-Region keys.
type standInBranchKMS struct{ standInMRKKMS }

func (s standInBranchKMS) GenerateDataKeyWithoutPlaintext(ctx context.Context, in *kms.GenerateDataKeyWithoutPlaintextInput, _ ...func(*kms.Options)) (*kms.GenerateDataKeyWithoutPlaintextOutput, error) {
	out, err := s.GenerateDataKey(ctx, &kms.GenerateDataKeyInput{KeyId: in.KeyId, NumberOfBytes: in.NumberOfBytes, EncryptionContext: in.EncryptionContext})
	if err != nil {
		return nil, err
	}
	return &kms.GenerateDataKeyWithoutPlaintextOutput{KeyId: out.KeyId, CiphertextBlob: out.CiphertextBlob}, nil
}

func (s standInBranchKMS) ReEncrypt(ctx context.Context, in *kms.ReEncryptInput, _ ...func(*kms.Options)) (*kms.ReEncryptOutput, error) {
	plain, err := s.Decrypt(ctx, &kms.DecryptInput{KeyId: in.SourceKeyId, CiphertextBlob: in.CiphertextBlob, EncryptionContext: in.SourceEncryptionContext})
	if err != nil {
		return nil, err
	}
	sealed, err := s.seal(in.DestinationKeyId, plain.Plaintext, in.DestinationEncryptionContext)
	return &kms.ReEncryptOutput{SourceKeyId: in.SourceKeyId, KeyId: in.DestinationKeyId, CiphertextBlob: sealed}, err
}

// alteredAdmin is a client whose requests and answers a test sees and changes.
type alteredAdmin struct {
	branchClient
	tokens    func(operation string, grantTokens []string)
	generate  func(*kms.GenerateDataKeyWithoutPlaintextOutput)
	reEncrypt func(*kms.ReEncryptOutput)
}

func (a alteredAdmin) GenerateDataKeyWithoutPlaintext(ctx context.Context, in *kms.GenerateDataKeyWithoutPlaintextInput, o ...func(*kms.Options)) (*kms.GenerateDataKeyWithoutPlaintextOutput, error) {
	a.see("GenerateDataKeyWithoutPlaintext", in.GrantTokens)
	out, err := a.branchClient.GenerateDataKeyWithoutPlaintext(ctx, in, o...)
	if err == nil && a.generate != nil {
		a.generate(out)
	}
	return out, err
}

func (a alteredAdmin) ReEncrypt(ctx context.Context, in *kms.ReEncryptInput, o ...func(*kms.Options)) (*kms.ReEncryptOutput, error) {
	a.see("ReEncrypt", in.GrantTokens)
	out, err := a.branchClient.ReEncrypt(ctx, in, o...)
	if err == nil && a.reEncrypt != nil {
		a.reEncrypt(out)
	}
	return out, err
}

func (a alteredAdmin) Decrypt(ctx context.Context, in *kms.DecryptInput, o ...func(*kms.Options)) (*kms.DecryptOutput, error) {
	a.see("Decrypt", in.GrantTokens)
	return a.branchClient.Decrypt(ctx, in, o...)
}

func (a alteredAdmin) see(operation string, tokens []string) {
	if a.tokens != nil {
		a.tokens(operation, tokens)
	}
}

func TestBranchKeyAdminCreate(t *testing.T) {
	t.Parallel()
	srv := kmstest.NewServer(t)
	client := newClient(srv, srv.Credentials, srv.Region)
	s := newBranchStore(t, client, awskms.BranchKeyConfig{Name: storeName, KeyID: createKey(t, client)})
	id, err := s.admin.Create(t.Context(), "", nil)
	if err != nil {
		t.Fatal(err)
	}
	if !regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`).MatchString(id) {
		t.Errorf("id %q is no random UUID", id)
	}
	if key, err := s.ActiveBranchKey(t.Context(), id); err != nil || key.ID != id {
		t.Errorf("%v, %v", key, err)
	}
	for name, c := range map[string]struct {
		id      string
		context map[string]string
	}{
		"an id without a context":      {"id", nil},
		"an id with an empty context":  {"id", map[string]string{}},
		"an id that is not UTF-8":      {"\xff", testContext},
		"a long id":                    {strings.Repeat("x", 2049), testContext},
		"a context that is not UTF-8":  {"id", map[string]string{"a": "\xff"}},
		"a context that is too large":  {"id", map[string]string{"a": strings.Repeat("x", 1<<16)}},
		"more than the service allows": {"id", map[string]string{"a": strings.Repeat("x", 8192)}},
	} {
		if _, err := s.admin.Create(t.Context(), c.id, c.context); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	one := s.create(t)
	if got, err := s.admin.Create(t.Context(), branchID, testContext); !errors.Is(err, errCondition) || got != "" {
		t.Errorf("creating it again: %q, %v, want %v", got, err, errCondition)
	}
	if s.active(t) != one {
		t.Error("creating it again changed the branch key")
	}
	if len(s.table.items) != 6 {
		t.Errorf("%d items, want those of two branch keys", len(s.table.items))
	}
}

// Of two rotations at the same time one is done.
func TestBranchKeyAdminConcurrent(t *testing.T) {
	t.Parallel()
	srv := kmstest.NewServer(t)
	client := newClient(srv, srv.Credentials, srv.Region)
	s := newBranchStore(t, client, awskms.BranchKeyConfig{Name: storeName, KeyID: createKey(t, client)})
	s.create(t)
	var first [16]byte
	s.table.before = func() {
		var err error
		if first, err = s.admin.Rotate(t.Context(), branchID); err != nil {
			t.Error(err)
		}
	}
	if version, err := s.admin.Rotate(t.Context(), branchID); !errors.Is(err, errCondition) || version != [16]byte{} {
		t.Errorf("%x, %v, want %v", version, err, errCondition)
	}
	if got := s.active(t).Version; got != first {
		t.Errorf("the active version is %x, want %x", got, first)
	}
	if len(s.table.items) != 4 {
		t.Errorf("%d items, want 4", len(s.table.items))
	}
}

// No item is made of an answer that is not of the configured key.
func TestBranchKeyAdminAnswers(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*alteredAdmin){
		"making, another key": func(a *alteredAdmin) {
			a.generate = func(o *kms.GenerateDataKeyWithoutPlaintextOutput) { o.KeyId = aws.String(mrkOther) }
		},
		"making, no key": func(a *alteredAdmin) {
			a.generate = func(o *kms.GenerateDataKeyWithoutPlaintextOutput) { o.KeyId = nil }
		},
		"making, no ciphertext": func(a *alteredAdmin) {
			a.generate = func(o *kms.GenerateDataKeyWithoutPlaintextOutput) { o.CiphertextBlob = nil }
		},
		"source, another key": func(a *alteredAdmin) {
			a.reEncrypt = func(o *kms.ReEncryptOutput) { o.SourceKeyId = aws.String(mrkOther) }
		},
		"target, another key":   func(a *alteredAdmin) { a.reEncrypt = func(o *kms.ReEncryptOutput) { o.KeyId = aws.String(mrkOther) } },
		"target, no ciphertext": func(a *alteredAdmin) { a.reEncrypt = func(o *kms.ReEncryptOutput) { o.CiphertextBlob = nil } },
	} {
		t.Run(name, func(t *testing.T) {
			s := newBranchStore(t, standInBranchKMS{standIn("us-east-1")}, awskms.BranchKeyConfig{Name: storeName, KeyID: mrkEast})
			one := s.create(t)
			client := alteredAdmin{branchClient: standInBranchKMS{standIn("us-east-1")}}
			change(&client)
			admin, err := awskms.NewBranchKeyAdmin(client, s.table, s.config)
			if err != nil {
				t.Fatal(err)
			}
			if id, err := admin.Create(t.Context(), "", nil); err == nil || id != "" {
				t.Errorf("creating: %q, %v", id, err)
			}
			if version, err := admin.Rotate(t.Context(), branchID); err == nil || version != [16]byte{} {
				t.Errorf("rotating: %x, %v", version, err)
			}
			if len(s.table.items) != 3 || s.active(t) != one {
				t.Error("the table was written to")
			}
		})
	}
}

func TestBranchKeyGrantTokens(t *testing.T) {
	t.Parallel()
	var seen []string
	client := alteredAdmin{branchClient: standInBranchKMS{standIn("us-east-1")}, tokens: func(op string, tokens []string) {
		seen = append(seen, op+" "+strings.Join(tokens, ","))
	}}
	tokens := []string{"one", "two"}
	s := newBranchStore(t, client, awskms.BranchKeyConfig{Name: storeName, KeyID: mrkEast, GrantTokens: tokens})
	tokens[0] = "changed"
	s.create(t)
	if _, err := s.admin.Rotate(t.Context(), branchID); err != nil {
		t.Fatal(err)
	}
	want := []string{
		"GenerateDataKeyWithoutPlaintext one,two", "ReEncrypt one,two", "GenerateDataKeyWithoutPlaintext one,two", // create
		"Decrypt one,two",
		"ReEncrypt one,two", "GenerateDataKeyWithoutPlaintext one,two", "ReEncrypt one,two", // rotate
	}
	if !slices.Equal(seen, want) {
		t.Errorf("the service saw %q, want %q", seen, want)
	}
}

// Where a replica is configured it is used for the branch keys of the others, and
// the items keep the name of the key that made the first version.
func TestBranchKeysMultiRegion(t *testing.T) {
	t.Parallel()
	east := newBranchStore(t, standInBranchKMS{standIn("us-east-1")}, awskms.BranchKeyConfig{Name: storeName, KeyID: mrkEast})
	one := east.create(t)
	for _, c := range []struct {
		keyID       string
		multiRegion bool
		opens       bool
	}{{mrkWest, true, true}, {mrkWest, false, false}, {mrkOther, true, false}, {keyWest, true, false}} {
		cfg := awskms.BranchKeyConfig{Name: storeName, KeyID: c.keyID, MultiRegion: c.multiRegion}
		client := standInBranchKMS{standIn("us-west-2")}
		keys, err := awskms.NewBranchKeys(client, east.table, cfg)
		if err != nil {
			t.Fatal(err)
		}
		got, err := keys.ActiveBranchKey(t.Context(), branchID)
		if c.opens && (err != nil || got != one) || !c.opens && (err == nil || !strings.Contains(err.Error(), "the configured key is "+c.keyID)) {
			t.Errorf("with %s, multi-Region %v: %v", c.keyID, c.multiRegion, err)
		}
		admin, err := awskms.NewBranchKeyAdmin(client, east.table, cfg)
		if err != nil {
			t.Fatal(err)
		}
		if version, err := admin.Rotate(t.Context(), branchID); (err == nil) != c.opens {
			t.Errorf("rotating with %s, multi-Region %v: %v", c.keyID, c.multiRegion, err)
		} else if err == nil {
			one = east.active(t)
			if one.Version != version {
				t.Errorf("the active version is %x, want %x", one.Version, version)
			}
		}
	}
	for keys, item := range east.table.items {
		if got := item.Strings["kms-arn"]; got != mrkEast {
			t.Errorf("%s is of %s, want %s", keys[1], got, mrkEast)
		}
	}
	var _ keyring.BranchKeyStore = east
}

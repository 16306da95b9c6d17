package awskms_test

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"

	"github.com/keywright/keywright/esdk/keyring"
	"github.com/keywright/keywright/esdk/keyring/awskms"
	"github.com/keywright/keywright/esdk/materials"
	"github.com/keywright/keywright/esdk/suite"
	"github.com/keywright/keywright/kmstest"
)

// config is that of aws-sdk-go-v2 for an account of the server.
func config(srv *kmstest.Server, c kmstest.Credentials) aws.Config {
	return aws.Config{
		BaseEndpoint: &srv.Endpoint,
		Region:       srv.Region,
		Credentials:  credentials.NewStaticCredentialsProvider(c.AccessKeyID, c.SecretAccessKey, ""),
	}
}

func newClient(srv *kmstest.Server, c kmstest.Credentials, region string) *kms.Client {
	return kms.NewFromConfig(config(srv, c), func(o *kms.Options) { o.Region = region })
}

func createKey(t *testing.T, client *kms.Client) string {
	t.Helper()
	out, err := client.CreateKey(t.Context(), &kms.CreateKeyInput{})
	if err != nil {
		t.Fatal(err)
	}
	return *out.KeyMetadata.Arn
}

// must is for constructors, and takes their two results.
func must[K materials.Keyring](k K, err error) materials.Keyring {
	if err != nil {
		panic(err)
	}
	return k
}

func strict(client awskms.Client, keyID string) materials.Keyring {
	return must(awskms.New(awskms.Config{Client: client, KeyID: keyID}))
}

func lookup(id suite.ID) suite.Suite {
	s, _ := suite.Lookup(id)
	return s
}

var testContext = map[string]string{"tenant": "acme", "ключ": "𝄞"}

func encryptionMaterials(id suite.ID) *materials.EncryptionMaterials {
	return &materials.EncryptionMaterials{Suite: lookup(id), EncryptionContext: testContext}
}

func decryptionMaterials(m *materials.EncryptionMaterials) *materials.DecryptionMaterials {
	return &materials.DecryptionMaterials{Suite: m.Suite, EncryptionContext: m.EncryptionContext}
}

// encrypt has k make a data key.
func encrypt(t *testing.T, k materials.Keyring) *materials.EncryptionMaterials {
	t.Helper()
	m := encryptionMaterials(suite.AES256GCMCommit)
	if err := k.OnEncrypt(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	if len(m.DataKey) != 32 || bytes.Equal(m.DataKey, make([]byte, 32)) {
		t.Fatalf("data key of %d bytes, want 32 random ones", len(m.DataKey))
	}
	return m
}

// opens checks that k decrypts to the data key.
func opens(t *testing.T, k materials.Keyring, m *materials.EncryptionMaterials) {
	t.Helper()
	d := decryptionMaterials(m)
	if err := k.OnDecrypt(t.Context(), d, m.EncryptedDataKeys); err != nil {
		t.Error(err)
	} else if !bytes.Equal(d.DataKey, m.DataKey) {
		t.Error("decrypted to another data key")
	}
}

// refuses checks that k does not decrypt, and returns why.
func refuses(t *testing.T, k materials.Keyring, m *materials.EncryptionMaterials) *materials.UnwrapError {
	t.Helper()
	d := decryptionMaterials(m)
	err := k.OnDecrypt(t.Context(), d, m.EncryptedDataKeys)
	unwrap, ok := errors.AsType[*materials.UnwrapError](err)
	if !ok {
		t.Fatalf("decrypting: %v, want an UnwrapError", err)
	}
	if d.DataKey != nil {
		t.Error("there is a data key in spite of an error")
	}
	return unwrap
}

func TestStrict(t *testing.T) {
	t.Parallel()
	srv := kmstest.NewServer(t)
	client := newClient(srv, srv.Credentials, srv.Region)
	key := createKey(t, client)
	k := strict(client, key)
	for _, s := range suite.All() {
		m := encryptionMaterials(s.ID)
		if err := k.OnEncrypt(t.Context(), m); err != nil {
			t.Fatal(err)
		}
		if len(m.DataKey) != s.KeyLen || len(m.EncryptedDataKeys) != 1 {
			t.Fatalf("%v: %d bytes and %d encrypted data keys", s.ID, len(m.DataKey), len(m.EncryptedDataKeys))
		}
		edk := m.EncryptedDataKeys[0]
		if edk.ProviderID != "aws-kms" || string(edk.ProviderInfo) != key {
			t.Errorf("provider %s %s, want aws-kms %s", edk.ProviderID, edk.ProviderInfo, key)
		}
		// What stands in the message is the service's own, with the whole context.
		out, err := client.Decrypt(t.Context(), &kms.DecryptInput{CiphertextBlob: edk.Ciphertext, EncryptionContext: testContext})
		if err != nil || !bytes.Equal(out.Plaintext, m.DataKey) {
			t.Errorf("%v: the service does not decrypt it: %v", s.ID, err)
		}
		opens(t, k, m)
	}
}

// Each key wraps the data key that the first one made.
func TestTwoRegions(t *testing.T) {
	t.Parallel()
	srv := kmstest.NewServer(t)
	east := newClient(srv, srv.Credentials, "us-east-1")
	west := newClient(srv, srv.Credentials, "eu-west-1")
	eastKey, westKey := createKey(t, east), createKey(t, west)
	if !strings.Contains(westKey, ":eu-west-1:") {
		t.Fatalf("key %s is not in eu-west-1", westKey)
	}
	var regions []string
	clients := func(ctx context.Context, region string) (awskms.Client, error) {
		regions = append(regions, region)
		return awskms.RegionalClients(config(srv, srv.Credentials))(ctx, region)
	}
	alias := strings.Replace(createAlias(t, west, westKey), "us-east-1", "eu-west-1", 1)
	multi := must(awskms.NewMulti(t.Context(), awskms.MultiConfig{
		Clients: clients, Generator: eastKey, KeyIDs: []string{westKey, alias},
	}))
	if got := strings.Join(regions, " "); got != "us-east-1 eu-west-1" {
		t.Errorf("clients were made for %s, want each Region once", got)
	}
	m := encrypt(t, multi)
	if len(m.EncryptedDataKeys) != 3 {
		t.Fatalf("%d encrypted data keys, want 3", len(m.EncryptedDataKeys))
	}
	for i, want := range []string{eastKey, westKey, westKey} {
		if got := string(m.EncryptedDataKeys[i].ProviderInfo); got != want {
			t.Errorf("encrypted data key %d is of %s, want %s", i, got, want)
		}
	}
	opens(t, multi, m)
	opens(t, strict(east, eastKey), m)
	opens(t, strict(west, westKey), m)
	opens(t, must(awskms.NewMRKMulti(t.Context(), awskms.MultiConfig{Clients: clients, KeyIDs: []string{westKey}})), m)

	for name, k := range map[string]materials.Keyring{
		"all":  must(awskms.NewMultiDiscovery(t.Context(), awskms.MultiDiscoveryConfig{Clients: clients, Regions: []string{"ap-south-1", "eu-west-1"}})),
		"MRK":  must(awskms.NewMRKMultiDiscovery(t.Context(), awskms.MultiDiscoveryConfig{Clients: clients, Regions: []string{"ap-south-1", "eu-west-1"}})),
		"west": must(awskms.NewMRKDiscovery("eu-west-1", awskms.DiscoveryConfig{Client: west})),
	} {
		t.Run(name, func(t *testing.T) { opens(t, k, m) })
	}
	err := refuses(t, must(awskms.NewMRKDiscovery("ap-south-1", awskms.DiscoveryConfig{
		Client: newClient(srv, srv.Credentials, "ap-south-1"),
	})), m)
	if got := err.Error(); !strings.Contains(got, "no key of Region ap-south-1") {
		t.Errorf("error %q does not name the Region", got)
	}
}

func createAlias(t *testing.T, client *kms.Client, key string) (aliasARN string) {
	t.Helper()
	if _, err := client.CreateAlias(t.Context(), &kms.CreateAliasInput{AliasName: aws.String("alias/app"), TargetKeyId: &key}); err != nil {
		t.Fatal(err)
	}
	return "arn:aws:kms:us-east-1:111122223333:alias/app"
}

// Aliases and bare ids encrypt. A message names the key by its ARN all the same,
// and only the ARN decrypts.
func TestOtherIdentifiers(t *testing.T) {
	t.Parallel()
	srv := kmstest.NewServer(t)
	client := newClient(srv, srv.Credentials, srv.Region)
	key := createKey(t, client)
	aliasARN := createAlias(t, client, key)
	_, id, _ := strings.Cut(key, "/")
	for _, configured := range []string{"alias/app", aliasARN, id} {
		for name, k := range map[string]materials.Keyring{
			"strict": strict(client, configured),
			"MRK":    must(awskms.NewMRK(awskms.Config{Client: client, KeyID: configured})),
		} {
			m := encrypt(t, k)
			if got := string(m.EncryptedDataKeys[0].ProviderInfo); got != key {
				t.Errorf("%s, %s: provider information %s, want %s", name, configured, got, key)
			}
			opens(t, strict(client, key), m)
			if err := refuses(t, k, m); !strings.Contains(err.Error(), "give its ARN to decrypt") {
				t.Errorf("%s, %s: error %q does not say what to do", name, configured, err)
			}
			// Wrapping, not generating.
			m.EncryptedDataKeys = nil
			if err := k.OnEncrypt(t.Context(), m); err != nil {
				t.Fatal(err)
			}
			opens(t, strict(client, key), m)
		}
	}
}

func TestTwoAccounts(t *testing.T) {
	t.Parallel()
	srv := kmstest.NewServer(t)
	other := srv.AddAccount(t, "444455556666")
	mine := newClient(srv, srv.Credentials, srv.Region)
	theirs := newClient(srv, other, srv.Region)
	myKey, theirKey := createKey(t, mine), createKey(t, theirs)
	both := must(keyring.NewMulti(strict(mine, myKey), strict(theirs, theirKey)))
	m := encrypt(t, both)
	opens(t, strict(theirs, theirKey), m)
	opens(t, must(awskms.NewDiscovery(awskms.DiscoveryConfig{Client: theirs})), m)

	for _, c := range []struct {
		name   string
		client awskms.Decrypter
		filter *awskms.Filter
		opens  bool
	}{
		{"mine", mine, &awskms.Filter{"aws", []string{srv.Account}}, true},
		{"mine among others", mine, &awskms.Filter{"aws", []string{"777788889999", srv.Account}}, true},
		{"only theirs, for me", mine, &awskms.Filter{"aws", []string{other.Account}}, false},
		{"only theirs, for them", theirs, &awskms.Filter{"aws", []string{other.Account}}, true},
		{"another partition", mine, &awskms.Filter{"aws-cn", []string{srv.Account}}, false},
		{"another account", mine, &awskms.Filter{"aws", []string{"777788889999"}}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			for name, k := range map[string]materials.Keyring{
				"discovery":     must(awskms.NewDiscovery(awskms.DiscoveryConfig{Client: c.client, Filter: c.filter})),
				"MRK discovery": must(awskms.NewMRKDiscovery(srv.Region, awskms.DiscoveryConfig{Client: c.client, Filter: c.filter})),
			} {
				t.Run(name, func(t *testing.T) {
					if c.opens {
						opens(t, k, m)
					} else {
						refuses(t, k, m)
					}
				})
			}
		})
	}
	// What the filter does not allow is not asked for.
	count := &counting{Client: mine}
	refuses(t, must(awskms.NewDiscovery(awskms.DiscoveryConfig{
		Client: count, Filter: &awskms.Filter{Partition: "aws", Accounts: []string{"777788889999"}},
	})), m)
	if got := count.calls.Load(); got != 0 {
		t.Errorf("%d calls for keys outside the filter", got)
	}
}

// counting counts the calls to a client.
type counting struct {
	awskms.Client
	calls atomic.Int32
}

func (c *counting) Decrypt(ctx context.Context, in *kms.DecryptInput, o ...func(*kms.Options)) (*kms.DecryptOutput, error) {
	c.calls.Add(1)
	return c.Client.Decrypt(ctx, in, o...)
}

func TestWrongContext(t *testing.T) {
	t.Parallel()
	srv := kmstest.NewServer(t)
	client := newClient(srv, srv.Credentials, srv.Region)
	key := createKey(t, client)
	m := encrypt(t, strict(client, key))
	for name, k := range map[string]materials.Keyring{
		"strict":    strict(client, key),
		"discovery": must(awskms.NewDiscovery(awskms.DiscoveryConfig{Client: client})),
	} {
		for _, context := range []map[string]string{nil, {"tenant": "acme"}, {"tenant": "other", "ключ": "𝄞"}} {
			m := *m
			m.EncryptionContext = context
			err := refuses(t, k, &m)
			if _, ok := errors.AsType[*types.InvalidCiphertextException](err); !ok {
				t.Errorf("%s, context %v: %v, want an InvalidCiphertextException", name, context, err)
			}
			if len(err.Attempts) != 1 || err.Attempts[0].ProviderInfo != key {
				t.Errorf("attempts %+v, want one with %s", err.Attempts, key)
			}
		}
	}
}

func TestDisabledKey(t *testing.T) {
	t.Parallel()
	srv := kmstest.NewServer(t)
	client := newClient(srv, srv.Credentials, srv.Region)
	key, second := createKey(t, client), createKey(t, client)
	k := strict(client, key)
	m := encrypt(t, must(keyring.NewMulti(k, strict(client, second))))
	if _, err := client.DisableKey(t.Context(), &kms.DisableKeyInput{KeyId: &key}); err != nil {
		t.Fatal(err)
	}
	if _, ok := errors.AsType[*types.DisabledException](refuses(t, k, m)); !ok {
		t.Error("decrypting with a disabled key is not a DisabledException")
	}
	fresh, wrap := encryptionMaterials(suite.AES256GCMCommit), encryptionMaterials(suite.AES256GCMCommit)
	wrap.DataKey = make([]byte, 32)
	for _, em := range []*materials.EncryptionMaterials{fresh, wrap} {
		err := k.OnEncrypt(t.Context(), em)
		if _, ok := errors.AsType[*types.DisabledException](err); !ok {
			t.Errorf("encrypting with a disabled key: %v, want a DisabledException", err)
		}
		if len(em.EncryptedDataKeys) != 0 {
			t.Error("the materials have changed in spite of an error")
		}
	}
	if fresh.DataKey != nil {
		t.Error("there is a data key in spite of an error")
	}
	// The next encrypted data key of the message still opens.
	opens(t, must(awskms.NewDiscovery(awskms.DiscoveryConfig{Client: client})), m)
}

func TestCancelled(t *testing.T) {
	t.Parallel()
	srv := kmstest.NewServer(t)
	client := newClient(srv, srv.Credentials, srv.Region)
	key, second := createKey(t, client), createKey(t, client)
	m := encrypt(t, must(keyring.NewMulti(strict(client, key), strict(client, second))))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := strict(client, key).OnEncrypt(ctx, encryptionMaterials(suite.AES256GCMCommit)); !errors.Is(err, context.Canceled) {
		t.Errorf("encrypting: %v, want context.Canceled", err)
	}
	count := &counting{Client: client}
	err := must(awskms.NewDiscovery(awskms.DiscoveryConfig{Client: count})).OnDecrypt(ctx, decryptionMaterials(m), m.EncryptedDataKeys)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("decrypting: %v, want context.Canceled", err)
	}
	if got := count.calls.Load(); got != 1 {
		t.Errorf("%d calls after the context was cancelled, want 1", got)
	}
}

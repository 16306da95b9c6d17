package interop_test

import (
	"testing"

	mpltypes "github.com/aws/aws-cryptographic-material-providers-library/releases/go/mpl/awscryptographymaterialproviderssmithygeneratedtypes"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kms"

	"github.com/keywright/keywright/esdk"
	"github.com/keywright/keywright/esdk/keyring/awskms"
	"github.com/keywright/keywright/esdk/materials"
	"github.com/keywright/keywright/esdk/suite"
)

// theirClients makes the clients of the official multi-keyrings.
type theirClients struct{}

func (theirClients) GetClient(in mpltypes.GetClientInput) (kms.Client, error) {
	return *kmsClient(in.Region), nil
}

// ourClients makes those of ours.
func ourClients() awskms.ClientSupplier {
	options := kmsClient(region).Options()
	return awskms.RegionalClients(aws.Config{BaseEndpoint: options.BaseEndpoint, Credentials: options.Credentials})
}

// A multiBuilder makes the keyrings of several keys or Regions, by its own
// functions of both sides. The account is the only one that discovery allows.
type multiBuilder struct {
	name           string
	ours           func(t *testing.T, generator string, keys ...string) materials.Manager
	theirs         func(t *testing.T, generator string, keys ...string) manager
	ourDiscovery   func(t *testing.T, account string, regions ...string) materials.Manager
	theirDiscovery func(t *testing.T, account string, regions ...string) manager
}

var multiBuilders = []multiBuilder{
	{
		name: "keys",
		ours: func(t *testing.T, generator string, keys ...string) materials.Manager {
			return using(awskms.NewMulti(t.Context(), awskms.MultiConfig{Clients: ourClients(), Generator: generator, KeyIDs: keys}))
		},
		theirs: func(t *testing.T, generator string, keys ...string) manager {
			return theirs(providers.CreateAwsKmsMultiKeyring(t.Context(), mpltypes.CreateAwsKmsMultiKeyringInput{
				ClientSupplier: theirClients{}, Generator: optional(generator), KmsKeyIds: keys,
			}))
		},
		ourDiscovery: func(t *testing.T, account string, regions ...string) materials.Manager {
			return using(awskms.NewMultiDiscovery(t.Context(), awskms.MultiDiscoveryConfig{
				Clients: ourClients(), Regions: regions, Filter: &awskms.Filter{Partition: "aws", Accounts: []string{account}},
			}))
		},
		theirDiscovery: func(t *testing.T, account string, regions ...string) manager {
			return theirs(providers.CreateAwsKmsDiscoveryMultiKeyring(t.Context(), mpltypes.CreateAwsKmsDiscoveryMultiKeyringInput{
				ClientSupplier: theirClients{}, Regions: regions, DiscoveryFilter: theirFilter(account),
			}))
		},
	},
	{
		name: "multi-Region keys",
		ours: func(t *testing.T, generator string, keys ...string) materials.Manager {
			return using(awskms.NewMRKMulti(t.Context(), awskms.MultiConfig{Clients: ourClients(), Generator: generator, KeyIDs: keys}))
		},
		theirs: func(t *testing.T, generator string, keys ...string) manager {
			return theirs(providers.CreateAwsKmsMrkMultiKeyring(t.Context(), mpltypes.CreateAwsKmsMrkMultiKeyringInput{
				ClientSupplier: theirClients{}, Generator: optional(generator), KmsKeyIds: keys,
			}))
		},
		ourDiscovery: func(t *testing.T, account string, regions ...string) materials.Manager {
			return using(awskms.NewMRKMultiDiscovery(t.Context(), awskms.MultiDiscoveryConfig{
				Clients: ourClients(), Regions: regions, Filter: &awskms.Filter{Partition: "aws", Accounts: []string{account}},
			}))
		},
		theirDiscovery: func(t *testing.T, account string, regions ...string) manager {
			return theirs(providers.CreateAwsKmsMrkDiscoveryMultiKeyring(t.Context(), mpltypes.CreateAwsKmsMrkDiscoveryMultiKeyringInput{
				ClientSupplier: theirClients{}, Regions: regions, DiscoveryFilter: theirFilter(account),
			}))
		},
	},
}

func optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

func theirFilter(account string) *mpltypes.DiscoveryFilter {
	return &mpltypes.DiscoveryFilter{Partition: "aws", AccountIds: []string{account}}
}

// pair is a pair of such keyrings.
func (b multiBuilder) pair(name string, ourWriter, ourReader materials.Manager, theirWriter, theirReader manager) pair[manager] {
	return pair[manager]{name: b.name + ", " + name, ourWriter: ourWriter, ourReader: ourReader, theirWriter: theirWriter, theirReader: theirReader}
}

// newForeignKey makes a key in the other Region.
func newForeignKey(t *testing.T) string {
	t.Helper()
	out, err := kmsClient(replicaRegion).CreateKey(t.Context(), &symmetricKey)
	if err != nil {
		t.Fatalf("making a key: %v", err)
	}
	return *out.KeyMetadata.Arn
}

func TestGoKMSMulti(t *testing.T) {
	one, second, foreign := newKMSKey(t, symmetricKey), newKMSKey(t, symmetricKey), newForeignKey(t)
	var pairs []pair[manager]
	for _, b := range multiBuilders {
		ours, their := b.ours(t, one, second, foreign), b.theirs(t, one, second, foreign)
		pairs = append(pairs,
			b.pair("all", ours, ours, their, their),
			b.pair("the foreign one", ours, b.ours(t, "", foreign), their, b.theirs(t, "", foreign)),
			b.pair("discovery", ours, b.ourDiscovery(t, server.Account, replicaRegion, region), their, b.theirDiscovery(t, server.Account, replicaRegion, region)),
			b.pair("discovery in the other Region", ours, b.ourDiscovery(t, server.Account, replicaRegion), their, b.theirDiscovery(t, server.Account, replicaRegion)),
		)
	}
	exchangeAll(t, official{}, pairs)
}

func TestGoKMSMultiMultiRegion(t *testing.T) {
	primary, replica := newMultiRegionKey(t)
	other := newKMSKey(t, symmetricKey)
	b := multiBuilders[1]
	ours, their := b.ours(t, primary, other), b.theirs(t, primary, other)
	exchangeAll(t, official{}, []pair[manager]{
		b.pair("the replica", ours, b.ours(t, "", replica), their, b.theirs(t, "", replica)),
		b.pair("discovery of the replica", ours, b.ourDiscovery(t, server.Account, replicaRegion), their, b.theirDiscovery(t, server.Account, replicaRegion)),
	})
}

// TestGoKMSMultiRefusals has both sides refuse what is not for their keys, their
// Regions or their accounts.
func TestGoKMSMultiRefusals(t *testing.T) {
	one, other, foreign := newKMSKey(t, symmetricKey), newKMSKey(t, symmetricKey), newForeignKey(t)
	m := message{suite: lookup(suite.AES256GCMCommitP384), frameLength: 4096, plaintext: plaintext(100)}
	for _, b := range multiBuilders {
		ciphertext, err := official{}.encrypt(t.Context(), b.theirs(t, one), m)
		if err != nil {
			t.Fatal(err)
		}
		for name, c := range map[string]struct {
			ours  materials.Manager
			their manager
		}{
			"other keys":      {b.ours(t, other, foreign), b.theirs(t, other, foreign)},
			"another Region":  {b.ourDiscovery(t, server.Account, replicaRegion), b.theirDiscovery(t, server.Account, replicaRegion)},
			"another account": {b.ourDiscovery(t, "444455556666", region), b.theirDiscovery(t, "444455556666", region)},
		} {
			if _, _, err := m.client().Decrypt(t.Context(), c.ours, ciphertext, esdk.DecryptOptions{}); err == nil {
				t.Errorf("%s, %s: we read it", b.name, name)
			}
			if _, _, err := (official{}).decrypt(t.Context(), c.their, m, ciphertext); err == nil {
				t.Errorf("%s, %s: they read it", b.name, name)
			}
		}
		if _, _, err := m.client().Encrypt(t.Context(), b.ourDiscovery(t, server.Account, region), nil, esdk.EncryptOptions{}); err == nil {
			t.Errorf("%s: we encrypt by discovery", b.name)
		}
		if _, err := (official{}).encrypt(t.Context(), b.theirDiscovery(t, server.Account, region), m); err == nil {
			t.Errorf("%s: they encrypt by discovery", b.name)
		}
	}
}

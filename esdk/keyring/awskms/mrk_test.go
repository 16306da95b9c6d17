package awskms_test

import (
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/kms"

	"github.com/keywright/keywright/esdk/keyring/awskms"
	"github.com/keywright/keywright/esdk/materials"
)

func TestMRK(t *testing.T) {
	t.Parallel()
	east := must(awskms.NewMRK(awskms.Config{Client: standIn("us-east-1"), KeyID: mrkEast}))
	west := must(awskms.NewMRK(awskms.Config{Client: standIn("us-west-2"), KeyID: mrkWest}))
	m := encrypt(t, east)
	if got := string(m.EncryptedDataKeys[0].ProviderInfo); got != mrkEast {
		t.Errorf("provider information %s, want %s", got, mrkEast)
	}
	opens(t, east, m)
	opens(t, west, m)
	refuses(t, must(awskms.NewMRK(awskms.Config{Client: standIn("us-west-2"), KeyID: mrkOther})), m)
	// A keyring that knows nothing of replicas takes only the key itself.
	opens(t, strict(standIn("us-east-1"), mrkEast), m)
	refuses(t, strict(standIn("us-west-2"), mrkWest), m)
}

func TestMRKDiscovery(t *testing.T) {
	t.Parallel()
	discovery := func(region string, filter *awskms.Filter) materials.Keyring {
		return must(awskms.NewMRKDiscovery(region, awskms.DiscoveryConfig{Client: standIn(region), Filter: filter}))
	}
	m := encrypt(t, strict(standIn("us-east-1"), mrkEast))
	single := encrypt(t, strict(standIn("us-east-1"), keyEast))
	opens(t, discovery("us-east-1", nil), m)
	opens(t, discovery("us-west-2", nil), m)
	opens(t, discovery("us-west-2", &awskms.Filter{Partition: "aws", Accounts: []string{"111122223333"}}), m)
	refuses(t, discovery("us-west-2", &awskms.Filter{Partition: "aws", Accounts: []string{"444455556666"}}), m)
	opens(t, discovery("us-east-1", nil), single)
	refuses(t, discovery("us-west-2", nil), single)
	// A plain discovery keyring asks for the replica that the message names.
	refuses(t, must(awskms.NewDiscovery(awskms.DiscoveryConfig{Client: standIn("us-west-2")})), m)
}

func TestDiscoveryConfig(t *testing.T) {
	t.Parallel()
	client := standIn("us-east-1")
	for _, c := range []struct {
		name   string
		region string
		cfg    awskms.DiscoveryConfig
		want   string
	}{
		{"no client", "us-east-1", awskms.DiscoveryConfig{}, "no client"},
		{"no Region", "", awskms.DiscoveryConfig{Client: client}, "is no Region"},
		{"a strange Region", "us:east", awskms.DiscoveryConfig{Client: client}, "is no Region"},
		{"another Region", "us-east-1", awskms.DiscoveryConfig{Client: kms.New(kms.Options{Region: "us-west-2"})}, `for Region "us-west-2"`},
		{"a client without a Region", "us-east-1", awskms.DiscoveryConfig{Client: kms.New(kms.Options{})}, `for Region ""`},
		{"no partition", "us-east-1", awskms.DiscoveryConfig{Client: client, Filter: &awskms.Filter{Accounts: []string{"111122223333"}}}, "partition"},
		{"no accounts", "us-east-1", awskms.DiscoveryConfig{Client: client, Filter: &awskms.Filter{Partition: "aws"}}, "no accounts"},
		{"a short account", "us-east-1", awskms.DiscoveryConfig{Client: client, Filter: &awskms.Filter{Partition: "aws", Accounts: []string{"11112222333"}}}, "12 digits"},
		{"a wildcard", "us-east-1", awskms.DiscoveryConfig{Client: client, Filter: &awskms.Filter{Partition: "aws", Accounts: []string{"11112222333*"}}}, "12 digits"},
		{"an empty token", "us-east-1", awskms.DiscoveryConfig{Client: client, GrantTokens: []string{""}}, "grant token"},
	} {
		if _, err := awskms.NewMRKDiscovery(c.region, c.cfg); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
		if strings.Contains(c.name, "Region") {
			continue
		}
		if _, err := awskms.NewDiscovery(c.cfg); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s, without a Region: %v, want %q", c.name, err, c.want)
		}
	}
	filter := &awskms.Filter{Partition: "aws", Accounts: []string{"111122223333"}}
	k := must(awskms.NewDiscovery(awskms.DiscoveryConfig{Client: client, Filter: filter}))
	filter.Partition, filter.Accounts[0] = "aws-cn", "444455556666"
	opens(t, k, encrypt(t, strict(client, mrkEast)))
}

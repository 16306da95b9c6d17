package awskms_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/keywright/keywright/esdk/keyring"
	"github.com/keywright/keywright/esdk/keyring/awskms"
	"github.com/keywright/keywright/esdk/materials"
	"github.com/keywright/keywright/esdk/suite"
)

func standIns(_ context.Context, region string) (awskms.Client, error) { return standIn(region), nil }

func TestMRKMulti(t *testing.T) {
	t.Parallel()
	m := encrypt(t, must(awskms.NewMRKMulti(t.Context(), awskms.MultiConfig{
		Clients: standIns, Generator: mrkEast, KeyIDs: []string{keyEast, mrkOther},
	})))
	if len(m.EncryptedDataKeys) != 3 {
		t.Fatalf("%d encrypted data keys, want 3", len(m.EncryptedDataKeys))
	}
	opens(t, must(awskms.NewMRKMulti(t.Context(), awskms.MultiConfig{Clients: standIns, KeyIDs: []string{mrkWest}})), m)
	opens(t, must(awskms.NewMRKMultiDiscovery(t.Context(), awskms.MultiDiscoveryConfig{
		Clients: standIns, Regions: []string{"ap-south-1", "eu-west-1"},
		Filter: &awskms.Filter{Partition: "aws", Accounts: []string{"111122223333"}},
	})), m)
	refuses(t, must(awskms.NewMulti(t.Context(), awskms.MultiConfig{Clients: standIns, KeyIDs: []string{mrkWest}})), m)
}

// Two replicas of a key leave open which to ask. All of them are named.
func TestMRKsAreUnique(t *testing.T) {
	t.Parallel()
	otherEast := strings.Replace(mrkOther, "us-west-2", "us-east-1", 1)
	for _, c := range []struct {
		generator string
		keys      []string
		named     []string
	}{
		{mrkEast, []string{mrkWest}, []string{mrkEast, mrkWest}},
		{mrkEast, []string{mrkEast}, []string{mrkEast}},
		{"", []string{mrkEast, keyEast, mrkOther, mrkWest, otherEast}, []string{mrkEast, mrkWest, mrkOther, otherEast}},
		{"", []string{mrkEast, strings.Replace(mrkWest, "111122223333", "444455556666", 1)}, []string{mrkEast}},
		{mrkEast, []string{mrkOther}, nil},
		{keyEast, []string{keyWest, keyEast}, nil},
		{aliasEast, []string{aliasWest}, nil},
	} {
		cfg := awskms.MultiConfig{Clients: standIns, Generator: c.generator, KeyIDs: c.keys}
		_, err := awskms.NewMRKMulti(t.Context(), cfg)
		if (err != nil) != (c.named != nil) {
			t.Errorf("%s and %s: %v", c.generator, c.keys, err)
		}
		for _, id := range c.named {
			if err != nil && !strings.Contains(err.Error(), id) {
				t.Errorf("%v: does not name %s", err, id)
			}
		}
		if _, err := awskms.NewMulti(t.Context(), cfg); err != nil {
			t.Errorf("%s and %s, not as multi-Region keys: %v", c.generator, c.keys, err)
		}
	}
}

func TestMultiConfig(t *testing.T) {
	t.Parallel()
	refusal := errors.New("not that Region")
	for _, c := range []struct {
		name string
		cfg  awskms.MultiConfig
		want string
	}{
		{"no keys", awskms.MultiConfig{Clients: standIns}, "names no keys"},
		{"no clients", awskms.MultiConfig{Generator: keyEast}, "no client supplier"},
		{"a bare id", awskms.MultiConfig{Clients: standIns, Generator: "1234"}, "its Region"},
		{"a bare alias", awskms.MultiConfig{Clients: standIns, KeyIDs: []string{"alias/app"}}, "its Region"},
		{"an empty key", awskms.MultiConfig{Clients: standIns, Generator: keyEast, KeyIDs: []string{""}}, "names no key"},
		{"no ARN of ours", awskms.MultiConfig{Clients: standIns, KeyIDs: []string{"arn:aws:s3:::bucket"}}, "not an ARN of the form"},
		{"an empty token", awskms.MultiConfig{Clients: standIns, Generator: keyEast, GrantTokens: []string{""}}, "grant token"},
		{"no client", awskms.MultiConfig{Generator: keyEast, Clients: func(context.Context, string) (awskms.Client, error) {
			return nil, nil
		}}, "making a client for Region us-east-1"},
		{"a refusal", awskms.MultiConfig{Generator: keyEast, Clients: func(context.Context, string) (awskms.Client, error) {
			return nil, refusal
		}}, refusal.Error()},
	} {
		if _, err := awskms.NewMulti(t.Context(), c.cfg); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
		if _, err := awskms.NewMRKMulti(t.Context(), c.cfg); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s, multi-Region: %v, want %q", c.name, err, c.want)
		}
	}
	for _, c := range []struct {
		name string
		cfg  awskms.MultiDiscoveryConfig
		want string
	}{
		{"no Regions", awskms.MultiDiscoveryConfig{Clients: standIns}, "names no Regions"},
		{"an empty Region", awskms.MultiDiscoveryConfig{Clients: standIns, Regions: []string{"us-east-1", ""}}, "is empty"},
		{"a Region twice", awskms.MultiDiscoveryConfig{Clients: standIns, Regions: []string{"us-east-1", "us-east-1"}}, "us-east-1 twice"},
		{"no clients", awskms.MultiDiscoveryConfig{Regions: []string{"us-east-1"}}, "no client supplier"},
		{"a bad filter", awskms.MultiDiscoveryConfig{Clients: standIns, Regions: []string{"us-east-1"}, Filter: &awskms.Filter{}}, "partition"},
	} {
		if _, err := awskms.NewMultiDiscovery(t.Context(), c.cfg); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("discovery, %s: %v, want %q", c.name, err, c.want)
		}
		if _, err := awskms.NewMRKMultiDiscovery(t.Context(), c.cfg); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("MRK discovery, %s: %v, want %q", c.name, err, c.want)
		}
	}
}

// A generator makes the data keys, and without one there are none.
func TestWhoMakesDataKeys(t *testing.T) {
	t.Parallel()
	children := must(awskms.NewMulti(t.Context(), awskms.MultiConfig{Clients: standIns, KeyIDs: []string{keyEast}}))
	if err := children.OnEncrypt(t.Context(), encryptionMaterials(suite.AES256GCMCommit)); err == nil {
		t.Error("a data key was made without a generator")
	}
	m := encrypt(t, must(keyring.NewMulti(strict(standIn("us-west-2"), mrkWest), children)))
	opens(t, children, m)

	discovery := awskms.DiscoveryConfig{Client: standIn("us-east-1")}
	cfg := awskms.MultiDiscoveryConfig{Clients: standIns, Regions: []string{"us-east-1"}}
	for name, k := range map[string]materials.Keyring{
		"discovery":           must(awskms.NewDiscovery(discovery)),
		"MRK discovery":       must(awskms.NewMRKDiscovery("us-east-1", discovery)),
		"multi discovery":     must(awskms.NewMultiDiscovery(t.Context(), cfg)),
		"MRK multi discovery": must(awskms.NewMRKMultiDiscovery(t.Context(), cfg)),
	} {
		m := encryptionMaterials(suite.AES256GCMCommit)
		m.DataKey = make([]byte, 32)
		if err := k.OnEncrypt(t.Context(), m); !errors.Is(err, keyring.ErrDecryptOnly) || len(m.EncryptedDataKeys) != 0 {
			t.Errorf("%s: %v, want ErrDecryptOnly", name, err)
		}
	}
}

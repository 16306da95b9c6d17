package kms_test

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/keywright/keywright/internal/kms"
)

func noGuard(context.Context) error { return nil }

const seedID = "1234abcd-12ab-34cd-56ef-1234567890ab"

func (w *world) apply(d kms.Seed) []string {
	w.t.Helper()
	d.Account, d.Region, d.ID = account, region, seedID
	done, err := w.service.Apply(w.t.Context(), &d)
	if err != nil {
		w.t.Fatal(err)
	}
	return done
}

func TestSeedCreatesAndUpdates(t *testing.T) {
	w := newWorld(t)
	first := kms.Seed{Description: new("one"), Tags: map[string]string{"a": "1", "b": "2"}, Aliases: []string{"alias/x"}, Enabled: new(true)}
	if got, want := w.apply(first), []string{"created", "alias/x created"}; !slices.Equal(got, want) {
		t.Errorf("did %q, want %q", got, want)
	}
	if got := w.apply(first); len(got) != 0 {
		t.Errorf("the second time it did %q, want nothing", got)
	}
	// A policy that lets the root do nothing but change it does not stop a seed.
	closed := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::` + account + `:root"},"Action":"kms:PutKeyPolicy","Resource":"*"}]}`
	if got, want := w.apply(kms.Seed{Policy: closed}), []string{"policy updated"}; !slices.Equal(got, want) {
		t.Errorf("did %q, want %q", got, want)
	}
	if _, err := w.as(account, region, "DescribeKey", m{"KeyId": seedID}); err == nil {
		t.Error("the policy is not in force")
	}
	second := kms.Seed{Description: new("two"), Tags: map[string]string{"a": "3"}, Aliases: []string{"alias/y"}, Enabled: new(false)}
	if got, want := w.apply(second), []string{"description updated", "tags updated", "alias/y created", "disabled"}; !slices.Equal(got, want) {
		t.Errorf("did %q, want %q", got, want)
	}
	if got, want := w.apply(kms.Seed{Enabled: new(true)}), []string{"enabled"}; !slices.Equal(got, want) {
		t.Errorf("did %q, want %q", got, want)
	}
	if found := w.problems(); len(found) > 0 {
		t.Errorf("the store has problems: %q", found)
	}
}

func TestSeedIsRecorded(t *testing.T) {
	w := newWorld(t)
	w.apply(kms.Seed{Aliases: []string{"alias/x"}})
	if err := w.path.Outbox.Drain(t.Context()); err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range w.events() {
		names = append(names, e["eventName"].(string)+" "+e["eventType"].(string))
	}
	if want := []string{"CreateKey AwsServiceEvent", "CreateAlias AwsServiceEvent"}; !slices.Equal(names, want) {
		t.Errorf("recorded %q, want %q", names, want)
	}
}

func TestSeedRefusals(t *testing.T) {
	for _, c := range []struct {
		name, want string
		seed       kms.Seed
	}{
		{"id", "not a UUID", kms.Seed{ID: strings.ToUpper(seedID)}},
		{"mrk", "not a UUID", kms.Seed{ID: "mrk-1234abcd12ab34cd56ef1234567890ab"}},
		{"description", "description", kms.Seed{ID: seedID, Description: new(strings.Repeat("x", 8193))}},
		{"tag", "TagException", kms.Seed{ID: seedID, Tags: map[string]string{"aws:x": "y"}}},
		{"empty tag", "tagKey", kms.Seed{ID: seedID, Tags: map[string]string{"": "y"}}},
		{"policy", "MalformedPolicyDocument", kms.Seed{ID: seedID, Policy: `{}`}},
		{"alias", "alias/", kms.Seed{ID: seedID, Aliases: []string{"x"}}},
		{"reserved alias", "alias/aws/", kms.Seed{ID: seedID, Aliases: []string{"alias/aws/x"}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if err := c.seed.Check(); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want one with %q", err, c.want)
			}
		})
	}
}

// TestSeedDoesNotRevive holds that a key which goes, or is gone, is not made
// again under its id.
func TestSeedDoesNotRevive(t *testing.T) {
	w := newWorld(t)
	w.apply(kms.Seed{})
	if _, err := w.as(account, region, "ScheduleKeyDeletion", m{"KeyId": seedID, "PendingWindowInDays": 7}); err != nil {
		t.Fatal(err)
	}
	d := kms.Seed{Account: account, Region: region, ID: seedID}
	if _, err := w.service.Apply(t.Context(), &d); err == nil || !strings.Contains(err.Error(), "pending deletion") {
		t.Errorf("error %v, want one about the deletion", err)
	}
	w.clock.Advance(8 * 24 * 60 * 60 * 1e9)
	worker := kms.Worker{Service: w.service, Grace: 1e15, Guard: noGuard}
	if _, err := worker.Work(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := w.service.Apply(t.Context(), &d); err == nil || !strings.Contains(err.Error(), "was deleted") {
		t.Errorf("error %v, want one about the deleted key", err)
	}
}

package authz_test

import (
	"strings"
	"testing"

	"github.com/keywright/keywright/internal/arn"
	"github.com/keywright/keywright/internal/authz"
	"github.com/keywright/keywright/internal/policy"
)

const (
	mine  = "111122223333"
	yours = "444455556666"
)

func root(account string) authz.Principal {
	return authz.Principal{Account: account, ARN: "arn:aws:iam::" + account + ":root", Root: true}
}

func TestDecide(t *testing.T) {
	parse := func(statements string) *policy.Document {
		d, err := policy.ParseKeyPolicy(`{"Statement":[`+statements+`]}`, nil)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	const (
		allowMine  = `{"Effect":"Allow","Principal":{"AWS":"111122223333"},"Action":"kms:*","Resource":"*"}`
		allowYours = `{"Effect":"Allow","Principal":{"AWS":"444455556666"},"Action":"kms:Encrypt","Resource":"*"}`
		deny       = `{"Effect":"Deny","Principal":"*","Action":"kms:Encrypt","Resource":"*"}`
	)
	key := arn.Key("aws", "us-east-1", mine, "1234abcd-12ab-34cd-56ef-1234567890ab")
	user := "User: arn:aws:iam::" + mine + ":root is not authorized to perform: kms:Encrypt on resource: " + key.String()
	for _, c := range []struct {
		name      string
		principal authz.Principal
		policy    *policy.Document
		owner     string
		want      string // the end of the error; "" is allowed
	}{
		{"default policy", root(mine), policy.DefaultDocument("aws", mine), mine, ""},
		{"no statement", root(mine), parse(allowYours), mine, user + " because no resource-based policy allows the kms:Encrypt action"},
		{"deny beats allow", root(mine), parse(allowMine + "," + deny), mine, user + " with an explicit deny in a resource-based policy"},
		{"another account, named", root(yours), parse(allowMine + "," + allowYours), mine, ""},
		{"another account, not named", root(yours), parse(allowMine), mine, "or a resource-based policy explicitly denies access"},
		{"another account, denied", root(yours), parse(allowYours + "," + deny), mine, "or a resource-based policy explicitly denies access"},
		{"no resource policy, own account", root(mine), nil, mine, ""},
		{"no resource policy, another account", root(yours), nil, mine, "or a resource-based policy explicitly denies access"},
		{"not the root", authz.Principal{Account: mine, ARN: "arn:aws:iam::" + mine + ":user/u"}, policy.DefaultDocument("aws", mine), mine, "because no identity-based policy allows the kms:Encrypt action"},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := authz.Decide(&authz.Request{Principal: c.principal, Action: "kms:Encrypt", Resource: key, Owner: c.owner, Policy: c.policy})
			if c.want == "" {
				if err != nil {
					t.Errorf("denied: %v", err)
				}
				return
			}
			if err == nil || !strings.HasPrefix(err.Error(), "AccessDeniedException: ") || !strings.HasSuffix(err.Error(), c.want) {
				t.Errorf("got %v, want AccessDeniedException ... %s", err, c.want)
			}
		})
	}
}

func BenchmarkDecide(b *testing.B) {
	r := &authz.Request{
		Principal: root(mine), Action: "kms:Encrypt", Owner: mine,
		Resource: arn.Key("aws", "us-east-1", mine, "1234abcd-12ab-34cd-56ef-1234567890ab"),
		Policy:   policy.DefaultDocument("aws", mine),
	}
	b.ReportAllocs()
	for b.Loop() {
		if err := authz.Decide(r); err != nil {
			b.Fatal(err)
		}
	}
}

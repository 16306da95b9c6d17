package policy_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/keywright/keywright/internal/arn"
	"github.com/keywright/keywright/internal/policy"
)

const (
	account = "111122223333"
	other   = "444455556666"
	keyID   = "1234abcd-12ab-34cd-56ef-1234567890ab"
)

var (
	key    = arn.Key("aws", "us-east-1", account, keyID)
	root   = policy.Principal{Kind: policy.KindRoot, Account: account}
	alice  = policy.Principal{Kind: policy.KindUser, Account: account, ID: "AIDAALICE"}
	bob    = policy.Principal{Kind: policy.KindUser, Account: account, ID: "AIDABOB"}
	deploy = policy.Principal{Kind: policy.KindRoleSession, Account: account, ID: "AROADEPLOY", Name: "ci-1"}
	feder  = policy.Principal{Kind: policy.KindFederatedUser, Account: account, Name: "fred"}
	far    = policy.Principal{Kind: policy.KindRoot, Account: other}
	sns    = policy.Principal{Kind: policy.KindService, Name: "sns.amazonaws.com"}
)

// resolve knows alice, bob and the role deploy of one account.
func resolve(a arn.ARN) (string, bool) {
	id, ok := map[string]string{
		"user/alice":       "AIDAALICE",
		"user/team/bob":    "AIDABOB",
		"role/deploy":      "AROADEPLOY",
		"role/path/deploy": "AROADEPLOY",
	}[a.Resource]
	return id, ok && a.Account == account && a.Service == "iam"
}

// document makes a policy of Version 2012-10-17 of statements without braces.
func document(statements ...string) string {
	return `{"Version":"2012-10-17","Statement":[{` + strings.Join(statements, "},{") + `}]}`
}

func parse(t testing.TB, text string) *policy.Document {
	t.Helper()
	d, err := policy.ParseKeyPolicy(text, resolve)
	if err != nil {
		t.Fatalf("ParseKeyPolicy(%s): %v", text, err)
	}
	return d
}

func contextOf(values map[string][]string) policy.Context {
	return func(key string) []string { return values[key] }
}

func TestEvaluatePrincipals(t *testing.T) {
	const rest = `,"Action":"kms:*","Resource":"*"`
	const iam = "arn:aws:iam::" + account + ":"
	const sts = "arn:aws:sts::" + account + ":"
	all := []policy.Principal{root, alice, bob, deploy, feder, far, sns, {}}
	type matches map[policy.Principal]policy.Match
	for name, want := range map[string]matches{
		`"*"`:                                                  {root: policy.MatchEveryone, alice: policy.MatchEveryone, bob: policy.MatchEveryone, deploy: policy.MatchEveryone, feder: policy.MatchEveryone, far: policy.MatchEveryone, sns: policy.MatchEveryone, {}: policy.MatchEveryone},
		`{"AWS":["*"]}`:                                        {root: policy.MatchEveryone, alice: policy.MatchEveryone, bob: policy.MatchEveryone, deploy: policy.MatchEveryone, feder: policy.MatchEveryone, far: policy.MatchEveryone, sns: policy.MatchEveryone, {}: policy.MatchEveryone},
		`{"AWS":"` + iam + `root"}`:                            {root: policy.MatchAccount, alice: policy.MatchAccount, bob: policy.MatchAccount, deploy: policy.MatchAccount, feder: policy.MatchAccount},
		`{"AWS":"` + account + `"}`:                            {root: policy.MatchAccount, alice: policy.MatchAccount, bob: policy.MatchAccount, deploy: policy.MatchAccount, feder: policy.MatchAccount},
		`{"AWS":"` + other + `"}`:                              {far: policy.MatchAccount},
		`{"AWS":"` + iam + `user/alice"}`:                      {alice: policy.MatchPrincipal},
		`{"AWS":"` + iam + `user/team/bob"}`:                   {bob: policy.MatchPrincipal},
		`{"AWS":"` + iam + `role/path/deploy"}`:                {deploy: policy.MatchRole},
		`{"AWS":"` + sts + `assumed-role/deploy/ci-1"}`:        {deploy: policy.MatchPrincipal},
		`{"AWS":"` + sts + `assumed-role/deploy/ci-2"}`:        {},
		`{"AWS":"` + sts + `federated-user/fred"}`:             {feder: policy.MatchPrincipal},
		`{"AWS":"` + sts + `federated-user/mary"}`:             {},
		`{"Service":"sns.amazonaws.com"}`:                      {sns: policy.MatchPrincipal},
		`{"Service":["sqs.amazonaws.com","s3.amazonaws.com"]}`: {},
		`{"Federated":"cognito-identity.amazonaws.com"}`:       {},
		`{"CanonicalUser":"79a59df900b949e55d96a1e698fbacedfd6e09d98eacf8f8d5218e7cd47ef2be"}`: {},
		`{"AWS":["` + account + `","` + iam + `user/alice"],"Service":"sns.amazonaws.com"}`:    {root: policy.MatchAccount, alice: policy.MatchPrincipal, bob: policy.MatchAccount, deploy: policy.MatchAccount, feder: policy.MatchAccount, sns: policy.MatchPrincipal},
	} {
		for _, effect := range []policy.Effect{policy.Allow, policy.Deny} {
			d := parse(t, document(`"Sid":"s","Effect":"`+effect.String()+`","Principal":`+name+rest))
			for _, p := range all {
				got := d.Evaluate(&policy.Request{Principal: p, Action: "kms:Encrypt", Resource: key})
				wantDecision := policy.Decision{Effect: effect, Sid: "s", Match: want[p]}
				if want[p] == policy.MatchNone {
					wantDecision = policy.Decision{Statement: -1}
				}
				if got != wantDecision {
					t.Errorf("%v %s for %+v: got %+v, want %+v", effect, name, p, got, wantDecision)
				}
			}
		}
	}
}

// Ids and names mean something only together with the kind of requester, and a
// federated user's name only in its account.
func TestEvaluatePrincipalsOfOtherKinds(t *testing.T) {
	d := parse(t, document(`"Effect":"Allow","Action":"kms:*","Resource":"*","Principal":{"Service":"sns.amazonaws.com","AWS":[
		"arn:aws:iam::`+account+`:user/alice","arn:aws:iam::`+account+`:role/deploy",
		"arn:aws:sts::`+account+`:assumed-role/deploy/ci-1","arn:aws:sts::`+account+`:federated-user/fred"]}`))
	for _, p := range []policy.Principal{
		{Kind: policy.KindRoleSession, Account: account, ID: "AIDAALICE", Name: "ci-1"},
		{Kind: policy.KindUser, Account: account, ID: "AROADEPLOY", Name: "ci-1"},
		{Kind: policy.KindRoot, Account: account, ID: "AIDAALICE", Name: "fred"},
		{Kind: policy.KindFederatedUser, Account: other, Name: "fred"},
		{Kind: policy.KindUser, Account: account, ID: "AIDABOB", Name: "fred"},
		{Kind: policy.KindFederatedUser, Account: account, Name: "sns.amazonaws.com"},
	} {
		if got := d.Evaluate(&policy.Request{Principal: p, Action: "kms:Encrypt", Resource: key}); got.Effect != policy.NoMatch {
			t.Errorf("%+v: %+v", p, got)
		}
	}
}

// The rules are those of the IAM User Guide, from memory: who is to be exempt
// must be listed with every identity it has.
func TestEvaluateNotPrincipal(t *testing.T) {
	const iam = `"arn:aws:iam::` + account + `:`
	const session = `"arn:aws:sts::` + account + `:assumed-role/deploy/ci-1"`
	all := []policy.Principal{root, alice, bob, deploy, feder, far, sns, {}}
	for list, exempt := range map[string][]policy.Principal{
		`{"AWS":` + iam + `root"}`:                                                       {root},
		`{"AWS":` + iam + `user/alice"}`:                                                 {},
		`{"AWS":[` + iam + `user/alice",` + iam + `root"]}`:                              {root, alice},
		`{"AWS":[` + session + `,` + iam + `root"]}`:                                     {root},
		`{"AWS":[` + iam + `role/deploy",` + iam + `root"]}`:                             {root},
		`{"AWS":[` + session + `,` + iam + `role/deploy"]}`:                              {},
		`{"AWS":[` + session + `,` + iam + `role/deploy",` + iam + `root"]}`:             {root, deploy},
		`{"AWS":["arn:aws:sts::` + account + `:federated-user/fred","` + account + `"]}`: {root, feder},
		`{"Service":"sns.amazonaws.com"}`:                                                {sns},
		`"*"`:                                                                            all,
	} {
		d := parse(t, document(`"Effect":"Deny","NotPrincipal":`+list+`,"Action":"kms:*","Resource":"*"`))
		for _, p := range all {
			got := d.Evaluate(&policy.Request{Principal: p, Action: "kms:Encrypt", Resource: key}).Effect
			want := policy.Deny
			if slices.Contains(exempt, p) {
				want = policy.NoMatch
			}
			if got != want {
				t.Errorf("NotPrincipal %s for %+v: %v, want %v", list, p, got, want)
			}
		}
	}
}

func TestEvaluateTargets(t *testing.T) {
	for target, want := range map[string]bool{
		`"Action":"*","Resource":"*"`:                                                   true,
		`"Action":"kms:*","Resource":"*"`:                                               true,
		`"Action":"KMS:ENCRYPT","Resource":"*"`:                                         true,
		`"Action":"kms:Enc????","Resource":"*"`:                                         true,
		`"Action":"kms:Enc???","Resource":"*"`:                                          false,
		`"Action":"kms:*crypt","Resource":"*"`:                                          true,
		`"Action":"kms:Decrypt","Resource":"*"`:                                         false,
		`"Action":["kms:Decrypt","kms:Encrypt"],"Resource":"*"`:                         true,
		`"Action":"kms:Encrypt*","Resource":"*"`:                                        true,
		`"Action":"kms:EncryptMore","Resource":"*"`:                                     false,
		`"NotAction":"kms:Encrypt","Resource":"*"`:                                      false,
		`"NotAction":"kms:*","Resource":"*"`:                                            false,
		`"NotAction":["kms:Decrypt","kms:Put*"],"Resource":"*"`:                         true,
		`"Action":"*","Resource":"` + key.String() + `"`:                                true,
		`"Action":"*","Resource":["arn:aws:s3:::x","` + key.String() + `"]`:             true,
		`"Action":"*","Resource":"arn:aws:kms:*:*:key/*"`:                               true,
		`"Action":"*","Resource":"arn:aws:kms:us-*-1:111122223333:key/1234abcd-*"`:      true,
		`"Action":"*","Resource":"arn:aws:kms:*:key/*:*:*"`:                             false,
		`"Action":"*","Resource":"arn:*:*:*:*:*"`:                                       true,
		`"Action":"*","Resource":"arn:aws:kms:us-east-1:111122223333:alias/*"`:          false,
		`"Action":"*","Resource":"arn:aws:kms:eu-west-1:111122223333:key/*"`:            false,
		`"Action":"*","Resource":"arn:aws:kms:us-east-1:${aws:PrincipalAccount}:key/*"`: true,
		`"Action":"*","Resource":"arn:aws:kms:us-east-1:${aws:SourceAccount}:key/*"`:    false,
		`"Action":"*","Resource":"arn:aws:kms:us-east-1:111122223333:key/${*}"`:         false,
		`"Action":"*","NotResource":"*"`:                                                false,
		`"Action":"*","NotResource":"arn:aws:kms:*:*:alias/*"`:                          true,
		`"Action":"*","NotResource":"` + key.String() + `"`:                             false,

		// Accepted, and without effect.
		`"Action":"kms:*"`:    false,
		`"NotAction":"kms:X"`: false,
		`"Resource":"*"`:      false,
		`"Sid":"nothing"`:     false,
	} {
		d := parse(t, document(`"Effect":"Allow","Principal":"*",`+target))
		for _, action := range []string{"kms:Encrypt", "kms:encrypt"} {
			got := d.Evaluate(&policy.Request{Principal: root, Action: action, Resource: key,
				Context: contextOf(map[string][]string{"aws:principalaccount": {account}})})
			if (got.Effect == policy.Allow) != want {
				t.Errorf("{%s} for %s: %+v, want %v", target, action, got, want)
			}
		}
	}
}

func TestEvaluateOrder(t *testing.T) {
	const user = `"Principal":{"AWS":"arn:aws:iam::` + account + `:user/alice"},"Resource":"*"`
	const acct = `"Principal":{"AWS":"` + account + `"},"Resource":"*"`
	d := parse(t, document(
		`"Sid":"acct","Effect":"Allow","Action":"kms:*",`+acct,
		`"Sid":"acct2","Effect":"Allow","Action":"kms:*",`+acct,
		`"Sid":"every","Effect":"Allow","Action":"kms:Verify","Principal":"*","Resource":"*"`,
		`"Sid":"alice","Effect":"Allow","Action":["kms:Encrypt","kms:Sign"],`+user,
		`"Effect":"Allow","Action":"kms:Sign","Principal":"*","Resource":"*"`,
		`"Sid":"deny","Effect":"Deny","Action":["kms:Sign","kms:Put*"],`+acct,
		`"Sid":"deny2","Effect":"Deny","Action":"kms:Put*",`+user,
	))
	for _, c := range []struct {
		who    policy.Principal
		action string
		want   policy.Decision
	}{
		{alice, "kms:Encrypt", policy.Decision{Effect: policy.Allow, Statement: 3, Sid: "alice", Match: policy.MatchPrincipal}},
		{alice, "kms:Decrypt", policy.Decision{Effect: policy.Allow, Statement: 0, Sid: "acct", Match: policy.MatchAccount}},
		{bob, "kms:Encrypt", policy.Decision{Effect: policy.Allow, Statement: 0, Sid: "acct", Match: policy.MatchAccount}},
		{bob, "kms:Verify", policy.Decision{Effect: policy.Allow, Statement: 2, Sid: "every", Match: policy.MatchEveryone}},
		{alice, "kms:Sign", policy.Decision{Effect: policy.Deny, Statement: 5, Sid: "deny", Match: policy.MatchAccount}},
		{alice, "kms:PutKeyPolicy", policy.Decision{Effect: policy.Deny, Statement: 5, Sid: "deny", Match: policy.MatchAccount}},
		{far, "kms:Sign", policy.Decision{Effect: policy.Allow, Statement: 4, Match: policy.MatchEveryone}},
		{far, "kms:Encrypt", policy.Decision{Statement: -1}},
	} {
		if got := d.Evaluate(&policy.Request{Principal: c.who, Action: c.action, Resource: key}); got != c.want {
			t.Errorf("%+v %s: %+v, want %+v", c.who, c.action, got, c.want)
		}
	}
}

func TestEffectString(t *testing.T) {
	for e, want := range map[policy.Effect]string{policy.Allow: "Allow", policy.Deny: "Deny", policy.NoMatch: "NoMatch"} {
		if e.String() != want {
			t.Errorf("%d.String() = %q, want %q", e, e.String(), want)
		}
	}
	if policy.MatchRole.String() != "role" || policy.MatchPrincipal.String() != "principal" {
		t.Error("Match.String names the wrong match")
	}
}

func BenchmarkEvaluate(b *testing.B) {
	console := document(
		`"Effect":"Allow","Principal":{"AWS":"`+account+`"},"Action":"kms:*","Resource":"*"`,
		`"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::`+account+`:role/deploy"},"Action":["kms:Create*","kms:Describe*","kms:Enable*","kms:List*","kms:Put*","kms:Update*","kms:Revoke*","kms:Disable*","kms:Get*","kms:Delete*","kms:TagResource","kms:UntagResource","kms:ScheduleKeyDeletion","kms:CancelKeyDeletion"],"Resource":"*"`,
		`"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::`+account+`:role/deploy"},"Action":["kms:Encrypt","kms:Decrypt","kms:ReEncrypt*","kms:GenerateDataKey*","kms:DescribeKey"],"Resource":"*"`,
		`"Effect":"Deny","Principal":"*","Action":"kms:*","Resource":"*","Condition":{"StringNotEquals":{"kms:CallerAccount":"`+account+`"}}`,
	)
	context := contextOf(map[string][]string{"kms:calleraccount": {account}})
	for _, c := range []struct {
		name string
		d    *policy.Document
		who  policy.Principal
	}{
		{"default", policy.DefaultDocument("aws", account), root},
		{"console", parse(b, console), deploy},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				r := policy.Request{Principal: c.who, Action: "kms:GenerateDataKey", Resource: key, Context: context}
				if c.d.Evaluate(&r).Effect != policy.Allow {
					b.Fatal("not allowed")
				}
			}
		})
	}
}

func TestEvaluateDoesNotAllocate(t *testing.T) {
	d := policy.DefaultDocument("aws", account)
	n := testing.AllocsPerRun(100, func() {
		d.Evaluate(&policy.Request{Principal: root, Action: "kms:GenerateDataKeyPairWithoutPlaintext", Resource: key})
	})
	if n != 0 {
		t.Errorf("Evaluate allocates %v times", n)
	}
}

package policy

import "github.com/keywright/keywright/internal/arn"

// The words of the default key policy, as AWS's CreateKey writes it.
const (
	defaultID  = "key-default-1"
	defaultSid = "Enable IAM User Permissions"
)

// DefaultKeyPolicy returns the policy of a key created without one, byte for
// byte as AWS prints it: it lets the account's identity policies decide about
// everything.
func DefaultKeyPolicy(partition, account string) string {
	return `{
  "Version" : "` + Version2012 + `",
  "Id" : "` + defaultID + `",
  "Statement" : [ {
    "Sid" : "` + defaultSid + `",
    "Effect" : "Allow",
    "Principal" : {
      "AWS" : "` + arn.Root(partition, account).String() + `"
    },
    "Action" : "kms:*",
    "Resource" : "*"
  } ]
}`
}

// The parts of the default policy that are the same for every account.
var (
	defaultActions   = actionSet{patterns: []string{wildcards.Replace("kms:*")}}
	defaultResources = resourceSet{patterns: []arnPattern{{all: true}}}
)

// DefaultDocument returns what ParseKeyPolicy makes of DefaultKeyPolicy, without
// parsing. A document per account is enough.
func DefaultDocument(partition, account string) *Document {
	return &Document{
		version: Version2012,
		id:      defaultID,
		statements: []statement{{
			sid:    defaultSid,
			effect: Allow,
			principals: principalSet{list: []principal{{
				NamedPrincipal: NamedPrincipal{AWS, arn.Root(partition, account).String()},
				form:           formAccount,
				account:        account,
			}}},
			actions:   defaultActions,
			resources: defaultResources,
		}},
	}
}

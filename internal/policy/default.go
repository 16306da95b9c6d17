package policy

import (
	"sync"

	"github.com/keywright/keywright/internal/arn"
)

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

// defaults are the documents that DefaultDocument has returned, by partition and
// account. Most keys have the default policy; one document for all of an account
// is one more object on the heap instead of four more for each key.
var defaults sync.Map

// DefaultDocument returns what ParseKeyPolicy makes of DefaultKeyPolicy, without
// parsing. It keeps what it returns, so it must not be given accounts that are
// just somebody's words.
func DefaultDocument(partition, account string) *Document {
	key := [2]string{partition, account}
	if d, ok := defaults.Load(key); ok {
		return d.(*Document)
	}
	d, _ := defaults.LoadOrStore(key, newDefaultDocument(partition, account))
	return d.(*Document)
}

func newDefaultDocument(partition, account string) *Document {
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

package kms

import (
	"sync"

	"github.com/keywright/keywright/internal/awsapi"
	"github.com/keywright/keywright/internal/kmsapi"
	"github.com/keywright/keywright/internal/record"
	"github.com/keywright/keywright/internal/store"
)

// counter counts the keys of each account and Region, to hold the quota. It
// counts the paths once, on the first CreateKey of a Region, and follows the
// changes from then on.
type counter struct {
	mu   sync.Mutex
	keys map[[2]string]int
}

// reserve takes a place for one more key, or refuses with
// LimitExceededException. A caller that makes no key gives it back with add.
func (n *counter) reserve(v *record.View, account, region string, limit int) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.keys == nil {
		n.keys = make(map[[2]string]int)
	}
	at := [2]string{account, region}
	count, counted := n.keys[at]
	if !counted {
		prefix := keyPrefix(account, region)
		for _, err := range v.Paths(prefix, store.PrefixEnd(prefix)) {
			if err != nil {
				return err
			}
			count++
		}
	}
	if count >= limit {
		n.keys[at] = count
		return awsapi.Errorf(kmsapi.CodeLimitExceededException, "The account has %d keys in %s, the most it may have.", count, region)
	}
	n.keys[at] = count + 1
	return nil
}

// add corrects a count that was begun.
func (n *counter) add(account, region string, d int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	at := [2]string{account, region}
	if _, counted := n.keys[at]; counted {
		n.keys[at] += d
	}
}

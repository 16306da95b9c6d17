package kms

import (
	"context"
	"errors"
	"sync"

	"github.com/keywright/keywright/internal/awsapi"
	"github.com/keywright/keywright/internal/kmsapi"
	"github.com/keywright/keywright/internal/record"
	"github.com/keywright/keywright/internal/store"
)

// counter counts the keys of each account and Region, to hold the quota. It
// counts the paths when a key is first created there, follows the changes from
// then on, and counts again after one whose outcome is not known.
type counter struct {
	db *record.DB

	mu      sync.Mutex
	regions map[[2]string]*keyCount
}

type keyCount struct {
	keys     int  // with the places that are reserved
	changing int  // creations and deletions under way
	exact    bool // false: count before it is used
}

// create reserves a place for one more key, or refuses with
// LimitExceededException. Where it does not, the caller commits the key at once
// and calls done with the error of that.
func (n *counter) create(ctx context.Context, account, region string, limit int) (done func(error), err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	at := [2]string{account, region}
	r := n.region(at)
	defer n.forget(at)
	if !r.exact {
		if r.keys, err = n.count(ctx, account, region); err != nil {
			return nil, err
		}
		// A change under way may be in what was counted, or not: as long as there
		// is one, the count is an upper bound and is not kept.
		r.keys += r.changing
		r.exact = r.changing == 0
	}
	if r.keys >= limit {
		return nil, awsapi.Errorf(kmsapi.CodeLimitExceededException, "The account has %d keys in %s, the most it may have.", r.keys, region)
	}
	r.keys++
	r.changing++
	return func(err error) { n.settle(at, err, err == nil) }, nil
}

// delete announces that a deletion is about to be committed; done is as in create.
func (n *counter) delete(account, region string) (done func(error)) {
	n.mu.Lock()
	defer n.mu.Unlock()
	at := [2]string{account, region}
	r := n.region(at)
	r.changing++
	return func(err error) { n.settle(at, err, err != nil) }
}

// settle ends a change. there tells whether the key it is about exists now, if
// err is one that leaves no doubt.
func (n *counter) settle(at [2]string, err error, there bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	r := n.regions[at]
	r.changing--
	if err != nil && !errors.Is(err, store.ErrConflict) {
		r.exact = false // the change may have been written
	} else if !there {
		r.keys--
	}
	n.forget(at)
}

func (n *counter) region(at [2]string) *keyCount {
	if n.regions == nil {
		n.regions = make(map[[2]string]*keyCount)
	}
	r := n.regions[at]
	if r == nil {
		r = new(keyCount)
		n.regions[at] = r
	}
	return r
}

// forget drops what need not be kept, so that requests for ever new Regions that
// make no key take no memory.
func (n *counter) forget(at [2]string) {
	if r := n.regions[at]; r.changing == 0 && (!r.exact || r.keys == 0) {
		delete(n.regions, at)
	}
}

func (n *counter) count(ctx context.Context, account, region string) (int, error) {
	v, err := n.db.View(ctx) // not the call's: changes may have ended since it was opened
	if err != nil {
		return 0, err
	}
	defer v.Close()
	prefix, count := keyPrefix(account, region), 0
	for _, err := range v.Paths(prefix, store.PrefixEnd(prefix)) {
		if err != nil {
			return 0, err
		}
		count++
	}
	return count, nil
}

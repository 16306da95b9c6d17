package awskms_test

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"sync"
	"testing"

	"github.com/keywright/keywright/esdk/keyring/awskms"
)

// memoryTable is a table in memory. Tests read and change its items.
type memoryTable struct {
	mu     sync.Mutex
	items  map[[2]string]awskms.BranchKeyItem // by id and sort key
	before func()                             // runs before a transaction, if set
	err    error
}

var errCondition = errors.New("a condition does not hold")

func (m *memoryTable) Item(_ context.Context, id, sort string) (awskms.BranchKeyItem, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.items[[2]string{id, sort}], m.err
}

func (m *memoryTable) Write(_ context.Context, puts []awskms.BranchKeyPut) error {
	if before := m.before; before != nil {
		m.before = nil
		before()
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, put := range puts {
		old, ok := m.items[keysOf(put.Item)]
		if ok != (put.Replaces != "") || old.Strings["version"] != put.Replaces {
			return errCondition
		}
	}
	if m.items == nil {
		m.items = map[[2]string]awskms.BranchKeyItem{}
	}
	for _, put := range puts {
		m.items[keysOf(put.Item)] = put.Item
	}
	return m.err
}

func keysOf(item awskms.BranchKeyItem) [2]string {
	return [2]string{item.Strings["branch-key-id"], item.Strings["type"]}
}

// change makes the table return a changed copy of an item until the test is over.
func (m *memoryTable) change(t *testing.T, id, sort string, change func(*awskms.BranchKeyItem)) {
	t.Helper()
	old, ok := m.items[[2]string{id, sort}]
	if !ok {
		t.Fatalf("there is no item %s of %q", sort, id)
	}
	item := cloneItem(old)
	change(&item)
	m.items[[2]string{id, sort}] = item
	t.Cleanup(func() { m.items[[2]string{id, sort}] = old })
}

func cloneItem(item awskms.BranchKeyItem) awskms.BranchKeyItem {
	item.Strings, item.Numbers, item.Binaries = maps.Clone(item.Strings), maps.Clone(item.Numbers), maps.Clone(item.Binaries)
	for name, b := range item.Binaries {
		item.Binaries[name] = bytes.Clone(b)
	}
	return item
}

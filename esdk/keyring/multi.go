package keyring

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/keywright/keywright/esdk/materials"
)

// Multi combines keyrings: it encrypts so that any of them can decrypt, and
// decrypts with the first of them that can. A message is therefore as safe as
// the weakest of the keys.
type Multi struct {
	generator materials.Keyring // may be nil
	children  []materials.Keyring
}

// NewMulti returns a keyring that has its data keys made by the generator and
// wrapped by all. Without a generator (nil) it can decrypt, and encrypt as a
// child of another Multi, whose generator makes the data key. It needs a
// generator or a child.
func NewMulti(generator materials.Keyring, children ...materials.Keyring) (*Multi, error) {
	if generator == nil && len(children) == 0 {
		return nil, errors.New("esdk: a multi-keyring needs a generator or a child")
	}
	if slices.Contains(children, nil) {
		return nil, errors.New("esdk: a child of a multi-keyring is nil")
	}
	return &Multi{generator, slices.Clone(children)}, nil
}

// OnEncrypt has the generator make and wrap the data key, and then the children
// wrap it, at the same time. Their data keys are appended in the order of the
// children. If one of them fails, all do: a message that some reader could not
// open must not be written. The error is ErrHasDataKey if there is a generator
// and the data key exists.
func (k *Multi) OnEncrypt(ctx context.Context, m *materials.EncryptionMaterials) (err error) {
	if err := checkSuite(m.Suite); err != nil {
		return err
	}
	// Everything happens on copies, so that an error leaves m as it is.
	work := copyForWrapping(m)
	if k.generator != nil {
		if m.DataKey != nil {
			return ErrHasDataKey
		}
		defer func() {
			if err != nil {
				clear(work.DataKey)
			}
		}()
		if err := k.generator.OnEncrypt(ctx, work); err != nil {
			return fmt.Errorf("esdk: making the data key: %w", err)
		}
		if len(work.DataKey) != m.Suite.KeyLen || len(work.EncryptedDataKeys) == 0 {
			return errors.New("esdk: the generator of a multi-keyring made no data key, or did not wrap it")
		}
	} else if m.DataKey == nil {
		return errors.New("esdk: a multi-keyring without a generator cannot make a data key: give it one")
	}
	wrapped, err := k.wrapAll(ctx, work)
	if err != nil {
		return err
	}
	if k.generator != nil {
		m.DataKey = work.DataKey
	}
	m.EncryptedDataKeys = slices.Concat(m.EncryptedDataKeys, work.EncryptedDataKeys, wrapped)
	return nil
}

// wrapAll has the children wrap the data key and returns their encrypted data
// keys in order. The first failure cancels the others.
func (k *Multi) wrapAll(ctx context.Context, m *materials.EncryptionMaterials) ([]materials.EncryptedDataKey, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	copies := make([]*materials.EncryptionMaterials, len(k.children))
	var wg sync.WaitGroup
	for i, child := range k.children {
		copies[i] = copyForWrapping(m)
		wg.Go(func() {
			defer clear(copies[i].DataKey)
			if err := child.OnEncrypt(ctx, copies[i]); err != nil {
				cancel(fmt.Errorf("esdk: wrapping the data key with child %d of %d: %w", i+1, len(k.children), err))
			} else if len(copies[i].EncryptedDataKeys) == 0 {
				cancel(fmt.Errorf("esdk: child %d of %d did not wrap the data key", i+1, len(k.children)))
			}
		})
	}
	wg.Wait()
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	var wrapped []materials.EncryptedDataKey
	for _, c := range copies {
		wrapped = append(wrapped, c.EncryptedDataKeys...)
	}
	return wrapped, nil
}

// copyForWrapping returns a copy of m that another keyring may change, without
// the encrypted data keys that m has.
func copyForWrapping(m *materials.EncryptionMaterials) *materials.EncryptionMaterials {
	c := *m
	c.EncryptionContext = maps.Clone(m.EncryptionContext)
	c.RequiredKeys = slices.Clone(m.RequiredKeys)
	c.DataKey = slices.Clone(m.DataKey)
	c.EncryptedDataKeys = nil
	return &c
}

// OnDecrypt tries the generator and then each child on all the keys, one after
// the other. If none succeeds, the error is an *materials.UnwrapError with the
// attempts of all of them, or ctx's error if that is done.
func (k *Multi) OnDecrypt(ctx context.Context, m *materials.DecryptionMaterials, keys []materials.EncryptedDataKey) error {
	if err := checkSuite(m.Suite); err != nil {
		return err
	}
	if m.DataKey != nil {
		return ErrHasDataKey
	}
	all := k.children
	if k.generator != nil {
		all = slices.Insert(slices.Clone(k.children), 0, k.generator)
	}
	failed := new(materials.UnwrapError)
	for i, child := range all {
		work := *m
		work.EncryptionContext = maps.Clone(m.EncryptionContext)
		work.RequiredKeys = slices.Clone(m.RequiredKeys)
		err := child.OnDecrypt(ctx, &work, slices.Clone(keys))
		if err == nil && len(work.DataKey) == m.Suite.KeyLen {
			m.DataKey = work.DataKey
			return nil
		}
		clear(work.DataKey)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err == nil {
			err = errors.New("esdk: the keyring gave no data key of the suite's length")
		}
		if unwrap, ok := errors.AsType[*materials.UnwrapError](err); ok {
			failed.Attempts = append(failed.Attempts, unwrap.Attempts...)
			continue
		}
		failed.Attempts = append(failed.Attempts, materials.Attempt{
			ProviderID: fmt.Sprintf("keyring %d of %d", i+1, len(all)), Err: err,
		})
	}
	return failed
}

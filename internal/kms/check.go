package kms

import (
	"bytes"
	"context"
	"fmt"

	"github.com/keywright/keywright/internal/record"
	"github.com/keywright/keywright/internal/store"
)

// Check looks whether the records of one state of the store fit together: every
// key has its material and every material its owner, aliases and their index
// agree both ways, and so do keys and tombstones with the worker's indexes. It
// calls found with each thing that does not, in words that name the record; it
// returns an error only where it cannot look. Nothing is changed.
func (s *Service) Check(ctx context.Context, v *record.View, found func(problem string)) error {
	c := &checker{s: s, ctx: ctx, v: v, found: found}
	for _, walk := range []func() error{c.keys, c.materials, c.aliases, c.aliasIndex, c.deletions, c.tombstones, c.erasures} {
		if err := walk(); err != nil {
			return err
		}
	}
	return nil
}

type checker struct {
	s     *Service
	ctx   context.Context
	v     *record.View
	found func(string)
}

func (c *checker) report(format string, args ...any) { c.found(fmt.Sprintf(format, args...)) }

// each walks the records under a prefix, and reports those that do not open.
func each[T any](c *checker, prefix string, look func(path []byte, parts [][]byte, r *T) error) error {
	from := []byte(prefix)
	for path, err := range c.v.Paths(from, store.PrefixEnd(from)) {
		if err != nil {
			return err
		}
		if err := c.ctx.Err(); err != nil {
			return err
		}
		r, err := record.Get[T](c.v, path)
		if err != nil {
			c.report("%s: %v", path, err)
			continue
		}
		if err := look(path, bytes.Split(path[len(prefix):], []byte("/")), r.Value); err != nil {
			return err
		}
	}
	return nil
}

// wants reports where there is no record at a path.
func (c *checker) wants(path []byte, format string, args ...any) error {
	has, err := c.v.Has(path)
	if err == nil && !has {
		c.report(format, args...)
	}
	return err
}

// get reads a record; nil where there is none, or none that opens, which its own
// walk reports.
func get[T any](c *checker, path []byte) *T {
	r, err := record.Get[T](c.v, path)
	if err != nil {
		return nil
	}
	return r.Value
}

func (c *checker) keys() error {
	return each(c, "key/", func(path []byte, _ [][]byte, k *Key) error {
		if !bytes.Equal(path, keyPath(k.Account, k.Region, k.ID)) {
			c.report("%s: the record is of another key, %s", path, k.arn)
			return nil
		}
		if k.Deletion != 0 {
			if err := c.wants(duePath(deletions, k.Deletion, k), "%s: the key is pending deletion but is not in the index of deletions", path); err != nil {
				return err
			}
		}
		if n := len(k.Tags); n > maxTags {
			c.report("%s: the key has %d tags, more than the %d it may have", path, n, maxTags)
		}
		aliases, prefix := 0, keyAliasPrefix(k.Account, k.Region, k.ID)
		for _, err := range c.v.Paths(prefix, store.PrefixEnd(prefix)) {
			if err != nil {
				return err
			}
			aliases++
		}
		if aliases > maxAliases {
			c.report("%s: the key has %d aliases, more than the %d it may have", path, aliases, maxAliases)
		}
		return c.material(path, k)
	})
}

// material checks that a key's current material is there and is the key's.
func (c *checker) material(path []byte, k *Key) error {
	at := materialPath(k.Account, k.ID, k.Material)
	if err := c.wants(at, "%s: its key material %s is missing", path, at); err != nil {
		return err
	}
	m := get[Material](c, at)
	if m == nil {
		return nil
	}
	attrs, id, err := c.s.module.Inspect(c.ctx, m.Token)
	switch {
	case err != nil:
		c.report("%s: the key material does not open: %v", at, err)
	case attrs != attributes(k):
		c.report("%s: the key material is that of another key or kind", at)
	case !bytes.Equal(id[:], k.Material):
		c.report("%s: the key material is not what its path says", at)
	}
	return nil
}

// materials looks for material whose key is gone in every Region.
func (c *checker) materials() error {
	owned := map[string]bool{}
	for _, prefix := range []string{"key/", "tombstone/"} {
		for path, err := range c.v.Paths([]byte(prefix), store.PrefixEnd([]byte(prefix))) {
			if err != nil {
				return err
			}
			if p := bytes.Split(path[len(prefix):], []byte("/")); len(p) == 3 {
				owned[string(p[0])+"/"+string(p[2])] = true
			}
		}
	}
	return each(c, "material/", func(path []byte, p [][]byte, _ *Material) error {
		if len(p) != 3 || !owned[string(p[0])+"/"+string(p[1])] {
			c.report("%s: key material without a key", path)
		}
		return nil
	})
}

func (c *checker) aliases() error {
	return each(c, "alias/", func(path []byte, p [][]byte, a *Alias) error {
		if len(p) != 3 || !bytes.Equal(path, c.s.aliasPath(string(p[0]), string(p[1]), a.Name)) {
			c.report("%s: the record is of another alias", path)
			return nil
		}
		account, region := string(p[0]), string(p[1])
		if err := c.wants(keyPath(account, region, a.KeyID), "%s: the alias is of key %s, which does not exist", path, a.KeyID); err != nil {
			return err
		}
		return c.wants(c.s.keyAliasPath(account, region, a.KeyID, a.Name), "%s: the alias is missing among those of its key %s", path, a.KeyID)
	})
}

func (c *checker) aliasIndex() error {
	return each(c, "keyalias/", func(path []byte, p [][]byte, _ *aliasOfKey) error {
		if len(p) != 4 {
			c.report("%s: the path is malformed", path)
			return nil
		}
		at := append(aliasPrefix(string(p[0]), string(p[1])), p[3]...)
		if err := c.wants(at, "%s: there is no such alias", path); err != nil {
			return err
		}
		if a := get[Alias](c, at); a != nil && a.KeyID != string(p[2]) {
			c.report("%s: the alias is of another key, %s", path, a.KeyID)
		}
		return nil
	})
}

func (c *checker) deletions() error {
	return each(c, deletions, func(path []byte, p [][]byte, _ *due) error {
		if len(p) != 4 {
			c.report("%s: the path is malformed", path)
			return nil
		}
		k := get[Key](c, keyPath(string(p[1]), string(p[2]), string(p[3])))
		if k == nil || k.Deletion == 0 || !bytes.Equal(path, duePath(deletions, k.Deletion, k)) {
			c.report("%s: the key is not pending deletion then", path)
		}
		return nil
	})
}

func (c *checker) tombstones() error {
	scheduled := map[string]bool{}
	for path, err := range c.v.Paths([]byte(erasures), store.PrefixEnd([]byte(erasures))) {
		if err != nil {
			return err
		}
		if _, key, ok := bytes.Cut(path[len(erasures):], []byte("/")); ok {
			scheduled[string(key)] = true
		}
	}
	return each(c, "tombstone/", func(path []byte, _ [][]byte, t *Tombstone) error {
		k := &t.Key
		if !bytes.Equal(path, tombstonePath(k.Account, k.Region, k.ID)) {
			c.report("%s: the record is of another key", path)
			return nil
		}
		if !scheduled[k.Account+"/"+k.Region+"/"+k.ID] {
			c.report("%s: the key's material is not in the index of erasures", path)
		}
		return nil
	})
}

func (c *checker) erasures() error {
	return each(c, erasures, func(path []byte, p [][]byte, _ *due) error {
		if len(p) != 4 {
			c.report("%s: the path is malformed", path)
			return nil
		}
		return c.wants(tombstonePath(string(p[1]), string(p[2]), string(p[3])), "%s: there is no such deleted key", path)
	})
}

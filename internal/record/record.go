// Package record keeps typed records in a store: it seals them on the way in,
// opens them on the way out, and remembers what it has decoded.
//
// A record is a Go struct, written as versioned JSON and sealed under its path.
// Reads go through a View, one immutable state of the store, so that everything
// a call decides on comes from one revision; writes go through a Tx, which
// demands that what it read is still so. Decoded records are shared by all
// readers and must not be changed: copy one to change it.
//
// The package knows no service's records; they are defined beside the code that
// uses them.
package record

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"

	jsonv2 "github.com/go-json-experiment/json"

	"github.com/keywright/keywright/internal/store"
)

// Sealer encrypts records under their path; *seal.Keyring is one.
type Sealer interface {
	Seal(path string, plaintext []byte) []byte
	// Open fails, naming the path, where the value was not sealed under it.
	Open(path string, sealed []byte) ([]byte, error)
}

// DB is a store of sealed records.
type DB struct {
	store  store.Store
	sealer Sealer
	cache  *cache
}

// New returns a DB over st. Decoded records are cached up to about cacheBytes.
func New(st store.Store, sealer Sealer, cacheBytes int) *DB {
	return &DB{store: st, sealer: sealer, cache: newCache(cacheBytes)}
}

// Store is the store beneath, for what is not about records.
func (db *DB) Store() store.Store { return db.store }

// SealOp is an Op that puts value, sealed, at path: for records of another form.
func (db *DB) SealOp(path, value []byte) store.Op {
	return store.Op{Key: path, Value: db.sealer.Seal(string(path), value)}
}

// View opens the newest state of the store. Close it.
func (db *DB) View(ctx context.Context) (*View, error) {
	v, err := db.store.Snapshot(ctx)
	if err != nil {
		return nil, fmt.Errorf("opening a snapshot: %w", err)
	}
	return &View{db: db, view: v}, nil
}

// View is one immutable state of all records.
type View struct {
	db   *DB
	view store.View
}

// Revision is the store revision of the view.
func (v *View) Revision() store.Revision { return v.view.Revision() }

// Close releases the view. Records read through it stay valid.
func (v *View) Close() { v.view.Close() }

// A Found is a record with the revision that wrote it.
type Found[T any] struct {
	Value    *T
	Path     []byte // valid until the view is closed, or what Get was given
	Revision store.Revision
}

// Get returns the record at path, or store.ErrNotFound. A record that does not
// open, or is of a newer version than this program knows, is an error that
// names the path.
func Get[T any](v *View, path []byte) (Found[T], error) {
	if got, rev, ok := v.db.cache.at(path, v.Revision()); ok {
		if r, ok := got.(*T); ok {
			return Found[T]{r, path, rev}, nil
		}
	}
	e, err := v.view.Get(path)
	if err != nil {
		return Found[T]{}, err
	}
	return decode[T](v, e)
}

// Has tells whether there is a record at path, without opening it.
func (v *View) Has(path []byte) (bool, error) {
	_, err := v.view.Get(path)
	if errors.Is(err, store.ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

// Scan yields the records with from <= path < to in order of path; an empty to
// means no bound. Paths are valid until the view is closed.
func Scan[T any](v *View, from, to []byte) iter.Seq2[Found[T], error] {
	return func(yield func(Found[T], error) bool) {
		for e, err := range v.view.Scan(from, to) {
			var f Found[T]
			if err == nil {
				f, err = decode[T](v, e)
			}
			if !yield(f, err) || err != nil {
				return
			}
		}
	}
}

// Paths yields the paths with from <= path < to without opening the records.
func (v *View) Paths(from, to []byte) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		for e, err := range v.view.Scan(from, to) {
			if !yield(e.Key, err) || err != nil {
				return
			}
		}
	}
}

// strict: a field of a newer program must not be dropped silently.
var strict = jsonv2.RejectUnknownMembers(true)

func decode[T any](v *View, e store.Entry) (Found[T], error) {
	db := v.db
	if got, ok := db.cache.get(e.Key, e.Revision, v.Revision()); ok {
		if r, ok := got.(*T); ok {
			return Found[T]{r, e.Key, e.Revision}, nil
		}
	}
	plain, err := db.sealer.Open(string(e.Key), e.Value)
	if err != nil {
		return Found[T]{}, err
	}
	defer clear(plain)
	r := new(T)
	if err := jsonv2.Unmarshal(plain, r, strict); err != nil {
		return Found[T]{}, fmt.Errorf("decoding record %q: %w", e.Key, err)
	}
	if p, ok := any(r).(interface{ Prepare() error }); ok {
		if err := p.Prepare(); err != nil {
			return Found[T]{}, fmt.Errorf("decoding record %q: %w", e.Key, err)
		}
	}
	// Decoded Go structs take about three times their JSON.
	db.cache.put(e.Key, e.Revision, v.Revision(), r, 3*len(plain)+256)
	return Found[T]{r, e.Key, e.Revision}, nil
}

// Tx collects the writes of one atomic change. Its zero value is not usable:
// get one from DB.Tx.
type Tx struct {
	db    *DB
	batch store.Batch
	err   error
}

// Tx starts a change.
func (db *DB) Tx() *Tx { return &Tx{db: db} }

// Expect makes the change fail with store.ErrConflict unless the record at path
// is still of this revision (zero: absent) when it is written.
func (t *Tx) Expect(path []byte, rev store.Revision) {
	t.batch.If = append(t.batch.If, store.Cond{Key: bytes.Clone(path), Revision: rev})
}

// Put writes rec at path, whose revision must still be rev (zero: absent).
func Put[T any](t *Tx, path []byte, rev store.Revision, rec *T) {
	plain, err := json.Marshal(rec)
	if err != nil {
		t.err = errors.Join(t.err, fmt.Errorf("encoding record %q: %w", path, err))
		return
	}
	defer clear(plain)
	t.Expect(path, rev)
	t.Do(t.db.SealOp(bytes.Clone(path), plain))
}

// Delete removes the record at path, whose revision must still be rev.
func (t *Tx) Delete(path []byte, rev store.Revision) {
	t.Expect(path, rev)
	t.Do(store.Op{Key: bytes.Clone(path), Delete: true})
}

// Do adds an operation as it is.
func (t *Tx) Do(op store.Op) { t.batch.Ops = append(t.batch.Ops, op) }

// Commit writes the change: whole, or not at all. See store.Store for errors.
func (t *Tx) Commit(ctx context.Context) (store.Revision, error) {
	if t.err != nil {
		return 0, t.err
	}
	return t.db.store.Write(ctx, t.batch)
}

package boltstore

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"go.etcd.io/bbolt"

	"github.com/keywright/keywright/internal/store"
)

// format is the version of the file that this package writes, and the newest it
// reads.
const format = 1

var (
	metaBucket = []byte("meta")
	dataBucket = []byte("data")

	formatKey   = []byte("format")
	createdKey  = []byte("created")
	idKey       = []byte("id")
	revisionKey = []byte("revision")
)

// errDamaged is a file that neither this package nor bbolt can have left so.
var errDamaged = errors.New("store is damaged, restore it from a backup")

// header is what the meta bucket says, but for the revision.
type header struct {
	id      [16]byte
	created time.Time
}

// errNew is readHeader's answer to a file that bbolt has just made.
var errNew = errors.New("new file")

// readHeader checks that the file is a store this package can work with. It
// writes nothing, and nor does bbolt when it opens a file whose free list is in
// the file, as all formats will have it: a file that is refused stays as it is.
func readHeader(db *bbolt.DB) (h header, err error) {
	err = db.View(func(tx *bbolt.Tx) error {
		meta := tx.Bucket(metaBucket)
		if meta == nil {
			if name, _ := tx.Cursor().First(); name == nil {
				return errNew
			}
			return errors.New("it is no store of keywright")
		}
		version, err := readNumber(meta, formatKey)
		if err != nil {
			return err
		}
		if version > format {
			return fmt.Errorf("it has format %d, this keywright knows formats up to %d: use the keywright that wrote it, or a newer one", version, format)
		}
		created, err := readNumber(meta, createdKey)
		if err != nil {
			return err
		}
		id := meta.Get(idKey)
		if version == 0 || len(id) != len(h.id) || tx.Bucket(dataBucket) == nil {
			return fmt.Errorf("%w: incomplete header", errDamaged)
		}
		h.id = [16]byte(id)
		h.created = time.UnixMilli(int64(created)).UTC()
		return nil
	})
	return h, err
}

// writeHeader makes the new file a store.
func writeHeader(db *bbolt.DB) (h header, err error) {
	h.created = time.Now().UTC().Truncate(time.Millisecond)
	rand.Read(h.id[:])
	err = db.Update(func(tx *bbolt.Tx) error {
		meta, err := tx.CreateBucket(metaBucket)
		if err != nil {
			return err
		}
		_, err = tx.CreateBucket(dataBucket)
		return errors.Join(err,
			writeNumber(meta, formatKey, format),
			writeNumber(meta, createdKey, uint64(h.created.UnixMilli())),
			meta.Put(idKey, h.id[:]),
			writeNumber(meta, revisionKey, 0),
		)
	})
	if err != nil {
		return header{}, fmt.Errorf("writing its header: %w", err)
	}
	return h, nil
}

func readNumber(meta *bbolt.Bucket, key []byte) (uint64, error) {
	v := meta.Get(key)
	if len(v) != 8 {
		return 0, fmt.Errorf("%w: record %q has %d bytes", errDamaged, key, len(v))
	}
	return binary.BigEndian.Uint64(v), nil
}

func writeNumber(meta *bbolt.Bucket, key []byte, n uint64) error {
	return meta.Put(key, binary.BigEndian.AppendUint64(nil, n))
}

// revisionBytes is the length of the revision before each value.
const revisionBytes = 8

// splitRecord parses what the data bucket holds under a key.
func splitRecord(rec []byte) (store.Revision, []byte, error) {
	if len(rec) < revisionBytes {
		return 0, nil, fmt.Errorf("%w: record without a revision", errDamaged)
	}
	return store.Revision(binary.BigEndian.Uint64(rec)), rec[revisionBytes:len(rec):len(rec)], nil
}

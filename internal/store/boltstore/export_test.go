package boltstore

import (
	"encoding/binary"
	"path/filepath"

	"go.etcd.io/bbolt"
)

// CommitTx replaces how the store commits a transaction. It must not be called
// beside a Write.
func (s *Store) CommitTx(f func(*bbolt.Tx) error) { s.commitTx = f }

// Check returns what bbolt's own check of the whole file finds.
func (s *Store) Check() (found []error) {
	snap := s.acquire()
	if snap == nil {
		return []error{errUnavailable}
	}
	defer snap.release()
	for err := range snap.tx.Check() {
		found = append(found, err)
	}
	return found
}

// SetFormat gives the closed store at path another format version.
func SetFormat(path string, version uint64) error {
	db, err := bbolt.Open(filepath.Clean(path), 0, nil)
	if err != nil {
		return err
	}
	defer db.Close()
	return db.Update(func(tx *bbolt.Tx) error {
		return tx.Bucket(metaBucket).Put(formatKey, binary.BigEndian.AppendUint64(nil, version))
	})
}

package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/keywright/keywright/internal/hsm"
	"github.com/keywright/keywright/internal/kms"
	"github.com/keywright/keywright/internal/record"
	"github.com/keywright/keywright/internal/server"
	"github.com/keywright/keywright/internal/store"
)

// How the keys of a filled store are spread.
const fillAccounts = 10

var fillRegions = []string{"ap-southeast-2", "eu-central-1", "sa-east-1", "us-east-1", "us-west-2"}

// fillBatch is how many keys are written at once: each has two records.
const fillBatch = store.MaxBatchOps / 2

// fill makes a data folder with n keys. It writes the records that CreateKey
// would, many at a time, past the API and its audit log.
func fill(dir string, n int) (keys keyRefs, err error) {
	ctx := context.Background()
	s, err := server.Start(ctx, server.Config{Data: dir, Listen: "127.0.0.1:0", OperatorListen: "off"}, nil)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.Close(ctx)) }()
	f := filler{created: time.Now().UnixMilli()}
	f.db, f.module = s.Records()
	groups := fillAccounts * len(fillRegions)
	for a := range fillAccounts {
		owner, err := s.CreateAccount(ctx, fmt.Sprintf("2%011d", a))
		if err != nil {
			return nil, err
		}
		for i, region := range fillRegions {
			g := a*len(fillRegions) + i
			ids := newIDs((g+1)*n/groups - g*n/groups)
			if err := f.keys(ctx, owner.Account, region, ids); err != nil {
				return nil, err
			}
			for _, id := range ids {
				keys = append(keys, keyRef{region, id, accessKey{owner.AccessKeyID, owner.SecretAccessKey}})
			}
		}
	}
	return keys, nil
}

// newIDs makes random key ids, in order: a store fills faster so.
func newIDs(n int) []string {
	ids := make([]string, n)
	for i := range ids {
		var b [16]byte
		rand.Read(b[:])
		b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
		ids[i] = fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
	}
	slices.Sort(ids)
	return ids
}

type filler struct {
	db      *record.DB
	module  hsm.Module
	created int64
}

// keys makes keys in one account and Region. Batches are written beside each
// other, so that they share the disk's syncs.
func (f *filler) keys(ctx context.Context, account, region string, ids []string) error {
	var wg sync.WaitGroup
	var mu sync.Mutex
	var errs error
	slots := make(chan struct{}, 16)
	for batch := range slices.Chunk(ids, fillBatch) {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			if err := f.batch(ctx, account, region, batch); err != nil {
				mu.Lock()
				errs = errors.Join(errs, err)
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	return errs
}

func (f *filler) batch(ctx context.Context, account, region string, ids []string) error {
	tx := f.db.Tx()
	for _, id := range ids {
		material, err := f.module.Generate(ctx, hsm.Attributes{
			Account: account, KeyID: id,
			Spec: hsm.SpecSymmetricDefault, Usage: hsm.UsageEncryptDecrypt, Origin: hsm.OriginAWSKMS,
		}, nil)
		if err != nil {
			return err
		}
		err = f.put(tx, &kms.Key{
			Version: 1, Account: account, Region: region, ID: id, Created: f.created,
			Spec: "SYMMETRIC_DEFAULT", Usage: "ENCRYPT_DECRYPT", Origin: "AWS_KMS", Material: material.ID[:],
		}, "key", account, region, id)
		if err != nil {
			return err
		}
		err = f.put(tx, &kms.Material{Version: 1, Token: material.Token, Created: f.created},
			"material", account, id, hex.EncodeToString(material.ID[:]))
		if err != nil {
			return err
		}
	}
	_, err := tx.Commit(ctx)
	return err
}

// put adds a record as record.Put does, but without the condition that there is
// none yet, so that twice as many fit into a batch.
func (f *filler) put(tx *record.Tx, rec any, path ...string) error {
	plain, err := json.Marshal(rec)
	if err != nil {
		return err
	}
	tx.Do(f.db.SealOp([]byte(strings.Join(path, "/")), plain))
	return nil
}

package materials

import (
	"context"
	"crypto/rand"
	"crypto/sha512"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/keywright/keywright/esdk/suite"
)

// MaxCachedMessages is the most messages that the specification lets one cached
// data key encrypt.
const MaxCachedMessages = 1 << 32

// CachingConfig says what a CachingManager caches and for how long. A reused
// data key saves calls of a key service; it also means that whoever gets one
// data key reads all messages under it, and that a revoked permission takes up
// to MaxAge to be felt. Set the limits as low as the saved calls allow.
type CachingConfig struct {
	// Keyring or Underlying is asked for what is not cached; one of them must
	// be set. A Keyring stands for the default manager of it.
	Keyring    Keyring
	Underlying Manager
	// Cache keeps the materials. Nil is a cache of its own with room for
	// DefaultCapacity entries.
	Cache *LocalCache
	// Partition separates managers that share a cache. Those of the same
	// partition share entries, and so must have equal underlying managers.
	// Empty is a random partition, which nobody shares.
	Partition string
	// MaxAge is how long materials may be used after they were made, however
	// often they are. It must be more than 0.
	MaxAge time.Duration
	// MaxMessages is how many messages are encrypted under one data key, 1 to
	// MaxCachedMessages; 0 is MaxCachedMessages. Reading messages counts
	// nothing.
	MaxMessages int64
	// MaxBytes is how many bytes of plaintext are encrypted under one data key;
	// 0 is no limit. A single message that is longer gets a data key of its own.
	MaxBytes int64
	// EarlyRefresh, if more than 0, has materials that are used within that
	// time before their MaxAge replaced in the background, so that no message
	// waits for it. It is tried once for each entry: if it fails, the entry is
	// used to its end, and the next message waits. It must be less than MaxAge.
	EarlyRefresh time.Duration
}

// CachingManager is a Manager that lets messages of the same suite and
// encryption context share materials, within the limits of its configuration.
// All messages of an entry also share its signing key.
//
// Never cached are messages whose suite uses the data key itself, and, to
// encrypt, those of unknown length or longer than MaxBytes. A request that names
// no suite is for its policy's default one. The underlying manager is not told
// the length of a message.
//
// Requests for the same materials that come while the underlying manager is
// asked wait for that one answer, as far as it may serve them. The call has the
// values of the context of the request that caused it, but not its end: it is
// cancelled only when every request that waits for it is. An error goes to all
// who waited, and is not cached.
//
// Source: the specification, "Caching Cryptographic Materials Manager".
type CachingManager struct {
	underlying Manager
	cache      *LocalCache
	partition  cacheID
	encrypt    limits
	decrypt    limits
	stats      counters
}

var _ Manager = (*CachingManager)(nil)

// NewCachingManager returns a manager of that configuration, or says what is
// wrong with it.
func NewCachingManager(cfg CachingConfig) (*CachingManager, error) {
	switch {
	case (cfg.Keyring == nil) == (cfg.Underlying == nil):
		return nil, errors.New("esdk: a caching manager needs either a keyring or an underlying manager")
	case cfg.MaxAge <= 0:
		return nil, errors.New("esdk: a caching manager needs a MaxAge of more than 0")
	case cfg.MaxMessages < 0 || cfg.MaxMessages > MaxCachedMessages:
		return nil, fmt.Errorf("esdk: MaxMessages must be between 1 and %d", int64(MaxCachedMessages))
	case cfg.MaxBytes < 0:
		return nil, errors.New("esdk: MaxBytes may not be negative")
	case cfg.EarlyRefresh < 0 || cfg.EarlyRefresh >= cfg.MaxAge:
		return nil, errors.New("esdk: EarlyRefresh must be less than MaxAge")
	}
	m := &CachingManager{
		underlying: cfg.Underlying,
		cache:      cfg.Cache,
		encrypt: limits{cfg.MaxAge, cfg.EarlyRefresh, usage{
			messages: orMax(cfg.MaxMessages, MaxCachedMessages),
			bytes:    orMax(cfg.MaxBytes, math.MaxInt64),
		}},
		decrypt: limits{cfg.MaxAge, cfg.EarlyRefresh, usage{math.MaxInt64, math.MaxInt64}},
	}
	if m.underlying == nil {
		m.underlying = NewDefaultManager(cfg.Keyring)
	}
	if m.cache == nil {
		m.cache = NewLocalCache(DefaultCapacity)
	}
	if cfg.Partition == "" {
		cfg.Partition = rand.Text()
	}
	m.partition = sha512.Sum512([]byte(cfg.Partition))
	return m, nil
}

// EncryptionMaterials implements Manager.
func (m *CachingManager) EncryptionMaterials(ctx context.Context, req EncryptionRequest) (*EncryptionMaterials, error) {
	s, err := encryptSuite(req)
	if err != nil {
		return nil, err
	}
	switch c := &m.stats.encrypt; {
	case s.KDF == suite.Identity:
		c.bypassSuite.Add(1)
		return m.underlying.EncryptionMaterials(ctx, req)
	case req.PlaintextLength < 0:
		c.bypassUnknownLength.Add(1)
		return m.underlying.EncryptionMaterials(ctx, req)
	case req.PlaintextLength > m.encrypt.usage.bytes:
		c.bypassTooLong.Add(1)
		return m.underlying.EncryptionMaterials(ctx, req)
	}
	use := usage{1, req.PlaintextLength}
	req.Suite, req.PlaintextLength = s.ID, UnknownLength
	id, err := encryptID(m.partition, req)
	if err != nil {
		return nil, err
	}
	e, key, o := m.cache.acquire(id, use, m.encrypt)
	m.stats.encrypt.count(o)
	if o != hit {
		// The call may outlive this request, and with it the caller's maps.
		req := req
		req.EncryptionContext = maps.Clone(req.EncryptionContext)
		m.call(ctx, e, o, m.encrypt, func(ctx context.Context) (any, []byte, error) {
			em, err := m.underlying.EncryptionMaterials(ctx, req)
			if err != nil {
				return nil, nil, err
			}
			if err := checkEncryption(em, req); err != nil {
				em.Wipe()
				return nil, nil, err
			}
			key := em.DataKey
			em.DataKey = nil
			return em, key, nil
		})
	}
	if key == nil {
		if key, err = m.cache.wait(ctx, e, use); err != nil {
			return nil, err
		}
	}
	em := *e.value.(*EncryptionMaterials)
	em.DataKey = key
	em.EncryptionContext = maps.Clone(em.EncryptionContext)
	em.RequiredKeys = slices.Clone(em.RequiredKeys)
	em.EncryptedDataKeys = slices.Clone(em.EncryptedDataKeys)
	return &em, nil
}

// DecryptionMaterials implements Manager.
func (m *CachingManager) DecryptionMaterials(ctx context.Context, req DecryptionRequest) (*DecryptionMaterials, error) {
	s, err := decryptSuite(req)
	if err != nil {
		return nil, err
	}
	if s.KDF == suite.Identity {
		m.stats.decrypt.bypassSuite.Add(1)
		return m.underlying.DecryptionMaterials(ctx, req)
	}
	id, err := decryptID(m.partition, req)
	if err != nil {
		return nil, err
	}
	e, key, o := m.cache.acquire(id, usage{}, m.decrypt)
	m.stats.decrypt.count(o)
	if o != hit {
		req := req.clone()
		m.call(ctx, e, o, m.decrypt, func(ctx context.Context) (any, []byte, error) {
			dm, err := m.underlying.DecryptionMaterials(ctx, req)
			if err != nil {
				return nil, nil, err
			}
			if err := checkDecryption(dm, req); err != nil {
				dm.Wipe()
				return nil, nil, err
			}
			key := dm.DataKey
			dm.DataKey = nil
			return dm, key, nil
		})
	}
	if key == nil {
		if key, err = m.cache.wait(ctx, e, usage{}); err != nil {
			return nil, err
		}
	}
	dm := *e.value.(*DecryptionMaterials)
	dm.DataKey = key
	dm.EncryptionContext = maps.Clone(dm.EncryptionContext)
	dm.RequiredKeys = slices.Clone(dm.RequiredKeys)
	return &dm, nil
}

// call starts the call that a miss, or an entry near its end, asks for.
func (m *CachingManager) call(ctx context.Context, e *entry, o outcome, l limits, get func(context.Context) (any, []byte, error)) {
	ctx = context.WithoutCancel(ctx)
	if o.miss() {
		// Nobody reads cancel before the request that set it stops waiting.
		ctx, e.cancel = context.WithCancel(ctx)
		go func() {
			defer e.cancel()
			var value any
			var key []byte
			err := errAbandoned
			defer func() { m.cache.finish(e, value, key, err, l) }()
			value, key, err = get(ctx)
		}()
		return
	}
	m.stats.refreshes.Add(1)
	go func() {
		// After the entry's end others ask for its successor.
		ctx, cancel := context.WithTimeout(ctx, l.refresh)
		defer cancel()
		value, key, err := get(ctx)
		if err != nil {
			m.stats.refreshErrors.Add(1)
			return
		}
		m.cache.replace(e, value, key, l)
	}()
}

// clone returns a request that shares nothing with the caller's, whose buffers
// may be used again.
func (req DecryptionRequest) clone() DecryptionRequest {
	req.EncryptionContext = maps.Clone(req.EncryptionContext)
	req.Reproduced = maps.Clone(req.Reproduced)
	req.EncryptedDataKeys = slices.Clone(req.EncryptedDataKeys)
	for i := range req.EncryptedDataKeys {
		k := &req.EncryptedDataKeys[i]
		k.ProviderInfo, k.Ciphertext = slices.Clone(k.ProviderInfo), slices.Clone(k.Ciphertext)
	}
	return req
}

func orMax(n, limit int64) int64 {
	if n == 0 {
		return limit
	}
	return n
}

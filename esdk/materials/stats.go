package materials

import "sync/atomic"

// CacheStats counts the requests of a CachingManager since it was made.
type CacheStats struct {
	Encrypt, Decrypt CacheCounts
	// Refreshes are the calls made early, in the background; RefreshErrors
	// those of them that failed.
	Refreshes, RefreshErrors uint64
}

// CacheCounts counts requests of one kind; their sum is the number of requests
// that were not refused before the cache was asked. Each miss and each bypass
// called the underlying manager, a hit did not.
type CacheCounts struct {
	Hits uint64 // also those that waited for the call of another

	MissesAbsent  uint64 // no entry: the first request, or it was evicted or purged
	MissesExpired uint64 // the entry was older than MaxAge
	MissesUsedUp  uint64 // the entry had too few messages or bytes left

	BypassesSuite         uint64 // the suite uses the data key itself
	BypassesUnknownLength uint64 // the plaintext's length is not known
	BypassesTooLong       uint64 // the plaintext is longer than MaxBytes
}

type counters struct {
	encrypt, decrypt         kindCounters
	refreshes, refreshErrors atomic.Uint64
}

type kindCounters struct {
	outcomes                                        [missUsedUp + 1]atomic.Uint64
	bypassSuite, bypassUnknownLength, bypassTooLong atomic.Uint64
}

func (c *kindCounters) count(o outcome) { c.outcomes[o].Add(1) }

func (c *kindCounters) counts() CacheCounts {
	return CacheCounts{
		Hits:                  c.outcomes[hit].Load() + c.outcomes[hitStale].Load(),
		MissesAbsent:          c.outcomes[missAbsent].Load(),
		MissesExpired:         c.outcomes[missExpired].Load(),
		MissesUsedUp:          c.outcomes[missUsedUp].Load(),
		BypassesSuite:         c.bypassSuite.Load(),
		BypassesUnknownLength: c.bypassUnknownLength.Load(),
		BypassesTooLong:       c.bypassTooLong.Load(),
	}
}

// Stats returns the counts so far. Under load they are those of slightly
// different moments.
func (m *CachingManager) Stats() CacheStats {
	return CacheStats{
		Encrypt:       m.stats.encrypt.counts(),
		Decrypt:       m.stats.decrypt.counts(),
		Refreshes:     m.stats.refreshes.Load(),
		RefreshErrors: m.stats.refreshErrors.Load(),
	}
}

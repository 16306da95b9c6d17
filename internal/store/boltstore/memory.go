package boltstore

// OpenMemory opens a new, empty store that lives in memory: a bbolt file
// without a name and without syncs. It keeps the whole contract of store.Store
// but durability, and is gone when it is closed. It is for development servers
// and tests.
func OpenMemory(opts Options) (*Store, error) {
	return open(&Store{path: "store in memory", memory: true, opts: opts})
}

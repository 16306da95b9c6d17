package seal

// Seams for the tests.

// Base returns the base secret's bytes, a copy.
func Base(kr *Keyring) []byte { return append([]byte(nil), kr.base.bytes()...) }

// BaseSecret returns the base secret itself.
func BaseSecret(kr *Keyring) secret { return kr.base }

// IsZero tells whether a secret was wiped.
func IsZero(s secret) bool { return *s.b == [secretSize]byte{} }

// OnRotateStep makes f take the place of each step of RotateRoot.
func OnRotateStep(f func(name string, step func() error) error) { testOnlyStep = f }

// ReadSlot parses a slot and encodes it again.
func ReadSlot(b []byte) ([]byte, error) {
	s, err := parseSlot(b)
	if err != nil {
		return nil, err
	}
	return s.encode(), nil
}

// ReadRootKey parses a root key file and formats it again.
func ReadRootKey(b []byte) ([]byte, error) {
	key, err := parseRootKey(b)
	if err != nil {
		return nil, err
	}
	return formatRootKey(key), nil
}

// ReadKeyData parses what a slot wraps and encodes it again.
func ReadKeyData(b []byte) ([]byte, error) {
	d, err := parseKeyData(b)
	if err != nil {
		return nil, err
	}
	return d.encode(), nil
}

// FormatRecoveryKey writes out the recovery key of those bytes.
func FormatRecoveryKey(b []byte) string { return formatRecoveryKey(secretFrom(b)) }

// ReadRecoveryKey parses a recovery key and returns its bytes.
func ReadRecoveryKey(text string) ([]byte, error) {
	key, err := parseRecoveryKey(text)
	if err != nil {
		return nil, err
	}
	return key.bytes(), nil
}

// RootKeyBytes parses a root key file.
func RootKeyBytes(b []byte) ([]byte, error) {
	key, err := parseRootKey(b)
	if err != nil {
		return nil, err
	}
	return key.bytes(), nil
}

// StoreKeys returns copies of the store keys.
func StoreKeys(kr *Keyring) (keys [][]byte) {
	for _, key := range kr.keys {
		keys = append(keys, append([]byte(nil), key.bytes()...))
	}
	return keys
}

// PendingKeyPath is where RotateRoot writes the new key of that slot.
func PendingKeyPath(path, slot string) string { return pendingKeyPath(path, slot) }

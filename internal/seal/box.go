package seal

import (
	"fmt"

	"github.com/keywright/keywright/internal/aead"
)

// labelRecoveryBox derives, from a recovery key, the key of the boxes that only
// it opens. It is not the key that the recovery key's slot is wrapped with.
const labelRecoveryBox = "keywright/recovery-box"

// ErrWrongRecoveryKey: a box was not closed with this recovery key, or was
// changed since.
var ErrWrongRecoveryKey = fmt.Errorf("%w: the recovery key does not open it", errWrongSecret)

// CloseBox encrypts plaintext so that only the recovery key that text writes out
// opens it again, and authenticates additionalData. The label ("keywright/box")
// names the use. Whoever has the store but not the recovery key can neither open
// a box nor make one. The error is RecoveryKey's.
func CloseBox(text, label string, additionalData, plaintext []byte) ([]byte, error) {
	key, err := boxKey(text)
	if err != nil {
		return nil, err
	}
	defer clear(key[:])
	return aead.Seal(nil, key[:], label, nil, additionalData, plaintext), nil
}

// OpenBox decrypts what CloseBox returned for the same text, label and
// additionalData; otherwise the error is RecoveryKey's or ErrWrongRecoveryKey.
func OpenBox(text, label string, additionalData, box []byte) ([]byte, error) {
	key, err := boxKey(text)
	if err != nil {
		return nil, err
	}
	defer clear(key[:])
	plaintext, err := aead.Open(nil, key[:], label, nil, additionalData, box)
	if err != nil {
		return nil, ErrWrongRecoveryKey
	}
	return plaintext, nil
}

func boxKey(text string) ([aead.KeySize]byte, error) {
	secret, err := parseRecoveryKey(text)
	if err != nil {
		return [aead.KeySize]byte{}, err
	}
	defer secret.wipe()
	return derive(secret, labelRecoveryBox), nil
}

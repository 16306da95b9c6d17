// Package secretenv decrypts secrets that an environment, or any other
// configuration made of strings, holds as ciphertext: what a key management
// service's Encrypt returned, or messages of the AWS Encryption SDK. Code,
// manifests and pipelines then hold nothing secret, and a program gets the
// plaintext where it runs.
//
// A value is ciphertext if it begins with a prefix, which base64 follows:
//
//	DB_PASSWORD=kms-ciphertext:AQICAHh...    as `aws kms encrypt --output text` prints it
//	TLS_KEY=esdk-message:AgV4...             as `keywright encrypt --encode` writes it
//
// All other values are what they were. A Decrypter reads single variables with
// Lookup, values from elsewhere with Open, and makes the environment of a child
// process with Environ. `keywright exec --decrypt-env` is this package as a
// command.
//
// The package calls no service and knows no keys: an Opener does. Messages makes
// one of an esdk.Client; awskms.NewCiphertexts makes one of a client of the
// service.
//
// It is no store of secrets, and does not protect an environment from those who
// can write it. They can put plaintext of their own in a value's place, and move
// a value to another variable, perhaps one that the program logs;
// Decrypter.NameKey is against the latter.
package secretenv

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
)

// Opener decrypts ciphertexts of one kind. It must be safe for concurrent use.
type Opener interface {
	// Open returns the plaintext of a ciphertext, which the caller then owns
	// and clears. It fails unless every pair of the encryption context was
	// given when the ciphertext was made. It modifies neither argument.
	Open(ctx context.Context, ciphertext []byte, encryptionContext map[string]string) ([]byte, error)
}

// Errors of values. They come in a *ValueError, to be found by errors.Is.
var (
	// ErrMalformed is a value with a prefix that no base64 follows.
	ErrMalformed = errors.New("esdk: what follows the prefix is not base64")
	// ErrNoOpener is a ciphertext of a kind that the Decrypter has no Opener for.
	ErrNoOpener = errors.New("esdk: nothing is configured that opens such values")
	// ErrNUL is a plaintext with a zero byte, which no environment can hold.
	ErrNUL = errors.New("esdk: the plaintext has a zero byte, which an environment cannot hold")
	// ErrNameKey is an encryption context that holds the NameKey itself.
	ErrNameKey = errors.New("esdk: the encryption context already has the key that is for the name")
)

// ValueError says which value could not be decrypted. Neither it nor its cause
// holds the value or the plaintext.
type ValueError struct {
	Name string // of the variable
	Err  error
}

func (e *ValueError) Error() string { return "decrypting " + e.Name + ": " + e.Err.Error() }

// Unwrap returns the cause.
func (e *ValueError) Unwrap() error { return e.Err }

// defaultParallel keeps a large environment from meeting a service's limit of
// requests all at once.
const defaultParallel = 8

// Decrypter decrypts values. Its fields are not to be changed while it is in
// use; its methods may be called concurrently.
type Decrypter struct {
	// KMS opens what has KMSPrefix. Nil: such values are an error (ErrNoOpener).
	KMS Opener
	// Messages opens what has MessagePrefix. Nil: such values are an error
	// (ErrNoOpener).
	Messages Opener
	// EncryptionContext is what every value was encrypted with. Of a service's
	// ciphertext it is the whole context; a message may have further pairs.
	EncryptionContext map[string]string
	// NameKey, if it is not empty, binds each value to its variable: the
	// encryption context it was encrypted with must have the variable's name
	// under this key, too. A value that was moved to another variable is then an
	// error. Recommended; "variable" is a good key.
	NameKey string
	// Parallel is how many values Environ decrypts at a time. Zero or less: 8.
	Parallel int
}

// Lookup is os.LookupEnv with the value decrypted if it is a ciphertext. The
// error is a *ValueError.
func (d *Decrypter) Lookup(ctx context.Context, name string) (value string, ok bool, err error) {
	value, ok = os.LookupEnv(name)
	if !ok || !Marked(value) {
		return value, ok, nil
	}
	plaintext, err := d.Open(ctx, name, value)
	if err != nil {
		return "", true, err
	}
	defer clear(plaintext)
	return string(plaintext), true, nil
}

// Environ returns an environment, in the form of os.Environ, with the plaintext
// in place of each ciphertext. All else stays as it is, and environ is not
// modified. Unless every value can be decrypted it returns no environment, and a
// *ValueError for each that cannot, in their order, joined by errors.Join.
//
// Strings cannot be wiped: the result is in memory until it is collected.
func (d *Decrypter) Environ(ctx context.Context, environ []string) ([]string, error) {
	plain := slices.Clone(environ)
	errs := make([]error, len(environ))
	parallel := d.Parallel
	if parallel <= 0 {
		parallel = defaultParallel
	}
	slots := make(chan struct{}, parallel)
	var group sync.WaitGroup
	for i, entry := range environ {
		name, value, _ := strings.Cut(entry, "=")
		if !Marked(value) {
			continue
		}
		slots <- struct{}{}
		group.Go(func() {
			defer func() { <-slots }()
			plain[i], errs[i] = d.entry(ctx, name, value)
		})
	}
	group.Wait()
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return plain, nil
}

func (d *Decrypter) entry(ctx context.Context, name, value string) (string, error) {
	plaintext, err := d.Open(ctx, name, value)
	if err != nil {
		return "", err
	}
	defer clear(plaintext)
	if bytes.IndexByte(plaintext, 0) >= 0 {
		return "", &ValueError{name, ErrNUL}
	}
	return name + "=" + string(plaintext), nil
}

// Open returns the plaintext of a value, wherever it is from, or the value's
// bytes if it is no ciphertext. The name is what NameKey binds it to. The caller
// owns the result and can clear it after use. The error is a *ValueError.
func (d *Decrypter) Open(ctx context.Context, name, value string) ([]byte, error) {
	plaintext, err := d.open(ctx, name, value)
	if err != nil {
		return nil, &ValueError{name, err}
	}
	return plaintext, nil
}

func (d *Decrypter) open(ctx context.Context, name, value string) ([]byte, error) {
	prefix, ciphertext, err := parse(value)
	if err != nil {
		return nil, err
	}
	var opener Opener
	switch prefix {
	case KMSPrefix:
		opener = d.KMS
	case MessagePrefix:
		opener = d.Messages
	default:
		return []byte(value), nil
	}
	if opener == nil {
		return nil, fmt.Errorf("%w: %s", ErrNoOpener, prefix)
	}
	encryptionContext, err := d.encryptionContext(name)
	if err != nil {
		return nil, err
	}
	return opener.Open(ctx, ciphertext, encryptionContext)
}

// encryptionContext is that of the value of a variable.
func (d *Decrypter) encryptionContext(name string) (map[string]string, error) {
	if d.NameKey == "" {
		return d.EncryptionContext, nil
	}
	if _, taken := d.EncryptionContext[d.NameKey]; taken {
		return nil, fmt.Errorf("%w: %q", ErrNameKey, d.NameKey)
	}
	whole := map[string]string{d.NameKey: name}
	maps.Copy(whole, d.EncryptionContext)
	return whole, nil
}

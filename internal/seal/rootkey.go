package seal

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
)

// rootKeyPrefix starts the one line of a root key file; the 32 bytes of the key
// follow in base64 with padding.
const rootKeyPrefix = "keywright-root-key-1:"

// hasPermissions is false where a file's mode says nothing of who may read it.
const hasPermissions = runtime.GOOS != "windows"

// RootKeyFile is a Provider whose root key is in a file of one line, mode 0600:
// "keywright-root-key-1:" and the key in base64. Init, AddSlot and a restore
// make the file where it does not exist; nothing but RotateRoot replaces it.
type RootKeyFile struct {
	Path string
}

// Kind implements Provider.
func (p *RootKeyFile) Kind() Kind { return KindRootKey }

func (p *RootKeyFile) String() string { return "root key file " + p.Path }

func (p *RootKeyFile) read() (secret, error) {
	b, err := readPrivateFile(p.Path, true)
	if err != nil {
		return secret{}, fmt.Errorf("reading the root key: %w", err)
	}
	defer clear(b)
	key, err := parseRootKey(b)
	if err != nil {
		return secret{}, fmt.Errorf("reading the root key: %s: %w", p.Path, err)
	}
	return key, nil
}

func (p *RootKeyFile) open(context.Context, *slot) (secret, error) { return p.read() }

// enroll takes a key that is there already: it was put there on purpose, or by
// an Init that was cut off before it reached the store.
func (p *RootKeyFile) enroll(_ context.Context, s *slot) (secret, error) {
	key, err := p.read()
	if !errors.Is(err, fs.ErrNotExist) {
		return key, err
	}
	key = newSecret()
	if err := writeRootKey(p.Path, pendingKeyPath(p.Path, s.id.String()), key); err != nil {
		return secret{}, fmt.Errorf("writing the root key: %w", err)
	}
	return key, nil
}

// Credential returns a Provider that reads the root key from the systemd
// credential of that name ($CREDENTIALS_DIRECTORY/<name>); its form is that of
// a RootKeyFile. systemd keeps the folder private to the service, so the file's
// mode, in which an access control list shows as group permission, does not
// matter. It is never written.
func Credential(name string) Provider { return credential{name} }

type credential struct{ name string }

func (credential) Kind() Kind { return KindRootKey }

func (p credential) String() string { return "systemd credential " + p.name }

func (p credential) open(context.Context, *slot) (secret, error) {
	dir := os.Getenv("CREDENTIALS_DIRECTORY")
	if dir == "" {
		return secret{}, fmt.Errorf("systemd passed no credentials: add LoadCredentialEncrypted=%s to the unit's [Service]", p.name)
	}
	if p.name != filepath.Base(p.name) || strings.HasPrefix(p.name, ".") {
		return secret{}, fmt.Errorf("%q is no name of a systemd credential", p.name)
	}
	b, err := readPrivateFile(filepath.Join(dir, p.name), false)
	if err != nil {
		return secret{}, fmt.Errorf("reading the root key from the systemd credential: %w", err)
	}
	defer clear(b)
	key, err := parseRootKey(b)
	if err != nil {
		return secret{}, fmt.Errorf("reading the root key: systemd credential %s: %w", p.name, err)
	}
	return key, nil
}

func (p credential) enroll(ctx context.Context, s *slot) (secret, error) { return p.open(ctx, s) }

// GenerateRootKey returns the content of a root key file with a new key, for
// keys that are handed over in another way, as systemd credentials are.
func GenerateRootKey() []byte {
	key := newSecret()
	defer key.wipe()
	return formatRootKey(key)
}

func formatRootKey(key secret) []byte {
	b := base64.StdEncoding.AppendEncode([]byte(rootKeyPrefix), key.bytes())
	return append(b, '\n')
}

// errRootKeyForm quotes nothing of the file: it may hold most of a key.
var errRootKeyForm = errors.New("this is not a root key: it must be one line, " + rootKeyPrefix + " and 44 characters of base64")

// parseRootKey reads what formatRootKey wrote; the line may lack its end or have
// that of Windows.
func parseRootKey(b []byte) (secret, error) {
	text, ok := strings.CutPrefix(string(trimLineEnd(b)), rootKeyPrefix)
	if !ok || len(text) != base64.StdEncoding.EncodedLen(secretSize) || strings.ContainsAny(text, "\r\n") {
		return secret{}, errRootKeyForm
	}
	key, err := base64.StdEncoding.Strict().DecodeString(text)
	if err != nil || len(key) != secretSize {
		return secret{}, errRootKeyForm
	}
	defer clear(key)
	return secretFrom(key), nil
}

// pendingKeyPath is where a root key stands before it is renamed to path. The
// name tells nothing of what it is, and leads from a file left behind to the
// slot it was made for; the hash keeps apart the root keys of one folder.
func pendingKeyPath(path, slot string) string {
	sum := sha256.Sum256([]byte(filepath.Base(path)))
	return filepath.Join(filepath.Dir(path), fmt.Sprintf("pending-%x-%s", sum[:4], slot))
}

// writeRootKey puts a key into a file that must not exist, durably, by way of
// the pending file.
func writeRootKey(path, pending string, key secret) error {
	if _, err := os.Lstat(path); err == nil {
		return &fs.PathError{Op: "create", Path: path, Err: fs.ErrExist}
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := writePending(pending, key); err != nil {
		return err
	}
	if err := promotePending(pending, path); err != nil {
		return errors.Join(err, os.Remove(pending))
	}
	return nil
}

// writePending writes the key to a new file and syncs it and its folder.
func writePending(pending string, key secret) (err error) {
	f, err := os.OpenFile(pending, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			os.Remove(pending)
		}
	}()
	text := formatRootKey(key)
	defer clear(text)
	_, err = f.Write(text)
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return err
	}
	return syncDir(filepath.Dir(pending))
}

// promotePending renames the pending file to path and syncs the folder.
func promotePending(pending, path string) error {
	if err := os.Rename(pending, path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

// syncDir makes the names in a folder durable. Windows cannot, and need not,
// sync a folder.
func syncDir(dir string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

package keyring

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"

	"github.com/keywright/keywright/esdk/materials"
	"github.com/keywright/keywright/esdk/suite"
)

// FileBranchKeys is a BranchKeyStore in a folder, whose branch keys a keyring
// wraps, such as one of AWS KMS: without it the files say nothing. They are not
// those of AWS's stores.
//
// Each id has a folder, named by the SHA-256 of the id, with one file for each
// version and a file ACTIVE that names one of them. Id and version are bound to
// the key by the encryption context, which the keyring must authenticate: raw
// RSA keyrings do not. Whoever can write to the folder can remove versions and
// make an old one the active one again, and no more than that.
//
// Its methods may be called concurrently, also by several processes.
type FileBranchKeys struct {
	root    *os.Root
	keyring materials.Keyring
}

// branchKeyFile is the content of a version's file.
type branchKeyFile struct {
	ID      string        `json:"branch-key-id"`
	Version string        `json:"version"`
	Keys    []wrappedFile `json:"encrypted-keys"`
}

// wrappedFile is a materials.EncryptedDataKey with names that stay.
type wrappedFile struct {
	ProviderID   string `json:"provider-id"`
	ProviderInfo []byte `json:"provider-info"`
	Ciphertext   []byte `json:"ciphertext"`
}

const (
	activeFile      = "ACTIVE"
	maxBranchFile   = 1 << 20 // bytes
	branchFilesMode = 0o600
)

// OpenFileBranchKeys opens the store in dir, a folder that exists and may be
// empty, under the keyring. Close it when it is not needed any more.
func OpenFileBranchKeys(dir string, keyring materials.Keyring) (*FileBranchKeys, error) {
	if keyring == nil {
		return nil, errors.New("esdk: a store of branch keys needs a keyring to wrap them")
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("esdk: opening the branch keys: %w", err)
	}
	return &FileBranchKeys{root, keyring}, nil
}

// Close lets the folder go.
func (s *FileBranchKeys) Close() error { return s.root.Close() }

// Rotate makes a new version of a branch key, or its first, and makes it the
// active one. It is on disk when Rotate returns.
func (s *FileBranchKeys) Rotate(ctx context.Context, id string) (version [16]byte, err error) {
	if err := checkBranchKeyID(id); err != nil {
		return version, err
	}
	rand.Read(version[:])
	version[6], version[8] = version[6]&0x0f|0x40, version[8]&0x3f|0x80 // UUID version 4
	m := &materials.EncryptionMaterials{Suite: branchSuite(), EncryptionContext: branchContext(id, version)}
	if err := s.keyring.OnEncrypt(ctx, m); err != nil {
		return version, fmt.Errorf("esdk: making the branch key: %w", err)
	}
	defer m.Wipe()
	file := branchKeyFile{ID: id, Version: hex.EncodeToString(version[:])}
	for _, edk := range m.EncryptedDataKeys {
		file.Keys = append(file.Keys, wrappedFile(edk))
	}
	data, err := json.Marshal(file)
	if err != nil {
		return version, fmt.Errorf("esdk: writing the branch key: %w", err)
	}
	folder := branchFolder(id)
	if err := s.root.Mkdir(folder, 0o700); err == nil {
		err = s.sync(".")
		if err != nil {
			return version, fmt.Errorf("esdk: writing the branch key: %w", err)
		}
	} else if !errors.Is(err, fs.ErrExist) {
		return version, fmt.Errorf("esdk: writing the branch key: %w", err)
	}
	// The version first: ACTIVE must not name what is not there.
	name := hex.EncodeToString(version[:])
	for _, f := range []struct {
		name string
		data []byte
	}{{name, data}, {activeFile, []byte(name)}} {
		if err := s.write(folder, f.name, name, f.data); err != nil {
			return version, fmt.Errorf("esdk: writing the branch key: %w", err)
		}
	}
	return version, nil
}

// write replaces a file in one step: it has the old content or the new. The
// suffix makes the name of the temporary file unique.
func (s *FileBranchKeys) write(folder, name, suffix string, data []byte) error {
	temp := path.Join(folder, name+".tmp-"+suffix)
	f, err := s.root.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, branchFilesMode)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = s.root.Rename(temp, path.Join(folder, name))
	}
	if err != nil {
		return errors.Join(err, s.root.Remove(temp))
	}
	return s.sync(folder)
}

// sync makes the entries of a folder durable.
func (s *FileBranchKeys) sync(folder string) error {
	f, err := s.root.Open(folder)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// ActiveBranchKey returns the version that was made last.
func (s *FileBranchKeys) ActiveBranchKey(ctx context.Context, id string) (BranchKey, error) {
	name, err := s.read(branchFolder(id), activeFile)
	if err != nil {
		return BranchKey{}, fmt.Errorf("%w: %q", err, id)
	}
	version, err := hex.DecodeString(string(name))
	if err != nil || len(version) != 16 {
		return BranchKey{}, fmt.Errorf("esdk: the active version of branch key %q is malformed", id)
	}
	return s.BranchKeyVersion(ctx, id, [16]byte(version))
}

// BranchKeyVersion returns the version that is asked for.
func (s *FileBranchKeys) BranchKeyVersion(ctx context.Context, id string, version [16]byte) (BranchKey, error) {
	data, err := s.read(branchFolder(id), hex.EncodeToString(version[:]))
	if err != nil {
		return BranchKey{}, fmt.Errorf("%w: version %x of %q", err, version, id)
	}
	var file branchKeyFile
	if err := json.Unmarshal(data, &file); err != nil {
		return BranchKey{}, fmt.Errorf("esdk: reading version %x of branch key %q: %w", version, id, err)
	}
	keys := make([]materials.EncryptedDataKey, len(file.Keys))
	for i, k := range file.Keys {
		keys[i] = materials.EncryptedDataKey(k)
	}
	m := &materials.DecryptionMaterials{Suite: branchSuite(), EncryptionContext: branchContext(id, version)}
	if err := s.keyring.OnDecrypt(ctx, m, keys); err != nil {
		return BranchKey{}, fmt.Errorf("esdk: opening version %x of branch key %q: %w", version, id, err)
	}
	defer m.Wipe()
	if len(m.DataKey) != branchSuite().KeyLen {
		return BranchKey{}, fmt.Errorf("esdk: version %x of branch key %q has %d bytes", version, id, len(m.DataKey))
	}
	return BranchKey{ID: id, Version: version, Key: [32]byte(m.DataKey)}, nil
}

// read returns a file, or ErrBranchKeyNotFound.
func (s *FileBranchKeys) read(folder, name string) ([]byte, error) {
	name = path.Join(folder, name)
	info, err := s.root.Stat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, ErrBranchKeyNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("esdk: reading a branch key: %w", err)
	}
	if info.Size() > maxBranchFile {
		return nil, errors.New("esdk: reading a branch key: the file is too large")
	}
	data, err := s.root.ReadFile(name)
	if err != nil {
		return nil, fmt.Errorf("esdk: reading a branch key: %w", err)
	}
	return data, nil
}

// branchFolder is the folder of an id, which may hold any characters.
func branchFolder(id string) string {
	sum := sha256.Sum256([]byte(id))
	return hex.EncodeToString(sum[:])
}

// branchContext binds a branch key to its id and version, by the names that
// AWS's stores use.
func branchContext(id string, version [16]byte) map[string]string {
	v := hex.EncodeToString(version[:])
	return map[string]string{
		"branch-key-id": id,
		"type":          "branch:version:" + v[:8] + "-" + v[8:12] + "-" + v[12:16] + "-" + v[16:20] + "-" + v[20:],
	}
}

// branchSuite has the length of branch keys; nothing else of it is used.
func branchSuite() suite.Suite {
	s, _ := suite.Lookup(suite.AES256GCMCommit)
	return s
}

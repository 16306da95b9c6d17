package server

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"

	"github.com/keywright/keywright/internal/iam"
)

// credentialsFile serializes the changes of credentials files.
var credentialsFile sync.Mutex

// putCredentials puts a profile into an AWS shared-credentials file, readable by
// its owner only, in place of an older one of the same name. The file is made
// where it does not exist.
func putCredentials(path, profile string, creds iam.Credentials) error {
	_, err := addCredentials(path, profile, creds)
	return err
}

// addCredentials is putCredentials that finds a name for the profile where it is
// "": the account's id, or that with the first number that makes it new, so that
// no secret is overwritten. It returns the name.
func addCredentials(path, profile string, creds iam.Credentials) (string, error) {
	credentialsFile.Lock()
	defer credentialsFile.Unlock()
	old, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("writing the credentials: %w", err)
	}
	if profile == "" {
		profile = newProfile(string(old), creds.Account)
	}
	text := withoutProfile(string(old), profile)
	if text != "" {
		text += "\n"
	}
	text += fmt.Sprintf("[%s]\n# Root access key of account %s. Whoever has it can do everything in the account.\naws_access_key_id = %s\naws_secret_access_key = %s\n",
		profile, creds.Account, creds.AccessKeyID, creds.SecretAccessKey)
	if err := replaceFile(path, []byte(text)); err != nil {
		return "", fmt.Errorf("writing the credentials: %w", err)
	}
	return profile, nil
}

// newProfile is name, or name-2, name-3 and so on where text has such profiles.
func newProfile(text, name string) string {
	taken := map[string]bool{}
	for line := range strings.Lines(text) {
		taken[strings.TrimSpace(line)] = true
	}
	profile := name
	for n := 2; taken["["+profile+"]"]; n++ {
		profile = fmt.Sprintf("%s-%d", name, n)
	}
	return profile
}

// withoutProfile is the text of a credentials file without the section of that
// name.
func withoutProfile(text, profile string) string {
	var kept strings.Builder
	inside := false
	for line := range strings.Lines(text) {
		if t := strings.TrimSpace(line); strings.HasPrefix(t, "[") {
			inside = t == "["+profile+"]"
		}
		if !inside {
			kept.WriteString(line)
		}
	}
	text = strings.TrimRight(kept.String(), "\n")
	if text != "" {
		text += "\n"
	}
	return text
}

// replaceFile writes a file of mode 0600 in one step: after a crash the old
// content is there, or the new.
func replaceFile(path string, content []byte) (err error) {
	dir := filepath.Dir(path)
	// Always of the same name, so that what a crash leaves is gone at the next time.
	pending := filepath.Join(dir, "."+filepath.Base(path)+".tmp")
	if err := os.Remove(pending); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	f, err := os.OpenFile(pending, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			os.Remove(pending)
		}
	}()
	_, err = f.Write(content)
	if err == nil {
		err = f.Sync()
	}
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return err
	}
	if err := os.Rename(pending, path); err != nil {
		return err
	}
	return syncFolder(dir)
}

// syncFolder makes the names in a folder durable. Windows cannot, and need not,
// sync a folder.
func syncFolder(dir string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

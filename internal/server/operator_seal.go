package server

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/keywright/keywright/internal/audit"
	"github.com/keywright/keywright/internal/seal"
)

type slotInput struct {
	ID         string `json:"id,omitempty"`
	Label      string `json:"label,omitempty"`
	Path       string `json:"path,omitempty"`
	Secret     string `json:"secret,omitempty"` // never shown in the audit log
	LastOfKind bool   `json:"lastOfKind,omitempty"`
}

func (in slotInput) auditView() any {
	in.Secret = ""
	return in
}

func (s *Slot) auditView() any { return s }

func (r *NewRecovery) auditView() any {
	view := map[string]any{"slot": r.Slot, "removed": r.Removed, "auditFrom": r.AuditFrom}
	if r.AuditProblem != "" {
		view["auditProblem"] = r.AuditProblem
	}
	return view
}

func (r *RotatedRoot) auditView() any  { return r }
func (r *RotatedStore) auditView() any { return r }

func showSlot(s seal.Slot) *Slot {
	out := &Slot{ID: s.ID, Kind: s.Kind.String(), Label: s.Label, Created: s.Created}
	if s.Err != nil {
		*out = Slot{ID: s.ID, Problem: s.Err.Error()}
	}
	return out
}

func (c *core) listSlots(ctx context.Context, _ nothing, _ Progress) ([]Slot, error) {
	slots, err := seal.ListSlots(ctx, c.store)
	out := make([]Slot, len(slots))
	for i, s := range slots {
		out[i] = *showSlot(s)
	}
	return out, err
}

func (c *core) addSlot(ctx context.Context, p seal.Provider, label string) (*Slot, error) {
	s, err := seal.AddSlot(ctx, c.store, c.keyring, p, label)
	if err != nil {
		return nil, err
	}
	return showSlot(s), nil
}

func (c *core) addPassphrase(ctx context.Context, in slotInput, _ Progress) (*Slot, error) {
	p := passphrase(in.Secret)
	defer p.Close()
	return c.addSlot(ctx, p, in.Label)
}

func passphrase(text string) *seal.Passphrase {
	return &seal.Passphrase{Read: func(context.Context) ([]byte, error) { return []byte(text), nil }}
}

func (c *core) addRootKey(ctx context.Context, in slotInput, _ Progress) (*Slot, error) {
	return c.addSlot(ctx, &seal.RootKeyFile{Path: in.Path}, in.Label)
}

func (c *core) replaceRecovery(ctx context.Context, in slotInput, _ Progress) (*NewRecovery, error) {
	key, added, removed, err := seal.ReplaceRecoveryKey(ctx, c.store, c.keyring, in.Label)
	if err != nil {
		return nil, err
	}
	out := &NewRecovery{RecoveryKey: key, Slot: *showSlot(added), Removed: removed}
	// The new key must be shown in any case: the old one opens nothing any more.
	if out.AuditFrom, err = c.coverAudit(ctx, key); err != nil {
		out.AuditProblem = err.Error()
	}
	return out, nil
}

func (c *core) removeSlot(ctx context.Context, in slotInput, _ Progress) (*Slot, error) {
	s, err := seal.RemoveSlot(ctx, c.store, c.keyring, in.ID, in.LastOfKind)
	if err != nil {
		return nil, err
	}
	return showSlot(s), nil
}

// errNotAFile refuses to rotate a root key that is not this program's to write.
var errNotAFile = errors.New("the root key is not in a file that keywright may write")

func (c *core) rotateRoot(ctx context.Context, _ nothing, _ Progress) (*RotatedRoot, error) {
	path := c.cfg.rootKeyPath()
	if c.cfg.RootKeyCredential != "" {
		return nil, errNotAFile
	}
	if _, err := os.Stat(path); err != nil {
		return nil, fmt.Errorf("finding the root key: %w", err)
	}
	r, err := seal.RotateRoot(ctx, c.store, c.keyring, &seal.RootKeyFile{Path: path})
	if err != nil {
		return nil, err
	}
	abs, err := filepath.Abs(path)
	return &RotatedRoot{File: abs, Added: r.Added, Removed: r.Removed}, err
}

func (c *core) rotateStoreKey(ctx context.Context, in Unlockers, progress Progress) (*RotatedStore, error) {
	providers := c.cfg.providers()
	given, err := in.providers()
	if err != nil {
		return nil, err
	}
	how := seal.StoreKeyRotation{
		Providers: append(providers, given...),
		// Entries of the outbox are known by the revision they were written in.
		// They are gone within milliseconds.
		Transient: []string{audit.OutboxPrefix},
		Progress:  progress,
	}
	if c.endpoint == "" {
		how.Drain = time.Nanosecond // nobody reads beside us
		if err := c.outbox.Drain(ctx); err != nil {
			return nil, err
		}
	}
	r, err := seal.RotateStoreKey(ctx, c.store, c.keyring, how)
	if err != nil {
		return nil, err
	}
	return &RotatedStore{Version: r.Version, Retired: r.Retired, Resealed: r.Resealed, Resumed: r.Resumed}, nil
}

// providers are what the secrets open. They are tried after the server's own.
func (u *Unlockers) providers() ([]seal.Provider, error) {
	var all []seal.Provider
	for _, text := range u.RecoveryKeys {
		p, err := seal.RecoveryKey(text)
		if err != nil {
			return nil, fmt.Errorf("reading the recovery key: %w", err)
		}
		all = append(all, p)
	}
	for _, text := range u.Passphrases {
		all = append(all, passphrase(text))
	}
	for _, path := range u.RootKeys {
		if _, err := os.Stat(path); err != nil {
			return nil, fmt.Errorf("reading the root key: %w", err)
		}
		all = append(all, &seal.RootKeyFile{Path: path})
	}
	return all, nil
}

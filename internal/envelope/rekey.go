package envelope

import (
	"bytes"
	"cmp"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"github.com/keywright/keywright/esdk"
	"github.com/keywright/keywright/esdk/materials"
	"github.com/keywright/keywright/esdk/suite"
)

// RekeyOptions say what messages get in the place of their encrypted data keys.
type RekeyOptions struct {
	// Wrapper wraps data keys that there are already, where the body of a
	// message can stay.
	Wrapper materials.Keyring
	// Manager makes the data keys of messages that are encrypted anew. It should
	// use the keys that Wrapper does.
	Manager materials.Manager
	// Suite, FrameLength and EncryptionContext replace those of the messages;
	// zero and nil keep them. Where they differ, messages are encrypted anew. A
	// body without frames, which cannot be written, gets frames of the client's
	// length.
	Suite             suite.ID
	FrameLength       uint32
	EncryptionContext map[string]string
	// HeaderOnly refuses messages that would have to be encrypted anew with
	// esdk.ErrRewrap.
	HeaderOnly bool
	// InPlace allows files whose Output is their Input.
	InPlace bool
	// Rekeyed tells for Work.Resume, in place, whether a message has the new
	// keys. The header was not verified.
	Rekeyed func(*esdk.Header) bool
}

// Method is how a message is rekeyed.
type Method string

// The methods.
const (
	// HeaderMethod wraps the same data key anew and copies the body, unverified.
	HeaderMethod Method = "header"
	// BodyMethod decrypts and verifies the message and encrypts it under
	// another data key.
	BodyMethod Method = "body"
)

var errBodyWanted = fmt.Errorf("%w: another suite, frame length or encryption context is asked for", esdk.ErrRewrap)

func (w *Work) inPlace(f File) bool {
	return w.Mode == Rekey && w.RekeyOptions.InPlace && f.Input == f.Output && f.Input != Stdio
}

func (w *Work) rekey(ctx context.Context, src io.Reader, dst io.Writer, size int64, r *Result) error {
	start := new(bytes.Buffer)
	old, err := w.Client.Inspect(io.TeeReader(src, start))
	if err != nil {
		return err
	}
	r.Header = old
	w.keepHeader(r, start.Bytes())
	src = io.MultiReader(start, src)
	header := &recorder{w: dst, on: w.KeepHeaders}
	switch why := w.bodyNeeded(old); {
	case why == nil:
		r.Method = HeaderMethod
		r.Header, err = w.Client.Rewrap(ctx, header, src, w.Manager, w.RekeyOptions.Wrapper, w.DecryptOptions)
	case w.RekeyOptions.HeaderOnly:
		return why
	default:
		r.Method = BodyMethod
		r.Header, err = w.rebody(ctx, src, header, old, size)
	}
	if err != nil {
		r.Header = old
		return err
	}
	r.Raw = nil
	w.keepHeader(r, header.bytes)
	return nil
}

// bodyNeeded says why a message must be encrypted anew; nil if its header will
// do.
func (w *Work) bodyNeeded(h *esdk.Header) error {
	o := &w.RekeyOptions
	switch {
	// The same that Rewrap refuses, and why it does is said there.
	case h.Suite.Committing || h.Suite.Signature != suite.Unsigned:
		return fmt.Errorf("%w (%v)", esdk.ErrRewrap, h.Suite.ID)
	case o.Suite != 0 && o.Suite != h.Suite.ID, o.FrameLength != 0 && o.FrameLength != h.FrameLength, o.EncryptionContext != nil:
		return errBodyWanted
	}
	return nil
}

// rebody decrypts the message in src and encrypts it to dst. That all of it was
// verified is known when it returns.
func (w *Work) rebody(ctx context.Context, src io.Reader, dst io.Writer, old *esdk.Header, size int64) (*esdk.Header, error) {
	reader, err := w.Client.NewReader(ctx, src, w.Manager, w.DecryptOptions)
	if err != nil {
		return nil, err
	}
	o := &w.RekeyOptions
	whole, unstored := contextOf(reader.Header(), old)
	if o.EncryptionContext != nil {
		whole = o.EncryptionContext
		unstored = present(unstored, whole)
	}
	manager := o.Manager
	if len(unstored) > 0 {
		if manager, err = materials.NewRequiredContextManager(unstored, manager); err != nil {
			return nil, err
		}
	}
	writer, err := w.Client.NewWriter(ctx, dst, manager, esdk.EncryptOptions{
		EncryptionContext: whole,
		Suite:             cmp.Or(o.Suite, old.Suite.ID),
		FrameLength:       cmp.Or(o.FrameLength, old.FrameLength),
		PlaintextBound:    size, // a message is longer than its plaintext
	})
	if err != nil {
		return nil, err
	}
	if _, err := reader.WriteTo(writer); err != nil {
		return nil, err
	}
	return writer.Header(), writer.Close()
}

// contextOf returns the encryption context of a message as its writer gave it,
// and which keys of it the message does not store.
func contextOf(verified, stored *esdk.Header) (whole map[string]string, unstored []string) {
	whole = map[string]string{}
	for k, v := range verified.EncryptionContext {
		if strings.HasPrefix(k, materials.ReservedPrefix) {
			continue
		}
		whole[k] = v
		if _, ok := stored.EncryptionContext[k]; !ok {
			unstored = append(unstored, k)
		}
	}
	return whole, unstored
}

// present returns those of the keys that a context has.
func present(keys []string, in map[string]string) (found []string) {
	for _, k := range keys {
		if _, ok := in[k]; ok {
			found = append(found, k)
		}
	}
	return found
}

// rekeyed tells whether the message in a file was rekeyed before. What cannot be
// read was not.
func (w *Work) rekeyed(in *input) bool {
	var src io.Reader = io.NewSectionReader(in.f, 0, in.info.Size())
	if w.Decode {
		src = base64.NewDecoder(base64.StdEncoding, src)
	}
	h, err := w.Client.Inspect(src)
	return err == nil && w.RekeyOptions.Rekeyed != nil && w.RekeyOptions.Rekeyed(h)
}

// replaces makes sure that the output can take the place of the input: that it
// is still that which was read, and that it keeps its owner.
func (o *output) replaces(in fs.FileInfo) error {
	now, err := os.Stat(o.path)
	if errors.Is(err, fs.ErrNotExist) || err == nil && !os.SameFile(now, in) {
		return ErrChanged // and what has the name now stays
	}
	if err != nil {
		return err
	}
	if err := keepOwner(o.temp, in); err != nil {
		return fmt.Errorf("keeping the owner of %s: %w", o.path, err)
	}
	return nil
}

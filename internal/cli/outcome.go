package cli

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"

	"github.com/keywright/keywright/esdk"
	"github.com/keywright/keywright/esdk/materials"
	"github.com/keywright/keywright/internal/envelope"
)

// The exit codes that encrypt, decrypt, rekey, inspect and verify have beside
// those of every command.
const (
	exitDamaged = 3 // not a message, or one that was changed or cut short
	exitContext = 4 // the encryption context is not the expected one
	exitNoKey   = 5 // no key could wrap or unwrap the data key
	exitRefused = 6 // a policy or limit of this command line does not allow it
	exitSome    = 7 // of several files, at least one failed
)

// tally tells of files and counts them.
type tally struct {
	flags    *runFlags
	s        *streams
	work     *envelope.Work
	metadata io.Writer
	bar      *bytesBar
	files    int

	done, skipped, failed int
	interrupted           int   // how many of the failed only had no time
	code                  int   // of the last that failed
	err                   error // of telling
}

// fileReport is what --json prints.
type fileReport struct {
	Input    string `json:"input"`
	Output   string `json:"output,omitempty"`
	Status   string `json:"status"`
	Reason   string `json:"reason,omitempty"`
	Error    string `json:"error,omitempty"`
	Code     int    `json:"code"` // the exit code it would be alone
	BytesIn  int64  `json:"bytesIn"`
	BytesOut int64  `json:"bytesOut"`
	Suite    string `json:"suite,omitempty"`
	Method   string `json:"method,omitempty"` // how it was rekeyed
}

func (t *tally) add(r envelope.Result) {
	code := 0
	switch r.Status {
	case envelope.Done:
		t.done++
	case envelope.Skipped:
		t.skipped++
	case envelope.Failed:
		t.failed++
		if errors.Is(r.Err, context.Canceled) {
			t.interrupted++
		}
		code = codeOf(r.Err)
		t.code = code
	}
	if t.metadata != nil {
		t.keep(t.work.Metadata(t.metadata, r))
	}
	t.tell(r, code)
}

func (t *tally) keep(err error) {
	if err != nil && t.err == nil {
		t.err = fmt.Errorf("telling of the files: %w", err)
	}
}

func (t *tally) tell(r envelope.Result, code int) {
	if t.flags.JSON {
		report := fileReport{Input: r.Input, Output: r.Output, Status: r.Status.String(), Reason: r.Reason, Code: code, Method: string(r.Method)}
		if r.Status == envelope.Done {
			report.BytesIn, report.BytesOut = r.Read, r.Written
		}
		if r.Err != nil {
			report.Error = errorText(r.Err)
		}
		if r.Header != nil {
			report.Suite = r.Header.Suite.Name
		}
		enc := json.NewEncoder(t.s.out)
		enc.SetEscapeHTML(false)
		t.keep(enc.Encode(report))
	}
	name := printable(r.Input)
	if name == envelope.Stdio {
		name = "stdin"
	}
	switch {
	case errors.Is(r.Err, context.Canceled): // told of once, at the end
	case r.Err != nil:
		t.bar.clear()
		text := errorText(r.Err)
		if e, ok := errors.AsType[*fs.PathError](r.Err); ok && e.Path == r.Input {
			text = errorText(e.Err)
		}
		report(t.s.err, fileFailure{fmt.Errorf("%s: %s", name, text), hintFor(r.Err)})
	case t.flags.Quiet:
	case r.Status == envelope.Skipped && (r.Reason != "done before" || t.flags.Verbose > 0):
		t.bar.clear()
		fmt.Fprintf(t.s.err, "keywright: %s: skipped: %s\n", name, r.Reason)
	case r.Status == envelope.Done && t.flags.Verbose > 0:
		t.bar.clear()
		how := ""
		if r.Method != "" {
			how = ": " + string(r.Method)
		}
		fmt.Fprintf(t.s.err, "keywright: %s: done%s\n", name, how)
	}
}

// summary tells of several files, or of none.
func (t *tally) summary() {
	if t.files == 1 {
		return
	}
	fmt.Fprintf(t.s.err, "keywright: %d done, %d skipped, %d failed\n", t.done, t.skipped, t.failed)
}

// fileFailure is what became of a file, and what to do about it.
type fileFailure struct {
	error
	hint string
}

func (e fileFailure) Hint() string { return e.hint }

// errorText leaves out that it was the library that said so.
func errorText(err error) string {
	return printable(strings.ReplaceAll(err.Error(), "esdk: ", ""))
}

// codeOf returns the exit code for an error of one file.
func codeOf(err error) int {
	for _, kind := range []struct {
		code int
		of   []error
	}{
		{exitContext, []error{materials.ErrContextMismatch, materials.ErrMissingContext}},
		{exitRefused, []error{materials.ErrCommitmentPolicy, esdk.ErrTooManyKeys, esdk.ErrTooLarge, esdk.ErrSigned, esdk.ErrTooLong, esdk.ErrRewrap, materials.ErrReservedKey, materials.ErrContextTooLarge}},
		{exitDamaged, []error{
			esdk.ErrBase64, esdk.ErrVersion, esdk.ErrMalformed, esdk.ErrTruncated, esdk.ErrTrailingData,
			esdk.ErrFrameSequence, esdk.ErrFrameLength, esdk.ErrAuthentication, esdk.ErrCommitment, esdk.ErrSignature,
			materials.ErrUnknownSuite, materials.ErrSignatureKey, materials.ErrContextMalformed, materials.ErrContextInvalid,
		}},
	} {
		for _, e := range kind.of {
			if errors.Is(err, e) {
				return kind.code
			}
		}
	}
	if _, ok := errors.AsType[*materials.UnwrapError](err); ok {
		return exitNoKey
	}
	if _, ok := errors.AsType[interface {
		error
		ErrorCode() string
	}](err); ok {
		return exitNoKey // what the service answered, to encrypt
	}
	if _, ok := errors.AsType[base64.CorruptInputError](err); ok {
		return exitDamaged
	}
	return exitFailed
}

// hintFor says what to do about an error of one file.
func hintFor(err error) string {
	switch {
	case errors.Is(err, esdk.ErrBase64):
		return "the message is base64: give --decode"
	case errors.Is(err, materials.ErrCommitmentPolicy):
		return "another --commitment-policy may allow it"
	case errors.Is(err, esdk.ErrTooLarge):
		return "a larger --max-length may allow it; with --verify-first, --buffer does"
	case errors.Is(err, envelope.ErrChanged):
		return "do it when nobody writes to it"
	case errors.Is(err, esdk.ErrRewrap):
		return "without --header-only it is encrypted anew"
	}
	return ""
}

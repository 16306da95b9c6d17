package cli

import (
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"unicode"
	"unicode/utf8"

	"github.com/keywright/keywright/esdk"
	"github.com/keywright/keywright/esdk/suite"
	"github.com/keywright/keywright/internal/envelope"
)

type inspectCmd struct {
	File      []string `arg:"" optional:"" help:"Files, directories, patterns, or - for stdin."`
	Input     []string `short:"i" sep:"none" help:"As FILE. Repeatable." placeholder:"PATH"`
	Recursive bool     `short:"r" help:"Take all files of directories."`
	Decode    bool     `help:"The input is base64."`
	MaxKeys   uint16   `name:"max-encrypted-data-keys" help:"Refuse messages with more encrypted data keys." placeholder:"N"`
	JSON      bool     `help:"Print a JSON object for each file."`
}

// Help implements kong.HelpProvider.
func (c *inspectCmd) Help() string {
	return `The header is read without a key, and nothing of it is verified: anybody may have written it. For what is true of a message, see keywright verify.

Exit codes: 0 printed, 1 failed, 2 usage, 3 not a message, 6 refused by a limit, 7 some of several files failed.

Examples:

    keywright inspect report.pdf.encrypted
    keywright inspect -r -i vault --json
    keywright inspect - --json < report.pdf.encrypted`
}

// headerReport is what --json prints.
type headerReport struct {
	File              string            `json:"file"`
	Version           int               `json:"version"`
	Suite             string            `json:"suite"`
	SuiteID           string            `json:"suiteId"`
	Committing        bool              `json:"committing"`
	Signed            bool              `json:"signed"`
	MessageID         string            `json:"messageId"`
	FrameLength       uint32            `json:"frameLength"` // 0: no frames
	HeaderLength      int               `json:"headerLength"`
	EncryptionContext map[string]string `json:"encryptionContext"`
	EncryptedDataKeys []dataKeyReport   `json:"encryptedDataKeys"`
}

type dataKeyReport struct {
	Provider   string `json:"provider"`
	Info       string `json:"info"` // as text, with escapes where it is none
	InfoBase64 string `json:"infoBase64"`
	Length     int    `json:"length"`
}

// Run prints the headers of messages.
func (c *inspectCmd) Run(s *streams) error {
	inputs, err := inputsOf(c.File, c.Input)
	if err != nil {
		return err
	}
	plan, err := (&envelope.Selection{Inputs: inputs, Recursive: c.Recursive, Verify: true}).Plan()
	if e, ok := errors.AsType[*envelope.ArgumentError](err); ok {
		return &usageError{e, e.Hint}
	}
	if err != nil {
		return err
	}
	client := esdk.New(esdk.Config{MaxEncryptedDataKeys: c.MaxKeys})
	code := exitOK
	for i, f := range plan.Files {
		h, err := c.inspect(client, s, f.Input, len(plan.Files) > 1)
		if err != nil {
			report(s.err, fileFailure{errors.New(printable(f.Input) + ": " + errorText(err)), hintFor(err)})
			if code = codeOf(err); len(plan.Files) > 1 {
				code = exitSome
			}
			continue
		}
		if err := c.print(s.out, newHeaderReport(f.Input, h), i > 0, len(plan.Files) > 1); err != nil {
			return err
		}
	}
	for _, path := range plan.Passed {
		fmt.Fprintf(s.err, "keywright: %s: passed over\n", printable(path))
	}
	if code != exitOK {
		return exitCode(code)
	}
	return nil
}

// inspect reads the header of one file. A pipe is waited for if it was named
// alone, and not if it was found.
func (c *inspectCmd) inspect(client *esdk.Client, s *streams, path string, several bool) (*esdk.Header, error) {
	var src io.Reader = s.in
	if path != envelope.Stdio {
		if info, err := os.Stat(path); err == nil && several && !info.Mode().IsRegular() {
			return nil, errors.New("it is not a regular file")
		}
		f, err := os.Open(path)
		if e, ok := errors.AsType[*fs.PathError](err); ok {
			return nil, e.Err
		}
		if err != nil {
			return nil, err
		}
		defer f.Close()
		src = f
	}
	if c.Decode {
		src = base64.NewDecoder(base64.StdEncoding, src)
	}
	return client.Inspect(src)
}

func (c *inspectCmd) print(w io.Writer, r *headerReport, apart, named bool) error {
	if c.JSON {
		return printJSON(w, r)
	}
	if apart {
		fmt.Fprintln(w)
	}
	if named {
		fmt.Fprintf(w, "%s:\n", printable(r.File))
	}
	return r.print(w)
}

func newHeaderReport(path string, h *esdk.Header) *headerReport {
	r := &headerReport{
		File:              path,
		Version:           h.Version,
		Suite:             h.Suite.Name,
		SuiteID:           fmt.Sprintf("0x%04x", uint16(h.Suite.ID)),
		Committing:        h.Suite.Committing,
		Signed:            h.Suite.Signature != suite.Unsigned,
		MessageID:         hex.EncodeToString(h.MessageID),
		FrameLength:       h.FrameLength,
		HeaderLength:      h.Length,
		EncryptionContext: h.EncryptionContext,
		EncryptedDataKeys: []dataKeyReport{},
	}
	for _, k := range h.EncryptedDataKeys {
		r.EncryptedDataKeys = append(r.EncryptedDataKeys, dataKeyReport{
			Provider:   k.ProviderID,
			Info:       printable(string(k.ProviderInfo)),
			InfoBase64: base64.StdEncoding.EncodeToString(k.ProviderInfo),
			Length:     len(k.Ciphertext),
		})
	}
	return r
}

// printable escapes what a terminal might take for more than text: whoever wrote
// the message chose it.
func printable(text string) string {
	var b strings.Builder
	for len(text) > 0 {
		r, size := utf8.DecodeRuneInString(text)
		switch {
		case r == utf8.RuneError && size == 1:
			fmt.Fprintf(&b, `\x%02x`, text[0])
		case unicode.IsPrint(r):
			b.WriteRune(r)
		default:
			b.WriteString(strings.Trim(strconv.QuoteRuneToASCII(r), "'"))
		}
		text = text[size:]
	}
	return b.String()
}

func (r *headerReport) print(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "version:\t%d\n", r.Version)
	fmt.Fprintf(t, "suite:\t%s %s\n", r.SuiteID, r.Suite)
	fmt.Fprintf(t, "commits to its key:\t%t\n", r.Committing)
	fmt.Fprintf(t, "signed:\t%t\n", r.Signed)
	fmt.Fprintf(t, "message id:\t%s\n", r.MessageID)
	if r.FrameLength == 0 {
		fmt.Fprintf(t, "frame length:\tno frames\n")
	} else {
		fmt.Fprintf(t, "frame length:\t%d\n", r.FrameLength)
	}
	fmt.Fprintf(t, "header length:\t%d\n", r.HeaderLength)
	for _, k := range slices.Sorted(maps.Keys(r.EncryptionContext)) {
		fmt.Fprintf(t, "context:\t%s=%s\n", printable(k), printable(r.EncryptionContext[k]))
	}
	for _, k := range r.EncryptedDataKeys {
		fmt.Fprintf(t, "data key:\t%s %s (%d bytes)\n", printable(k.Provider), k.Info, k.Length)
	}
	return t.Flush()
}

package cli

import (
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
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
)

type inspectCmd struct {
	File    string `arg:"" help:"File of a message, or - for stdin."`
	Decode  bool   `help:"The input is base64."`
	MaxKeys uint16 `name:"max-encrypted-data-keys" help:"Refuse messages with more encrypted data keys." placeholder:"N"`
	JSON    bool   `help:"Print JSON."`
}

// Help implements kong.HelpProvider.
func (c *inspectCmd) Help() string {
	return `The header is read without a key, and nothing of it is verified: anybody may have written it. For what is true of a message, see keywright verify.

Exit codes: 0 printed, 1 failed, 2 usage, 3 not a message, 6 refused by a limit.

Examples:

    keywright inspect report.pdf.encrypted
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

// Run prints a message's header.
func (c *inspectCmd) Run(s *streams) (err error) {
	var src io.Reader = s.in
	if c.File != "-" {
		f, err := os.Open(c.File)
		if err != nil {
			return err
		}
		defer f.Close()
		src = f
	}
	if c.Decode {
		src = base64.NewDecoder(base64.StdEncoding, src)
	}
	h, err := esdk.New(esdk.Config{MaxEncryptedDataKeys: c.MaxKeys}).Inspect(src)
	if err != nil {
		report(s.err, fileFailure{errors.New(printable(c.File) + ": " + errorText(err)), hintFor(err)})
		return exitCode(codeOf(err))
	}
	r := c.report(h)
	if c.JSON {
		return printJSON(s.out, r)
	}
	return r.print(s.out)
}

func (c *inspectCmd) report(h *esdk.Header) *headerReport {
	r := &headerReport{
		File:              c.File,
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

package cli

import (
	"crypto/fips140"
	"encoding/json"
	"fmt"
	"io"
	"runtime"
	"runtime/debug"
)

// version is the release, set when one is built.
var version = "devel"

// buildInfo is what version prints.
type buildInfo struct {
	Version  string `json:"version"`
	Revision string `json:"revision,omitempty"`
	Modified bool   `json:"modified,omitempty"` // built from a tree with changes
	Go       string `json:"go"`
	Platform string `json:"platform"`
	FIPS140  bool   `json:"fips140"` // Go's FIPS 140-3 module is in use
}

func thisBuild() buildInfo {
	b := buildInfo{Version: version, Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH, FIPS140: fips140.Enabled()}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return b
	}
	if b.Version == "devel" && info.Main.Version != "" && info.Main.Version != "(devel)" {
		b.Version = info.Main.Version
	}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			b.Revision = s.Value
		case "vcs.modified":
			b.Modified = s.Value == "true"
		}
	}
	return b
}

type versionCmd struct {
	JSON bool `help:"Print JSON."`
}

// Help implements kong.HelpProvider.
func (c *versionCmd) Help() string { return "Example:\n\n    keywright version --json" }

// Run prints the version.
func (c *versionCmd) Run(s *streams) error {
	b := thisBuild()
	if c.JSON {
		return printJSON(s.out, b)
	}
	_, err := fmt.Fprintf(s.out, "keywright %s %s %s\n", b.Version, b.Go, b.Platform)
	return err
}

func printJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}

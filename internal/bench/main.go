// Bench measures a Keywright beside what is the least a server of its kind can
// cost, in one run on one machine, and prints a table.
//
// The servers run as child processes, so that their CPU time is told apart from
// the load generator's. The Keywright among them is the server as it ships: its
// data on disk, every signature verified, every call authorized and audited.
// Ceiling one is net/http alone, which reads the request and writes the same
// response; ceiling two also verifies the signature, decodes and encodes JSON
// with encoding/json and encrypts with AES-GCM, and has no keys, no policies, no
// state and no audit log.
//
// The envelope library is measured beside the cipher and the hash it consists of,
// in this process.
//
// It is no test: it fails where a server answers wrongly, never because one is
// slow.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"time"
)

// options are the command line.
type options struct {
	seconds time.Duration // that one cell of a table is measured
	full    bool
	dir     string         // for data
	binary  string         // keywright; built where empty
	profile string         // folder for profiles; none where empty
	match   *regexp.Regexp // cells of the requests table; all where nil
}

// maxCell keeps a cell within the five minutes for which its requests, signed
// before it, are good.
const maxCell = 4 * time.Minute

var sections = []struct {
	name string
	run  func(*options, *report) error
}{
	{"requests", measureRequests},
	{"store", measureStore},
	{"start", measureStart},
	{"sizes", measureSizes},
	{"streams", measureStreams},
}

func main() {
	if len(os.Args) > 2 && os.Args[1] == roleArgument {
		runRole(os.Args[2], os.Args[3:])
		return
	}
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run() (err error) {
	var names []string
	for _, s := range sections {
		names = append(names, s.name)
	}
	var o options
	seconds := flag.Float64("seconds", 2, "how long one cell is measured")
	only := flag.String("only", strings.Join(names, ","), "what to measure")
	asJSON := flag.Bool("json", false, "print JSON instead of a table")
	flag.BoolVar(&o.full, "full", false, "measure a store of a million keys and streams of 10 GiB too, which takes minutes more and 3 GiB of disk")
	flag.StringVar(&o.binary, "binary", "", "measure the start of this keywright instead of building one")
	flag.StringVar(&o.profile, "profile", "", "instead of all else, write CPU and allocation profiles of the server under Encrypt into this `folder`")
	flag.Func("match", "measure only the requests whose operation/bytes/concurrency match this `pattern`, as Encrypt/32/16", func(s string) (err error) {
		o.match, err = regexp.Compile(s)
		return err
	})
	parent := flag.String("dir", os.TempDir(), "a `folder` on the disk to be measured")
	flag.Parse()
	if o.seconds = time.Duration(*seconds * float64(time.Second)); o.seconds <= 0 || o.seconds > maxCell {
		return fmt.Errorf("-seconds must be more than 0 and at most %.0f", maxCell.Seconds())
	}
	wanted := strings.Split(*only, ",")
	for _, name := range wanted {
		if !slices.Contains(names, name) {
			return fmt.Errorf("-only %s: there are %s", name, strings.Join(names, ", "))
		}
	}
	if o.dir, err = os.MkdirTemp(*parent, "keywright-bench-"); err != nil {
		return fmt.Errorf("making a folder for data: %w", err)
	}
	defer os.RemoveAll(o.dir)

	if o.profile != "" {
		return writeProfiles(&o)
	}
	r := newReport(*parent, o.seconds)
	for _, s := range sections {
		if !slices.Contains(wanted, s.name) {
			continue
		}
		if err := s.run(&o, r); err != nil {
			return fmt.Errorf("measuring %s: %w", s.name, err)
		}
	}
	if *asJSON {
		enc := json.NewEncoder(os.Stdout)
		enc.SetIndent("", "  ")
		return enc.Encode(r)
	}
	return r.print(os.Stdout)
}

// progress tells a person what is being measured.
func progress(format string, args ...any) { fmt.Fprintf(os.Stderr, format+"\n", args...) }

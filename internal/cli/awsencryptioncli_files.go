package cli

import (
	"cmp"
	"errors"
	"os"
	"path/filepath"

	"github.com/keywright/keywright/internal/awsencryptioncli"
	"github.com/keywright/keywright/internal/envelope"
)

// plan finds the files to be done, by the rules and in the order of checks of
// aws-encryption-cli.
func (r *oldRun) plan() (*envelope.Plan, error) {
	if err := r.checkPlaces(); err != nil {
		return nil, err
	}
	selection := &envelope.Selection{Output: r.o.Output, Recursive: true, Suffix: ".encrypted"}
	if r.o.Action != awsencryptioncli.Encrypt {
		selection.Suffix = ".decrypted"
	}
	if r.o.Suffix != nil {
		selection.Suffix = *r.o.Suffix
	}
	var err error
	if selection.Inputs, err = r.inputs(); err != nil {
		return nil, err
	}
	plan, err := selection.Plan()
	if e, ok := errors.AsType[*envelope.ArgumentError](err); ok {
		return nil, hinted{e, e.Hint}
	}
	if err != nil {
		return nil, err
	}
	for _, path := range plan.Passed {
		r.log.warning("Passing over %s, which is a link to a directory or was left by a process that was killed", path)
	}
	plan.Files = r.withoutSame(plan.Files)
	return plan, nil
}

// checkPlaces checks input and output for what makes no sense.
func (r *oldRun) checkPlaces() error {
	in, out := r.o.Input, r.o.Output
	switch {
	case out == "":
		return errors.New("the name of the output is empty")
	case out != envelope.Stdio && !isDir(out) && !isDir(cmp.Or(filepath.Dir(out), ".")):
		return oldError("If destination is a file, the immediate parent directory must already exist.")
	}
	if err := r.checkMetadata(); err != nil {
		return err
	}
	switch {
	case (in != envelope.Stdio || out != envelope.Stdio) && realPath(in) == realPath(out):
		return oldError("Destination and source cannot be the same")
	case in == envelope.Stdio && isDir(out):
		return oldError("Destination may not be a directory when source is stdin")
	}
	return nil
}

// inputs returns the paths that the input stands for.
func (r *oldRun) inputs() ([]string, error) {
	if r.o.Input == envelope.Stdio {
		return []string{envelope.Stdio}, nil
	}
	found, err := globPaths(r.o.Input)
	if err != nil {
		return nil, err
	}
	if len(found) == 0 {
		return nil, oldError("Invalid source.  Must be a valid pathname pattern or stdin (-)")
	}
	into := isDir(r.o.Output)
	if len(found) > 1 && !into {
		return nil, oldError("If operating on multiple sources, destination must be an existing directory")
	}
	var inputs []string
	for _, path := range found {
		switch {
		case isDir(path) && !into:
			return nil, oldError("If operating on a source directory, destination must be an existing directory")
		case isDir(path) && !r.o.Recursive:
			r.log.warning("Skipping %s because it is a directory and -r/-R/--recursive is not set", path)
		case path == envelope.Stdio:
			inputs = append(inputs, "./"+path) // a file of that name
		default:
			inputs = append(inputs, path)
		}
	}
	return inputs, nil
}

// withoutSame leaves out the files that would be their own output.
func (r *oldRun) withoutSame(files []envelope.File) (kept []envelope.File) {
	for _, f := range files {
		if _, err := os.Lstat(f.Output); err == nil && f.Output != envelope.Stdio && realPath(f.Input) == realPath(f.Output) {
			r.log.warning("Skipping because the source (%s) and destination (%s) are the same", f.Input, f.Output)
			continue
		}
		kept = append(kept, f)
	}
	return kept
}

func isDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

// realPath returns a path without symbolic links, of as much as exists.
func realPath(path string) string {
	path, err := filepath.Abs(path)
	if err != nil {
		return path
	}
	if real, err := filepath.EvalSymlinks(path); err == nil {
		return real
	}
	if dir := filepath.Dir(path); dir != path {
		return filepath.Join(realPath(dir), filepath.Base(path))
	}
	return path
}

package envelope

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
)

// Selection says which files are to be done.
type Selection struct {
	// Inputs are files, directories and patterns as filepath.Glob takes them,
	// or Stdio alone.
	Inputs []string
	// Output is a file, a directory that exists or Stdio. More than one file
	// needs a directory. It is not used by Verify and InPlace.
	Output string
	// InPlace makes each file its own output.
	InPlace bool
	// Recursive allows directories as inputs.
	Recursive bool
	// Suffix is appended to the names of files in an output directory.
	Suffix string
	Verify bool
}

// Plan is what a Selection amounts to.
type Plan struct {
	Files []File
	// Bytes is how long all inputs are together, as far as that is known.
	Bytes int64
	// Passed are links to directories and the leavings of killed processes, and
	// in place what is another name of a file, none of which are done.
	Passed []string

	dirs []treeDir // in an order in which they can be made
}

type treeDir struct{ input, output string }

// ArgumentError is a Selection that cannot be meant.
type ArgumentError struct{ Problem, Hint string }

func (e *ArgumentError) Error() string { return e.Problem }

// Plan finds the files. What cannot be looked into is a file that will fail. It
// returns an *ArgumentError for what makes no sense, and fs.ErrNotExist for an
// input that is not there.
func (s *Selection) Plan() (*Plan, error) {
	p := new(Plan)
	if len(s.Inputs) == 1 && s.Inputs[0] == Stdio {
		if s.InPlace {
			return nil, &ArgumentError{"standard input cannot be replaced in place", "name a file, or an output"}
		}
		if !s.Verify && isDir(s.Output) {
			return nil, &ArgumentError{s.Output + " is a directory, and standard input has no name to be kept in it", "name a file as the output"}
		}
		return p, p.add(s, Stdio, s.Output, nil)
	}
	inputs, err := expand(s.Inputs)
	if err != nil {
		return nil, err
	}
	apart := !s.Verify && !s.InPlace // inputs and outputs
	into := apart && s.Output != Stdio && isDir(s.Output)
	for _, path := range inputs {
		info, err := os.Stat(path)
		if err != nil {
			return nil, err
		}
		switch {
		case info.IsDir() && !s.Recursive:
			return nil, &ArgumentError{path + " is a directory", "take what is in it with --recursive"}
		case apart && !into && info.IsDir():
			return nil, &ArgumentError{path + " is a directory, and the output is none", "make a directory, and name it as the output"}
		case apart && !into && len(inputs) > 1:
			return nil, &ArgumentError{"there are several inputs, and the output is no directory", "make a directory, and name it as the output"}
		case info.IsDir():
			err = p.walk(s, path)
		case s.InPlace:
			err = p.add(s, path, path, info)
		case into:
			err = p.add(s, path, filepath.Join(s.Output, filepath.Base(path)+s.Suffix), info)
		default:
			err = p.add(s, path, s.Output, info)
		}
		if err != nil {
			return nil, err
		}
	}
	if s.InPlace {
		p.once()
		return p, nil
	}
	return p, p.distinct()
}

// expand replaces patterns by what they match. What exists is not a pattern.
func expand(inputs []string) (paths []string, err error) {
	for _, path := range inputs {
		if path == Stdio {
			return nil, &ArgumentError{"standard input cannot be one of several inputs", ""}
		}
		if _, err := os.Lstat(path); err == nil || !strings.ContainsAny(path, `*?[`) {
			paths = append(paths, path)
			continue
		}
		found, err := filepath.Glob(path)
		if err != nil {
			return nil, &ArgumentError{path + ": " + err.Error(), ""}
		}
		if len(found) == 0 {
			return nil, &fs.PathError{Op: "match", Path: path, Err: fs.ErrNotExist}
		}
		paths = append(paths, found...)
	}
	return paths, nil
}

func (p *Plan) add(s *Selection, in, out string, info fs.FileInfo) error {
	f := File{Input: in, Output: out}
	if s.Verify {
		f.Output = ""
	} else if out != Stdio {
		parent, err := os.Stat(filepath.Dir(out))
		if err != nil {
			return err
		}
		if !parent.IsDir() {
			return &ArgumentError{filepath.Dir(out) + " is not a directory", ""}
		}
	}
	if info != nil {
		f.Size = info.Size()
	}
	p.Files = append(p.Files, f)
	p.Bytes += f.Size
	return nil
}

// walk takes the files of a tree. The output directory may lie in it, and is
// then not part of it.
func (p *Plan) walk(s *Selection, root string) error {
	var skip fs.FileInfo
	if !s.Verify && !s.InPlace {
		info, err := os.Stat(s.Output)
		if err != nil {
			return err
		}
		skip = info
	}
	// WalkDir does not follow a link that it is given.
	resolved, err := filepath.EvalSymlinks(root)
	if err != nil {
		return err
	}
	made := map[string]bool{".": true}
	return filepath.WalkDir(resolved, func(path string, d fs.DirEntry, err error) error {
		rel, relErr := filepath.Rel(resolved, path)
		if relErr != nil {
			return relErr
		}
		name := filepath.Join(root, rel)
		if err != nil { // a directory that cannot be read
			p.Files = append(p.Files, File{Input: name, err: err})
			return nil
		}
		if d.IsDir() {
			if info, err := d.Info(); err == nil && rel != "." && skip != nil && os.SameFile(info, skip) {
				return fs.SkipDir
			}
			return nil
		}
		f := File{Input: name}
		info, err := os.Stat(path)
		switch {
		case err != nil:
			f.err = err
		case info.IsDir() || isTemp(d.Name()):
			p.Passed = append(p.Passed, name)
			return nil
		default:
			f.Size = info.Size()
		}
		switch {
		case s.Verify:
		case s.InPlace:
			f.Output = name
		default:
			f.Output = filepath.Join(s.Output, rel+s.Suffix)
			p.replicate(made, root, s.Output, filepath.Dir(rel))
		}
		p.Files = append(p.Files, f)
		p.Bytes += f.Size
		return nil
	})
}

// replicate has the directory rel, and those above it, made in the output.
func (p *Plan) replicate(made map[string]bool, from, to, rel string) {
	if made[rel] {
		return
	}
	made[rel] = true
	p.replicate(made, from, to, filepath.Dir(rel))
	p.dirs = append(p.dirs, treeDir{filepath.Join(from, rel), filepath.Join(to, rel)})
}

// distinct refuses two inputs of one output, of which one would be lost.
func (p *Plan) distinct() error {
	of := map[string]string{}
	for _, f := range p.Files {
		if f.Output == "" || f.Output == Stdio {
			continue
		}
		if other, ok := of[f.Output]; ok {
			return &ArgumentError{f.Input + " and " + other + " would both become " + f.Output, "do them one after the other, into different directories"}
		}
		of[f.Output] = f.Input
	}
	return nil
}

// once passes over what is a file that is done anyway, by another way to it:
// done a second time, its old keys would not open it any more.
func (p *Plan) once() {
	done := map[string]bool{}
	files := p.Files
	p.Files, p.Bytes = nil, 0
	for _, f := range files {
		path, err := filepath.EvalSymlinks(f.Input)
		if err == nil {
			path, err = filepath.Abs(path)
		}
		if err == nil && done[path] {
			p.Passed = append(p.Passed, f.Input)
			continue
		}
		done[path] = err == nil
		p.Files = append(p.Files, f)
		p.Bytes += f.Size
	}
}

func isDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

// Run does the files of a plan, up to parallel at a time, and calls report with
// what became of each, one call at a time. Files that ctx left no time for have
// failed. It returns an error for directories that could not be made like those
// of the input.
func (w *Work) Run(ctx context.Context, p *Plan, parallel int, report func(Result)) error {
	var errs []error
	for _, d := range p.dirs {
		if err := d.make(); err != nil {
			errs = append(errs, err)
		}
	}
	files := make(chan File)
	var wg sync.WaitGroup
	var mu sync.Mutex
	for range max(1, min(parallel, len(p.Files))) {
		wg.Go(func() {
			for f := range files {
				r := w.Do(ctx, f)
				mu.Lock()
				report(r)
				mu.Unlock()
			}
		})
	}
	for _, f := range p.Files {
		files <- f
	}
	close(files)
	wg.Wait()
	for i := len(p.dirs) - 1; i >= 0; i-- { // the innermost first: what changes in a directory changes its time
		errs = append(errs, p.dirs[i].finish())
	}
	return errors.Join(errs...)
}

// make makes the directory, into which nobody else gets before it is finished.
// One that was there before may have been finished as one that cannot be written.
func (d treeDir) make() error {
	err := os.Mkdir(d.output, 0o700)
	if err == nil {
		return nil
	}
	info, statErr := os.Stat(d.output)
	if statErr != nil || !info.IsDir() {
		return err
	}
	if info.Mode().Perm()&0o300 == 0o300 {
		return nil
	}
	return os.Chmod(d.output, info.Mode().Perm()|0o300)
}

// finish gives a directory the mode and time of the one it is made after.
func (d treeDir) finish() error {
	info, err := os.Stat(d.input)
	if err != nil {
		return err
	}
	if err := os.Chmod(d.output, info.Mode().Perm()); err != nil {
		return err
	}
	return os.Chtimes(d.output, info.ModTime(), info.ModTime())
}

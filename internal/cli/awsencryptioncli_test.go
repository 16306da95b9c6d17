package cli_test

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/keywright/keywright/internal/cli"
)

// The program is aws-encryption-cli where that is its name, whatever is before it.
func TestOldName(t *testing.T) {
	bin := filepath.Join(t.TempDir(), "keywright")
	if out, err := exec.Command("go", "build", "-o", bin, "github.com/keywright/keywright/cmd/keywright").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	link := filepath.Join(t.TempDir(), "aws-encryption-cli")
	if err := os.Symlink(bin, link); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{link: "aws-encryption-sdk-cli/4.3.0 aws-encryption-sdk/", bin: ""} {
		out, err := exec.Command(path, "--version").Output()
		if !strings.HasPrefix(string(out), want) || (err == nil) != (want != "") {
			t.Errorf("%s --version: %v, %q", path, err, out)
		}
	}
	for _, c := range []struct{ argv, want []string }{
		{[]string{"keywright", "a"}, []string{"a"}},
		{[]string{"/usr/bin/aws-encryption-cli", "-e"}, []string{"aws-encryption-cli", "-e"}},
		{[]string{"aws-encryption-cli.exe"}, []string{"aws-encryption-cli"}},
		{nil, nil},
	} {
		if got := cli.Arguments(c.argv); !slices.Equal(got, c.want) {
			t.Errorf("%q: got %q, want %q", c.argv, got, c.want)
		}
	}
}

// python runs a program that reads JSON from stdin and writes JSON.
func python(t *testing.T, program string, in, out any) {
	t.Helper()
	text, err := json.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("python3", "-c", program)
	cmd.Stdin, cmd.Stderr = bytes.NewReader(text), t.Output()
	answer, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(answer, out); err != nil {
		t.Fatal(err)
	}
}

// Python is asked what patterns match.
func TestGlob(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, name := range []string{"a", "b", "ab", ".hid", "d/a", "d/.hid", ".e/a", "[x]", "a]", "^", "!", "-", `b\s`, "x-y", "q[", "d/sub/a"} {
		if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	patterns := []string{
		"*", "?", "??", ".*", "*/a", "*/*", ".*/*", "d/*", "**", "**/a", "[ab]", "[!ab]", "[^]", "[!^]", "[^a]", "[]", "[", "[!]", "[]]", "a[]]", "[x]", "[[]x]",
		`b\s`, `*\*`, `[\]*`, "[a-b]", "[-]", "[a-]", "[!-]", "[b-a]", "x[-]y", "q[", "*[", "[d/a]", "nothing", "noth*", "", "*[!a]", "d/[!.]*",
	}
	var want [][]string
	python(t, "import glob,json,sys; json.dump([sorted(glob.glob(p)) for p in json.load(sys.stdin)], sys.stdout)", patterns, &want)
	matched := 0
	for i, pattern := range patterns {
		got, err := cli.Glob(pattern)
		slices.Sort(got)
		matched += len(got)
		if pattern == "[x]" { // a file's name goes before what it would match
			want[i] = []string{"[x]"}
		}
		if err != nil || !slices.Equal(got, want[i]) {
			t.Errorf("%s: got %q %v, want %q", pattern, got, err, want[i])
		}
	}
	if matched < 50 {
		t.Errorf("%d matches: the patterns try too little", matched)
	}
}

func FuzzGlobPattern(f *testing.F) {
	for _, pattern := range []string{"*[!a]", "[]", "[!]]", `[\]`, "[a-", "[a-z]?/é"} {
		f.Add(pattern)
	}
	f.Fuzz(func(t *testing.T, pattern string) {
		if !utf8.ValidString(pattern) {
			return // which filepath.Match refuses in a class
		}
		translated := cli.GlobPattern(pattern)
		if _, err := filepath.Match(translated, "a"); err != nil {
			t.Errorf("%q became %q: %v", pattern, translated, err)
		}
		if !strings.ContainsAny(pattern, "*?[") {
			if ok, _ := filepath.Match(translated, pattern); !ok {
				t.Errorf("%q became %q, which is not itself", pattern, translated)
			}
		}
	})
}

// Python is asked how it writes JSON.
func TestPythonJSON(t *testing.T) {
	const text = `{"b":[1,"x",null,true,[]],"a":{"é":"\"\\\n\r\t\b\f\u0001\u007f\u2028<😀","":{}},"c":12345678901234567890,"é":false}`
	var want string
	python(t, "import json,sys; json.dump(json.dumps(json.load(sys.stdin), sort_keys=True), sys.stdout)", json.RawMessage(text), &want)
	dec := json.NewDecoder(strings.NewReader(text))
	dec.UseNumber()
	var value any
	if err := dec.Decode(&value); err != nil {
		t.Fatal(err)
	}
	if got := cli.PythonJSON(value); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

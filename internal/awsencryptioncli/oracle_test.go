package awsencryptioncli_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/keywright/keywright/internal/awsencryptioncli"
)

// ask has Python say what it makes of cases.
func ask[T any](t *testing.T, cases any, out *[]T, args ...string) {
	t.Helper()
	in, err := json.Marshal(cases)
	if err != nil {
		t.Fatal(err)
	}
	choices, err := json.Marshal([][]string{awsencryptioncli.CommitmentPolicies, awsencryptioncli.Algorithms})
	if err != nil {
		t.Fatal(err)
	}
	script, err := filepath.Abs(filepath.Join("testdata", "oracle.py"))
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("python3", append([]string{script, string(choices)}, args...)...)
	cmd.Dir = dir(t)
	cmd.Env = append(os.Environ(), "HOME=/home/somebody", "NAME=a value", "EMPTY=", "PYTHONUTF8=1")
	cmd.Stdin = bytes.NewReader(in)
	cmd.Stderr = t.Output()
	answer, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(answer, out); err != nil {
		t.Fatal(err)
	}
}

// files are the files of arguments of the tests.
var files = map[string]string{
	"plain":   "-e -S -i in\n-o out -w key=a key=b\n",
	"comment": "# all of it\n-v # the rest\n-c a=b#c d=e\n",
	"quotes":  "-c 'a key=a \\'value\\'' \"b=\\\"q\\\" \\\\ \\x\" '' c\\ d=e\n--suffix ''\n",
	"expand":  "-i ~/in -o $NAME/${NAME}/$UNKNOWN/${EMPTY}x ~nobodyatall/x '~/y'\n",
	"nested":  "-v @plain\n@comment -q\n",
	"spaces":  "  --suffix\t' .x '  \n\n\r\n-r\r-b\x0b-q\u2028-v",
	"open":    "-c 'a=b\n",
	"escape":  "-c a=b\\",
	"self":    "-v @self",
}

func dir(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// env is the environment that ask gives to Python.
func env(t *testing.T) awsencryptioncli.Environment {
	t.Helper()
	dir := dir(t)
	vars := map[string]string{"HOME": "/home/somebody", "NAME": "a value", "EMPTY": ""}
	return awsencryptioncli.Environment{
		ReadFile: func(path string) ([]byte, error) {
			if path != "" {
				path = filepath.Join(dir, path)
			}
			return os.ReadFile(path)
		},
		LookupEnv: func(name string) (string, bool) {
			value, ok := vars[name]
			return value, ok
		},
		Home: func(string) (string, bool) { return "", false },
	}
}

// words are what random command lines are made of.
var words = strings.Split("-h|--help|--version|-e|--encrypt|-d|--decrypt|--decrypt-unsigned|-S|--suppress-metadata|--metadata-output|"+
	"--overwrite-metadata|-w|--wrapping-keys|--commitment-policy|--caching|-b|--buffer|-i|--input|-o|--output|--encode|--decode|-c|"+
	"--encryption-context|--required-encryption-context-keys|--algorithm|--frame-length|--max-length|--max-encrypted-data-keys|--suffix|"+
	"--interactive|--no-overwrite|-r|-R|--recursive|-v|-vv|-vvv|-q|--quiet|-eS|-dSvr|-Sq|-rbv|-ofile|-o-|-i-|-iin|-o=out|-i=|-wkey=a|"+
	"-wa|-cb=c|-vx|-ex|-e=|-v=1|-SeX|--enc|--encr|--dec|--decr|--decrypt-|--out|--in|--inp|--int|--suf|--suff=x|--suffix=|--suffix=.y|"+
	"--max|--max-l|--max-l=5|--max-e=2|--frame=7|--frame-length=x|--frame-length=-1|--wrap|--wrap=key=a|--wrapping-keys=key=b|"+
	"--commit=forbid-encrypt-allow-decrypt|--commitment-policy=none|--algo=AES_128_GCM_IV12_TAG16|--algorithm=ROT13|--meta=m|"+
	"--metadata-output=|--encrypt=|--encrypt=x|--re|--rec|--req|--quie|--no|--buf|--cach|--nothing|--nothing=x|-x|-xy|-encrypt|"+
	"-input|-enc|-in|-ov|-decrypt-unsigned|-version|-help|-suf|-suffix|-recursive=|-|--|-5|-1.5|-.5|-5x|-a b|-e b|--a b|- x|in|out|key=a|"+
	"key=b|a=b|d|10| 4_0 |+7|007|é|-é|-vé|=|--=|-=|@plain|@comment|@quotes|@expand|@nested|@spaces|@none|@|", "|")

// commandLines are random ones, of which half are a good one with changes, so
// that they get further than the first error.
func commandLines(n int) [][]string {
	r := rand.New(rand.NewPCG(4, 3))
	good := strings.Fields("-e -S -i in -o out -w key=a key=b")
	lines := [][]string{good, {}}
	for range n {
		var line []string
		if r.IntN(4) > 0 {
			line = slices.Clone(good)
		}
		for range 1 + r.IntN(5) {
			at := r.IntN(len(line) + 1)
			if r.IntN(6) == 0 && at < len(line) {
				line = slices.Delete(line, at, at+1)
				continue
			}
			line = slices.Insert(line, at, words[r.IntN(len(words))])
		}
		lines = append(lines, line)
	}
	return lines
}

type answer struct {
	Error     *string
	Stop      string
	Broken    string
	Namespace map[string]any
	Exact     bool // it is of a version of Python whose errors are ours
}

// Python is asked for what it makes of random command lines.
func TestAgainstArgparse(t *testing.T) {
	const n = 10000
	lines := commandLines(n)
	lines = append(lines, []string{"@open"}, []string{"@escape"}, []string{"@self"})
	var answers []answer
	ask(t, lines, &answers)
	environment := env(t)
	good, refused, stopped := 0, 0, 0
	for i, line := range lines {
		want := answers[i]
		got, err := awsencryptioncli.Raw(line, environment)
		usage, isUsage := errors.AsType[*awsencryptioncli.UsageError](err)
		switch {
		case !want.Exact && (err != nil || want.Namespace == nil): // what both take is the same in all versions
		case want.Broken != "":
			if err == nil || isUsage {
				t.Errorf("%q: got %v %v, Python broke with %s", line, got, err, want.Broken)
			}
		case want.Error != nil:
			refused++
			if !isUsage || usage.Message != *want.Error {
				t.Errorf("%q:\n got %v\nwant %s", line, err, *want.Error)
			}
		case err != nil:
			t.Errorf("%q: got %v, Python takes it", line, err)
		case want.Stop != "":
			stopped++
			if got["action"] != awsencryptioncli.Action(want.Stop) {
				t.Errorf("%q: got %v, want %s", line, got["action"], want.Stop)
			}
		default:
			good++
			if diff := cmp.Diff(normal(t, want.Namespace), normal(t, got)); diff != "" {
				t.Errorf("%q: (-argparse +got)\n%s", line, diff)
			}
		}
		if t.Failed() && i > 100 {
			t.FailNow()
		}
	}
	t.Logf("%d taken, %d refused, %d stopped", good, refused, stopped)
	if good < n/100 || answers[0].Exact && (refused < n/4 || stopped < n/200) {
		t.Errorf("%d taken, %d refused, %d stopped: the command lines try too little", good, refused, stopped)
	}
}

// normal makes what was not given the same on both sides.
func normal(t *testing.T, values map[string]any) map[string]any {
	t.Helper()
	text, err := json.Marshal(values)
	if err != nil {
		t.Fatal(err)
	}
	var out map[string]any
	if err := json.Unmarshal(text, &out); err != nil {
		t.Fatal(err)
	}
	for name, value := range out {
		switch value := value.(type) {
		case nil:
			delete(out, name)
		case bool:
			if !value {
				delete(out, name)
			}
		case float64:
			if name == "verbosity" && value == 0 {
				delete(out, name)
			}
		case string:
			if value == "" && (name == "commitment_policy" || name == "misspelt") {
				delete(out, name)
			}
		}
	}
	return out
}

// Python is asked what numbers are, and how it shows texts.
func TestAgainstPython(t *testing.T) {
	cases := []string{
		"", "1", "-1", "+1", " 1 ", "1_000", "1__0", "_1", "1_", "0x1", "1.5", ".5", "5.", "1e3", "1_0.0_1e1_0", "1e", "inf", "-Infinity", "nan",
		"1\u00a0", "\x1c1", "a'b", `a"b`, `a'"b`, `\`, "\n\t\r\x00\x7f", "é", "\u0085", "\u200b", "\U0001f600", "\U000e0001", "--", "1.", ".", "1e+05",
	}
	var answers []struct {
		Int, Float *string
		Repr       string
	}
	ask(t, cases, &answers, "numbers")
	for i, text := range cases {
		want := answers[i]
		if n, ok := awsencryptioncli.Int(text); ok != (want.Int != nil) || ok && strconv.FormatInt(n, 10) != *want.Int {
			t.Errorf("int(%q) = %d, %v", text, n, ok)
		}
		wantFloat := 0.0
		if want.Float != nil && *want.Float != "nan" {
			var err error
			if wantFloat, err = strconv.ParseFloat(*want.Float, 64); err != nil {
				t.Fatal(err)
			}
		}
		if f, ok := awsencryptioncli.Float(text); ok != (want.Float != nil && *want.Float != "nan") || ok && f != wantFloat {
			t.Errorf("float(%q) = %g, %v", text, f, ok)
		}
		if got := awsencryptioncli.Quote(text); got != want.Repr {
			t.Errorf("repr(%q) = %s, want %s", text, got, want.Repr)
		}
	}
}

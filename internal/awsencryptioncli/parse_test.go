package awsencryptioncli_test

import (
	"errors"
	"io/fs"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/keywright/keywright/internal/awsencryptioncli"
)

// number and text make what may be nil.
func number(n int64) *int64 { return &n }
func text(s string) *string { return &s }

func TestParse(t *testing.T) {
	const kms = "aws-encryption-sdk-cli::aws-kms"
	args := []string{
		"-dSvvb", "-i", "in", "-o=out", "--decode", "--recursive", "-q", "--suffix", "--max-len", "7", "--max-e=3",
		"-w", "key=arn:b", "region=eu-west-1", "profile=a b", "key=c", "x=1", "-w", "discovery=Y", "discovery-account=1", "discovery-account=2", "discovery-partition=aws",
		"-w", "provider=backup::raw", "key=k", "--caching", "capacity=10", "capacity=x", "max_age=1e1", "max_messages_encrypted=3", "max_bytes_encrypted=0",
		"-c", "a=b=c", "a=d", "present", "e=f",
	}
	got, err := awsencryptioncli.Parse(args, env(t))
	if err != nil {
		t.Fatal(err)
	}
	want := &awsencryptioncli.Options{
		Action: awsencryptioncli.Decrypt, Input: "in", Output: "out", SuppressMetadata: true,
		WrappingKeys: []awsencryptioncli.KeyGroup{
			{Provider: kms, Keys: []string{"arn:b", "c"}, Regions: []string{"eu-west-1"}, Profiles: []string{"a b"}, Unknown: []string{"x"}},
			{Provider: kms, Discovery: true, Accounts: []string{"1", "2"}, Partition: "aws"},
			{Provider: "backup::raw", Keys: []string{"k"}},
		},
		CommitmentPolicy:  "require-encrypt-require-decrypt",
		Caching:           &awsencryptioncli.Caching{Capacity: 10, MaxAge: 10, MaxMessages: number(3), MaxBytes: number(0)},
		EncryptionContext: map[string]string{"a": "b=c", "e": "f"},
		RequiredKeys:      []string{"present"},
		MaxLength:         number(7), MaxEncryptedDataKeys: number(3), Suffix: text(""),
		Buffer: true, Decode: true, Recursive: true, Quiet: true, Verbosity: 2,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}

	got, err = awsencryptioncli.Parse([]string{"@plain", "--metadata-output", "m", "--metadata-output=-", "--encode", "--frame-length", "-5", "--algorithm", "AES_256_GCM_IV12_TAG16", "--commitment-policy", "forbid-encrypt-allow-decrypt", "--no-overwrite", "--interactive", "--overwrite-metadata", "--suffix", ".x"}, metadataInFile(t))
	if err != nil {
		t.Fatal(err)
	}
	want = &awsencryptioncli.Options{
		Action: awsencryptioncli.Encrypt, Input: "in", Output: "out", Metadata: "-", OverwriteMetadata: true,
		WrappingKeys:      []awsencryptioncli.KeyGroup{{Provider: kms, Keys: []string{"a", "b"}}},
		CommitmentPolicy:  "forbid-encrypt-allow-decrypt",
		EncryptionContext: map[string]string{}, Algorithm: "AES_256_GCM_IV12_TAG16",
		FrameLength: number(-5), Suffix: text(".x"), Encode: true, Interactive: true, NoOverwrite: true,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	for arg, want := range map[string]awsencryptioncli.Action{"--version": awsencryptioncli.ShowVersion, "-h": awsencryptioncli.ShowHelp} {
		got, err := awsencryptioncli.Parse([]string{"-v", arg, "--nonsense"}, env(t))
		if err != nil || got.Action != want {
			t.Errorf("%s: %+v, %v", arg, got, err)
		}
	}
}

// metadataInFile is an environment in which plain does not suppress metadata.
func metadataInFile(t *testing.T) awsencryptioncli.Environment {
	e := env(t)
	read := e.ReadFile
	e.ReadFile = func(path string) ([]byte, error) {
		text, err := read(path)
		return []byte(strings.ReplaceAll(string(text), "-S ", "")), err
	}
	return e
}

// What argparse takes and the tool refuses; the words are the tool's where it
// exits with 2.
func TestRefused(t *testing.T) {
	const keys = " -w key=a"
	for _, c := range []struct{ args, want string }{
		{"-e" + keys + " -input", `Found invalid argument "-input". Did you mean "--input"?`},
		{"-e" + keys + " --required-encryption-context-keys a", "--required-encryption-context-keys cannot be manually provided"},
		{"-e -w key", `Argument parameter must follow the format "key=value"`},
		{"-e -w key=", `Argument parameter must follow the format "key=value"`},
		{"-e -w provider=a provider=b key=a", `You must provide exactly one "provider" for each wrapping key provider configuration. 2 provided`},
		{"-e -w region=a", `At least one "key" must be provided for each wrapping key provider configuration`},
		{"-d -w provider=raw x=a", `At least one "key" must be provided for each wrapping key provider configuration`},
		{"-d -w provider=raw key=a discovery=true", "Discovery attributes are supported only for AWS KMS wrapping keys"},
		{"-e -w key=a discovery=false", "Discovery attributes are supported only on decryption for AWS KMS keys"},
		{"-d -w provider=aws-kms", "When discovery is false (disabled), you must specify at least one wrapping key"},
		{"-d -w key=a discovery=1", "If discovery is true (enabled), you cannot specify wrapping keys"},
		{"-d -w discovery=maybe", "Value maybe could not be parsed as true or false"},
		{"-d -w key=a discovery-account=1", "Discovery-account and discovery-partition are valid only when the discovery attribute is set to true"},
		{"-d -w key=a discovery=n discovery-partition=1", "Discovery-account and discovery-partition are valid only when the discovery attribute is set to true"},
		{"-d -w discovery=t discovery-account=1", "When specifying discovery-account, you must also specify discovery-partition"},
		{"-d -w discovery=t discovery-partition=1", "When specifying discovery-partition, you must also specify discovery-account"},
		{"-d -w discovery=t discovery-account=1 discovery-partition=a discovery-partition=a", "You can only specify discovery-partition once"},
		{"-e -c a" + keys, `Argument parameter must follow the format "key=value"`},
		{"-d -c =a" + keys, `Argument parameter must follow the format "key=value"`},
		{"-e --caching capacity=1" + keys, `If enabling caching, both "capacity" and "max_age" are required`},
		{"-e --caching capacity=1 max_age=1 min_age=1" + keys, `Invalid caching configuration key: "min_age"`},
		{"-e --caching capacity=1 max_age" + keys, `Argument parameter must follow the format "key=value"`},
	} {
		_, err := awsencryptioncli.Parse(strings.Fields("-S -i in -o out "+c.args), env(t))
		if usage, ok := errors.AsType[*awsencryptioncli.UsageError](err); !ok || usage.Message != c.want {
			t.Errorf("%s:\n got %v\nwant %s", c.args, err, c.want)
		}
	}
	for _, caching := range []string{"capacity=x max_age=1", "capacity=1 max_age=x", "capacity=0 max_age=1", "capacity=1 max_age=0", "capacity=1 max_age=nan", "capacity=1 max_age=1 max_messages_encrypted=0", "capacity=1 max_age=1 max_bytes_encrypted=-1"} {
		_, err := awsencryptioncli.Parse(strings.Fields("-S -i in -o out -e -w key=a --caching "+caching), env(t))
		if _, ok := errors.AsType[*awsencryptioncli.UsageError](err); ok || err == nil {
			t.Errorf("%s: got %v, want an error that is not of usage", caching, err)
		}
	}
}

// The home directories of users, and files as the system has them.
func TestSystem(t *testing.T) {
	e := awsencryptioncli.System()
	t.Setenv("HOME", "/tilde/")
	path := t.TempDir() + "/args"
	if err := os.WriteFile(path, []byte("~ ~/a $HOME ~root/b --version=~ a~"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := awsencryptioncli.Raw([]string{"-e", "-S", "-i", "-", "-o", "-", "-w", "@" + path}, e)
	if usage, ok := errors.AsType[*awsencryptioncli.UsageError](err); !ok || usage.Message != "argument --version: ignored explicit argument '~'" {
		t.Errorf("got %v", err)
	}
	if err := os.WriteFile(path, []byte("~ ~/a $HOME ~root/b a~"), 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := awsencryptioncli.Raw([]string{"-e", "-S", "-i", "-", "-o", "-", "-w", "@" + path}, e)
	if err != nil {
		t.Fatal(err)
	}
	want := [][]string{{"/tilde", "/tilde/a", "/tilde/", "/root/b", "a~"}}
	if diff := cmp.Diff(want, got["wrapping_keys"]); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if os.Unsetenv("HOME"); e.Home != nil {
		if home, ok := e.Home(""); !ok || home == "" {
			t.Error("this user has no home directory")
		}
	}
}

// Help and Usage leave out no flag.
func TestHelp(t *testing.T) {
	for _, name := range awsencryptioncli.Names() {
		long := strings.HasPrefix(name, "--") && name != "--required-encryption-context-keys"
		if long && !strings.Contains(awsencryptioncli.Help, name) || len(name) == 2 && !strings.Contains(awsencryptioncli.Help, "  "+name) && !strings.Contains(awsencryptioncli.Help, ", "+name) {
			t.Errorf("%s is not in the help", name)
		}
	}
	if len(awsencryptioncli.Names()) < 50 {
		t.Error("there are too few names: nothing was checked")
	}
}

func FuzzParse(f *testing.F) {
	f.Add("-e\x00-S\x00-i\x00in\x00-o\x00out\x00-w\x00key=a", "")
	f.Add("@f\x00-q", "-e -S -i 'a b' # c\n-o \"$X\" -w key=~/a @g")
	f.Add("-dSvv\x00@f", "-w\\ discovery=1 --caching capacity=1 max_age=.5 -c a=b")
	f.Fuzz(func(t *testing.T, line, file string) {
		e := awsencryptioncli.Environment{
			ReadFile: func(path string) ([]byte, error) {
				if path != "f" {
					return nil, &fs.PathError{Op: "open", Path: path, Err: fs.ErrNotExist}
				}
				return []byte(file), nil
			},
			LookupEnv: func(name string) (string, bool) { return "value of " + name, name != "" },
			Home:      func(string) (string, bool) { return "/home", true },
		}
		args := strings.Split(line, "\x00")
		o, err := awsencryptioncli.Parse(args, e)
		if err != nil {
			if o != nil || err.Error() == "" {
				t.Errorf("%+v beside %q", o, err)
			}
			return
		}
		if o.Action == awsencryptioncli.ShowHelp || o.Action == awsencryptioncli.ShowVersion {
			return
		}
		if len(o.WrappingKeys) == 0 || o.CommitmentPolicy == "" || o.EncryptionContext == nil {
			t.Errorf("%+v is not complete", o)
		}
		for _, g := range o.WrappingKeys {
			if g.Discovery == (len(g.Keys) > 0) || (len(g.Accounts) > 0) != (g.Partition != "") {
				t.Errorf("%+v", g)
			}
		}
	})
}

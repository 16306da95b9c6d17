package cli_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/keywright/keywright/internal/cli"
)

func TestKeyGroup(t *testing.T) {
	for text, want := range map[string][]string{
		"key=alias/a": {"alias/a"},
		"provider=aws-kms,key=a,key=b,region=r,profile=p":     {"a", "b"},
		"provider=aws-encryption-sdk-cli::aws-kms key=a=b":    {"a=b"},
		"discovery=FALSE,key=arn:aws:kms:r:1:key/x, profile=": nil,
		"discovery=true,key=a":                                nil,
		"discovery=maybe":                                     nil,
		"discovery=n":                                         nil,
		"discovery-account=1,discovery-partition=aws,key=a":   nil,
		"discovery=1,discovery-account=1":                     nil,
		"key=a,region=r,region=s":                             nil,
		"":                                                    nil,

		"key=a,grant-token=x=,grant-token=y":             {"a"},
		"key=a,padding=oaep-sha1":                        nil,
		"key=a,peer=f":                                   nil,
		"provider=aws-kms-rsa,key=arn:aws:kms:r:1:key/x": {"arn:aws:kms:r:1:key/x"},
		"provider=aws-kms-rsa,key=arn:aws:kms:r:1:key/x,padding=oaep-sha1,public-key=f":     {"arn:aws:kms:r:1:key/x"},
		"provider=aws-kms-rsa,key=arn:aws:kms:r:1:key/x,padding=pkcs1":                      nil,
		"provider=aws-kms-rsa,key=arn:aws:kms:r:1:key/x,peer=f":                             nil,
		"provider=aws-kms-rsa,key=alias/a":                                                  nil,
		"provider=aws-kms-rsa,key=arn:aws:kms:r:1:key/x,key=arn:aws:kms:r:1:key/y":          nil,
		"provider=aws-kms-rsa,discovery=true":                                               nil,
		"provider=aws-kms-ecdh,key=arn:aws:kms:r:1:key/x,peer=f,public-key=g,grant-token=x": {"arn:aws:kms:r:1:key/x"},
		"provider=aws-kms-ecdh,key=arn:aws:kms:r:1:key/x,peer=f,peer=g":                     nil,
		"provider=aws-kms-ecdh,key=arn:aws:kms:r:1:key/x,padding=oaep-sha256":               nil,
		"provider=raw-ecdh,key=a":                                                           nil,
	} {
		keys, _, _, err := cli.KeyGroup(text)
		if !slices.Equal(keys, want) || (err == nil) != (want != nil) {
			t.Errorf("%q: got %q, %v", text, keys, err)
		}
	}
	_, discovery, filtered, err := cli.KeyGroup("discovery=t,discovery-partition=aws,discovery-account=1,discovery-account=2")
	if !discovery || !filtered || err != nil {
		t.Errorf("got %v, %v, %v", discovery, filtered, err)
	}
}

func FuzzKeyGroup(f *testing.F) {
	f.Add("key=alias/a,region=eu-west-1")
	f.Add("discovery=true,discovery-account=1,discovery-partition=aws")
	f.Add("provider=aws-kms-ecdh,key=arn:aws:kms:r:1:key/x,peer=f,grant-token=a")
	f.Fuzz(func(t *testing.T, text string) {
		keys, discovery, filtered, err := cli.KeyGroup(text)
		if err != nil {
			return
		}
		if discovery == (len(keys) > 0) {
			t.Errorf("%q: discovery is %v with keys %q", text, discovery, keys)
		}
		if filtered && !discovery {
			t.Errorf("%q: a filter without discovery", text)
		}
		for _, k := range keys {
			if k == "" || !strings.Contains(text, "key="+k) {
				t.Errorf("%q: got key %q", text, k)
			}
		}
	})
}

func TestRawKey(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, name := range []string{"key", "a,b"} {
		if err := os.WriteFile(name, make([]byte, 16), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for text, want := range map[string]string{
		"key,namespace=ns,name=n":                   "ns n",
		"key,name=a b,c,namespace=x=y,padding=oaep": "x=y a b,c",
		"a,b,namespace=ns,name=n":                   "ns n",
		"key":                                       "",
		"key,namespace=ns":                          "",
		"key,name=n":                                "",
		",namespace=ns,name=n":                      "",
		"key,namespace=ns,name=n,name=m":            "",
		"key,namespace=ns,name=n,size=1":            "",
		"none,namespace=ns,name=n":                  "",
	} {
		ns, name, err := cli.RawKey(text)
		if got := strings.TrimSpace(ns + " " + name); got != want || (err == nil) != (want != "") {
			t.Errorf("%q: got %q, %v", text, got, err)
		}
	}
}

func FuzzRawKey(f *testing.F) {
	file := filepath.Join(f.TempDir(), "key")
	if err := os.WriteFile(file, make([]byte, 16), 0o600); err != nil {
		f.Fatal(err)
	}
	f.Add("namespace=ns,name=n")
	f.Add("name=a,b,padding=pkcs1,namespace=c")
	f.Fuzz(func(t *testing.T, params string) {
		ns, name, err := cli.RawKey(file + "," + params)
		if err == nil && (ns == "" || name == "" || !strings.Contains(params, "namespace="+ns) || !strings.Contains(params, "name="+name)) {
			t.Errorf("%q: got %q, %q", params, ns, name)
		}
	})
}

// What is split comes from the flag, whole and in its order.
func FuzzSplitRawKey(f *testing.F) {
	f.Add("own.pem,peer=theirs.pem")
	f.Add("a,b,name=c,d,peer=")
	f.Fuzz(func(t *testing.T, flag string) {
		file, params, err := cli.SplitRawKey(flag, "name", "peer")
		if err != nil {
			return
		}
		whole := len(file)
		for name, value := range params {
			if part := "," + name + "=" + value; !strings.Contains(flag[len(file):], part) {
				t.Errorf("%q: got %q", flag, part)
			} else {
				whole += len(part)
			}
		}
		if file == "" || !strings.HasPrefix(flag, file) || whole != len(flag) {
			t.Errorf("%q: got %q, %q", flag, file, params)
		}
	})
}

func TestCaching(t *testing.T) {
	age, messages, err := cli.Caching("capacity=1,max_age=0.5 max_messages_encrypted=7,max_bytes_encrypted=9")
	if age != 0.5 || messages != 7 || err != nil {
		t.Errorf("got %v, %v, %v", age, messages, err)
	}
	for _, text := range []string{
		"", "capacity=1", "max_age=1", "capacity=0,max_age=1", "capacity=1,max_age=0", "capacity=1,max_age=NaN",
		"capacity=1,max_age=1,capacity=1", "capacity=1,max_age=1,max_age=1", "capacity=1,max_age=1,x=1",
		"capacity=99999999,max_age=1", "capacity=1,max_age=1e10", "capacity=1,max_age=1,max_bytes_encrypted=-1",
	} {
		if _, _, err := cli.Caching(text); err == nil {
			t.Errorf("%q was accepted", text)
		}
	}
}

func FuzzCaching(f *testing.F) {
	f.Add("capacity=10,max_age=60")
	f.Add("capacity=1,max_age=0.5 max_messages_encrypted=7,max_bytes_encrypted=9")
	f.Fuzz(func(t *testing.T, text string) {
		if len(text) > 100 {
			return
		}
		age, messages, err := cli.Caching(text)
		if err == nil && (age < 0 || messages < 0) {
			t.Errorf("%q: got %v, %v", text, age, messages)
		}
	})
}

// What a terminal would take for a command never reaches it.
func FuzzPrintable(f *testing.F) {
	f.Add("arn:aws:kms:us-east-1:111122223333:key/é")
	f.Add("\x1b]0;title\a\xff")
	f.Fuzz(func(t *testing.T, text string) {
		for _, r := range cli.Printable(text) {
			if !unicode.IsPrint(r) {
				t.Errorf("%q is shown as %q", text, cli.Printable(text))
			}
		}
	})
}

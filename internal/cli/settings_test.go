package cli_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/keywright/keywright/internal/cli"
	"github.com/keywright/keywright/internal/server"
)

// settings has, for each flag of the server, two values as a flag, as an
// environment variable and in the configuration file, and a look at the result.
var settings = []struct {
	flag, one, two string // as flags and in the environment
	json1, json2   string
	get            func(*server.Config) any
}{
	{"data", "/a", "/b", `"/a"`, `"/b"`, func(c *server.Config) any { return c.Data }},
	{"root-key", "/a", "/b", `"/a"`, `"/b"`, func(c *server.Config) any { return c.RootKey }},
	{"root-key-credential", "a", "b", `"a"`, `"b"`, func(c *server.Config) any { return c.RootKeyCredential }},
	{"passphrase-file", "/a", "/b", `"/a"`, `"/b"`, func(c *server.Config) any { return c.PassphraseFile }},
	{"account", "111122223333", "444455556666", `"111122223333"`, `"444455556666"`, func(c *server.Config) any { return c.Account }},
	{"regions", "us-east-1,eu-west-1", "us-west-2", `["us-east-1","eu-west-1"]`, `["us-west-2"]`, func(c *server.Config) any { return strings.Join(c.Regions, ",") }},
	{"seed", "/a", "/b", `"/a"`, `"/b"`, func(c *server.Config) any { return c.Seed }},
	{"listen", "127.0.0.1:1", "127.0.0.1:2", `"127.0.0.1:1"`, `"127.0.0.1:2"`, func(c *server.Config) any { return c.Listen }},
	{"operator-listen", "off", "127.0.0.1:2", `"off"`, `"127.0.0.1:2"`, func(c *server.Config) any { return c.OperatorListen }},
	{"hostname", "a,b", "c", `["a","b"]`, `["c"]`, func(c *server.Config) any { return strings.Join(c.Hostnames, ",") }},
	{"tls-cert", "/a", "/b", `"/a"`, `"/b"`, func(c *server.Config) any { return c.TLSCert }},
	{"tls-key", "/a", "/b", `"/a"`, `"/b"`, func(c *server.Config) any { return c.TLSKey }},
	{"tls-auto", "true", "false", `true`, `false`, func(c *server.Config) any { return c.TLSAuto }},
	{"insecure-plain-http", "true", "false", `true`, `false`, func(c *server.Config) any { return c.InsecurePlainHTTP }},
	{"dev", "true", "false", `true`, `false`, func(c *server.Config) any { return c.Dev }},
	{"dev-insecure-network", "true", "false", `true`, `false`, func(c *server.Config) any { return c.DevInsecureNetwork }},
	{"keys-per-region", "1", "2", `1`, `2`, func(c *server.Config) any { return c.KeysPerRegion }},
	{"open-keys", "1", "2", `1`, `2`, func(c *server.Config) any { return c.OpenKeys }},
	{"cache-bytes", "1", "2", `1`, `2`, func(c *server.Config) any { return c.CacheBytes }},
	{"deletion-grace", "1h", "2h", `"1h"`, `"2h"`, func(c *server.Config) any { return c.DeletionGrace }},
	{"shutdown-timeout", "1s", "2s", `"1s"`, `"2s"`, func(c *server.Config) any { return c.ShutdownTimeout }},
	{"audit-segment-bytes", "1", "2", `1`, `2`, func(c *server.Config) any { return c.Audit.SegmentBytes }},
	{"audit-retain-days", "1", "2", `1`, `2`, func(c *server.Config) any { return c.Audit.RetainDays }},
	{"audit-retain-bytes", "1", "2", `1`, `2`, func(c *server.Config) any { return c.Audit.RetainBytes }},
	{"audit-reserve-bytes", "1", "-1", `1`, `-1`, func(c *server.Config) any { return c.Audit.ReserveBytes }},
}

func writeFile(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func mustConfig(t *testing.T, args ...string) server.Config {
	t.Helper()
	cfg, err := cli.ServerConfig(args...)
	if err != nil {
		t.Fatalf("keywright server %q: %v", args, err)
	}
	return cfg
}

// TestPrecedence takes each setting through each pair of places that it can
// stand in.
func TestPrecedence(t *testing.T) {
	for _, s := range settings {
		t.Run(s.flag, func(t *testing.T) {
			env := "KEYWRIGHT_" + strings.ToUpper(strings.ReplaceAll(s.flag, "-", "_"))
			one, two := "--"+s.flag+"="+s.one, "--"+s.flag+"="+s.two
			defaults := mustConfig(t)
			first, second := mustConfig(t, one), mustConfig(t, two)
			if s.get(&first) == s.get(&second) {
				t.Fatalf("%s and %s make the same configuration", one, two)
			}
			if s.get(&defaults) == s.get(&first) && s.get(&defaults) == s.get(&second) {
				t.Fatalf("the flag changes nothing")
			}
			file1 := writeFile(t, "1.json", `{"`+s.flag+`": `+s.json1+`}`)
			file2 := writeFile(t, "2.json", `{"`+s.flag+`": `+s.json2+`}`)
			for _, c := range []struct {
				name string
				env  string
				args []string
				want *server.Config
			}{
				{"file over default", "", []string{"--config", file1}, &first},
				{"other file over default", "", []string{"--config", file2}, &second},
				{"environment over default", s.one, nil, &first},
				{"environment over file", s.one, []string{"--config", file2}, &first},
				{"other environment over file", s.two, []string{"--config", file1}, &second},
				{"flag over file", "", []string{"--config", file2, one}, &first},
				{"flag over environment", s.two, []string{one}, &first},
				{"other flag over environment", s.one, []string{two}, &second},
			} {
				t.Run(c.name, func(t *testing.T) {
					if c.env != "" {
						t.Setenv(env, c.env)
					}
					if got := mustConfig(t, c.args...); s.get(&got) != s.get(c.want) {
						t.Errorf("got %v, want %v", s.get(&got), s.get(c.want))
					}
				})
			}
		})
	}
}

// TestEverySetting holds that no field of the configuration was forgotten.
func TestEverySetting(t *testing.T) {
	var args []string
	file := map[string]string{}
	for _, s := range settings {
		args = append(args, "--"+s.flag+"="+s.one)
		file[s.flag] = s.json1
	}
	byFlags := mustConfig(t, args...)
	notForUsers := map[string]bool{"Clock": true, "Denied": true, "ShowRecoveryKey": true}
	var zero func(path string, v reflect.Value)
	zero = func(path string, v reflect.Value) {
		for i := range v.NumField() {
			f := v.Type().Field(i)
			switch {
			case !f.IsExported() || notForUsers[f.Name]:
			case f.Type.Kind() == reflect.Struct:
				zero(f.Name+".", v.Field(i))
			case v.Field(i).IsZero():
				t.Errorf("no flag sets %s%s", path, f.Name)
			}
		}
	}
	zero("", reflect.ValueOf(byFlags))

	var text strings.Builder
	for name, value := range file {
		if text.Len() > 0 {
			text.WriteString(",")
		}
		text.WriteString(`"` + name + `":` + value)
	}
	byFile := mustConfig(t, "--config", writeFile(t, "all.json", "{"+text.String()+"}"))
	ignore := cmpopts.IgnoreFields(server.Config{}, "Clock", "Denied", "ShowRecoveryKey")
	if diff := cmp.Diff(byFlags, byFile, ignore, cmpopts.IgnoreUnexported(server.Config{})); diff != "" {
		t.Errorf("flags and file differ (-flags +file):\n%s", diff)
	}
}

func TestConfigFromEnvironment(t *testing.T) {
	t.Setenv("KEYWRIGHT_CONFIG", writeFile(t, "c.json", `{"shutdown-timeout": "7s"}`))
	if got := mustConfig(t).ShutdownTimeout; got != 7*time.Second {
		t.Errorf("shutdown timeout %v, want 7s", got)
	}
}

func TestDefaultData(t *testing.T) {
	if got := mustConfig(t).Data; got != "./keywright-data" {
		t.Errorf("data folder %q, want ./keywright-data", got)
	}
	if got := mustConfig(t, "--dev").Data; got != "" {
		t.Errorf("data folder %q with --dev, want none", got)
	}
}

func TestConfigRefusals(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"unknown", `{"lisen": "x"}`, `"lisen" is not a setting`},
		{"other case", `{"Listen": "x"}`, `"Listen" is not a setting`},
		{"config itself", `{"config": "x"}`, `"config" is not a setting`},
		{"duplicate", `{"listen": "x", "listen": "y"}`, `"listen" stands there twice`},
		{"string for number", `{"open-keys": "1"}`, `"open-keys" must be a whole number`},
		{"fraction", `{"open-keys": 1.5}`, `"open-keys" must be a whole number`},
		{"number for string", `{"listen": 4599}`, `"listen" must be a string`},
		{"string for bool", `{"dev": "true"}`, `"dev" must be true or false`},
		{"null", `{"dev": null}`, `"dev" must be true or false`},
		{"null for string", `{"listen": null}`, `"listen" must be a string`},
		{"string for list", `{"regions": "us-east-1"}`, `"regions" must be an array of strings`},
		{"list with null", `{"regions": [null]}`, `"regions" must be an array of strings`},
		{"number for time", `{"deletion-grace": 3600}`, `"deletion-grace" must be a string with a unit`},
		{"no time", `{"deletion-grace": "soon"}`, `expected duration`},
		{"level", `{"log-level": "loud"}`, `--log-level must be one of`},
		{"trailing", `{} {}`, "something after the JSON object"},
		{"array", `[]`, "one JSON object"},
		{"empty", ``, "no end"},
		{"cut", `{"dev": true`, "no end"},
		{"not JSON", `{dev: true}`, "not JSON"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := cli.ServerConfig("--config", writeFile(t, "c.json", c.text))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want one with %q", err, c.want)
			}
		})
	}
}

func FuzzParseConfig(f *testing.F) {
	f.Add([]byte(`{"listen": "127.0.0.1:0", "dev": true, "regions": ["us-east-1"], "open-keys": 5, "deletion-grace": "1h"}`))
	f.Add([]byte(`{"a":1,"a":2}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		values, err := cli.ParseConfig(text)
		if err != nil {
			return
		}
		for name, v := range values {
			switch v := v.(type) {
			case string:
			case []any:
				for _, e := range v {
					if _, ok := e.(string); !ok {
						t.Errorf("%q has an element of type %T", name, e)
					}
				}
			default:
				t.Errorf("%q is of type %T", name, v)
			}
		}
	})
}

// TestQuote asks a shell what it makes of quoted values.
func TestQuote(t *testing.T) {
	for _, value := range []string{"", "plain", "two words", `it's "quoted"`, "$HOME `id` $(id) \\", "a\nb", "*", "~", "-n", "é", "#x", "a=b;c&d"} {
		out, err := exec.Command("sh", "-c", "printf %s "+cli.Quote(value)).Output()
		if err != nil {
			t.Errorf("%q: %v", value, err)
		}
		if string(out) != value {
			t.Errorf("%q comes out as %q", value, out)
		}
	}
}

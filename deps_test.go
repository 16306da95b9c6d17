package keywright_test

import (
	"encoding/json"
	"errors"
	"io"
	"maps"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/keywright/keywright/"

// layers says which packages of the module each package may import, directly;
// its tests may import more. A package that is not in the table is an error:
// give it a place first. Do not add an import here just to make the test pass:
// docs/design.md says how the layers are meant.
var layers = map[string]string{
	"cmd/keywright": "internal/cli",
	"kmstest":       "internal/clock internal/iam internal/server internal/sigv4",

	"internal/cli":    "esdk esdk/keyring esdk/keyring/awskms esdk/materials esdk/secretenv esdk/suite internal/awsencryptioncli internal/envelope internal/iam internal/server internal/seal internal/backup internal/audit internal/kms internal/clock",
	"internal/bench":  "esdk esdk/keyring esdk/materials esdk/suite internal/server internal/sigv4 internal/kms internal/kmsapi internal/iam internal/record internal/seal internal/store internal/store/boltstore internal/hsm internal/hsm/softhsm internal/audit internal/call internal/clock internal/arn internal/aead",
	"internal/server": "internal/arn internal/audit internal/awsapi internal/awsjson internal/backup internal/call internal/clock internal/hsm internal/hsm/secmem internal/hsm/softhsm internal/httpd internal/iam internal/kms internal/kmsapi internal/policy internal/record internal/seal internal/store internal/store/boltstore",

	"internal/httpd":   "",
	"internal/awsjson": "internal/arn internal/awsapi internal/call internal/clock internal/iam internal/record internal/sigv4 internal/store",

	"internal/kms": "internal/arn internal/authz internal/awsapi internal/call internal/ciphertext internal/hsm internal/kmsapi internal/policy internal/record internal/seal internal/store",
	"internal/iam": "internal/arn internal/awsapi internal/call internal/hsm internal/record internal/store",

	"internal/call":   "internal/audit internal/authz internal/awsapi internal/clock internal/record internal/store",
	"internal/authz":  "internal/arn internal/awsapi internal/policy",
	"internal/audit":  "internal/clock internal/store",
	"internal/record": "internal/store",
	"internal/backup": "internal/aead internal/seal internal/store",
	"internal/seal":   "internal/aead internal/store",

	"internal/hsm/softhsm": "internal/aead internal/hsm internal/hsm/secmem",
	"internal/hsm/hsmtest": "internal/hsm",
	"internal/hsm/secmem":  "",
	"internal/hsm":         "",

	"internal/store/boltstore":  "internal/store",
	"internal/store/faultstore": "internal/store",
	"internal/store/storetest":  "internal/store",
	"internal/store":            "",

	"internal/kmsapi":     "internal/awsapi",
	"internal/awsapi":     "",
	"internal/apigen":     "",
	"internal/policy":     "internal/arn",
	"internal/arn":        "",
	"internal/aead":       "",
	"internal/ciphertext": "",
	"internal/sigv4":      "",
	"internal/clock":      "",

	"esdk":                      "esdk/internal/message esdk/materials esdk/suite",
	"esdk/internal/message":     "esdk/materials esdk/suite",
	"esdk/internal/ecdhwrap":    "esdk/materials esdk/suite",
	"esdk/keyring":              "esdk/internal/ecdhwrap esdk/materials esdk/suite",
	"internal/awsencryptioncli": "",
	"internal/envelope":         "esdk esdk/materials esdk/suite",

	"esdk/keyring/awskms":      "esdk/internal/ecdhwrap esdk/keyring esdk/materials esdk/suite",
	"esdk/materials":           "esdk/suite",
	"esdk/keyring/keyringtest": "esdk/materials esdk/suite",
	"esdk/secretenv":           "esdk esdk/materials",
	"esdk/suite":               "",

	"test/clients/gosdk": "",
	"test/system":        "",
}

// outside says which packages may import which packages that are neither ours
// nor the standard library's. A prefix stands for all below it, the longest that fits counts.
var outside = map[string]string{
	"go.etcd.io/bbolt": "internal/store/boltstore",
	"github.com/go-json-experiment/json/jsontext": "internal/awsapi internal/policy internal/cli internal/server",
	"github.com/go-json-experiment/json":          "internal/record",
	"golang.org/x/crypto/argon2":                  "internal/seal",
	"golang.org/x/crypto/cryptobyte":              "internal/seal internal/backup",
	"golang.org/x/sys":                            "internal/hsm/secmem internal/server internal/audit internal/store/boltstore internal/cli internal/seal internal/bench",
	"golang.org/x/term":                           "internal/cli",
	"golang.org/x/time/rate":                      "internal/awsjson internal/call",
	"github.com/klauspost/compress/gzip":          "internal/audit",
	"github.com/segmentio/asm/base64":             "internal/awsapi",
	"github.com/alecthomas/kong":                  "internal/cli",
	"github.com/schollz/progressbar/v3":           "internal/cli",
	"github.com/prometheus/client_golang":         "internal/server",
	"pgregory.net/rapid":                          "internal/store/storetest",
	"github.com/aws/aws-sdk-go-v2":                "esdk/keyring/awskms internal/cli",
}

// ciphers are the packages that, within internal/, only the door to key material, the seal, and
// the one construction they share may use.
var ciphers = map[string]string{
	"crypto/aes":    "internal/aead internal/bench",
	"crypto/cipher": "internal/aead internal/bench",
	"crypto/rsa":    "",
	"crypto/ecdsa":  "internal/server", // the certificate of --tls-auto
}

type goPackage struct {
	ImportPath string
	Imports    []string
	Standard   bool
}

func packages(t *testing.T) []goPackage {
	t.Helper()
	out, err := exec.Command("go", "list", "-json=ImportPath,Imports,Standard", "./...").Output()
	if err != nil {
		t.Fatal(err)
	}
	var all []goPackage
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p goPackage
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
	if len(all) < len(layers)/2 {
		t.Fatalf("go list found %d packages; the check would check nothing", len(all))
	}
	return all
}

// allowed tells whether table lets pkg import path.
func allowed(table map[string]string, path, pkg string) (listed, ok bool) {
	longest := ""
	for prefix, users := range table {
		if (path == prefix || strings.HasPrefix(path, prefix+"/")) && len(prefix) > len(longest) {
			longest, listed, ok = prefix, true, slices.Contains(strings.Fields(users), pkg)
		}
	}
	return listed, ok
}

func TestLayers(t *testing.T) {
	for _, p := range packages(t) {
		name, ok := strings.CutPrefix(p.ImportPath, module)
		if !ok {
			continue // the root, which has this test alone
		}
		layer, ok := layers[name]
		if !ok {
			t.Errorf("%s has no place in the layers", name)
			continue
		}
		for _, path := range p.Imports {
			switch own, isOwn := strings.CutPrefix(path, module); {
			case isOwn:
				if !slices.Contains(strings.Fields(layer), own) {
					t.Errorf("%s may not import %s", name, own)
				}
			case strings.Contains(strings.Split(path, "/")[0], "."):
				if _, ok := allowed(outside, path, name); !ok {
					t.Errorf("%s may not import %s", name, path)
				}
			default:
				if listed, ok := allowed(ciphers, path, name); listed && !ok && strings.HasPrefix(name, "internal/") {
					t.Errorf("%s may not import %s: key material is used behind hsm.Module and seal alone", name, path)
				}
			}
		}
	}
}

// Layers may not form circles, which would make the table meaningless; the
// compiler sees to that for what is imported, this for what may be.
func TestLayersPointOneWay(t *testing.T) {
	var visit func(name string, path []string)
	done := map[string]bool{}
	visit = func(name string, path []string) {
		if slices.Contains(path, name) {
			t.Fatalf("the layers allow a circle: %v", append(path, name))
		}
		if done[name] {
			return
		}
		for _, next := range strings.Fields(layers[name]) {
			if _, ok := layers[next]; !ok {
				t.Errorf("%s may import %s, which has no place in the layers", name, next)
			}
			visit(next, append(path, name))
		}
		done[name] = true
	}
	for _, name := range slices.Sorted(maps.Keys(layers)) {
		visit(name, nil)
	}
}

// The default build has no cgo.
func TestNoCgo(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", "-f", "{{if .CgoFiles}}{{.ImportPath}}{{end}}", "./cmd/keywright").Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range strings.Fields(string(out)) {
		if !strings.HasPrefix(p, "runtime/cgo") && p != "net" && p != "os/user" {
			t.Errorf("%s uses cgo", p)
		}
	}
}

package sigv4_test

import (
	"crypto/sha256"
	"encoding/json"
	"maps"
	"net/textproto"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/keywright/keywright/internal/sigv4"
)

// golden is a request that another signer signed. The scripts beside the files
// in testdata say how each was made.
type golden struct {
	Name         string
	AccessKeyID  string
	Secret       string
	SessionToken string
	Region       string
	Service      string
	Time         string
	Method       string
	Path         string
	Query        string
	Host         string
	Headers      [][2]string
	Body         []byte
}

// goldens reads all golden files, and fails if one holds fewer requests than
// it should.
func goldens(t testing.TB) []golden {
	t.Helper()
	var all []golden
	for file, count := range map[string]int{"botocore": 48, "javascript": 9} {
		data, err := os.ReadFile("testdata/" + file + ".json")
		if err != nil {
			t.Fatal(err)
		}
		var content struct{ Cases []golden }
		if err := json.Unmarshal(data, &content); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		if len(content.Cases) != count {
			t.Fatalf("%s: %d requests, want %d", file, len(content.Cases), count)
		}
		for _, g := range content.Cases {
			g.Name = file + "/" + g.Name
			all = append(all, g)
		}
	}
	slices.SortFunc(all, func(a, b golden) int { return strings.Compare(a.Name, b.Name) })
	return all
}

func (g *golden) request() sigv4.Request {
	r := sigv4.Request{Method: g.Method, Path: g.Path, RawQuery: g.Query, Host: g.Host, Header: map[string][]string{}}
	for _, h := range g.Headers {
		name := textproto.CanonicalMIMEHeaderKey(h[0])
		r.Header[name] = append(r.Header[name], h[1])
	}
	return r
}

func (g *golden) time(t testing.TB) time.Time {
	t.Helper()
	at, err := time.Parse("20060102T150405Z", g.Time)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

// check does what a server does that knows one access key: both phases, and
// between them the look-up.
func check(r sigv4.Request, accessKeyID, secret string, body []byte, now time.Time) error {
	s, err := sigv4.Parse(&r, now)
	if err != nil {
		return err
	}
	if s.AccessKeyID != accessKeyID {
		return sigv4.ErrUnrecognizedClient
	}
	return s.Verify(sigv4.SigningKey(secret, s.Date, s.Region, s.Service), sha256.Sum256(body))
}

func TestGoldenRequestsVerify(t *testing.T) {
	for _, g := range goldens(t) {
		t.Run(g.Name, func(t *testing.T) {
			r, at := g.request(), g.time(t)
			s, err := sigv4.Parse(&r, at)
			if err != nil {
				t.Fatal(err)
			}
			for _, field := range []struct{ name, got, want string }{
				{"access key id", s.AccessKeyID, g.AccessKeyID},
				{"date", s.Date, g.Time[:8]},
				{"region", s.Region, g.Region},
				{"service", s.Service, g.Service},
				{"session token", s.SessionToken, g.SessionToken},
				{"time", s.Time.Format("20060102T150405Z"), g.Time},
			} {
				if field.got != field.want {
					t.Errorf("%s = %q, want %q", field.name, field.got, field.want)
				}
			}
			if err := check(r, g.AccessKeyID, g.Secret, g.Body, at); err != nil {
				t.Error(err)
			}
			if err := check(r, g.AccessKeyID, g.Secret+"x", g.Body, at); err != sigv4.ErrSignature {
				t.Errorf("with another secret: %v", err)
			}
		})
	}
}

// Signer must reproduce the other signers' Authorization, given the headers
// that they chose to sign.
func TestSignerMatchesGoldens(t *testing.T) {
	for _, g := range goldens(t) {
		t.Run(g.Name, func(t *testing.T) {
			r := g.request()
			want := r.Header["Authorization"][0]
			_, signed, _ := strings.Cut(want, "SignedHeaders=")
			signed, _, _ = strings.Cut(signed, ",")
			if !strings.Contains(signed, "x-amz-date") || strings.Contains(signed, "content-length") {
				t.Skip("signs by Date, or signs Content-Length, which Signer does not")
			}
			maps.DeleteFunc(r.Header, func(name string, _ []string) bool {
				return !slices.Contains(strings.Split(signed, ";"), strings.ToLower(name))
			})
			signer := sigv4.NewSigner(g.AccessKeyID, g.Secret, g.SessionToken)
			if err := signer.Sign(&r, g.Region, g.Service, g.time(t), sha256.Sum256(g.Body)); err != nil {
				t.Fatal(err)
			}
			if got := r.Header["Authorization"][0]; got != want {
				t.Errorf("Authorization:\n got %s\nwant %s", got, want)
			}
		})
	}
}

// Every byte of every signed part is altered once, in each golden request.
func TestAlteredRequestsFail(t *testing.T) {
	for _, g := range goldens(t) {
		t.Run(g.Name, func(t *testing.T) {
			at := g.time(t)
			refuse := func(part string, alter func(r *sigv4.Request, body *[]byte)) {
				t.Helper()
				r, body := g.request(), slices.Clone(g.Body)
				alter(&r, &body)
				if err := check(r, g.AccessKeyID, g.Secret, body, at); err == nil {
					t.Errorf("altered %s: verified", part)
				}
			}
			r := g.request()
			signed := signedHeaders(r)

			for i := range r.Method {
				refuse("method", func(r *sigv4.Request, _ *[]byte) { r.Method = flip(r.Method, i) })
			}
			for i := range len(r.Path) {
				// What ".." removes is not signed, and a flipped slash or dot may
				// leave the same path: TestSpellings is for those.
				if c := r.Path[i]; c != '/' && c != '.' && !strings.Contains(r.Path, "..") {
					refuse("path", func(r *sigv4.Request, _ *[]byte) { r.Path = flip(r.Path, i) })
				}
			}
			refuse("path", func(r *sigv4.Request, _ *[]byte) { r.Path += "x" })
			for i := range len(r.RawQuery) {
				refuse("query", func(r *sigv4.Request, _ *[]byte) { r.RawQuery = flip(r.RawQuery, i) })
			}
			refuse("query", func(r *sigv4.Request, _ *[]byte) { r.RawQuery += "&x" })
			for i := range r.Host {
				refuse("host", func(r *sigv4.Request, _ *[]byte) { r.Host = flip(r.Host, i) })
			}
			for i := range g.Body {
				refuse("body", func(_ *sigv4.Request, body *[]byte) { (*body)[i] ^= 1 })
			}
			refuse("body", func(_ *sigv4.Request, body *[]byte) { *body = append(*body, ' ') })
			for name, values := range r.Header {
				if name != "Authorization" && !slices.Contains(signed, strings.ToLower(name)) {
					continue
				}
				refuse(name+" removed", func(r *sigv4.Request, _ *[]byte) { delete(r.Header, name) })
				refuse(name+" doubled", func(r *sigv4.Request, _ *[]byte) {
					r.Header[name] = append(slices.Clone(r.Header[name]), r.Header[name][0])
				})
				for v, value := range values {
					for i := range len(value) {
						if value[i] == ' ' || value[i] == '\t' {
							continue // a flipped space may be a tab, or be trimmed
						}
						refuse(name, func(r *sigv4.Request, _ *[]byte) {
							r.Header[name] = slices.Clone(values)
							r.Header[name][v] = flip(value, i)
						})
					}
				}
			}
			refuse("X-Amz-Added", func(r *sigv4.Request, _ *[]byte) { r.Header["X-Amz-Added"] = []string{"1"} })
		})
	}
}

func signedHeaders(r sigv4.Request) []string {
	_, list, _ := strings.Cut(r.Header["Authorization"][0], "SignedHeaders=")
	list, _, _ = strings.Cut(list, ",")
	return strings.Split(list, ";")
}

// flip changes the lowest bit of one byte.
func flip(s string, i int) string {
	b := []byte(s)
	b[i] ^= 1
	return string(b)
}

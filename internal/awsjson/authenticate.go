package awsjson

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"golang.org/x/time/rate"

	"github.com/keywright/keywright/internal/arn"
	"github.com/keywright/keywright/internal/awsapi"
	"github.com/keywright/keywright/internal/call"
	"github.com/keywright/keywright/internal/iam"
	"github.com/keywright/keywright/internal/record"
	"github.com/keywright/keywright/internal/sigv4"
	"github.com/keywright/keywright/internal/store"
)

// Authenticator finds out who signed a request.
type Authenticator struct {
	DB  *record.DB
	IAM *iam.Service
	Log *slog.Logger
	// Regions tells whether the server answers for a Region.
	Regions func(region string) bool
	// DevAccount, where set, makes this a development server: an access key
	// that IAM did not issue is taken, unverified, for the root user of this
	// account, or of the account it names where it is 12 digits.
	DevAccount string
	// Failures remembers the requests that were refused; nil remembers none.
	Failures *Failures

	logged rate.Sometimes
}

// claim is what a request says of itself, before it is verified.
type claim struct {
	signed   sigv4.Signed
	key      *iam.AccessKey // nil for a development server's unverified caller
	revision store.Revision // of the store when the key was looked up
}

// claim checks the form of the signature and looks the access key up. It does
// not read the body.
func (a *Authenticator) claim(r *http.Request) (claim, error) {
	// The target as it came over the wire: net/http's URL is cleaned already.
	path, query, _ := strings.Cut(r.RequestURI, "?")
	req := sigv4.Request{Method: r.Method, Path: path, RawQuery: query, Host: r.Host, Header: r.Header}
	// SigV4 follows the wall clock, never the service's.
	signed, err := sigv4.Parse(&req, time.Now())
	if err != nil && a.DevAccount != "" {
		signed, err = parseAtItsOwnTime(&req, err)
	}
	if err != nil {
		return claim{}, a.refuse(r, signed.AccessKeyID, err)
	}
	c := claim{signed: signed}
	if !a.Regions(signed.Region) {
		return claim{}, a.refuse(r, signed.AccessKeyID, sigv4.RegionError(signed.Region))
	}
	v, err := a.DB.View(r.Context())
	if err != nil {
		return claim{}, err
	}
	defer v.Close()
	c.revision = v.Revision()
	c.key, err = a.IAM.FindAccessKey(v, signed.AccessKeyID)
	switch {
	case err == nil && signed.SessionToken == "":
		return c, nil
	case err != nil && !errors.Is(err, store.ErrNotFound):
		return claim{}, err
	case err != nil && a.DevAccount != "":
		return c, nil
	}
	// Long-term keys have no session token, and others are not issued.
	return claim{}, a.refuse(r, signed.AccessKeyID, sigv4.ErrUnrecognizedClient)
}

// parseAtItsOwnTime forgives a development client its clock: tests that freeze
// theirs are common.
func parseAtItsOwnTime(req *sigv4.Request, err error) (sigv4.Signed, error) {
	values := req.Header["X-Amz-Date"]
	if len(values) != 1 {
		return sigv4.Signed{}, err
	}
	at, timeErr := time.Parse("20060102T150405Z", values[0])
	if timeErr != nil {
		return sigv4.Signed{}, err
	}
	return sigv4.Parse(req, at)
}

// verify checks the signature and returns who made it.
func (a *Authenticator) verify(r *http.Request, c *claim, bodyHash [32]byte) (call.Caller, error) {
	if c.key == nil {
		account := a.DevAccount
		if arn.IsAccount(c.signed.AccessKeyID) {
			account = c.signed.AccessKeyID
		}
		return call.Root(arn.Partition(c.signed.Region), account, c.signed.AccessKeyID), nil
	}
	key, err := a.IAM.SigningKey(r.Context(), c.key, c.signed.Date, c.signed.Region, c.signed.Service)
	if err != nil {
		return call.Caller{}, err
	}
	defer clear(key[:])
	if err := c.signed.Verify(key, bodyHash); err != nil {
		return call.Caller{}, a.refuse(r, c.signed.AccessKeyID, err)
	}
	caller := c.key.Root(c.signed.Region)
	id, revision := c.key.ID, c.revision
	caller.StillValid = func(v *record.View) error {
		if v.Revision() == revision {
			return nil // nothing has changed since
		}
		if _, err := a.IAM.FindAccessKey(v, id); err != nil {
			return wire(sigv4.ErrUnrecognizedClient)
		}
		return nil
	}
	return caller, nil
}

// refuse notes a failed authentication for the operator and returns the error to
// answer with. Such requests are never put into the audit log: anybody can make
// them, and nobody should be able to fill it.
func (a *Authenticator) refuse(r *http.Request, accessKeyID string, err error) error {
	s, ok := errors.AsType[*sigv4.Error](err)
	if !ok {
		return err
	}
	e := wire(s)
	f := Failure{Time: time.Now().UTC(), SourceIP: clientOf(r).SourceIP, AccessKeyID: clip(accessKeyID), Code: e.Code}
	suppressed := a.Failures.add(f)
	a.logged.Do(func() {
		a.Log.LogAttrs(context.Background(), slog.LevelWarn, "a request failed authentication",
			slog.String("source", f.SourceIP), slog.String("access_key_id", f.AccessKeyID), slog.String("code", e.Code), slog.Uint64("failures_so_far", suppressed))
	})
	return e
}

// wire is a signature's error as the API's.
func wire(e *sigv4.Error) *awsapi.Error {
	return &awsapi.Error{Code: e.Code, Message: e.Message}
}

// clip bounds an unverified access key id, and takes out what is none.
func clip(id string) string {
	return strings.Map(func(c rune) rune {
		if c < '!' || c > '~' {
			return -1
		}
		return c
	}, id[:min(len(id), 128)])
}

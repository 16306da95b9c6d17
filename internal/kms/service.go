// Package kms is the key management service itself: one method per operation
// of the AWS KMS API, with AWS's checks, order of checks and error texts.
//
// It gets a decoded request and an authenticated caller, and knows nothing of
// HTTP, signatures or databases. Key material it never sees: that is behind
// hsm.Module.
package kms

import (
	"context"
	"log/slog"

	"github.com/keywright/keywright/internal/awsapi"
	"github.com/keywright/keywright/internal/call"
	"github.com/keywright/keywright/internal/hsm"
	"github.com/keywright/keywright/internal/kmsapi"
	"github.com/keywright/keywright/internal/seal"
)

// Names makes the paths and keys that depend on secrets of the deployment;
// *seal.Keyring is one.
type Names interface {
	// Name is a MAC of a name that people chose, for use in paths. Equal names
	// of different kinds or scopes give different values.
	Name(kind, scope, name string) [seal.NameSize]byte
	// Derive returns a key for the named use.
	Derive(use string) [32]byte
}

// Config is what a Service is made of.
type Config struct {
	Path   *call.Path
	Module hsm.Module
	Names  Names
	Log    *slog.Logger
	// KeysPerRegion is the most customer keys of one account in one Region, in
	// whatever state; 0 stands for AWS's default, 100,000.
	KeysPerRegion int
}

// Service answers the KMS API.
type Service struct {
	path      *call.Path
	module    hsm.Module
	names     Names
	log       *slog.Logger
	keyLimit  int
	keyCount  *counter
	markerKey [32]byte
}

// New returns a Service.
func New(cfg Config) *Service {
	s := &Service{
		path:      cfg.Path,
		module:    cfg.Module,
		names:     cfg.Names,
		log:       cfg.Log,
		keyLimit:  cfg.KeysPerRegion,
		keyCount:  &counter{db: cfg.Path.DB},
		markerKey: cfg.Names.Derive("keywright/kms/marker"),
	}
	if s.keyLimit == 0 {
		s.keyLimit = 100_000
	}
	return s
}

// Call carries out the operation rec names with the request in body, and
// appends the response's body to dst. Errors are *awsapi.Error.
func (s *Service) Call(ctx context.Context, rec *call.Record, op kmsapi.OpID, body, dst []byte) ([]byte, error) {
	o := &kmsapi.Operations[op]
	rec.Service, rec.Source = "kms", "kms.amazonaws.com"
	rec.Operation, rec.ReadOnly = o.Name, o.ReadOnly
	rec.FaultCode = kmsapi.CodeKMSInternalException
	run := handlers[op]
	if run == nil {
		run = unsupported
	}
	return run(s, ctx, rec, body, dst)
}

type handler func(s *Service, ctx context.Context, rec *call.Record, body, dst []byte) ([]byte, error)

// response is what every generated response can do.
type response interface {
	AppendJSON(dst []byte) []byte
}

// handle joins an operation's decoder, its method and its response's encoder.
func handle[Req call.AuditAppender, Resp response](
	decode func([]byte) (Req, error),
	method func(*Service, *call.Call, Req) (Resp, error),
) handler {
	return func(s *Service, ctx context.Context, rec *call.Record, body, dst []byte) ([]byte, error) {
		req, decodeErr := decode(body)
		if decodeErr == nil {
			rec.Parameters = req
		}
		var resp Resp
		err := s.path.Run(ctx, rec, func(c *call.Call) (err error) {
			if decodeErr != nil {
				return decodeErr
			}
			resp, err = method(s, c, req)
			return err
		})
		if err != nil {
			return dst, err
		}
		return resp.AppendJSON(dst), nil
	}
}

// unsupported answers operations of the API that are not built.
func unsupported(s *Service, ctx context.Context, rec *call.Record, body, dst []byte) ([]byte, error) {
	return dst, s.path.Run(ctx, rec, func(c *call.Call) error {
		return awsapi.Errorf(kmsapi.CodeUnsupportedOperationException, "%s is not supported by this version of keywright.", rec.Operation)
	})
}

var handlers = [len(kmsapi.Operations)]handler{
	kmsapi.OpCancelKeyDeletion:               handle(kmsapi.DecodeCancelKeyDeletionRequest, (*Service).cancelKeyDeletion),
	kmsapi.OpCreateAlias:                     handle(kmsapi.DecodeCreateAliasRequest, (*Service).createAlias),
	kmsapi.OpCreateKey:                       handle(kmsapi.DecodeCreateKeyRequest, (*Service).createKey),
	kmsapi.OpDecrypt:                         handle(kmsapi.DecodeDecryptRequest, (*Service).decrypt),
	kmsapi.OpDeleteAlias:                     handle(kmsapi.DecodeDeleteAliasRequest, (*Service).deleteAlias),
	kmsapi.OpDescribeKey:                     handle(kmsapi.DecodeDescribeKeyRequest, (*Service).describeKey),
	kmsapi.OpDisableKey:                      handle(kmsapi.DecodeDisableKeyRequest, (*Service).disableKey),
	kmsapi.OpEnableKey:                       handle(kmsapi.DecodeEnableKeyRequest, (*Service).enableKey),
	kmsapi.OpEncrypt:                         handle(kmsapi.DecodeEncryptRequest, (*Service).encrypt),
	kmsapi.OpGenerateDataKey:                 handle(kmsapi.DecodeGenerateDataKeyRequest, (*Service).generateDataKey),
	kmsapi.OpGenerateDataKeyWithoutPlaintext: handle(kmsapi.DecodeGenerateDataKeyWithoutPlaintextRequest, (*Service).generateDataKeyWithoutPlaintext),
	kmsapi.OpGenerateRandom:                  handle(kmsapi.DecodeGenerateRandomRequest, (*Service).generateRandom),
	kmsapi.OpGetKeyPolicy:                    handle(kmsapi.DecodeGetKeyPolicyRequest, (*Service).getKeyPolicy),
	kmsapi.OpListAliases:                     handle(kmsapi.DecodeListAliasesRequest, (*Service).listAliases),
	kmsapi.OpListKeyPolicies:                 handle(kmsapi.DecodeListKeyPoliciesRequest, (*Service).listKeyPolicies),
	kmsapi.OpListKeys:                        handle(kmsapi.DecodeListKeysRequest, (*Service).listKeys),
	kmsapi.OpListResourceTags:                handle(kmsapi.DecodeListResourceTagsRequest, (*Service).listResourceTags),
	kmsapi.OpPutKeyPolicy:                    handle(kmsapi.DecodePutKeyPolicyRequest, (*Service).putKeyPolicy),
	kmsapi.OpReEncrypt:                       handle(kmsapi.DecodeReEncryptRequest, (*Service).reEncrypt),
	kmsapi.OpScheduleKeyDeletion:             handle(kmsapi.DecodeScheduleKeyDeletionRequest, (*Service).scheduleKeyDeletion),
	kmsapi.OpTagResource:                     handle(kmsapi.DecodeTagResourceRequest, (*Service).tagResource),
	kmsapi.OpUntagResource:                   handle(kmsapi.DecodeUntagResourceRequest, (*Service).untagResource),
	kmsapi.OpUpdateAlias:                     handle(kmsapi.DecodeUpdateAliasRequest, (*Service).updateAlias),
	kmsapi.OpUpdateKeyDescription:            handle(kmsapi.DecodeUpdateKeyDescriptionRequest, (*Service).updateKeyDescription),
}

// keyIDElement is the responseElements of an operation that answers nothing:
// CloudTrail shows which key it was.
type keyIDElement string

func (e keyIDElement) AppendAudit(dst []byte) []byte {
	dst = append(dst, `{"keyId":"`...) // an ARN of ours needs no escaping
	dst = append(dst, e...)
	return append(dst, `"}`...)
}

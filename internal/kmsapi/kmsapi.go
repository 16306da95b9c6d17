// Package kmsapi is the AWS KMS API in Go: the types of all 54 operations, with
// strict decoding and validation of requests, encoding of responses, and the
// members of both that an audit record shows. It is generated from model/kms.json
// (facts from AWS's public service description, taken by
// internal/apigen/frombotocore.py) and the hand-kept model/kms.overlay.json.
//
// It knows the form of the API and nothing of its meaning: what an operation
// does, and every check that needs more than the request itself, is in
// internal/kms.
package kmsapi

//go:generate go run ../apigen -model model/kms.json -overlay model/kms.overlay.json -out .

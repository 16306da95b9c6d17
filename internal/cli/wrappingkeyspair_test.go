package cli_test

import (
	"crypto/ecdh"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// The keys that the stand-in has, and the token of the grant without which it
// does nothing.
const (
	standInSymmetric = "arn:aws:kms:us-east-1:111122223333:key/symmetric"
	standInRSA       = "arn:aws:kms:us-east-1:111122223333:key/rsa"
	standInECDH      = "arn:aws:kms:eu-west-1:111122223333:key/ecdh"
	grantToken       = "dG9rZW4="
)

// TestKeyPairScripts runs the scripts in testdata/keys-pair. Each has a service in
// its environment that answers what these keys are for, and the public half of
// its RSA key in rsa.pub.
func TestKeyPairScripts(t *testing.T) {
	skipProcesses(t)
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	ecKey, err := ecdh.P384().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	service := httptest.NewServer(&standInKMS{rsaKey, ecKey})
	t.Cleanup(service.Close) // after the scripts, which run in parallel
	testscript.Run(t, testscript.Params{
		Dir:                 filepath.Join("testdata", "keys-pair"),
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(env *testscript.Env) error {
			for name, value := range map[string]string{
				"AWS_ENDPOINT_URL": service.URL, "AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE", "AWS_SECRET_ACCESS_KEY": "x",
				"AWS_REGION": "us-east-1", "AWS_MAX_ATTEMPTS": "1",
				"KEY": standInSymmetric, "RSA": standInRSA, "ECDH": standInECDH, "GRANT": "grant-token=" + grantToken,
			} {
				env.Setenv(name, value)
			}
			spki, err := x509.MarshalPKIXPublicKey(&rsaKey.PublicKey)
			if err != nil {
				return err
			}
			return os.WriteFile(filepath.Join(env.WorkDir, "rsa.pub"), pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: spki}), 0o600)
		},
	})
}

// standInKMS answers as the service does, with the least that can be told apart
// from an error. Its symmetric key encrypts nothing.
type standInKMS struct {
	rsa *rsa.PrivateKey
	ec  *ecdh.PrivateKey
}

type standInRequest struct {
	KeyID                 string `json:"KeyId"`
	GrantTokens           []string
	NumberOfBytes         int
	CiphertextBlob        []byte
	EncryptionAlgorithm   string
	EncryptionContext     map[string]string
	KeyAgreementAlgorithm string
	PublicKey             []byte
}

func (s *standInKMS) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var in standInRequest
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
		fail(w, "SerializationException")
		return
	}
	if !slices.Equal(in.GrantTokens, []string{grantToken}) {
		fail(w, "AccessDeniedException")
		return
	}
	_, operation, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	out := map[string]any{"KeyId": in.KeyID}
	var err error
	switch operation + " " + in.KeyID {
	case "GenerateDataKey " + standInSymmetric:
		plain := make([]byte, in.NumberOfBytes)
		rand.Read(plain)
		out["Plaintext"], out["CiphertextBlob"] = plain, plain
	case "Decrypt " + standInSymmetric:
		out["Plaintext"] = in.CiphertextBlob
	case "GetPublicKey " + standInRSA:
		out["PublicKey"], err = x509.MarshalPKIXPublicKey(&s.rsa.PublicKey)
		out["KeyUsage"] = "ENCRYPT_DECRYPT"
	case "Decrypt " + standInRSA:
		out["Plaintext"], err = s.decryptRSA(&in)
	case "GetPublicKey " + standInECDH:
		out["PublicKey"], err = x509.MarshalPKIXPublicKey(s.ec.PublicKey())
		out["KeyUsage"] = "KEY_AGREEMENT"
	case "DeriveSharedSecret " + standInECDH:
		out["SharedSecret"], err = s.derive(&in)
		out["KeyAgreementAlgorithm"] = in.KeyAgreementAlgorithm
	default:
		fail(w, "NotFoundException")
		return
	}
	if err != nil {
		fail(w, "InvalidCiphertextException")
		return
	}
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	json.NewEncoder(w).Encode(out)
}

func fail(w http.ResponseWriter, code string) {
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	w.WriteHeader(http.StatusBadRequest)
	json.NewEncoder(w).Encode(map[string]string{"__type": code, "message": "no"})
}

func (s *standInKMS) decryptRSA(in *standInRequest) ([]byte, error) {
	switch {
	case len(in.EncryptionContext) > 0:
		return nil, os.ErrInvalid // RSA keys take none
	case in.EncryptionAlgorithm == "RSAES_OAEP_SHA_1":
		return rsa.DecryptOAEP(sha1.New(), nil, s.rsa, in.CiphertextBlob, nil)
	}
	return rsa.DecryptOAEP(sha256.New(), nil, s.rsa, in.CiphertextBlob, nil)
}

func (s *standInKMS) derive(in *standInRequest) ([]byte, error) {
	parsed, err := x509.ParsePKIXPublicKey(in.PublicKey)
	if err != nil {
		return nil, err
	}
	key, ok := parsed.(interface {
		ECDH() (*ecdh.PublicKey, error)
	})
	if !ok || in.KeyAgreementAlgorithm != "ECDH" {
		return nil, os.ErrInvalid
	}
	peer, err := key.ECDH()
	if err != nil {
		return nil, err
	}
	return s.ec.ECDH(peer)
}
